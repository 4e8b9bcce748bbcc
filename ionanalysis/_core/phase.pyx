"""Phase kernels: arrays in, arrays out. Twins: ionanalysis/reference/phase.py.

One read at a time: a run's state depends on the run before it, and windows differ between reads. Two
float64 operations per flow follow each other (w times N, plus the state), so the work is bound by their
latency and the derivatives ride along almost free.
"""

from libc.stdlib cimport free, malloc


cdef void fill_tables(
    const signed char[::1] flow_base,   # (n_flows,) in: 0..3
    double cf, double ie, double dr,    # in: fraction per flow
    double* extend,                     # (4, n_flows) out: takes the nucleotide and lives on
    double* stay,                       # (4, n_flows) out: does not take it and lives on
) noexcept nogil:
    cdef Py_ssize_t flow, nuc, n_flows = flow_base.shape[0]
    cdef double available
    for nuc in range(4):
        available = 0.0
        for flow in range(n_flows):
            available = 1.0 if flow_base[flow] == nuc else cf * available
            extend[nuc * n_flows + flow] = available * (1.0 - dr) * (1.0 - ie)
            stay[nuc * n_flows + flow] = (1.0 - available) + available * (1.0 - dr) * ie


def transition_tables(
    const signed char[::1] flow_base,   # (n_flows,) in
    const double[:, ::1] phase,         # (n, 3) in: cf, ie, dr
    double[:, :, ::1] extend,           # (n, 4, n_flows) out
    double[:, :, ::1] stay,             # (n, 4, n_flows) out
):
    """Fill the probabilities B (`extend`) and N (`stay`) of basecaller.md 4.1."""
    cdef Py_ssize_t row
    with nogil:
        for row in range(phase.shape[0]):
            fill_tables(flow_base, phase[row, 0], phase[row, 1], phase[row, 2], &extend[row, 0, 0], &stay[row, 0, 0])


cdef void predict_one(
    const signed char[::1] flow_base,
    const int* run_flow, const float* run_length, Py_ssize_t n_runs,
    double cf, double ie, double dr, double cutoff,
    double* work,                       # (4 * n_flows,) scratch
    double* signal,                     # (n_flows,) out
    double* slope,                      # (3, n_flows) out, or NULL
    float* inphase,                     # (n_flows,) out, or NULL
) noexcept nogil:
    cdef Py_ssize_t n_flows = flow_base.shape[0]
    cdef double* state = work
    cdef signed char nuc
    cdef Py_ssize_t flow, run, begin = 0, first, end = 1, last = 0, k, _age
    cdef double live = 1.0 - dr, done = 1.0 - ie
    cdef double a, da, b, n, length, taken, taken_cf, taken_ie, taken_dr
    cdef double w, w_cf, w_ie, w_dr
    for flow in range(n_flows):
        signal[flow] = 0.0
        for k in range(4):
            state[k * n_flows + flow] = 0.0
        if slope != NULL:
            for k in range(3):
                slope[k * n_flows + flow] = 0.0
        if inphase != NULL:
            inphase[flow] = 1.0
    if n_flows == 0:
        return
    state[0] = 1.0
    for run in range(n_runs):
        length = run_length[run]
        nuc = flow_base[run_flow[run]]
        # Availability of this run's nucleotide from the window's start on, and its derivative in cf.
        a = 0.0
        da = 0.0
        flow = begin
        while flow > 0 and flow_base[flow] != nuc:
            flow -= 1
        if flow_base[flow] == nuc:
            a = 1.0
            for _age in range(begin - flow):
                a, da = cf * a, a + cf * da
        w = w_cf = w_ie = w_dr = 0.0
        first = flow = begin
        while flow < end:
            if flow > first:
                if flow_base[flow] == nuc:
                    a, da = 1.0, 0.0
                else:
                    a, da = cf * a, a + cf * da
            w += state[flow]
            b = a * live * done
            n = (1.0 - a) + a * live * ie
            taken = w * b
            if slope != NULL:
                w_cf += state[n_flows + flow]
                w_ie += state[2 * n_flows + flow]
                w_dr += state[3 * n_flows + flow]
                taken_cf = w_cf * b + w * da * live * done
                taken_ie = w_ie * b - w * a * live
                taken_dr = w_dr * b - w * a * done
                w_cf = w_cf * n + w * da * (live * ie - 1.0)
                w_ie = w_ie * n + w * a * live
                w_dr = w_dr * n - w * a * ie
                state[n_flows + flow] = taken_cf
                state[2 * n_flows + flow] = taken_ie
                state[3 * n_flows + flow] = taken_dr
                slope[flow] += length * taken_cf
                slope[n_flows + flow] += length * taken_ie
                slope[2 * n_flows + flow] += length * taken_dr
            w = w * n
            state[flow] = taken
            signal[flow] += length * taken
            if flow == begin and taken < cutoff and begin < run_flow[run]:
                begin += 1
            flow += 1
            if flow == end and end < n_flows and (w > cutoff or end <= run_flow[run]):
                end += 1
        if inphase != NULL:
            for flow in range(last, run_flow[run] + 1):
                inphase[flow] = <float>state[run_flow[run]]
            last = run_flow[run] + 1
    if inphase != NULL and n_runs > 0:
        for flow in range(last, n_flows):
            inphase[flow] = <float>state[run_flow[n_runs - 1]]


