"""Called reads as users of the library take them home: a BAM file, a table (basecaller.md 8)."""

from pathlib import Path

import numpy as np

from ionanalysis import __version__
from ionanalysis.bam import BamHeader, BamWriter, ReadBatch, ReadGroup, TagColumn, flow_units
from ionanalysis.basecaller.called import CALLED, STATUS_TEXT
from ionanalysis.basecaller.letters import well_names
from ionanalysis.errors import InputError, UsageError

_BATCH = 10_000


def write_bam(reads, path, *, run_id, keys, offset):
    """Write called reads; see `CalledReads.to_bam`."""
    if reads.flow_order is None:
        raise InputError(f"{path}: the reads do not know their flow order; take them from call_bases.")
    reads = reads[reads.status == CALLED]
    key_of = np.array([_key_number(reads.sequence(read), keys) for read in range(len(reads))], np.int64)
    # Every key has its read group; reads without any of the keys have one of their own, and lose no bases.
    names = (run_id, f"{run_id}.TF", f"{run_id}.nokey")
    flows = reads.flow_order.letters
    groups = [ReadGroup(name, flows, key) for name, key in zip(names, (*keys, ""), strict=True)]
    present = np.unique(np.concatenate([[0], key_of]))
    header = BamHeader(tuple(groups[number] for number in present), version=__version__)
    with BamWriter(path, header) as bam:
        for first in range(0, len(reads), _BATCH):
            numbers = key_of[first : first + _BATCH]
            n_key = np.array([len(key) for key in (*keys, "")])[numbers]
            group_names = [names[number] for number in numbers]
            bam.write(_batch(reads[first : first + _BATCH], n_key, group_names, run_id, offset))
    return Path(path)


def to_table(reads):
    """A data frame of called reads; see `CalledReads.to_pandas`."""
    try:
        import pandas
    except ImportError:
        raise UsageError(
            'to_pandas needs pandas; install the extra that brings it: pip install "ionanalysis[notebook]".'
        ) from None
    letters = (reads.qualities + 33).astype(np.uint8)
    slices = [reads.bases_of(read) for read in range(len(reads))]
    sums = np.concatenate([[0], np.cumsum(reads.qualities, dtype=np.int64)])[reads.base_start]
    with np.errstate(invalid="ignore"):
        means = np.diff(sums) / reads.n_bases
    return pandas.DataFrame(
        {
            "row": reads.row,
            "col": reads.col,
            "status": [STATUS_TEXT[int(status)] for status in reads.status],
            "length": reads.n_bases,
            "bases": [reads.bases[part].tobytes().decode("ascii") for part in slices],
            "qualities": [letters[part].tobytes().decode("ascii") for part in slices],
            "mean_quality": means,
            **{name: reads.phase[:, place] for place, name in enumerate(("cf", "ie", "dr"))},
        }
    )


def _key_number(sequence, keys):
    return next((number for number, key in enumerate(keys) if sequence.startswith(key)), len(keys))


def _batch(reads, n_key, group_names, run_id, offset):
    begin, end = reads.base_start[:-1] + n_key, reads.base_start[1:]
    # A read of nothing but its key has no first base behind it.
    first_flow = np.where(begin < end, reads.base_flow[np.minimum(begin, len(reads.bases) - 1)], 0)
    rows, cols = reads.row + offset[0], reads.col + offset[1]
    return ReadBatch(
        names=well_names(run_id, rows, cols),
        bases=reads.bases,
        qualities=reads.qualities,
        begin=begin,
        end=end,
        tags=(
            TagColumn("ZP", "B:f", reads.phase),
            TagColumn("ZM", "B:s", flow_units(reads.signal_without_droop())),
            TagColumn("ZF", "i", first_flow),
            TagColumn("RG", "Z", group_names),
            TagColumn("PG", "Z", ["bc"] * len(reads)),
        ),
    )
