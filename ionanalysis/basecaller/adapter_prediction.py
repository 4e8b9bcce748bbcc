"""Bead adapters by their predicted signal (basecaller.md 6.6, mode 2)."""

import numpy as np

from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.flows import encode_bases

_FLOWS_BEFORE = 8
_BASES_TERM = 0.2
_LEAST_SCORE = -0.1
_CHUNK = 2000
_NOWHERE = -1e10
_LEAST_INPHASE = 1e-3


def predicted_adapters(called, flow_order, adapters):
    """The best place of each adapter in each read, told by what signal it would give from there on.

    Parameters
    ----------
    called : CalledReads
        Of n reads.
    flow_order : FlowOrder
    adapters : tuple of str

    Returns
    -------
    found : ndarray of shape (n_adapters + 1, n, 3), int32
        Start flow, start base, and -1 for the bases that match, which this mode does not count.
    scores : ndarray of shape (n_adapters + 1, n), float32
        -1e10 where an adapter is in no place likely enough; the last row always.

    Notes
    -----
    Only bases that are the adapter's first are tried. The signal of bases and adapter is compared with
    that of all called bases, from 8 flows before the place to the adapter's last flow, after scaling the measured
    signal to each. Score: less the surplus of squared differences per flow, in parts of the strands in phase, less 0.2
    per adapter base compared; -0.1 at least.
    """
    found = np.full((len(adapters) + 1, len(called), 3), -1, np.int32)
    scores = np.full((len(adapters) + 1, len(called)), _NOWHERE, np.float32)
    owner = np.repeat(np.arange(len(called)), called.n_bases)
    for number, adapter in enumerate(adapters):
        places = np.flatnonzero(called.bases == ord(adapter[0]))
        for begin in range(0, len(places), _CHUNK):
            chunk = places[begin : begin + _CHUNK]
            value = _scores(called, flow_order, adapter, owner[chunk], chunk)
            good = value > _LEAST_SCORE
            # Worst first, later before earlier: what is written last is the best and, of equals, the first.
            order = np.flatnonzero(good)[np.lexsort((-chunk[good], value[good]))]
            better = value[order] > scores[number, owner[chunk[order]]]
            for place, score in zip(chunk[order][better], value[order][better], strict=True):
                scores[number, owner[place]] = score
                found[number, owner[place], :2] = called.base_flow[place], place - called.base_start[owner[place]]
    return found, scores


def _scores(called, flow_order, adapter, read, place):
    """Score of the adapter at each base `place` of the reads `read`."""
    n_flows = len(flow_order)
    starts, flows, lengths, last, n_adapter = _runs(called, flow_order, adapter, read, place)
    rates = called.phase[read].astype(np.float64)
    predicted, _ = predict_signal(flow_order, starts, flows, lengths, rates)
    column = np.arange(n_flows)
    begin = np.maximum(called.base_flow[place].astype(np.int64) - _FLOWS_BEFORE, 0)
    window = (column >= begin[:, None]) & (column <= last[:, None])
    measured = called.signal[read].astype(np.float64)
    surplus = _misfit(measured, predicted, window) - _misfit(measured, called.predicted[read], window)
    inphase = np.maximum(called.inphase[read, called.base_flow[place]], _LEAST_INPHASE)
    return -(surplus / (window.sum(axis=1) * inphase) + _BASES_TERM / np.maximum(n_adapter, 1))


def _misfit(measured, predicted, window):
    """Squared difference of scaled measurements from a prediction, in a window of flows."""
    measured, predicted = np.where(window, measured, 0.0), np.where(window, predicted, 0.0)
    shared = (measured * predicted).sum(axis=1)
    gain = np.divide(shared, (predicted**2).sum(axis=1), out=np.ones(len(shared)), where=shared > 0)
    return ((measured / gain[:, None] - predicted) ** 2).sum(axis=1)


def _runs(called, flow_order, adapter, read, place):
    """Runs of the bases before each place and the adapter behind them, as `predict_signal` wants them."""
    n_flows, letters = len(flow_order), flow_order.bases
    # Next flow, at or behind each flow, of each nucleotide; n_flows stands for none.
    following = np.full((4, n_flows + 1), n_flows, np.int64)
    for nuc in range(4):
        at = np.where(letters == nuc, np.arange(n_flows), n_flows)
        following[nuc, :n_flows] = np.minimum.accumulate(at[::-1])[::-1]
    codes = encode_bases(adapter)
    tail = np.empty((len(place), len(codes)), np.int64)
    flow = called.base_flow[place].astype(np.int64)
    for position, code in enumerate(codes):
        flow = following[code, flow]
        tail[:, position] = flow
    inside = tail < n_flows
    counts = np.zeros((len(place), n_flows + 1), np.float32)
    n_before = place - called.base_start[read]
    row = np.repeat(np.arange(len(place)), n_before)
    base = np.repeat(called.base_start[read], n_before) + np.arange(n_before.sum())
    base -= np.repeat(np.cumsum(n_before) - n_before, n_before)
    np.add.at(counts, (row, called.base_flow[base]), 1)
    np.add.at(counts, (np.arange(len(place))[:, None], tail), 1)
    counts = counts[:, :n_flows]
    rows, flows = np.nonzero(counts)
    starts = np.searchsorted(rows, np.arange(len(place) + 1))
    last = np.where(inside, tail, 0).max(axis=1)
    return starts, flows, counts[rows, flows], last, inside.sum(axis=1)
