"""Reads to a reference, in-process: `ReferenceIndex` and `align_reads`. Nothing here knows of files of reads."""

from ionanalysis.align.index import ReferenceIndex
from ionanalysis.align.reads import Alignment, Placements, align_reads, place_reads

__all__ = ["Alignment", "Placements", "ReferenceIndex", "align_reads", "place_reads"]
