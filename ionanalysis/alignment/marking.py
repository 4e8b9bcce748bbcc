"""Marks the duplicates of a file of aligned reads: what `align_bam` does on its way, for files that are there."""

import numpy as np

from ionanalysis.alignment.duplicates import DuplicateTally
from ionanalysis.alignment.spool import FLAG_AT
from ionanalysis.bam.header import CopiedHeader, ReferenceSequence
from ionanalysis.bam.record_bytes import RecordReader, parts_of
from ionanalysis.bam.records import DUPLICATE, EncodedRecords
from ionanalysis.bam.writer import BamWriter


def mark_duplicates(path, output):
    """Write a BAM file again, in its order, with the flag of duplicates set where it belongs and nowhere else.

    Parameters
    ----------
    path : path
        BAM file of aligned reads with tag ZC.
    output : path

    Returns
    -------
    statistics : dict
        Content of the original's statistics file.

    Raises
    ------
    InputError
        If the file is no BAM or damaged.
    OutputError
        If the output cannot be written.
    """
    tally = DuplicateTally()
    with RecordReader(path) as reader:
        for records in reader.batches():
            tally.add(parts_of(records, path))
    is_duplicate, statistics = tally.find()
    with RecordReader(path) as reader:
        references = tuple(ReferenceSequence(name, length) for name, length in reader.references)
        with BamWriter(output, CopiedHeader(reader.text, references)) as bam:
            for records in reader.batches():
                data, at = np.array(records.data), records.start[:-1] + FLAG_AT + 1
                marked = is_duplicate[bam.n_reads : bam.n_reads + len(records)]
                flags = data[at] & ~np.uint8(DUPLICATE >> 8)
                data[at] = np.where(marked, flags | (DUPLICATE >> 8), flags)
                bam.write_records(EncodedRecords(data, records.start))
    return statistics
