"""From normalised signals to called reads."""

from dataclasses import dataclass

import numpy as np

from ionanalysis._core import called as called_kernels
from ionanalysis._core import solve as kernels
from ionanalysis.basecaller.called import CALLED, NO_BASES, NO_SIGNAL, CalledReads
from ionanalysis.basecaller.quality import base_qualities
from ionanalysis.errors import expect_shape
from ionanalysis.flows import MAX_RUN, NUCS
from ionanalysis.options.basecaller import SolverOptions

_LETTERS = np.frombuffer(NUCS.encode(), np.uint8)


def call_block(
    signals,
    row,
    col,
    flow_order,
    phase_values,
    options=None,
    *,
    pinned=None,
    response=None,
    noise=None,
    polish=None,
    table=None,
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
    response : ndarray of shape (4, MAX_RUN + 2), float32, or ReadResponse, optional
        Signal of runs by nucleotide and length (`PhaseEstimate.response`), or by read, flow and length
        (`calibration.response_of_reads`); each base as much as any other by default.
    noise : ndarray of shape (noise.N_LEVELS,), float32, optional
        Noise of the chip by signal (`PhaseEstimate.noise`), for qualities; what the solver expects by default.
    polish : callable, optional
        Changes what `solve_runs` has found, before qualities are given (`CallCalibration.polish`).
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
    if polish is not None:
        polish(solved)
    qualities = base_qualities(solved, options, table, noise)
    return reads_of_runs(solved, row, col, flow_order, phase_values, qualities)


def reads_of_runs(solved, row, col, flow_order, phase_values, qualities):
    """`CalledReads` of what `solve_runs` gives; `qualities` has one value per base."""
    n_runs = solved["n_runs"]
    n_bases = np.empty(len(n_runs), np.int64)
    called_kernels.count_bases(n_runs, solved["run_length"], n_bases)
    base_start = np.concatenate([[0], np.cumsum(n_bases)])
    base_flow = np.empty(base_start[-1], np.int16)
    called_kernels.expand_runs(n_runs, solved["run_flow"], solved["run_length"], base_flow)
    return CalledReads(
        row=row,
        col=col,
        base_start=base_start,
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


@dataclass(frozen=True, eq=False)
class ReadResponse:
    """Signal of homopolymer runs for each of n reads, by flow and length: reads share models, flows share tables.

    Attributes
    ----------
    sizes : ndarray of shape (n_models, n_tables, MAX_RUN + 2), float32
        Signal of a run by length, in bases, rising with it.
    offset : ndarray of shape (n_models, n_flows), float32
        What is in each flow's signal besides, in bases.
    model : ndarray of shape (n,), int32
        Model of each read.
    table : ndarray of shape (n_flows,), int16
        Table that holds for each flow.
    """

    sizes: np.ndarray
    offset: np.ndarray
    model: np.ndarray
    table: np.ndarray

    @classmethod
    def same(cls, response, flow_order, n):
        """The same response (4, MAX_RUN + 2) for n reads and all flows of a nucleotide, without any offset."""
        sizes = np.ascontiguousarray(response, np.float32)[None]
        expect_shape("response", sizes[0], (len(NUCS), MAX_RUN + 2), "by nucleotide and length")
        offset = np.zeros((1, len(flow_order)), np.float32)
        return cls(sizes, offset, np.zeros(n, np.int32), flow_order.bases.astype(np.int16))

    @property
    def shifts(self):
        """Whether any flow has an offset."""
        return bool(self.offset.any())


def linear_response():
    """Signal of a run by nucleotide and length if each base gives as much as any other, float32 (4, 25)."""
    return np.tile(np.arange(MAX_RUN + 2, dtype=np.float32), (4, 1))


def solve_runs(signals, flow_order, phase_values, options, *, pinned=None, response=None, kernels=kernels):
    """Homopolymer runs of reads, as `_core.solve.solve_reads` gives them, by name.

    Parameters
    ----------
    signals, flow_order, phase_values, options, pinned
        As for `call_block`.
    response : array_like of shape (4, MAX_RUN + 2), float32, or ReadResponse, optional
        Signal of a run by nucleotide (A, C, G, T) and length, in bases, rising with length; `linear_response` by
        default. Offsets are taken out of the signals before they are solved, and put back after.

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
    if response is None:
        response = linear_response()
    if not isinstance(response, ReadResponse):
        response = ReadResponse.same(response, flow_order, n)
    if n and n_flows:
        signals = np.ascontiguousarray(signals, np.float32)
        if response.shifts:
            signals = signals - response.offset[response.model]
        kernels.solve_reads(
            flow_order.bases,
            signals,
            phase_values,
            pinned,
            response.sizes,
            response.model,
            response.table,
            options.as_array(),
            *solved.values(),
        )
        if response.shifts:
            for name in ("signal", "predicted"):
                solved[name] += response.offset[response.model]
    return solved
