"""Reads of a BAM file as columns: what statistics count, without an object per read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from ionanalysis.bam.record_bytes import RecordReader, parts_of
from ionanalysis.bam.record_tags import integer_heads, integer_tag, tag_places, text_spans
from ionanalysis.bam.source import integers_of, reads_of, tag_of

UNMAPPED, REVERSE, SECONDARY, SUPPLEMENTARY = 4, 16, 256, 2048
"""Flags of SAM records."""

MISSING = -(1 << 62)
"""Value of a tag that a read lacks."""

_BATCH_READS = 4096


@dataclass(frozen=True)
class Wanted:
    """What is to be known of reads beyond bases, qualities and alignments."""

    n_signals: int = 0
    """Flow signals (tag ZM) from the first flow on."""
    texts: tuple[str, ...] = ()
    """Names of text tags."""
    letters: bool = True
    """Bases, and the alignments that need them."""


@dataclass(frozen=True, eq=False)
class ReadColumns:
    """n reads, structure of arrays, ragged ones flat; bases, qualities and CIGAR as they stand in the file.

    Attributes
    ----------
    flag, mapping_quality, insert, first_flow : int64 (n,)
        The last two are tags ZA and ZF, `MISSING` without.
    base_start : int64 (n + 1,)
        Read i has the bases [base_start[i], base_start[i + 1]) of `letters` and `qualities`, both uint8; the letters
        are empty where they are not wanted.
    has_qualities, has_md : bool (n,)
    cigar_start, md_start : int64 (n + 1,)
        The same for `cigar`, uint32 as in BAM, and for `md`, the ASCII letters of tag MD.
    signal : int64 (n, n_signals)
        In units of tag ZM.
    has_signal : bool (n,)
        Whether a read tells all of these.
    texts : dict of str to list of str
        Of each read; "" without the tag.
    name_of : callable
        ``name_of(i)``.
    """

    flag: np.ndarray
    mapping_quality: np.ndarray
    insert: np.ndarray
    first_flow: np.ndarray
    base_start: np.ndarray
    letters: np.ndarray
    qualities: np.ndarray
    has_qualities: np.ndarray
    cigar_start: np.ndarray
    cigar: np.ndarray
    has_md: np.ndarray
    md_start: np.ndarray
    md: np.ndarray
    signal: np.ndarray
    has_signal: np.ndarray
    name_of: Callable[[int], str]
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self):
        return len(self.flag)

    @cached_property
    def n_bases(self):
        return np.diff(self.base_start)

    @property
    def is_reverse(self):
        return (self.flag & REVERSE) != 0

    def forward_places(self, chosen=slice(None)):
        """Index of each base of the chosen reads, in the order of sequencing, int64 (n, longest).

        What stands behind the end of a read is an index, too, but of nothing of this read.
        """
        begin, end, turned = self.base_start[:-1][chosen], self.base_start[1:][chosen], self.is_reverse[chosen]
        place = np.arange(int((end - begin).max(initial=0)))
        at = np.where(turned, -1, 1)[:, None] * place
        at += np.where(turned, end - 1, begin)[:, None]
        return np.clip(at, 0, max(len(self.qualities) - 1, 0), out=at)

    @classmethod
    def of_records(cls, parts, wanted):
        """Columns of `RecordParts`.

        Raises
        ------
        DamagedRecordError
            If a tag does not hold what it should.
        """
        data, fixed = parts.records.data, parts.fixed
        places = tag_places(parts, ("ZA", "ZF", "MD", "ZM", *wanted.texts))
        n_cigar = fixed["n_cigar"].astype(np.int64)
        cigar_at = parts.name_at + fixed["name_size"]
        md_begin, md_end = text_spans(parts, places["MD"])
        n_bases = fixed["n_bases"].astype(np.int64)
        has_bases = n_bases > 0
        stored = np.zeros(len(fixed), bool)
        stored[has_bases] = data[parts.qualities_at[has_bases]] != 255
        signal, has_signal = (
            integer_heads(parts, places["ZM"], wanted.n_signals)
            if wanted.n_signals
            else (np.zeros((len(fixed), 0), np.int64), np.zeros(len(fixed), bool))
        )
        cigar_bytes, cigar_start = _gathered(data, cigar_at, cigar_at + 4 * n_cigar)
        md, md_start = _gathered(data, md_begin, md_end)
        return cls(
            flag=fixed["flag"].astype(np.int64),
            mapping_quality=fixed["mapping_quality"].astype(np.int64),
            insert=integer_tag(parts, places["ZA"], MISSING),
            first_flow=integer_tag(parts, places["ZF"], MISSING),
            base_start=parts.base_start,
            letters=parts.letters if wanted.letters else np.zeros(0, np.uint8),
            qualities=parts.qualities,
            has_qualities=stored,
            cigar_start=cigar_start // 4,
            cigar=cigar_bytes.view("<u4"),
            has_md=places["MD"] >= 0,
            md_start=md_start,
            md=md,
            signal=signal,
            has_signal=has_signal,
            name_of=parts.name_of,
            texts={name: _texts(data, *text_spans(parts, places[name])) for name in wanted.texts},
        )

    @classmethod
    def of_reads(cls, reads, wanted):
        """Columns of pysam reads: of SAM and CRAM files, and where only some reads of a file are asked for.

        Raises
        ------
        DamagedRecordError
            If a tag does not hold what it should.
        """
        letters = [(read.query_sequence or "").encode("ascii") for read in reads]
        stored = [read.query_qualities for read in reads]
        qualities = [
            bytes(values) if values is not None else b"\xff" * len(bases)
            for values, bases in zip(stored, letters, strict=True)
        ]
        cigars = [[length << 4 | code for code, length in read.cigartuples or ()] for read in reads]
        md = [tag_of(read, "MD", str, "").encode("ascii", "replace") for read in reads]
        heads = [(integers_of(read, "ZM") or ())[: wanted.n_signals] for read in reads] if wanted.n_signals else []
        has_signal = np.array([len(head) == wanted.n_signals for head in heads] or [False] * len(reads), bool)
        signal = np.zeros((len(reads), wanted.n_signals), np.int64)
        for number in np.flatnonzero(has_signal):
            signal[number] = heads[number]
        return cls(
            flag=np.array([read.flag for read in reads], np.int64),
            mapping_quality=np.array([read.mapping_quality for read in reads], np.int64),
            insert=np.array([tag_of(read, "ZA", int, MISSING) for read in reads], np.int64),
            first_flow=np.array([tag_of(read, "ZF", int, MISSING) for read in reads], np.int64),
            base_start=starts_of([len(bases) for bases in letters]),
            letters=np.frombuffer(b"".join(letters), np.uint8),
            qualities=np.frombuffer(b"".join(qualities), np.uint8),
            has_qualities=np.array([values is not None for values in stored], bool),
            cigar_start=starts_of([len(cigar) for cigar in cigars]),
            cigar=np.array([part for cigar in cigars for part in cigar], np.uint32),
            has_md=np.array([read.has_tag("MD") for read in reads], bool),
            md_start=starts_of([len(text) for text in md]),
            md=np.frombuffer(b"".join(md), np.uint8),
            signal=signal,
            has_signal=has_signal,
            name_of=lambda number: reads[number].query_name,
            texts={name: [tag_of(read, name, str, "") for read in reads] for name in wanted.texts},
        )

    def chosen(self, is_chosen):
        """The reads for which `is_chosen`, bool (n,), is true; itself if that is all of them."""
        if is_chosen.all():
            return self
        kept = np.flatnonzero(is_chosen)
        qualities, base_start = _gathered(self.qualities, self.base_start[kept], self.base_start[kept + 1])
        letters = self.letters
        if len(letters):
            letters, _ = _gathered(letters, self.base_start[kept], self.base_start[kept + 1])
        cigar, cigar_start = _gathered(self.cigar, self.cigar_start[kept], self.cigar_start[kept + 1])
        md, md_start = _gathered(self.md, self.md_start[kept], self.md_start[kept + 1])
        return ReadColumns(
            flag=self.flag[kept],
            mapping_quality=self.mapping_quality[kept],
            insert=self.insert[kept],
            first_flow=self.first_flow[kept],
            base_start=base_start,
            letters=letters,
            qualities=qualities,
            has_qualities=self.has_qualities[kept],
            cigar_start=cigar_start,
            cigar=cigar,
            has_md=self.has_md[kept],
            md_start=md_start,
            md=md,
            signal=self.signal[kept],
            has_signal=self.has_signal[kept],
            name_of=lambda number: self.name_of(int(kept[number])),
            texts={name: [texts[number] for number in kept.tolist()] for name, texts in self.texts.items()},
        )


def read_columns(path, alignments, wanted, *, keep=None):
    """Yield the reads of a file, a few thousand at a time, as `ReadColumns`.

    Parameters
    ----------
    path : path
    alignments : pysam.AlignmentFile
        The same file, of `open_alignments`: read where it is no BAM file, or one that cannot be opened twice.
    wanted : Wanted
    keep : callable, optional
        Gets each read, of pysam.

    Raises
    ------
    InputError, DamagedRecordError
        If the file is damaged.
    """
    if alignments.is_bam and Path(path).is_file() and keep is None:
        with RecordReader(path) as reader:
            for records in reader.batches():
                yield ReadColumns.of_records(parts_of(records, path), wanted)
        return
    reads = reads_of(alignments)
    while batch := list(islice(reads, _BATCH_READS)):
        for read in batch if keep else ():
            keep(read)
        yield ReadColumns.of_reads(batch, wanted)


def starts_of(sizes):
    """Where each of many items of these sizes begins, and the last one ends, int64 (n + 1,)."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)


def _gathered(flat, begin, end):
    """The items [begin, end) of many reads end to end, and where those of each begin."""
    sizes = end - begin
    starts = starts_of(sizes)
    if len(sizes) and (begin[1:] == end[:-1]).all():
        return flat[begin[0] : end[-1]], starts
    return flat[np.arange(starts[-1]) + np.repeat(begin - starts[:-1], sizes)], starts


def _texts(data, begin, end):
    content = data.tobytes()
    return [
        content[first:last].decode("utf-8", "replace") for first, last in zip(begin.tolist(), end.tolist(), strict=True)
    ]
