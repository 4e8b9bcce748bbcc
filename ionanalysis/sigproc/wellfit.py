"""Gain, time constant and delay of single wells, fitted to flows in which nothing is incorporated."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis._core import fits as kernels

LANES = 16
"""Kernels take rows of whole lanes, padded with zeros."""


@dataclass(frozen=True)
class WellFit:
    """How wells respond to the bulk; every array float64 of shape (n_wells,).

    Parameters
    ----------
    gain : ndarray
        Pixel gain relative to the empties.
    log_tau : ndarray
        Logarithm of the buffering time constant in seconds.
    delay_s : ndarray
        How much later than the empties' mean the flow arrives, in seconds.
    residual : ndarray
        Root mean square of what the fit leaves, in (weighted) counts.
    """

    gain: np.ndarray
    log_tau: np.ndarray
    delay_s: np.ndarray
    residual: np.ndarray

    def at(self, wells):
        """The same for a selection of wells."""
        return WellFit(self.gain[wells], self.log_tau[wells], self.delay_s[wells], self.residual[wells])

    def with_delay(self, delay_s):
        return replace(self, delay_s=np.asarray(delay_s, float))


@dataclass(frozen=True)
class Prior:
    """What is known of wells before a fit: values, and standard deviations (0 holds a value fixed)."""

    fit: WellFit
    gain_sd: float
    log_tau_sd: float
    delay_sd_s: float


@dataclass(frozen=True)
class Projected:
    """Traces in coefficients of the vectors that span the models: fits cost less, and find the same.

    Parameters
    ----------
    inside : ndarray of shape (n_wells, n_vectors), float32
    beyond : ndarray of shape (n_wells,), float64
        Sum of squares of what no model reaches.
    n_values : int
        Values of each trace.
    """

    inside: np.ndarray
    beyond: np.ndarray
    n_values: int

    def at(self, wells):
        """The same for a selection of wells."""
        return Projected(self.inside[wells], self.beyond[wells], self.n_values)


def centred(values, weights):
    """Take the weighted mean over the last axis (frames) away, and weight: offsets drop out of a fit."""
    total = weights.sum()
    mean = (values * weights).sum(axis=-1, keepdims=True) / total if total > 0 else 0.0
    return (values - mean) * np.sqrt(weights)


def fit_wells(grid, table, traces, *, prior=None, start=None, noise=1.0, n_rounds=4):
    """Fit gain, time constant and delay of each well.

    Parameters
    ----------
    grid : ResponseGrid
        Nodes of `table`.
    table : ndarray of shape (n_taus, n_delays, n_values)
        Model of a well of unit gain at each node; flows one after the other, `centred`.
    traces : ndarray of shape (n_wells, n_values), or Projected
        Observed, treated as `table`.
    prior : Prior, optional
        Gaussian priors; without them the fit is free.
    start : WellFit, optional
        Where to start; the best node by default.
    noise : float
        Standard deviation of a value in `traces`, which the priors are weighed against.
    n_rounds : int
        Gauss-Newton rounds.

    Returns
    -------
    WellFit
    """
    if not isinstance(traces, Projected):
        traces = Projected(traces, np.zeros(len(traces)), traces.shape[1])
    table, inside = whole_lanes(table), whole_lanes(traces.inside)
    fit = start or (prior.fit if prior else _best_node(grid, table, inside))
    values = np.stack([fit.gain, fit.log_tau, fit.delay_s], axis=1).astype(float)
    known, pull = values, np.zeros(3)
    if prior:
        known = np.stack([prior.fit.gain, prior.fit.log_tau, prior.fit.delay_s], axis=1).astype(float)
        pull = np.array([(noise / max(sd, 1e-9)) ** 2 for sd in (prior.gain_sd, prior.log_tau_sd, prior.delay_sd_s)])
    left = np.empty(len(inside))
    kernels.fit_wells(table, grid.lines, inside, known.copy(), pull, n_rounds, values, left)
    gain, log_tau, delay = np.ascontiguousarray(values.T)
    return WellFit(gain, log_tau, delay, np.sqrt((left + traces.beyond) / traces.n_values))


def whole_lanes(values):
    """`values` as float32, the last axis padded with zeros to whole lanes."""
    padding = -values.shape[-1] % LANES
    if padding:
        values = np.concatenate([values, np.zeros((*values.shape[:-1], padding), values.dtype)], axis=-1)
    return np.ascontiguousarray(values, np.float32)


def _best_node(grid, table, traces):
    # Every other node is near enough to begin at.
    nodes = whole_lanes(table[::2, ::2].reshape(-1, table.shape[2]).T)
    power = np.einsum("vn,vn->n", nodes, nodes)
    weight = np.where(power > 0, 1 / (power + 1e-12), 0).astype(np.float32)
    best, gain = np.empty(len(traces), np.int32), np.empty(len(traces), np.float32)
    kernels.best_nodes(nodes, weight, traces, best, gain)
    tau_node, delay_node = np.unravel_index(best, table[::2, ::2, 0].shape)
    gain = np.clip(gain.astype(float), 0.2, 5.0)
    return WellFit(gain, grid.log_taus[::2][tau_node], grid.delays_s[::2][delay_node], np.zeros(len(best)))


def fit_surface(rows, cols, values, shape, *, order=2, keep=None):
    """Smooth surface over a region: a polynomial fitted robustly, evaluated at every well.

    Parameters
    ----------
    rows, cols : ndarray of shape (n_points,)
        Where `values` were measured.
    values : ndarray of shape (n_points,)
    shape : tuple of int
        Rows and columns of the region.
    order : int
        Total degree of the polynomial; lowered where there are few points.
    keep : ndarray of bool, optional
        Points to start from.

    Returns
    -------
    ndarray of shape `shape`, float64
    """
    good = np.isfinite(values) if keep is None else keep & np.isfinite(values)
    if not good.any():
        return np.zeros(shape)
    while order and good.sum() < 10 * (order + 1) * (order + 2) // 2:
        order -= 1
    design = _polynomial(rows, cols, shape, order)
    for _ in range(3):
        some = design[good]
        # Coordinates reach from -1 to 1, so that normal equations do.
        coefficients = np.linalg.lstsq(some.T @ some, some.T @ values[good], rcond=None)[0]
        left = values - design @ coefficients
        spread = 1.4826 * np.median(np.abs(left[good]))
        good = good & (np.abs(left) <= 3.5 * spread + 1e-12)
    every = np.indices(shape).reshape(2, -1)
    return (_polynomial(every[0], every[1], shape, order) @ coefficients).reshape(shape)


def _polynomial(rows, cols, shape, order):
    y = 2.0 * np.asarray(rows) / max(shape[0] - 1, 1) - 1
    x = 2.0 * np.asarray(cols) / max(shape[1] - 1, 1) - 1
    ys, xs = [np.ones(len(y)), y], [np.ones(len(x)), x]
    for _ in range(order - 1):
        ys.append(ys[-1] * y)
        xs.append(xs[-1] * x)
    return np.stack([ys[i] * xs[j] for i in range(order + 1) for j in range(order + 1 - i)], axis=1)
