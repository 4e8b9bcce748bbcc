# cython: embedsignature=True
"""Kernels of fits to wells: buffering at many time constants, and Gauss-Newton rounds. Twins: reference/fits.py.

Sums over the values of a trace run in sixteen lanes that are added up in a fixed order, so that every build
gives the same bytes; rows are padded with zeros to whole lanes. Filters act on many traces side by side.
"""

DEF LANES = 16
DEF STRIP = 64


def low_pass_means(
    const double[:, ::1] fine,        # (n_fine, n_traces) in: traces on the fine grid
    const double[::1] decay,          # (n_taus,) in: what is left of a low-pass after one step
    const double[::1] ramp,           # (n_taus,) in: tau / step * (1 - decay)
    const int[::1] steps,             # (n_frames,) in: fine steps of each frame; they add up to n_fine
    double[:, :, ::1] means,          # (n_taus, n_frames, n_traces) out
):
    """Low-pass traces, exactly for straight segments between samples, and average them over frames."""
    cdef Py_ssize_t n_traces = fine.shape[1], tau, frame, start, width, at, k, _i
    cdef double now[STRIP]
    cdef double total[STRIP]
    cdef double keep, new, old, share
    with nogil:
        for tau in range(decay.shape[0]):
            keep = decay[tau]
            new = 1.0 - ramp[tau]
            old = ramp[tau] - keep
            for start in range(0, n_traces, STRIP):
                width = min(STRIP, n_traces - start)
                # Before the first sample lies a constant equal to it.
                for k in range(width):
                    now[k] = fine[0, start + k]
                at = 0
                for frame in range(steps.shape[0]):
                    for k in range(width):
                        total[k] = 0.0
                    for _i in range(steps[frame]):
                        if at > 0:
                            for k in range(width):
                                now[k] = keep * now[k] + new * fine[at, start + k] + old * fine[at - 1, start + k]
                        for k in range(width):
                            total[k] += now[k]
                        at += 1
                    share = 1.0 / steps[frame]
                    for k in range(width):
                        means[tau, frame, start + k] = share * total[k]


def best_nodes(
    const float[:, ::1] nodes,        # (n_values, n_nodes) in: model of unit gain at each node; whole lanes of nodes
    const float[::1] weight,          # (n_nodes,) in: 1 / sum of squares of each model; 0 for padding
    const float[:, ::1] traces,       # (n_wells, n_values) in
    int[::1] best,                    # (n_wells,) out: node that explains most, by a positive gain
    float[::1] gain,                  # (n_wells,) out: its least-squares gain
):
    """For each well the node whose model fits best; the first of equals, node 0 if none has a positive gain."""
    cdef Py_ssize_t n_values = nodes.shape[0], well, block, value, k
    cdef float product[LANES]
    cdef float most[LANES]
    cdef float found[LANES]
    cdef int where[LANES]
    cdef float level, explained
    cdef int chosen
    with nogil:
        for well in range(traces.shape[0]):
            for k in range(LANES):
                most[k] = 0.0
                found[k] = 0.0
                where[k] = <int>k
            for block in range(0, nodes.shape[1], LANES):
                for k in range(LANES):
                    product[k] = 0.0
                for value in range(n_values):
                    level = traces[well, value]
                    for k in range(LANES):
                        product[k] += level * nodes[value, block + k]
                for k in range(LANES):
                    level = product[k] * weight[block + k]
                    explained = product[k] * level
                    explained = explained if product[k] > 0.0 else <float>0.0
                    found[k] = level if explained > most[k] else found[k]
                    where[k] = <int>(block + k) if explained > most[k] else where[k]
                    most[k] = explained if explained > most[k] else most[k]
            chosen = 0
            for k in range(1, LANES):
                if most[k] > most[chosen] or (most[k] == most[chosen] and where[k] < where[chosen]):
                    chosen = <int>k
            best[well] = where[chosen]
            gain[well] = found[chosen]


cdef inline Py_ssize_t cell(double value, double first, double step, Py_ssize_t n, double* within) noexcept nogil:
    """First of the four nodes around a value, which is held inside, and how far after the second it lies."""
    cdef double place
    cdef Py_ssize_t second
    value = value if value > first + step else first + step
    value = value if value < first + step * (n - 2) else first + step * (n - 2)
    place = (value - first) / step
    second = <Py_ssize_t>place
    second = second if second > 1 else 1
    second = second if second < n - 3 else n - 3
    within[0] = place - second
    return second - 1


cdef inline void cubic(double s, double per_step, float* weight, float* slope) noexcept nogil:
    """Weights of four evenly spaced nodes: Lagrange, exact for cubics; and their derivatives, times `per_step`."""
    cdef double sixth = 1.0 / 6.0, half = 0.5, square = s * s
    weight[0] = <float>(-s * (s - 1) * (s - 2) * sixth)
    weight[1] = <float>((s + 1) * (s - 1) * (s - 2) * half)
    weight[2] = <float>(-(s + 1) * s * (s - 2) * half)
    weight[3] = <float>((s + 1) * s * (s - 1) * sixth)
    slope[0] = <float>(-(3 * square - 6 * s + 2) * (sixth * per_step))
    slope[1] = <float>((3 * square - 4 * s - 1) * (half * per_step))
    slope[2] = <float>(-(3 * square - 2 * s - 2) * (half * per_step))
    slope[3] = <float>((3 * square - 1) * (sixth * per_step))


