"""Bead adapters in flow space: arrays in, arrays out. Twins: ionanalysis/reference/adapter.py.

What the adapter expects of the flows from each start on is laid out once for all reads. For each read a float32
estimate, eight flows at a time, tells which starts can win; only those are walked flow by flow in float64, so the
estimate saves time and decides nothing. Reads are independent, so the answer does not depend on their cut.
"""

from libc.stdlib cimport free, malloc

cdef extern from "misfit.h" nogil:
    enum: LANES
    float squared_distance(const float* a, const float* b, Py_ssize_t n)

# What float32 may get wrong in a mean of squares, many times over: such starts are walked.
cdef double SLACK = 1e-3


cdef struct Starts:                       # placements of the adapter
    Py_ssize_t number, width
    int* flow                             # (number,) first flow
    int* n_walked                         # (number,) flows until the adapter or the flows end
    int* matched                          # (number,) bases of the adapter in these flows
    float* expected                       # (number, width) bases of the adapter per flow


cdef void lay_out(const unsigned char[::1] flows, const unsigned char[::1] adapter, Starts* starts,
                  bint fill) noexcept nogil:
    """Find number and width of the placements; fill their tables once there is room."""
    cdef Py_ssize_t start, end, flow, n_flows = flows.shape[0], n_adapter = adapter.shape[0], number = 0, width = 0
    cdef int matched, expected
    for start in range(n_flows):
        if flows[start] != adapter[0]:
            continue
        matched = 0
        end = start
        for flow in range(start, n_flows):
            end = flow + 1
            expected = 0
            while matched < n_adapter and adapter[matched] == flows[flow]:
                matched += 1
                expected += 1
            if fill:
                starts.expected[number * starts.width + flow - start] = expected
            if matched == n_adapter:
                break
        width = max(width, end - start)
        if fill:
            starts.flow[number] = <int>start
            starts.n_walked[number] = <int>(end - start)
            starts.matched[number] = matched
        number += 1
    if not fill:
        starts.number, starts.width = number, width + LANES


cdef void find_one(
    const unsigned char[::1] bases,       # all reads' bases
    const short[::1] base_flow,           # all reads' in-phase flows
    Py_ssize_t first, Py_ssize_t last,    # this read's bases, at least one
    const float[::1] residual,            # (n_flows,) in: scaled residual of the read
    const unsigned char[::1] adapter,     # (n_adapter,) in: letters
    const Starts* starts,
    double cutoff, int min_match,
    float* seen,                          # (n_flows,) scratch: bases called in each flow
    float* measured,                      # (n_flows + LANES,) scratch: the same with residuals
    int[::1] found,                       # (3,) out: start flow, start base, matched bases; -1 without
    float[::1] score,                     # (1,) out
) noexcept nogil:
    cdef Py_ssize_t n_flows = residual.shape[0], n_adapter = adapter.shape[0], n_walked, number, start, flow, k
    cdef Py_ssize_t base = first, last_flow = base_flow[last - 1]
    cdef const float* expected
    cdef int matched, moved
    cdef double cost, gap, value, whole, best = -1e10
    for flow in range(n_flows):
        seen[flow] = 0.0
    for k in range(first, last):
        seen[base_flow[k]] += 1.0
    for flow in range(n_flows):
        measured[flow] = seen[flow] + residual[flow]
    for number in range(starts.number):
        start = starts.flow[number]
        if start > last_flow:
            break
        while base_flow[base] < start:
            base += 1
        if base > first and bases[base - 1] == adapter[0]:
            continue
        expected = starts.expected + number * starts.width
        n_walked, matched = starts.n_walked[number], starts.matched[number]
        if last_flow < start + n_walked - 1:
            # The read ends before the adapter does.
            n_walked = last_flow - start + 1
            matched = 0
            for k in range(n_walked):
                matched += <int>expected[k]
        if matched < min_match:
            continue
        # More bases than expected in the first flow are the insert's.
        moved = <int>(seen[start] - expected[0]) if seen[start] >= expected[0] else 0
        whole = squared_distance(measured + start + 1, expected + 1, n_walked - 1) / <double>n_walked
        if (2.0 * n_adapter * (whole - SLACK * (1.0 + whole)) > cutoff
                or not <double>matched / n_adapter - whole > best - SLACK * (1.0 + whole)):
            continue
        cost = 0.0
        for k in range(n_walked):
            if k == 0 and seen[start] >= expected[0]:
                continue
            gap = (seen[start + k] - expected[k]) + <double>residual[start + k]
            cost += gap * gap
        cost /= n_walked
        if 2.0 * n_adapter * cost > cutoff:
            continue
        value = <double>matched / n_adapter - cost
        if value > best:
            best = value
            found[0] = <int>start
            found[1] = <int>(base - first + moved)
            found[2] = matched
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
    cdef Py_ssize_t read, k, n_flows = flows.shape[0]
    cdef Starts starts
    lay_out(flows, adapter, &starts, False)
    cdef float* floats = <float*> malloc(sizeof(float) * (starts.number * starts.width + 2 * n_flows + LANES))
    cdef int* ints = <int*> malloc(sizeof(int) * 3 * (starts.number + 1))
    if floats == NULL or ints == NULL:
        free(floats)
        free(ints)
        raise MemoryError
    starts.flow, starts.n_walked, starts.matched = ints, ints + starts.number, ints + 2 * starts.number
    starts.expected = floats + 2 * n_flows + LANES
    for k in range(starts.number * starts.width + 2 * n_flows + LANES):
        floats[k] = 0.0
    lay_out(flows, adapter, &starts, True)
    with nogil:
        for read in range(found.shape[0]):
            if base_start[read + 1] > base_start[read]:
                find_one(bases, base_flow, base_start[read], base_start[read + 1], residual[read], adapter, &starts,
                         cutoff, min_match, floats, floats + n_flows, found[read], score[read])
    free(floats)
    free(ints)
