"""Reads to unaligned BAM and back, in the shape of the original's base caller (basecaller.md 8.2-8.5).

Knows nothing of how reads are made: what is written comes as a `ReadBatch` of plain arrays.
"""

from ionanalysis.bam.header import BamHeader, ReadGroup
from ionanalysis.bam.reader import Flowgrams, flowgrams
from ionanalysis.bam.records import EncodedRecords, ReadBatch, TagColumn, encode_records, flow_units
from ionanalysis.bam.writer import BamWriter

__all__ = [
    "BamHeader",
    "BamWriter",
    "EncodedRecords",
    "Flowgrams",
    "ReadBatch",
    "ReadGroup",
    "TagColumn",
    "encode_records",
    "flow_units",
    "flowgrams",
]
