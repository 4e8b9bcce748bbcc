"""Reads aligned to a `ReferenceIndex`."""

from concurrent.futures import ThreadPoolExecutor
from os import sched_getaffinity
from typing import NamedTuple

_COMPLEMENT = str.maketrans("ACGTacgtN", "TGCAtgcaN")


class Alignment(NamedTuple):
    """Where a read lies on the reference.

    Attributes
    ----------
    contig : str
    start, end : int
        Part of the contig that is covered, from 0, end not included.
    reverse : bool
        Whether the read runs against the reference.
    first, last : int
        Part of the read that is aligned, in bases from the first sequenced one, `last` not included.
    mapping_quality : int
    cigar : list of (length, operation)
        In the direction of the reference, operations as in BAM; clipped ends are not in it.
    edits : int
        Mismatches, and bases inserted and deleted.
    """

    contig: str
    start: int
    end: int
    reverse: bool
    first: int
    last: int
    mapping_quality: int
    cigar: list
    edits: int


def align_reads(index, sequences, *, n_threads=None):
    """The best alignment of each read, None where there is none.

    Parameters
    ----------
    index : ReferenceIndex
    sequences : list of str
        Bases in the order of sequencing.
    n_threads : int, optional
        All cores by default. The result does not depend on it.

    Returns
    -------
    list of (Alignment or None)
    """
    aligner, n_threads = index.aligner, n_threads or len(sched_getaffinity(0))
    if n_threads == 1 or len(sequences) < 1000:
        return _aligned(aligner, sequences)
    with ThreadPoolExecutor(n_threads) as pool:
        parts = pool.map(lambda part: _aligned(aligner, part), _parts(sequences, 500))
        return [found for part in parts for found in part]


def target_of(index, alignment, n_more=0):
    """Letters of the reference that an alignment covers, and up to `n_more` behind, in the direction of the read."""
    start, end = alignment.start, alignment.end
    if alignment.reverse:
        start = max(start - n_more, 0)
    else:
        end += n_more
    letters = index.sequence(alignment.contig, start, end)
    return letters.translate(_COMPLEMENT)[::-1] if alignment.reverse else letters


def _parts(sequences, size):
    return [sequences[first : first + size] for first in range(0, len(sequences), size)]


def _aligned(aligner, sequences):
    import mappy

    buffer, found = mappy.ThreadBuffer(), []
    for sequence in sequences:
        hit = next((hit for hit in aligner.map(sequence, buf=buffer) if hit.is_primary), None) if sequence else None
        found.append(
            None
            if hit is None
            else Alignment(
                hit.ctg,
                hit.r_st,
                hit.r_en,
                hit.strand < 0,
                hit.q_st,
                hit.q_en,
                hit.mapq,
                [tuple(step) for step in hit.cigar],
                hit.NM,
            )
        )
    return found
