"""How the strands of a well fall out of phase: the model's signals, and its estimation from a chip."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ionanalysis._core import phase as kernels
from ionanalysis.basecaller.phase_json import (
    NAMES,
    phasing_section,
    read_grid,
    read_noise,
    read_response,
    response_section,
    sections_of_halves,
    subset_section,
)
from ionanalysis.errors import InputError, expect_shape
from ionanalysis.io.jsonfile import read_json, write_json


def predict_signal(flow_order, run_start, run_flow, run_length, phase, *, cutoff=1e-6):
    """Predict the flow signals of reads whose homopolymer runs are known.

    In a flow a strand that waits for nucleotide n takes its whole next run with probability a (1 - DR) (1 - IE);
    a, the availability of n, is 1 where n is flowed and shrinks by the factor CF with every flow after that.
    Of the strands that meet n, a fraction DR stops for good.

    Parameters
    ----------
    flow_order : FlowOrder
        The flows to predict.
    run_start : array_like of shape (n + 1,), int64
        Read i has the runs ``[run_start[i], run_start[i + 1])``.
    run_flow : array_like of shape (n_runs,), int32
        In-phase flow of each run, rising within a read.
    run_length : array_like of shape (n_runs,), float32
        Bases of each run.
    phase : array_like of shape (n, 3), float64
        CF, IE, DR, fractions per flow.
    cutoff : float
        Fractions of strands below are dropped at the ends of a run's window of flows.

    Returns
    -------
    signal : ndarray of shape (n, n_flows), float64
        In bases.
    inphase : ndarray of shape (n, n_flows), float32
        Fraction in phase at the first run in or after each flow; after the last run, that of the last.

    Raises
    ------
    InputError
        If the arrays do not fit together or a run lies outside the flows.

    Notes
    -----
    Source: basecaller.md 4.1, 4.2. Twin: `ionanalysis.reference.phase.predict_signal`.

    Examples
    --------
    The key TCAG in perfect phase:

    >>> from ionanalysis.flows import FlowOrder
    >>> predict_signal(FlowOrder("TACG", 8), [0, 4], [0, 2, 5, 7], np.ones(4), np.zeros((1, 3)))[0]
    array([[1., 0., 1., 0., 0., 1., 0., 1.]])
    """
    flow_base, run_start, run_flow, run_length, phase = _checked(flow_order, run_start, run_flow, run_length, phase)
    signal = np.empty((len(phase), len(flow_base)))
    inphase = np.empty(signal.shape, np.float32)
    kernels.predict_signal(flow_base, run_start, run_flow, run_length, phase, cutoff, signal, inphase)
    return signal, inphase


def _checked(flow_order, run_start, run_flow, run_length, phase):
    run_start = np.ascontiguousarray(run_start, np.int64)
    run_flow = np.ascontiguousarray(run_flow, np.int32)
    run_length = np.ascontiguousarray(run_length, np.float32)
    phase = np.ascontiguousarray(phase, np.float64)
    expect_shape("phase", phase, (len(run_start) - 1, 3), "cf, ie, dr of each read")
    expect_shape("run_length", run_length, run_flow.shape, "as run_flow")
    if len(run_flow) and not 0 <= run_flow.min() <= run_flow.max() < len(flow_order):
        raise InputError(f"run_flow must lie within the {len(flow_order)} flows.")
    if run_start[0] != 0 or run_start[-1] != len(run_flow) or (np.diff(run_start) < 0).any():
        raise InputError(f"run_start must rise from 0 to the number of runs, {len(run_flow)}.")
    return flow_order.bases, run_start, run_flow, run_length, phase


@dataclass(frozen=True, eq=False, repr=False)
class PhaseEstimate:
    """CF, IE and DR of a chip, on a grid of regions.

    Attributes
    ----------
    values : ndarray of shape (n_region_rows, n_region_cols, 3), float64
        CF, IE, DR of each region, fractions per flow.
    errors : ndarray of the same shape, float64
        Standard errors; NaN where a region took over the chip's values or no estimate was possible.
    n_reads : ndarray of shape (n_region_rows, n_region_cols), int32
        Reads that each estimate rests on.
    shape : tuple of int
        Rows and columns of the block that the grid spans.
    halves : tuple of PhaseEstimate
        Estimates from the wells with even and with odd row + column, of which `values` are the averages; empty
        where reads were not divided.
    response : ndarray of shape (4, 25), float32, or None
        Signal of runs by nucleotide and length (`response.estimate_response`), the same for the whole chip; None where
        it was not estimated: then each base gives as much as any other.
    noise : ndarray of shape (13,), float32, or None
        Noise of the whole chip by signal (`noise.estimate_noise`), what qualities rest on; None where it was not
        estimated: then what the solver expects.
    shared : ndarray of the shape of `values`, float64, or None
        The part of `errors` that all reads of the chip share (flows whose gain strays): averages over halves and
        regions do not lessen it. None stands for 0.
    origin : (int, int)
        Row and column of the grid's rectangle at which the block that asks begins; see `seen_from`.
    """

    values: np.ndarray
    errors: np.ndarray
    n_reads: np.ndarray
    shape: tuple
    halves: tuple = ()
    response: np.ndarray | None = None
    noise: np.ndarray | None = None
    shared: np.ndarray | None = None
    origin: tuple[int, int] = (0, 0)

    def __post_init__(self):
        if self.shared is None:
            object.__setattr__(self, "shared", np.where(np.isnan(self.errors), np.nan, 0.0))
        expect_shape("errors", self.errors, self.values.shape, "as values")
        expect_shape("shared", self.shared, self.values.shape, "as values")
        expect_shape("n_reads", self.n_reads, self.values.shape[:2], "one number per region")

    @classmethod
    def uniform(cls, cf, ie, dr, shape):
        """The same CF, IE, DR everywhere, without standard errors."""
        values = np.array([[[cf, ie, dr]]], np.float64)
        return cls(values, np.full(values.shape, np.nan), np.zeros((1, 1), np.int32), tuple(shape))

    @classmethod
    def crossed(cls, even, odd):
        """The estimate whose halves are `even` and `odd`, of the same grid."""
        shared = (even.shared + odd.shared) / 2
        own = even.errors**2 - even.shared**2 + odd.errors**2 - odd.shared**2
        return cls(
            (even.values + odd.values) / 2,
            np.sqrt(np.maximum(own, 0.0) / 4 + shared**2),
            even.n_reads + odd.n_reads,
            even.shape,
            (even, odd),
            shared=shared,
        )

    @property
    def cf(self):
        """Chip average of carry-forward, fraction per flow."""
        return float(self.values[..., 0].mean())

    @property
    def ie(self):
        """Chip average of incomplete extension, fraction per flow."""
        return float(self.values[..., 1].mean())

    @property
    def dr(self):
        """Chip average of droop, fraction per flow."""
        return float(self.values[..., 2].mean())

    def at(self, row, col):
        """CF, IE, DR to call wells with, float64 of shape (n, 3); rows and columns in block coordinates.

        Linear between the centres of regions, so that there are no seams; constant beyond the outermost centres.
        A well gets what the half of the reads told to which it does not belong (basecaller.md 3.2): no read is
        called with parameters that were fitted to it.
        """
        row, col = np.broadcast_arrays(np.atleast_1d(row), np.atleast_1d(col))
        if self.halves:
            even, odd = self.halves
            # The halves were told apart by rows and columns of the grid's rectangle.
            is_even = (row + col + sum(self.origin)) % 2 == 0
            return np.where(is_even[:, None], odd.at(row, col), even.at(row, col))
        row, col = row + self.origin[0], col + self.origin[1]
        near_row, next_row, row_share = _between_centres(row, self.shape[0], self.values.shape[0])
        near_col, next_col, col_share = _between_centres(col, self.shape[1], self.values.shape[1])
        near = _mixed(self.values[near_row, near_col], self.values[near_row, next_col], col_share)
        far = _mixed(self.values[next_row, near_col], self.values[next_row, next_col], col_share)
        return _mixed(near, far, row_share)

    def seen_from(self, row, col):
        """The same estimate for a block that begins at a row and column of the rectangle that the grid spans."""
        halves = tuple(half.seen_from(row, col) for half in self.halves)
        return replace(self, halves=halves, origin=(self.origin[0] + row, self.origin[1] + col))

    def __repr__(self):
        n_rows, n_cols = self.values.shape[:2]
        average = ", ".join(
            f"{name} {100 * value:.3f} ± {100 * error:.3f} %"
            for name, value, error in zip(NAMES, self._average(), self._average_error(), strict=True)
        )
        crossed = ", crossed" if self.halves else ""
        return f"PhaseEstimate({average}; {n_rows} x {n_cols} regions, {self.n_reads.sum()} reads{crossed})"

    def _average(self):
        return self.values.mean(axis=(0, 1))

    def _average_error(self):
        known = np.isfinite(self.errors[..., 0])
        if not known.any():
            return np.full(3, np.nan)
        errors, shared = self.errors[known], np.asarray(self.shared)[known]
        own = np.maximum(errors**2 - shared**2, 0.0).sum(axis=0) / known.sum() ** 2
        return np.sqrt(own + shared.mean(axis=0) ** 2)

    def to_json(self):
        """The object under ``Phasing`` of BaseCaller.json (basecaller.md 3.7), without the halves.

        More than the original's: standard errors, numbers of reads, and the size of the block. Ours is the average of
        both halves, the original's repeats the second.
        """
        section = phasing_section(self.values, self.errors, self.shared, self.n_reads, self.shape)
        if self.response is not None:
            section["Response"] = response_section(self.response)
        if self.noise is not None:
            section["Noise"] = [float(value) for value in self.noise]
        return section

    def sections(self):
        """All that a file holds of the estimate: ``Phasing`` and, with halves, ``TrainSubset``."""
        content = {"Phasing": self.to_json()}
        if self.halves:
            content["TrainSubset"] = subset_section([half.to_json() for half in self.halves])
        return content

    @classmethod
    def from_json(cls, content, shape=None):
        """Build from what `sections` or `to_json` gives, or from the original's BaseCaller.json or PhaseEstimates.json.

        Parameters
        ----------
        content : dict
            With ``Phasing`` or ``TrainSubset`` or both, or what stands under ``Phasing``.
        shape : tuple of int, optional
            Rows and columns of the block; the original's files need it, ours tell it.

        Raises
        ------
        InputError
            If keys are missing, values are no rates, or the file's grid belongs to a larger block.
        """
        whole, halves = sections_of_halves(content)
        spanned = _shape(whole or {}, shape)
        grids = [read_grid(section) for section in halves or [whole]]
        parts = [cls(values, errors, n_reads, spanned, shared=shared) for values, errors, shared, n_reads in grids]
        response, noise = read_response((whole or {}).get("Response")), read_noise((whole or {}).get("Noise"))
        if len(parts) == 1:
            return replace(parts[0], response=response, noise=noise)
        if parts[0].values.shape != parts[1].values.shape:
            raise InputError("phase estimates of the two halves of the reads have grids of different sizes.")
        return replace(cls.crossed(*parts), response=response, noise=noise)

    def write(self, path):
        """Write as a JSON file that `read` and ``--phase-estimation-file`` understand, the original's too."""
        write_json(path, self.sections())

    @classmethod
    def read(cls, path, shape=None):
        """Read a file of `write`, a PhaseEstimates.json or a BaseCaller.json; arguments as in `from_json`."""
        try:
            return cls.from_json(read_json(Path(path)), shape)
        except InputError as error:
            text = str(error)
            raise error if str(path) in text else InputError(f"{path}: {text}") from None


