"""What a fit found, as plain arrays for ``fit_parameters.h5`` (`ionanalysis.io.fit_parameters`)."""

import numpy as np

from ionanalysis.io.fit_parameters import FitParameters


def fit_parameters(fitter):
    """Values of wells, regions and flows of a `SignalFitter` that has measured all flows, as `FitParameters`.

    Regions in which nothing could be learned have NaN.
    """
    beads = fitter.beads
    wells = {
        "copies": fitter.copies(),
        "gain": beads.gain,
        "time_constant_s": beads.time_constant_s,
        "t0_s": beads.well_t0_s,
        "residual_counts": beads.residual,
        "bead_probability": beads.bead_probability,
    }
    regions = {
        "place": np.array([(tile.row, tile.col, tile.n_rows, tile.n_cols) for tile in beads.tiles], np.int32),
        "t0_s": beads.t0_s,
        "time_constant_empty_s": beads.tau_empty_s,
        "noise_counts": beads.noise,
        "onset_s": _of_models(fitter, lambda model: model.onsets_s, (4,)),
        "curvature": _of_models(fitter, lambda model: model.scale.curvature, (4,)),
        "log_time_constant": _of_models(fitter, lambda model: model.mean_log_tau, ()),
        "frame_s": np.tile(np.float32(fitter.clock.mid_s), (len(beads.tiles), 1)),
        "frame_weight": beads.frame_weight,
        "hydrogen_counts": _of_models(fitter, _each_nuc("hydrogen", fitter.clock), (4, fitter.clock.n_frames)),
        "dark_counts": _of_models(fitter, _each_nuc("dark", fitter.clock), (4, 2, fitter.clock.n_frames)),
    }
    return FitParameters(wells, regions, {"zero_level": fitter.zero_level.astype(np.float32)})


def at_frames(values, clock, frames):
    """Traces (..., n) of one clock at the middles of another's frames: a model may merge some of a run's."""
    flat = np.reshape(values, (-1, clock.n_frames))
    found = [np.interp(frames.mid_s, clock.mid_s, trace) for trace in flat]
    return np.reshape(found, (*np.shape(values)[:-1], frames.n_frames))


def _each_nuc(name, frames):
    return lambda model: [at_frames(getattr(flow, name), flow.clock, frames) for flow in model.flows]


def _of_models(fitter, values, shape):
    nothing = np.full(shape, np.nan)
    return np.array([nothing if model is None else values(model) for model in fitter.models], np.float32)
