"""From normalised signals to called reads."""

import numpy as np

from ionanalysis._core import solve as kernels
from ionanalysis.basecaller.called import CALLED, NO_BASES, NO_SIGNAL, CalledReads
from ionanalysis.basecaller.quality import base_qualities
from ionanalysis.errors import expect_shape
from ionanalysis.flows import MAX_RUN, NUCS
from ionanalysis.options.basecaller import SolverOptions

_LETTERS = np.frombuffer(NUCS.encode(), np.uint8)


def call_block(
    signals, row, col, flow_order, phase_values, options=None, *, pinned=None, response=None, noise=None, table=None
):
    """Call the bases of reads whose signals are already scaled by their key.

    Parameters
    ----------
    signals : array_like of shape (n, n_flows), float32
        Signals with a 1-mer near 1 (`keys.normalise_key`). Reads with NaN or infinite values are not called.
    row, col : array_like of shape (n,), int
        Well of each read, in block coordinates.
    flow_order : FlowOrder
        Of exactly n_flows flows.
    phase_values : array_like of shape (n, 3), float64
        CF, IE, DR of each read, fractions per flow (`PhaseEstimate.at`).
    options : SolverOptions, optional
    pinned : ndarray of shape (n, n_known), int8, optional
        What is known of the first flows of each read (`keys.pinned_flows`).
    response : ndarray of shape (4, MAX_RUN + 2), float32, optional
        Signal of runs by nucleotide and length (`PhaseEstimate.response`); each base as much as any other by default.
    noise : ndarray of shape (noise.N_LEVELS,), float32, optional
        Noise of the chip by signal (`PhaseEstimate.noise`), for qualities; what the solver expects by default.
    table : PhredTable, optional
        Of our own predictors (`quality.PREDICTORS`); the shipped one by default.

    Returns
    -------
    reads : CalledReads
        Every read in the order given; those not called have a status other than 0 and no bases.

    Raises
    ------
    InputError
        If the shapes do not fit together.

    Notes
    -----
    Model: basecaller.md 4.1, 4.2; search and likelihood: docs/decisions/0004-solver.md. Reads are solved one
    by one, so how they are cut into blocks changes nothing.
    """
    options = options or SolverOptions()
    signals = np.ascontiguousarray(signals, np.float32)
    n_flows = len(flow_order)
    expect_shape("signals", signals, (len(row), n_flows), "one row per read, one column per flow")
    phase_values = np.ascontiguousarray(phase_values, np.float64)
    expect_shape("phase_values", phase_values, (len(row), 3), "cf, ie, dr of each read")
    solved = solve_runs(signals, flow_order, phase_values, options, pinned=pinned, response=response)
    qualities = base_qualities(solved, options, table, noise)
    return reads_of_runs(solved, row, col, flow_order, phase_values, qualities)


def reads_of_runs(solved, row, col, flow_order, phase_values, qualities):
    """`CalledReads` of what `solve_runs` gives; `qualities` has one value per base."""
    n_runs, run_flow, run_length = solved["n_runs"], solved["run_flow"], solved["run_length"]
    held = np.arange(run_flow.shape[1]) < n_runs[:, None]
    n_bases = np.where(held, run_length, 0).sum(axis=1)
    base_flow = np.repeat(run_flow[held], run_length[held])
    return CalledReads(
        row=row,
        col=col,
        base_start=np.concatenate([[0], np.cumsum(n_bases)]),
        bases=_LETTERS[flow_order.bases[base_flow]],
        qualities=qualities,
        base_flow=base_flow,
        signal=solved["signal"],
        predicted=solved["predicted"],
        inphase=solved["inphase"],
        phase=phase_values,
        status=np.where(n_runs < 0, NO_SIGNAL, np.where(n_bases == 0, NO_BASES, CALLED)),
        flow_order=flow_order,
    )


def linear_response():
    """Signal of a run by nucleotide and length if each base gives as much as any other, float32 (4, 25)."""
    return np.tile(np.arange(MAX_RUN + 2, dtype=np.float32), (4, 1))


def solve_runs(signals, flow_order, phase_values, options, *, pinned=None, response=None, kernels=kernels):
    """Homopolymer runs of reads, as `_core.solve.solve_reads` gives them, by name.

    Parameters
    ----------
    signals, flow_order, phase_values, options, pinned
        As for `call_block`.
    response : array_like of shape (4, MAX_RUN + 2), float32, optional
        Signal of a run by nucleotide (A, C, G, T) and length, in bases, rising with length; `linear_response` by
        default.

    Returns
    -------
    solved : dict of ndarray
        ``signal``, ``predicted``, ``inphase`` (n, n_flows) float32; ``n_runs`` (n,) int32, -1 for signals that are
        not finite; ``run_flow`` int16, ``run_length`` int8 (n, n_flows), the first n_runs of each row hold;
        ``losses`` (n, n_flows, 3) float32, nats lost with one base less, one more, one more run before the run.
    """
    n, n_flows = signals.shape
    solved = {
        "signal": np.zeros((n, n_flows), np.float32),
        "predicted": np.zeros((n, n_flows), np.float32),
        "inphase": np.ones((n, n_flows), np.float32),
        "n_runs": np.zeros(n, np.int32),
        "run_flow": np.zeros((n, n_flows), np.int16),
        "run_length": np.zeros((n, n_flows), np.int8),
        "losses": np.zeros((n, n_flows, 3), np.float32),
    }
    pinned = np.zeros((n, 0), np.int8) if pinned is None else np.ascontiguousarray(pinned, np.int8)
    expect_shape("pinned", pinned, (n, pinned.shape[-1]), "one row per read")
    if n and n_flows:
        kernels.solve_reads(
            flow_order.bases,
            np.ascontiguousarray(signals, np.float32),
            phase_values,
            pinned,
            np.ascontiguousarray(linear_response() if response is None else response, np.float32),
            options.as_array(),
            *solved.values(),
        )
    return solved
