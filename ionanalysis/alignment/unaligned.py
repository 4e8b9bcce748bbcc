"""Reads of any alignment file as unaligned BAM, in the order of sequencing."""

from array import array
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ionanalysis.bam.source import header_of, open_alignments, primary_reads, qualities_of

_OF_ALIGNMENTS = ("NM", "MD", "AS", "XS", "XA", "XE", "YS", "SA", "NH", "HI", "MC", "MQ")
_KEPT_FLAGS = 512
"""Reads that failed quality checks still have after their alignment is gone."""


@contextmanager
def unaligned_bam(path, folder):
    """Give the path of an unaligned BAM file with the reads of `path`: `path` itself if it is one.

    Raises
    ------
    InputError
        If the file is no alignment file or damaged.
    """
    path = Path(path)
    with open_alignments(path) as alignments:
        is_plain = alignments.is_bam and not header_of(alignments).get("SQ")
    if is_plain:
        yield path
        return
    with TemporaryDirectory(dir=folder, prefix=".unaligned-", suffix=".scratch") as scratch:
        made = Path(scratch) / "unaligned.bam"
        _take_back(path, made)
        yield made


def _take_back(path, output):
    import pysam

    with open_alignments(path) as alignments:
        header = header_of(alignments)
        header.pop("SQ", None)
        header["HD"] = {"VN": "1.6", "SO": "unsorted"}
        with pysam.AlignmentFile(str(output), "wb0", header=header) as file:
            for read in primary_reads(alignments):
                file.write(_unplaced(read))


def _unplaced(read):
    letters, qualities = read.get_forward_sequence(), qualities_of(read)
    read.query_sequence = letters
    if qualities is not None:
        read.query_qualities = array("B", qualities.tolist())
    read.cigartuples = None
    read.flag = 4 | read.flag & _KEPT_FLAGS
    read.reference_id = read.next_reference_id = read.reference_start = read.next_reference_start = -1
    read.mapping_quality = read.template_length = 0
    for tag in _OF_ALIGNMENTS:
        read.set_tag(tag, None)
    return read
