"""From a trace to an amplitude: one optimal linear filter per well, built for each region and flow.

A trace is modelled as ``gain * background + amplitude * template + dark + offset + nuisance + noise``. Background
and template depend on the well's time constant and delay. Nuisance (scale, time constant and delay of
the background, drift) has a Gaussian prior and only changes the weights: the amplitude is linear in the
trace, ``f . (trace - gain * background - dark)`` with ``f = C^-1 s / (s . C^-1 s)``.

Filters of all wells span few dimensions. So traces are projected on these while reading, and every
well combines its projections by coefficients read from a table.
"""

from dataclasses import astuple, dataclass

import numpy as np

from ionanalysis._core import traces as kernels
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.nuisance import Nuisance, directions
from ionanalysis.sigproc.response import ResponseGrid

N_VECTORS = 6


@dataclass(frozen=True)
class FlowModel:
    """What all wells of a region share in a flow.

    Parameters
    ----------
    clock : FrameClock
    grid : ResponseGrid
    tau_empty_s : float
    variance : ndarray of shape (n_frames,)
        Variance of each frame, counts squared.
    nuisance : Nuisance
    hydrogen : ndarray of shape (n_frames,)
        Hydrogen set free by one base until each frame, counts.
    dark : ndarray of shape (2, n_frames)
        What a 0-mer has beyond its background: for the mean time constant, and per unit of `log_tau` above it.
    """

    clock: FrameClock
    grid: ResponseGrid
    tau_empty_s: float
    variance: np.ndarray
    nuisance: Nuisance
    hydrogen: np.ndarray
    dark: np.ndarray

    def plan(self, empty, operator):
        """Filters for the flows of a nucleotide.

        Parameters
        ----------
        empty : ndarray of shape (n_frames,)
            Typical empty trace of the nucleotide; what single flows differ from it hardly changes the weights.
        operator : ndarray of shape (n_taus, n_delays, n_frames, n_frames)
            From empty traces to backgrounds at each node.

        Returns
        -------
        FilterPlan
        """
        background = operator @ empty
        filters = self._filters(background, self.grid.released(self.clock, self.hydrogen))
        # Rows of the basis span the filters; three of them would do for most chips.
        basis = np.linalg.svd(filters.reshape(-1, filters.shape[2]), full_matrices=False)[2][:N_VECTORS]
        fixed = np.concatenate([filters @ basis.T, filters @ self.dark.T], axis=2)
        against = (filters[:, :, None, :] @ operator)[:, :, 0, :]
        return FilterPlan(
            self.grid,
            basis.astype(np.float32),
            np.ascontiguousarray(fixed, np.float32),
            filters.astype(np.float32),
            against.astype(np.float32),
        )

    def nuisance_vectors(self, background):
        """Directions of offset and nuisance, one standard deviation each: (n_taus, n_delays, 5, n_frames)."""
        tau_step = self.grid.log_taus[1] - self.grid.log_taus[0]
        units = directions(background, tau_step, self.grid.delays_s[1] - self.grid.delays_s[0])
        widths = np.array(astuple(self.nuisance))
        # Offsets are free: far wider than any noise.
        offset = np.full((*background.shape[:2], 1, background.shape[2]), 1e3)
        return np.concatenate([offset, units * widths[:, None]], axis=2)

    def _filters(self, background, template):
        vectors = self.nuisance_vectors(background)
        weighed = vectors / self.variance
        small = np.eye(vectors.shape[2]) + weighed @ np.swapaxes(vectors, 2, 3)
        # Woodbury: C^-1 s = (s - D (1 + D' V^-1 D)^-1 D' V^-1 s) / V.
        inside = np.linalg.solve(small, weighed @ template[..., None])
        filters = (template - (np.swapaxes(vectors, 2, 3) @ inside)[..., 0]) / self.variance
        return filters / np.maximum((filters * template).sum(axis=2, keepdims=True), 1e-12)


@dataclass(frozen=True)
class FilterPlan:
    """Filters of a nucleotide: what traces are projected on, and how wells combine it.

    Parameters
    ----------
    grid : ResponseGrid
    basis : ndarray of shape (n_vectors, n_frames), float32
    fixed : ndarray of shape (n_taus, n_delays, n_vectors + 2), float32
        Coefficients of the projections; then filter times both dark traces.
    of_empty, of_background : ndarray of shape (n_taus, n_delays, n_frames), float32
        What the filter of a node makes of an empty trace, and of the background that follows from it.
    """

    grid: ResponseGrid
    basis: np.ndarray
    fixed: np.ndarray
    of_empty: np.ndarray
    of_background: np.ndarray

    def amplitudes(self, frames, empty, fit, mean_log_tau):
        """Amplitude of each well in a flow.

        Parameters
        ----------
        frames : ndarray of shape (n_frames, n_wells), int16
            As stored.
        empty : ndarray of shape (n_frames,)
            Mean empty trace of the flow, counts above its first frame.
        fit : WellFit
        mean_log_tau : float
            Where the first dark trace holds.

        Returns
        -------
        ndarray of shape (n_wells,), float32
        """
        empty = np.asarray(empty, np.float32)
        n_vectors, n_wells = len(self.basis), frames.shape[1]
        projections = np.empty((n_vectors, n_wells), np.float32)
        energy = np.empty(n_wells, np.float32)
        kernels.project_traces(frames, empty, self.basis, projections, energy)
        levels = np.stack([self.of_empty @ empty, self.of_background @ empty], axis=2)
        table = np.concatenate([self.fixed, levels], axis=2)
        values = self.grid.place(fit.log_tau, fit.delay_s).read(table)
        dark, dark_slope, of_empty, of_background = values[n_vectors:]
        found = (values[:n_vectors] * projections).sum(axis=0) + of_empty
        found -= fit.gain.astype(np.float32) * of_background
        found -= dark + (fit.log_tau - mean_log_tau).astype(np.float32) * dark_slope
        return found
