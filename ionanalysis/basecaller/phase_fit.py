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
_HUBER = 2.5
"""Residuals beyond count linearly, in units of the expected noise."""

_FEW_READS = 250
"""Reads that lead to the neighbourhood of the answer; all others only take part in the last stage."""

_LARGEST_STEP = np.array([0.005, 0.005, 0.002])


@dataclass(frozen=True, eq=False)
class PhaseFit:
    """CF, IE, DR of one region, their standard errors, and the number of reads used.

    `shared` is the part of the errors that more reads do not make smaller.
    """

    values: np.ndarray
    errors: np.ndarray
    shared: np.ndarray
    n_reads: int


def fit_phase(signals, flow_order, start, options):
    """Robust Gauss-Newton fit of CF, IE, DR to reads that are called on the way.

    Some reads are called with the current values over a growing number of flows, at last all reads over all flows;
    each time the values are improved with the called runs held fixed. Gain and offset of each read are projected
    out of residuals and derivatives: gain is almost the same thing as droop, and alternating between the two would
    crawl; offset, in real wells, would pass for carry-forward and incomplete extension.

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
    form, clustered both by read and by flow (Cameron, Gelbach and Miller 2011, J. Bus. Econ. Stat. 29:238), so they
    hold when the noise does not, when residuals of a read belong together, and when those of a flow do in all reads
    (its gain strays). Model: basecaller.md 4.1; objective after 13.2.
    """
    signals = np.asarray(signals, np.float64)
    signals = signals[np.isfinite(signals).all(axis=1)]
    values = np.asarray(start, np.float64).copy()
    flow_order = flow_order.limited(n_flows_read(flow_order, options))
    n_flows = len(flow_order)
    first, end = fitted_flows(n_flows, options)
    if not len(signals) or n_flows <= first:
        return PhaseFit(values, np.full(3, np.nan), np.full(3, np.nan), 0)
    # One gain per read: a local gain would hide droop.
    solver = replace(SolverOptions(), beam=options.beam, gain_drift=0.0)
    # Short stages that end before the fitted flows, or hardly reach into them, would tell nothing.
    stages = sorted({limit for limit in (100, 200) if first + 2 * OPEN_FLOWS <= limit < n_flows} | {n_flows})
    few = _spread(signals, _FEW_READS)
    for limit in (stages[0], *stages):
        called = _called_runs(few[:, :limit], flow_order.limited(limit), values, solver, (first, end))
        values = _improved(called, flow_order.limited(limit), values, start, solver).values
        few = few[called.good]
    if stages[0] < n_flows:
        # Mixed wells show soon that they are; over all flows the solver would work hard on them, in vain.
        short = flow_order.limited(stages[0])
        signals = signals[_called_runs(signals[:, : stages[0]], short, values, solver, (first, end)).good]
    called = _called_runs(signals[:, :n_flows], flow_order, values, solver, (first, end))
    return _improved(called, flow_order, values, start, solver)


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


def _improved(called, flow_order, values, start, solver):
    """The fit to reads whose runs are held fixed, beginning at `values`."""
    for _ in range(3):
        step, errors, shared = _step(called, flow_order, values, start, solver)
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        moved = np.clip(values + step, 0.0, _LIMITS) - values
        values = values + moved
        if (np.abs(moved) < 1e-5).all():
            break
    return PhaseFit(values, errors, shared, len(called.signal))


def _spread(signals, n):
    """`n` of the reads, evenly spread; all if there are no more."""
    return signals if len(signals) <= n else signals[np.arange(n) * len(signals) // n]


@dataclass(frozen=True, eq=False)
class _CalledRuns:
    """Runs of the reads that enter the fit, flat, and the signals that they should explain.

    `good` tells which reads these are; the flows of a read that can tell something are [`first`, `end`).
    """

    run_start: np.ndarray
    run_flow: np.ndarray
    run_length: np.ndarray
    signal: np.ndarray
    first: int
    end: np.ndarray
    good: np.ndarray


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
    closed = min(end, n_flows - min(OPEN_FLOWS, n_flows // 4))
    return _CalledRuns(
        np.concatenate([[0], np.cumsum(n_runs[good])]).astype(np.int64),
        solved["run_flow"][held].astype(np.int32),
        solved["run_length"][held].astype(np.float32),
        solved["signal"][good],
        first,
        np.minimum(closed, last[good] + 21).astype(np.int32),
        good,
    )


def _step(called, flow_order, values, start, solver):
    """One Gauss-Newton step from `values`: (step, standard errors, their part that all reads share)."""
    n = len(called.signal)
    if n == 0:
        return np.zeros(3), *np.full((2, 3), np.nan)
    of_read, curvature = np.empty((n, 3)), np.empty((n, 3, 3))
    of_flow, scatter = np.empty((len(flow_order), 3)), np.empty((3, 3))
    kernels.fit_sums(
        flow_order.bases,
        called.run_start,
        called.run_flow,
        called.run_length,
        values,
        1e-5,
        called.signal,
        called.first,
        called.end,
        np.array([solver.noise, solver.noise_per_base, _HUBER]),
        of_read,
        curvature,
        of_flow,
        scatter,
    )
    prior = np.linalg.inv(_PRIOR)
    covariance = np.linalg.inv(curvature.sum(axis=0) + prior)
    step = covariance @ (of_read.sum(axis=0) - prior @ (values - start))
    by_read = np.diag(covariance @ (of_read.T @ of_read + prior) @ covariance)
    # What sums of flows scatter more than single signals would: not less than nothing.
    by_flow = np.diag(covariance @ (of_flow.T @ of_flow - scatter) @ covariance)
    shared = np.maximum(by_flow, 0.0)
    return step, np.sqrt(by_read + shared), np.sqrt(shared)
