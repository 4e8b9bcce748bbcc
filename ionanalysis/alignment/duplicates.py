"""Reads of one molecule that was sequenced twice: same start, end of the insert and adapter (basecaller.md 8.4).

The end is told in flow space by tag ZC: a homopolymer read one base too long or too short moves the end of the bases,
not the flow in which the insert ends.
"""

import numpy as np

from ionanalysis.bam.record_tags import integer_array_tag
from ionanalysis.bam.records import REVERSE, UNMAPPED

_CLIPS = (4, 5)
_SIGNATURE = 6


class DuplicateTally:
    """What tells duplicates, of reads added batch by batch.

    Memory: 36 bytes a read.
    """

    def __init__(self):
        self._signatures: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []
        self._n_mapped = 0

    def add(self, parts):
        """Count aligned reads, `RecordParts`."""
        ends, has_end = integer_array_tag(parts, "ZC", 4)
        flag = parts.fixed["flag"]
        is_mapped = (flag & UNMAPPED) == 0
        known = has_end & is_mapped
        self._n_mapped += int(is_mapped.sum())
        signature = np.full((len(flag), _SIGNATURE), -1, np.int32)
        is_reverse = (flag & REVERSE) != 0
        columns = (
            parts.fixed["reference"],
            _start_of_read(parts, is_reverse),
            ends[:, 0],
            ends[:, 1],
            ends[:, 2],
            2 * ends[:, 3] + is_reverse,
        )
        for place, values in enumerate(columns):
            signature[known, place] = values[known]
        self._signatures.append(signature)
        sums = np.concatenate([[0], np.cumsum(parts.qualities, dtype=np.int64)])
        self._scores.append((sums[parts.base_start[1:]] - sums[parts.base_start[:-1]]).astype(np.int64))

    def find(self):
        """`(is_duplicate, statistics)`: bool of each read in the order of `add`, and the file's content.

        Of reads with equal signatures the one with the highest sum of qualities is kept, the first of equal ones.
        """
        signature = np.concatenate(self._signatures or [np.zeros((0, _SIGNATURE), np.int32)])
        score = np.concatenate(self._scores or [np.zeros(0, np.int64)])
        is_duplicate = np.zeros(len(signature), bool)
        known = np.flatnonzero(signature[:, 0] >= 0)
        # By signature, then the best first; lexsort is stable, so that the first of equal reads is kept.
        order = known[np.lexsort((-score[known], *signature[known].T[::-1]))]
        same = (signature[order[1:]] == signature[order[:-1]]).all(axis=1)
        is_duplicate[order[1:][same]] = True
        n_duplicates = int(is_duplicate.sum())
        statistics = {
            "total_reads": len(signature),
            "total_mapped_reads": self._n_mapped,
            "duplicate_reads": n_duplicates,
            "fraction_duplicates": n_duplicates / self._n_mapped if self._n_mapped else 0.0,
            "fraction_with_adaptor": len(known) / self._n_mapped if self._n_mapped else 0.0,
        }
        return is_duplicate, statistics


def _start_of_read(parts, is_reverse):
    """Where on the reference the first base sequenced lies; clipped bases count as if they were aligned."""
    codes, lengths, bounds = parts.steps
    n_steps = np.diff(bounds)
    in_read = np.arange(bounds[-1]) - np.repeat(bounds[:-1], n_steps)
    of_read = np.repeat(np.arange(len(n_steps)), n_steps)
    is_clip = np.isin(codes, _CLIPS)
    # Clips before the first step that is none stand in front, the others behind.
    is_front = is_clip & (in_read < np.repeat(n_steps, n_steps) - 1) & (in_read <= 1)
    front = np.bincount(of_read[is_front], lengths[is_front], len(n_steps))
    behind = np.bincount(of_read[is_clip & ~is_front], lengths[is_clip & ~is_front], len(n_steps))
    start = parts.fixed["position"]
    return np.where(is_reverse, start + parts.reference_span - 1 + behind, start - front).astype(np.int64)
