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
from ionanalysis.sigproc.buffer_drift import MOST_DRIFT, DriftFilter, low_passed_share, moved_along_tau
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.nuisance import Nuisance
from ionanalysis.sigproc.response import Places, ResponseGrid

N_VECTORS = 6
N_DRIFT_VECTORS = 2
"""Those that tell how buffering drifts."""

_LEAST_COLS = 16
N_VALUES = 16
"""What kernels read of a node: six coefficients, four more values, and some that they do not use."""

_LEAST_WEIGHT = 1e-3

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

    def filters(self, drift=None):
        """The `Filters` of this model; their basis spans those of a `DriftFilter`, too, where one is given."""
        template = self.grid.released(self.clock, self.hydrogen)
        whole = self._filters(template)
        # Rows of the basis span the filters, to which every other node is enough; three rows would do for most chips.
        some = whole[self._usual_taus(), ::2].reshape(-1, whole.shape[2])
        basis = np.linalg.svd(some, full_matrices=False)[2][:N_VECTORS]
        if drift is not None:
            span = np.concatenate([basis[: N_VECTORS - N_DRIFT_VECTORS], drift.vectors])
            basis = np.linalg.qr(span.T)[0].T
        # A clock of few frames spans less.
        basis = np.concatenate([basis, np.zeros((N_VECTORS - len(basis), whole.shape[2]))])
        coefficients = whole @ basis.T
        # From here on filters are what the basis makes of them, for bases and backgrounds alike.
        coefficients /= np.maximum((coefficients * (template @ basis.T)).sum(axis=2, keepdims=True), 1e-12)
        later = np.gradient(template @ basis.T, self.grid.delays_s[1] - self.grid.delays_s[0], axis=1)
        delay_gain = (coefficients * later).sum(axis=2, keepdims=True)
        fixed = np.concatenate([coefficients, coefficients @ (basis @ self.dark.T), delay_gain], axis=2)
        return Filters(self.grid, basis.astype(np.float32), np.ascontiguousarray(fixed, np.float32))

    def plan(self, flow_delay, empty, bulk, log_tau):
        """Filters for the flows of a nucleotide.

        Parameters
        ----------
        flow_delay : FlowDelay
            Tells the delay of the nucleotide's flows.
        empty : ndarray of shape (n_frames,)
            Typical empty trace of the nucleotide.
        bulk : BulkOperators
        log_tau : float
            Logarithm of the time constant of a typical well.

        Returns
        -------
        FilterPlan
        """
        drift = DriftFilter.of(self, empty, bulk, log_tau)
        found = self.filters(drift)
        filters = found.by_frame()[:, :, None, :]
        of_bulk, of_filtered = ((filters @ operator)[:, :, 0] for operator in (bulk.delayed, bulk.filtered))
        return FilterPlan(
            found.grid,
            flow_delay,
            found.basis,
            found.fixed,
            of_bulk.astype(np.float32),
            of_filtered.astype(np.float32),
            (filters[:, :, 0] @ bulk.ramp).astype(np.float32),
            drift,
        )

    def _usual_taus(self):
        """Nodes of time constants that wells have before any drift, every other one."""
        taus = self.grid.log_taus
        step = taus[1] - taus[0]
        inside = (taus > taus[0] + MOST_DRIFT - step) & (taus < taus[-1] - MOST_DRIFT / 2 + step)
        return np.flatnonzero(inside if inside.any() else np.isfinite(taus))[::2]

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
class Filters:
    """Filters at the nodes of a grid, as what they make of projections.

    Parameters
    ----------
    grid : ResponseGrid
    basis : ndarray of shape (n_vectors, n_frames), float32
    fixed : ndarray of shape (n_taus, n_delays, n_vectors + 3), float32
        See `FilterPlan`.
    """

    grid: ResponseGrid
    basis: np.ndarray
    fixed: np.ndarray

    def by_frame(self):
        """Weight of each frame, (n_taus, n_delays, n_frames)."""
        return self.fixed[:, :, :N_VECTORS] @ self.basis


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
    of_bulk, of_filtered, of_ramp : ndarray of shape (n_taus, n_delays, n_frames), float32
        What the filter of a node makes of the bulk in an empty trace, of that behind the well's low-pass, and of the
        drift of all pixels in it.
    drift : DriftFilter
    """

    grid: ResponseGrid
    flow_delay: "FlowDelay"
    basis: np.ndarray
    fixed: np.ndarray
    of_bulk: np.ndarray
    of_filtered: np.ndarray
    of_ramp: np.ndarray
    drift: DriftFilter

    def amplitudes(self, frames, empty, fit, mean_log_tau):
        """Amplitude of each well in a flow.

        Parameters
        ----------
        frames : ndarray of shape (n_frames, n_wells)
            Counts; from which level on does not matter.
        empty : ndarray of shape (n_frames,)
            Mean empty trace of the flow, counts above its first frame.
        fit : WellFit
        mean_log_tau : float
            Where the first dark trace holds.

        Returns
        -------
        ndarray of shape (n_wells,), float32
        """
        projections = self.basis @ (frames - frames[:1]).astype(np.float32)
        wells = PlacedWells.of(np.arange(frames.shape[1]), self.grid, fit, mean_log_tau)
        return self.combined(projections, empty, wells)

    def combined(self, projections, empty, wells, drift=(0.0, 0.0)):
        """The same from the traces' projections on the basis, (n_vectors, n_all), for `PlacedWells`.

        `drift`: how buffering has drifted (`BufferDrift`).
        """
        empty = np.asarray(empty, np.float32)
        table = np.zeros((*self.grid.shape, N_VALUES), np.float32)
        n_fixed = self.fixed.shape[2]
        table[:, :, :n_fixed] = self.fixed
        ramp, bulk, filtered = (
            (part.reshape(-1, len(empty)) @ empty).reshape(self.grid.shape)
            for part in (self.of_ramp, self.of_bulk, self.of_filtered)
        )
        share = low_passed_share(self.grid, self.drift.tau_empty_s, drift).astype(np.float32)[:, None]
        table[:, :, N_VECTORS] += ramp
        # Both parts of the background move with the filters, not with the share.
        table[:, :, n_fixed], table[:, :, n_fixed + 1] = bulk, filtered - bulk
        table = moved_along_tau(self.grid, table, drift[0])
        table[:, :, n_fixed] += share * table[:, :, n_fixed + 1]
        found, places = np.empty(len(wells.wells), np.float32), wells.places
        kernels.combine_projections(
            table,
            places.tau_node,
            places.delay_node,
            places.tau_weight,
            places.delay_weight,
            projections,
            wells.wells,
            wells.gain,
            wells.place,
            self.flow_delay.seconds(empty),
            found,
        )
        return found

    def drift_seen(self, projections, empty, wells, drift):
        """What quiet wells tell of the drift of buffering: `DriftFilter.seen` from projections, (n_vectors, n_all)."""
        products = (self.drift.vectors @ self.basis.T).astype(np.float32) @ projections[:, wells.wells]
        return self.drift.seen(products, empty, wells, drift)


def amplitudes_of_flows(filters, frames, backgrounds, delays_s, wells):
    """Amplitudes of several flows of one nucleotide, as `FilterPlan.combined` gives them one by one.

    Parameters
    ----------
    filters : Filters
    frames : ndarray of shape (n_flows, n_frames, n_wells), float32
        Counts above the first stored frame.
    backgrounds : ndarray of shape (n_flows, n_taus, n_delays, n_frames)
        Of a well of unit gain at each node.
    delays_s : sequence of n_flows float
        By which each flow is late.
    wells : PlacedWells
        All wells of `frames`.

    Returns
    -------
    ndarray of shape (n_flows, n_wells), float32
    """
    projections = filters.basis @ frames
    fixed = wells.places.read(filters.fixed)
    found = np.einsum("vw,fvw->fw", fixed[:N_VECTORS], projections)
    dark, dark_slope, delay_gain = fixed[N_VECTORS:]
    levels = np.einsum("tdn,ftdn->tdf", filters.by_frame(), backgrounds)
    found -= wells.gain * wells.places.read(levels)
    found -= dark + wells.place * dark_slope
    found /= np.clip(1 + np.asarray(delays_s, np.float32)[:, None] * delay_gain, 0.5, 2)
    return found


@dataclass(frozen=True)
class TakenIn:
    """What one pass over the frames of a region gives.

    Parameters
    ----------
    projections : ndarray of shape (n_vectors, n_wells), float32
        Of traces counted from their first frame.
    pinned : ndarray of shape (n_wells,), bool
    mean : ndarray of shape (n_frames,), float64, or None
        Mean trace of the chosen wells that are not pinned, counts above the first frame; None without any.
    """

    projections: np.ndarray
    pinned: np.ndarray
    mean: np.ndarray | None


def take_in(frames, basis, low, high, chosen):
    """Project the traces of a region, find pinned wells and average chosen ones, in one pass.

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_rows, n_cols), int16
    basis : ndarray of shape (n_vectors, n_frames)
    low, high : int
        Counts; a pinned well has a frame at or below the one, or at or above the other.
    chosen : ndarray of shape (n_wells,), bool

    Returns
    -------
    TakenIn
    """
    n_frames, n_rows, n_cols = frames.shape
    if n_cols < _LEAST_COLS:
        # Too narrow for a strip of wells: pixels that are never chosen make it wider.
        wide = np.pad(frames, ((0, 0), (0, 0), (0, _LEAST_COLS - n_cols)), "edge")
        added = np.pad(chosen.reshape(n_rows, n_cols), ((0, 0), (0, _LEAST_COLS - n_cols))).ravel()
        inside = np.pad(np.ones((n_rows, n_cols), bool), ((0, 0), (0, _LEAST_COLS - n_cols))).ravel()
        found = take_in(wide, basis, low, high, added)
        return TakenIn(np.ascontiguousarray(found.projections[:, inside]), found.pinned[inside], found.mean)
    n_wells = n_rows * n_cols
    projections, pinned = np.empty((N_VECTORS, n_wells), np.float32), np.empty(n_wells, np.uint8)
    lanes, sums = np.empty((n_frames, _LEAST_COLS), np.int32), np.empty(n_frames + 1, np.int64)
    vectors = np.ascontiguousarray(basis.T, np.float32)
    kernels.take_in(frames, vectors, low + 1, high - 1, chosen.astype(np.uint8), lanes, projections, pinned, sums)
    mean = sums[:-1] / sums[-1] if sums[-1] else None
    return TakenIn(projections, pinned.astype(bool), mean)


@dataclass(frozen=True)
class PlacedWells:
    """Wells of a region that are measured, as the kernel takes them.

    Parameters
    ----------
    wells : ndarray of shape (n_wells,), int32
        Indices in the region.
    places : Places
    gain : ndarray of shape (n_wells,), float32
    place : ndarray of shape (n_wells,), float32
        Logarithm of each well's time constant less the mean of the region.
    """

    wells: np.ndarray
    places: Places
    gain: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, wells, grid, fit, mean_log_tau):
        """From the fits (`WellFit`) of the same wells."""
        place = (fit.log_tau - mean_log_tau).astype(np.float32)
        return cls(wells.astype(np.int32), grid.place(fit.log_tau, fit.delay_s), fit.gain.astype(np.float32), place)

    def at(self, chosen):
        """The same for a selection of them."""
        return PlacedWells(self.wells[chosen], self.places.at(chosen), self.gain[chosen], self.place[chosen])


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
        earlier, later = (clock.delayed(typical, delay) for delay in (-clock.step_s, clock.step_s))
        design = np.stack([typical, (later - earlier) / (2 * clock.step_s)], axis=1)
        root = np.sqrt(weight)[:, None]
        towards = np.linalg.pinv(design * root) * root.T
        return cls(towards - towards @ ramp)

    def seconds(self, empty):
        """Delay of a flow by its mean empty trace, seconds; at most `MOST_DELAY_S` either way."""
        size, moment = self.towards @ empty
        return max(min(float(moment / size), MOST_DELAY_S), -MOST_DELAY_S) if size > 0 else 0.0