def _shape(section, shape):
    """Rows and columns of the block that the grid of a file spans; checked against those of the block at hand."""
    try:
        told = tuple(int(section[name]) for name in ("BlockRows", "BlockCols")) if "BlockRows" in section else shape
        n_regions = int(section.get("RegionRows", 1)) * int(section.get("RegionCols", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"phase estimates lack {error}; expected the keys of `Phasing` in BaseCaller.json.") from None
    if told is None:
        raise InputError("phase estimates lack 'BlockRows'; expected the keys of `Phasing`, or the block's shape.")
    # One value for all fits any block.
    if shape is not None and n_regions > 1 and told != tuple(shape):
        raise InputError(
            f"phase estimates are of a block of {told[0]} x {told[1]} wells; this one has {shape[0]} x {shape[1]}. "
            "Take the file of the same block."
        )
    return tuple(told if shape is None else shape)


def _between_centres(place, size, n_regions):
    """Regions whose centres lie before and behind each place, and how far it is from the one to the other, 0..1."""
    span = -(-size // n_regions)
    region = np.clip((place + 0.5) / span - 0.5, 0, n_regions - 1)
    first = region.astype(np.intp)
    return first, np.minimum(first + 1, n_regions - 1), (region - first)[:, None]


def _mixed(near, far, share):
    return near + share * (far - near)
