"""Backgrounds for any time constant of the empties, in the few dimensions that they span."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.sigproc.response import ResponseGrid
from ionanalysis.sigproc.wellfit import LANES, Projected, centred

LOG_TAU_STEP = 0.1
DELAY_STEPS = 2
"""Steps of the fine grid between nodes."""

DELAY_RANGE_S = 0.15
"""Largest difference of arrival times within a region, seconds."""

TAU_RANGE_S = (0.05, 2.0)
"""Time constants that empties may have, seconds."""


@dataclass(frozen=True)
class BackgroundFamily:
    """Backgrounds of all wells beside given empty traces, for every time constant of the empties.

    A background is ``r E + (1 - r) lowpass(E)`` with ``r = tau_empty / tau`` (`FrameClock.buffered`): both parts
    do not depend on ``tau_empty``, so that they are computed once, on one grid for all.

    Parameters
    ----------
    grid : ResponseGrid
    plain : ndarray of shape (n_delays, n_vectors), float64
        The empties' traces at each delay, flows one after the other, in coefficients of `basis`.
    filtered : ndarray of shape (n_taus, n_delays, n_vectors), float64
        The same behind a low-pass of each time constant.
    basis : ndarray of shape (n_vectors, n_values), float64
        Orthonormal, then rows of zeros up to whole lanes.
    """

    grid: ResponseGrid
    plain: np.ndarray
    filtered: np.ndarray
    basis: np.ndarray

    @classmethod
    def of(cls, means, clock, weights, tau_range_s=TAU_RANGE_S):
        """Family of the empty traces `means` of some flows, `centred` with `weights`.

        `tau_range_s` says between which time constants that of the empties lies.
        """
        least, most = np.log(tau_range_s)
        grid = ResponseGrid.covering(
            (least - 0.3, most + 1.6),
            (-DELAY_RANGE_S, DELAY_RANGE_S),
            log_tau_step=LOG_TAU_STEP,
            delay_step_s=DELAY_STEPS * clock.step_s,
        )
        parts = [grid.low_passed(clock, mean) for mean in means]
        plain = np.concatenate([centred(part[0], weights) for part in parts], axis=-1)
        filtered = np.concatenate([centred(part[1], weights) for part in parts], axis=-1)
        basis = _span(plain, filtered)
        return cls(grid, plain @ basis.T, filtered @ basis.T, basis)

    def seen(self, flows, weights):
        """Traces of some flows, each (n_frames, n_wells), `centred` with the family's weights, as `Projected`."""
        n_frames, total = len(weights), weights.sum()
        root = np.sqrt(weights)
        inside = np.zeros((len(self.basis), flows[0].shape[1]), np.float32)
        power = np.zeros(flows[0].shape[1])
        for number, flow in enumerate(flows):
            basis = self.basis[:, number * n_frames : (number + 1) * n_frames] * root
            # Means that `centred` takes off traces are taken off the vectors.
            basis -= (basis.sum(axis=1, keepdims=True) / total) * weights
            inside += basis.astype(np.float32) @ flow
            squares = np.einsum("f,fw,fw->w", weights, flow, flow, dtype=float)
            power += squares - (weights.astype(np.float32) @ flow).astype(float) ** 2 / total
        beyond = power - (inside.astype(float) ** 2).sum(axis=0)
        return Projected(np.ascontiguousarray(inside.T), np.maximum(beyond, 0.0), n_frames * len(flows))

    def table(self, tau_empty_s):
        """Grid and table of backgrounds for wells a little faster than empties up to five times as slow."""
        middle = np.log(tau_empty_s)
        wanted = np.searchsorted(self.grid.log_taus, [middle - 0.3, middle + 1.6])
        taus = slice(max(wanted[0] - 2, 0), wanted[1] + 2)
        grid = ResponseGrid(self.grid.log_taus[taus], self.grid.delays_s)
        ratio = (tau_empty_s / np.exp(grid.log_taus))[:, None, None]
        return grid, ratio * self.plain + (1 - ratio) * self.filtered[taus]

    def unfolded(self, table):
        """Values of a table: from coefficients to traces, flows one after the other."""
        return table @ self.basis


def _span(plain, filtered):
    """Orthonormal rows that span all traces to a millionth: every other node tells them all."""
    rows = np.concatenate([plain[::2], filtered[::3, ::2].reshape(-1, plain.shape[1])])
    _, power, vectors = np.linalg.svd(rows, full_matrices=False)
    chosen = vectors[power > 1e-6 * max(power[0], 1e-30)]
    return np.concatenate([chosen, np.zeros((-len(chosen) % LANES, chosen.shape[1]))])
