"""BAM records as bytes, many at a time: what turns hundreds of thousands of reads a second into aligned ones.

For files of our own making; those of others go through `ionanalysis.bam.source` first.
"""

import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ionanalysis._core import records as kernels
from ionanalysis.bam.records import FIXED, EncodedRecords
from ionanalysis.bam.source import check_header
from ionanalysis.errors import InputError

_LETTERS = np.frombuffer(b"=ACMGRSVTWYHKDBN", np.uint8)
_IS_OVER_REFERENCE = np.isin(np.arange(16), (0, 2, 3, 7, 8))
"""Which steps of a CIGAR cover the reference: M, D, N, =, X."""

_READ_BYTES = 2 << 20


@dataclass(frozen=True, eq=False)
class RecordParts:
    """Where the parts of n records lie in their bytes.

    Attributes
    ----------
    records : EncodedRecords
    fixed : structured ndarray (n,)
        The fixed fields of each record, a copy.
    bases_at, qualities_at, tags_at, end : int64 (n,)
        First byte of the packed bases, of the qualities and of the tags, and the byte behind the record.
    """

    records: EncodedRecords
    fixed: np.ndarray
    bases_at: np.ndarray
    qualities_at: np.ndarray
    tags_at: np.ndarray
    end: np.ndarray

    @property
    def name_at(self):
        """First byte of each name."""
        return self.records.start[:-1] + FIXED.itemsize

    @cached_property
    def base_start(self):
        """int64 (n + 1,): read i has the bases [base_start[i], base_start[i + 1]) of `letters`."""
        return np.concatenate([[0], np.cumsum(self.fixed["n_bases"], dtype=np.int64)])

    @cached_property
    def letters(self):
        """Bases of all reads as they are stored, ASCII, uint8 (n_bases,)."""
        letters = np.empty(self.base_start[-1], np.uint8)
        kernels.unpack_bases(self.records.data, self.bases_at, self.base_start, _LETTERS, letters)
        return letters

    @cached_property
    def ends_of_text(self):
        """Places of all zero bytes, and the end of the bytes."""
        return np.append(np.flatnonzero(self.records.data == 0), len(self.records.data))

    def name_of(self, read):
        """Name of one read."""
        begin = self.name_at[read]
        return self.records.data[begin : begin + self.fixed["name_size"][read] - 1].tobytes().decode("ascii", "replace")

    @cached_property
    def steps(self):
        """CIGARs of all reads as `(codes, lengths, start)`: int64, read i has the steps [start[i], start[i + 1])."""
        n_steps = self.fixed["n_cigar"].astype(np.int64)
        start = np.concatenate([[0], np.cumsum(n_steps)])
        at = 4 * np.arange(start[-1]) + np.repeat(self.bases_at - 4 * (n_steps + start[:-1]), n_steps)
        steps = self.records.data[at[:, None] + np.arange(4)].view("<u4").reshape(-1).astype(np.int64)
        return steps & 15, steps >> 4, start

    @cached_property
    def reference_span(self):
        """Bases of the reference that each read covers, int64 (n,)."""
        codes, lengths, start = self.steps
        sums = np.concatenate([[0], np.cumsum(np.where(_IS_OVER_REFERENCE[codes], lengths, 0))])
        return sums[start[1:]] - sums[start[:-1]]

    @cached_property
    def qualities(self):
        """Qualities of all reads as they are stored, uint8 (n_bases,)."""
        n_bases = self.fixed["n_bases"].astype(np.int64)
        shift = np.repeat(self.qualities_at - self.base_start[:-1], n_bases)
        return self.records.data[np.arange(self.base_start[-1]) + shift]


def parts_of(records, where="records"):
    """`RecordParts` of `EncodedRecords`.

    Raises
    ------
    InputError
        If the lengths within a record do not fit its size.
    """
    first, end = records.start[:-1], records.start[1:]
    if (end - first < FIXED.itemsize).any():
        raise InputError(f"{where}: record {int(np.argmin(end - first))} is damaged; copy or make the file again.")
    rows = records.data[first[:, None] + np.arange(FIXED.itemsize)]
    fixed = np.ascontiguousarray(rows).view(FIXED).reshape(len(first))
    n_bases = fixed["n_bases"].astype(np.int64)
    bases_at = first + FIXED.itemsize + fixed["name_size"] + 4 * fixed["n_cigar"].astype(np.int64)
    qualities_at = bases_at + (n_bases + 1) // 2
    tags_at = qualities_at + n_bases
    wrong = np.flatnonzero((n_bases < 0) | (fixed["name_size"] == 0) | (tags_at > end))
    if len(wrong):
        raise InputError(f"{where}: record {wrong[0]} is damaged; copy or make the file again.")
    return RecordParts(records, fixed, bases_at, qualities_at, tags_at, end)


class RecordReader:
    """The records of a BAM file, in batches of a few megabytes; a context manager.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    text : str
        Header.
    references : list of (str, int)
        Names and lengths of the reference sequences.

    Raises
    ------
    InputError
        If the file is no BAM, damaged or cut off.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._n_records = 0

    def __enter__(self):
        from isal import igzip

        check_header(self.path)
        try:
            self._file = igzip.open(self.path, "rb")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check the file.") from error
        try:
            self._read_header()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_):
        self._file.close()

    def batches(self, n_bytes=_READ_BYTES):
        """Yield `EncodedRecords` of about `n_bytes` each, to the end of the file."""
        rest = b""
        while content := self._read(n_bytes):
            rest += content
            start = self._starts(rest)
            if len(start) > 1:
                yield EncodedRecords(np.frombuffer(rest, np.uint8, start[-1]), np.array(start, np.int64))
                rest = rest[start[-1] :]
        if rest:
            raise self._damaged("ends within a record")

    def _starts(self, content):
        """Where each whole record begins, and the last one ends."""
        start, at, size_at = [0], 0, struct.Struct("<i").unpack_from
        while at + 4 <= len(content):
            (size,) = size_at(content, at)
            if size < FIXED.itemsize - 4:
                raise self._damaged(f"record {self._n_records} has {size} bytes")
            at += 4 + size
            if at > len(content):
                break
            start.append(at)
            self._n_records += 1
        return start

    def _read_header(self):
        if self._exactly(4) != b"BAM\1":
            raise InputError(f"{self.path}: is no BAM file; give the reads as BAM.")
        self.text = self._exactly(self._number()).rstrip(b"\0").decode("utf-8", "replace")
        self.references = []
        for _ in range(self._number()):
            name = self._exactly(self._number())[:-1].decode("utf-8", "replace")
            self.references.append((name, self._number()))

    def _number(self):
        return int.from_bytes(self._exactly(4), "little")

    def _exactly(self, n_bytes):
        content = self._read(n_bytes) if n_bytes else b""
        if len(content) != n_bytes:
            raise self._damaged("has a header that ends too early")
        return content

    def _read(self, n_bytes):
        from isal import isal_zlib

        damage: tuple = (OSError, EOFError, isal_zlib.error)
        try:
            return self._file.read(n_bytes)
        except damage as error:
            raise self._damaged(f"cannot be unpacked ({error})") from error

    def _damaged(self, what):
        return InputError(f"{self.path}: {what}; copy or make the file again.")
