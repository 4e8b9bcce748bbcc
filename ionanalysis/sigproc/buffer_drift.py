"""How buffering drifts during a run: beads' and empties' time constants of a region, followed from flow to flow.

Backgrounds are many times a base, so that a time constant off by a few percent shows in every signal, in each well
as much as its background moves with it. The wells that show nothing tell: on average they leave what the drift does
to a background, whatever noise each of them has.
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis.sigproc.response import ResponseGrid

SPEED_SD = 0.0005
"""How fast the logarithms of both time constants may drift, per flow."""

SPEED_CHANGE_SD = 2e-5
"""How much that speed may change from one flow to the next."""

FLOW_SD = 1e-4
"""How much the logarithms may jump from one flow to the next."""

_LEAST_WELLS = 20
_NEAR = 0.3


@dataclass(frozen=True)
class DriftFilter:
    """Linear filters that tell both drifts from the trace of a well that shows no base.

    They are blind to offsets, to delays, and to signal, so that what phasing leaves in 0-mers does no harm.

    Parameters
    ----------
    grid : ResponseGrid
    basis : ndarray of shape (2, n_frames), float32
        Products with what a trace has beyond its background: change of the logarithm of the well's time constant, and of
        that of empties.
    of_plain : ndarray of shape (n_taus, n_delays, 2, n_frames), float32
        What the filters make of an empty trace as late as a well's.
    of_background : ndarray of shape (n_taus, n_delays, 2, n_frames), float32
        What the filters make of the background that follows from an empty trace.
    """

    grid: ResponseGrid
    basis: np.ndarray
    of_plain: np.ndarray
    of_background: np.ndarray
    tau_empty_s: float
    of_dark: np.ndarray
    of_ramp: np.ndarray

    @classmethod
    def of(cls, model, empty, operator, delayed, ramp, template, log_tau):
        """Filters for wells about `log_tau`.

        Parameters
        ----------
        model : FlowModel
        empty : ndarray of shape (n_frames,)
            Typical empty trace.
        operator : ndarray of shape (n_taus, n_delays, n_frames, n_frames)
            From empty traces to backgrounds at each node.
        delayed : ndarray of shape (n_delays, n_frames, n_frames)
            From empty traces to the bulk at each delay.
        ramp : ndarray of shape (n_frames, n_frames)
            From empty traces to the drift of all pixels in them.
        template : ndarray of shape (n_taus, n_delays, n_frames)
            Trace of one base at each node.
        log_tau : float
        """
        grid = model.grid
        tau = int(np.clip(np.abs(grid.log_taus - log_tau).argmin(), 1, len(grid.log_taus) - 2))
        delay = int(np.clip(np.abs(grid.delays_s).argmin(), 1, len(grid.delays_s) - 2))
        backgrounds = operator[tau - 1 : tau + 2, delay - 1 : delay + 2] @ empty
        here = backgrounds[1, 1]
        slower = (backgrounds[2, 1] - backgrounds[0, 1]) / (grid.log_taus[tau + 1] - grid.log_taus[tau - 1])
        later = (backgrounds[1, 2] - backgrounds[1, 0]) / (grid.delays_s[delay + 1] - grid.delays_s[delay - 1])
        ratio = model.tau_empty_s / np.exp(grid.log_taus[tau])
        plain = delayed[delay] @ empty
        emptier = plain - here
        slower += min(ratio / max(1 - ratio, 0.02), 50.0) * emptier
        design = np.stack([slower, emptier, later, template[tau, delay], np.ones(len(empty))], axis=1)
        root = np.sqrt(model.weight)[:, None]
        basis = (np.linalg.pinv(design * root) * root.T)[:2]
        of_plain = np.broadcast_to(basis @ delayed, (*grid.shape, *basis.shape))
        of_background = (basis @ operator).astype(np.float32)
        return cls(grid, basis.astype(np.float32), of_plain.astype(np.float32), of_background, model.tau_empty_s, basis @ model.dark.T, basis @ ramp)

    def seen(self, frames, empty, fit, drift, mean_log_tau):
        """Both drifts beyond `drift` by each of some wells, (2, n_wells), from frames (n_frames, n_wells) as stored."""
        rising = (frames - frames[:1]).astype(np.float32)
        empty = np.asarray(empty, np.float32)
        table = np.concatenate([self.of_plain @ empty, self.of_background @ empty], axis=2)
        values = self.grid.place(fit.log_tau + drift[0], fit.delay_s).read(table)
        background = drifted(values[2:], values[:2], fit.log_tau, self.tau_empty_s, drift)
        dark = self.of_dark @ np.stack([np.ones(len(fit.log_tau)), fit.log_tau - mean_log_tau])
        dark = dark + (self.of_ramp @ empty)[:, None]
        return (self.basis @ rising - dark) / fit.gain.astype(np.float32) - background


def delay_operator(clock, grid):
    """From empty traces to those that arrive with each delay of a grid: (n_delays, n_frames, n_frames), float64."""
    eye = np.eye(clock.n_frames)
    return np.moveaxis(clock.averaged(clock.fine(eye, grid.delays_s)), 1, 0)


def drifted(background, plain, log_tau, tau_empty_s, drift):
    """Background of wells whose buffering has drifted.

    A background is ``r E + (1 - r) lowpass(E)`` with ``r = tau_empty / tau`` at first. During a run both the time
    constant of the low pass and ``1 - r`` change, each by the same factor in all wells (sigproc.md 5.6).

    Parameters
    ----------
    background : ndarray
        As it follows from the drifted time constants alone.
    plain : ndarray
        The same of E.
    log_tau : ndarray of shape (n_wells,)
        Logarithm of the time constants before the drift.
    tau_empty_s : float
    drift : pair of float
        See `BufferDrift`.
    """
    assumed = np.maximum(1 - tau_empty_s / np.exp(log_tau + drift[0]), 0.02)
    real = np.maximum(1 - tau_empty_s / np.exp(log_tau), 0.02) * np.exp(-drift[1])
    return plain + (real / assumed).astype(np.float32) * (background - plain)


def quiet_wells(amplitude, size, silent, *, most=400):
    """Some wells that show no base, evenly spread: those known to be `silent`, and those with little signal."""
    quiet = np.flatnonzero(silent | (np.abs(amplitude) < _NEAR * size))
    return quiet[:: max(1, -(-len(quiet) // most))]


class BufferDrift:
    """Follows the drift of a region and its speed (a Kalman filter; Kalman 1960).

    Attributes
    ----------
    state : ndarray of shape (2,), float64
        Change of the logarithm of the wells' time constants since bead finding, and of that of empties.
    """

    def __init__(self):
        self._state = np.zeros(4)
        self._covariance = np.diag([0.0, 0.0, SPEED_SD**2, SPEED_SD**2])

    @property
    def state(self):
        return self._state[:2]

    def follow(self, seen):
        """Take in what quiet wells tell beside the present state, (2, n_wells), see `DriftFilter.seen`; go on."""
        noise = _noise_of_mean(seen)
        if noise is not None:
            mean, covariance = noise
            gain = self._covariance[:, :2] @ np.linalg.inv(self._covariance[:2, :2] + covariance)
            self._state = self._state + gain @ mean
            self._covariance = self._covariance - gain @ self._covariance[:2]
        step = np.eye(4) + np.eye(4, k=2)
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T
        self._covariance += np.diag([FLOW_SD**2, FLOW_SD**2, SPEED_CHANGE_SD**2, SPEED_CHANGE_SD**2])


def _noise_of_mean(seen):
    """Mean of both values over the wells that are not far off, and its covariance; None if there are too few."""
    if seen.shape[1] < _LEAST_WELLS:
        return None
    middle = np.median(seen, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(seen - middle), axis=1, keepdims=True) + 1e-9
    good = seen[:, (np.abs(seen - middle) <= 4 * spread).all(axis=0)]
    if good.shape[1] < _LEAST_WELLS:
        return None
    return good.mean(axis=1), np.cov(good) / good.shape[1]
