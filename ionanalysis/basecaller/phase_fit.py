"""Fit of CF, IE and DR to the signals of one region."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis._core import phase as kernels
from ionanalysis.basecaller.solve import solve_runs
from ionanalysis.flows import FlowOrder
from ionanalysis.options.basecaller import SolverOptions

OPEN_FLOWS = 30
"""Flows left out at the end: leading strands take bases there that no call knows."""

_SHORT_STAGES = (100, 200)
_CUTOFF = 1e-5
"""Fractions of strands left out; 1e-4, the solver's, would take 2 % off DR."""

_LEAST_WINDOW = 30
_LEAST_FIRST = 20

_PRIOR = np.diag([0.01, 0.01, 0.001]) ** 2
"""Spread of CF, IE, DR between chips: settles what few reads or flows leave open, invisible otherwise."""

_LIMITS = np.array([0.06, 0.06, 0.012])
_HUBER = 2.5
"""Residuals beyond count linearly, in units of the expected noise."""

_LEADING_READS = 160
"""Reads that lead to the neighbourhood of the answer, of one half of the chip's."""

_CLOSE = np.array([2e-5, 2e-5, 5e-6])
"""Steps below end the search: far less than what all reads of a region leave open."""

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


def lead_phase(signals, flow_order, start, options):
    """CF, IE, DR of a chip, near enough for its regions to be fitted from there.

    A few reads are called with the current values over a growing number of flows, and each time the values are
    improved with the called runs held fixed.

    Parameters
    ----------
    signals : array_like of shape (n, n_flows), float32
        Key-normalised signals, best from all over the chip; rows with NaN are left out.
    flow_order : FlowOrder
    start : array_like of shape (3,)
        CF, IE, DR to start from.
    options : PhaseOptions

    Returns
    -------
    values : ndarray of shape (3,), float64
        `start` where there are no reads or flows to tell more.
    """
    problem = _Problem.of(flow_order, start, options)
    signals, values = _finite(signals), np.asarray(start, np.float64)
    if not len(signals) or problem is None:
        return values
    signals = _spread(signals, _LEADING_READS)
    # The last stage, and the longest, is each region's own.
    stages = problem.stages[:-1] or problem.stages
    for limit in (stages[0], *stages):
        called = problem.called_runs(signals, limit, values)
        values = problem.improved(called, limit, values).values
        signals = signals[called.good]
    return values


