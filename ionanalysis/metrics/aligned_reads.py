"""Aligned reads of a BAM file as columns, in the order of sequencing (basecaller.md 11.3)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.bam.source import DamagedRecordError
from ionanalysis.flows import CODES
from ionanalysis.metrics.alignment import DELETION, INSERTION, MATCH, SUBSTITUTION, AlignmentColumns
from ionanalysis.metrics.read_columns import ReadColumns, Wanted, starts_of

_NO_COLUMN = 255
_OPERATIONS = np.full(16, _NO_COLUMN, np.uint8)
"""Columns that CIGAR codes make; substitutions among matches are told by MD."""
_OPERATIONS[[0, 1, 2, 7, 8]] = MATCH, INSERTION, DELETION, MATCH, MATCH

_SOFT_CLIP, _HARD_CLIP = 4, 5

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
    """Columns of reads that are aligned and carry MD tags.

    Parameters
    ----------
    reads : ReadColumns, or sequence of pysam.AlignedSegment

    Returns
    -------
    AlignedReads

    Raises
    ------
    DamagedRecordError
        If CIGAR, MD and bases do not fit each other.
    """
    if not isinstance(reads, ReadColumns):
        reads = ReadColumns.of_reads(reads, Wanted())
    owner = np.repeat(np.arange(len(reads)), np.diff(reads.cigar_start))
    code, count = reads.cigar & 15, (reads.cigar >> 4).astype(np.int64)
    front, back = _clips(reads, owner, code, count)
    step = _OPERATIONS[code]
    makes_column = step != _NO_COLUMN
    owner, step, count = owner[makes_column], step[makes_column], count[makes_column]
    n_columns, n_bases, n_targets = (
        _sums(owner[chosen], count[chosen], len(reads)) for chosen in (slice(None), step != DELETION, step != INSERTION)
    )
    patch_at, patch_letter, told = _mismatches(reads)
    deleted = _sums(owner[step == DELETION], count[step == DELETION], len(reads))
    _expect(
        reads, told.n_targets == n_targets, lambda i: f"MD tells of {told.n_targets[i]} bases, CIGAR of {n_targets[i]}"
    )
    _expect(
        reads,
        (n_bases + front + back == reads.n_bases) & (deleted <= told.n_letters),
        lambda i: f"CIGAR does not fit its {reads.n_bases[i]} bases and MD",
    )
    starts = [starts_of(sizes) for sizes in (n_columns, n_bases, n_targets)]
    operation = np.repeat(step, count)
    column_read = np.repeat(np.arange(len(reads)), n_columns)
    first = reads.base_start[:-1] + front
    bases = reads.letters[np.arange(starts[1][-1]) + np.repeat(first - starts[1][:-1], n_bases)]
    target = np.zeros(starts[2][-1], np.uint8)
    # Where both have a letter: the n-th such place of one is the n-th of the other.
    target[np.repeat(step != DELETION, count)[operation != INSERTION]] = bases[
        np.repeat(step != INSERTION, count)[operation != DELETION]
    ]
    target[patch_at + np.repeat(starts[2][:-1], told.n_letters)] = patch_letter
    reverse = reads.is_reverse
    if reverse.any():
        orders = [_sequencing_order(start, reverse) for start in starts]
        operation = operation[orders[0]]
        bases = _strand(bases[orders[1]], starts[1], reverse)
        target = _strand(target[orders[2]], starts[2], reverse)
    is_base, is_target = operation != DELETION, operation != INSERTION
    differ = _NUC_SET[bases[is_target[is_base]]] & _NUC_SET[target[is_base[is_target]]] == 0
    operation[np.flatnonzero(is_base & is_target)[differ]] = SUBSTITUTION
    columns = AlignmentColumns(operation, column_read, bases, target, starts[1], starts[2])
    first = np.where(reverse, back, front)
    return AlignedReads(columns, first, first + n_bases)


def has_aligned_bases(reads):
    """Whether each read has bases that are not clipped off, and a CIGAR, bool (n,)."""
    owner = np.repeat(np.arange(len(reads)), np.diff(reads.cigar_start))
    front, back = _clips(reads, owner, reads.cigar & 15, (reads.cigar >> 4).astype(np.int64))
    return (reads.n_bases > front + back) & (np.diff(reads.cigar_start) > 0)


def forward_codes(reads):
    """Base codes of reads in the order of sequencing, int8 (longest, n); -1 for letters other than A, C, G, T."""
    codes = CODES[reads.letters]
    turned = np.where(codes < 0, codes, 3 - codes)
    # Codes of the opposite strand stand behind those of the reads.
    places = reads.forward_places() + len(codes) * reads.is_reverse[:, None]
    return np.concatenate([codes, turned])[places.T]


@dataclass(frozen=True)
class _Told:
    """What MD tags tell of n reads: bases of the target, and how many of them by letter."""

    n_targets: np.ndarray
    n_letters: np.ndarray


def _mismatches(reads):
    """Place in its read's target of each letter of MD tags, the letters, and `_Told`.

    A number skips so many bases, a letter is one base, whether it stands for another in the read or for none.
    """
    md, starts = reads.md, reads.md_start
    is_digit = (md >= ord("0")) & (md <= ord("9"))
    is_letter = ((md | 32) >= ord("a")) & ((md | 32) <= ord("z"))
    # Digits of a number count by their distance to its end, which is at the latest that of the tag.
    ends = np.append(np.flatnonzero(~is_digit), len(md))
    digit_at = np.flatnonzero(is_digit)
    owner = np.repeat(np.arange(len(reads)), np.diff(starts))
    number_end = np.minimum(ends[np.searchsorted(ends, digit_at)], starts[owner[digit_at] + 1])
    power = np.minimum(number_end - digit_at - 1, 12)
    skipped = is_letter.astype(np.int64)
    skipped[digit_at] = (md[digit_at] - ord("0")).astype(np.int64) * 10**power
    before = np.concatenate([[0], np.cumsum(skipped)])
    n_targets = before[starts[1:]] - before[starts[:-1]]
    letter_at = np.flatnonzero(is_letter)
    place = before[letter_at] - before[starts[owner[letter_at]]]
    return place, md[letter_at], _Told(n_targets, np.bincount(owner[letter_at], minlength=len(reads)))


def _clips(reads, owner, code, count):
    """Soft-clipped bases in front of the first aligned one and behind the last, as the file has them."""
    inner = np.flatnonzero((code != _SOFT_CLIP) & (code != _HARD_CLIP))
    first = np.full(len(reads), len(code), np.int64)
    last = np.full(len(reads), -1, np.int64)
    first[owner[inner][::-1]] = inner[::-1]
    last[owner[inner]] = inner
    place, soft = np.arange(len(code)), code == _SOFT_CLIP
    in_front, behind = soft & (place < first[owner]), soft & (place > last[owner])
    return tuple(_sums(owner[chosen], count[chosen], len(reads)) for chosen in (in_front, behind & ~in_front))


def _sums(owner, values, n_reads):
    """Sum of the values of each read; `owner` ascends."""
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    starts = np.searchsorted(owner, np.arange(n_reads + 1))
    return total[starts[1:]] - total[starts[:-1]]


def _expect(reads, is_right, tell):
    if not is_right.all():
        number = int(np.argmin(is_right))
        raise DamagedRecordError(f"read {reads.name_of(number)}: {tell(number)}")


def _sequencing_order(starts, is_reverse):
    """Order that turns the items of reads on the reverse strand around; `starts` has n_reads + 1 items."""
    sizes = np.diff(starts)
    # Each item goes one further than the one before, in reads that are turned around one back.
    step = np.where(is_reverse, -1, 1)
    first = np.where(is_reverse, starts[1:] - 1, starts[:-1])
    return np.repeat(first - step * starts[:-1], sizes) + np.repeat(step, sizes) * np.arange(starts[-1])


def _strand(letters, starts, is_reverse):
    return np.where(np.repeat(is_reverse, np.diff(starts)), _COMPLEMENT[letters], letters)
