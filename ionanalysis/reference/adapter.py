"""Plain-NumPy twins of ionanalysis._core.adapter: slow, short, meant to be read."""

import numpy as np


def find_adapter(bases, base_flow, base_start, residual, flows, adapter, cutoff, min_match):
    n_reads = len(base_start) - 1
    found, score = np.full((n_reads, 3), -1, np.int32), np.full((n_reads, 1), -1e10, np.float32)
    for read in range(n_reads):
        own = slice(base_start[read], base_start[read + 1])
        best = -1e10
        for start in np.flatnonzero(flows == adapter[0]):
            first = int(np.searchsorted(base_flow[own], start))
            if first == len(bases[own]):
                break
            if first and bases[own][first - 1] == adapter[0]:
                continue
            matched, moved, cost, n_walked = _walk(base_flow[own], first, residual[read], flows, adapter, start)
            value = matched / len(adapter) - cost / n_walked
            if matched >= min_match and 2 * len(adapter) * cost / n_walked <= cutoff and value > best:
                best = value
                found[read], score[read] = (start, first + moved, matched), value
    return found, score


def _walk(base_flow, first, residual, flows, adapter, start):
    """Adapter bases matched, read bases that belong to the insert, cost and flows of one placement."""
    matched, moved, cost, n_walked = 0, 0, 0.0, 0
    for flow in range(start, len(flows)):
        expected = 0
        while matched + expected < len(adapter) and adapter[matched + expected] == flows[flow]:
            expected += 1
        matched += expected
        surplus = int(np.sum(base_flow[first:] == flow)) - expected
        n_walked += 1
        if flow == start and surplus >= 0:
            moved = surplus
        else:
            cost += (surplus + float(residual[flow])) ** 2
        if matched == len(adapter) or base_flow[-1] <= flow:
            break
    return matched, moved, cost, n_walked
