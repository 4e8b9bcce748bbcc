"""Plain-NumPy twins of `ionanalysis._core.simulate`: short, meant to be read."""

import numpy as np


def phase_runs(run_base, run_length, run_start, flow_base, phase, cutoff=0.0):
    """Signal of each template in each flow; `cutoff` is the kernel's business, here nothing is left out."""
    n_flows = len(flow_base)
    signal = np.zeros((len(phase), n_flows), np.float32)
    for template, (cf, ie, dr) in enumerate(phase):
        available = np.zeros((4, n_flows))
        left = np.zeros(4)
        for flow, base in enumerate(flow_base):
            left = np.where(np.arange(4) == base, 1.0, cf * left)
            available[:, flow] = left
        taken = np.eye(1, n_flows)[0]
        for run in range(run_start[template], run_start[template + 1]):
            free = available[run_base[run]]
            waiting = 0.0
            for flow in range(n_flows):
                waiting += taken[flow]
                taken[flow] = waiting * free[flow] * (1 - dr) * (1 - ie)
                waiting *= 1 - free[flow] + free[flow] * (1 - dr) * ie
            signal[template] += (taken * run_length[run]).astype(np.float32)
    return signal


def incorporate(wells, pulse, frames_per_second, n_steps, time, poisson, per_step, counts):
    """Counts of hydrogen released so far, by well and time point."""
    mid, sigma, span, top, kmax = pulse
    amplitude, strands, rate, diffusion, shift = np.asarray(wells).T
    size = np.clip(np.abs(amplitude), 1e-4, 23.0)
    right = np.minimum(np.floor(size).astype(int), 22)
    left = np.maximum(np.floor(size).astype(int) - 1, 0)
    w_right = size - np.floor(size)
    w_left = np.where(size < 1, 0.0, 1 - w_right)

    def still_active(intensity):
        at = np.minimum(intensity * per_step, len(poisson) - 1)
        low = np.minimum(at.astype(int), len(poisson) - 2)
        row = [(1 - (at - low)) * poisson[low, k] + (at - low) * poisson[low + 1, k] for k in (left, right)]
        return strands * (w_left * row[0] + w_right * row[1])

    def rise(s):
        s = np.clip(s, 0, 1)
        return s * s * (3 - 2 * s)

    total = strands * size
    remaining, progress, uptake, given = total.copy(), 0 * total, 0 * total, np.full_like(total, 1 / kmax)
    active = still_active(progress)
    hydrogen = np.zeros((len(size), len(time)), np.float32)
    for i, (start, end) in enumerate(zip([0.0, *time[:-1]], time, strict=True)):
        begun = (end - shift - mid) / (3 * sigma) + 0.5 > 0
        for step in range(1, n_steps + 1):
            t = start + (end - start) * step / n_steps - shift - mid
            conc = top * (rise(t / (3 * sigma) + 0.5) - rise((t - span) / (3 * sigma) + 0.5))
            conc = conc / (1 + rate * 6.2e-5 / diffusion * active * given)
            given = np.where(begun, 1 / (conc + kmax), given)
            before, uptake = uptake, np.where(begun, conc * given, uptake)
            delta = np.where(begun, rate / (2 * n_steps) * (end - start) / frames_per_second * (uptake + before), 0)
            progress = progress + delta
            before, active = active, still_active(progress)
            remaining = np.maximum(0, remaining - 0.5 * (active + before) * delta)
        hydrogen[:, i] = np.where(begun, np.where(amplitude < 0, -1, 1) * (total - remaining) * counts, 0)
    return hydrogen


def respond(hydrogen, bulk, wells, time):
    """Counts that the sensors see, by well and time point."""
    ratio, tau, gain = np.asarray(wells).T
    trace = np.zeros(hydrogen.shape, np.float32)
    seen, before_h, before_e = np.zeros((3, len(ratio)))
    for i, dt in enumerate(np.diff(time, prepend=0.0)):
        half = dt / (2 * tau)
        change = hydrogen[:, i] - before_h + (ratio + half) * bulk[:, i] - (ratio - half) * before_e
        seen = (change + (1 - half) * seen) / (1 + half)
        before_h, before_e = hydrogen[:, i].astype(float), bulk[:, i].astype(float)
        trace[:, i] = gain * seen
    return trace


def escape(hydrogen, wells, time, tau_out, tau_away):
    """Counts of hydrogen above the wells, by well and time point."""
    tau = np.asarray(wells)[:, 1]
    nearby = np.zeros(hydrogen.shape, np.float32)
    kept, before_h, mouth, above = np.zeros((4, len(tau)))
    for i, dt in enumerate(np.diff(time, prepend=0.0)):
        half = dt / (2 * tau)
        released = hydrogen[:, i] - before_h
        before_kept, kept = kept, (released + (1 - half) * kept) / (1 + half)
        mouth = (mouth + released - (kept - before_kept)) / (1 + dt / tau_out)
        above = (above + mouth * dt / tau_out) / (1 + dt / tau_away)
        before_h = hydrogen[:, i].astype(float)
        nearby[:, i] = above
    return nearby