cdef extern from "sums.h" nogil:
    void add_up(const float* node, Py_ssize_t n_delays, Py_ssize_t n_values, const float* tau_weight,
                const float* tau_slope, const float* delay_weight, const float* delay_slope, const float* trace,
                float gain, float* sums)


cdef void gather(
    const float[:, :, ::1] table, const double[::1] grid, const float* trace, const double* fit, double* sums,
) noexcept nogil:
    """Normal equations of a well: products of model and slopes (6), with what is left (3), and its square."""
    cdef double within = 0.0
    cdef Py_ssize_t tau = cell(fit[1], grid[0], grid[1], table.shape[0], &within), i
    cdef float tau_weight[4]
    cdef float tau_slope[4]
    cdef float delay_weight[4]
    cdef float delay_slope[4]
    cdef float found[16]
    cubic(within, 1.0 / grid[1], tau_weight, tau_slope)
    cdef Py_ssize_t delay = cell(fit[2], grid[2], grid[3], table.shape[1], &within)
    cubic(within, 1.0 / grid[3], delay_weight, delay_slope)
    add_up(&table[tau, delay, 0], table.shape[1], table.shape[2], tau_weight, tau_slope, delay_weight, delay_slope,
           trace, <float>fit[0], found)
    for i in range(10):
        sums[i] = found[i]


cdef inline double held(double value, double least, double most) noexcept nogil:
    value = value if value > least else least
    return value if value < most else most


cdef inline void solve_three(const double* a, const double* right, double* step) noexcept nogil:
    """Solve a positive definite system, lower triangle by rows, by factors L D L'."""
    cdef double over0 = 1.0 / a[0]
    cdef double l10 = a[1] * over0, l20 = a[3] * over0
    cdef double d1 = a[2] - l10 * a[1]
    cdef double over1 = 1.0 / (d1 if d1 > 1e-14 * a[2] else 1e-14 * a[2])
    cdef double l21 = (a[4] - l20 * a[1]) * over1
    cdef double d2 = a[5] - l20 * a[3] - l21 * (a[4] - l20 * a[1])
    cdef double y1 = right[1] - l10 * right[0]
    cdef double y2 = right[2] - l20 * right[0] - l21 * y1
    step[2] = y2 / (d2 if d2 > 1e-14 * a[5] else 1e-14 * a[5])
    step[1] = y1 * over1 - l21 * step[2]
    step[0] = right[0] * over0 - l10 * step[1] - l20 * step[2]


def fit_wells(
    const float[:, :, ::1] table,     # (n_taus, n_delays, n_values) in: model of unit gain; whole lanes of values
    const double[::1] grid,           # (4,) in: first log tau, its step; first delay, its step
    const float[:, ::1] traces,       # (n_wells, n_values) in
    const double[:, ::1] known,       # (n_wells, 3) in: prior gain, log tau, delay
    const double[::1] pull,           # (3,) in: (noise / prior standard deviation)^2 of each; 0 for none
    int n_rounds,                     # in
    double[:, ::1] values,            # (n_wells, 3) in: where to start; out: what was found
    double[::1] left,                 # (n_wells,) out: sum of squares of what the fit leaves
):
    """Gauss-Newton fits of gain, log time constant and delay."""
    cdef Py_ssize_t well, i, _round
    cdef double sums[10]
    cdef double step[3]
    cdef double least_tau = grid[0] + grid[1], most_tau = grid[0] + grid[1] * (table.shape[0] - 2)
    cdef double least_delay = grid[2] + grid[3], most_delay = grid[2] + grid[3] * (table.shape[1] - 2)
    with nogil:
        for well in range(traces.shape[0]):
            for _round in range(n_rounds):
                gather(table, grid, &traces[well, 0], &values[well, 0], sums)
                # A little damping keeps wells without any trace (all zero) solvable.
                sums[0] += 1e-9 * sums[0] + 1e-9 + pull[0]
                sums[2] += 1e-9 * sums[2] + 1e-9 + pull[1]
                sums[5] += 1e-9 * sums[5] + 1e-9 + pull[2]
                for i in range(3):
                    sums[6 + i] += pull[i] * (known[well, i] - values[well, i])
                solve_three(sums, &sums[6], step)
                values[well, 0] = held(values[well, 0] + step[0], 0.2, 5.0)
                values[well, 1] = held(values[well, 1] + held(step[1], -0.5, 0.5), least_tau, most_tau)
                values[well, 2] = held(values[well, 2] + held(step[2], -0.1, 0.1), least_delay, most_delay)
            gather(table, grid, &traces[well, 0], &values[well, 0], sums)
            left[well] = sums[9]
