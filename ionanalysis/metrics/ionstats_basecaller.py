"""Lengths, qualities and key signals of called reads: `ionstats_basecaller.json` (basecaller.md 11.1, 11.2)."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ionanalysis.bam.source import header_of, open_alignments
from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY, NUCS, FlowOrder
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.metrics.read_columns import MISSING, Wanted, read_columns

QUALITY_BINS = 64
ERROR_RATES = {"Q17": 0.02, "Q20": 0.01}
"""Mean error probability up to which a prefix of a read counts."""

_ROUNDING = 1e-10
_ERROR = np.power(10.0, -0.1 * np.arange(256))
"""Error probability of each quality."""
_ROWS = 256


@dataclass
class Lengths:
    """Histogram of read lengths; longer reads than its last bin are counted there."""

    n_bins: int
    num_bases: int = 0
    num_reads: int = 0
    max_read_length: int = 0
    counts: np.ndarray = field(init=False)

    def __post_init__(self):
        self.counts = np.zeros(self.n_bins, np.int64)

    def add(self, lengths):
        """Count reads of these lengths, int64 (n,)."""
        self.num_reads += len(lengths)
        self.num_bases += int(lengths.sum())
        self.max_read_length = max(self.max_read_length, int(lengths.max(initial=0)))
        self.counts += np.bincount(np.minimum(lengths, self.n_bins - 1), minlength=self.n_bins)

    def to_json(self):
        """The object of the original's files."""
        return _lengths_json(self.num_bases, self.num_reads, self.max_read_length, self.counts.tolist())


def read_statistics(path, key=LIBRARY_KEY, n_bins=None):
    """Statistics of one unaligned BAM file.

    Parameters
    ----------
    path : path
    key : str
        Bases in front of the reads, for the signal-to-noise ratio of the key flows.
    n_bins : int, optional
        Length of histograms; from the number of flows by default.

    Returns
    -------
    dict
        The object of `ionstats_basecaller.json`.

    Raises
    ------
    InputError
        If the file is no BAM.
    """
    with open_alignments(path) as bam:
        tally = ReadTally(flows_of(header_of(bam)), key, n_bins)
        for reads in read_columns(path, bam, tally.wanted):
            tally.add(reads)
    return {"meta": {"format_name": "ionstats_basecaller", "format_version": "1.0"}, **tally.to_json()}


class ReadTally:
    """Qualities, lengths and key signals of reads, added batch by batch.

    Parameters
    ----------
    flows : str
        Nucleotide of every flow; may be empty.
    key : str
        Bases in front of the reads.
    n_bins : int, optional
        Length of histograms; from the number of flows by default.
    """

    def __init__(self, flows, key=LIBRARY_KEY, n_bins=None):
        self.n_bins = n_bins or histogram_length(len(flows))
        self._flows = flows
        self._quality = np.zeros(QUALITY_BINS, np.int64)
        self._lengths = {name: Lengths(self.n_bins) for name in ("full", "insert", *ERROR_RATES)}
        self._expected = _key_flows(flows, key)
        self._key_signals: list = []

    @property
    def wanted(self):
        """What must be known of reads."""
        return Wanted(n_signals=len(self._expected), letters=False)

    def add(self, reads):
        """Count `ReadColumns`, aligned or not."""
        self._lengths["full"].add(reads.n_bases)
        self._lengths["insert"].add(np.maximum(reads.insert[reads.insert != MISSING], 0))
        known = reads.chosen(reads.has_qualities)
        self._quality += np.bincount(np.minimum(known.qualities, QUALITY_BINS - 1), minlength=QUALITY_BINS)
        lengths = error_lengths(known, ERROR_RATES.values())
        for name, of_known in zip(ERROR_RATES, lengths, strict=True):
            of_all = np.zeros(len(reads), np.int64)
            of_all[reads.has_qualities] = of_known
            self._lengths[name].add(of_all)
        if len(self._expected):
            self._key_signals.append(reads.signal[reads.has_signal])

    def to_json(self):
        """Signal-to-noise ratio, qualities and length histograms, as in the original's files."""
        return {
            **_key_statistics(self._flows, self._expected, self._key_signals),
            "qv_histogram": self._quality.tolist(),
            **{name: histogram.to_json() for name, histogram in self._lengths.items()},
        }


