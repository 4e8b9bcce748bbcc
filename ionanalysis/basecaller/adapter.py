"""Where the bead adapter begins in each read (basecaller.md 6.6)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis._core import adapter as kernels
from ionanalysis.basecaller.adapter_prediction import predicted_adapters
from ionanalysis.errors import InputError, expect_shape

_NOWHERE = -1e10
PREDICTED = 2


@dataclass(frozen=True, eq=False)
class AdapterHits:
    """Bead adapters of n reads; -1 where none was found.

    `start_flow`, `start_base` (counted from the first called base), `matched` bases and `index` of the
    adapter are int32 of shape (n,); `score` and its lead over the next adapter, `separation`, float32.
    `n_competing` int32: adapters that were acceptable.
    """

    start_flow: np.ndarray
    start_base: np.ndarray
    matched: np.ndarray
    index: np.ndarray
    score: np.ndarray
    separation: np.ndarray
    n_competing: np.ndarray

    @property
    def found(self):
        return self.index >= 0


def find_adapters(called, flow_order, adapters, *, cutoff=16.0, min_match=6, separation=0.0, mode=1):
    """Align bead adapters to reads, flow by flow.

    Parameters
    ----------
    called : CalledReads
        Of n reads.
    flow_order : FlowOrder
    adapters : tuple of str
        In read direction, letters A, C, G, T.
    cutoff : float
        Greatest misfit: twice the adapter's length times the mean squared difference per flow.
    min_match : int
        Least bases of the adapter in the read.
    separation : float
        Least lead of the best adapter's score over the next one's.
    mode : int
        Whether the difference in a flow is that of run lengths (0), or with the scaled residual of the flow (1); or
        predicted signals are compared instead (2), which knows neither cutoff nor least match, and is slow.

    Returns
    -------
    AdapterHits

    Raises
    ------
    InputError
        If an adapter is not spelled in A, C, G, T.

    Notes
    -----
    Twin: `ionanalysis.reference.adapter.find_adapter`. Source: basecaller.md 6.6.
    """
    n_reads = len(called)
    expect_shape("signal", called.signal, (n_reads, len(flow_order)), "one value per flow of each read")
    if mode == PREDICTED:
        found, scores = predicted_adapters(called, flow_order, adapters)
        return _best(found, scores, separation)
    residual = np.zeros_like(called.signal)
    if mode == 1 and adapters:
        np.divide(called.signal - called.predicted, called.inphase, out=residual, where=called.inphase > 0)
    letters = np.frombuffer(flow_order.letters.encode("ascii"), np.uint8)
    found = np.full((len(adapters) + 1, n_reads, 3), -1, np.int32)
    scores = np.full((len(adapters) + 1, n_reads, 1), _NOWHERE, np.float32)
    for index, sequence in enumerate(adapters):
        kernels.find_adapter(
            np.ascontiguousarray(called.bases, np.uint8),
            np.ascontiguousarray(called.base_flow, np.int16),
            np.ascontiguousarray(called.base_start, np.int64),
            residual,
            letters,
            _adapter_letters(sequence),
            cutoff,
            min_match,
            found[index],
            scores[index],
        )
    return _best(found, scores[:, :, 0], separation)


def _best(found, scores, separation):
    """The best adapter of each read; the last row stands for "none"."""
    n_adapters = len(scores) - 1
    n_reads = scores.shape[1]
    acceptable = scores[:-1] > _NOWHERE
    ranked = np.sort(scores, axis=0)[::-1]
    lead = ranked[0] - ranked[1] if n_adapters else np.zeros(n_reads, np.float32)
    index = np.argmax(scores, axis=0).astype(np.int32)
    index[~acceptable.any(axis=0) | (lead < separation)] = -1
    hit = found[index, np.arange(n_reads)]
    n_competing = acceptable.sum(axis=0).astype(np.int32)
    return AdapterHits(
        start_flow=hit[:, 0],
        start_base=hit[:, 1],
        matched=hit[:, 2],
        index=index,
        score=ranked[0],
        separation=np.where(n_competing > 1, lead, 0).astype(np.float32),
        n_competing=n_competing,
    )


def check_adapter(sequence):
    """Raise `InputError` unless a bead adapter is letters A, C, G, T (any case), or "off"."""
    if sequence != "off" and (not sequence or set(sequence.upper()) - set("ACGT")):
        raise InputError(f"bead adapter {sequence!r} must be letters A, C, G, T.")


def _adapter_letters(sequence):
    check_adapter(sequence)
    return np.frombuffer(sequence.encode("ascii"), np.uint8)
