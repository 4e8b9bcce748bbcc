"""The part of the report on reads that are aligned to a reference."""

from dataclasses import dataclass
from itertools import islice

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.report import accuracy_plots
from ionanalysis.report.result import at, items, number, numbers
from ionanalysis.report.sections import Section, Table

_PLACES, _READS_PER_PLACE = 60, 300
_AQ_SHOWN = (17, 20, 47)
_NO_REFERENCE = "The reads are not aligned; with --reference GENOME.fasta they are, and errors are counted."


@dataclass(frozen=True)
class AlignedCounts:
    """Counts over aligned reads, in the shapes that the plots of accuracy take.

    Attributes
    ----------
    statistics : dict
        `ionstats_alignment.json`.
    by_position : int64 (n_positions, 4)
        Matches, substitutions, insertions, deletions.
    homopolymers : int64 (n, n)
        Runs by true and called length.
    by_quality : int64 (94, 2)
        Bases by predicted quality, and wrong ones; of a sample of the reads.
    """

    statistics: dict
    by_position: np.ndarray
    homopolymers: np.ndarray
    by_quality: np.ndarray

    @property
    def error_rate(self):
        """Errors per 100 aligned bases; NaN without any."""
        total = self.by_position.sum()
        return 100 * float(self.by_position[:, 1:].sum()) / total if total else float("nan")

    def aq_histogram(self, quality):
        """Reads by accurate length."""
        return numbers(self.statistics, f"AQ{quality}", "read_length_histogram").astype(np.int64)


def gather_aligned(result):
    """`AlignedCounts` of a result, or None if nothing is aligned."""
    statistics = result.alignment_statistics
    if not number(statistics, "aligned", "num_reads"):
        return None
    by_base = {kind: numbers(statistics, "by_base", kind).astype(np.int64) for kind in ("ins", "del", "sub", "depth")}
    n_positions = min(len(counts) for counts in by_base.values())
    wrong = np.stack([by_base[kind][:n_positions] for kind in ("sub", "ins", "del")], axis=1)
    right = by_base["depth"][:n_positions] - wrong[:, 0] - wrong[:, 1]
    return AlignedCounts(
        statistics,
        np.column_stack([right.clip(0), wrong]),
        _homopolymers(result),
        _qualities(result),
    )


def alignment_section(result, aligned):
    """Accuracy against the reference: curves, errors, qualities, datasets, calibration."""
    title = "Accuracy against the reference"
    if aligned is None:
        return Section("alignment", title, missing=_NO_REFERENCE)
    statistics = aligned.statistics
    shown = []
    if len(aligned.by_position):
        shown.append(accuracy_plots.errors_by_position(aligned.by_position))
    if aligned.homopolymers[1:].any():
        shown.append(accuracy_plots.homopolymer_errors(aligned.homopolymers))
    if aligned.by_quality[:, 0].max() >= 50:
        shown.append(accuracy_plots.predicted_against_observed(aligned.by_quality))
    counts = {quality: aligned.aq_histogram(quality) for quality in _AQ_SHOWN}
    if all(len(histogram) for histogram in counts.values()):
        shown.append(accuracy_plots.accurate_lengths(counts))
    return Section(
        "alignment",
        title,
        "Each read is aligned to its best place on the reference. What differs from it counts as an error, also where "
        "the sample differs from the reference. AQ20 length: bases up to which there is at most one error in 100.",
        tuple(shown),
        (_rates(aligned), _lengths(statistics), *_datasets(result), *_calibration(result)),
    )


def _rates(aligned):
    total = max(int(aligned.by_position.sum()), 1)
    sums = aligned.by_position.sum(axis=0)
    names = ("substitutions", "insertions", "deletions")
    rows = [("errors", f"{aligned.error_rate:.3f}")]
    rows += [(name, f"{100 * count / total:.3f}") for name, count in zip(names, sums[1:], strict=True)]
    return Table("Errors per 100 aligned bases", ("", "per 100 bases"), tuple(rows))


def _lengths(statistics):
    rows = []
    for name in ("aligned", *(f"AQ{quality}" for quality in (7, 10, 17, 20, 30, 47))):
        of_one = at(statistics, name)
        if of_one is not None:
            label = {"aligned": "aligned", "AQ47": "AQ47 (no error)"}.get(name, name)
            values = (f"{int(number(of_one, key)):,}" for key in ("num_reads", "num_bases"))
            lengths = (str(int(number(of_one, key))) for key in ("mean_read_length", "max_read_length"))
            rows.append((label, *values, *lengths))
    return Table("Accurate lengths", ("", "reads", "bases", "mean length", "longest"), tuple(rows))


