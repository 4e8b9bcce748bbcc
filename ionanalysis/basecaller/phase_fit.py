"""Fit of CF, IE and DR to the signals of one region."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis._core import phase as kernels
from ionanalysis.basecaller.solve import solve_runs
from ionanalysis.options.basecaller import SolverOptions

OPEN_FLOWS = 30
"""Flows left out at the end: leading strands take bases there that no call knows."""

_LEAST_WINDOW = 30
_LEAST_FIRST = 20

_PRIOR = np.diag([0.01, 0.01, 0.001]) ** 2
"""Spread of CF, IE, DR between chips: settles what few reads or flows leave open, invisible otherwise."""

_LIMITS = np.array([0.06, 0.06, 0.012])
_LARGEST_STEP = np.array([0.005, 0.005, 0.002])


@dataclass(frozen=True, eq=False)
class PhaseFit:
    """CF, IE, DR of one region, their standard errors, and the number of reads used."""

    values: np.ndarray
    errors: np.ndarray
    n_reads: int


def fit_phase(signals, flow_order, start, options):
    """Robust Gauss-Newton fit of CF, IE, DR to reads that are called on the way.

    Reads are called with the current values over a growing number of flows; then the values are improved
    with the called runs held fixed. Gain and offset of each read are projected out of residuals and
    derivatives: gain is almost the same thing as droop, and alternating between the two would crawl; offset, in
    real wells, would pass for carry-forward and incomplete extension.

    Parameters
    ----------
    signals : array_like of shape (n, n_flows), float32
        Key-normalised signals; rows with NaN are left out.
    flow_order : FlowOrder
    start : array_like of shape (3,)
        CF, IE, DR to start from.
    options : PhaseOptions

    Returns
    -------
    fit : PhaseFit

    Notes
    -----
    Weights are those of a noise that grows with signal, with Huber's limit. Standard errors are of the sandwich
    form over reads, so they hold when the noise does not; what all reads of a chip share (the gain of a flow) is not in
    them: over simulated chips of 1000 reads CF and IE scatter by 1.4, DR by 1.8 of their errors. Model: basecaller.md
    4.1; objective after 13.2.
    """
    signals = np.asarray(signals, np.float64)
    signals = signals[np.isfinite(signals).all(axis=1)]
    values = np.asarray(start, np.float64).copy()
    flow_order = flow_order.limited(n_flows_read(flow_order, options))
    n_flows = len(flow_order)
    first, end = fitted_flows(n_flows, options)
    if not len(signals) or n_flows <= first:
        return PhaseFit(values, np.full(3, np.nan), 0)
    # One gain per read: a local gain would hide droop.
    solver = replace(SolverOptions(), beam=options.beam, gain_drift=0.0)
    # Short stages that end before the fitted flows, or hardly reach into them, would tell nothing.
    stages = sorted({limit for limit in (100, 200) if first + 2 * OPEN_FLOWS <= limit < n_flows} | {n_flows})
    stages = [stages[0], *stages, stages[-1]]
    errors, n_used = np.full(3, np.nan), 0
    for limit in stages:
        order = flow_order.limited(limit)
        called = _called_runs(signals[:, :limit], order, values, solver, (first, end))
        for _ in range(3):
            step, errors, n_used = _step(called, order, values, start, solver)
            step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
            moved = np.clip(values + step, 0.0, _LIMITS) - values
            values = values + moved
            if (np.abs(moved) < 1e-5).all():
                break
    return PhaseFit(values, errors, n_used)


def n_flows_read(flow_order, options):
    """Flows that the fit needs: all, or as many as its end asks for."""
    n_flows = len(flow_order)
    return n_flows if options.end_flow is None else min(n_flows, options.end_flow + OPEN_FLOWS)


def fitted_flows(n_flows, options):
    """First flow of the fit and the one behind its last.

    A range that is asked for is widened to 30 flows and moved into the flows there are, by the rules of
    basecaller.md 3.1.

    >>> from ionanalysis.options.basecaller import PhaseOptions
    >>> fitted_flows(400, PhaseOptions()), fitted_flows(400, PhaseOptions(first_flow=70, end_flow=150))
    ((8, 400), (70, 150))
    >>> fitted_flows(120, PhaseOptions(first_flow=70, end_flow=150))
    (40, 120)
    """
    first, end = options.first_flow, options.end_flow
    if end is None:
        return first, n_flows
    if end - first < _LEAST_WINDOW:
        end = min(first + _LEAST_WINDOW, n_flows)
        first = max(0, end - _LEAST_WINDOW)
    if end > n_flows:
        first, end = max(_LEAST_FIRST, first - end + n_flows), n_flows
    return first, end


@dataclass(frozen=True, eq=False)
class _CalledRuns:
    """Runs of the reads that enter the fit, flat, and the signals that they should explain."""

    run_start: np.ndarray
    run_flow: np.ndarray
    run_length: np.ndarray
    signal: np.ndarray
    counts: np.ndarray


def _called_runs(signals, flow_order, values, solver, fitted):
    first, end = fitted
    phase = np.tile(values, (len(signals), 1))
    solved = solve_runs(np.ascontiguousarray(signals), flow_order, phase, solver)
    misfit = np.sqrt(((solved["signal"] - solved["predicted"])[:, first:end] ** 2).mean(axis=1))
    n_runs = solved["n_runs"]
    # Mixed and noisy wells tell nothing about phase.
    middle = np.median(misfit)
    spread = 1.4826 * np.median(np.abs(misfit - middle))
    good = (misfit <= middle + 3.0 * spread + 1e-6) & (n_runs > 0)
    held = (np.arange(len(flow_order)) < n_runs[:, None]) & good[:, None]
    # Flows well past the last run hold no signal that could tell; adapters may end there. In the last flows of
    # all, leading strands take bases that no call knows: they would pass for less carry-forward.
    last = solved["run_flow"][np.arange(len(n_runs)), np.maximum(n_runs - 1, 0)]
    n_flows = len(flow_order)
    flows = np.arange(n_flows)
    closed = min(end, n_flows - min(OPEN_FLOWS, n_flows // 4))
    counts = (flows >= first) & (flows < closed) & (flows <= last[:, None] + 20)
    return _CalledRuns(
        np.concatenate([[0], np.cumsum(n_runs[good])]).astype(np.int64),
        solved["run_flow"][held].astype(np.int32),
        solved["run_length"][held].astype(np.float32),
        solved["signal"][good].astype(np.float64),
        counts[good],
    )


def _step(called, flow_order, values, start, solver):
    """One Gauss-Newton step from `values`: (step, standard errors, reads used)."""
    n, n_flows = called.signal.shape
    if n == 0:
        return np.zeros(3), np.full(3, np.nan), 0
    predicted, slope = np.empty((n, n_flows)), np.empty((n, 3, n_flows))
    phase = np.tile(values, (n, 1))
    kernels.predict_slopes(
        flow_order.bases, called.run_start, called.run_flow, called.run_length, phase, 1e-5, predicted, slope
    )
    weight = called.counts / (solver.noise + solver.noise_per_base * np.maximum(predicted, 0.0)) ** 2
    free = np.stack([predicted, np.ones_like(predicted)], axis=1)
    residual = _project_out(called.signal - predicted, free, weight)
    deviation = np.abs(residual) * np.sqrt(weight)
    weight = weight * np.minimum(1.0, 2.5 / np.maximum(deviation, 1e-9))
    # What a change of the read's gain or offset could do as well is not held against the phase.
    residual = _project_out(called.signal - predicted, free, weight)
    slope = np.stack([_project_out(slope[:, k], free, weight) for k in range(3)], axis=1)
    per_read = np.einsum("rf,rkf,rf->rk", weight, slope, residual)
    curvature = np.einsum("rf,rkf,rlf->kl", weight, slope, slope) + np.linalg.inv(_PRIOR)
    covariance = np.linalg.inv(curvature)
    step = covariance @ (per_read.sum(axis=0) - np.linalg.inv(_PRIOR) @ (values - start))
    spread = covariance @ (per_read.T @ per_read + np.linalg.inv(_PRIOR)) @ covariance
    return step, np.sqrt(np.diag(spread)), n


def _project_out(values, free, weight):
    """What is left of `values` (n, n_flows) after weighted least squares on the rows `free` (n, k, n_flows)."""
    normal = np.einsum("rf,raf,rbf->rab", weight, free, free) + 1e-9 * np.eye(free.shape[1])
    amount = np.linalg.solve(normal, np.einsum("rf,raf,rf->ra", weight, free, values)[..., None])[..., 0]
    return values - np.einsum("ra,raf->rf", amount, free)