def read_statistics_of(paths, key=LIBRARY_KEY, n_bins=None):
    """As `read_statistics`, of several files together."""
    return merge_statistics([read_statistics(path, key, n_bins) for path in paths])


def merge_statistics(parts):
    """Sum of several objects of `read_statistics`; histograms are padded to the longest.

    Parameters
    ----------
    parts : sequence of dict
        At least one.
    """
    return {"meta": parts[0]["meta"], **merge_reads(parts)}


def merge_reads(parts):
    """Sum of several objects of `ReadTally.to_json`."""
    merged = {**merge_key_statistics(parts), "qv_histogram": padded_sum([part["qv_histogram"] for part in parts])}
    names = ("full", "insert", *ERROR_RATES)
    return {**merged, **{name: merge_lengths([part[name] for part in parts]) for name in names}}


def merge_lengths(parts):
    """Sum of length histogram objects, padded to the longest."""
    return _lengths_json(
        sum(part["num_bases"] for part in parts),
        sum(part["num_reads"] for part in parts),
        max(part["max_read_length"] for part in parts),
        padded_sum([part["read_length_histogram"] for part in parts]),
    )


def write_ionstats(basecaller_dir, *, key=LIBRARY_KEY, progress=None):
    """Write `PREFIX.ionstats_basecaller.json` of each dataset, and their sum without filtered barcodes.

    Parameters
    ----------
    basecaller_dir : path
        Holds `datasets_basecaller.json` and its BAM files.
    key : str
        Library key.
    progress : callable, optional
        Called with (files done, files).

    Returns
    -------
    path : Path
        `ionstats_basecaller.json`.

    Raises
    ------
    InputError
        If a file is missing that should hold reads, or broken.
    """
    folder = Path(basecaller_dir)
    content = read_json(folder / "datasets_basecaller.json")
    described = content.get("read_groups", {})
    datasets = [entry for entry in content.get("datasets", []) if _is_plain(entry.get("file_prefix", ""))]
    kept = []
    for number, entry in enumerate(datasets, 1):
        bam = folder / f"{entry['file_prefix']}.basecaller.bam"
        if bam.exists():
            statistics = read_statistics(bam, key)
            write_json(folder / f"{entry['file_prefix']}.ionstats_basecaller.json", statistics)
            if is_kept(entry, described):
                kept.append(statistics)
        elif entry.get("read_count"):
            raise InputError(f"{bam}: is missing, though {entry['read_count']} reads are in it; run basecaller again.")
        if progress:
            progress(number, len(datasets))
    path = folder / "ionstats_basecaller.json"
    write_json(path, merge_statistics(kept) if kept else _no_reads())
    return path


def is_kept(dataset, read_groups):
    """Whether a dataset of `datasets_basecaller.json` counts in sums: not all of its read groups are filtered."""
    groups = [read_groups.get(name, {}) for name in dataset.get("read_groups", [])]
    return not groups or not all(group.get("filtered", False) for group in groups)


def histogram_length(n_flows):
    """Bins of a length histogram: 50 for each started 1 / 0.014 flows, 400 if the flows are unknown.

    >>> histogram_length(400)
    300
    """
    return int(50 * math.ceil(0.014 * n_flows)) if n_flows else 400


def error_length(qualities, rate):
    """Longest prefix, in bases, whose mean error probability is at most `rate`; 0 if there is none.

    Examples
    --------
    The running mean error is 0.01, 0.01, 0.04, 0.0325, 0.028 (basecaller.md 12.11):

    >>> error_length(np.array([20, 20, 10, 20, 20]), 0.02)
    2
    """
    ((found,),) = _prefixes(np.asarray(qualities)[None], np.array([len(qualities)]), (rate,))
    return int(found)


