"""Solver kernel: normalised signals in, homopolymer runs out. Twin: ionanalysis/reference/solve.py.

A beam search by flow (all paths have consumed the same flows, so scores compare), then single changes of
the winner until none helps. A score is a negative log-likelihood in nats plus a prior per base.

Lanes of the vectors are neighbouring flows of one read (lanes.h). Lanes of different reads were the other choice:
their paths branch at different flows and have other windows, and packing costs more than it saves. Only the
simulation of a run is a chain of dependent steps.
"""

from libc.math cimport INFINITY, expf, fabsf, isfinite, logf
from libc.stdlib cimport calloc, free

include "solve_read.pxi"
include "solve_search.pxi"
include "solve_changes.pxi"
include "solve_gain.pxi"


cdef float misfit(Read* r, int limit) noexcept nogil:
    # Sum of squared deviations of the first flows, in units of the noise, outliers cut at 3.
    cdef int j
    cdef float e, found = 0.0
    for j in range(limit):
        e = (r.x[j] - r.signal[j]) / flow_sd(&r.noise, j, r.signal[j])
        found += min(e * e, <float>9.0)
    return found


cdef float answer_score(Read* r, Settings* set, int limit) noexcept nogil:
    # Score of the answer over the first flows, with the prior of its bases.
    cdef int j
    cdef float found = 0.0
    score_flows(r, 0, limit)
    for j in range(limit):
        found += r.now[j]
    for j in range(r.n_runs):
        found += set.prior * r.run_length[j]
    return found


cdef float start_gain(Read* r, Settings* set, int limit) noexcept nogil:
    # Gain of the start that explains the first flows best: a wrong gain can find a self-consistent answer.
    cdef float tries[3]
    cdef float score, best = INFINITY, chosen = 1.0, total, gain
    cdef int k, _turn
    tries[0], tries[1], tries[2] = 1.0, 0.8, 1.25
    for k in range(3):
        total = tries[k]
        for _turn in range(2):
            scale_row(r.x, r.raw, 1 / total, limit)
            search(r, set, min(set.beam, 2), set.drop, limit)
            lay_runs(r, set, 0)
            score = answer_score(r, set, limit) + limit * logf(total)
            gain = fit_gain(r, limit)
            total *= gain
            if score < best:
                best = score
                chosen = total
            if fabsf(gain - 1) < <float>0.02 or k == 0:
                break
        scale_row(r.x, r.x, 1 / gain, limit)
        if k == 0 and misfit(r, limit) < <float>1.2 * limit:
            # The expected noise explains what is left: there is nothing to look for elsewhere.
            break
    return chosen


cdef bint is_stuck(Read* r) noexcept nogil:
    # Signals after the last run that no run explains: every path that went on was lost.
    cdef int j, n_left = 0
    for j in range(last_flow(r) + 1, r.n_flows):
        if r.x[j] - r.signal[j] > <float>0.5:
            n_left += 1
    return n_left > 2


cdef inline int last_flow(Read* r) noexcept nogil:
    return r.run_flow[r.n_runs - 1] if r.n_runs > 0 else -1


cdef void search_wider(Read* r, Settings* set) noexcept nogil:
    # Where the paths were lost, and some way before, keep many: until the signals are explained to their end.
    cdef int _turn, flow, lost = last_flow(r), reach = 64, width = 16
    cdef bint again
    r.most_work = r.work + WORK_PER_FLOW * r.n_flows
    for _turn in range(6):
        for flow in range(max(0, lost - reach), min(r.n_flows, lost + 48)):
            r.width[flow] = width
        search(r, set, set.beam, set.drop, r.n_flows)
        lay_runs(r, set, 0)
        if r.work > r.most_work or not is_stuck(r):
            break
        # Lost again in the same place: the wrong turn was earlier.
        again = last_flow(r) <= lost + 8
        reach = 2 * reach if again else 64
        width = MAX_BEAM if again else 16
        lost = max(lost, last_flow(r))
    for flow in range(r.n_flows):
        r.width[flow] = 0


