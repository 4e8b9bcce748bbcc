"""What calibration brought: the same wells, called without and with it, against the reference."""

import numpy as np

from ionanalysis.align import align_reads
from ionanalysis.align.reads import target_of
from ionanalysis.bam.source import open_alignments, reads_of

MOST_READS = 4000
"""Wells that are compared."""

_LONGEST_RUN = 8


def calibration_effect(pairs, index, *, n_threads=None):
    """Identity, and homopolymers called wrong, before and after calibration.

    Parameters
    ----------
    pairs : sequence of (path, path)
        BAM files of one dataset: training calls, and calls with the calibration that was learned from them.
    index : ReferenceIndex
    n_threads : int, optional

    Returns
    -------
    dict or None
        ``reads`` that are compared; ``before`` and ``after``, each with ``identity`` and ``homopolymers``: number of
        runs, and of wrong ones, by length in the reference. None if no well is in both files.

    Notes
    -----
    Training calls are cut to the length of the final ones: trimming is not what is compared.
    """
    before: list[str] = []
    after: list[str] = []
    for training, final in pairs:
        known = _sequences(training, MOST_READS - len(before), None)
        found = _sequences(final, len(known), known)
        for name, bases in found.items():
            before.append(known[name][: len(bases)])
            after.append(bases)
    if not after:
        return None
    placed = [align_reads(index, sequences, n_threads=n_threads) for sequences in (before, after)]
    both = [number for number, pair in enumerate(zip(*placed, strict=True)) if None not in pair]
    if not both:
        return None
    told = [
        _accuracy(index, [sequences[number] for number in both], [places[number] for number in both])
        for sequences, places in zip((before, after), placed, strict=True)
    ]
    return {"reads": len(both), "before": told[0], "after": told[1]}


def _sequences(path, most, wanted):
    """Bases by name of at most so many reads; of those in `wanted`, if given."""
    found: dict[str, str] = {}
    with open_alignments(path) as bam:
        for read in reads_of(bam):
            if len(found) >= most:
                break
            bases = read.get_forward_sequence()
            if bases and (wanted is None or read.query_name in wanted):
                found[read.query_name] = bases
    return found


def _accuracy(index, sequences, places):
    n_columns = n_edits = 0
    runs, wrong = np.zeros(_LONGEST_RUN + 1, np.int64), np.zeros(_LONGEST_RUN + 1, np.int64)
    for bases, place in zip(sequences, places, strict=True):
        steps = place.cigar[::-1] if place.reverse else place.cigar
        n_columns += sum(length for length, _ in steps)
        n_edits += place.edits
        _count_runs(bases[place.first : place.last], target_of(index, place), steps, runs, wrong)
    return {
        "identity": 1 - n_edits / n_columns,
        "homopolymers": {str(length): [int(runs[length]), int(wrong[length])] for length in range(1, _LONGEST_RUN + 1)},
    }


def _count_runs(bases, target, steps, runs, wrong):
    """Count runs of the reference inside an alignment, and those whose called length differs.

    A base that was inserted counts for the run of its letter beside it.
    """
    called = np.zeros(len(target) + 1, np.int64)
    at, read_at = 0, 0
    for length, code in steps:
        if code == 1:
            for letter in bases[read_at : read_at + length]:
                side = next((p for p in (at - 1, at) if 0 <= p < len(target) and target[p] == letter), None)
                if side is not None:
                    called[side] += 1
            read_at += length
        elif code == 2:
            at += length
        else:
            for offset in range(length):
                called[at + offset] += bases[read_at + offset] == target[at + offset]
            at, read_at = at + length, read_at + length
    letters = np.frombuffer(target.encode("ascii"), np.uint8)
    starts = np.flatnonzero(np.append(True, letters[1:] != letters[:-1]))
    if len(starts) < 3:
        return
    sums = np.add.reduceat(called[:-1], starts)
    lengths = np.diff(np.append(starts, len(target)))
    # The outer runs may go on outside.
    lengths, sums = lengths[1:-1], sums[1:-1]
    bins = np.minimum(lengths, len(runs) - 1)
    np.add.at(runs, bins, 1)
    np.add.at(wrong, bins[lengths != sums], 1)
