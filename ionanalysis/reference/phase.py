"""Plain-NumPy twins of ionanalysis._core.phase: slow, short, meant to be read. They return what kernels fill."""

import numpy as np

_LEAST_FLOWS = 8
"""Gain, offset and three rates leave nothing of fewer."""


def transition_tables(flow_base, phase):
    """Probabilities B (takes the nucleotide) and N (waits on) of basecaller.md 4.1, each (n, 4, n_flows)."""
    n_flows = len(flow_base)
    extend, stay = np.empty((2, len(phase), 4, n_flows))
    for row, (cf, ie, dr) in enumerate(phase):
        for nuc in range(4):
            available = _availability(flow_base, nuc, cf)[0]
            extend[row, nuc] = available * (1 - dr) * (1 - ie)
            stay[row, nuc] = (1 - available) + available * (1 - dr) * ie
    return extend, stay


def _availability(flow_base, nuc, cf):
    """How much of a nucleotide is there in each flow, and the derivative in cf."""
    here = np.asarray(flow_base) == nuc
    flows = np.arange(len(here))
    last = np.maximum.accumulate(np.where(here, flows, -1))
    age = np.where(last < 0, 0, flows - last)
    steeper = np.where(age > 0, age * cf ** np.maximum(age - 1, 0.0), 0.0)
    return np.where(last < 0, 0.0, cf**age), np.where(last < 0, 0.0, steeper)


def predict_signal(flow_base, run_start, run_flow, run_length, phase, cutoff):
    """Predicted signals and in-phase fractions, each (n, n_flows)."""
    signal, inphase = np.zeros((len(phase), len(flow_base))), np.ones((len(phase), len(flow_base)), np.float32)
    for read in range(len(phase)):
        runs = slice(run_start[read], run_start[read + 1])
        signal[read] = _predict(flow_base, run_flow[runs], run_length[runs], phase[read], cutoff, inphase[read])[0]
    return signal, inphase


def predict_slopes(flow_base, run_start, run_flow, run_length, phase, cutoff):
    """Predicted signals (n, n_flows) and their derivatives in cf, ie, dr (n, 3, n_flows)."""
    signal, slope = np.zeros((len(phase), len(flow_base))), np.zeros((len(phase), 3, len(flow_base)))
    for read in range(len(phase)):
        runs = slice(run_start[read], run_start[read + 1])
        inphase = np.ones(len(flow_base))
        both = _predict(flow_base, run_flow[runs], run_length[runs], phase[read], cutoff, inphase)
        signal[read], slope[read] = both[0], both[1:]
    return signal, slope


def fit_sums(flow_base, run_start, run_flow, run_length, phase, cutoff, signal, first, end, noise):
    """Each read's part of the normal equations of cf, ie, dr: gradient (n, 3) and curvature (n, 3, 3).

    Then each flow's part of the gradient (n_flows, 3), and the sum of products of all single parts (3, 3).
    Gain and offset of each read are projected out of residuals and derivatives. Weights are those of a noise that
    grows with signal, with Huber's limit on what gain and offset leave. Reads of few flows have no part.
    """
    n = len(signal)
    predicted, slope = predict_slopes(flow_base, run_start, run_flow, run_length, np.tile(phase, (n, 1)), cutoff)
    flow = np.arange(len(flow_base))
    counts = (end - first >= _LEAST_FLOWS) & (np.diff(run_start) > 0)
    inside = (flow >= first) & (flow < end[:, None]) & counts[:, None]
    without, per_base, limit = noise
    weight = inside / (without + per_base * np.maximum(predicted, 0.0)) ** 2
    free = np.stack([predicted, np.ones_like(predicted)], axis=1)
    residual = _project_out(signal - predicted, free, weight)
    weight = weight * np.minimum(1.0, limit / np.maximum(np.abs(residual) * np.sqrt(weight), 1e-300))
    residual = _project_out(signal - predicted, free, weight)
    slope = np.stack([_project_out(slope[:, k], free, weight) for k in range(3)], axis=1)
    single = weight[:, None] * slope * residual[:, None]
    return (
        single.sum(axis=2),
        np.einsum("rf,rkf,rlf->rkl", weight, slope, slope),
        single.sum(axis=0).T,
        np.einsum("rkf,rlf->kl", single, single),
    )


def _project_out(values, free, weight):
    """What is left of `values` (n, n_flows) after weighted least squares on the rows `free` (n, k, n_flows)."""
    normal = np.einsum("rf,raf,rbf->rab", weight, free, free) + 1e-9 * np.eye(free.shape[1])
    amount = np.linalg.solve(normal, np.einsum("rf,raf,rf->ra", weight, free, values)[..., None])[..., 0]
    return values - np.einsum("ra,raf->rf", amount, free)


def _predict(flow_base, run_flow, run_length, phase, cutoff, inphase):
    """Rows: signal, and its derivatives in cf, ie, dr. A state is carried with its three derivatives."""
    cf, ie, dr = phase
    n_flows = len(flow_base)
    total, state = np.zeros((4, n_flows)), np.zeros((4, n_flows))
    if n_flows:
        state[0, 0] = 1.0
    begin, end, done = 0, 1, 0
    for flow, length in zip(run_flow, run_length, strict=True):
        a, da = _availability(flow_base, flow_base[flow], cf)
        b, n = a * (1 - dr) * (1 - ie), (1 - a) + a * (1 - dr) * ie
        db = np.array([da * (1 - dr) * (1 - ie), -a * (1 - dr), -a * (1 - ie)])
        dn = np.array([da * ((1 - dr) * ie - 1), a * (1 - dr), -a * ie])
        waiting, first, j = np.zeros(4), begin, begin
        while j < end:
            waiting = waiting + state[:, j]
            state[:, j] = waiting * b[j] + np.append(0, waiting[0] * db[:, j])
            waiting = waiting * n[j] + np.append(0, waiting[0] * dn[:, j])
            if j == first and state[0, j] < cutoff and first < flow:
                first += 1
            j += 1
            if j == end and end < n_flows and (waiting[0] > cutoff or end <= flow):
                end += 1
        total[:, begin:end] += length * state[:, begin:end]
        begin = first
        inphase[done : flow + 1] = state[0, flow]
        done = flow + 1
        inphase[done:] = state[0, flow]
    return total