cdef void solve_one(Read* r, Settings* set) noexcept nogil:
    cdef int n = r.n_flows, _turn
    cdef float total
    r.noise.scale, r.noise.per_base = 1.0, set.noise_per_base
    r.work, r.most_work = 0, WORK_PER_FLOW * n
    total = start_gain(r, set, min(n, set.n_first))
    scale_row(r.x, r.raw, 1 / total, n)
    search(r, set, set.beam, set.drop, n)
    lay_runs(r, set, 0)
    # Signals that fit badly all the way (99 % of mixed wells, 1 % of real ones) are not worth a second search.
    if is_stuck(r) and misfit(r, last_flow(r) + 1) < <float>1.8 * (last_flow(r) + 1):
        search_wider(r, set)
    scale_row(r.x, r.x, 1 / fit_gain(r, n), n)
    fit_noise(r, set, n)
    for _turn in range(set.n_rounds):
        score_flows(r, 0, n)
        improve_lengths(r, set, LITTLE_DOUBT)
        scale_row(r.x, r.x, 1 / fit_gain(r, n), n)
        if set.gain_sd > 0:
            fit_locally(r, set)
        fit_noise(r, set, n)
    refine(r, set, n)


cdef float* take_rows(Read* r, float** room, Py_ssize_t n_rows) noexcept nogil:
    cdef float* rows = room[0]
    room[0] += n_rows * r.stride
    return rows


cdef void lay_out(Read* r, float* room, int* ints, int n_paths, int n_nodes) noexcept nogil:
    # Point the members of a read to their places; all of `room` is 0.
    cdef int n = r.n_flows, j, k
    cdef float* at
    r.raw, r.x, r.zero, r.signal = (take_rows(r, &room, 1), take_rows(r, &room, 1), take_rows(r, &room, 1),
                                    take_rows(r, &room, 1))
    r.change, r.now, r.floor = take_rows(r, &room, 1), take_rows(r, &room, 1), take_rows(r, &room, 1)
    r.slope, r.curve = take_rows(r, &room, 1), take_rows(r, &room, 1)
    r.loss_less, r.loss_more, r.loss_insert = (take_rows(r, &room, 1), take_rows(r, &room, 1),
                                               take_rows(r, &room, 1))
    r.tables, r.sums = take_rows(r, &room, 24), take_rows(r, &room, 5)
    r.before.at = take_rows(r, &room, 1)
    r.before.at[0] = 1.0
    r.before.begin, r.before.end = 0, LANES
    for k in range(2):
        r.trial[k].at = take_rows(r, &room, 1)
    for k in range(n_paths):
        r.paths[k].state.at = take_rows(r, &room, 1)
        r.paths[k].signal = take_rows(r, &room, 1)
    for k in range(n + 1):
        r.states[k].at = take_rows(r, &room, 1)
    r.former, r.pinned, r.run_flow, r.run_length = ints, ints + r.stride, ints + 2 * r.stride, ints + 3 * r.stride
    r.width = ints + 4 * r.stride
    ints += 5 * r.stride
    r.node_parent, r.node_flow, r.node_length = ints, ints + n_nodes, ints + 2 * n_nodes
    for k in range(4):
        at = r.tables + 6 * k * r.stride
        r.by[k].extend, r.by[k].one, r.by[k].two = at, at + r.stride, at + 2 * r.stride
        r.by[k].four, r.by[k].since, r.by[k].block = at + 3 * r.stride, at + 4 * r.stride, at + 5 * r.stride
    for j in range(n):
        r.former[j] = -2
        for k in range(j - 1, -1, -1):
            if r.nuc[k] == r.nuc[j]:
                r.former[j] = k
                break


