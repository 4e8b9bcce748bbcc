"""Files of reads to files of aligned reads: aligned, sorted, duplicates marked, indexed."""

from ionanalysis.alignment.stage import AlignmentCounts, align_bam

__all__ = ["AlignmentCounts", "align_bam"]