def _datasets(result):
    """A row for each barcode with aligned reads, if there are several."""
    rows = []
    for item in items(result.datasets, "datasets"):
        prefix = str(item.get("file_prefix", ""))
        told = result.alignment_statistics_of(prefix)
        n_reads, n_bases = number(told, "full", "num_reads"), number(told, "aligned", "num_bases")
        if n_reads:
            n_errors = numbers(told, "error_by_position").sum()
            n_aligned = number(told, "aligned", "num_reads")
            rows.append(
                (
                    prefix.removesuffix("_rawlib"),
                    f"{int(n_reads):,}",
                    f"{100 * n_aligned / n_reads:.2f} %",
                    f"{100 * (1 - n_errors / n_bases):.3f} %" if n_bases else "–",
                    str(int(number(told, "AQ20", "mean_read_length"))),
                )
            )
    header = ("barcode", "reads", "aligned", "identity", "mean AQ20 length")
    return (Table("Aligned reads by barcode", header, tuple(rows)),) if len(rows) > 1 else ()


def _calibration(result):
    effect = at(result.alignment, "calibration")
    if not isinstance(effect, dict):
        return ()
    before, after = (at(effect, name, default={}) for name in ("before", "after"))
    rows = [
        (
            "errors per 100 bases",
            *(f"{100 * (1 - number(told, 'identity')):.3f}" for told in (before, after)),
        )
    ]
    for length in range(1, 9):
        pairs = [numbers(told, "homopolymers", str(length)) for told in (before, after)]
        if all(len(pair) == 2 and pair[0] >= 20 for pair in pairs):
            rows.append((f"runs of {length} called wrong", *(f"{100 * wrong / n:.2f} %" for n, wrong in pairs)))
    caption = f"Calibration: {int(number(effect, 'reads')):,} wells called without and with it"
    return (Table(caption, ("", "without", "with"), tuple(rows)),)


def _homopolymers(result):
    import h5py

    path = result.path / "ionstats_error_summary.h5"
    try:
        with h5py.File(path, "r") as file:
            tables = [np.asarray(file[f"per_hp/{nuc}"][()], np.int64) for nuc in "ACGT"]
        return np.sum(tables, axis=0)
    except (OSError, KeyError, ValueError, RuntimeError):
        return np.zeros((2, 2), np.int64)


def _qualities(result):
    """Predicted qualities of right and wrong bases, of reads at places spread over the reference."""
    counts = np.zeros((94, 2), np.int64)
    for path in result.aligned_bams:
        try:
            for batch in _samples(path):
                _add_qualities(counts, batch)
        except (InputError, OSError, ValueError) as error:
            result.problems.append(str(error))
    return counts


def _samples(path):
    """Lists of reads, each of one place on the reference."""
    import pysam

    with pysam.AlignmentFile(str(path)) as bam:
        ends = np.cumsum(bam.lengths)
        for place in np.linspace(0, ends[-1], _PLACES, endpoint=False).astype(np.int64).tolist():
            number_of = int(np.searchsorted(ends, place, side="right"))
            start = place - int(ends[number_of] - bam.lengths[number_of])
            # Only reads that begin behind the place: none is taken twice but where coverage is thin.
            reads = (read for read in bam.fetch(bam.references[number_of], start) if read.reference_start >= start)
            if batch := [read for read in islice(reads, _READS_PER_PLACE) if read.has_tag("MD")]:
                yield batch


def _add_qualities(counts, reads):
    from ionanalysis.bam.source import qualities_of
    from ionanalysis.metrics.aligned_reads import aligned_reads
    from ionanalysis.metrics.alignment import wrong_bases

    known = [read for read in reads if qualities_of(read) is not None and read.query_alignment_length]
    if not known:
        return
    found = aligned_reads(known)
    wrong = wrong_bases(found.columns)
    parts = [qualities_of(read)[first:end] for read, first, end in zip(known, found.first, found.end, strict=True)]
    qualities = np.minimum(np.concatenate(parts), 93)
    counts[:, 0] += np.bincount(qualities, minlength=94)
    counts[:, 1] += np.bincount(qualities[wrong], minlength=94)
