"""Well masks: what is known about each well of a chip, one bit per fact (sigproc.md 3.1, basecaller.md 1.6).

The same container with a barcode number in place of flags is ``barcodeMask.bin``.
"""

import os
import struct
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file, write_whole

NO_READ = 0xFFFF
"""What ``barcodeMask.bin`` holds where no read was called (basecaller.md 8.7)."""


class WellFlag(IntFlag):
    """Bits of a well in ``bfmask.bin``; `FILTERED` groups those that take a read out before calling."""

    EMPTY = 0x0001
    BEAD = 0x0002
    LIVE = 0x0004
    DUD = 0x0008
    REFERENCE = 0x0010
    TF = 0x0020
    LIB = 0x0040
    PINNED = 0x0080
    IGNORE = 0x0100
    WASHOUT = 0x0200
    EXCLUDE = 0x0400
    KEYPASS = 0x0800
    FILTERED_BAD_KEY = 0x1000
    FILTERED_SHORT = 0x2000
    FILTERED_BAD_PPF = 0x4000
    FILTERED_BAD_RESIDUAL = 0x8000

    FILTERED = FILTERED_BAD_KEY | FILTERED_BAD_PPF | FILTERED_BAD_RESIDUAL
    """Without `FILTERED_SHORT`, as in the original."""
    BASECALLER = KEYPASS | FILTERED | FILTERED_SHORT
    """Bits that base calling clears and sets anew."""


@dataclass(frozen=True, eq=False)
class Mask:
    """Flags of the wells of a chip or block.

    Attributes
    ----------
    flags : ndarray of shape (n_rows, n_cols), uint16
        Bits of `WellFlag`; read-only.
    """

    flags: np.ndarray

    def __post_init__(self):
        flags = np.array(self.flags, np.uint16, order="C")
        if flags.ndim != 2:
            raise InputError(f"a mask has shape {flags.shape}; expected rows and columns.")
        flags.flags.writeable = False
        object.__setattr__(self, "flags", flags)

    @property
    def shape(self):
        """Rows and columns."""
        return self.flags.shape

    def __eq__(self, other):
        return isinstance(other, Mask) and np.array_equal(self.flags, other.flags)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        facts = [f"{flag.name} {n}" for flag in WellFlag if (n := self.count(flag))]
        return f"Mask({self.shape[0]} x {self.shape[1]} wells: {', '.join(facts) or 'no flags'})"

    def matches(self, flags):
        """Bool (n_rows, n_cols): wells that share at least one bit with `flags`."""
        return (self.flags & np.uint16(flags)) != 0

    def matches_all(self, flags):
        """Bool (n_rows, n_cols): wells that have every bit of `flags`."""
        return (self.flags & np.uint16(flags)) == np.uint16(flags)

    def count(self, flags):
        """Number of wells that have every bit of `flags`."""
        return int(np.count_nonzero(self.matches_all(flags)))

    def with_flags(self, flags, where=True):
        """A mask with the bits `flags` also set, everywhere or where the bool array `where` is True."""
        return Mask(np.where(where, self.flags | np.uint16(flags), self.flags))

    def without_flags(self, flags, where=True):
        """A mask with the bits `flags` cleared, everywhere or where the bool array `where` is True."""
        return Mask(np.where(where, self.flags & ~np.uint16(flags), self.flags))

    def cut(self, block):
        """The part of the mask inside `block`.

        Raises
        ------
        InputError
            If the block reaches beyond the mask.
        """
        if block.row + block.n_rows > self.shape[0] or block.col + block.n_cols > self.shape[1]:
            raise InputError(f"block {block} reaches beyond the mask of {self.shape[0]} x {self.shape[1]} wells.")
        return Mask(self.flags[block.slices])


def read_mask(path):
    """Read ``bfmask.bin``, ``analysis.bfmask.bin`` or any other file of that form as a `Mask`.

    Raises
    ------
    InputError
        If the file is missing or its size does not fit the rows and columns it states.
    """
    return Mask(_read_container(path))


def write_mask(path, mask):
    """Write `mask` in the form of ``bfmask.bin``."""
    _write_container(path, mask.flags)


def read_barcode_mask(path):
    """Read ``barcodeMask.bin``: the barcode number of each well, uint16 (n_rows, n_cols).

    0 is a read without barcode, 65535 (`NO_READ`) a well that was never called.
    """
    return _read_container(path)


def write_barcode_mask(path, barcodes):
    """Write barcode numbers, integers of shape (n_rows, n_cols), in the form of ``barcodeMask.bin``."""
    barcodes = np.asarray(barcodes)
    if barcodes.ndim != 2 or (barcodes.size and (barcodes.min() < 0 or barcodes.max() > 0xFFFF)):
        raise InputError(f"barcode numbers of shape {barcodes.shape} must be rows x columns of numbers 0..65535.")
    _write_container(path, barcodes.astype(np.uint16))


def looks_like_mask(path):
    """Whether the size of a file fits the rows and columns at its start."""
    try:
        with Path(path).open("rb") as file:
            n_rows, n_cols = struct.unpack("<II", file.read(8))
            return n_rows * n_cols > 0 and os.fstat(file.fileno()).st_size == 8 + 2 * n_rows * n_cols
    except (OSError, struct.error):
        return False


