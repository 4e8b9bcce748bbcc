"""Statistics of the reads of a result, gathered in one pass over its BAM files."""

from array import array
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ionanalysis.bam.source import header_of, integers_of, open_alignments, qualities_of, reads_of, tag_of
from ionanalysis.flows import FlowOrder
from ionanalysis.report.residuals import Residuals

MOST_READS = 200_000
"""Reads looked at per result: enough for every histogram, whatever the chip."""

MOST_SIGNALS = 20_000
"""Reads whose flow signals are looked at."""

MOST_MERS = 6
"""Longest homopolymer whose signals are shown."""

SIGNAL_BINS = np.arange(-24, 256) / 32
"""Where the bins of signals begin, in bases; a multiple of the steps in which BAM files hold signals."""


@dataclass(frozen=True, eq=False)
class ReadStatistics:
    """Histograms over at most `MOST_READS` library reads.

    Attributes
    ----------
    n_reads : int
    length_counts : int64 (n,)
        Reads by number of bases.
    quality_counts : int64 (94,)
        Bases by quality.
    quality_sums : float64 (n, 2)
        By position in the read: bases, and the sum of their predicted error probabilities.
    signal_counts : int64 (7, 280)
        Flows by called homopolymer length (0..6) and signal, in `SIGNAL_BINS`.
    residual_moments : float64 (n_flows, 3)
        By flow up to the last called one: how many reads, sum and sum of squares of signal minus prediction (bases).
    """

    n_reads: int
    length_counts: np.ndarray
    quality_counts: np.ndarray
    quality_sums: np.ndarray
    signal_counts: np.ndarray
    residual_moments: np.ndarray

    @property
    def residual_rms(self):
        """Root mean square of the residual by flow; NaN where no read has signal."""
        n, _, squares = self.residual_moments.T
        return np.sqrt(np.divide(squares, n, out=np.full(len(n), np.nan), where=n > 0))

    @property
    def residual_mean(self):
        """Mean residual by flow; NaN where no read has signal."""
        n, sums, _ = self.residual_moments.T
        return np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)


def gather_reads(paths, n_most=MOST_READS):
    """Read statistics of BAM files, or None if there is no read.

    Every file gives its first reads, in proportion to its size, so that barcodes keep their weights.

    Raises
    ------
    InputError
        If a file is no BAM.
    """
    tally = _Tally()
    n_bytes = sum(path.stat().st_size for path in paths)
    for path in paths:
        share = max(1, n_most * path.stat().st_size // max(n_bytes, 1))
        with open_alignments(path) as bam:
            groups = _read_groups(header_of(bam))
            for read in islice(reads_of(bam), share):
                tally.add(read, groups)
    return tally.statistics() if tally.n_reads else None


class _Tally:
    def __init__(self):
        self.n_reads = 0
        self.lengths = np.zeros(0, np.int64)
        self.qualities = np.zeros(94, np.int64)
        self.by_position = np.zeros((0, 2))
        self.signals = np.zeros((MOST_MERS + 1, len(SIGNAL_BINS)), np.int64)
        self.residuals = Residuals()

    def add(self, read, groups):
        bases = read.get_forward_sequence() or ""
        qualities = qualities_of(read)
        self.n_reads += 1
        self.lengths = _grown(self.lengths, len(bases) + 1)
        self.lengths[len(bases)] += 1
        if qualities is not None and len(bases):
            values = np.minimum(qualities, 93)
            self.qualities += np.bincount(values, minlength=94)
            self.by_position = _grown(self.by_position, len(bases))
            self.by_position[: len(bases), 0] += 1
            self.by_position[: len(bases), 1] += _ERROR[values]
        if self.n_reads <= MOST_SIGNALS and bases and read.has_tag("ZM") and read.has_tag("ZF"):
            self._add_signal(np.asarray(integers_of(read, "ZM"), np.float64) / 256, bases, read, groups)

    def _add_signal(self, signal, bases, read, groups):
        flow_order, key = groups.get(tag_of(read, "RG", str, ""), (None, ""))
        if flow_order is None:
            return
        front = key + tag_of(read, "ZT", str, "")
        called, first = _flowgram(flow_order, front, bases)
        # Without all that was cut off its front (a handle, extra bases), the flows of a read are not known.
        if first != tag_of(read, "ZF", int) or len(called) > len(signal):
            return
        # The key may reach into the first flow, and trimming into the last.
        inner = slice(first + 1, max(len(called) - 1, first + 1))
        used = called[inner] <= MOST_MERS
        bins = np.clip(np.searchsorted(SIGNAL_BINS, signal[inner][used], "right") - 1, 0, len(SIGNAL_BINS) - 1)
        np.add.at(self.signals, (called[inner][used], bins), 1)
        rates = tag_of(read, "ZP", array)
        if rates is not None:
            self.residuals.add(flow_order, called, signal, np.asarray(rates, np.float64)[:3])

    def statistics(self):
        self.residuals.finish()
        return ReadStatistics(
            n_reads=self.n_reads,
            length_counts=_trimmed(self.lengths),
            quality_counts=self.qualities,
            quality_sums=_trimmed(self.by_position),
            signal_counts=self.signals,
            residual_moments=_trimmed(self.residuals.moments),
        )


_ERROR = 10 ** (-np.arange(94) / 10)


def _flowgram(flow_order, front, bases):
    """Called length of each flow up to the one of the last base, and the flow of the first base behind `front`."""
    positions = flow_order.base_flows(front + bases)
    first = int(positions[len(front)])
    positions = positions[positions < len(flow_order)]
    return np.bincount(positions, minlength=1), first


def _read_groups(header):
    """Flow order and key sequence of each read group; groups without valid flows are left out."""
    groups = {}
    for group in header.get("RG", []):
        flows = str(group.get("FO", ""))
        if flows and not set(flows) - set("ACGT"):
            groups[group.get("ID")] = FlowOrder(flows, len(flows)), str(group.get("KS", ""))
    return groups


def _grown(array, n):
    if len(array) >= n:
        return array
    grown = np.zeros((max(n, 2 * len(array)), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _trimmed(array):
    """Without the empty rows that growing left at the end."""
    filled = np.flatnonzero(array.reshape(len(array), -1).any(axis=1)) if len(array) else array
    return array[: filled[-1] + 1] if len(filled) else array[:0]
