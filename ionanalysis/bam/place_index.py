"""Index of a BAM file sorted by place, kind BAI, made while the file is written (SAM specification 5.2)."""

import struct

import numpy as np

from ionanalysis.bam.bgzf import BLOCK_SIZE
from ionanalysis.bam.records import UNMAPPED

LONGEST_REFERENCE = 1 << 29
"""Bases of a reference sequence up to which an index of this kind can tell places."""

_WINDOW_SHIFT = 14
_COUNTS_BIN = 37450
"""Bin that holds no places but the extent of a reference sequence in the file, and counts of its reads."""

_NO_ROWS = np.zeros(0, np.int64)


class PlaceIndex:
    """What tells where in a file the reads of a place stand, of records added in the order of the file.

    Memory: that of the index itself and of a few arrays of its size; nothing per read.

    Parameters
    ----------
    n_references : int
    n_header_bytes : int
        Unpacked bytes in front of the first record.
    """

    def __init__(self, n_references, n_header_bytes):
        self._n_references, self._at = n_references, n_header_bytes
        self._chunks: list[np.ndarray] = [_NO_ROWS.reshape(4, 0)]
        self._windows: list[np.ndarray] = [_NO_ROWS.reshape(2, 0)]
        self._extent = np.full((n_references, 2), -1, np.int64)
        self._counts = np.zeros((n_references, 2), np.int64)
        self._n_without_place = 0

    def add(self, parts):
        """Take in the next records of the file, `RecordParts`."""
        bounds = self._at + parts.records.start - parts.records.start[0]
        self._at = int(bounds[-1])
        has_place = (parts.fixed["reference"] >= 0) & (parts.fixed["position"] >= 0)
        self._n_without_place += int((~has_place).sum())
        if not has_place.any():
            return
        fixed, begin, end = parts.fixed[has_place], bounds[:-1][has_place], bounds[1:][has_place]
        reference, start = fixed["reference"].astype(np.int64), fixed["position"].astype(np.int64)
        # A read that covers nothing is found at its position.
        behind = start + np.maximum(parts.reference_span[has_place], 1)
        self._add_chunks(reference, bins_of(start, behind), begin, end)
        self._add_windows(reference, start >> _WINDOW_SHIFT, (behind - 1) >> _WINDOW_SHIFT, begin)
        np.add.at(self._counts, (reference, ((fixed["flag"] & UNMAPPED) != 0).astype(np.int64)), 1)

    def _add_chunks(self, reference, bins, begin, end):
        changes = np.flatnonzero((np.diff(reference) != 0) | (np.diff(bins) != 0))
        first, last = np.append(0, changes + 1), np.append(changes, len(bins) - 1)
        self._chunks.append(np.stack([reference[first], bins[first], begin[first], end[last]]))
        for number in np.unique(reference):
            of_reference = np.flatnonzero(reference == number)
            if self._extent[number, 0] < 0:
                self._extent[number, 0] = begin[of_reference[0]]
            self._extent[number, 1] = end[of_reference[-1]]

    def _add_windows(self, reference, first, last, begin):
        """Keep of each window that reads lie in where the first of them stands."""
        n_windows = last - first + 1
        in_read = np.arange(n_windows.sum()) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
        windows = np.repeat(reference << 32 | first, n_windows) + in_read
        self._windows.append(_first_of_each(np.stack([windows, np.repeat(begin, n_windows)])))

    def encoded(self, block_start):
        """The bytes of the index.

        Parameters
        ----------
        block_start : int64 ndarray
            Where in the file each block of `BLOCK_SIZE` unpacked bytes begins, the one that marks the end included.
        """
        reference, bins, begin, end = _merged(np.concatenate(self._chunks, axis=1), block_start)
        windows, window_begin = _first_of_each(np.concatenate(self._windows, axis=1))
        window_begin = _virtual(window_begin, block_start)
        chunk_bounds = np.searchsorted(reference, np.arange(self._n_references + 1))
        window_bounds = np.searchsorted(windows >> 32, np.arange(self._n_references + 1))
        parts = [b"BAI\1", struct.pack("<i", self._n_references)]
        for number in range(self._n_references):
            chunks = slice(*chunk_bounds[number : number + 2])
            inside = slice(*window_bounds[number : number + 2])
            if chunks.start == chunks.stop:
                parts.append(bytes(8))
                continue
            pairs = np.stack([begin[chunks], end[chunks]], axis=1)
            bins_here, first = np.unique(bins[chunks], return_index=True)
            parts.append(struct.pack("<i", len(bins_here) + 1))
            for one, of_bin in zip(bins_here.tolist(), np.split(pairs, first[1:]), strict=True):
                parts += (struct.pack("<Ii", one, len(of_bin)), of_bin.astype("<u8").tobytes())
            extent = _virtual(self._extent[number], block_start)
            parts.append(struct.pack("<Ii4Q", _COUNTS_BIN, 2, *extent, *self._counts[number]))
            used = windows[inside] & 0xFFFFFFFF
            # An empty window begins where the next one with reads does: no read before that reaches it.
            of_window = window_begin[inside][np.searchsorted(used, np.arange(used[-1] + 1))]
            parts += (struct.pack("<i", len(of_window)), of_window.astype("<u8").tobytes())
        parts.append(struct.pack("<Q", self._n_without_place))
        return b"".join(parts)


def bins_of(start, end):
    """Bin of each interval of a reference sequence, `end` not included (SAM specification 5.3)."""
    last = np.maximum(end - 1, start)
    bins = np.zeros(len(start), np.int64)
    open_bins = np.ones(len(start), bool)
    for shift in (14, 17, 20, 23, 26):
        same = open_bins & (start >> shift == last >> shift)
        bins[same] = ((1 << (29 - shift)) - 1) // 7 + (start[same] >> shift)
        open_bins &= ~same
    return bins


def _first_of_each(rows):
    """Columns of `rows`, the first of each value of row 0, in the order of the values."""
    _, first = np.unique(rows[0], return_index=True)
    return rows[:, first]


def _merged(chunks, block_start):
    """Chunks by reference and bin, as virtual offsets; those that share a block of the file with the next are one."""
    reference, bins, begin, end = chunks[:, np.lexsort((chunks[2], chunks[1], chunks[0]))]
    begin, end = _virtual(begin, block_start), _virtual(end, block_start)
    is_new = np.ones(len(bins), bool)
    same = (np.diff(reference) == 0) & (np.diff(bins) == 0)
    is_new[1:] = ~(same & (begin[1:] >> 16 <= end[:-1] >> 16))
    first = np.flatnonzero(is_new)
    last = np.append(first[1:], len(bins)) - 1 if len(first) else first
    return reference[first], bins[first], begin[first], end[last]


def _virtual(unpacked, block_start):
    """Virtual offsets (SAM specification 4.1.1) of places in the unpacked bytes."""
    return block_start[unpacked // BLOCK_SIZE] << 16 | unpacked % BLOCK_SIZE
