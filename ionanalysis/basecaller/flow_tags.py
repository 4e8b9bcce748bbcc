"""Tags that carry one value per flow: ZM, FZ, and Ya, Yb, Yw, Yx (basecaller.md 8.4, 8.5)."""

import numpy as np

from ionanalysis.bam import TagColumn, flow_units

_LEAST_INPHASE = 1e-6
_WINDOW = 40
"""Flows over which the normalisation of a read is taken for a straight line; its gain drifts over some 30."""


def flow_signal_tags(called, chosen, n_kept, options, raw=None, measured=None, dummy=False, units=None):
    """The columns of per-flow tags of some reads.

    Parameters
    ----------
    called : CalledReads
    chosen : ndarray of int
        Reads wanted.
    n_kept : ndarray of shape (n_chosen,)
        Flows of ZM (and of the tags like it) if they are trimmed.
    options : FlowTagOptions
    raw : ndarray of shape (n_reads, n_flows), float32, optional
        Key-normalised signals of all reads, before any other normalisation.
    measured : ndarray of the same shape, optional
        Signals as in the wells file.
    dummy : bool
        Write a FZ of one zero if none is asked for.
    units : ndarray of shape (n_reads, n_flows), int16, optional
        ZM of all reads, where it is at hand.

    Returns
    -------
    list of TagColumn
    """
    lengths = n_kept if options.trim_zm else None
    columns = []
    if options.write_zm:
        units = flow_units(called.signal_without_droop(chosen)) if units is None else units[chosen]
        columns.append(TagColumn("ZM", "B:s", quantised(units, options.zm_step), lengths))
    if options.flow_signals_type != "none":
        columns.append(TagColumn("FZ", "B:S", fz_units(called, chosen, options.flow_signals_type, raw, measured)))
    elif dummy:
        columns.append(TagColumn("FZ", "B:S", np.zeros((len(chosen), 1), np.uint16)))
    if options.debug_normalization_bam:
        offset, gain = normalisation(called.signal[chosen], raw[chosen])
        of_tag = {"Ya": offset, "Yb": gain, "Yw": raw[chosen], "Yx": called.signal_without_droop(chosen)}
        columns += [TagColumn(name, "B:s", flow_units(values), lengths) for name, values in of_tag.items()]
    return columns


def quantised(units, step):
    """Flow units rounded to the nearest multiple of `step`, int16; 2 leaves them as they are.

    What remains of a signal is exact to half a step, 1/64 base for a step of 8: a fifth of the noise of a good flow.
    Called again, one read in twenty then differs, in its most doubtful run; the file is a sixth smaller.

    >>> quantised(np.int16([254, 258, -30, 32766]), 16).tolist()
    [256, 256, -32, 32752]
    """
    if step <= 2:
        return units
    most = (32767 // step) * step
    return np.clip(step * np.rint(units / step), -most, most).astype(np.int16)


def fz_units(called, chosen, kind, raw=None, measured=None):
    """Values of tag FZ, uint16 of shape (n_chosen, n_flows).

    Parameters
    ----------
    called, chosen, raw, measured
        As for `flow_signal_tags`.
    kind : str
        ``wells``: `measured`; ``key-normalized``: `raw`; ``adaptive-normalized``: the normalised signal;
        ``residual``: that less the prediction; ``scaled-residual``: the same in parts of the strands in phase.

    Notes
    -----
    Source: basecaller.md 8.4. Signals are in hundredths of a base, residuals have 1000 (49.5 if scaled) for 0.
    """
    of_kind = {"wells": measured, "key-normalized": raw, "adaptive-normalized": called.signal}
    if kind in of_kind:
        return _truncated(100 * of_kind[kind][chosen] + 0.5)
    residual = called.signal[chosen] - called.predicted[chosen]
    if kind == "residual":
        return _truncated(1000 + 100 * residual)
    scaled = residual / np.maximum(called.inphase[chosen], _LEAST_INPHASE)
    return _truncated(49.5 + 100 * np.clip(scaled, -0.49, 0.49))


def _truncated(values):
    return np.clip(np.nan_to_num(values), 0, 65535).astype(np.uint16)


def normalisation(signal, raw):
    """Offset and gain with which ``signal`` is ``(raw - offset) / gain``, float32 of shape (n, n_flows) each.

    Both drift slowly along a read: they are the straight line through the signals of the 40 flows around
    each flow, which meets the flow itself exactly through the offset.
    """
    half = _WINDOW // 2
    n_flows = signal.shape[1]
    low = np.maximum(np.arange(n_flows) - half, 0)
    high = np.minimum(np.arange(n_flows) + half, n_flows)

    def window_mean(values):
        total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)
        return (total[:, high] - total[:, low]) / (high - low)

    mean_signal, mean_raw = window_mean(signal), window_mean(raw)
    signal64, raw64 = signal.astype(np.float64), raw.astype(np.float64)
    spread = window_mean(signal64 * signal64) - mean_signal**2
    shared = window_mean(signal64 * raw64) - mean_signal * mean_raw
    gain = np.divide(shared, spread, out=np.ones_like(shared), where=spread > 1e-3)
    return (raw64 - gain * signal64).astype(np.float32), gain.astype(np.float32)
