"""Aligned reads of a BAM file as columns, in the order of sequencing (basecaller.md 11.3)."""

import re
from dataclasses import dataclass

import numpy as np

from ionanalysis.bam.source import DamagedRecordError, tag_of
from ionanalysis.metrics.alignment import DELETION, INSERTION, MATCH, SUBSTITUTION, AlignmentColumns

_OPERATIONS = {0: MATCH, 1: INSERTION, 2: DELETION, 7: MATCH, 8: MATCH}
"""CIGAR codes that make columns; substitutions among matches are told by MD."""

_SOFT_CLIP = 4
_MD_PART = re.compile(r"(\d+)|\^([A-Za-z]+)|([A-Za-z])")

_IUPAC = "ACMGRSVTWYHKDBN"
_NUC_SET = np.zeros(256, np.uint8)
_COMPLEMENT = np.arange(256, dtype=np.uint8)
for _bits, _letter in enumerate(_IUPAC, 1):
    _reversed_bits = int(f"{_bits:04b}"[::-1], 2)
    for _case in (_letter, _letter.lower()):
        _NUC_SET[ord(_case)] = _bits
        _COMPLEMENT[ord(_case)] = ord(_IUPAC[_reversed_bits - 1])


@dataclass(frozen=True)
class AlignedReads:
    """The aligned parts of n reads.

    Attributes
    ----------
    columns : AlignmentColumns
        Columns of the aligned parts, from the first base sequenced to the last, whatever the strand. Letters
        that may stand for the same base match.
    first : int64 (n,)
        Position in its read of the first aligned base: bases that were clipped off the front count.
    end : int64 (n,)
        Position behind the last aligned base.
    """

    columns: AlignmentColumns
    first: np.ndarray
    end: np.ndarray

    @property
    def position(self):
        """Position in the read of each column, from 0; of the next base for a deletion."""
        return self.columns.position + self.first[self.columns.read]


def aligned_reads(reads):
    """Columns of pysam reads that are aligned and carry MD tags.

    Parameters
    ----------
    reads : sequence of pysam.AlignedSegment

    Returns
    -------
    AlignedReads

    Raises
    ------
    InputError
        If CIGAR and MD do not fit each other.
    """
    codes: list[int] = []
    counts: list[int] = []
    letters, n_columns, n_bases, n_targets, front = [], [], [], [], []
    patches: list[int] = []
    patched: list[str] = []
    n_target = 0
    for read in reads:
        cigar = [(_OPERATIONS[code], count) for code, count in read.cigartuples if code in _OPERATIONS]
        lengths = [count for _, count in cigar]
        targets = sum(count for code, count in cigar if code != INSERTION)
        _patch(read, n_target, targets, patches, patched)
        codes += [code for code, _ in cigar]
        counts += lengths
        letters.append(read.query_alignment_sequence)
        n_columns.append(sum(lengths))
        n_bases.append(len(letters[-1]))
        n_targets.append(targets)
        n_target += targets
        front.append(_front_clip(read))
    is_reverse = np.array([read.is_reverse for read in reads], bool)
    starts = [_starts(sizes) for sizes in (n_columns, n_bases, n_targets)]
    column_read = np.repeat(np.arange(len(n_columns)), n_columns)
    operation = np.repeat(np.array(codes, np.uint8), counts)
    bases = np.frombuffer("".join(letters).encode("ascii"), np.uint8)
    target = np.zeros(starts[2][-1], np.uint8)
    placed = AlignmentColumns(operation, column_read, bases, target, starts[1], starts[2])
    is_pair = operation == MATCH
    target[placed.target_index[is_pair]] = bases[placed.base_index[is_pair]]
    target[np.array(patches, np.int64)] = np.frombuffer("".join(patched).encode("ascii"), np.uint8)
    orders = [_sequencing_order(start, is_reverse) for start in starts]
    operation = operation[orders[0]]
    bases = _strand(bases[orders[1]], starts[1], is_reverse)
    target = _strand(target[orders[2]], starts[2], is_reverse)
    turned = AlignmentColumns(operation, column_read, bases, target, starts[1], starts[2])
    pair = np.flatnonzero(operation == MATCH)
    differ = _NUC_SET[bases[turned.base_index[pair]]] & _NUC_SET[target[turned.target_index[pair]]] == 0
    operation[pair[differ]] = SUBSTITUTION
    first = np.array(front, np.int64)
    return AlignedReads(turned, first, first + np.diff(starts[1]))


def _patch(read, offset, n_target, patches, patched):
    """Append where the target differs from the read, and its letters there, as MD tells them."""
    place = 0
    for count, deleted, letter in _MD_PART.findall(tag_of(read, "MD", str, "")):
        if count:
            place += int(count)
            continue
        told = deleted or letter
        patches.extend(range(offset + place, offset + place + len(told)))
        patched.append(told)
        place += len(told)
    if place != n_target:
        raise DamagedRecordError(f"read {read.query_name}: MD tells of {place} bases, CIGAR of {n_target}")


def _front_clip(read):
    """Soft-clipped bases before the first aligned one, in the order of sequencing; hard clips do not count."""
    cigar = read.cigartuples[::-1] if read.is_reverse else read.cigartuples
    return next((count if code == _SOFT_CLIP else 0 for code, count in cigar if code != 5), 0)


def _sequencing_order(starts, is_reverse):
    """Order that turns the items of reads on the reverse strand around; `starts` has n_reads + 1 items."""
    read = np.repeat(np.arange(len(is_reverse)), np.diff(starts))
    place = np.arange(starts[-1])
    return np.where(is_reverse[read], starts[read] + starts[read + 1] - 1 - place, place)


def _strand(letters, starts, is_reverse):
    return np.where(np.repeat(is_reverse, np.diff(starts)), _COMPLEMENT[letters], letters)


def _starts(sizes):
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
