"""Normalisation of the wells of a region by each other, `--wells-normalization` (basecaller.md 1.5)."""

import numpy as np

_MIN_KEY_SIGNAL = 0.3
_MEMORY = 10
"""Flows of one kind whose mean is that kind's level."""
_FIT_FLOWS, _ZERO_FLOWS, _FIRST_BIASED, _NUC_FLOWS = 30, 50, 25, 320
_NEAR = 16
_LEAST_WELLS = 300
_LEAST_STEP = 0.2


def normalise_wells(signals, flow_order, mode, good, tf, key_flowgrams):
    """Take out of signals what the wells of a region share: a bias of each flow and nucleotide.

    Parameters
    ----------
    signals : ndarray of shape (n, n_flows), float32
        Of the reads of a region; not changed.
    flow_order : FlowOrder
    mode : {"keyOnly", "signalBiasOnly", "pinZero", "fix01", "offset"}
        Only scale by the key; or correct the bias, too: the 0-mers of each flow become 0 (pinZero), or are moved to
        what neighbouring flows of the nucleotide measure, alone (offset) or with the signals up to 1-mers (fix01).
        signalBiasOnly is fix01 without scaling by the key.
    good : ndarray of shape (n,), bool
        Library reads that signal processing did not filter: the bias is measured on them.
    tf : ndarray of shape (n,), bool
        Test fragments.
    key_flowgrams : pair of ndarray
        Run lengths of the library key and of the test fragments' key.

    Returns
    -------
    ndarray of shape (n, n_flows), float32

    Notes
    -----
    With fewer than 300 good reads, or 300 among them that fit well, a flow's bias cannot be told, and the signals are
    only scaled and shifted read by read. Source: basecaller.md 1.5.
    """

    def scaled(values):
        return values if mode == "signalBiasOnly" else _scale_by_key(values, tf, key_flowgrams)

    signals = scaled(np.array(signals, np.float32))
    if mode == "keyOnly":
        return signals
    kinds, _ = classify(signals)
    signals = scaled(_without_offset(signals, kinds))
    kinds, misfit = classify(signals)
    n_good = int(good.sum())
    chosen = good & (misfit <= misfit[good].mean()) if n_good else good
    if n_good < _LEAST_WELLS or chosen.sum() < _LEAST_WELLS:
        return signals
    zero, one, zero_share = _levels(signals[chosen], kinds[chosen])
    _correct_flows(signals, flow_order.bases, zero, one, zero_share, mode)
    zero, _, zero_share = _levels(signals[chosen], kinds[chosen])
    signals += _nucleotide_shift(flow_order.bases, zero, zero_share)
    kinds, _ = classify(signals)
    return scaled(_without_offset(signals, kinds))


def classify(signals):
    """Take each signal for a 0-mer, a 1-mer or more, whatever is nearest.

    The levels of a read, m0, m1 and 2 m1 - m0, follow the means of the last ten flows of each kind, from 0 and 1.

    Parameters
    ----------
    signals : ndarray of shape (n, n_flows), float32

    Returns
    -------
    kinds : ndarray of shape (n, n_flows), int8
        0, 1, or 2 for two bases and more.
    misfit : ndarray of shape (n,), float32
        Mean distance from the level over the first 30 flows, in bases.
    """
    n, n_flows = signals.shape
    every = np.arange(n)
    kinds = np.empty((n, n_flows), np.int8)
    misfit = np.zeros(n, np.float32)
    # The last signals of 0-mers and 1-mers, written round and round; a level starts as one signal of its seed.
    recent = np.zeros((2, n, _MEMORY), np.float32)
    recent[1, :, 0] = 1.0
    count = np.ones((2, n), np.intp)
    level = np.repeat(np.array([[0.0], [1.0]], np.float32), n, axis=1)
    for flow in range(n_flows):
        measured = signals[:, flow]
        distance = np.abs(np.stack([level[0], level[1], 2 * level[1] - level[0]]) - measured)
        kind = np.where(level[1] < level[0], 0, distance.argmin(axis=0)).astype(np.int8)
        kinds[:, flow] = kind
        if flow < _FIT_FLOWS:
            misfit += distance[kind, every]
        for which in (0, 1):
            here = np.flatnonzero(kind == which)
            recent[which, here, count[which, here] % _MEMORY] = measured[here]
            count[which, here] += 1
            held = np.minimum(count[which, here], _MEMORY)
            level[which, here] = recent[which, here].sum(axis=1) / held
    return kinds, misfit / min(n_flows, _FIT_FLOWS)


def _scale_by_key(signals, tf, key_flowgrams):
    """Signals scaled so that the bases of the key measure 1; those of reads with hardly any key signal stay."""
    scaled = signals.copy()
    for which, flowgram in zip((~tf, tf), key_flowgrams, strict=True):
        usable = np.asarray(flowgram[:-1])
        total = signals[which][:, : len(usable)][:, usable > 0].sum(axis=1)
        gain = np.where(total < _MIN_KEY_SIGNAL, 1, usable.sum() / np.where(total < _MIN_KEY_SIGNAL, 1, total))
        scaled[which] *= gain[:, None].astype(np.float32)
    return scaled


def _without_offset(signals, kinds):
    """Signals less the mean of each read's 0-mers among the first 50 flows."""
    zero = kinds[:, :_ZERO_FLOWS] == 0
    total = np.where(zero, signals[:, :_ZERO_FLOWS], 0).sum(axis=1)
    return signals - (total / np.maximum(zero.sum(axis=1), 1))[:, None].astype(np.float32)


def _levels(signals, kinds):
    """Mean 0-mer and mean 1-mer of each flow, and the share of 0-mers in it."""
    zero, one = kinds == 0, kinds == 1
    means = [
        np.where(which, signals, 0).sum(axis=0, dtype=np.float64) / np.maximum(which.sum(axis=0), 1)
        for which in (zero, one)
    ]
    return means[0], means[1], zero.mean(axis=0)


def _correct_flows(signals, bases, zero, one, zero_share, mode):
    """Correct the bias of each flow from the 25th on, in place."""
    flows = np.arange(len(bases))
    for flow in range(_FIRST_BIASED, len(bases)):
        near = (bases == bases[flow]) & (flows >= flow - _NEAR) & (flows < flow + _NEAR)
        weight = zero_share[near]
        if weight.sum() <= 0:
            continue
        target = float(weight @ zero[near] / weight.sum())
        measured = signals[:, flow]
        if mode == "pinZero":
            measured -= np.float32(zero[flow])
        elif mode == "offset":
            measured += np.float32(target - zero[flow])
        elif one[flow] - zero[flow] > _LEAST_STEP:
            slope = (one[flow] - target) / (one[flow] - zero[flow])
            below = measured < one[flow]
            measured[below] = one[flow] + slope * (measured[below] - one[flow])


def _nucleotide_shift(bases, zero, zero_share):
    """What to add to each flow so that the 0-mers of all nucleotides agree, float32 (n_flows,)."""
    first = slice(_NUC_FLOWS)
    weight = np.bincount(bases[first], zero_share[first], minlength=4)
    total = np.bincount(bases[first], zero_share[first] * zero[first], minlength=4)
    offset = total / np.maximum(weight, 1e-9)
    known = weight > 0
    shift = np.where(known, offset[known].mean() - offset, 0) if known.any() else np.zeros(4)
    return shift[bases].astype(np.float32)