def predict_signal(
    const signed char[::1] flow_base,   # (n_flows,) in
    const long long[::1] run_start,     # (n + 1,) in: read i has runs [run_start[i], run_start[i + 1])
    const int[::1] run_flow,            # (n_runs,) in: in-phase flow of each homopolymer run, rising in a read
    const float[::1] run_length,        # (n_runs,) in: bases
    const double[:, ::1] phase,         # (n, 3) in: cf, ie, dr
    double cutoff,                      # in: fractions below are dropped at the window's ends
    double[:, ::1] signal,              # (n, n_flows) out
    float[:, ::1] inphase,              # (n, n_flows) out
):
    """Fill predicted signals and in-phase fractions. Shapes are the caller's duty."""
    cdef Py_ssize_t read, first, n_flows = flow_base.shape[0]
    cdef double* work = <double*> malloc(4 * (n_flows + 1) * sizeof(double))
    if work == NULL:
        raise MemoryError
    if n_flows == 0 or run_flow.shape[0] == 0:
        free(work)
        signal[:] = 0.0
        inphase[:] = 1.0
        return
    with nogil:
        for read in range(phase.shape[0]):
            first = min(run_start[read], run_flow.shape[0] - 1)
            predict_one(flow_base, &run_flow[first], &run_length[first], run_start[read + 1] - run_start[read],
                        phase[read, 0], phase[read, 1], phase[read, 2], cutoff, work,
                        &signal[read, 0], NULL, &inphase[read, 0])
    free(work)


def predict_slopes(
    const signed char[::1] flow_base,   # (n_flows,) in
    const long long[::1] run_start,     # (n + 1,) in
    const int[::1] run_flow,            # (n_runs,) in
    const float[::1] run_length,        # (n_runs,) in
    const double[:, ::1] phase,         # (n, 3) in
    double cutoff,                      # in
    double[:, ::1] signal,              # (n, n_flows) out
    double[:, :, ::1] slope,            # (n, 3, n_flows) out: derivatives of the signal in cf, ie, dr
):
    """Fill predicted signals and their exact derivatives. Shapes are the caller's duty."""
    cdef Py_ssize_t read, first, n_flows = flow_base.shape[0]
    cdef double* work = <double*> malloc(4 * (n_flows + 1) * sizeof(double))
    if work == NULL:
        raise MemoryError
    if n_flows == 0 or run_flow.shape[0] == 0:
        free(work)
        signal[:] = 0.0
        slope[:] = 0.0
        return
    with nogil:
        for read in range(phase.shape[0]):
            first = min(run_start[read], run_flow.shape[0] - 1)
            predict_one(flow_base, &run_flow[first], &run_length[first], run_start[read + 1] - run_start[read],
                        phase[read, 0], phase[read, 1], phase[read, 2], cutoff, work,
                        &signal[read, 0], &slope[read, 0, 0], NULL)
    free(work)
