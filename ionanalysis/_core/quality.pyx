"""Predictors of base qualities and the look-up of quality tables: arrays in, arrays out.
Twins: ionanalysis/reference/quality.py.

Reads are independent. Rows of a read are worked on as a whole, so that exponentials, logarithms and comparisons run
on vectors; two sums along the read (noise of flows, trail of odds) are the only chains.
"""

from libc.math cimport fabs
from libc.stdlib cimport free, malloc

cdef extern from "elementary.h" nogil:
    double exponential(double x)
    void exponentials(const double* x, double* out, Py_ssize_t n)
    void logarithms(const double* x, double* out, Py_ssize_t n)

cdef enum:
    BATCH = 64  # bases looked up at a time
    LEVELS = 13  # of the noise curve

cdef double USUAL = 0.798  # mean absolute deviation of a Gauss, in sd


cdef struct Settings:
    double least_risk, greatest_risk      # log odds
    double keep                           # weight of odds one run away
    double noise, noise_per_base          # noise that the solver expects, bases
    double noise_prior                    # flows
    double levels_per_base
    const double* curve                   # (LEVELS,) noise of the chip by signal, bases
    Py_ssize_t near_flows


cdef struct Rows:                         # one read each; runs or flows
    double* less                          # (n_flows,) log odds that a base of the run is one too many
    double* odds                          # (3, n_flows) a base less, a base more, a missing run
    double* any                           # (n_flows + 4,) log odds of any of them, two of padding on each side
    double* first                         # (n_flows,) log odds blamed on the first base
    double* trail                         # (n_flows,)
    double* deviation                     # (n_flows + 1,) running sum
    double* noise                         # (n_flows,) of runs


cdef inline double within(double value, double least, double most) noexcept nogil:
    return least if value < least else most if value > most else value


cdef inline double expected_noise(const Settings* set, double level) noexcept nogil:
    """Noise of the chip at a signal, between the levels of its curve."""
    cdef double place = within(level * set.levels_per_base, 0.0, LEVELS - 1.0)
    cdef Py_ssize_t k = <Py_ssize_t>within(place, 0.0, LEVELS - 2.0)
    return set.curve[k] + (place - k) * (set.curve[k + 1] - set.curve[k])


cdef void risks(const float* losses, const signed char* run_length, Py_ssize_t n_runs, Py_ssize_t n_flows,
                const Settings* set, Rows* rows) noexcept nogil:
    """`less`, `any`, `first` and `trail` of a read's runs."""
    cdef Py_ssize_t run
    cdef double* less = rows.odds
    cdef double* more = rows.odds + n_flows
    cdef double* missing = rows.odds + 2 * n_flows
    cdef double* any = rows.any + 2
    cdef double least_odds = exponential(set.least_risk), most_odds = exponential(set.greatest_risk)
    cdef double before, after, odds
    for run in range(n_runs):
        rows.less[run] = -within(losses[3 * run], -set.greatest_risk, -set.least_risk)
        more[run] = -within(losses[3 * run + 1], -set.greatest_risk, -set.least_risk)
        missing[run] = -within(losses[3 * run + 2], -set.greatest_risk, -set.least_risk)
    exponentials(rows.less, less, n_runs)
    exponentials(more, more, n_runs)
    exponentials(missing, missing, n_runs)
    # Which base of a run is one too many, nobody can tell: each has an equal share.
    rows.first[0] = less[0] / run_length[0] + least_odds + missing[0]
    for run in range(1, n_runs):
        rows.first[run] = less[run] / run_length[run] + more[run - 1] + missing[run]
    for run in range(n_runs):
        rows.trail[run] = run_length[run]
    logarithms(rows.trail, rows.trail, n_runs)
    for run in range(n_runs):
        rows.less[run] -= rows.trail[run]
    logarithms(rows.first, rows.first, n_runs)
    for run in range(n_runs):
        less[run] = within(less[run] + more[run] + missing[run], least_odds, most_odds)
    logarithms(less, any, n_runs)
    rows.any[0] = rows.any[1] = any[n_runs] = any[n_runs + 1] = set.least_risk
    for run in range(n_runs):
        any[run] = within(any[run], set.least_risk, set.greatest_risk)
        less[run] = 1.0 if less[run] > 1.0 else less[run]
    # Both ways at once: `more` and `missing` are free by now.
    before = after = 0.0
    for run in range(n_runs):
        more[run] = before
        missing[n_runs - 1 - run] = after
        before = set.keep * (before + less[run])
        after = set.keep * (after + less[n_runs - 1 - run])
    for run in range(n_runs):
        odds = more[run] + missing[run]
        rows.trail[run] = least_odds if odds < least_odds else odds
    logarithms(rows.trail, rows.trail, n_runs)