def error_lengths(reads, rates):
    """`error_length` of each read, int64 (n,), for each rate.

    Parameters
    ----------
    reads : ReadColumns
        All with qualities.
    rates : sequence of float
    """
    rates = tuple(rates)
    found = [np.zeros(len(reads), np.int64) for _ in rates]
    # Of like length, so that one long read does not make a wide table for all.
    order = np.argsort(reads.n_bases, kind="stable")
    for part in np.array_split(order, max(1, len(order) // _ROWS)):
        qualities = reads.qualities[reads.forward_places(part)]
        for of_rate, values in zip(found, _prefixes(qualities, reads.n_bases[part], rates), strict=True):
            of_rate[part] = values
    return found


def _prefixes(qualities, lengths, rates):
    """Rows of qualities, whatever stands behind the end of each: longest prefix for each rate."""
    errors = np.cumsum(_ERROR[qualities], axis=1)
    place = np.arange(1, qualities.shape[1] + 1)
    inside = place <= lengths[:, None]
    return [np.max((errors <= (rate + _ROUNDING) * place) * inside * place, axis=1, initial=0) for rate in rates]


def flows_of(header):
    """Nucleotides of all flows, from the first read group of a BAM header that tells them; empty if none does."""
    return next((group["FO"] for group in header.get("RG", ()) if group.get("FO")), "")


def _key_flows(flows, key):
    """Bases that the key takes in each flow before that of its last base."""
    if not flows or set(flows) - set(NUCS):
        return np.zeros(0, np.int16)
    return FlowOrder(flows, len(flows)).key_flowgram(key)[:-1]


def _key_statistics(flows, expected, key_signals):
    signal = np.concatenate([np.zeros((0, len(expected))), *key_signals])
    moments: dict = {}
    for nuc in NUCS:
        of_nuc = np.array([flows[flow] == nuc for flow in range(len(expected))], bool)
        moments[nuc] = {}
        for name, bases in (("zeromer", 0), ("onemer", 1)):
            values = signal[:, of_nuc & (expected == bases)] if len(expected) else signal
            moments[nuc] |= {
                f"key_{name}_1_moment": float(values.mean()) if values.size else 0.0,
                f"key_{name}_2_moment": float((values**2).mean()) if values.size else 0.0,
                f"key_{name}_count": int(values.size),
            }
    return {**moments, "system_snr": _system_snr(moments)}


def _system_snr(moments):
    """Mean over nucleotides with data of the distance of 1-mers from 0-mers over their mean spread."""
    ratios = []
    for of_nuc in moments.values():
        spread = [
            math.sqrt(max(0.0, of_nuc[f"key_{name}_2_moment"] - of_nuc[f"key_{name}_1_moment"] ** 2))
            for name in ("zeromer", "onemer")
        ]
        if of_nuc["key_zeromer_count"] and of_nuc["key_onemer_count"] and sum(spread) > 0:
            distance = of_nuc["key_onemer_1_moment"] - of_nuc["key_zeromer_1_moment"]
            ratios.append(distance / (sum(spread) / 2))
    return float(np.mean(ratios)) if ratios else 0.0


def merge_key_statistics(parts):
    """Sum of signal-to-noise objects, weighted by their counts (basecaller.md 11.1)."""
    moments: dict = {}
    for nuc in NUCS:
        moments[nuc] = {}
        for name in ("zeromer", "onemer"):
            counts = [part[nuc][f"key_{name}_count"] for part in parts]
            for moment in (1, 2):
                field_name = f"key_{name}_{moment}_moment"
                weighted = sum(count * part[nuc][field_name] for count, part in zip(counts, parts, strict=True))
                moments[nuc][field_name] = weighted / sum(counts) if sum(counts) else 0.0
            moments[nuc][f"key_{name}_count"] = sum(counts)
    return {**moments, "system_snr": _system_snr(moments)}


def _lengths_json(num_bases, num_reads, longest, histogram):
    return {
        "num_bases": num_bases,
        "num_reads": num_reads,
        "max_read_length": longest,
        "mean_read_length": num_bases // num_reads if num_reads else 0,
        "read_length_histogram": histogram,
    }


def padded_sum(rows):
    """Sum of lists of counts, as long as the longest."""
    total = np.zeros(max(map(len, rows)), np.int64)
    for row in rows:
        total[: len(row)] += np.asarray(row, np.int64)
    return total.tolist()


def _no_reads():
    empty = Lengths(histogram_length(0)).to_json()
    return {
        "meta": {"format_name": "ionstats_basecaller", "format_version": "1.0"},
        **_key_statistics("", np.zeros(0), []),
        "qv_histogram": [0] * QUALITY_BINS,
        **{name: empty for name in ("full", "insert", *ERROR_RATES)},
    }


def _is_plain(prefix):
    """Names come from a file; only plain ones stay in the folder."""
    return bool(prefix) and Path(prefix).name == prefix
