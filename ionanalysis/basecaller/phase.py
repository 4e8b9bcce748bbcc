"""How the strands of a well fall out of phase: the model's signals, and its estimation from a chip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis._core import phase as kernels
from ionanalysis.basecaller.phase_fit import fit_phase
from ionanalysis.errors import InputError, expect_shape
from ionanalysis.io.jsonfile import read_json, write_json

NAMES = ("CF", "IE", "DR")


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
    """

    values: np.ndarray
    errors: np.ndarray
    n_reads: np.ndarray
    shape: tuple

    def __post_init__(self):
        expect_shape("errors", self.errors, self.values.shape, "as values")
        expect_shape("n_reads", self.n_reads, self.values.shape[:2], "one number per region")

    @classmethod
    def uniform(cls, cf, ie, dr, shape):
        """The same CF, IE, DR everywhere, without standard errors."""
        values = np.array([[[cf, ie, dr]]], np.float64)
        return cls(values, np.full(values.shape, np.nan), np.zeros((1, 1), np.int32), tuple(shape))

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
        """CF, IE, DR of wells, float64 of shape (n, 3); rows and columns in block coordinates.

        Linear between the centres of regions, so that there are no seams; constant beyond the outermost centres.
        """
        near_row, next_row, row_share = _between_centres(row, self.shape[0], self.values.shape[0])
        near_col, next_col, col_share = _between_centres(col, self.shape[1], self.values.shape[1])
        near = _mixed(self.values[near_row, near_col], self.values[near_row, next_col], col_share)
        far = _mixed(self.values[next_row, near_col], self.values[next_row, next_col], col_share)
        return _mixed(near, far, row_share)

    def __repr__(self):
        n_rows, n_cols = self.values.shape[:2]
        average = ", ".join(
            f"{name} {100 * value:.3f} ± {100 * error:.3f} %"
            for name, value, error in zip(NAMES, self._average(), self._average_error(), strict=True)
        )
        return f"PhaseEstimate({average}; {n_rows} x {n_cols} regions, {self.n_reads.sum()} reads)"

    def _average(self):
        return self.values.mean(axis=(0, 1))

    def _average_error(self):
        known = np.isfinite(self.errors[..., 0])
        if not known.any():
            return np.full(3, np.nan)
        return np.sqrt((self.errors[known] ** 2).sum(axis=0)) / known.sum()

    def to_json(self):
        """The object under `Phasing` of BaseCaller.json (basecaller.md 3.7), and standard errors and reads.

        Lists run down the columns of the grid: index = region row + region column * RegionRows.
        """
        n_rows, n_cols = self.values.shape[:2]
        content = dict(zip(NAMES, self._average().tolist(), strict=True))
        content |= {"RegionRows": n_rows, "RegionCols": n_cols, "BlockRows": self.shape[0], "BlockCols": self.shape[1]}
        for k, name in enumerate(NAMES):
            content[f"{name}byRegion"] = self.values[..., k].ravel("F").tolist()
        for k, name in enumerate(NAMES):
            errors = self.errors[..., k].ravel("F")
            content[f"{name}ErrorByRegion"] = [value if np.isfinite(value) else None for value in errors.tolist()]
        content["ReadsByRegion"] = self.n_reads.ravel("F").tolist()
        return content

    @classmethod
    def from_json(cls, content, shape=None):
        """Build from what `to_json` gives, or from the original's `Phasing` object (then with the block's `shape`).

        Raises
        ------
        InputError
            If keys are missing, or values are no fractions per flow.
        """
        try:
            content = content.get("Phasing", content)
            n_rows, n_cols = int(content["RegionRows"]), int(content["RegionCols"])
            lists = [content[f"{name}byRegion"] for name in NAMES]
            shape = shape or (int(content["BlockRows"]), int(content["BlockCols"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"phase estimates lack {error}; expected the keys of `Phasing` in BaseCaller.json."
            ) from None
        if (
            any(not isinstance(values, list) or len(values) != n_rows * n_cols for values in lists)
            or n_rows < 1
            or n_cols < 1
        ):
            raise InputError(f"phase estimates must have {n_rows} x {n_cols} values for each of CF, IE, DR.")

        def grid(values):
            values = [np.nan if value is None else value for value in values]
            return np.array(values, np.float64).reshape((n_rows, n_cols), order="F")

        unknown = [None] * (n_rows * n_cols)
        try:
            values = np.stack([grid(values) for values in lists], axis=-1)
            errors = np.stack([grid(content.get(f"{name}ErrorByRegion", unknown)) for name in NAMES], axis=-1)
            n_reads = np.nan_to_num(grid(content.get("ReadsByRegion", unknown))).astype(np.int32)
        except (TypeError, ValueError) as error:
            raise InputError(f"phase estimates must be lists of numbers ({error}).") from None
        if not ((values >= 0) & (values < 1)).all():
            raise InputError("phase estimates must be fractions per flow, at least 0, below 1.")
        return cls(values, errors, n_reads, tuple(shape))

    def write(self, path):
        """Write as a JSON file that `read` and ``--phase-estimation-file`` understand."""
        write_json(path, {"Phasing": self.to_json()})

    @classmethod
    def read(cls, path, shape=None):
        """Read a file of `write`, or a BaseCaller.json."""
        return cls.from_json(read_json(Path(path)), shape)


def _between_centres(place, size, n_regions):
    """Regions whose centres lie before and behind each place, and how far it is from the one to the other, 0..1."""
    span = -(-size // n_regions)
    region = np.clip((np.atleast_1d(place) + 0.5) / span - 0.5, 0, n_regions - 1)
    first = region.astype(np.intp)
    return first, np.minimum(first + 1, n_regions - 1), (region - first)[:, None]


def _mixed(near, far, share):
    return near + share * (far - near)


def estimate_from_regions(signals_of, regions, grid, shape, flow_order, options, map_regions=map):
    """Estimate every region; those with too few reads take the average of the others.

    Parameters
    ----------
    signals_of : callable
        Gives the key-normalised signals, float32 (n, n_flows), of the reads of a region to use.
    regions : list of Block
        Regions by rows of the grid.
    grid : tuple of int
        Rows and columns of the grid.
    shape : tuple of int
        Rows and columns of the block.
    flow_order : FlowOrder
    options : PhaseOptions
    map_regions : callable
        `map`, or that of an executor; must keep the order.
    """
    start = np.array([options.initial_cf, options.initial_ie, options.initial_dr])
    fits = list(map_regions(lambda region: fit_phase(signals_of(region), flow_order, start, options), regions))
    n_reads = np.array([fit.n_reads for fit in fits])
    enough = n_reads >= options.least_reads
    if enough.any():
        weights = n_reads[enough] / n_reads[enough].sum()
        average = weights @ np.array([fit.values for fit in fits])[enough]
    else:
        average = start
    values = np.array([fit.values if good else average for fit, good in zip(fits, enough, strict=True)])
    errors = np.array([fit.errors if good else np.full(3, np.nan) for fit, good in zip(fits, enough, strict=True)])
    return PhaseEstimate(
        values.reshape(*grid, 3), errors.reshape(*grid, 3), n_reads.reshape(grid).astype(np.int32), tuple(shape)
    )
