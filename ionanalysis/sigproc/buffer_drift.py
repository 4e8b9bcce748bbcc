"""How buffering drifts during a run: two numbers per region, followed from flow to flow.

Backgrounds are many times a base, so that a time constant off by a few percent shows in every signal, in each well
as much as its background moves with it. The wells that show nothing tell: on average they leave what the drift does
to a background, whatever noise each of them has.
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis.sigproc.response import ResponseGrid, cubic_weights

SPEED_SD = 0.0005
"""How fast the drift may be, per flow."""

SPEED_CHANGE_SD = 2e-5
"""How much that speed may change from one flow to the next."""

FLOW_SD = 1e-4
"""How much the drift may jump from one flow to the next."""

MOST_DRIFT = 0.15
"""Largest change of the logarithm of time constants that grids are made for, down; half as much up."""

_LEAST_RATIO = 0.02
_LEAST_WELLS = 20
_NEAR = 0.3


@dataclass(frozen=True)
class BulkOperators:
    """From empty traces to backgrounds, for all wells of a region.

    Parameters
    ----------
    background : ndarray of shape (n_taus, n_delays, n_frames, n_frames)
        To the background at each node.
    delayed : ndarray of shape (n_delays, n_frames, n_frames)
        To the bulk at each delay.
    ramp : ndarray of shape (n_frames, n_frames)
        To the drift of all pixels during a flow (`ramp_operator`), which passes by the buffers.
    """

    background: np.ndarray
    delayed: np.ndarray
    ramp: np.ndarray

    @classmethod
    def of(cls, clock, grid, tau_empty_s, ramp):
        """Operators of a grid."""
        eye = np.eye(clock.n_frames)
        delayed, filtered = grid.low_passed(clock, eye)
        ratio = (tau_empty_s / np.exp(grid.log_taus))[:, None, None, None]
        background = ratio * delayed + (1 - ratio) * filtered
        return cls(background @ (eye - ramp), delayed @ (eye - ramp), ramp)


def drifted(grid, background, bulk, tau_empty_s, drift):
    """Values at the nodes of a grid once buffering has drifted.

    A background is ``r E + (1 - r) lowpass(E)`` with ``r = tau_empty / tau`` at first. During a run both the time
    constant of the low pass and ``1 - r`` change, each by the same factor in all wells (sigproc.md 5.6).

    Parameters
    ----------
    grid : ResponseGrid
    background : ndarray of shape (n_taus, n_delays, ...)
        Something linear in backgrounds.
    bulk : ndarray of the same shape
        The same of E alone.
    tau_empty_s : float
    drift : pair of float
        See `BufferDrift`.
    """
    if not drift[0] and not drift[1]:
        return background
    background, bulk = (moved_along_tau(grid, table, drift[0]) for table in (background, bulk))
    assumed = np.maximum(1 - tau_empty_s / np.exp(grid.log_taus + drift[0]), _LEAST_RATIO)
    real = np.maximum(1 - tau_empty_s / np.exp(grid.log_taus), _LEAST_RATIO) * np.exp(-drift[1])
    share = (real / assumed).reshape(-1, *[1] * (background.ndim - 1))
    return bulk + share * (background - bulk)


def moved_along_tau(grid, table, change):
    """A table of values at the nodes for wells whose logarithm of the time constant has changed."""
    last = len(grid.log_taus) - 1
    place = np.clip(np.arange(last + 1) + change / (grid.log_taus[1] - grid.log_taus[0]), 1, last - 1)
    second = np.minimum(place.astype(int), last - 2)
    weights = cubic_weights(place - second)
    shape = (-1, *[1] * (table.ndim - 1))
    return sum(weight.reshape(shape) * table[second + i - 1] for i, weight in enumerate(weights))


@dataclass(frozen=True)
class DriftFilter:
    """Linear filters that tell both drifts from the trace of a well that shows no base.

    They are blind to offsets, to delays, and to signal, so that what phasing leaves in 0-mers does no harm.

    Parameters
    ----------
    grid : ResponseGrid
    tau_empty_s : float
    vectors : ndarray of shape (2, n_frames), float64
        Products with what a trace has beyond its background: change of the logarithm of the well's time constant, and
        less part that is low-passed.
    of_bulk : ndarray of shape (n_delays, 2, n_frames), float32
        What the filters make of the bulk at each delay.
    of_background : ndarray of shape (n_taus, n_delays, 2, n_frames), float32
        What the filters make of the background that follows from an empty trace.
    of_dark : ndarray of shape (2, 2), float64
        What they make of both dark traces.
    of_ramp : ndarray of shape (2, n_frames), float64
        What they make of the drift of all pixels.
    """

    grid: ResponseGrid
    tau_empty_s: float
    vectors: np.ndarray
    of_bulk: np.ndarray
    of_background: np.ndarray
    of_dark: np.ndarray
    of_ramp: np.ndarray

    @classmethod
    def of(cls, model, empty, bulk, log_tau):
        """Filters for wells about `log_tau`.

        Parameters
        ----------
        model : FlowModel
        empty : ndarray of shape (n_frames,)
            Typical empty trace.
        bulk : BulkOperators
        log_tau : float
        """
        grid = model.grid
        tau = int(np.clip(np.abs(grid.log_taus - log_tau).argmin(), 1, len(grid.log_taus) - 2))
        delay = int(np.clip(np.abs(grid.delays_s).argmin(), 1, len(grid.delays_s) - 2))
        backgrounds = bulk.background[tau - 1 : tau + 2, delay - 1 : delay + 2] @ empty
        less = bulk.delayed[delay] @ empty - backgrounds[1, 1]
        base = model.clock.released(model.hydrogen, float(np.exp(grid.log_taus[tau])), [grid.delays_s[delay]])[:, 0]
        ratio = model.tau_empty_s / np.exp(grid.log_taus[tau])
        slower = (backgrounds[2, 1] - backgrounds[0, 1]) / (grid.log_taus[tau + 1] - grid.log_taus[tau - 1])
        slower += ratio / max(1 - ratio, _LEAST_RATIO) * less
        later = (backgrounds[1, 2] - backgrounds[1, 0]) / (grid.delays_s[delay + 1] - grid.delays_s[delay - 1])
        design = np.stack([slower, less, later, base, np.ones(len(empty))], axis=1)
        root = np.sqrt(model.weight)[:, None]
        vectors = (np.linalg.pinv(design * root) * root.T)[:2]
        of_background = (vectors @ bulk.background).astype(np.float32)
        of_bulk = (vectors @ bulk.delayed).astype(np.float32)
        dark, ramp = vectors @ model.dark.T, vectors @ bulk.ramp
        return cls(grid, model.tau_empty_s, vectors, of_bulk, of_background, dark, ramp)

    def seen(self, products, empty, wells, drift, *, has_ramp=True):
        """Both drifts beyond `drift` by each of some wells.

        Parameters
        ----------
        products : ndarray of shape (2, n_wells)
            Of `vectors` and the wells' traces.
        empty : ndarray of shape (n_frames,)
            Mean empty trace of the flow.
        wells : PlacedWells
        drift : pair of float
        has_ramp : bool
            Whether the drift of all pixels is in the traces.

        Returns
        -------
        ndarray of shape (2, n_wells)
        """
        background = self.of_background @ np.asarray(empty, np.float32)
        bulk = np.broadcast_to(self.of_bulk @ np.asarray(empty, np.float32), background.shape)
        expected = wells.places.read(drifted(self.grid, background, bulk, self.tau_empty_s, drift))
        beside = self.of_dark[:, :1] + self.of_dark[:, 1:] * wells.place
        if has_ramp:
            beside += (self.of_ramp @ empty)[:, None]
        return (products - beside) / wells.gain - expected


def quiet_wells(amplitude, size, silent, *, most=1000):
    """Some wells that show no base, evenly spread: those known to be `silent`, and those with little signal."""
    quiet = np.flatnonzero(silent | (np.abs(amplitude) < _NEAR * size))
    return quiet[:: max(1, -(-len(quiet) // most))]


class BufferDrift:
    """Follows the drift of a region and its speed (a Kalman filter; Kalman 1960).

    Attributes
    ----------
    state : ndarray of shape (2,), float64
        Change of the logarithm of the wells' time constants since bead finding; and of that of the part of the
        background that is low-passed, downwards.
    """

    def __init__(self):
        self._state = np.zeros(4)
        self._covariance = np.diag([0.0, 0.0, SPEED_SD**2, SPEED_SD**2])

    @property
    def state(self):
        return np.array([np.clip(self._state[0], -MOST_DRIFT, MOST_DRIFT / 2), self._state[1]])

    def follow(self, seen):
        """Take in what quiet wells tell beside the present state, (2, n_wells), see `DriftFilter.seen`; go on."""
        found = _mean_and_noise(seen)
        if found is not None:
            mean, noise = found
            gain = self._covariance[:, :2] @ np.linalg.inv(self._covariance[:2, :2] + noise)
            self._state = self._state + gain @ mean
            self._covariance = self._covariance - gain @ self._covariance[:2]
        step = np.eye(4) + np.eye(4, k=2)
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T
        self._covariance += np.diag([FLOW_SD, FLOW_SD, SPEED_CHANGE_SD, SPEED_CHANGE_SD]) ** 2


def _mean_and_noise(seen):
    """Mean of both values over the wells that are not far off, and its covariance; None if there are too few."""
    if seen.shape[1] < _LEAST_WELLS:
        return None
    middle = np.median(seen, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(seen - middle), axis=1, keepdims=True) + 1e-9
    good = seen[:, (np.abs(seen - middle) <= 4 * spread).all(axis=0)]
    if good.shape[1] < _LEAST_WELLS:
        return None
    return good.mean(axis=1), np.cov(good) / good.shape[1]
