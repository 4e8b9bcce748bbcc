"""Calibration models of the original: `Calibration.json`, and the linear model in BAM headers (basecaller.md 10.5).

A linear model says how the signal of a homopolymer differs from what the phase model predicts, by region of the chip,
flow window, nucleotide and length: measured = gain * predicted + offset. A histogram model says by how much the
boundaries between called lengths are moved. `calibration_writing` writes both, `calibration_text` reads the older text
files.
"""

import json
from dataclasses import dataclass

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json

LINEAR_MAGIC = "6d5b9d29ede5f176a4711d415d769108"
HISTOGRAM_MAGIC = "5131cef78deb965eca8bba4bc517319b"

MAX_LENGTH = 23
"""Longest homopolymer that can be called (basecaller.md 0)."""

_NUCS = "ACGT"
_MOST_CELLS = 4_000_000
_FARTHEST = (1 << 31) - 2
_LEAST_LENGTH_UNSAID = 4
"""`min_hp_calibrated` of files that do not have it."""


@dataclass(frozen=True, eq=False)
class LinearCalibration:
    """Gain and offset of homopolymer signals.

    Attributes
    ----------
    block : str
        Block that it was made for, such as ``RUN12.block_X0_Y0``.
    n_flows : int
        Flows of the run; a model holds for no other number.
    first_rows, first_cols : ndarray of shape (n_region_rows,), (n_region_cols,), int64
        First row and column of each region, in chip coordinates (y and x of the original).
    first_flows : ndarray of shape (n_windows,), int64
        First flow of each flow window.
    stop : (int, int)
        Row and column behind the last of the block, in chip coordinates.
    lengths : (int, int)
        Shortest homopolymer that was calibrated, and one more than the longest.
    gain, offset : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4, 24), float32
        By region, flow window, nucleotide (A, C, G, T) and homopolymer length 0 to 23: measured = gain * predicted +
        offset, in bases. Lengths behind the last calibrated one have its values; those that the file leaves out
        before have gain 1 and offset 0.
    """

    block: str
    n_flows: int
    first_rows: np.ndarray
    first_cols: np.ndarray
    first_flows: np.ndarray
    stop: tuple[int, int]
    lengths: tuple[int, int]
    gain: np.ndarray
    offset: np.ndarray

    def __repr__(self):
        rows, cols, windows = self.gain.shape[:3]
        return (
            f"LinearCalibration({self.block}: {rows} x {cols} regions, {windows} windows of {self.n_flows} flows, "
            f"homopolymers {self.lengths[0]} to {self.lengths[1] - 1})"
        )

    def region_of(self, row, col):
        """Row and column of the region that each well lies in; wells beyond the model take the nearest region.

        Parameters
        ----------
        row, col : array_like of int
            Chip coordinates.

        Returns
        -------
        region_row, region_col : ndarray of int64
        """
        return _cell(self.first_rows, row), _cell(self.first_cols, col)

    def contains(self, row, col):
        """Whether a well, in chip coordinates, lies in the block that the model was made for."""
        return self.first_rows[0] <= row < self.stop[0] and self.first_cols[0] <= col < self.stop[1]

    def by_flow(self, region_row, region_col, flow_order):
        """Gain and offset of one region for every flow, as a solver needs them.

        Parameters
        ----------
        region_row, region_col : int
        flow_order : FlowOrder
            Of `n_flows` flows or, if signals were cut, fewer.

        Returns
        -------
        gain, offset : ndarray of shape (n_flows, 24), float32
            By flow and homopolymer length.

        Raises
        ------
        InputError
            If there are more flows than the model has.
        """
        if len(flow_order) > self.n_flows:
            raise InputError(
                f"the calibration of {self.block} is for {self.n_flows} flows, the run has {len(flow_order)}; "
                "give the one that was made for this run."
            )
        window = _cell(self.first_flows, np.arange(len(flow_order)))
        return tuple(part[region_row, region_col][window, flow_order.bases] for part in (self.gain, self.offset))


