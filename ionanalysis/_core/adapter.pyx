"""Bead adapters in flow space: arrays in, arrays out. Twins: ionanalysis/reference/adapter.py.

Cost per read is (flows with the adapter's first base) x (flows the adapter spans); a start is given up as
soon as the adapter or the read ends, or its cost is already too great for what it can still become. Reads are
independent, so the answer does not depend on their cut.
"""


from libc.stdlib cimport free, malloc


cdef void fill_spans(
    const unsigned char[::1] flows, const unsigned char[::1] adapter,
    int* span,                            # (n_flows,) out: flows that an adapter beginning in each flow can take
) noexcept nogil:
    cdef Py_ssize_t n_flows = flows.shape[0], start, flow, placed
    for start in range(n_flows):
        placed, flow = 0, start
        while flow < n_flows:
            while placed < adapter.shape[0] and adapter[placed] == flows[flow]:
                placed += 1
            flow += 1
            if placed == adapter.shape[0]:
                break
        span[start] = <int>(flow - start)


cdef void find_one(
    const unsigned char[::1] bases,       # all reads' bases
    const short[::1] base_flow,           # all reads' in-phase flows
    Py_ssize_t first, Py_ssize_t last,    # this read's bases
    const float[::1] residual,            # (n_flows,) in: scaled residual of the read
    const unsigned char[::1] flows,       # (n_flows,) in: letter of each flow
    const unsigned char[::1] adapter,     # (n_adapter,) in: letters
    const int* span,                      # (n_flows,) in: most flows that are walked from each start
    double cutoff, int min_match,
    int[::1] found,                       # (3,) out: start flow, start base, matched bases; -1 without
    float[::1] score,                     # (1,) out
) noexcept nogil:
    cdef Py_ssize_t n_flows = flows.shape[0], n_adapter = adapter.shape[0]
    cdef Py_ssize_t start, flow, base = first, at, matched, expected, seen, moved
    cdef int n_walked
    cdef double cost, gap, value, best = -1e10
    for start in range(n_flows):
        if flows[start] != adapter[0]:
            continue
        while base < last and base_flow[base] < start:
            base += 1
        if base >= last:
            break
        if base > first and bases[base - 1] == adapter[0]:
            continue
        at = base
        matched = moved = 0
        n_walked = 0
        cost = 0.0
        for flow in range(start, n_flows):
            expected = 0
            while matched < n_adapter and adapter[matched] == flows[flow]:
                matched += 1
                expected += 1
            seen = 0
            while at < last and base_flow[at] == flow:
                at += 1
                seen += 1
            n_walked += 1
            if flow == start and seen >= expected:
                moved = seen - expected
            else:
                gap = (seen - expected) + <double>residual[flow]
                cost += gap * gap
                # Costs only grow and flows end with the span: neither bound can be met any more.
                if 2.0 * n_adapter * (cost / span[start]) > cutoff or 1.0 - cost / span[start] <= best:
                    break
            if matched == n_adapter or at >= last:
                break
        cost /= n_walked
        if matched < min_match or 2.0 * n_adapter * cost > cutoff:
            continue
        value = <double>matched / n_adapter - cost
        if value > best:
            best = value
            found[0] = <int>start
            found[1] = <int>(base - first + moved)
            found[2] = <int>matched
            score[0] = <float>value


def find_adapter(
    const unsigned char[::1] bases,       # (n_bases,) in: letters of all reads, one after the other
    const short[::1] base_flow,           # (n_bases,) in: in-phase flow of each
    const long long[::1] base_start,      # (n_reads + 1,) in: first base of each read
    const float[:, ::1] residual,         # (n_reads, n_flows) in: scaled residuals, bases; zeros in mode 0
    const unsigned char[::1] flows,       # (n_flows,) in: letter of each flow
    const unsigned char[::1] adapter,     # (n_adapter,) in: letters, at least one
    double cutoff,                        # in: greatest misfit
    int min_match,                        # in: least bases of the adapter
    int[:, ::1] found,                    # (n_reads, 3) out: start flow, start base, matched bases; filled with -1
    float[:, ::1] score,                  # (n_reads, 1) out: filled with -1e10
):
    """Fill `found` and `score`, which the caller has set to -1 and -1e10."""
    cdef Py_ssize_t read
    cdef int* span = <int*> malloc((flows.shape[0] + 1) * sizeof(int))
    if span == NULL:
        raise MemoryError
    with nogil:
        fill_spans(flows, adapter, span)
        for read in range(found.shape[0]):
            find_one(bases, base_flow, base_start[read], base_start[read + 1], residual[read], flows, adapter,
                     span, cutoff, min_match, found[read], score[read])
        free(span)
