"""Plain-NumPy twins of ionanalysis._core.ends: slow, short, meant to be read."""

import numpy as np


def align_before(bases, base_flow, base_start, anchor_flow, anchor_bases, flows, query):
    n_reads = len(anchor_flow)
    found = np.full((n_reads, 3), -1, np.int32)
    for read in range(n_reads):
        own = base_flow[base_start[read] : base_start[read + 1]]
        seen = np.bincount(own, minlength=len(flows))
        best = None
        for start in range(anchor_flow[read], -1, -1):
            placed = _layout(flows, query, start, anchor_flow[read])
            if placed is None:
                continue
            off = seen - placed
            errors = np.abs(off[start + 1 : anchor_flow[read]]).sum()
            last = off[anchor_flow[read]]
            errors += max(-last, 0) + max(last - anchor_bases[read], 0)
            if start < anchor_flow[read]:
                errors += max(-off[start], 0)
            if best is None or errors < best:
                best = errors
                extra = max(off[start], 0) if start < anchor_flow[read] else 0
                found[read] = errors, start, np.searchsorted(own, start) + extra
    return found


def _layout(flows, query, start, anchor_flow):
    """Bases of the query per flow if it begins in `start` and ends right before the anchor, else None."""
    placed, flow = np.zeros(len(flows), int), start
    if flows[start] != query[0]:
        return None
    for letter in query:
        later = np.flatnonzero(flows[flow:] == letter)
        if not len(later):
            return None
        flow += later[0]
        placed[flow] += 1
    follows = flow + np.flatnonzero(flows[flow:] == flows[anchor_flow])
    return placed if len(follows) and follows[0] == anchor_flow else None