def solve_reads(
    const signed char[::1] flow_base,    # (n_flows,) in: 0..3
    const float[:, ::1] raw,             # (n, n_flows) in: signals, a 1-mer about 1
    const double[:, ::1] phase,          # (n, 3) in: cf, ie, dr
    const signed char[:, ::1] pinned,    # (n, n_known) in: -1 free, bases >= 0, -1 - the least bases
    const float[:, :, ::1] response,     # (n_models, n_tables, 25) in: signal of a run by length
    const int[::1] model,                # (n,) in: model of each read
    const short[::1] table,              # (n_flows,) in: table of a model that holds for each flow
    const double[::1] settings,          # (14,) in: SolverOptions.as_array()
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
    cdef Py_ssize_t row, tables_of = -1, n = flow_base.shape[0]
    cdef int j, n_paths, n_nodes, stride
    cdef bint finite
    cdef float* room
    cdef int* ints
    cdef Read* r
    set.beam = max(1, min(<int>settings[0], MAX_BEAM))
    set.drop, set.look_ahead, set.prior, set.cutoff = settings[1], settings[2], settings[3], settings[4]
    set.huber, set.noise, set.noise_per_base = settings[5], settings[6], settings[7]
    set.gain_sd, set.offset_sd, set.kernel, set.n_first = settings[8], settings[9], settings[10], <int>settings[11]
    set.n_rounds, set.noise_out_of_phase = <int>settings[12], settings[13]
    n_paths = MAX_PATHS
    n_nodes = n * n_paths
    stride = (n // LANES + 2) * LANES
    r = <Read*> calloc(1, sizeof(Read))
    room = <float*> calloc((45 + 2 * n_paths + n) * stride + LANES, sizeof(float))
    ints = <int*> calloc(5 * stride + 3 * n_nodes, sizeof(int))
    if r != NULL:
        r.states = <Row*> calloc(n + 1, sizeof(Row))
    if r == NULL or room == NULL or ints == NULL or r.states == NULL:
        if r != NULL:
            free(r.states)
        free(r)
        free(room)
        free(ints)
        raise MemoryError
    with nogil:
        r.n_flows, r.stride = n, stride
        r.nuc, r.table = &flow_base[0], &table[0]
        # Whole vectors in one cache line each.
        lay_out(r, room + (-(<size_t>room // sizeof(float))) % LANES, ints, n_paths, n_nodes)
        r.noise.floor, r.noise.huber = r.floor, set.huber
        for row in range(raw.shape[0]):
            finite = True
            r.response = &response[model[row], 0, 0]
            for j in range(n):
                r.raw[j] = raw[row, j]
                r.pinned[j] = pinned[row, j] if j < pinned.shape[1] else FREE
                finite = finite and isfinite(raw[row, j])
            if not finite:
                n_runs[row] = -1
                continue
            if tables_of < 0 or not (phase[row, 0] == phase[tables_of, 0] and phase[row, 1] == phase[tables_of, 1]
                                     and phase[row, 2] == phase[tables_of, 2]):
                fill_tables(r, phase[row, 0], phase[row, 1], phase[row, 2])
                fill_floor(r, &set, phase[row, 0] + phase[row, 1])
                tables_of = row
            solve_one(r, &set)
            write_read(r, &n_runs[row], &signal[row, 0], &predicted[row, 0], &inphase[row, 0], &run_flow[row, 0],
                       &run_length[row, 0], &losses[row, 0, 0])
    free(r.states)
    free(r)
    free(room)
    free(ints)


cdef void write_read(Read* r, int* n_runs, float* signal, float* predicted, float* inphase, short* run_flow,
                     signed char* run_length, float* losses) noexcept nogil:
    cdef int j, k, last = 0
    n_runs[0] = r.n_runs
    for k in range(r.n_runs):
        run_flow[k] = r.run_flow[k]
        run_length[k] = r.run_length[k]
        losses[3 * k], losses[3 * k + 1], losses[3 * k + 2] = r.loss_less[k], r.loss_more[k], r.loss_insert[k]
        for j in range(last, r.run_flow[k] + 1):
            inphase[j] = r.states[k].at[r.run_flow[k]]
        last = r.run_flow[k] + 1
    for j in range(last, r.n_flows):
        inphase[j] = inphase[last - 1] if last > 0 else 1.0
    for j in range(r.n_flows):
        signal[j] = r.x[j]
        predicted[j] = r.signal[j]
