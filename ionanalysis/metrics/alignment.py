"""Alignments of many reads to their true sequences, as one flat array of columns that NumPy can count."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MATCH, SUBSTITUTION, INSERTION, DELETION = range(4)
_CODES = {"=": MATCH, "X": SUBSTITUTION, "I": INSERTION, "D": DELETION}


@dataclass(frozen=True)
class AlignmentColumns:
    """Columns of the alignments of n reads, one after another.

    Attributes
    ----------
    operation : uint8 (n_columns,)
        `MATCH`, `SUBSTITUTION`, `INSERTION` (a base that the truth lacks) or `DELETION`.
    read : int64 (n_columns,)
        Read of each column, 0 .. n - 1.
    bases, target : uint8
        ASCII letters of all reads, and of the part of each target that its read covers, end to end.
    read_start, target_start : int64 (n + 1,)
        Where the bases of each read, and its covered target, begin.
    """

    operation: np.ndarray
    read: np.ndarray
    bases: np.ndarray
    target: np.ndarray
    read_start: np.ndarray
    target_start: np.ndarray

    @cached_property
    def base_index(self):
        """Index into `bases` of each column; of the next base for a deletion."""
        return _exclusive_sum(self.operation != DELETION)

    @cached_property
    def target_index(self):
        """Index into `target` of each column; of the next base for an insertion."""
        return _exclusive_sum(self.operation != INSERTION)

    @cached_property
    def position(self):
        """Position in the read of each column, from 0; a deletion counts where the next base is."""
        lengths = np.diff(self.read_start)
        position = self.base_index - self.read_start[self.read]
        return np.minimum(position, np.maximum(lengths, 1)[self.read] - 1)


def align(calls, targets):
    """Align each of `calls` to the same item of `targets`, from the first base of both; the target's end is free.

    Parameters
    ----------
    calls, targets : list of str
        Called bases, none of them empty, and true sequences.

    Returns
    -------
    AlignmentColumns
        Of least edit distance; where several are, edlib's choice (Šošić and Šikić 2017, Bioinformatics 33:1394).
    """
    counts: list[int] = []
    codes: list[int] = []
    n_columns, covered = [], []
    for bases, target in zip(calls, targets, strict=True):
        steps = re.findall(r"(\d+)([=XID])", _cigar(bases, target))
        lengths = [int(length) for length, _ in steps]
        counts += lengths
        codes += [_CODES[code] for _, code in steps]
        n_columns.append(sum(lengths))
        covered.append(target[: sum(n for n, (_, code) in zip(lengths, steps, strict=True) if code != "I")])
    return AlignmentColumns(
        operation=np.repeat(np.array(codes, np.uint8), counts),
        read=np.repeat(np.arange(len(n_columns)), n_columns),
        bases=_letters(calls),
        target=_letters(covered),
        read_start=_starts(calls),
        target_start=_starts(covered),
    )


def _cigar(bases, target):
    import edlib

    # edlib gives no path along an empty target.
    return edlib.align(bases, target, mode="SHW", task="path")["cigar"] if target else f"{len(bases)}I"


def wrong_bases(columns):
    """True for each base of `bases` that is wrong, inserted, or follows a deletion."""
    wrong = np.zeros(len(columns.bases), bool)
    errors = columns.operation != MATCH
    wrong[(columns.read_start[columns.read] + columns.position)[errors]] = True
    return wrong


def base_errors(columns, missing_share):
    """How much of an error each base of `bases` is, float32: 1 if it is wrong or one too many, `missing_share` if it
    only follows a base that is missing, else 0."""
    read_base = columns.read_start[columns.read] + columns.position
    errors = np.zeros(len(columns.bases), np.float32)
    errors[read_base[columns.operation == DELETION]] = missing_share
    errors[read_base[(columns.operation != MATCH) & (columns.operation != DELETION)]] = 1.0
    return errors


def accurate_lengths(columns, rate):
    """Longest prefix of each read whose errors per base are at most `rate` (AQ length, basecaller.md 11.3).

    Returns
    -------
    ndarray of shape (n_reads,), int64
        In bases; a read without errors counts in full.
    """
    errors = np.flatnonzero(columns.operation != MATCH)
    return accurate_prefixes(columns.read[errors], columns.position[errors], np.diff(columns.read_start), rate)


def accurate_prefixes(read, position, ends, rate):
    """Longest prefix of each read whose errors per base are at most `rate` (`computeAQ`, basecaller.md 11.3).

    Parameters
    ----------
    read, position : ndarray of shape (n_errors,), int64
        Read, and position in it, of each error: in the order of reads, then of positions.
    ends : ndarray of shape (n_reads,), int64
        Where each read's aligned bases end, in bases from its first; what a read without errors gives.
    rate : float
        Errors per base.

    Returns
    -------
    ndarray of shape (n_reads,), int64
        In bases from the first of the read. Prefixes end at an error or at the end; where none is good
        enough, the first error ends it.

    Examples
    --------
    >>> errors = np.array([40, 120, 121, 180])
    >>> accurate_prefixes(np.zeros(4, int), errors, np.array([200]), 0.01)
    array([120])
    """
    first_of_read = np.searchsorted(read, read)
    so_far = np.arange(len(read)) - first_of_read + 1
    is_last = np.append(read[1:] != read[:-1], True)[: len(read)]
    reach = np.where(is_last, ends[read], np.append(position[1:], 0)[: len(read)])
    longest = np.array(ends, np.int64)
    longest[read] = position[first_of_read]
    passes = so_far <= (rate + 1e-10) * reach
    np.maximum.at(longest, read[passes], reach[passes])
    return longest


def homopolymer_calls(columns):
    """True and called length of each run of `homopolymer_runs`."""
    return homopolymer_runs(columns)[1:]


def homopolymer_runs(columns):
    """Letter, true and called length of each homopolymer run that lies inside a read.

    The first and the last run of a read are left out: the first may continue the key, the last may go
    on behind the end of the read. A base that was inserted, or stands in place of another, counts for a
    neighbouring run of its letter.

    Returns
    -------
    letter : ndarray of shape (n_runs,), uint8
        ASCII letter of the true base.
    true_length, called_length : ndarray of shape (n_runs,), int64
    """
    target, starts = columns.target, columns.target_start
    if not len(target):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64)
    new = np.append(True, target[1:] != target[:-1])
    new[starts[:-1][starts[:-1] < len(target)]] = True
    begin = np.flatnonzero(new)
    true_length = np.diff(begin, append=len(target))
    lost = np.flatnonzero((columns.operation == DELETION) | (columns.operation == SUBSTITUTION))
    called = true_length - _counted(begin, columns.target_index[lost]) + _counted(begin, _neighbours(columns))
    # Reads that cover nothing of the target have no run.
    covered = np.flatnonzero(np.diff(starts))
    outer = np.zeros(len(begin), bool)
    outer[np.searchsorted(begin, starts[covered])] = True
    outer[np.searchsorted(begin, starts[covered + 1]) - 1] = True
    return target[begin][~outer], true_length[~outer], called[~outer]


def _counted(begin, places):
    """How many of `places` lie in each of the runs that begin at `begin`."""
    return np.bincount(np.searchsorted(begin, places, side="right") - 1, minlength=len(begin))


def _neighbours(columns):
    """A base of the run that each stray base (inserted or substituted) lengthens; bases without one are left out."""
    stray = np.flatnonzero(np.isin(columns.operation, (SUBSTITUTION, INSERTION)))
    letter, read = columns.bases[columns.base_index[stray]], columns.read[stray]
    after = columns.target_index[stray] + (columns.operation[stray] == SUBSTITUTION)
    before = columns.target_index[stray] - 1
    inside_before = before >= columns.target_start[read]
    inside_after = after < columns.target_start[read + 1]
    last = len(columns.target) - 1
    joins_before = inside_before & (columns.target[np.clip(before, 0, last)] == letter)
    joins_after = ~joins_before & inside_after & (columns.target[np.clip(after, 0, last)] == letter)
    return np.concatenate([before[joins_before], after[joins_after]])


def _exclusive_sum(flags):
    return np.cumsum(flags) - flags


def error_columns(columns):
    """Columns that are no match, their reads, and their positions as `AlignmentColumns.position` has them."""
    wrong = np.flatnonzero(columns.operation != MATCH)
    read = columns.read[wrong]
    position = columns.base_index[wrong] - columns.read_start[read]
    lengths = np.diff(columns.read_start)
    return wrong, read, np.minimum(position, np.maximum(lengths, 1)[read] - 1)


def _letters(sequences):
    return np.frombuffer("".join(sequences).encode("ascii", "replace"), np.uint8)


def _starts(sequences):
    return np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)]).astype(np.int64)
