"""The signals of known templates, in and out of phase (basecaller.md 4.1, 4.2)."""

import numpy as np

from ionanalysis._core import simulate as kernels
from ionanalysis.errors import InputError
from ionanalysis.executors import map_blocks
from ionanalysis.flows import encode_bases
from ionanalysis.simulate.seeds import Purpose, stream

CUTOFF = 1e-9
"""Share of a well's strands that is not followed any further."""

_TEMPLATES_PER_TASK = 2048


def draw_phase(options, shape, seed):
    """Carry-forward, incomplete extension and droop of each well, float64 of shape (n_rows, n_cols, 3)."""
    random = stream(seed, Purpose.PHASE)
    mean = np.array([options.cf, options.ie, options.dr])
    spread = 1 + options.phase_spread * random.standard_normal((*shape, 3))
    down = np.linspace(-0.5, 0.5, shape[0])[:, None, None] if shape[0] > 1 else 0.0
    across = np.linspace(-0.5, 0.5, shape[1])[None, :, None] if shape[1] > 1 else 0.0
    return np.clip(mean * np.maximum(spread, 0.1) * (1 + options.phase_gradient * (down + across) / 2), 0, 0.5)


def phased_signals(sequences, flow_order, phase, executor):
    """Signal that each template gives in each flow.

    Strands take up a waiting base with the share of its nucleotide that is there: all of it in its own flow, then
    `cf` times less in every other flow; a fraction `ie` of those that could stay behind, and `dr` stop.

    Parameters
    ----------
    sequences : sequence of str
        Templates, letters A, C, G, T; an empty one gives no signal.
    flow_order : FlowOrder
    phase : array_like of shape (n_templates, 3), float64
        Carry-forward, incomplete extension and droop, in fractions per flow.
    executor : concurrent.futures.Executor
        Where parts run; the result does not depend on it.

    Returns
    -------
    signal : ndarray of shape (n_templates, n_flows), float32
        Bases per strand that was there at the start.
    """
    phase = np.ascontiguousarray(phase, np.float64)
    signal = np.empty((len(sequences), len(flow_order)), np.float32)

    def work(first):
        part = slice(first, first + _TEMPLATES_PER_TASK)
        available, taken = np.empty((4, len(flow_order))), np.empty(len(flow_order))
        base, length, start = runs_of(sequences[part])
        kernels.phase_runs(base, length, start, flow_order.bases, phase[part], CUTOFF, available, taken, signal[part])

    for _ in map_blocks(executor, work, range(0, len(sequences), _TEMPLATES_PER_TASK)):
        pass
    return signal


def runs_of(sequences):
    """Homopolymer runs of sequences, one after another: base int8, length int16, first run of each sequence int64.

    >>> runs_of(["TTCA", "", "A"])[2]
    array([0, 3, 3, 4])
    """
    codes = encode_bases("".join(sequences))
    if codes.min(initial=0) < 0:
        raise InputError("a template holds other letters than A, C, G, T; correct it.")
    ends = np.cumsum([0] + [len(sequence) for sequence in sequences])
    begins = np.diff(codes, prepend=-1) != 0
    begins[ends[:-1][ends[:-1] < len(codes)]] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(codes))
    return codes[starts], lengths.astype(np.int16), np.searchsorted(starts, ends).astype(np.int64)
