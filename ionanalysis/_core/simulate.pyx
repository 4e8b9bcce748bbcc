"""Kernels of the simulator: phasing of known sequences, and pixel traces. Twins: ionanalysis/reference/simulate.py.

They share no code with the analysis: the simulator is its outside check.
"""

from libc.math cimport fabs


cdef void phase_one(
    const signed char[::1] run_base,     # (n_runs,) in: A, C, G, T = 0..3
    const short[::1] run_length,         # (n_runs,) in: bases
    const signed char[::1] flow_base,    # (n_flows,) in: 0..3
    double cf, double ie, double dr,     # in: fraction per flow
    double cutoff,                       # in: share of strands below which a flow is left out
    double[:, ::1] available,            # (4, n_flows) scratch: availability of each nucleotide
    double[::1] taken,                   # (n_flows,) scratch: share that took up the run in each flow
    float[::1] signal,                   # (n_flows,) out: bases
) noexcept nogil:
    cdef Py_ssize_t n_flows = flow_base.shape[0]
    cdef Py_ssize_t run, flow, nuc, first = 0, end = 1
    cdef double waiting, moved, left, arrived
    for nuc in range(4):
        left = 0.0
        for flow in range(n_flows):
            left = 1.0 if flow_base[flow] == nuc else cf * left
            available[nuc, flow] = left
    for flow in range(n_flows):
        signal[flow] = 0.0
        taken[flow] = 0.0
    taken[0] = 1.0
    for run in range(run_base.shape[0]):
        nuc = run_base[run]
        waiting = 0.0
        flow = first
        while flow < n_flows:
            if flow >= end:
                if waiting <= cutoff:
                    break
                end = flow + 1
            arrived = taken[flow]
            waiting += arrived
            left = available[nuc, flow]
            moved = waiting * left * (1.0 - dr) * (1.0 - ie)
            waiting *= (1.0 - left) + left * (1.0 - dr) * ie
            taken[flow] = moved
            signal[flow] += <float>(moved * run_length[run])
            if flow == first and moved < cutoff:
                taken[flow] = 0.0
                first += 1
            flow += 1
        if first >= n_flows:
            break


def phase_runs(
    const signed char[::1] run_base,     # (n_runs of all templates,) in: 0..3
    const short[::1] run_length,         # same shape, in: bases
    const long long[::1] run_start,      # (n_templates + 1,) in
    const signed char[::1] flow_base,    # (n_flows,) in: 0..3
    const double[:, ::1] phase,          # (n_templates, 3) in: cf, ie, dr per flow
    double cutoff,                       # in: share of strands
    double[:, ::1] available,            # (4, n_flows) scratch, one per calling thread
    double[::1] taken,                   # (n_flows,) scratch, one per calling thread
    float[:, ::1] signal,                # (n_templates, n_flows) out: bases
):
    """Fill `signal` with what each template gives in each flow (basecaller.md 4.1, 4.2)."""
    cdef Py_ssize_t template
    with nogil:
        for template in range(phase.shape[0]):
            phase_one(run_base[run_start[template]:run_start[template + 1]],
                      run_length[run_start[template]:run_start[template + 1]],
                      flow_base, phase[template, 0], phase[template, 1], phase[template, 2],
                      cutoff, available, taken, signal[template])


cdef inline double rise(double s) noexcept nogil:
    """Smooth step from 0 at 0 to 1 at 1."""
    if s <= 0.0:
        return 0.0
    return s * s * (3.0 - 2.0 * s) if s < 1.0 else 1.0


cdef inline double still_active(
    double intensity, const float[:, ::1] poisson, double per_step, Py_ssize_t left, double w_left, double w_right,
) noexcept nogil:
    """Share of strands not yet finished after `intensity` expected events (sigproc.md 5.3)."""
    cdef Py_ssize_t last = poisson.shape[0] - 1, right = left + 1 if w_left > 0.0 else left
    cdef double at = intensity * per_step, part
    cdef Py_ssize_t low = <Py_ssize_t>at
    if low >= last:
        low, part = last - 1, 1.0
    else:
        part = at - low
    if right > poisson.shape[1] - 1:
        right = poisson.shape[1] - 1
    return (w_left * (poisson[low, left] + part * (poisson[low + 1, left] - poisson[low, left]))
            + w_right * (poisson[low, right] + part * (poisson[low + 1, right] - poisson[low, right])))


