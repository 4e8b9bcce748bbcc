"""Keys in signals: normalisation by the key's flows, and the test that the key is there (basecaller.md 2.2)."""

import numpy as np

from ionanalysis.errors import InputError

_LEAST, _GREATEST = -1.0, 23.0
_MIN_KEY_SIGNAL, _MIN_KEY_STEP = 0.3, 0.25


def normalise_key(signals, key_flowgram, mode="gain"):
    """Scale signals so that the bases of the key measure 1.

    Parameters
    ----------
    signals : ndarray of shape (n_reads, n_flows), float32
        As in the wells file; not changed.
    key_flowgram : ndarray of shape (n_key_flows,)
        Run lengths of the key, up to its last base (`FlowOrder.key_flowgram`). The last flow is left
        out: there the key may merge with the insert.
    mode : {"gain", "adaptive", "off"}
        Scale; shift and scale; or only make NaN 0.

    Returns
    -------
    ndarray of shape (n_reads, n_flows), float32
        Clamped to -1..23 unless `mode` is "off". NaN becomes 0.

    Notes
    -----
    Source: basecaller.md 2.2; the adaptive mode's example of 12.4 holds.
    """
    signals = np.asarray(signals, np.float32)
    if not np.isfinite(signals).all():
        signals = np.nan_to_num(signals, nan=0.0, posinf=_GREATEST, neginf=_LEAST)
    if mode == "off":
        return signals.copy()
    offset, gain = _key_scale(signals, key_flowgram, mode)
    scaled = signals - offset[:, None] if offset.any() else signals
    scaled = scaled * gain[:, None]
    return np.clip(scaled, _LEAST, _GREATEST, out=scaled)


def _key_scale(signals, key_flowgram, mode):
    """Offset and gain of each read by which its key measures 1, float32 of shape (n_reads,); arguments as above."""
    if mode not in ("gain", "adaptive"):
        raise InputError(f"key normalisation {mode!r} is unknown; choose gain, adaptive or off.")
    usable = np.asarray(key_flowgram[:-1])
    key = signals[:, : len(usable)]
    ones = usable > 0
    offset = np.zeros(len(signals), np.float32)
    if mode == "gain":
        total = key[:, ones].sum(axis=1)
        enough, wanted = total > _MIN_KEY_SIGNAL, np.float32(usable[ones].sum())
    else:
        if (~ones).any():
            offset = key[:, ~ones].mean(axis=1)
        total = key[:, ones].mean(axis=1) - offset if ones.any() else 1 - offset
        enough, wanted = total > _MIN_KEY_STEP, np.float32(1)
    return offset, np.where(enough, wanted / np.where(enough, total, 1), 1).astype(np.float32)


def shows_key(signals, key_flowgram):
    """Whether the key is in the signals: each flow but the key's last rounds to the key's run length.

    Parameters
    ----------
    signals : ndarray of shape (n_reads, n_flows), float32
        Key-normalised.
    key_flowgram : ndarray of shape (n_key_flows,)

    Returns
    -------
    ndarray of shape (n_reads,), bool
    """
    usable = np.asarray(key_flowgram[:-1], np.float32)
    # Halves round away from zero, as in the original; NumPy would round them to even.
    rounded = np.floor(signals[:, : len(usable)] + np.float32(0.5))
    return (rounded == usable).all(axis=1)


def pinned_flows(signals, key_flowgrams, which):
    """What reads that show their key are known to hold in its flows, for the solver.

    Parameters
    ----------
    signals : ndarray of shape (n_reads, n_flows), float32
        Key-normalised.
    key_flowgrams : sequence of ndarray
        Run lengths of each key, up to its last base.
    which : ndarray of shape (n_reads,), int
        Key of each read, an index into `key_flowgrams`.

    Returns
    -------
    ndarray of shape (n_reads, n_known), int8
        Bases of each flow of the key; in its last flow, where the insert may add to them, -1 less the key's bases
        there (at least so many); -1 in all flows of reads that do not show their key: nothing is known.
    """
    n_known = min(max(map(len, key_flowgrams), default=0), signals.shape[1])
    pinned = np.full((len(signals), n_known), -1, np.int8)
    for number, flowgram in enumerate(key_flowgrams):
        known = np.array(flowgram, np.int8)
        known[-1:] = -1 - known[-1:]
        own = (which == number) & shows_key(signals, flowgram)
        pinned[own, : len(known)] = known[:n_known]
    return pinned
