"""Solver kernel: normalised signals in, homopolymer runs out. Twin: ionanalysis/reference/solve.py.

A beam search by flow (all paths have consumed the same flows, so scores compare), then single changes of
the winner until none helps. A score is a negative log-likelihood in nats plus a prior per base.
One read at a time: paths of neighbouring reads branch at different flows.
"""

from libc.math cimport INFINITY, fabs, floor, isfinite, log, sqrt
from libc.stdlib cimport free, malloc

include "solve_read.pxi"
include "solve_search.pxi"
include "solve_changes.pxi"
include "solve_gain.pxi"


cdef double start_gain(Read* r, Settings* set, int limit) noexcept nogil:
    # Gain of the start that explains the first flows best: a wrong gain can find a self-consistent answer.
    cdef double tries[3]
    cdef double score, best = INFINITY, chosen = 1.0, total, gain, misfit, e
    cdef int k, j, _turn
    tries[0], tries[1], tries[2] = 1.0, 0.8, 1.25
    for k in range(3):
        total = tries[k]
        for _turn in range(2):
            for j in range(limit):
                r.x[j] = r.raw[j] / total
            score = search(r, set, set.beam, set.drop, limit) + limit * log(total)
            lay_runs(r, set)
            gain = fit_gain(r, set, limit)
            total *= gain
            if score < best:
                best = score
                chosen = total
            if fabs(gain - 1.0) < 0.02:
                break
        misfit = 0.0
        for j in range(limit):
            e = r.x[j] - r.signal[j]
            misfit += min(e * e * r.weight[noise_index(r.signal[j])], 9.0)
        if k == 0 and misfit < 1.2 * limit:
            # The expected noise explains what is left: there is nothing to look for elsewhere.
            break
    return chosen


cdef bint is_stuck(Read* r) noexcept nogil:
    # Signals after the last run that no run explains: every path that went on was lost.
    cdef int j, n_left = 0
    for j in range(r.run_flow[r.n_runs - 1] + 1 if r.n_runs > 0 else 0, r.n_flows):
        if r.x[j] - r.signal[j] > 0.5:
            n_left += 1
    return n_left > 2


cdef void solve_one(Read* r, Settings* set) noexcept nogil:
    cdef int n = r.n_flows, j, _turn, limit
    cdef double total, gain
    fill_noise(r, set.noise, set.noise_per_base)
    total = start_gain(r, set, min(n, set.n_first))
    limit = (5 * set.n_first) // 2
    if limit < n:
        for j in range(limit):
            r.x[j] = r.raw[j] / total
        search(r, set, set.beam, set.drop, limit)
        lay_runs(r, set)
        total *= fit_gain(r, set, limit)
    for j in range(n):
        r.x[j] = r.raw[j] / total
    search(r, set, set.beam, set.drop, n)
    lay_runs(r, set)
    if is_stuck(r):
        search(r, set, 4 * set.beam, 40.0, n)
        lay_runs(r, set)
    gain = fit_gain(r, set, n)
    total *= gain
    scale(r, gain, n)
    fit_noise(r, set, n)
    refine(r, set, n)
    for _turn in range(2):
        gain = fit_gain(r, set, n)
        scale(r, gain, n)
        if set.gain_sd > 0.0:
            fit_locally(r, set, n)
        fit_noise(r, set, n)
        refine(r, set, n)


