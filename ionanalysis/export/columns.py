"""Reads, wells and masks as batches of columns: what every store is filled from, in bounded memory."""

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ionanalysis.bam.reader import gather_flowgrams
from ionanalysis.bam.source import header_of, open_alignments, primary_reads, qualities_of, tag_of
from ionanalysis.io.mask import read_mask
from ionanalysis.wells import open_wells

_BATCH_READS = 4096
_BATCH_VALUES = 1 << 22


@dataclass(frozen=True)
class Batch:
    """Rows that belong together.

    Attributes
    ----------
    arrays : dict of str to ndarray
        First axis: the rows.
    texts : dict of str to list of str
        One of each row.
    facts : dict
        What holds for all rows, such as the flow order; equal in all batches.
    """

    arrays: dict[str, np.ndarray]
    texts: dict[str, list[str]] = field(default_factory=dict)
    facts: dict = field(default_factory=dict)

    @property
    def n_rows(self):
        return len(next(iter(self.arrays.values())))


def read_columns(paths):
    """Yield the reads of BAM files: names, bases, qualities, flow signals in bases, phase, and where they are aligned.

    ``start`` and ``end`` count from 0, the end is not included; they are -1 for reads without a place.
    """
    for path in paths:
        with open_alignments(path) as bam:
            groups = header_of(bam).get("RG", [])
            reads = primary_reads(bam)
            while batch := list(islice(reads, _BATCH_READS)):
                yield _reads_batch(path, groups, batch)


def wells_columns(paths):
    """Yield the wells of a file that have a signal: row, column, and signals in bases by flow."""
    (path,) = paths
    with open_wells(path) as wells:
        n_rows, n_cols, n_flows = wells.shape
        step = max(1, _BATCH_VALUES // max(1, n_cols * n_flows))
        facts = {"flow_order": wells.flow_order.letters, "rows": n_rows, "cols": n_cols}
        for first in range(0, n_rows, step):
            rows = slice(first, min(first + step, n_rows))
            signals = wells[rows, :, :]
            row, col = np.nonzero((signals > 0).any(axis=2))
            arrays = {"row": (row + first).astype(np.int32), "col": col.astype(np.int32), "signal": signals[row, col]}
            yield Batch(arrays, {}, facts)


def mask_columns(paths):
    """Yield the wells of a mask: row, column, flags."""
    (path,) = paths
    flags = read_mask(path).flags
    row, col = np.indices(flags.shape, np.int32)
    arrays = {"row": row.reshape(-1), "col": col.reshape(-1), "flags": flags.reshape(-1)}
    yield Batch(arrays, {}, {"rows": flags.shape[0], "cols": flags.shape[1]})


def _reads_batch(path, groups, reads):
    flows = gather_flowgrams(path, groups, reads)
    placed = [not read.is_unmapped for read in reads]
    numbers = {
        "start": ([read.reference_start if on else -1 for read, on in zip(reads, placed, strict=True)], np.int32),
        "end": ([read.reference_end if on else -1 for read, on in zip(reads, placed, strict=True)], np.int32),
        "is_reverse": ([read.is_reverse for read in reads], bool),
        "mapping_quality": ([read.mapping_quality for read in reads], np.uint8),
        "edits": ([tag_of(read, "NM", int, -1) for read in reads], np.int32),
    }
    texts = {
        "name": flows.names,
        "read_group": [tag_of(read, "RG", str, "") for read in reads],
        "bases": [read.get_forward_sequence() or "" for read in reads],
        "qualities": [_letters(qualities_of(read)) for read in reads],
        "key_sequence": flows.key_sequences,
        "contig": [read.reference_name if on else "" for read, on in zip(reads, placed, strict=True)],
        "cigar": [read.cigarstring or "" for read in reads],
    }
    arrays = {
        "row": flows.row,
        "col": flows.col,
        "n_flows": flows.n_flows,
        "first_flow": flows.first_flow,
        "phase": flows.phase,
        "signal": flows.signals,
        **{name: np.array(values, kind) for name, (values, kind) in numbers.items()},
    }
    return Batch(arrays, texts, {"flow_order": flows.flow_order.letters, "signal_tag": flows.tag})


def _letters(qualities):
    return "" if qualities is None else (qualities.clip(max=93) + 33).tobytes().decode("ascii")
