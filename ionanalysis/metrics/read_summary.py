"""One line per read, as a table of tab-separated values: what one wants to sort, plot and filter reads by."""

import csv
from array import array

import numpy as np

from ionanalysis.bam.reader import well_of
from ionanalysis.bam.source import header_of, open_alignments, primary_reads, qualities_of, tag_of
from ionanalysis.io.atomic import whole_file

COLUMNS = (
    "read_name", "row", "col", "read_group", "barcode", "sample", "bases", "mean_quality", "insert_bases",
    "first_flow", "flows", "cf", "ie", "dr", "contig", "start", "end", "strand", "mapping_quality", "aligned_bases",
    "edits", "identity", "is_duplicate",
)  # fmt: skip
"""`mean_quality` is that of the mean error probability; `insert_bases` is empty without an adapter; `start` and `end`
count from 0, the end is not included; what belongs to an alignment is empty without one."""


def write_read_summary(bams, path):
    """Write a line for each read of BAM files, aligned or not.

    Parameters
    ----------
    bams : iterable of path
    path : path
        Appears when it is whole.

    Returns
    -------
    n_reads : int

    Raises
    ------
    InputError
        If a file is no BAM or damaged.
    """
    n_reads = 0
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, escapechar="\\")
        table.writerow(COLUMNS)
        for bam in bams:
            with open_alignments(bam) as alignments:
                groups = {group["ID"]: group for group in header_of(alignments).get("RG", []) if "ID" in group}
                for read in primary_reads(alignments):
                    table.writerow(_row(read, groups))
                    n_reads += 1
    return n_reads


_ERROR = 10 ** (-np.arange(256) / 10)


def _row(read, groups):
    row, col = well_of(read.query_name)
    group_name = tag_of(read, "RG", str, "")
    group = groups.get(group_name, {})
    _, _, barcode = group_name.partition(".")
    qualities = qualities_of(read)
    mean = None if qualities is None or not len(qualities) else -10 * np.log10(_ERROR[qualities].mean())
    phase = tag_of(read, "ZP", array)
    rates = [f"{value:.6f}" for value in phase[:3]] if phase is not None and len(phase) >= 3 else ["", "", ""]
    n_flows = next((len(tag_of(read, name, array, ())) for name in ("ZM", "FZ") if read.has_tag(name)), "")
    return (
        read.query_name,
        row,
        col,
        group_name,
        barcode,
        group.get("SM", ""),
        read.query_length,
        "" if mean is None else f"{mean:.2f}",
        _or_empty(tag_of(read, "ZA", int)),
        _or_empty(tag_of(read, "ZF", int)),
        n_flows,
        *rates,
        *_placement(read),
    )


def _placement(read):
    if read.is_unmapped:
        return ("",) * 9
    edits = tag_of(read, "NM", int)
    counts = read.get_cigar_stats()[0]
    # Aligned columns: pairs, insertions, deletions.
    n_columns = int(counts[0] + counts[1] + counts[2] + counts[7] + counts[8])
    identity = "" if edits is None or not n_columns else f"{1 - edits / n_columns:.5f}"
    return (
        read.reference_name,
        read.reference_start,
        read.reference_end,
        "-" if read.is_reverse else "+",
        read.mapping_quality,
        read.query_alignment_length,
        _or_empty(edits),
        identity,
        int(read.is_duplicate),
    )


def _or_empty(value):
    return "" if value is None else value
