"""Records of unaligned reads to records of aligned ones; all tags are kept."""

import numpy as np

from ionanalysis.bam.place_index import bins_of
from ionanalysis.bam.records import REVERSE, UNMAPPED, Cells, StrandedCells, TagColumn, joined, row_cells, tag_cells


def placed_records(parts, placements):
    """`EncodedRecords` of reads at their places, with tags NM and MD behind their own.

    Parameters
    ----------
    parts : RecordParts
        Of unaligned reads, in the order of sequencing.
    placements : ionanalysis.align.Placements
        One of each read. Reads without a place stay as they are.
    """
    n_reads, data = len(placements), parts.records.data
    is_placed = placements.contig >= 0
    cigar_bytes = np.frombuffer(placements.cigar.astype("<u4").tobytes(), np.uint8)
    columns = [
        Cells(data, parts.name_at, parts.name_at + parts.fixed["name_size"]),
        Cells(cigar_bytes, 4 * placements.cigar_start[:-1], 4 * placements.cigar_start[1:]),
        StrandedCells(data, parts.bases_at, np.diff(parts.base_start), placements.reverse),
        Cells(data, parts.tags_at, parts.end),
        tag_cells(TagColumn("NM", "i", placements.edits, present=is_placed), n_reads),
        tag_cells(TagColumn("MD", "Z", placements.mismatches, present=is_placed), n_reads),
    ]
    fixed = _fixed_fields(parts, placements)
    fixed["block_size"] = fixed.itemsize - 4 + np.sum([column.sizes for column in columns], axis=0)
    return joined([row_cells(fixed), *columns], n_reads)


def coordinate_keys(fixed):
    """What aligned records are sorted by, uint64: reference, position, strand; reads without a place come last."""
    contig = fixed["reference"].astype(np.int64) & 0x7FFFFFFF
    position = fixed["position"].astype(np.int64) + 1
    is_reverse = (fixed["flag"] & REVERSE) != 0
    return (contig << 33 | position << 1 | is_reverse).astype(np.uint64)


def _fixed_fields(parts, placements):
    fixed = parts.fixed.copy()
    is_placed = placements.contig >= 0
    fixed["reference"] = placements.contig
    fixed["position"] = np.where(is_placed, placements.start, -1)
    fixed["mapping_quality"] = np.where(is_placed, placements.mapping_quality, 0)
    fixed["n_cigar"] = np.diff(placements.cigar_start)
    fixed["flag"] = np.where(is_placed, REVERSE * placements.reverse, UNMAPPED)
    fixed["bin"] = np.where(is_placed, bins_of(placements.start, placements.start + placements.span), fixed["bin"])
    return fixed
