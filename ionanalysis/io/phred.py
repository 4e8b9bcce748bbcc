"""Quality tables of the original: six predictors of a base to its Phred quality (basecaller.md 5.4).

Three forms: HDF5 (``.h5``), plain binary (``.binary``) and text, in which the first row that covers the
predictors wins. All become a dense table on a grid of cuts.
"""

import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from ionanalysis._core import quality as kernels
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file, write_whole
from ionanalysis.io.hdf5 import HDF5_ERRORS, check_size, damaged, is_hdf5, open_hdf5
from ionanalysis.io.hdf5_writing import create_hdf5

N_PREDICTORS = 6
FALLBACK_QUALITY = 5
"""Quality of what no row of a text table covers, and of bases that are not looked up."""

MAX_CELLS = 1 << 26
"""The largest shipped table has 1.9 million cells."""


@dataclass(frozen=True, eq=False)
class PhredTable:
    """Phred qualities on a grid of predictor values.

    Attributes
    ----------
    cuts : tuple of 6 ndarrays, float32
        Rising upper bounds of the cells along each predictor; smaller predictors are better.
    values : ndarray of shape (n_cuts_0, ..., n_cuts_5), uint8
        Phred quality of each cell.
    flow_errors : ndarray of 2 axes, float32, or None
        Attribute ``err`` of tables made for flows; kept, not used.
    """

    cuts: tuple[np.ndarray, ...]
    values: np.ndarray
    flow_errors: np.ndarray | None = None

    def __post_init__(self):
        cuts = tuple(_frozen(cut, np.float32) for cut in self.cuts)
        if len(cuts) != N_PREDICTORS or any(cut.ndim != 1 or not cut.size for cut in cuts):
            raise InputError(f"a quality table needs {N_PREDICTORS} lists of cuts, none empty.")
        for n, cut in enumerate(cuts):
            if not (np.isfinite(cut).all() and (cut[1:] > cut[:-1]).all()):
                raise InputError(f"cuts of predictor {n} are {cut}; expected rising numbers.")
        shape = tuple(cut.size for cut in cuts)
        values = np.asarray(self.values)
        if values.size != _n_cells(shape):
            raise InputError(f"a quality table with {shape} cuts has {values.size} values; expected {_n_cells(shape)}.")
        object.__setattr__(self, "cuts", cuts)
        object.__setattr__(self, "values", _frozen(values.reshape(shape), np.uint8))

    def __eq__(self, other):
        return (
            isinstance(other, PhredTable)
            and all(np.array_equal(mine, theirs) for mine, theirs in zip(self.cuts, other.cuts, strict=True))
            and np.array_equal(self.values, other.values)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        shape = " x ".join(map(str, self.values.shape))
        return f"PhredTable({shape} cells, Q{self.values.min()} to Q{self.values.max()})"

    def cell_indices(self, predictors):
        """Index along each axis of the cell that covers `predictors`.

        Parameters
        ----------
        predictors : array_like of shape (..., 6), float32
            As prepared for lookup (basecaller.md 5.2).

        Returns
        -------
        indices : ndarray of shape (..., 6), int64
            The first cut that is not below the value, the last one for values beyond it and for NaN.
        """
        predictors = _checked(predictors)
        indices = np.empty(predictors.shape, np.int64)
        for n, cut in enumerate(self.cuts):
            np.minimum(np.searchsorted(cut, predictors[..., n]), cut.size - 1, out=indices[..., n])
        return indices

    def lookup(self, predictors):
        """Phred quality, uint8 of shape (...), of predictors of shape (..., 6).

        >>> cuts = (np.array([0.1, 0.2, 0.9]),) * 6
        >>> table = PhredTable(cuts, np.arange(729)[::-1] % 256)
        >>> table.lookup([[0.1, 0, 0, 0, 0, 0.15], [0.1, 0, 0, 0, 0, 7.0]])
        array([215, 214], dtype=uint8)
        """
        predictors = _checked(predictors)
        qualities = np.empty(predictors.shape[:-1], np.uint8)
        counts = [cut.size for cut in self.cuts]
        kernels.look_up(
            np.ascontiguousarray(predictors).reshape(-1, N_PREDICTORS),
            np.concatenate(self.cuts),
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            self.values.reshape(-1),
            qualities.reshape(-1),
        )
        return qualities


def read_phred_table(path):
    """Read a quality table in any of its three forms, told apart by content.

    Raises
    ------
    InputError
        If the file is missing or is none of them.
    """
    path = Path(path)
    try:
        if is_hdf5(path):
            return _read_hdf5(path)
        if looks_like_binary_table(path):
            return _read_binary(path)
        return _read_text(path)
    except InputError as error:
        raise error if str(error).startswith(str(path)) else InputError(f"{path}: {error}") from error


def write_phred_table(path, table):
    """Write a table as HDF5 (``.h5``), plain binary (``.binary``) or, with any other ending, text.

    Raises
    ------
    InputError
        If a binary table has more than 255 cuts of a predictor.
    """
    path = Path(path)
    if path.suffix == ".h5":
        _write_hdf5(path, table)
    elif path.suffix == ".binary":
        _write_binary(path, table)
    else:
        _write_text(path, table)


def looks_like_binary_table(path):
    """Whether the size of a file fits the counts at its start, as in a plain binary table."""
    return _binary_shape(path) is not None


def _frozen(array, dtype):
    array = np.array(array, dtype)
    array.flags.writeable = False
    return array


def _checked(predictors):
    predictors = np.asarray(predictors, np.float32)
    if predictors.shape[-1:] != (N_PREDICTORS,):
        raise InputError(f"predictors have shape {predictors.shape}; expected (..., {N_PREDICTORS}).")
    return predictors


def _n_cells(shape):
    return reduce(int.__mul__, shape, 1)


def _read_hdf5(path):
    with open_hdf5(path) as file:
        try:
            group = file.get("QvTable")
            if group is None or "Qvs" not in group:
                raise InputError(f"{path}: has no QvTable/Qvs; expected a quality table.")
            n_predictors = int(np.ravel(group.attrs["NumPredictors"])[0])
            if n_predictors != N_PREDICTORS:
                raise InputError(f"{path}: has {n_predictors} predictors; expected {N_PREDICTORS}.")
            cuts = tuple(np.ravel(group.attrs[f"ThresholdsOfPredictor{n}"]) for n in range(N_PREDICTORS))
            values = group["Qvs"]
            check_size(path, "QvTable/Qvs", values)
            if values.dtype != np.uint8 or values.size > MAX_CELLS:
                raise InputError(f"{path}: QvTable/Qvs are {values.size} {values.dtype}; expected uint8.")
            errors = _frozen(group.attrs["err"], np.float32) if "err" in group.attrs else None
            return PhredTable(cuts, values[...], errors)
        except HDF5_ERRORS as error:
            raise damaged(path, error) from error


def _write_hdf5(path, table):
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        group = file.create_group("QvTable")
        group.attrs.create("NumPredictors", np.array([N_PREDICTORS], "<u4"))
        for n, cut in enumerate(table.cuts):
            group.attrs.create(f"ThresholdsOfPredictor{n}", cut.astype("<f4"))
        if table.flow_errors is not None:
            group.attrs.create("err", table.flow_errors.astype("<f4"))
        group.create_dataset("Qvs", data=table.values.ravel(), track_times=False)


def _binary_shape(path):
    """Cuts of each predictor, or None if the file is no binary table."""
    try:
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            counts = np.frombuffer(file.read(4 * (N_PREDICTORS + 1)), np.uint8)[::4]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    # Only the first byte of each count is meant.
    if len(counts) != N_PREDICTORS + 1 or counts[0] != N_PREDICTORS or not counts.all():
        return None
    shape = tuple(map(int, counts[1:]))
    return shape if n_bytes == 4 * (N_PREDICTORS + 1 + sum(shape)) + _n_cells(shape) else None


def _read_binary(path):
    shape, content = _binary_shape(path), path.read_bytes()
    numbers = np.frombuffer(content, "<f4", sum(shape), 4 * (N_PREDICTORS + 1))
    cuts = np.split(numbers, np.cumsum(shape)[:-1])
    return PhredTable(tuple(cuts), np.frombuffer(content, np.uint8)[-_n_cells(shape) :])


def _write_binary(path, table):
    if max(table.values.shape) > 255:
        raise InputError(f"{path}: {table.values.shape} cuts do not fit a binary table; write .h5.")
    counts = np.array([N_PREDICTORS, *table.values.shape], "<i4").tobytes()
    cuts = b"".join(cut.astype("<f4").tobytes() for cut in table.cuts)
    write_whole(path, counts + cuts + table.values.tobytes())


def _read_text(path):
    rows = _text_rows(path)
    if not len(rows):
        raise InputError(f"{path}: is no quality table, neither HDF5, binary nor rows of cuts, count and quality.")
    cuts, places = zip(
        *(np.unique(rows[:, n].astype(np.float32), return_inverse=True) for n in range(N_PREDICTORS)), strict=True
    )
    shape = tuple(cut.size for cut in cuts)
    if _n_cells(shape) > MAX_CELLS:
        raise InputError(f"{path}: {shape} different cuts need {_n_cells(shape)} cells, more than {MAX_CELLS}.")
    # A row covers its cell and all better ones: the first row of a cell is the least over all worse cells.
    first = np.full(shape, len(rows), np.int32)
    np.minimum.at(first, tuple(places), np.arange(len(rows), dtype=np.int32))
    for axis in range(N_PREDICTORS):
        backwards = np.flip(first, axis)
        np.minimum.accumulate(backwards, axis, out=backwards)
    qualities = np.append(rows[:, -1], FALLBACK_QUALITY).astype(np.uint8)
    return PhredTable(cuts, qualities[first])


def _text_rows(path):
    """Numbers of a text table, float64 (n_rows, 8); ends at an empty line."""
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            break
        if line.lstrip().startswith(b"#"):
            continue
        # Not float(): it takes "1_000", "nan" and "inf" too.
        fields = line.split()
        if len(fields) != N_PREDICTORS + 2 or not all(re.fullmatch(rb"[-+]?[0-9.]+([eE][-+]?\d+)?", f) for f in fields):
            raise InputError(f"{path}: line {number} is no row of six cuts, count and quality.")
        try:
            rows.append([float(field) for field in fields])
        except ValueError:
            raise InputError(f"{path}: line {number} holds something that is no number.") from None
        if not 0 <= rows[-1][-1] <= 93:
            raise InputError(f"{path}: line {number} has quality {rows[-1][-1]}; expected 0 to 93.")
    return np.array(rows).reshape(-1, N_PREDICTORS + 2)


def _write_text(path, table):
    """One row per cell, better cells first: the first row that covers the predictors is their cell."""
    lines = ["# cut_0 cut_1 cut_2 cut_3 cut_4 cut_5 count quality"]
    for index in np.ndindex(table.values.shape):
        cuts = " ".join(f"{cut[n]:.9g}" for cut, n in zip(table.cuts, index, strict=True))
        lines.append(f"{cuts} 0 {table.values[index]}")
    write_whole(path, "\n".join(lines) + "\n")
