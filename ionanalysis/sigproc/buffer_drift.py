"""How buffering drifts during a run: two numbers per region, followed from flow to flow.

Backgrounds are many times a base, so that a time constant off by a few percent shows in every signal, in each well
as much as its background moves with it. The wells that show nothing tell: on average they leave what the drift does
to a background, whatever noise each of them has.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ionanalysis.sigproc.response import ResponseGrid, cubic_weights

SPEED_SD = 1e-7
"""How fast the drift may be, per flow.

Hardly at all: the drift is followed with a lag. With 5e-4 signals keep their size over a run (on default chips of 60
flows 0.050 bases off in place of 0.060), but runs of long chips no longer keep their proportions, and calls suffer more
than they gain: wrong bases of raw chips of 200 flows and more go from 0.28 to 1.2 %, 0.36 to 1.0 %, 0.20 to 0.30 %.
"""

SPEED_CHANGE_SD = 1e-9
"""How much that speed may change from one flow to the next."""

FLOW_SD = 1e-4
"""How much the drift may jump from one flow to the next."""

MOST_DRIFT = 0.5
"""Largest change of the logarithm of time constants that grids are made for, down; half as much up."""

_LEAST_WELLS = 20
_NEAR = 0.3


@dataclass(frozen=True)
class BulkOperators:
    """From empty traces to what backgrounds are made of, for all wells of a region.

    Parameters
    ----------
    delayed : ndarray of shape (n_delays, n_frames, n_frames)
        To the bulk at each delay.
    filtered : ndarray of shape (n_taus, n_delays, n_frames, n_frames)
        To the same behind a low-pass of each time constant.
    ramp : ndarray of shape (n_frames, n_frames)
        To the drift of all pixels during a flow (`ramp_operator`), which passes by the buffers.
    """

    delayed: np.ndarray
    filtered: np.ndarray
    ramp: np.ndarray

    @classmethod
    def of(cls, clock, grid, ramp):
        """Operators of a grid."""
        eye = np.eye(clock.n_frames)
        delayed, filtered = grid.low_passed(clock, eye)
        return cls(delayed @ (eye - ramp), filtered @ (eye - ramp), ramp)


def background(grid, bulk, filtered, tau_empty_s, drift=(0.0, 0.0)):
    """Something linear in backgrounds at the nodes of a grid, from the same of the bulk and of the low-passed bulk.

    A background is ``E + (1 - r) (lowpass(E) - E)`` with ``r = tau_empty / tau`` at first. During a run both the time
    constant of the low-pass and ``1 - r`` change, each by the same factor in all wells (sigproc.md 5.6).

    Parameters
    ----------
    grid : ResponseGrid
    bulk : ndarray of shape (n_delays, ...)
        The same for all time constants.
    filtered : ndarray of shape (n_taus, n_delays, ...)
    tau_empty_s : float
    drift : pair of float
        See `BufferDrift`.
    """
    if drift[0]:
        filtered = moved_along_tau(grid, filtered, drift[0])
    share = low_passed_share(grid, tau_empty_s, drift).astype(bulk.dtype).reshape(-1, *[1] * bulk.ndim)
    return bulk + share * (filtered - bulk)


def low_passed_share(grid, tau_empty_s, drift=(0.0, 0.0)):
    """Part of a background that is low-passed, ``1 - r`` of `background`: (n_taus,)."""
    return (1 - tau_empty_s / np.exp(grid.log_taus)) * np.exp(-drift[1])


def moved_along_tau(grid, table, change):
    """A table of values at the nodes for wells whose logarithm of the time constant has changed."""
    # One product with a matrix of few columns costs less than four passes over a large table.
    move = _movement(len(table), float(change / (grid.log_taus[1] - grid.log_taus[0])), table.dtype)
    return (move @ table.reshape(len(table), -1)).reshape(table.shape)


@lru_cache(maxsize=4)
def _movement(n_nodes, steps, dtype):
    """Matrix that reads a table `steps` nodes further, between its nodes: (n_nodes, n_nodes)."""
    nodes = np.arange(n_nodes)
    place = np.clip(nodes + steps, 1, n_nodes - 2)
    second = np.minimum(place.astype(int), n_nodes - 3)
    move = np.zeros((n_nodes, n_nodes), dtype)
    move[nodes, second + np.arange(-1, 3)[:, None]] = cubic_weights(place - second)
    return move


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
    of_filtered : ndarray of shape (n_taus, n_delays, 2, n_frames), float32
        What the filters make of the low-passed bulk.
    of_dark : ndarray of shape (2, 2), float64
        What they make of both dark traces.
    of_ramp : ndarray of shape (2, n_frames), float64
        What they make of the drift of all pixels.
    """

    grid: ResponseGrid
    tau_empty_s: float
    vectors: np.ndarray
    of_bulk: np.ndarray
    of_filtered: np.ndarray
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
        # Bulk and low-passed bulk at the node and at those on both sides of it.
        arrived = bulk.delayed[delay - 1 : delay + 2] @ empty
        filtered = bulk.filtered[tau - 1 : tau + 2, delay - 1 : delay + 2] @ empty
        share = 1 - model.tau_empty_s / np.exp(grid.log_taus[tau])
        here = arrived + share * (filtered[1] - arrived)
        base = model.clock.released(model.hydrogen, float(np.exp(grid.log_taus[tau])), [grid.delays_s[delay]])[:, 0]
        slower = share * (filtered[2, 1] - filtered[0, 1]) / (grid.log_taus[tau + 1] - grid.log_taus[tau - 1])
        less = arrived[1] - here[1]
        later = (here[2] - here[0]) / (grid.delays_s[delay + 1] - grid.delays_s[delay - 1])
        design = np.stack([slower, less, later, base, np.ones(len(empty))], axis=1)
        root = np.sqrt(model.weight)[:, None]
        vectors = (np.linalg.pinv(design * root) * root.T)[:2]
        of_bulk, of_filtered = ((vectors @ part).astype(np.float32) for part in (bulk.delayed, bulk.filtered))
        dark, ramp = vectors @ model.dark.T, vectors @ bulk.ramp
        return cls(grid, model.tau_empty_s, vectors, of_bulk, of_filtered, dark, ramp)

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
        bulk, filtered = (part @ np.asarray(empty, np.float32) for part in (self.of_bulk, self.of_filtered))
        expected = wells.places.read(background(self.grid, bulk, filtered, self.tau_empty_s, drift))
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
        return self._state[:2]

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
        if not -MOST_DRIFT < self._state[0] < MOST_DRIFT / 2:
            # Beyond what grids are made for nothing is followed any more; levels take up the rest.
            self._state[0] = np.clip(self._state[0], -MOST_DRIFT, MOST_DRIFT / 2)
            self._state[2] = 0.0
        self._covariance = step @ self._covariance @ step.T
        self._covariance += np.diag([FLOW_SD, FLOW_SD, SPEED_CHANGE_SD, SPEED_CHANGE_SD]) ** 2


def _mean_and_noise(seen):
    """Mean of both values over the wells that are not far off, and its covariance; None if there are too few."""
    if seen.shape[1] < _LEAST_WELLS:
        return None
    off = np.abs(seen - _middles(seen))
    good = np.compress((off <= 4 * (1.4826 * _middles(off) + 1e-9)).all(axis=0), seen, axis=1)
    n_wells = good.shape[1]
    if n_wells < _LEAST_WELLS:
        return None
    mean = good.mean(axis=1)
    good -= mean[:, None]
    return mean, good @ good.T / ((n_wells - 1) * n_wells)


def _middles(values):
    """Medians along the last axis, which stays; of an even number the upper of the two in the middle."""
    half = values.shape[1] // 2
    return np.partition(values, half, axis=1)[:, half : half + 1]
