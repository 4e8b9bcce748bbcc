"""Sequences aligned backwards from a known place in the read, flow by flow. Twins: ionanalysis/reference/ends.py.

Cost per read is (placements of the query) x (flows it spans): a few dozen steps.
"""


cdef int end_flow(
    const unsigned char[::1] flows, const unsigned char[::1] query, int start, int anchor_flow
) noexcept nogil:
    # Flow in which the anchor's first base would follow a query that begins in `start`; n_flows if none does.
    cdef Py_ssize_t placed = 0
    cdef int flow = start, n_flows = <int>flows.shape[0]
    while True:
        while placed < query.shape[0] and query[placed] == flows[flow]:
            placed += 1
        if placed == query.shape[0]:
            break
        flow += 1
        if flow == n_flows:
            return n_flows
    while flow < n_flows and flows[flow] != flows[anchor_flow]:
        flow += 1
    return flow


cdef void align_one(
    const unsigned char[::1] bases, const short[::1] base_flow,
    Py_ssize_t first, Py_ssize_t last,    # this read's bases
    int anchor_flow, int anchor_bases,    # where the query must end; bases of what follows there
    const unsigned char[::1] flows,       # letters of all flows
    const unsigned char[::1] query,       # letters
    int[::1] found,                       # (3,) out: errors, start flow, start base
) noexcept nogil:
    cdef Py_ssize_t placed, base = last, at
    cdef int start, flow, end, expected, seen, errors, extra, least = -1
    found[0] = found[1] = found[2] = -1
    for start in range(anchor_flow, -1, -1):
        while base > first and base_flow[base - 1] >= start:
            base -= 1
        if flows[start] != query[0]:
            continue
        end = end_flow(flows, query, start, anchor_flow)
        if end > anchor_flow:
            continue
        if end < anchor_flow:
            break
        placed, errors, extra, at = 0, 0, 0, base
        for flow in range(start, anchor_flow + 1):
            expected = seen = 0
            while placed < query.shape[0] and query[placed] == flows[flow]:
                placed += 1
                expected += 1
            while at < last and base_flow[at] == flow:
                at += 1
                seen += 1
            if flow == anchor_flow:
                # What follows may lack bases of its own there: not the query's error.
                errors += max(expected - seen, 0) + max(seen - expected - anchor_bases, 0)
            elif flow == start:
                # The insert may add to the query's first run.
                errors += max(expected - seen, 0)
                extra = max(seen - expected, 0)
            else:
                errors += abs(seen - expected)
        if least < 0 or errors < least:
            least = errors
            found[0], found[1], found[2] = errors, start, <int>(base - first + extra)


def align_before(
    const unsigned char[::1] bases,       # (n_bases,) in: letters of all reads
    const short[::1] base_flow,           # (n_bases,) in: in-phase flow of each
    const long long[::1] base_start,      # (n_reads + 1,) in
    const int[::1] anchor_flow,           # (n_reads,) in: flow in which what follows the query begins; -1: skip
    const int[::1] anchor_bases,          # (n_reads,) in: its bases there
    const unsigned char[::1] flows,       # (n_flows,) in: letter of each flow
    const unsigned char[::1] query,       # (n_query,) in: letters, at least one
    int[:, ::1] found,                    # (n_reads, 3) out: flow errors, start flow, start base; -1 without
):
    """Fill `found`: the placement with the least errors, the one nearest to the anchor on ties."""
    cdef Py_ssize_t read
    with nogil:
        for read in range(anchor_flow.shape[0]):
            align_one(bases, base_flow, base_start[read], base_start[read + 1], anchor_flow[read],
                      anchor_bases[read], flows, query, found[read])
