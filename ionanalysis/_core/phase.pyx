"""Phase kernels: arrays in, arrays out. Twins: ionanalysis/reference/phase.py.

One read at a time: a run's state depends on the run before it, and windows differ between reads. Two
float64 operations per flow follow each other (w times N, plus the state), so the work is bound by their
latency and the derivatives ride along almost free.
"""

from libc.math cimport fabs, sqrt
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


cdef enum:
    LEAST_FLOWS = 8  # gain, offset and three rates leave nothing of fewer


cdef void fit_one(
    const double* predicted,            # (n_flows,)
    const double* slope,                # (3, n_flows)
    const float* measured,              # (n_flows,)
    Py_ssize_t n_flows, Py_ssize_t first, Py_ssize_t end,
    double noise, double noise_per_base, double limit,
    double* weight,                     # (n_flows,) scratch
    double* gradient,                   # (3,) out
    double* curvature,                  # (3, 3) out
    double* of_flow,                    # (n_flows, 3) in and out: gradients of flows, added to; or NULL
    double* scatter,                    # (3, 3) in and out: products of single gradients, added to
) noexcept nogil:
    cdef double ridge = 1e-9
    # Weighted inner products of gain, offset, residual and the three derivatives; least squares on the first two
    # turns into a Schur complement.
    cdef double gg, go, oo, gr, er, scale, gain, offset, w, p, r, u, v
    cdef double[3] gs, os, along, across, single
    cdef double[9] ss
    cdef double[3] sr
    cdef Py_ssize_t flow, k, m, step
    for step in range(2):
        gg = go = oo = gr = er = 0.0
        for flow in range(first, end):
            p, r = predicted[flow], measured[flow] - predicted[flow]
            if step == 0:
                w = noise + noise_per_base * (p if p > 0.0 else 0.0)
                w = 1.0 / (w * w)
            else:
                # Huber's limit, on residuals that the first step left.
                w = weight[flow]
                u = fabs(r - gain * p - offset) * sqrt(w)
                if u > limit:
                    w *= limit / u
            weight[flow] = w
            gg += w * p * p
            go += w * p
            oo += w
            gr += w * p * r
            er += w * r
        # A little more, for reads without signal.
        gg += ridge
        oo += ridge
        scale = 1.0 / (gg * oo - go * go)
        gain, offset = scale * (oo * gr - go * er), scale * (gg * er - go * gr)
    for k in range(3):
        gs[k] = os[k] = sr[k] = 0.0
    for k in range(9):
        ss[k] = 0.0
    for flow in range(first, end):
        w, p = weight[flow], predicted[flow]
        r = measured[flow] - p - gain * p - offset
        for k in range(3):
            u = w * slope[k * n_flows + flow]
            gs[k] += u * p
            os[k] += u
            sr[k] += u * r
            for m in range(k, 3):
                ss[3 * k + m] += u * slope[m * n_flows + flow]
    for k in range(3):
        along[k] = scale * (oo * gs[k] - go * os[k])
        across[k] = scale * (gg * os[k] - go * gs[k])
    for k in range(3):
        gradient[k] = sr[k] - ridge * (along[k] * gain + across[k] * offset)
        for m in range(k, 3):
            v = ss[3 * k + m] - along[k] * gs[m] - across[k] * os[m]
            v -= ridge * (along[k] * along[m] + across[k] * across[m])
            curvature[3 * k + m] = v
            curvature[3 * m + k] = v
    if of_flow == NULL:
        return
    for flow in range(first, end):
        w, p = weight[flow], predicted[flow]
        r = w * (measured[flow] - p - gain * p - offset)
        for k in range(3):
            single[k] = r * (slope[k * n_flows + flow] - along[k] * p - across[k])
            of_flow[3 * flow + k] += single[k]
        for k in range(3):
            for m in range(3):
                scatter[3 * k + m] += single[k] * single[m]


def fit_sums(
    const signed char[::1] flow_base,   # (n_flows,) in
    const long long[::1] run_start,     # (n + 1,) in
    const int[::1] run_flow,            # (n_runs,) in
    const float[::1] run_length,        # (n_runs,) in
    const double[::1] phase,            # (3,) in: cf, ie, dr of all reads
    double cutoff,                      # in
    const float[:, ::1] signal,         # (n, n_flows) in: measured
    Py_ssize_t first,                   # in: flows of the fit begin here
    const int[::1] end,                 # (n,) in: and end before this one
    const double[::1] noise,            # (3,) in: noise without signal and per base, Huber's limit in units of both
    double[:, ::1] gradient,            # (n, 3) out
    double[:, :, ::1] curvature,        # (n, 3, 3) out
    double[:, ::1] of_flow,             # (n_flows, 3) out: each flow's part of the gradient; (0, 3) if not wanted
    double[:, ::1] scatter,             # (3, 3) out: sum over flows and reads of products of their parts
):
    """Fill each read's part of the normal equations of cf, ie, dr, gain and offset of the read projected out.

    Reads of fewer than 8 flows have no part. Shapes are the caller's duty.
    """
    cdef Py_ssize_t read, n_flows = flow_base.shape[0]
    cdef double* work = <double*> malloc(9 * (n_flows + 1) * sizeof(double))
    cdef double* predicted = work + 4 * (n_flows + 1)
    cdef double* slope = predicted + n_flows
    cdef double* weight = slope + 3 * n_flows
    if work == NULL:
        raise MemoryError
    gradient[:] = 0.0
    curvature[:] = 0.0
    of_flow[:] = 0.0
    scatter[:] = 0.0
    with nogil:
        for read in range(signal.shape[0]):
            if end[read] - first < LEAST_FLOWS or run_start[read + 1] <= run_start[read]:
                continue
            predict_one(flow_base, &run_flow[run_start[read]], &run_length[run_start[read]],
                        run_start[read + 1] - run_start[read], phase[0], phase[1], phase[2], cutoff, work,
                        predicted, slope, NULL)
            fit_one(predicted, slope, &signal[read, 0], n_flows, first, end[read], noise[0], noise[1], noise[2],
                    weight, &gradient[read, 0], &curvature[read, 0, 0],
                    &of_flow[0, 0] if of_flow.shape[0] else NULL, &scatter[0, 0])
    free(work)
