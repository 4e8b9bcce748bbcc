"""Wells files of early releases: one record per well (basecaller.md 1.3)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import NUCS, FlowOrder
from ionanalysis.io.atomic import whole_file

MAX_EMPTY = 13_000_000
"""Wells of the largest chip of that time (318): how far coordinates may exceed the number of records."""


@dataclass(frozen=True, eq=False)
class LegacyWells:
    """An open legacy file, memory-mapped.

    Attributes
    ----------
    records : memmap of shape (n_wells,)
        Fields `rank`, `x`, `y`, `signal` (n_flows,).
    record_index : ndarray of shape (n_rows, n_cols), int32
        Record of each well, -1 where the file has none.
    flow_order : FlowOrder
    """

    records: np.ndarray
    record_index: np.ndarray
    flow_order: FlowOrder

    @property
    def shape(self):
        """Rows, columns, flows."""
        return (*self.record_index.shape, self.flow_order.n_flows)

    def read_signal(self, rows, cols, flows):
        """Signals of a box of ranges, float32; wells without a record give 0."""
        records = self.record_index[rows.start : rows.stop, cols.start : cols.stop]
        signal = np.zeros((*records.shape, len(flows)), np.float32)
        found = records >= 0
        signal[found] = self.records["signal"][records[found], flows.start : flows.stop]
        return signal

    def ranks(self):
        """Rank of each well, int64 (n_rows, n_cols); 0 where the file has no record."""
        ranks = np.zeros(self.record_index.shape, np.int64)
        found = self.record_index >= 0
        ranks[found] = self.records["rank"][self.record_index[found]]
        return ranks


def looks_like_legacy_wells(path):
    """Whether the first bytes and the size of `path` fit a legacy wells file."""
    try:
        _layout(Path(path))
    except InputError:
        return False
    return True


def open_legacy_wells(path, shape=None):
    """Open a legacy wells file.

    Parameters
    ----------
    path : path
    shape : tuple of int, optional
        Rows and columns, from the mask; by default one more than the greatest coordinates.

    Raises
    ------
    InputError
        If the size does not fit the header, or coordinates are outside the chip or come twice.
    """
    path = Path(path)
    n_wells, letters = _layout(path)
    dtype = _record_type(len(letters))
    records = np.memmap(path, dtype, "r", offset=6 + len(letters), shape=(n_wells,))
    rows, cols = records["y"].astype(np.int64), records["x"].astype(np.int64)
    needed = int(rows.max()) + 1, int(cols.max()) + 1
    shape = shape or needed
    if needed[0] > shape[0] or needed[1] > shape[1]:
        raise InputError(
            f"{path}: needs a chip of {needed[0]} x {needed[1]} wells; the mask has {shape[0]} x {shape[1]}."
        )
    if shape[0] * shape[1] > n_wells + MAX_EMPTY:
        raise InputError(
            f"{path}: has {n_wells} wells with coordinates up to row {shape[0] - 1}, column {shape[1] - 1}; "
            "no chip of that time is so large. Copy the file again."
        )
    record_index = np.full(shape, -1, np.int32)
    record_index[rows, cols] = np.arange(n_wells)
    again = record_index[rows, cols] != np.arange(n_wells)
    if again.any():
        first = int(again.argmax())
        raise InputError(f"{path}: well row {rows[first]}, column {cols[first]} comes twice; expected each well once.")
    return LegacyWells(records, record_index, FlowOrder.from_letters(letters))


def write_legacy_wells(path, signal, flow_order, *, rows, cols, ranks=0):
    """Write a legacy wells file.

    Parameters
    ----------
    path : path
    signal : array_like of shape (n_wells, n_flows), float32
    flow_order : FlowOrder
    rows, cols : array_like of shape (n_wells,), int
        Coordinates, 0..65535.
    ranks : int or array_like of shape (n_wells,)
    """
    signal = np.asarray(signal, np.float32)
    if signal.shape != (len(rows), len(flow_order)) or len(cols) != len(rows) or not signal.size:
        raise InputError(f"signal has shape {signal.shape}; expected one row of {len(flow_order)} flows per well.")
    if min(np.min(rows), np.min(cols)) < 0 or max(np.max(rows), np.max(cols), len(flow_order)) > 0xFFFF:
        raise InputError("legacy wells files hold coordinates and flow counts up to 65535; write HDF5.")
    records = np.zeros(len(rows), _record_type(len(flow_order)))
    records["rank"], records["x"], records["y"], records["signal"] = ranks, cols, rows, signal
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(np.uint32(len(rows)).tobytes() + np.uint16(len(flow_order)).tobytes())
        file.write(flow_order.letters.encode("ascii"))
        file.write(records.data)


def _record_type(n_flows):
    return np.dtype([("rank", "<u4"), ("x", "<u2"), ("y", "<u2"), ("signal", "<f4", (n_flows,))])


def _layout(path):
    """Number of wells and flow letters of the file."""
    try:
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(6)
            n_wells, n_flows = int.from_bytes(header[:4], "little"), int.from_bytes(header[4:], "little")
            letters = file.read(n_flows)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(header) < 6 or not n_wells or not n_flows or set(letters) - set(NUCS.encode()) or len(letters) < n_flows:
        raise InputError(f"{path}: is no wells file, neither HDF5 nor the records of early releases.")
    expected = 6 + n_flows + n_wells * _record_type(n_flows).itemsize
    if n_bytes != expected:
        raise InputError(
            f"{path}: holds {n_bytes} bytes; {n_wells} wells of {n_flows} flows, as its header says, take {expected}. "
            "Copy the file again."
        )
    return n_wells, letters.decode("ascii")
