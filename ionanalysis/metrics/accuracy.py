"""How accurate reads are: errors per 100 aligned bases against sequences that are known.

Reads start at the first base after what `KS` of their read group names (key, barcode, adapter), and so
do the true sequences. Each read is aligned to its own well's sequence from the first base on, the
sequence's end being free, so reads may be shorter than it. An *aligned base* is a column of that
alignment: a match, a substitution, an insertion or a deletion.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ionanalysis.bam.source import header_of, open_alignments, primary_reads, qualities_of, tag_of
from ionanalysis.errors import InputError
from ionanalysis.metrics.alignment import (
    DELETION,
    INSERTION,
    MATCH,
    SUBSTITUTION,
    accurate_lengths,
    align,
    homopolymer_calls,
    wrong_bases,
)

AQ_RATES = {17: 10**-1.7, 20: 0.01, 47: 0.0}
"""Errors per base up to which a prefix counts, by AQ name."""

MOST_BASES = 12
"""Longest homopolymer told apart; longer ones count with it."""

_BATCH_READS = 4096


class Call(NamedTuple):
    """One read to be scored: its well, its bases after key and barcode, their qualities if known.

    `key_sequence` is what was cut off its front: key, barcode, barcode adapter, molecular tag.
    """

    row: int
    col: int
    bases: str
    qualities: np.ndarray | None = None
    key_sequence: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Accuracy:
    """What `score_calls` counted.

    Attributes
    ----------
    n_true_reads, n_reads : int
        Wells with a true sequence, and those of them with a read.
    wrong_wells : dict of str to int
        Reads of wells that have no true sequence, by what the well holds.
    n_perfect : int
        Reads without any error.
    n_ends_met : int
        Reads whose alignment ends within 1 base of the end of the true sequence.
    by_position : int64 (n_positions, 4)
        Columns by position in the read: matches, substitutions, insertions, deletions.
    by_quality : int64 (94, 2)
        Bases by predicted quality: all, and wrong ones (a deletion counts at the next base).
    homopolymers : int64 (13, 13)
        Runs by true and called length; the last row and column hold longer ones too.
    aq_length_counts : dict of int to int64 array
        Reads by accurate length (bases) at AQ17, AQ20 and AQ47.
    """

    n_true_reads: int
    n_reads: int
    wrong_wells: dict[str, int]
    n_perfect: int
    n_ends_met: int
    by_position: np.ndarray
    by_quality: np.ndarray
    homopolymers: np.ndarray
    aq_length_counts: dict[int, np.ndarray]

    @property
    def n_lost(self):
        """Wells with a true sequence but without a read."""
        return self.n_true_reads - self.n_reads

    @property
    def n_aligned(self):
        """Aligned bases: columns of all alignments."""
        return int(self.by_position.sum())

    @property
    def error_rate(self):
        """Errors per 100 aligned bases; NaN without reads."""
        return self._per_100(self.by_position[:, 1:])

    @property
    def substitution_rate(self):
        return self._per_100(self.by_position[:, SUBSTITUTION])

    @property
    def insertion_rate(self):
        return self._per_100(self.by_position[:, INSERTION])

    @property
    def deletion_rate(self):
        return self._per_100(self.by_position[:, DELETION])

    @property
    def perfect_share(self):
        """Share of the reads without any error, 0 .. 1; NaN without reads."""
        return self.n_perfect / self.n_reads if self.n_reads else float("nan")

    def mean_aq_length(self, aq=20):
        """Mean accurate length, in bases, at AQ17, AQ20 or AQ47; NaN without reads."""
        counts = self.aq_length_counts[aq]
        return float(np.arange(len(counts)) @ counts / self.n_reads) if self.n_reads else float("nan")

    def _per_100(self, counts):
        return 100 * float(counts.sum()) / self.n_aligned if self.n_aligned else float("nan")

    def __repr__(self):
        return (
            f"Accuracy({self.n_reads} of {self.n_true_reads} reads, {self.error_rate:.3f} errors per 100 bases "
            f"(sub {self.substitution_rate:.3f}, ins {self.insertion_rate:.3f}, del {self.deletion_rate:.3f}), "
            f"{100 * self.perfect_share:.1f} % of reads perfect, {sum(self.wrong_wells.values())} reads of wrong wells)"
        )

    def to_json(self):
        """Counts and rates as plain values; rates without reads are None."""
        rates = {
            "errors_per_100_bases": self.error_rate,
            "substitutions_per_100_bases": self.substitution_rate,
            "insertions_per_100_bases": self.insertion_rate,
            "deletions_per_100_bases": self.deletion_rate,
            "perfect_share": self.perfect_share,
            **{f"mean_AQ{aq}_length": self.mean_aq_length(aq) for aq in self.aq_length_counts},
        }
        return {
            "n_true_reads": self.n_true_reads,
            "n_reads": self.n_reads,
            "n_lost": self.n_lost,
            "wrong_wells": dict(self.wrong_wells),
            "n_aligned_bases": self.n_aligned,
            "n_perfect": self.n_perfect,
            "n_ends_met": self.n_ends_met,
            **{name: None if np.isnan(rate) else round(rate, 6) for name, rate in rates.items()},
            "by_position": self.by_position.tolist(),
            "by_quality": self.by_quality.tolist(),
            "homopolymers": self.homopolymers.tolist(),
        }


def score_calls(calls: Iterable[Call], targets: Mapping, kinds: Mapping | None = None) -> Accuracy:
    """Score reads against the sequences that their wells hold.

    Parameters
    ----------
    calls : iterable of Call
        Reads; at most one per well. Reads without bases count as lost.
    targets : mapping of (row, col) to str
        True sequence, from the first base after key and barcode, of every well that should give a read.
    kinds : mapping of (row, col) to str, optional
        What other wells hold, to name the reads of wrong wells by; ``unknown`` without it.

    Returns
    -------
    Accuracy

    Raises
    ------
    InputError
        If a well has two reads.

    Examples
    --------
    >>> score_calls([Call(0, 1, "ACGTTACCG")], {(0, 1): "ACGTTTACCGA", (3, 3): "GGATC"})
    Accuracy(1 of 2 reads, 10.000 errors per 100 bases (sub 0.000, ins 0.000, del 10.000), 0.0 % of reads perfect, \
0 reads of wrong wells)
    """
    tally = _Tally()
    seen: set[tuple[int, int]] = set()
    wrong_wells: Counter = Counter()
    scored = _known(calls, targets, kinds or {}, seen, wrong_wells)
    while batch := list(islice(scored, _BATCH_READS)):
        tally.add(batch, [targets[call.row, call.col] for call in batch])
    return Accuracy(
        n_true_reads=len(targets),
        n_reads=tally.n_reads,
        wrong_wells=dict(sorted(wrong_wells.items())),
        n_perfect=tally.n_perfect,
        n_ends_met=tally.n_ends_met,
        by_position=tally.by_position,
        by_quality=tally.by_quality,
        homopolymers=tally.homopolymers,
        aq_length_counts=tally.aq_length_counts,
    )


def errors_in_first_bases(calls: Iterable[Call], targets: Mapping, n_bases: int) -> float:
    """Errors per base in the first `n_bases` of the reads; bases that are missing count as errors.

    Every well of `targets` counts: the sum of edit distances (the target's end is free), plus the bases that
    a read lacks to `n_bases`, by `n_bases` times the number of targets. Reads of other wells are ignored.

    Examples
    --------
    >>> errors_in_first_bases([Call(0, 0, "ACGTA")], {(0, 0): "ACGGATT", (0, 1): "TTTT"}, 4)
    0.625
    """
    import edlib

    found = {(call.row, call.col): call.bases[:n_bases] for call in calls}
    n_errors = 0
    for well, target in targets.items():
        bases = found.get(well, "")
        n_errors += n_bases - len(bases)
        if bases:
            n_errors += edlib.align(bases, target, mode="SHW", task="distance")["editDistance"]
    return n_errors / (n_bases * len(targets)) if targets else float("nan")


def calls_from_bam(path: str | Path) -> Iterable[Call]:
    """Yield the reads of a BAM named ``RUN:row:col``, in the order of sequencing.

    Raises
    ------
    InputError
        If the file is no BAM, or a read is not named so.
    """
    with open_alignments(path) as bam:
        groups = {group.get("ID"): group.get("KS", "") for group in header_of(bam).get("RG", [])}
        for read in primary_reads(bam):
            row, col = _well_of(path, read.query_name)
            yield Call(
                row,
                col,
                read.get_forward_sequence() or "",
                qualities_of(read),
                groups.get(tag_of(read, "RG", str, ""), "") + tag_of(read, "ZT", str, ""),
            )


def calls_from_reads(reads, n_skipped=4) -> Iterable[Call]:
    """Yield `CalledReads` as calls, without their first `n_skipped` bases (the key)."""
    for read in np.flatnonzero(np.asarray(reads.status) == 0):
        span = slice(reads.base_start[read] + n_skipped, reads.base_start[read + 1])
        yield Call(
            int(reads.row[read]), int(reads.col[read]), reads.bases[span].tobytes().decode(), reads.qualities[span]
        )


class _Tally:
    """Counts of `Accuracy`, added up batch by batch."""

    def __init__(self):
        self.n_reads = self.n_perfect = self.n_ends_met = 0
        self.by_position = np.zeros((0, 4), np.int64)
        self.by_quality = np.zeros((94, 2), np.int64)
        self.homopolymers = np.zeros((MOST_BASES + 1, MOST_BASES + 1), np.int64)
        self.aq_length_counts = {aq: np.zeros(0, np.int64) for aq in AQ_RATES}

    def add(self, calls, targets):
        columns = align([call.bases for call in calls], targets)
        covered = np.diff(columns.target_start)
        has_error = np.bincount(columns.read, columns.operation != MATCH, minlength=len(calls)) > 0
        self.n_reads += len(calls)
        self.n_perfect += int((~has_error).sum())
        self.n_ends_met += int((covered >= np.array([len(target) for target in targets]) - 1).sum())
        self.by_position = _sum_padded(self.by_position, _count_positions(columns))
        true_length, called_length = homopolymer_calls(columns)
        bins = np.minimum(true_length, MOST_BASES), np.minimum(called_length, MOST_BASES)
        np.add.at(self.homopolymers, bins, 1)
        for aq, rate in AQ_RATES.items():
            counts = np.bincount(accurate_lengths(columns, rate))
            self.aq_length_counts[aq] = _sum_padded(self.aq_length_counts[aq], counts)
        self._add_qualities(calls, wrong_bases(columns), columns.read_start)

    def _add_qualities(self, calls, wrong, read_start):
        known = [call.qualities is not None for call in calls]
        if not any(known):
            return
        has_quality = np.repeat(known, np.diff(read_start))
        qualities = np.minimum(np.concatenate([call.qualities for call in calls if call.qualities is not None]), 93)
        self.by_quality[:, 0] += np.bincount(qualities, minlength=94)
        self.by_quality[:, 1] += np.bincount(qualities[wrong[has_quality]], minlength=94)


def _known(calls, targets, kinds, seen, wrong_wells):
    """Pass on calls of wells with a target; count the others by what their well holds."""
    for call in calls:
        well = call.row, call.col
        if not call.bases:
            continue
        if well in seen:
            raise InputError(f"well {well[0]}:{well[1]} has two reads; expected one of each well. Score one result.")
        seen.add(well)
        if well in targets:
            yield call
        else:
            wrong_wells[kinds.get(well, "unknown")] += 1


def _count_positions(columns):
    n_positions = int(columns.position.max()) + 1
    cells = columns.position * 4 + columns.operation
    return np.bincount(cells, minlength=4 * n_positions).reshape(n_positions, 4)


def _sum_padded(a, b):
    """Sum of two count arrays of which one may be longer."""
    total = np.zeros((max(len(a), len(b)), *a.shape[1:]), np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total


def _well_of(path, name):
    parts = (name or "").split(":")
    if len(parts) < 3 or not (parts[-1].isdigit() and parts[-2].isdigit()):
        raise InputError(f"{path}: read {name!r} does not name its well; expected RUN:row:col.")
    return int(parts[-2]), int(parts[-1])
