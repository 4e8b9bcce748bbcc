"""Reads aligned to a `ReferenceIndex`."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from os import sched_getaffinity
from typing import NamedTuple

import numpy as np

_SOFT_CLIP = 4
_NOWHERE = (-1, -1, 0, False, 0, 0)
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


@dataclass(frozen=True, eq=False)
class Placements:
    """Where n reads lie on the reference.

    Attributes
    ----------
    contig : int32 (n,)
        Number of the reference sequence, -1 for reads without a place.
    start, span : int32 (n,)
        First base that is covered, from 0, and how many are.
    reverse : bool (n,)
        Whether a read runs against the reference.
    mapping_quality : uint8 (n,)
    cigar : uint32 (n_steps,)
        Steps of all reads as in BAM (length in the upper 28 bits), in the direction of the reference.
    cigar_start : int64 (n + 1,)
        Read i has the steps [cigar_start[i], cigar_start[i + 1]).
    edits : int32 (n,)
        Mismatches, and bases inserted and deleted.
    mismatches : list of str
        Value of tag MD.
    """

    contig: np.ndarray
    start: np.ndarray
    span: np.ndarray
    reverse: np.ndarray
    mapping_quality: np.ndarray
    cigar: np.ndarray
    cigar_start: np.ndarray
    edits: np.ndarray
    mismatches: list

    def __len__(self):
        return len(self.contig)


def place_reads(index, letters, base_start):
    """The best place of each read, as arrays; ends that do not align are clipped in the CIGAR.

    Parameters
    ----------
    index : ReferenceIndex
    letters : bytes
        Bases of all reads in the order of sequencing, ASCII.
    base_start : int64 (n + 1,)
        Read i has the bases [base_start[i], base_start[i + 1]).

    Returns
    -------
    Placements
    """
    import mappy

    map_read, buffer, numbers = index.aligner.map, mappy.ThreadBuffer(), index.contig_numbers
    fields: list[int] = []
    steps, step_start, mismatches = [], [0], []
    bounds = base_start.tolist()
    for first, last in pairwise(bounds):
        hits = map_read(letters[first:last], buf=buffer, MD=True) if last > first else ()
        hit = next((hit for hit in hits if hit.is_primary), None)
        if hit is None:
            fields += _NOWHERE
            mismatches.append("")
        else:
            reverse, n_end = hit.strand < 0, last - first - hit.q_en
            before, after = (n_end, hit.q_st) if reverse else (hit.q_st, n_end)
            if before:
                steps.append(before << 4 | _SOFT_CLIP)
            steps += [length << 4 | code for length, code in hit.cigar]
            if after:
                steps.append(after << 4 | _SOFT_CLIP)
            fields += (numbers[hit.ctg], hit.r_st, hit.r_en - hit.r_st, reverse, hit.mapq, hit.NM)
            mismatches.append(hit.MD)
        step_start.append(len(steps))
    columns = np.array(fields, np.int64).reshape(-1, len(_NOWHERE)).T
    return Placements(
        contig=columns[0].astype(np.int32),
        start=columns[1].astype(np.int32),
        span=columns[2].astype(np.int32),
        reverse=columns[3].astype(bool),
        mapping_quality=columns[4].astype(np.uint8),
        cigar=np.array(steps, np.uint32),
        cigar_start=np.array(step_start, np.int64),
        edits=columns[5].astype(np.int32),
        mismatches=mismatches,
    )


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
