"""Statistics of test fragments: the original's reads, and what must hold."""

import json

import numpy as np
import pytest

from ionanalysis.bam import BamHeader, BamWriter, ReadBatch, ReadGroup, TagColumn, flow_units
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.fasta import read_fasta
from ionanalysis.metrics.tf_stats import tf_statistics, write_tf_stats

FLOWS = FlowOrder(DEFAULT_CYCLE, 300)
TARGET = "TGAGCGATTCAACGGTAACTGACCATTGGCATGCTACCGTTAGCATCCGATTGACGTCAATGCGTACTTGAGCCATG"
BEHIND = "ATCACCGACTGCCC"


def write_reads(path, sequences):
    sizes = np.array([len(sequence) for sequence in sequences])
    ends = np.cumsum(sizes)
    signals = np.array([FLOWS.flowgram("ATCG" + sequence) for sequence in sequences])
    reads = ReadBatch(
        names=[f"RUN1X:00000:{i:05d}" for i in range(len(sequences))],
        bases=np.frombuffer("".join(sequences).encode(), np.uint8),
        qualities=np.full(sizes.sum(), 30, np.uint8),
        begin=ends - sizes,
        end=ends,
        tags=(TagColumn("ZM", "B:s", flow_units(signals)), TagColumn("RG", "Z", ["RUN1X"] * len(sequences))),
    )
    with BamWriter(path, BamHeader((ReadGroup("RUN1X", FLOWS.letters, "ATCG"),))) as bam:
        bam.write(reads)
    return path


def test_perfect_reads_are_perfect(tmp_path):
    path = write_reads(tmp_path / "rawtf.basecaller.bam", [TARGET + BEHIND, TARGET[:60], TARGET])
    entry = tf_statistics(path, {"TF_1": "ATCG" + TARGET}, least_reads=1)["TF_1"]
    assert (entry["Num"], entry["50Q17"], entry["100Q17"], entry["TF Seq"]) == (3, 3, 0, TARGET)
    assert entry["Q17 Mean"] == entry["Q10 Mean"] == (60 + 2 * len(TARGET)) / 3
    assert np.flatnonzero(entry["Q17"]).tolist() == [60, len(TARGET)]
    np.testing.assert_array_equal(entry["Per HP accuracy NUM"], entry["Per HP accuracy DEN"])


def test_an_error_ends_the_accurate_length_and_counts_in_its_run(tmp_path):
    # A base short in the run TT at 20 to 21 of 76: 1 error in 50 bases is allowed from base 50 on.
    wrong = TARGET.replace("CATTGG", "CATGG", 1)
    path = write_reads(tmp_path / "rawtf.basecaller.bam", [wrong, wrong[:40]])
    entry = tf_statistics(path, {"TF_1": TARGET}, least_reads=1)["TF_1"]
    at = wrong.index("CATGG") + 3
    assert np.flatnonzero(entry["Q17"]).tolist() == sorted({at, len(wrong)})
    missed = entry["Per HP accuracy DEN"] - entry["Per HP accuracy NUM"]
    assert missed.tolist() == [0, 0, 2, 0, 0, 0, 0, 0]


def test_reads_of_something_else_and_rare_fragments_are_left_out(tmp_path):
    path = write_reads(tmp_path / "rawtf.basecaller.bam", ["ACGTACGGTCAA" * 6, TARGET])
    targets = {"TF_1": TARGET, "TF_2": TARGET[::-1]}
    assert list(tf_statistics(path, targets, least_reads=1)) == ["TF_1"]
    assert tf_statistics(path, targets, least_reads=2) == {}


def test_no_fragments_give_an_empty_file(tmp_path):
    (tmp_path / "tf.fasta").write_text(f">TF_1\n{TARGET}\n")
    assert json.loads(write_tf_stats(tmp_path, tmp_path / "tf.fasta").read_text()) == {}


@pytest.mark.golden
def test_all_golden_fragments_are_found(golden):
    sequences = read_fasta(golden / "calls-s60/DefaultTFs.fasta")
    found = tf_statistics(golden / "calls-s60/peer/rawtf.basecaller.bam", sequences, least_reads=1)
    assert sum(entry["Num"] for entry in found.values()) == 82
    for entry in found.values():
        assert entry["Q10 Mean"] > 65
        assert entry["System SNR"] > 5
        share = entry["Per HP accuracy NUM"][:3] / entry["Per HP accuracy DEN"][:3]
        assert (share > 0.95).all()