cdef void run_noise(const float* signal, const float* predicted, const short* run_flow, Py_ssize_t n_runs,
                    Py_ssize_t n_flows, const Settings* set, Rows* rows) noexcept nogil:
    """Noise of each run of a read: the chip's at its signal, times how much noisier the flows around it are."""
    cdef Py_ssize_t flow, run, first, last, end = run_flow[n_runs - 1] + 1
    cdef double level, deviation, there, total = 0.0
    for flow in range(end):
        level = predicted[flow]
        deviation = fabs(signal[flow] - level) / expected_noise(set, level)
        rows.deviation[flow + 1] = deviation if deviation < 6.0 else 6.0
    rows.deviation[0] = 0.0
    for flow in range(end):
        total += rows.deviation[flow + 1]
        rows.deviation[flow + 1] = total
    for run in range(n_runs):
        flow = run_flow[run]
        first, last = max(flow - set.near_flows, 0), min(flow + set.near_flows + 1, end)
        deviation = rows.deviation[last] - rows.deviation[first] + set.noise_prior * USUAL
        there = (last - first + set.noise_prior) * USUAL
        level = predicted[flow]
        rows.noise[run] = (deviation / there * expected_noise(set, level)
                           / (set.noise + set.noise_per_base * within(level, 0.0, 8.0)))


cdef inline double greatest(double a, double b) noexcept nogil:
    return a if a > b else b


def quality_predictors(
    const float[:, ::1] signal,           # (n, n_flows) in: normalised signals
    const float[:, ::1] predicted,        # (n, n_flows) in
    const float[:, ::1] inphase,          # (n, n_flows) in: fraction of strands in phase
    const int[::1] n_runs,                # (n,) in: -1 for reads that were not called
    const short[:, ::1] run_flow,         # (n, n_flows) in: the first n_runs of each row hold
    const signed char[:, ::1] run_length,  # (n, n_flows) in
    const float[:, :, ::1] losses,        # (n, n_flows, 3) in: nats lost with a base less, one more, a run more before
    const double[::1] settings,           # (20,) in: see Settings
    float[:, ::1] out,                    # (n_bases, 6) out
):
    """Fill the predictors of all bases, in the order of reads. Shapes are the caller's duty."""
    cdef Py_ssize_t n_flows = signal.shape[1], read, run, base = 0, flow, k, _base
    cdef Rows rows
    cdef Settings set
    cdef double* work = <double*> malloc((9 * n_flows + 8) * sizeof(double))
    cdef float[6] own
    if work == NULL:
        raise MemoryError
    rows.less, rows.odds, rows.any = work, work + n_flows, work + 4 * n_flows
    rows.first, rows.trail = work + 5 * n_flows + 4, work + 6 * n_flows + 4
    rows.deviation, rows.noise = work + 7 * n_flows + 4, work + 8 * n_flows + 5
    set.least_risk, set.greatest_risk, set.keep = settings[0], settings[1], settings[2]
    set.noise, set.noise_per_base, set.noise_prior = settings[3], settings[4], settings[5]
    set.near_flows, set.levels_per_base, set.curve = <Py_ssize_t>settings[6], settings[7], &settings[8]
    with nogil:
        for read in range(signal.shape[0]):
            if n_runs[read] < 1:
                continue
            risks(&losses[read, 0, 0], &run_length[read, 0], n_runs[read], n_flows, &set, &rows)
            run_noise(&signal[read, 0], &predicted[read, 0], &run_flow[read, 0], n_runs[read], n_flows, &set, &rows)
            for run in range(n_runs[read]):
                flow = run_flow[read, run]
                own[0] = <float>rows.first[run]
                own[1] = <float>greatest(greatest(rows.any[run], rows.any[run + 1]),
                                         greatest(rows.any[run + 3], rows.any[run + 4]))
                own[2] = <float>rows.trail[run]
                own[3] = <float>(greatest(rows.noise[run], rows.noise[run - 1]) if run > 0 else rows.noise[run])
                own[4] = <float>(run_length[read, run - 1] if run > 0 else 0)
                own[5] = <float>(1.0 - inphase[read, flow])
                for _base in range(run_length[read, run]):
                    for k in range(6):
                        out[base, k] = own[k]
                    base += 1
                    own[0], own[3], own[4] = <float>rows.less[run], <float>rows.noise[run], 0.0
    free(work)


def look_up(
    const float[:, ::1] predictors,       # (n, 6) in
    const float[::1] cuts,                # (n_cuts of all axes,) in: rising along each
    const long long[::1] cut_start,       # (7,) in: axis k has the cuts [cut_start[k], cut_start[k + 1])
    const unsigned char[::1] values,      # (n_cells,) in: last axis fastest
    unsigned char[::1] out,               # (n,) out
):
    """Fill the value of the first cell along each axis that covers a predictor; the last one beyond, and for NaN."""
    cdef Py_ssize_t n = predictors.shape[0], start, size, axis, k, i, n_cuts
    cdef float[BATCH] value
    cdef int[BATCH] place, cell
    cdef float cut
    with nogil:
        start = 0
        while start < n:
            size = n - start if n - start < BATCH else BATCH
            for i in range(BATCH):
                cell[i] = 0
            for axis in range(6):
                for i in range(size):
                    value[i] = predictors[start + i, axis]
                for i in range(size, BATCH):
                    value[i] = 0.0
                for i in range(BATCH):
                    place[i] = 0
                n_cuts = cut_start[axis + 1] - cut_start[axis]
                # The last cut covers all that is left.
                for k in range(n_cuts - 1):
                    cut = cuts[cut_start[axis] + k]
                    for i in range(BATCH):
                        place[i] += 0 if value[i] <= cut else 1
                for i in range(BATCH):
                    cell[i] = cell[i] * <int>n_cuts + place[i]
            for i in range(size):
                out[start + i] = values[cell[i]]
            start += BATCH
