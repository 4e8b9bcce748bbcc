"""Structure-of-arrays reads, and the bytes of their BAM records.

Tags are whole columns: each is packed with a few array operations, and a kernel puts the cells of a read end to end,
so that numbers cost no Python per read.
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis._core import records as kernels
from ionanalysis.errors import InputError, expect_shape

FLOW_UNITS_PER_BASE = 256
"""Signal of one base in tag ZM (basecaller.md 8.5)."""

NIBBLE = np.full(256, 15, np.uint8)
for _letter, _code in zip("=ACMGRSVTWYHKDBN", range(16), strict=True):
    NIBBLE[[ord(_letter), ord(_letter.lower())]] = _code

_COMPLEMENT = [int(f"{code:04b}"[::-1], 2) for code in range(16)]
TURNED = np.array([_COMPLEMENT[pair & 15] << 4 | _COMPLEMENT[pair >> 4] for pair in range(256)], np.uint8)
"""Two packed bases as they are read from the other strand."""

_ARRAY_KINDS = {
    "B:c": "<i1",
    "B:C": "<u1",
    "B:s": "<i2",
    "B:S": "<u2",
    "B:i": "<i4",
    "B:I": "<u4",
    "B:f": "<f4",
}
_SCALAR_KINDS = {"i": "<i4", "f": "<f4"}
FIXED = np.dtype(
    [
        ("block_size", "<i4"),
        ("reference", "<i4"),
        ("position", "<i4"),
        ("name_size", "u1"),
        ("mapping_quality", "u1"),
        ("bin", "<u2"),
        ("n_cigar", "<u2"),
        ("flag", "<u2"),
        ("n_bases", "<i4"),
        ("mate_reference", "<i4"),
        ("mate_position", "<i4"),
        ("template_length", "<i4"),
    ]
)
REVERSE, UNMAPPED, DUPLICATE = 16, 4, 1024
"""Flags of records."""

_UNMAPPED_BIN = 4680


@dataclass(frozen=True)
class TagColumn:
    """One tag of all reads of a batch.

    Parameters
    ----------
    name : str
        Two letters.
    kind : str
        BAM type: ``Z``, ``i``, ``f``, or ``B:`` with one of ``c C s S i I f``.
    values : list of str, or ndarray of shape (n_reads,) or (n_reads, n_values)
        Text, number or array of each read. Texts may also be rows of letters, uint8.
    lengths : ndarray of shape (n_reads,), optional
        How many values of its row each read has; all by default. Only for arrays and rows of letters.
    present : ndarray of shape (n_reads,), bool, optional
        Which reads have the tag; all by default.
    """

    name: str
    kind: str
    values: list | np.ndarray
    lengths: np.ndarray | None = None
    present: np.ndarray | None = None


@dataclass(frozen=True)
class ReadBatch:
    """Unaligned reads, structure of arrays.

    Parameters
    ----------
    names : list of str, or ndarray of shape (n_reads, n_letters), uint8
        Names of one length may also be rows of letters.
    bases : ndarray of shape (n_bases,), uint8
        ASCII letters of all reads, one after the other; may hold more than what is written.
    qualities : ndarray of shape (n_bases,), uint8
        Phred values of `bases`.
    begin, end : ndarray of shape (n_reads,), int64
        Read i has the bases [begin[i], end[i]).
    tags : tuple of TagColumn
        In the order in which they are written.
    """

    names: list[str] | np.ndarray
    bases: np.ndarray
    qualities: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    tags: tuple[TagColumn, ...] = ()

    def __len__(self):
        return len(self.names)


@dataclass(frozen=True, eq=False)
class EncodedRecords:
    """BAM records, end to end: record i is ``data[start[i]:start[i + 1]]``.

    Attributes
    ----------
    data : ndarray, uint8
    start : ndarray of shape (n_records + 1,), int64
    """

    data: np.ndarray
    start: np.ndarray

    def __len__(self):
        return len(self.start) - 1

    def __getitem__(self, chosen):
        """Records given by a slice, a mask or an array of numbers, in that order."""
        if isinstance(chosen, slice) and chosen.step in (None, 1):
            first, last, _ = chosen.indices(len(self))
            start = self.start[first : max(first, last) + 1]
            return EncodedRecords(self.data[start[0] : start[-1]], start - start[0])
        numbers = np.arange(len(self))[chosen]
        return joined([Cells(self.data, self.start[:-1][numbers], self.start[1:][numbers])], len(numbers))


@dataclass(frozen=True, eq=False)
class Cells:
    """A column of records: cell i is ``data[first[i]:last[i]]``, two values a byte if `packed`."""

    data: np.ndarray
    first: np.ndarray
    last: np.ndarray
    packed: bool = False

    @property
    def sizes(self):
        lengths = self.last - self.first
        return (lengths + 1) // 2 if self.packed else lengths

    def append(self, at, data):
        """Copy the cells to places `at` of `data`; `at` moves on."""
        append = kernels.append_packed if self.packed else kernels.append_cells
        append(self.data, self.first, self.last, at, data)


@dataclass(frozen=True, eq=False)
class StrandedCells:
    """Packed bases and the qualities behind them, from `first` in the records `data`; turned around if `reverse`."""

    data: np.ndarray
    first: np.ndarray
    n_bases: np.ndarray
    reverse: np.ndarray

    @property
    def sizes(self):
        return (self.n_bases + 1) // 2 + self.n_bases

    def append(self, at, data):
        """As `Cells.append`."""
        kernels.append_turned(self.data, self.first, self.n_bases, self.reverse.view(np.uint8), TURNED, at, data)


def flow_units(signal):
    """Flow signals in the units of tag ZM, int16: ``2 * clamp(trunc(128 * m), -16383, 16383)``.

    Source: basecaller.md 8.4. NaN becomes 0.

    >>> flow_units(np.float32([0, 1, 0.5, -0.123, 1.2345, 127.99, 128, -128.5])).tolist()
    [0, 256, 128, -30, 316, 32764, 32766, -32766]
    """
    signal = np.ascontiguousarray(signal, np.float32)
    units = np.empty(signal.shape, np.int16)
    kernels.flow_units(signal.reshape(-1), units.reshape(-1))
    return units


def encode_records(batch):
    """The BAM records of a batch, `EncodedRecords`.

    Raises
    ------
    InputError
        If a column does not fit the number of reads, or a name is longer than BAM allows.
    """
    n_reads = len(batch)
    for name, array in (("begin", batch.begin), ("end", batch.end)):
        expect_shape(name, np.asarray(array), (n_reads,), "one per read")
    names = _name_cells(batch.names)
    if names.sizes.max(initial=0) > 255:
        longest = names.sizes.argmax()
        name = names.data[names.first[longest] : names.last[longest] - 1].tobytes().decode("ascii")
        raise InputError(f"read name {name!r} is longer than the 254 letters BAM allows.")
    begin, end = np.asarray(batch.begin, np.int64), np.asarray(batch.end, np.int64)
    columns = [
        names,
        Cells(NIBBLE[batch.bases], begin, end, packed=True),
        Cells(np.ascontiguousarray(batch.qualities, np.uint8), begin, end),
        *(tag_cells(tag, n_reads) for tag in batch.tags),
    ]
    body_size = np.sum([column.sizes for column in columns], axis=0)
    return joined([_fixed_part(names.sizes, end - begin, body_size), *columns], n_reads)


def joined(columns, n_records):
    """Records of one cell of each column."""
    start = np.zeros(n_records + 1, np.int64)
    np.cumsum(np.sum([column.sizes for column in columns], axis=0), out=start[1:])
    data, at = np.empty(start[-1], np.uint8), start[:-1].copy()
    for column in columns:
        column.append(at, data)
    return EncodedRecords(data, start)


def _fixed_part(name_size, n_bases, body_size):
    """Block size and the fixed fields of unmapped reads: no reference, position, CIGAR or mate."""
    rows = np.zeros(len(n_bases), FIXED)
    rows["block_size"] = FIXED.itemsize - 4 + body_size
    for name in ("reference", "position", "mate_reference", "mate_position"):
        rows[name] = -1
    rows["name_size"], rows["n_bases"] = name_size, n_bases
    rows["bin"], rows["flag"] = _UNMAPPED_BIN, UNMAPPED
    return row_cells(rows)


def row_cells(rows, used=None):
    """A cell of each row of a structured array: its first `used` bytes, all by default."""
    first = np.arange(len(rows), dtype=np.int64) * rows.itemsize
    return Cells(np.frombuffer(rows.tobytes(), np.uint8), first, first + (rows.itemsize if used is None else used))


def _name_cells(names):
    if not isinstance(names, np.ndarray):
        return _texts(names, "")
    ended = np.pad(names, ((0, 0), (0, 1)))
    last = np.arange(1, len(ended) + 1, dtype=np.int64) * ended.shape[1]
    return Cells(ended.reshape(-1), last - ended.shape[1], last)


def _texts(values, head):
    """Cells of `head`, a text and the NUL behind it."""
    flat = (head + ("\0" + head).join(values) + "\0").encode("ascii") if len(values) else b""
    sizes = np.fromiter(map(len, values), np.int64, len(values)) + len(head) + 1
    last = np.cumsum(sizes)
    return Cells(np.frombuffer(flat, np.uint8), last - sizes, last)


def tag_cells(tag, n_reads):
    if len(tag.values) != n_reads:
        raise InputError(f"tag {tag.name} has {len(tag.values)} values; expected {n_reads}, one per read.")
    if tag.kind == "Z" and isinstance(tag.values, np.ndarray):
        cells = _letter_cells(tag)
    elif tag.kind == "Z":
        cells = _texts(tag.values, tag.name + "Z")
    elif tag.kind in _SCALAR_KINDS:
        cells = _scalar_cells(tag, n_reads)
    elif tag.kind in _ARRAY_KINDS:
        cells = _array_cells(tag, n_reads)
    else:
        raise InputError(f"tag {tag.name} has type {tag.kind!r}; BAM tags here are Z, i, f or B arrays.")
    if tag.present is None:
        return cells
    return Cells(cells.data, cells.first, np.where(tag.present, cells.last, cells.first))


def _letter_cells(tag):
    """Cells of texts that are rows of letters, as long as `lengths` says."""
    letters = np.asarray(tag.values, np.uint8)
    n_reads, width = letters.shape
    lengths = np.full(n_reads, width, np.int64) if tag.lengths is None else np.asarray(tag.lengths, np.int64)
    rows = np.zeros(n_reads, [("head", "S3"), ("letters", np.uint8, (width,)), ("end", np.uint8)])
    rows["head"] = tag.name.encode("ascii") + b"Z"
    # What stands behind a text in its row becomes the NUL that ends it.
    rows["letters"] = np.where(np.arange(width) < lengths[:, None], letters, 0)
    return row_cells(rows, 4 + lengths)


def _scalar_cells(tag, n_reads):
    rows = np.empty(n_reads, [("head", "S3"), ("value", _SCALAR_KINDS[tag.kind])])
    rows["head"] = tag.name.encode("ascii") + tag.kind.encode("ascii")
    rows["value"] = tag.values
    return row_cells(rows)


def _array_cells(tag, n_reads):
    values = np.asarray(tag.values)
    n_values = values.shape[1]
    counts = np.full(n_reads, n_values) if tag.lengths is None else np.clip(tag.lengths, 0, n_values)
    kind = np.dtype(_ARRAY_KINDS[tag.kind])
    rows = np.empty(n_reads, [("head", "S4"), ("count", "<i4"), ("values", kind, (n_values,))])
    rows["head"], rows["count"] = tag.name.encode("ascii") + b"B" + tag.kind[2:].encode("ascii"), counts
    rows["values"] = values
    return row_cells(rows, 8 + counts.astype(np.int64) * kind.itemsize)
