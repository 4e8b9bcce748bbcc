"""From a file of reads to one of aligned reads, sorted and indexed."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import sched_getaffinity
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.align import place_reads
from ionanalysis.alignment.duplicates import DuplicateTally
from ionanalysis.alignment.spool import CoordinateSpool
from ionanalysis.alignment.tmap import aligned_by_tmap
from ionanalysis.alignment.unaligned import unaligned_bam
from ionanalysis.bam.header import AlignedHeader, ReferenceSequence
from ionanalysis.bam.place_index import LONGEST_REFERENCE, PlaceIndex
from ionanalysis.bam.placed import coordinate_keys, placed_records
from ionanalysis.bam.record_bytes import RecordReader, parts_of
from ionanalysis.bam.records import UNMAPPED
from ionanalysis.bam.writer import BamWriter
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.fasta import sequence_sums
from ionanalysis.options.alignment import AlignmentOptions

_BATCH_READS = 2000


@dataclass(frozen=True)
class AlignmentCounts:
    """What `align_bam` did."""

    reads: int
    mapped: int
    duplicates: dict | None
    """Content of the statistics file on duplicates; None if they were not looked for."""


def reference_sequences(index):
    """The @SQ lines of a reference, tuple of `ReferenceSequence`. Reads the whole file for its checksums."""
    uri = index.fasta.absolute().as_uri()
    found = tuple(ReferenceSequence(name, length, md5, uri) for name, length, md5 in sequence_sums(index.fasta))
    if [one.name for one in found] != list(index.contig_numbers):
        raise InputError(f"{index.fasta}: names a sequence twice or not at all; give each its own name.")
    return found


def align_bam(path, output, index, options=None, *, n_threads=None, command_line="", references=None, progress=None):
    """Align the reads of a file; write them sorted by place, with an index beside them.

    All tags are kept, NM and MD are added; reads without a place come last. Alignments of a file that is already
    aligned are taken back first.

    Parameters
    ----------
    path : path
        BAM, SAM or CRAM.
    output : path
        BAM file to make; its index is ``output.bai``, or ``output.csi`` where a sequence has more than 512 Mb.
    index : ReferenceIndex
    options : AlignmentOptions, optional
    n_threads : int, optional
        All cores by default. The file does not depend on it.
    command_line : str
        Written into the header.
    references : tuple of ReferenceSequence, optional
        Of `reference_sequences`, where many files are aligned to one reference.
    progress : callable, optional
        Called with the number of reads that are aligned.

    Returns
    -------
    AlignmentCounts

    Raises
    ------
    InputError
        If a file is not what it should be.
    OutputError
        If the output cannot be written.

    Notes
    -----
    Memory: some 30 bytes a read, 36 more to look for duplicates, and 64 MB. The records themselves wait in a
    temporary file beside the output.
    """
    options, output = options or AlignmentOptions(), Path(output)
    n_threads = n_threads or len(sched_getaffinity(0))
    references = references or reference_sequences(index)
    by_tmap = options.aligner == "tmap"
    tally = DuplicateTally() if options.mark_duplicates else None
    n_mapped = 0
    with (
        unaligned_bam(path, output.parent) as plain,
        aligned_by_tmap(plain, index.fasta, options, n_threads, output.parent, by_tmap) as source,
        RecordReader(source) as reader,
        CoordinateSpool(output.parent) as spool,
        ThreadPoolExecutor(n_threads) as pool,
    ):
        work = partial(_as_they_are if by_tmap else _placed, index, source)
        for records, fixed in _in_order(pool, work, _small_batches(reader), 2 * n_threads):
            spool.add(records, coordinate_keys(fixed))
            n_mapped += int(((fixed["flag"] & UNMAPPED) == 0).sum())
            if tally is not None:
                tally.add(parts_of(records, source))
            if progress:
                progress(spool.n_added)
        is_duplicate, statistics = tally.find() if tally is not None else (None, None)
        header = AlignedHeader(reader.text, references, _program(options, command_line))
        _write(output, header, spool.sorted_batches(is_duplicate), pool)
    return AlignmentCounts(spool.n_added, n_mapped, statistics)


def _placed(index, path, records):
    parts = parts_of(records, path)
    placed = placed_records(parts, place_reads(index, parts.letters.tobytes(), parts.base_start))
    return placed, parts_of(placed).fixed


def _as_they_are(_, path, records):
    return records, parts_of(records, path).fixed


def _small_batches(reader):
    for records in reader.batches():
        for first in range(0, len(records), _BATCH_READS):
            yield records[first : first + _BATCH_READS]


def _in_order(pool, work, batches, n_waiting):
    """Results of `work` on each batch, in order; at most `n_waiting` are at the pool."""
    waiting: deque = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > n_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _write(output, header, batches, pool):
    import pysam

    is_long = max(one.length for one in header.references) > LONGEST_REFERENCE
    ending, former = ("csi", "bai") if is_long else ("bai", "csi")
    with BamWriter(output, header, pool=pool) as bam:
        places = PlaceIndex(len(header.references), bam.n_header_bytes)
        for records in batches:
            bam.write_records(records)
            if not is_long:
                places.add(parts_of(records))
    output.with_name(f"{output.name}.{former}").unlink(missing_ok=True)
    with whole_file(output.with_name(f"{output.name}.{ending}")) as temporary:
        if is_long:
            pysam.index("-c", str(output), str(temporary))
        else:
            temporary.write_bytes(places.encoded(bam.block_start()))


def _program(options, command_line):
    import mappy

    from ionanalysis.align.index import SCORING

    used = options.aligner
    if used == "minimap2":
        used += f" {mappy.__version__}, short reads, scoring {','.join(map(str, SCORING))}"
    return {"ID": "ionanalysis", "PN": "ionanalysis", "VN": __version__, "CL": command_line, "DS": used}