def solve_reads(
    const signed char[::1] flow_base,    # (n_flows,) in: 0..3
    const double[:, ::1] raw,            # (n, n_flows) in: signals, a 1-mer about 1
    const double[:, ::1] phase,          # (n, 3) in: cf, ie, dr
    const signed char[:, ::1] pinned,    # (n, n_known) in: -1 free, bases >= 0, -1 - the least bases
    const double[::1] settings,          # (12,) in: SolverOptions.as_array()
    float[:, ::1] signal,                # (n, n_flows) out: normalised signal
    float[:, ::1] predicted,             # (n, n_flows) out
    float[:, ::1] inphase,               # (n, n_flows) out
    int[::1] n_runs,                     # (n,) out; -1 if the signal is not finite
    short[:, ::1] run_flow,              # (n, n_flows) out: in-phase flow of each run
    signed char[:, ::1] run_length,      # (n, n_flows) out: bases
    float[:, :, ::1] losses,             # (n, n_flows, 3) out, per run: nats lost with a base less, more, a run before
):
    """Solve reads one after the other. Shapes are the caller's duty."""
    cdef Settings set
    cdef Py_ssize_t row, n = flow_base.shape[0]
    cdef int j, k, last, n_paths, n_nodes
    cdef bint finite
    cdef double* doubles
    cdef int* ints
    cdef double* d
    cdef int* i
    cdef Read* r
    set.beam = max(1, min(<int>settings[0], MAX_BEAM))
    set.drop, set.look_ahead, set.prior, set.cutoff = settings[1], settings[2], settings[3], settings[4]
    set.huber, set.noise, set.noise_per_base = settings[5], settings[6], settings[7]
    set.gain_sd, set.offset_sd, set.kernel, set.n_first = settings[8], settings[9], settings[10], <int>settings[11]
    n_paths = 8 * set.beam + 4
    n_nodes = n * n_paths
    r = <Read*> malloc(sizeof(Read))
    doubles = <double*> malloc(sizeof(double) * ((26 + 2 * n_paths + min(n, MAX_WINDOW)) * (n + 1)))
    ints = <int*> malloc(sizeof(int) * (7 * (n + 1) + 3 * (n_nodes + 1)))
    if r == NULL or doubles == NULL or ints == NULL:
        free(r)
        free(doubles)
        free(ints)
        raise MemoryError
    with nogil:
        r.n_flows = n
        r.nuc = &flow_base[0]
        d, i = doubles, ints
        r.extend, r.stay, r.raw, r.x = d, d + 4 * n, d + 8 * n, d + 9 * n
        r.trial, r.signal, r.change = d + 10 * n, d + 12 * n, d + 13 * n
        r.loss_less, r.loss_more, r.sums = d + 14 * n, d + 15 * n, d + 16 * n
        r.now, r.slope = d + 21 * n, d + 22 * n
        r.loss_insert = d + 23 * n
        d += 25 * (n + 1)
        for k in range(n_paths):
            r.paths[k].state = d + 2 * k * n
            r.paths[k].signal = d + (2 * k + 1) * n
        d += 2 * n_paths * n
        r.states = d
        r.room = n * min(n, MAX_WINDOW)
        r.former, r.run_flow, r.run_length, r.run_begin, r.run_end, r.run_at = (
            i, i + n, i + 2 * n, i + 3 * n, i + 4 * n, i + 5 * n)
        r.pinned = i + 6 * n
        i += 7 * (n + 1)
        r.node_parent, r.node_flow, r.node_length = i, i + n_nodes, i + 2 * n_nodes
        for j in range(n):
            r.former[j] = -2
            for k in range(j - 1, -1, -1):
                if r.nuc[k] == r.nuc[j]:
                    r.former[j] = k
                    break
        for row in range(raw.shape[0]):
            finite = True
            for j in range(n):
                r.raw[j] = raw[row, j]
                r.pinned[j] = pinned[row, j] if j < pinned.shape[1] else FREE
                finite = finite and isfinite(raw[row, j])
            if not finite:
                n_runs[row] = -1
                continue
            if row == 0 or not (phase[row, 0] == phase[row - 1, 0] and phase[row, 1] == phase[row - 1, 1]
                                and phase[row, 2] == phase[row - 1, 2]):
                fill_tables(r, phase[row, 0], phase[row, 1], phase[row, 2])
            solve_one(r, &set)
            n_runs[row] = r.n_runs
            last = 0
            for k in range(r.n_runs):
                run_flow[row, k] = r.run_flow[k]
                run_length[row, k] = r.run_length[k]
                losses[row, k, 0] = r.loss_less[k]
                losses[row, k, 1] = r.loss_more[k]
                losses[row, k, 2] = r.loss_insert[k]
                for j in range(last, r.run_flow[k] + 1):
                    inphase[row, j] = r.states[r.run_at[k] + r.run_flow[k]]
                last = r.run_flow[k] + 1
            for j in range(last, n):
                inphase[row, j] = inphase[row, last - 1] if last > 0 else 1.0
            for j in range(n):
                signal[row, j] = r.x[j]
                predicted[row, j] = r.signal[j]
    free(r)
    free(doubles)
    free(ints)