@dataclass(frozen=True, eq=False)
class HistogramCalibration:
    """Boundaries between called homopolymer lengths.

    Attributes
    ----------
    offset, size : (int, int)
        First row and column of the block on the chip; its rows and columns.
    n_bins : int
        Bins between one length and the next.
    window : int
        Flows of a flow window.
    boundaries : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4, n_lengths + 2), int16
        By region, flow window, nucleotide (A, C, G, T) and length: bins by which the lower boundary of the length is
        moved; the last is 0.
    """

    offset: tuple[int, int]
    size: tuple[int, int]
    n_bins: int
    window: int
    boundaries: np.ndarray

    def region_of(self, row, col):
        """Row and column of the region that each well lies in, by chip coordinates; the nearest for wells beyond."""
        places = []
        for position, first, size, n in zip((row, col), self.offset, self.size, self.boundaries.shape, strict=False):
            places.append(np.clip((np.asarray(position) - first) // -(-size // n), 0, n - 1))
        return tuple(places)

    def window_of(self, n_flows):
        """Flow window of each of `n_flows` flows; the last for flows beyond the model."""
        return np.minimum(np.arange(n_flows) // self.window, self.boundaries.shape[2] - 1)

    def __repr__(self):
        rows, cols, windows, _, n_lengths = self.boundaries.shape
        return (
            f"HistogramCalibration({rows} x {cols} regions, {windows} windows of {self.window} flows, "
            f"homopolymers 0 to {n_lengths - 3}, {self.n_bins} bins)"
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a `Calibration.json` holds; a model that is not in it is None."""

    linear: LinearCalibration | None
    histogram: HistogramCalibration | None


def read_calibration(path):
    """Read the original's `Calibration.json`.

    Returns
    -------
    Calibration

    Raises
    ------
    InputError
        If the file is missing, no JSON, or a model in it is not as basecaller.md 10.5 says.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not {"LinearModel", "HPHistogram"} & content.keys():
        raise InputError(
            f"{path}: holds neither LinearModel nor HPHistogram; expected a Calibration.json of the original."
        )
    linear, histogram = content.get("LinearModel"), content.get("HPHistogram")
    return Calibration(
        linear=None if linear is None else linear_calibration(linear, f"{path}, LinearModel"),
        histogram=None if histogram is None else histogram_calibration(histogram, f"{path}, HPHistogram"),
    )


def calibrations_of_comments(comments, where):
    """Linear models that the comment lines (@CO) of a BAM header carry; other comments are left alone.

    Parameters
    ----------
    comments : iterable of str
        Text of each line. Files merged from blocks have one model of each.
    where : path or str
        The file, for messages.

    Returns
    -------
    list of LinearCalibration

    Raises
    ------
    InputError
        If a line names itself a linear model, by its magic code, and is damaged.
    """
    found = []
    for number, comment in enumerate(comments, 1):
        if LINEAR_MAGIC not in comment:
            continue
        place = f"{where}, comment {number} of its header"
        try:
            content = json.loads(comment)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{place}: is a calibration model but not valid JSON ({error}).") from error
        if isinstance(content, dict) and "MagicCode" not in content:
            content = content.get("LinearModel")
        found.append(linear_calibration(content, place))
    return found


def linear_calibration(content, where):
    """A `LinearCalibration` of the JSON object that holds one; `where` begins the messages of `InputError`."""
    _check_magic(content, LINEAR_MAGIC, where)
    block = content.get("MasterKey")
    model = content.get(block) if isinstance(block, str) else None
    if not isinstance(model, dict):
        raise InputError(f"{where}: MasterKey is {block!r}, and there is no model of that name; make it again.")
    cells = model.get("modelParameters")
    if not isinstance(cells, list) or not cells or len(cells) > _MOST_CELLS:
        raise InputError(f"{where}: {block} has no list modelParameters; make the calibration again.")
    n_flows = _whole(model, "flowEnd", where) + 1
    least = _whole(model, "min_hp_calibrated", where) if "min_hp_calibrated" in model else _LEAST_LENGTH_UNSAID
    most = _whole(model, "max_hp_calibrated", where)
    table = np.array([_numbers_of(cell, number, where) for number, cell in enumerate(cells)])
    base, first_flow, first_col, first_row, length = table[:, :5].astype(np.int64).T
    if first_flow.max() >= n_flows:
        raise InputError(f"{where}: a cell begins in flow {first_flow.max()}, the model has {n_flows} flows.")
    rows, cols, flows = (np.unique(firsts) for firsts in (first_row, first_col, first_flow))
    shape = (len(rows), len(cols), len(flows), len(_NUCS), MAX_LENGTH + 1)
    if len(rows) * len(cols) * len(flows) > len(cells):
        raise InputError(f"{where}: its {len(cells)} cells do not form a grid of regions and flow windows.")
    place = (*(np.searchsorted(*pair) for pair in ((rows, first_row), (cols, first_col), (flows, first_flow))), base)
    gain, offset = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    longest = np.full(shape[:4], -1)
    gain[(*place, length)], offset[(*place, length)] = table[:, 5], table[:, 6]
    np.maximum.at(longest, place, length)
    held = np.minimum(np.arange(MAX_LENGTH + 1), np.maximum(longest, 0)[..., None])
    given = (longest >= 0)[..., None]
    return LinearCalibration(
        block=block,
        n_flows=n_flows,
        first_rows=rows,
        first_cols=cols,
        first_flows=flows,
        stop=tuple(_last(model, name, where) + 1 for name in ("yMax", "xMax")),
        lengths=(least, most),
        gain=np.where(given, np.take_along_axis(gain, held, -1), np.float32(1)),
        offset=np.where(given, np.take_along_axis(offset, held, -1), np.float32(0)),
    )


def _last(model, name, where):
    """Last row or column of a model; that of the largest chip there may be where it does not say."""
    return _whole(model, name, where) if name in model else _FARTHEST


def histogram_calibration(content, where):
    """A `HistogramCalibration` of the JSON object that holds one; `where` begins the messages of `InputError`."""
    _check_magic(content, HISTOGRAM_MAGIC, where)
    names = ("num_regions_y", "num_regions_x", "num_flow_windows", "num_hps", "num_bins", "flow_window_size")
    n_rows, n_cols, n_windows, n_lengths, n_bins, window = (_whole(content, name, where, least=1) for name in names)
    offset = tuple(_whole(content, f"block_offset_{axis}", where) for axis in "yx")
    size = tuple(_whole(content, f"block_size_{axis}", where, least=1) for axis in "yx")
    regions = content.get("RegionData")
    expected = n_rows * n_cols * n_windows
    if not isinstance(regions, list) or len(regions) != expected or n_lengths > MAX_LENGTH + 1:
        n_found = len(regions) if isinstance(regions, list) else "no"
        raise InputError(
            f"{where}: has {n_found} entries of RegionData for {n_cols} x {n_rows} regions, {n_windows} flow windows "
            f"and {n_lengths} lengths; expected {expected}."
        )
    boundaries = np.zeros((n_rows, n_cols, n_windows, len(_NUCS), n_lengths + 2), np.int16)
    height, width = -(-size[0] // n_rows), -(-size[1] // n_cols)
    seen = set()
    for number, region in enumerate(regions):
        place = f"{where}, entry {number} of RegionData"
        starts = region.get("element_start_xyflow") if isinstance(region, dict) else None
        x, y, flow = _integers(starts, 3, f"{place}: element_start_xyflow", most=1 << 31)
        at = (y - offset[0]) // height, (x - offset[1]) // width, flow // window
        if at in seen or not all(0 <= i < n for i, n in zip(at, (n_rows, n_cols, n_windows), strict=True)):
            raise InputError(f"{place}: begins at x {x}, y {y}, flow {flow}, which is no region of its own.")
        seen.add(at)
        for nuc, letter in enumerate(_NUCS):
            boundaries[at][nuc] = _integers(
                region.get(letter), n_lengths + 2, f"{place}: {letter}", most=min(n_bins, 32_767)
            )
    boundaries[..., -1] = 0
    return HistogramCalibration(offset=offset, size=size, n_bins=n_bins, window=window, boundaries=boundaries)


def _check_magic(content, magic, where):
    if not isinstance(content, dict) or content.get("MagicCode") != magic:
        raise InputError(f"{where}: has not the MagicCode {magic}; expected a calibration model of the original.")


def _whole(content, name, where, least=0):
    value = content.get(name)
    # The original writes some numbers as text.
    value = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 31:
        raise InputError(f"{where}: {name} is {value!r}; expected a whole number of at least {least}.")
    return value


def _numbers_of(cell, number, where):
    """Nucleotide code, first flow, column, row, length, gain and offset of a cell of the linear model."""
    place = f"{where}, cell {number}"
    if not isinstance(cell, dict):
        raise InputError(f"{place}: is {type(cell).__name__}; expected an object with flowBase, refHP, paramA, paramB.")
    base, length = _whole(cell, "flowBase", place), _whole(cell, "refHP", place)
    if base >= 128 or chr(base) not in _NUCS or length > MAX_LENGTH:
        raise InputError(f"{place}: is of flowBase {base} and refHP {length}; expected the code of a nucleotide, 0-23.")
    gain, offset = (_number(cell, name, place) for name in ("paramA", "paramB"))
    if gain <= 0:
        raise InputError(f"{place}: paramA is {gain}; a gain must be above 0.")
    firsts = (_whole(cell, name, place) for name in ("flowStart", "xMin", "yMin"))
    return (_NUCS.index(chr(base)), *firsts, length, gain, offset)


def _number(content, name, where):
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e3:
        raise InputError(f"{where}: {name} is {value!r}; expected a number.")
    return float(value)


def _integers(values, n_values, where, most):
    whole = isinstance(values, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not whole or len(values) != n_values or any(abs(v) > most for v in values):
        raise InputError(f"{where} is {str(values)[:80]}; expected a list of {n_values} whole numbers.")
    return values


def _cell(firsts, positions):
    """Cell that each position lies in, cells beginning at `firsts`."""
    return np.clip(np.searchsorted(firsts, positions, "right") - 1, 0, len(firsts) - 1)
