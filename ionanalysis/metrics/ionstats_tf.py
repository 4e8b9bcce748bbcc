"""Test fragments in aligned reads: what `ionstats tf` tells (basecaller.md 11.4)."""

import numpy as np

from ionanalysis.bam.source import header_of, open_alignments, reads_of
from ionanalysis.flows import NUCS, TF_KEY, FlowOrder
from ionanalysis.io.fasta import read_fasta
from ionanalysis.metrics.aligned_reads import aligned_reads
from ionanalysis.metrics.alignment import MATCH
from ionanalysis.metrics.ionstats_basecaller import (
    Lengths,
    ReadTally,
    flows_of,
    merge_key_statistics,
    merge_lengths,
    padded_sum,
)
from ionanalysis.metrics.read_columns import ReadColumns
from ionanalysis.metrics.tf_stats import homopolymer_accuracy

BASES_PER_ERROR = {"AQ7": 5, "AQ10": 10, "AQ17": 50, "AQ20": 100}
"""Bases that a prefix must have for each of its errors."""

_LAST_START = 5
"""Reads that begin further behind the start of a fragment do not count."""


def tf_alignment_statistics(path, fasta, *, key=TF_KEY, n_bins=None, least_reads=500):
    """Statistics of each test fragment with enough reads.

    Parameters
    ----------
    path : path
        BAM file of test fragments aligned to `fasta`, with tag MD.
    fasta : path
        Sequences of the fragments, key included or not.
    key : str
        Key of test fragments.
    n_bins : int, optional
        Length of histograms; from the number of flows by default.
    least_reads : int
        Fragments with fewer reads are left out.

    Returns
    -------
    dict
        As `ionstats_tf.json`.

    Raises
    ------
    InputError
        If a file cannot be read, or an alignment contradicts itself.
    """
    sequences = read_fasta(fasta)
    of_fragments: dict[str, list] = {}
    with open_alignments(path) as bam:
        flows = flows_of(header_of(bam))
        for read in reads_of(bam):
            if _counts(read) and read.reference_name in sequences:
                of_fragments.setdefault(read.reference_name, []).append(read)
        results = {
            name: _of_fragment(of_fragments[name], sequence, flows, key, n_bins)
            for name, sequence in sequences.items()
            if len(of_fragments.get(name, ())) >= max(least_reads, 1)
        }
    return {"meta": {"format_name": "ionstats_tf", "format_version": "1.0"}, "results_by_tf": results}


def merge_tf_statistics(parts):
    """Sum of several objects of `tf_alignment_statistics`."""
    results = {}
    for name in dict.fromkeys(name for part in parts for name in part["results_by_tf"]):
        found = [part["results_by_tf"][name] for part in parts if name in part["results_by_tf"]]
        results[name] = {
            **{one: merge_lengths([part[one] for part in found]) for one in ("full", "aligned", *BASES_PER_ERROR)},
            **{
                one: padded_sum([part[one] for part in found])
                for one in ("error_by_position", "hp_accuracy_numerator", "hp_accuracy_denominator")
            },
            **merge_key_statistics(found),
            "sequence": found[0]["sequence"],
        }
    return {"meta": parts[0]["meta"], "results_by_tf": results}


def _counts(read):
    """Forward strand, at the start of a fragment, with the tag that tells errors."""
    if read.is_unmapped or read.is_reverse or read.is_secondary or read.is_supplementary:
        return False
    return read.reference_start <= _LAST_START and read.has_tag("MD") and bool(read.query_alignment_sequence)


def _of_fragment(reads, sequence, flows, key, n_bins):
    tally = ReadTally(flows, key, n_bins)
    columns = ReadColumns.of_reads(reads, tally.wanted)
    tally.add(columns)
    found = aligned_reads(columns)
    wrong = np.flatnonzero(found.columns.operation != MATCH)
    n_positions = max(int(found.end.max()), tally.n_bins)
    errors = np.zeros((len(reads), n_positions), np.int64)
    np.add.at(errors, (found.columns.read[wrong], found.position[wrong]), 1)
    told = tally.to_json()
    result = {name: told[name] for name in (*NUCS, "system_snr", "full")}
    result["aligned"] = _histogram(found.end - found.first, tally.n_bins)
    for name, bases_per_error in BASES_PER_ERROR.items():
        result[name] = _histogram(_accurate(errors, found.end, bases_per_error), tally.n_bins)
    result["error_by_position"] = errors.sum(axis=0)[: tally.n_bins].tolist()
    fragment = sequence.removeprefix(key)
    right, all_runs = np.zeros(8, np.int64), np.zeros(8, np.int64)
    if flows and not set(flows) - set(NUCS):
        order = FlowOrder.from_letters(flows)
        right, all_runs = homopolymer_accuracy(fragment, [read.query_sequence for read in reads], order, key)
    return result | {
        "hp_accuracy_numerator": right.tolist(),
        "hp_accuracy_denominator": all_runs.tolist(),
        "sequence": fragment,
    }


def _accurate(errors, ends, bases_per_error):
    """Largest n up to the end of each read with at most one error for so many of its first n bases."""
    n = np.arange(1, errors.shape[1] + 1)
    passes = (bases_per_error * errors.cumsum(axis=1) <= n) & (n <= ends[:, None])
    return np.where(passes.any(axis=1), errors.shape[1] - passes[:, ::-1].argmax(axis=1), 0)


def _histogram(values, n_bins):
    lengths = Lengths(n_bins)
    lengths.add(values)
    return lengths.to_json()
