"""The signals of all wells, one number per well and flow: where signal processing and base calling meet."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.hdf5 import is_hdf5, open_hdf5
from ionanalysis.io.mask import Mask, read_mask
from ionanalysis.io.wells_hdf5 import read_header, read_per_well, read_signal
from ionanalysis.io.wells_legacy import open_legacy_wells
from ionanalysis.io.wells_writer import WellsWriter

__all__ = ["Wells", "WellsWriter", "open_wells"]


def open_wells(path, mask=None):
    """Open a wells file, HDF5 or of early releases, told apart by content.

    Parameters
    ----------
    path : path
        ``1.wells``.
    mask : Mask or path, optional
        Mask of the same wells. Legacy files take the chip size from it.

    Returns
    -------
    Wells

    Raises
    ------
    InputError
        If the file is missing, damaged or does not fit the mask.
    """
    return Wells(path, mask)


class Wells:
    """Signals of a wells file, read on demand: ``wells[rows, cols, flows]``.

    Indexing takes whole numbers, slices and ``...``, or two integer arrays that pair rows with columns
    (or one bool array of rows and columns), and gives float32 arrays of shape (..., n_flows). Values
    are usable signals: where the file keeps copies apart, the product where copies are above 0, else
    -1 (basecaller.md 1.2). They are never NaN or infinite: such values read as 0. Wells without a signal
    (see `present`) read as 0 or -1; the mask tells what they are.

    An object can be sent to other processes and shared by threads; each process opens its own file.

    Attributes
    ----------
    path : Path
    mask : Mask or None
    shape : tuple of int
        Rows, columns, flows.
    flow_order : FlowOrder
    info : dict of str to str
        Info keys of the file; empty for legacy files.
    """

    def __init__(self, path, mask=None):
        self._open(path, mask)

    def _open(self, path, mask):
        self.path = Path(path).absolute()
        self._mask_source = mask
        self.mask = mask if mask is None or isinstance(mask, Mask) else read_mask(mask)
        self._lock = threading.Lock()
        self._file = None
        self._opened_by = None
        self._header: Any = None
        self._legacy: Any = None
        if is_hdf5(self.path):
            self._header = read_header(self._hdf5(), self.path)
        else:
            self._legacy = open_legacy_wells(self.path, self.mask.shape if self.mask else None)
        form = self._header or self._legacy
        self.shape = form.shape
        self.flow_order = form.flow_order
        self.info = dict(self._header.info) if self._header else {}
        if self.mask and self.mask.shape != self.shape[:2]:
            raise InputError(
                f"{path}: has {self.shape[0]} x {self.shape[1]} wells; the mask has "
                f"{self.mask.shape[0]} x {self.mask.shape[1]}. Take files of the same block."
            )

    @property
    def chip(self):
        """Chip type, such as ``530``; empty where the file does not say."""
        return self.info.get("ChipType", "")

    @property
    def form(self):
        """How signals are stored: ``uint16``, ``float32`` or ``legacy``."""
        return "legacy" if self._legacy else "uint16" if self._header.scale else "float32"

    @property
    def scale(self):
        """Lowest and highest signal that a uint16 file can hold, else None."""
        return self._header.scale if self._header else None

    @property
    def chunks(self):
        """Rows, columns and flows stored together, else None; blocks cut along them read fastest."""
        return self._header.chunks if self._header else None

    @property
    def copies(self):
        """Template copies of each well, float32 (n_rows, n_cols); None where signals hold them already."""
        if not (self._header and self._header.has_copies):
            return None
        return self._copies(self._hdf5(), range(self.shape[0]), range(self.shape[1]))

    def copies_of(self, rows=slice(None), cols=slice(None)):
        """The same of a rectangle, without reading the rest; slices of step 1."""
        if not (self._header and self._header.has_copies):
            return None
        return self._copies(self._hdf5(), range(self.shape[0])[rows], range(self.shape[1])[cols])

    @property
    def ranks(self):
        """Rank of each well, int64 (n_rows, n_cols); nothing uses it today."""
        if self._legacy:
            return self._legacy.ranks()
        if self._header.has_ranks:
            rows, cols = map(range, self.shape[:2])
            return read_per_well(self._hdf5(), "ranks", self.path, rows, cols).astype(np.int64)
        return np.zeros(self.shape[:2], np.int64)

    @property
    def present(self):
        """Bool (n_rows, n_cols): wells for which the file holds a signal (a record; copies above 0)."""
        if self._legacy:
            return self._legacy.record_index >= 0
        copies = self.copies
        return np.ones(self.shape[:2], bool) if copies is None else copies > 0

    def __repr__(self):
        rows, cols, flows = self.shape
        copies = " with copies" if self._header and self._header.has_copies else ""
        chip = f", chip {self.chip}" if self.chip else ""
        return f"Wells({self.path.name}: {rows} x {cols} wells, {flows} flows{chip}, {self.form}{copies})"

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[...], dtype)

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        if index and isinstance(index[0], np.ndarray) and index[0].dtype == bool and index[0].ndim == 2:
            if index[0].shape != self.shape[:2]:
                raise IndexError(f"bool array of shape {index[0].shape} for wells of shape {self.shape[:2]}")
            index = (*np.nonzero(index[0]), *index[1:])
        index = _filled(index)
        if all(isinstance(part, np.ndarray | list | tuple) for part in index[:2]):
            return self._read_points(*index)
        boxes, picks = zip(*(_box(part, n) for part, n in zip(index, self.shape, strict=True)), strict=True)
        signal = self._read(*boxes)
        for axis in (2, 1, 0):
            if picks[axis] is not None:
                signal = signal[(slice(None),) * axis + (picks[axis],)]
        return signal

    def stored(self, rows=slice(None), cols=slice(None), flows=slice(None)):
        """Values of a box as the file holds them: decoded, without copies, NaN kept; slices of step 1."""
        boxes = [range(n)[part] for part, n in zip((rows, cols, flows), self.shape, strict=True)]
        if any(box.step != 1 for box in boxes):
            raise IndexError("stored() takes slices of step 1")
        if self._legacy:
            return self._legacy.read_signal(*boxes)
        return read_signal(self._hdf5(), self.path, self._header, *boxes)

    def close(self):
        """Close the file; reading again opens it again."""
        with self._lock:
            if self._file is not None and self._opened_by == os.getpid():
                self._file.close()
            self._file = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getstate__(self):
        # A mask given by its path travels as the path: tasks stay small.
        return {"path": self.path, "mask": self._mask_source}

    def __setstate__(self, state):
        self._open(state["path"], state["mask"])

    def _hdf5(self):
        with self._lock:
            # HDF5 handles do not survive a fork.
            if self._file is None or self._opened_by != os.getpid():
                self._file, self._opened_by = open_hdf5(self.path), os.getpid()
            return self._file

    def _read(self, rows, cols, flows):
        if not (len(rows) and len(cols) and len(flows)):
            return np.zeros((len(rows), len(cols), len(flows)), np.float32)
        if self._legacy:
            return _finite(self._legacy.read_signal(rows, cols, flows))
        file = self._hdf5()
        signal = read_signal(file, self.path, self._header, rows, cols, flows)
        if self._header.has_copies:
            _apply_copies(signal, self._copies(file, rows, cols))
        return _finite(signal)

    def _copies(self, file, rows, cols):
        return read_per_well(file, "wells_copies", self.path, rows, cols).astype(np.float32)

    def _read_points(self, rows, cols, flows):
        """Signals of wells given as pairs, chunk by chunk."""
        rows, cols = np.broadcast_arrays(_points(rows, self.shape[0]), _points(cols, self.shape[1]))
        wanted, pick = _box(flows, self.shape[2])
        signal = np.empty((*rows.shape, len(wanted)), np.float32)
        height, width = (self.chunks or (50, 50))[:2]
        chunk_of = (rows // height) * (self.shape[1] // width + 1) + cols // width
        for chunk in np.unique(chunk_of):
            here = chunk_of == chunk
            row, col = rows[here], cols[here]
            box = self._read(range(row.min(), row.max() + 1), range(col.min(), col.max() + 1), wanted)
            signal[here] = box[row - row.min(), col - col.min()]
        return signal if pick is None else signal[..., pick]


def _apply_copies(signal, copies):
    # What overflows, or is no number, is taken out with all other values that are not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        signal *= copies[:, :, None]
    signal[~(copies > 0)] = -1.0


def _finite(signal):
    finite = np.isfinite(signal)
    if not finite.all():
        signal[~finite] = 0.0
    return signal


def _filled(index):
    """An index of three parts, ``...`` and missing ones spelled out."""
    if Ellipsis in [part for part in index if not isinstance(part, np.ndarray)]:
        place = next(n for n, part in enumerate(index) if part is Ellipsis)
        index = (*index[:place], *(slice(None),) * (4 - len(index)), *index[place + 1 :])
    if len(index) > 3:
        raise IndexError(f"wells have 3 axes (rows, columns, flows); {len(index)} were indexed")
    return (*index, *(slice(None),) * (3 - len(index)))


def _box(part, length):
    """The range of step 1 that must be read for one axis, and what to pick of it (None for all)."""
    if isinstance(part, slice):
        wanted = range(length)[part]
        if wanted.step == 1 or not wanted:
            return (wanted if wanted else range(0)), None
        low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
        return range(low, high + 1), np.arange(wanted.start, wanted.stop, wanted.step) - low
    if isinstance(part, np.ndarray | list | tuple):
        points = _points(part, length)
        if not points.size:
            return range(0), None
        return range(points.min(), points.max() + 1), points - points.min()
    number = range(length)[part]
    return range(number, number + 1), 0


def _points(part, length):
    points = np.asarray(part)
    if points.dtype == bool and points.shape == (length,):
        points = np.nonzero(points)[0]
    if points.size == 0:
        return points.astype(np.int64)
    if points.dtype.kind not in "iu" or points.min() < -length or points.max() >= length:
        raise IndexError(f"index {part} does not fit an axis of {length}")
    return np.where(points < 0, points + length, points)