cdef void incorporate_one(
    double amplitude, double strands, double rate, double diffusion, double shift,
    const double[::1] pulse, double frames_per_second, int n_steps, const double[::1] time,
    const float[:, ::1] poisson, double per_step, double counts, float[::1] hydrogen,
) noexcept nogil:
    cdef double mid = pulse[0], width = 3.0 * pulse[1], span = pulse[2], top = pulse[3], kmax = pulse[4]
    cdef double sign = -1.0 if amplitude < 0.0 else 1.0
    cdef double size = fabs(amplitude)
    cdef double w_left, w_right, total, active, before_active, left_over, progress = 0.0
    cdef double uptake = 0.0, before_uptake, delta, conc, t, before_t = 0.0, dt, kappa, given = 1.0 / kmax
    cdef Py_ssize_t left, i, n_points = time.shape[0]
    cdef int step
    cdef bint begun = False
    if size < 1e-4:
        size = 1e-4
    if size > 23.0:
        size = 23.0
    left = <Py_ssize_t>size - 1
    w_right = size - <Py_ssize_t>size
    w_left = 1.0 - w_right
    if size < 1.0:
        left, w_left = 0, 0.0
    total = strands * size
    left_over = total
    active = strands * still_active(0.0, poisson, per_step, left, w_left, w_right)
    kappa = rate * 6.2e-5 / diffusion
    for i in range(n_points):
        dt = (time[i] - before_t) / frames_per_second
        if not begun and (time[i] - shift - mid) / width + 0.5 > 0.0:
            begun = True
        if not begun:
            hydrogen[i] = 0.0
        else:
            for step in range(1, n_steps + 1):
                if left_over <= 0.0:
                    break
                t = before_t + (time[i] - before_t) * step / n_steps - shift - mid
                conc = top * (rise(t / width + 0.5) - rise((t - span) / width + 0.5))
                conc = conc / (1.0 + kappa * active * given)
                given = 1.0 / (conc + kmax)
                before_uptake = uptake
                uptake = conc * given
                delta = rate / (2.0 * n_steps) * dt * (uptake + before_uptake)
                progress += delta
                before_active = active
                active = strands * still_active(progress, poisson, per_step, left, w_left, w_right)
                left_over -= 0.5 * (active + before_active) * delta
                if left_over < 0.0:
                    left_over = 0.0
            hydrogen[i] = <float>(sign * (total - left_over) * counts)
        before_t = time[i]


def incorporate(
    const double[:, ::1] wells,          # (n_wells, 5) in: bases, strands, rate (1/s), diffusion, shift (frames)
    const double[::1] pulse,             # (5,) in: middle, sigma, span (frames), concentration, kmax (micromolar)
    double frames_per_second,            # in
    int n_steps,                         # in: sub-steps per time point
    const double[::1] time,              # (n_points,) in: frames
    const float[:, ::1] poisson,         # (n_intensities, 23) in: P(at most k events)
    double per_step,                     # in: rows of `poisson` per unit of intensity
    double counts,                       # in: counts per hydrogen
    float[:, ::1] hydrogen,              # (n_wells, n_points) out: counts released so far
):
    """Fill `hydrogen` with what polymerase releases while the nucleotide passes (sigproc.md 5.2, 5.3)."""
    cdef Py_ssize_t well
    with nogil:
        for well in range(wells.shape[0]):
            incorporate_one(wells[well, 0], wells[well, 1], wells[well, 2], wells[well, 3], wells[well, 4],
                            pulse, frames_per_second, n_steps, time, poisson, per_step, counts, hydrogen[well])


def respond(
    const float[:, ::1] hydrogen,        # (n_wells, n_points) in: counts released so far
    const float[:, ::1] bulk,            # (n_wells, n_points) in: counts that an empty well would see
    const double[:, ::1] wells,          # (n_wells, 3) in: buffering ratio, time constant (frames), gain
    const double[::1] time,              # (n_points,) in: frames
    float[:, ::1] trace,                 # (n_wells, n_points) out: counts
):
    """Fill `trace` with what the sensors see: hydrogen and bulk through the well's buffer (sigproc.md 5.5)."""
    cdef Py_ssize_t well, i
    cdef double ratio, half, seen, before_h, before_e
    with nogil:
        for well in range(wells.shape[0]):
            ratio = wells[well, 0]
            seen = before_h = before_e = 0.0
            for i in range(time.shape[0]):
                half = (time[i] - (time[i - 1] if i > 0 else 0.0)) / (2.0 * wells[well, 1])
                seen = (hydrogen[well, i] - before_h + (ratio + half) * bulk[well, i] - (ratio - half) * before_e
                        + (1.0 - half) * seen) / (1.0 + half)
                before_h, before_e = hydrogen[well, i], bulk[well, i]
                trace[well, i] = <float>(wells[well, 2] * seen)


def escape(
    const float[:, ::1] hydrogen,        # (n_wells, n_points) in: counts released so far
    const double[:, ::1] wells,          # (n_wells, 3) in: as in `respond`
    const double[::1] time,              # (n_points,) in: frames
    double tau_out, double tau_away,     # in: frames
    float[:, ::1] nearby,                # (n_wells, n_points) out: counts
):
    """Fill `nearby` with the hydrogen that left each well and still hangs above it (sigproc.md 10.2 item 3)."""
    cdef Py_ssize_t well, i
    cdef double half, dt, kept, before_kept, before_h, mouth, above, lost
    with nogil:
        for well in range(wells.shape[0]):
            kept = before_h = mouth = above = 0.0
            for i in range(time.shape[0]):
                dt = time[i] - (time[i - 1] if i > 0 else 0.0)
                half = dt / (2.0 * wells[well, 1])
                before_kept = kept
                kept = (hydrogen[well, i] - before_h + (1.0 - half) * kept) / (1.0 + half)
                lost = (hydrogen[well, i] - before_h) - (kept - before_kept)
                before_h = hydrogen[well, i]
                mouth = (mouth + lost) / (1.0 + dt / tau_out)
                above = (above + mouth * dt / tau_out) / (1.0 + dt / tau_away)
                nearby[well, i] = <float>above
