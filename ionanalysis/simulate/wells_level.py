"""Signals as a good signal processing would leave them: phased, with gain, drift, offset and noise."""

import numpy as np

from ionanalysis.io.mask import Mask, WellFlag
from ionanalysis.simulate.response import WellResponse
from ionanalysis.simulate.seeds import Purpose, stream

NOISE_ROWS = 64
"""Rows whose noise comes from one stream. Part of the format: other numbers give other chips."""

_FLAGS = {
    "empty": WellFlag.EMPTY | WellFlag.REFERENCE,
    "pinned": WellFlag.EMPTY | WellFlag.PINNED,
    "dud": WellFlag.BEAD | WellFlag.DUD,
    "tf": WellFlag.BEAD | WellFlag.LIVE | WellFlag.TF,
    "library": WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB,
    "polyclonal": WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB,
}


def true_mask(kind):
    """The `Mask` that a perfect bead finding would give to wells of these kinds."""
    flags = np.zeros(kind.shape, np.uint16)
    for name, flag in _FLAGS.items():
        flags[kind == name] = flag
    return Mask(flags)


def noisy_signals(truth, options, flow_order):
    """Signals of the wells level, per template copy.

    Each well has its gain and offset, each flow its gain, each nucleotide its offset; gain falls over the run; noise
    grows with the signal. `WellResponse` adds compression, drift of gain and outliers.

    Parameters
    ----------
    truth : Truth
    options : SimulateOptions
        Its groups `chip`, `noise` and `response` are used.
    flow_order : FlowOrder

    Returns
    -------
    values : ndarray of shape (n_rows, n_cols, n_flows), float32
        Bases; 0 in wells without template.
    """
    noise, seed = options.noise, options.chip.seed
    n_rows, n_cols, n_flows = truth.shape
    random = stream(seed, Purpose.SIGNAL_GAIN)
    gain = np.maximum(1 + noise.signal_gain_sd * random.standard_normal((n_rows, n_cols)), 0.2).astype(np.float32)
    offset = (noise.offset_sd * random.standard_normal((n_rows, n_cols))).astype(np.float32)
    random = stream(seed, Purpose.FLOW)
    flow_gain = 1 + noise.flow_gain_sd * random.standard_normal(n_flows)
    response = WellResponse(options, (n_rows, n_cols), n_flows)
    flow_gain = (flow_gain * (1 - noise.signal_decay) ** np.arange(n_flows)).astype(np.float32) * response.flow_gain
    nuc_offset = (noise.nuc_offset_sd * stream(seed, Purpose.FLOW, 1).standard_normal(4)).astype(np.float32)
    if noise.nuc_offset:
        nuc_offset += np.asarray(noise.nuc_offset, np.float32)
    if noise.nuc_gain:
        flow_gain *= np.asarray(noise.nuc_gain, np.float32)[flow_order.bases]
    live = np.isin(truth.kind, ("library", "polyclonal", "tf"))

    values = np.empty(truth.shape, np.float32)
    for band, row in enumerate(range(0, n_rows, NOISE_ROWS)):
        part = slice(row, row + NOISE_ROWS)
        clean = response.compressed(truth.phased_signal[part]) * flow_gain
        if response.drifts:
            clean *= response.gain(part, np.arange(n_flows))
        draw = stream(seed, Purpose.SIGNAL_NOISE, band).standard_normal(clean.shape, np.float32)
        draw *= np.float32(noise.noise_sd) + np.float32(noise.noise_per_base) * clean
        draw *= response.noise_factor
        clean += draw + nuc_offset[flow_order.bases] + offset[part][:, :, None]
        clean *= gain[part][:, :, None]
        values[part] = np.where(live[part][:, :, None], clean, 0)
    for flow in range(n_flows) if response.has_outliers else ():
        values[:, :, flow] += np.where(live, gain * response.outliers(flow), 0)
    return values