def fit_phase(signals, flow_order, start, options, *, lead=None):
    """Robust Gauss-Newton fit of CF, IE, DR to reads that are called on the way.

    All reads are called over the first flows, those that are no mixed wells over all flows; each time the
    values are improved with the called runs held fixed. Gain and offset of each read are projected
    out of residuals and derivatives: gain is almost the same thing as droop, and alternating between the two would
    crawl; offset, in real wells, would pass for carry-forward and incomplete extension.

    Parameters
    ----------
    signals : array_like of shape (n, n_flows), float32
        Key-normalised signals; rows with NaN are left out.
    flow_order : FlowOrder
    start : array_like of shape (3,)
        CF, IE, DR that are likely before any read is seen.
    options : PhaseOptions
    lead : array_like of shape (3,), optional
        What `lead_phase` found; found here by default.

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
    problem = _Problem.of(flow_order, start, options)
    signals = _finite(signals)
    if not len(signals) or problem is None:
        return PhaseFit(np.array(start, np.float64), np.full(3, np.nan), np.full(3, np.nan), 0)
    values = lead_phase(signals, flow_order, start, options) if lead is None else lead
    first, last = problem.stages[0], problem.stages[-1]
    if first < last:
        # Mixed wells show soon that they are; over all flows the solver would work hard on them, in vain.
        called = problem.called_runs(signals, first, values)
        values, signals = problem.improved(called, first, values).values, signals[called.good]
    return problem.improved(problem.called_runs(signals, last, values), last, values)


def training_solver(options):
    """`SolverOptions` for reads that are called to learn from: some errors more than need be change no average."""
    return SolverOptions(beam=options.beam, fast=True)


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


def _finite(signals):
    signals = np.asarray(signals, np.float32)
    return signals[np.isfinite(signals).all(axis=1)]


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


@dataclass(frozen=True, eq=False)
class _Problem:
    """What stays the same while the values of a region are sought.

    `stages` are numbers of flows, the last one all; `start` is the middle of the prior.
    """

    flow_order: FlowOrder
    fitted: tuple[int, int]
    stages: tuple[int, ...]
    start: np.ndarray
    solver: SolverOptions

    @classmethod
    def of(cls, flow_order, start, options):
        """The problem, or None if there are no flows to fit."""
        flow_order = flow_order.limited(n_flows_read(flow_order, options))
        n_flows = len(flow_order)
        first, end = fitted_flows(n_flows, options)
        if n_flows <= first:
            return None
        # Short stages that end before the fitted flows, or hardly reach into them, would tell nothing.
        limits = {limit for limit in _SHORT_STAGES if first + 2 * OPEN_FLOWS <= limit < n_flows}
        # One gain per read: a local gain would hide droop.
        solver = replace(training_solver(options), gain_drift=0.0)
        return cls(flow_order, (first, end), (*sorted(limits), n_flows), np.asarray(start, np.float64), solver)

    def called_runs(self, signals, limit, values):
        """`_CalledRuns` of the first `limit` flows of reads, called with `values`."""
        first, end = self.fitted
        solved = solve_runs(
            np.ascontiguousarray(signals[:, :limit]),
            self.flow_order.limited(limit),
            np.tile(values, (len(signals), 1)),
            self.solver,
        )
        misfit = np.sqrt(((solved["signal"] - solved["predicted"])[:, first:end] ** 2).mean(axis=1))
        n_runs = solved["n_runs"]
        # Mixed and noisy wells tell nothing about phase.
        middle = np.median(misfit)
        spread = 1.4826 * np.median(np.abs(misfit - middle))
        good = (misfit <= middle + 3.0 * spread + 1e-6) & (n_runs > 0)
        held = (np.arange(limit) < n_runs[:, None]) & good[:, None]
        # Flows well past the last run hold no signal that could tell; adapters may end there. In the last flows of
        # all, leading strands take bases that no call knows: they would pass for less carry-forward.
        last = solved["run_flow"][np.arange(len(n_runs)), np.maximum(n_runs - 1, 0)]
        closed = min(end, limit - min(OPEN_FLOWS, limit // 4))
        return _CalledRuns(
            np.concatenate([[0], np.cumsum(n_runs[good])]).astype(np.int64),
            solved["run_flow"][held].astype(np.int32),
            solved["run_length"][held].astype(np.float32),
            solved["signal"][good],
            first,
            np.minimum(closed, last[good] + 21).astype(np.int32),
            good,
        )

    def improved(self, called, limit, values):
        """The fit to reads whose runs are held fixed, beginning at `values`."""
        bases = self.flow_order.limited(limit).bases
        for _ in range(3):
            step, errors, shared = self._step(called, bases, values)
            step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
            moved = np.clip(values + step, 0.0, _LIMITS) - values
            values = values + moved
            if (np.abs(moved) < _CLOSE).all():
                break
        return PhaseFit(values, errors, shared, len(called.signal))

    def _step(self, called, bases, values):
        """One Gauss-Newton step from `values`: (step, standard errors, their part that all reads share)."""
        n = len(called.signal)
        if n == 0:
            return np.zeros(3), *np.full((2, 3), np.nan)
        of_read, curvature = np.empty((n, 3)), np.empty((n, 3, 3))
        of_flow, scatter = np.empty((len(bases), 3)), np.empty((3, 3))
        kernels.fit_sums(
            bases,
            called.run_start,
            called.run_flow,
            called.run_length,
            values,
            _CUTOFF,
            called.signal,
            called.first,
            called.end,
            np.array([self.solver.noise, self.solver.noise_per_base, _HUBER]),
            of_read,
            curvature,
            of_flow,
            scatter,
        )
        prior = np.linalg.inv(_PRIOR)
        covariance = np.linalg.inv(curvature.sum(axis=0) + prior)
        step = covariance @ (of_read.sum(axis=0) - prior @ (values - self.start))
        by_read = np.diag(covariance @ (of_read.T @ of_read + prior) @ covariance)
        # What sums of flows scatter more than single signals would: not less than nothing.
        by_flow = np.diag(covariance @ (of_flow.T @ of_flow - scatter) @ covariance)
        shared = np.maximum(by_flow, 0.0)
        return step, np.sqrt(by_read + shared), np.sqrt(shared)
