"""Where each read of a batch is cut, and by what (basecaller.md 2.3)."""

from enum import IntEnum

import numpy as np

from ionanalysis.basecaller.verdicts import Verdict


class Step(IntEnum):
    """Filters and trimmers that shorten reads at the end, in the order in which they are charged."""

    SHORT = 0
    KEYPASS = 1
    RESIDUAL = 2
    QUALITY_FILTER = 3
    ADAPTER = 4
    BARCODE = 5
    TAG = 6
    EXTRA = 7
    QUALITY_TRIM = 8


class ReadEnds:
    """Trim positions of n reads, in bases from the first called one; all int64 of shape (n,).

    Attributes
    ----------
    n_bases
        Bases called.
    key, barcode, tag, prefix
        Never decreasing: ends of the key, the barcode with its adapter, the molecular tag, and all that
        is cut off the front.
    end
        The final end; 0 if the read is rejected. Kept bases are [prefix, end).
    reached : ndarray of shape (n, 9)
        Per `Step`: -1 not reached or not applied, 0 rejected, else the end it left.
    verdict : ndarray of shape (n,), int8
        A `Verdict`.
    """

    def __init__(self, n_bases, verdict=None):
        n_reads = len(n_bases)
        self.n_bases = np.asarray(n_bases, np.int64)
        self.key, self.barcode, self.tag, self.prefix = np.zeros((4, n_reads), np.int64)
        self.end = self.n_bases.copy()
        self.reached = np.full((n_reads, len(Step)), -1, np.int64)
        self.verdict = np.zeros(n_reads, np.int8) if verdict is None else np.asarray(verdict, np.int8).copy()
        self.end[self.verdict != Verdict.PASSED] = 0

    @property
    def alive(self):
        """Reads not rejected so far."""
        return self.verdict == Verdict.PASSED

    @property
    def n_kept(self):
        return np.where(self.alive, np.maximum(self.end - self.prefix, 0), 0)

    def cut_front(self, which, position):
        """Cut `prefix`, and what lies between it and the key, to `position` in the reads `which`."""
        self.prefix = np.where(which, np.minimum(np.maximum(position, self.prefix), self.n_bases), self.prefix)

    def reject(self, which, step, verdict):
        """Reject those of the reads `which` that are still alive."""
        out = which & self.alive
        self.reached[out, step] = 0
        self.end[out] = 0
        self.verdict[out] = verdict

    def cut_end(self, which, step, position):
        """Cut the reads `which` that are still alive at `position`, if that is before their end."""
        cut = which & self.alive & (position < self.end)
        self.end[cut] = position[cut]
        self.reached[cut, step] = position[cut]

    def bases_by_step(self):
        """Bases that each part of a read and each step removed, and what is left.

        Returns
        -------
        dict of ndarray of shape (n,), int64
            ``initial``, ``key_trim``, ``barcode_trim``, ``tag_trim``, ``extra_trim``, ``short``,
            ``failed_keypass``, ``high_residual``, ``quality_filter``, ``adapter_trim``, ``quality_trim`` and
            ``final``; ``initial`` is the sum of the others (basecaller.md 8.6).
        """
        removed = {
            "key_trim": self.key,
            "barcode_trim": self.barcode - self.key,
            "tag_trim": self.tag - self.barcode,
            "extra_trim": self.prefix - self.tag,
        }
        left = self.n_bases.copy()
        for step in Step:
            reached = self.reached[:, step]
            now = np.where(reached < 0, left, np.maximum(np.minimum(left, reached), self.prefix))
            removed[_BASE_DETAILS[step]] = removed.get(_BASE_DETAILS[step], 0) + left - now
            left = now
        return {"initial": self.n_bases, **removed, "final": left - self.prefix}


_BASE_DETAILS = {
    Step.SHORT: "short",
    Step.KEYPASS: "failed_keypass",
    Step.RESIDUAL: "high_residual",
    Step.QUALITY_FILTER: "quality_filter",
    Step.ADAPTER: "adapter_trim",
    Step.BARCODE: "barcode_trim",
    Step.TAG: "tag_trim",
    Step.EXTRA: "extra_trim",
    Step.QUALITY_TRIM: "quality_trim",
}