def _read_container(path):
    path = Path(path)
    try:
        with path.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size
            header = file.read(8)
            if len(header) < 8:
                raise InputError(f"{path}: holds {len(header)} bytes; a mask starts with 8 bytes of rows and columns.")
            n_rows, n_cols = struct.unpack("<II", header)
            expected = 8 + 2 * n_rows * n_cols
            if n_rows * n_cols == 0 or n_bytes != expected:
                raise InputError(
                    f"{path}: holds {n_bytes} bytes; a mask of {n_rows} x {n_cols} wells, as its header says, "
                    f"holds {expected}. Copy the file again or check that it is a mask."
                )
            content = file.read(expected - 8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if len(content) != expected - 8:
        raise InputError(f"{path}: ends after {8 + len(content)} of {expected} bytes. Copy the file again.")
    return np.frombuffer(content, "<u2").astype(np.uint16).reshape(n_rows, n_cols)


def _write_container(path, values):
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<II", *values.shape))
        file.write(np.ascontiguousarray(values, "<u2").data)


# First and second group of flags of which a well may have at most one; a flag and what it implies.
_EXCLUSIVE = (
    (WellFlag.BEAD, WellFlag.EMPTY),
    (WellFlag.BEAD, WellFlag.EXCLUDE),
    (WellFlag.EMPTY, WellFlag.EXCLUDE),
    (WellFlag.LIVE, WellFlag.DUD),
    (WellFlag.TF, WellFlag.LIB),
)
_IMPLIES = (
    (WellFlag.LIVE, WellFlag.BEAD),
    (WellFlag.DUD, WellFlag.BEAD),
    (WellFlag.TF, WellFlag.LIVE),
    (WellFlag.LIB, WellFlag.LIVE),
)


def inconsistencies(mask):
    """Rules of the format that wells of `mask` break, as sentences with counts; empty if all is well.

    Bead, Empty and Exclude exclude one another; Live and Dud exclude one another and imply Bead; TF and
    Lib exclude one another and imply Live (basecaller.md 1.6). Wells with none of Bead, Empty and
    Exclude are allowed: the original leaves ignored wells so.
    """
    found = [(mask.count(a | b), f"both {a.name} and {b.name}") for a, b in _EXCLUSIVE]
    found += [(mask.count(a) - mask.count(a | b), f"{a.name} without {b.name}") for a, b in _IMPLIES]
    return [f"{n} wells are {rule}" for n, rule in found if n]


def read_exclusion_mask(path):
    """Read an exclusion mask, text (P chips) or binary (PGM chips), as a `Mask` of Exclude flags only.

    The text form has ``cols rows`` on its first line, then ``start end`` of the usable columns of each
    row, ``start <= column < end``; ``0 0`` excludes the row (sigproc.md 1.10).

    Raises
    ------
    InputError
        If the file is neither form, or lines are missing.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # Binary headers have zero bytes: no chip has 2**24 rows.
            is_text = b"\0" not in file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not is_text:
        return Mask(_read_container(path) & np.uint16(WellFlag.EXCLUDE))
    ranges = _exclusion_ranges(path)
    (n_cols, n_rows), bounds = ranges[0], ranges[1:]
    _check_exclusion(path, n_rows, n_cols, bounds)
    columns = np.arange(n_cols)
    usable = (columns >= bounds[:, :1]) & (columns < bounds[:, 1:])
    return Mask(np.where(usable, 0, WellFlag.EXCLUDE).astype(np.uint16))


def _exclusion_ranges(path):
    try:
        rows = [line.split() for line in path.read_text("ascii").splitlines() if line.strip()]
        ranges = np.array([[int(first), int(second)] for first, second in rows], np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: is no exclusion mask ({error}); expected two numbers on each line.") from error
    if not len(ranges):
        raise InputError(f"{path}: is empty; expected an exclusion mask.")
    return ranges


def _check_exclusion(path, n_rows, n_cols, bounds):
    if len(bounds) != n_rows or not 1 <= n_cols <= 0xFFFF:
        raise InputError(
            f"{path}: says {n_cols} columns and {n_rows} rows, and has {len(bounds)} lines of rows; "
            "expected one line for each row."
        )
    wrong = (bounds < 0).any(axis=1) | (bounds[:, 0] > bounds[:, 1]) | (bounds[:, 1] > n_cols)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{path}: row {row} says columns {bounds[row, 0]} to {bounds[row, 1]}; expected a range in 0..{n_cols}."
        )


def write_exclusion_mask(path, mask):
    """Write the Exclude flags of `mask` as text; usable wells of a row must be neighbours.

    Raises
    ------
    InputError
        If the usable wells of a row have gaps: the text form cannot hold them, the binary one can.
    """
    usable = ~mask.matches(WellFlag.EXCLUDE)
    start = usable.argmax(axis=1)
    end = start + usable.sum(axis=1)
    start[~usable.any(axis=1)] = end[~usable.any(axis=1)] = 0
    columns = np.arange(mask.shape[1])
    gaps = (usable != ((columns >= start[:, None]) & (columns < end[:, None]))).any(axis=1)
    if gaps.any():
        raise InputError(f"{path}: row {int(gaps.argmax())} has gaps between usable wells; write a binary mask.")
    lines = [f"{mask.shape[1]}\t{mask.shape[0]}", *(f"{a}\t{b}" for a, b in zip(start, end, strict=True))]
    write_whole(path, "\n".join(lines) + "\n")
