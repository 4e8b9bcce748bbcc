"""From a trace to an amplitude: one optimal linear filter per well, built for each region and flow.

A trace is modelled as ``gain * background + amplitude * template + dark + offset + nuisance + noise``. Background
and template depend on the well's time constant and delay. Nuisance (`Nuisance`: what region and well do not
predict) has a Gaussian prior and only changes the weights: the amplitude is linear in the trace,
``f . (trace - gain * background - dark)`` with ``f = C^-1 s / (s . C^-1 s)``.

Filters of all wells span few dimensions. So traces are projected on these while reading, and every
well combines its projections by coefficients read from a table.
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis._core import traces as kernels
from ionanalysis.sigproc.buffer_drift import DriftFilter, drifted
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.nuisance import Nuisance
from ionanalysis.sigproc.response import ResponseGrid

N_VECTORS = 6

_LEAST_WEIGHT = 1e-3

DELAY_STEP_S = 0.02
MOST_DELAY_S = 0.1
"""Delays of flows beyond this are no jitter, seconds."""


@dataclass(frozen=True)
class FlowModel:
    """What all wells of a region share in a flow.

    Parameters
    ----------
    clock : FrameClock
    grid : ResponseGrid
    tau_empty_s : float
    weight : ndarray of shape (n_frames,)
        Weights of frames.
    nuisance : Nuisance
    hydrogen : ndarray of shape (n_frames,)
        Hydrogen set free by one base until each frame, counts.
    dark : ndarray of shape (2, n_frames)
        What a 0-mer has beyond its background: for the mean time constant, and per unit of `log_tau` above it.
    """

    clock: FrameClock
    grid: ResponseGrid
    tau_empty_s: float
    weight: np.ndarray
    nuisance: Nuisance
    hydrogen: np.ndarray
    dark: np.ndarray

    def plan(self, empty, operator, delayed, ramp, log_tau):
        """Filters for the flows of a nucleotide.

        Parameters
        ----------
        empty : ndarray of shape (n_frames,)
            Typical empty trace of the nucleotide, from which the delay of a flow is told.
        operator : ndarray of shape (n_taus, n_delays, n_frames, n_frames)
            From empty traces to backgrounds at each node.
        delayed : ndarray of shape (n_delays, n_frames, n_frames)
            From empty traces to the bulk at each delay.
        ramp : ndarray of shape (n_frames, n_frames)
            From empty traces to the drift of all pixels in them (`ramp_operator`).
        log_tau : float
            Logarithm of the time constant of a typical well.

        Returns
        -------
        FilterPlan
        """
        template = self.grid.released(self.clock, self.hydrogen)
        filters = self._filters(template)
        later = np.gradient(template, self.grid.delays_s[1] - self.grid.delays_s[0], axis=1)
        delay_gain = (filters * later).sum(axis=2, keepdims=True)
        # Rows of the basis span the filters; three of them would do for most chips.
        basis = np.linalg.svd(filters.reshape(-1, filters.shape[2]), full_matrices=False)[2][:N_VECTORS]
        fixed = np.concatenate([filters @ basis.T, filters @ self.dark.T, delay_gain], axis=2)
        against = (filters[:, :, None, :] @ operator)[:, :, 0, :]
        plain = (filters[:, :, None, :] @ delayed)[:, :, 0, :]
        return FilterPlan(
            self.grid,
            FlowDelay.of(self.clock, empty, self.weight, ramp),
            basis.astype(np.float32),
            np.ascontiguousarray(fixed, np.float32),
            (filters - filters @ ramp).astype(np.float32),
            plain.astype(np.float32),
            against.astype(np.float32),
            self.tau_empty_s,
            DriftFilter.of(self, empty, operator, delayed, ramp, template, log_tau),
        )

    def _filters(self, template):
        variance = self.nuisance.white**2 / np.maximum(self.weight, _LEAST_WEIGHT)
        # Offsets are free: far wider than any noise.
        vectors = np.concatenate([np.full((1, len(variance)), 1e3), self.nuisance.directions])
        weighed = vectors / variance
        small = np.eye(len(vectors)) + weighed @ vectors.T
        # Woodbury: C^-1 s = (s - D (1 + D' V^-1 D)^-1 D' V^-1 s) / V.
        inside = np.linalg.solve(small, weighed @ np.swapaxes(template, 1, 2))
        filters = (template - np.swapaxes(inside, 1, 2) @ vectors) / variance
        return filters / np.maximum((filters * template).sum(axis=2, keepdims=True), 1e-12)


@dataclass(frozen=True)
class FilterPlan:
    """Filters of a nucleotide: what traces are projected on, and how wells combine it.

    Parameters
    ----------
    grid : ResponseGrid
    flow_delay : FlowDelay
    basis : ndarray of shape (n_vectors, n_frames), float32
    fixed : ndarray of shape (n_taus, n_delays, n_vectors + 3), float32
        Coefficients of the projections; then filter times both dark traces; then what the filter of a node makes of
        a template that comes a second later, less 1 and to first order.
    of_empty, of_plain, of_background : ndarray of shape (n_taus, n_delays, n_frames), float32
        What the filter of a node makes of the bulk in an empty trace, of one as late as the well, and of the background
        that follows from it.
    tau_empty_s : float
    drift : DriftFilter
    """

    grid: ResponseGrid
    flow_delay: "FlowDelay"
    basis: np.ndarray
    fixed: np.ndarray
    of_empty: np.ndarray
    of_plain: np.ndarray
    of_background: np.ndarray
    tau_empty_s: float
    drift: DriftFilter

    def amplitudes(self, frames, empty, fit, mean_log_tau, drift=(0.0, 0.0)):
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
        drift : pair of float
            Changes of the logarithms of the wells' and of the empties' time constants (`BufferDrift`).

        Returns
        -------
        ndarray of shape (n_wells,), float32
        """
        empty = np.asarray(empty, np.float32)
        n_vectors, n_wells = len(self.basis), frames.shape[1]
        projections = np.empty((n_vectors, n_wells), np.float32)
        energy = np.empty(n_wells, np.float32)
        kernels.project_traces(frames, empty, self.basis, projections, energy)
        levels = np.stack([self.of_empty @ empty, self.of_plain @ empty, self.of_background @ empty], axis=2)
        table = np.concatenate([self.fixed, levels], axis=2)
        values = self.grid.place(fit.log_tau + drift[0], fit.delay_s).read(table)
        dark, dark_slope, delay_gain, of_empty, of_plain, of_background = values[n_vectors:]
        of_background = drifted(of_background, of_plain, fit.log_tau, self.tau_empty_s, drift)
        found = (values[:n_vectors] * projections).sum(axis=0) + of_empty
        found -= fit.gain.astype(np.float32) * of_background
        found -= dark + (fit.log_tau - mean_log_tau).astype(np.float32) * dark_slope
        # A flow that comes late shows less of each base to filters that expect it in time.
        return found / np.clip(1 + delay_gain * np.float32(self.flow_delay.seconds(empty)), 0.5, 2)


@dataclass(frozen=True)
class FlowDelay:
    """Tells by the empties how much later than usual a flow came.

    Parameters
    ----------
    towards : ndarray of shape (2, n_frames), float64
        Products with an empty trace give its size and its size times its delay in seconds.
    """

    towards: np.ndarray

    @classmethod
    def of(cls, clock, typical, weight, ramp):
        """From the typical empty trace of a nucleotide: least squares of the bulk in it and its derivative."""
        typical = typical - ramp @ typical
        earlier, later = (clock.delayed(typical, delay) for delay in (-DELAY_STEP_S, DELAY_STEP_S))
        design = np.stack([typical, (later - earlier) / (2 * DELAY_STEP_S)], axis=1)
        root = np.sqrt(weight)[:, None]
        towards = np.linalg.pinv(design * root) * root.T
        return cls(towards - towards @ ramp)

    def seconds(self, empty):
        """Delay of a flow by its mean empty trace, seconds; at most `MOST_DELAY_S` either way."""
        size, moment = self.towards @ empty
        return float(np.clip(moment / size, -MOST_DELAY_S, MOST_DELAY_S)) if size > 0 else 0.0
