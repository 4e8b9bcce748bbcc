"""Test fragments against their known sequences: `TFStats.json` (basecaller.md 11.4, 11.5)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis.bam import flowgrams
from ionanalysis.flows import TF_KEY
from ionanalysis.io.fasta import read_fasta
from ionanalysis.io.jsonfile import write_json
from ionanalysis.metrics.accuracy import calls_from_bam
from ionanalysis.metrics.alignment import accurate_lengths, align

_ERROR_RATES = {"Q10": 0.1, "Q17": 0.02}
_N_HOMOPOLYMERS = 8
_MOST_DIFFERENT = 0.3
"""Errors per base of a fragment above which a read is none of it."""


@dataclass(frozen=True, eq=False)
class _Fragment:
    """Reads of one test fragment: bases that cover it, flow signals, and the fragment behind its key."""

    sequence: str
    bases: list[str]
    whole: list[str]
    signals: np.ndarray


def tf_statistics(bam, sequences, *, key=TF_KEY, least_reads=500):
    """Statistics of the test fragments of a run, one entry per fragment with enough reads.

    Parameters
    ----------
    bam : path
        ``rawtf.basecaller.bam``, with tag ZM.
    sequences : dict of str
        Sequence of each fragment's name, key included or not.
    key : str
        Key of test fragments.
    least_reads : int
        Fragments with fewer reads are left out.

    Returns
    -------
    dict
        As in ``TFStats.json``. ``Q10`` and ``Q17`` are histograms of accurate length: bases up to which
        there is at most one error in 10, in 50. ``Per HP accuracy`` compares runs flow by flow.

    Raises
    ------
    InputError
        If the BAM cannot be read.

    Notes
    -----
    A read belongs to the fragment that it differs least from, if in no more than 3 of 10 bases; the
    alignment starts at the first base behind the key. What follows a fragment in a read is left out.
    """
    flows = flowgrams(bam)
    reads = list(calls_from_bam(bam))
    targets = {name: sequence.removeprefix(key) for name, sequence in sequences.items()}
    owners = [_closest(read.bases, targets) for read in reads]
    results = {}
    for name, target in targets.items():
        own = [number for number, owner in enumerate(owners) if owner == name]
        if len(own) >= max(least_reads, 1):
            whole = [reads[number].bases for number in own]
            fragment = _Fragment(target, [_covering(bases, target) for bases in whole], whole, flows.signals[own])
            results[name] = _entry(name, fragment, flows.flow_order, key)
    return results


def write_tf_stats(basecaller_dir, tf_fasta, *, key=TF_KEY, least_reads=500):
    """Write ``TFStats.json``; an empty object if there are no test fragments.

    Parameters
    ----------
    basecaller_dir : path
        Holds ``rawtf.basecaller.bam``, if there are any.
    tf_fasta : path
        Sequences of the test fragments.

    Returns
    -------
    path : Path
    """
    folder = Path(basecaller_dir)
    bam, path = folder / "rawtf.basecaller.bam", folder / "TFStats.json"
    sequences = read_fasta(tf_fasta)
    write_json(path, tf_statistics(bam, sequences, key=key, least_reads=least_reads) if bam.exists() else {})
    return path


def _closest(bases, targets):
    """Name of the fragment that a read shows, or None."""
    import edlib

    best, owner = None, None
    for name, target in targets.items():
        short, long = sorted((bases, target), key=len)
        most = int(_MOST_DIFFERENT * len(short))
        if not short:
            continue
        distance = edlib.align(short, long, mode="SHW", task="distance", k=most)["editDistance"]
        if distance >= 0 and (best is None or distance < best):
            best, owner = distance, name
    return owner


def _covering(bases, target):
    """The part of a read that covers the fragment: reads may go on behind its end."""
    import edlib

    if len(bases) <= len(target):
        return bases
    return bases[: edlib.align(target, bases, mode="SHW", task="locations")["locations"][0][1] + 1]


def _entry(name, fragment, flow_order, key):
    columns = align(fragment.bases, [fragment.sequence] * len(fragment.bases))
    right, all_runs = homopolymer_accuracy(fragment.sequence, fragment.whole, flow_order, key)
    entry = {
        "TF Name": name,
        "TF Seq": fragment.sequence,
        "Num": len(fragment.bases),
        "System SNR": _system_snr(fragment.signals, flow_order, key),
        "Per HP accuracy NUM": right,
        "Per HP accuracy DEN": all_runs,
    }
    for quality, rate in _ERROR_RATES.items():
        lengths = accurate_lengths(columns, rate)
        n_long = {size: int((lengths >= size).sum()) for size in (50, 100)}
        entry |= {
            quality: np.bincount(lengths, minlength=len(fragment.sequence) + 1),
            f"{quality} Mean": float(lengths.mean()),
            f"50{quality}": n_long[50],
        }
        if quality == "Q17":
            entry |= {
                "Percent 50Q17": 100.0 * n_long[50] / len(lengths),
                "100Q17": n_long[100],
                "Percent 100Q17": 100.0 * n_long[100] / len(lengths),
            }
    return entry


def homopolymer_accuracy(sequence, reads, flow_order, key):
    """How many runs of 0 to 7 bases of a fragment the reads have right, and how many there are; int64 (8,) each.

    Compared are the flows of key and fragment with those of key and read.
    """
    expected = flow_order.flowgram(key + sequence)
    # The last flow of the fragment may take bases of what follows.
    n_flows = int(np.flatnonzero(expected)[-1]) if expected.any() else 0
    right, total = np.zeros(_N_HOMOPOLYMERS, np.int64), np.zeros(_N_HOMOPOLYMERS, np.int64)
    for bases in reads:
        called = flow_order.flowgram(key + bases)
        end = min(n_flows, int(np.flatnonzero(called)[-1]) if called.any() else 0)
        runs, same = expected[:end], called[:end] == expected[:end]
        known = runs < _N_HOMOPOLYMERS
        total += np.bincount(runs[known], minlength=_N_HOMOPOLYMERS)
        right += np.bincount(runs[known & same], minlength=_N_HOMOPOLYMERS)
    return right, total


def _system_snr(signals, flow_order, key):
    """Distance of key 1-mers from 0-mers by their mean spread, averaged over nucleotides (basecaller.md 11.1)."""
    expected = flow_order.key_flowgram(key)[:-1]
    ratios = []
    for nuc in np.unique(flow_order.bases[: len(expected)]):
        of_nuc = flow_order.bases[: len(expected)] == nuc
        zeros, ones = (signals[:, : len(expected)][:, of_nuc & (expected == bases)] for bases in (0, 1))
        if zeros.size and ones.size:
            spread = (np.nanstd(zeros) + np.nanstd(ones)) / 2
            if spread > 0:
                ratios.append(float((np.nanmean(ones) - np.nanmean(zeros)) / spread))
    return float(np.mean(ratios)) if ratios else 0.0
