"""Accuracy against truth: hand-made cases, laws, and the figures that golden data tell."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ionanalysis.errors import InputError
from ionanalysis.metrics.accuracy import Call, calls_from_bam, errors_in_first_bases, score_calls
from ionanalysis.metrics.alignment import accurate_lengths, align, homopolymer_calls

BASES = st.text("ACGT", min_size=1, max_size=60)


def score(bases, target, qualities=None):
    qualities = None if qualities is None else np.array(qualities, np.uint8)
    return score_calls([Call(0, 0, bases, qualities)], {(0, 0): target})


@pytest.mark.parametrize(
    ("bases", "target", "counts"),
    [
        ("ACGTACGT", "ACGTACGTAA", [8, 0, 0, 0]),
        ("ACGAACGT", "ACGTACGT", [7, 1, 0, 0]),
        ("ACGGTACGT", "ACGTACGT", [8, 0, 1, 0]),
        ("ACTACGT", "ACGTACGT", [7, 0, 0, 1]),
        ("ACG", "", [0, 0, 3, 0]),
    ],
)
def test_errors_are_counted_by_kind(bases, target, counts):
    assert_array_equal(score(bases, target).by_position.sum(axis=0), counts)


def test_rates_are_per_100_aligned_bases():
    found = score("AACGTACGT" + "CCATG" * 2, "ACGTACGT" + "CCATG" * 2)
    assert found.insertion_rate == pytest.approx(100 / 19)
    assert found.error_rate == pytest.approx(100 / 19)


def test_a_deletion_counts_at_the_next_base():
    assert_array_equal(score("ACTACGT", "ACGTACGT").by_position[:, 3], [0, 0, 1, 0, 0, 0, 0])


def test_predicted_quality_meets_observed_errors():
    found = score("ACGAACTTAA", "ACGTACTTGAA", [10, 10, 10, 7, 10, 10, 10, 30, 20, 20])
    assert found.by_quality[7].tolist() == [1, 1]
    assert found.by_quality[10].tolist() == [6, 0]
    assert found.by_quality[20].tolist() == [2, 1]
    assert found.by_quality[30].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("bases", "target", "runs"),
    [
        ("CAAAG", "CAAAGT", [(3, 3)]),
        ("CAAAAGT", "CAAAGT", [(3, 4), (1, 1)]),
        ("CAAGTC", "CAAAGTC", [(3, 2), (1, 1), (1, 1)]),
        ("CGTC", "CAGTC", [(1, 0), (1, 1), (1, 1)]),
        # One base passes from one run to its neighbour: both runs are miscalled, though no base is missing.
        ("CAACCGT", "CAAACGT", [(3, 2), (1, 2), (1, 1)]),
    ],
)
def test_homopolymers_by_true_and_called_length(bases, target, runs):
    true_length, called_length = homopolymer_calls(align([bases], [target]))
    assert list(zip(true_length, called_length, strict=True)) == runs


def test_the_outer_runs_of_each_read_are_left_out():
    true_length, _ = homopolymer_calls(align(["AACCG", "GTTA"], ["AACCGG", "GTTAC"]))
    assert_array_equal(true_length, [2, 2])


@pytest.mark.parametrize(
    ("bases", "target", "rate", "length"),
    [
        ("ACGT" * 5, "ACGT" * 6, 0.0, 20),
        ("ACGTACGTAA", "ACGTACGTCA", 0.0, 8),
        ("ACGTACGTAA", "ACGTACGTCA", 0.1, 10),
        ("TCGTACGTACGTACGTACGA" + "ACGT" * 20, "ACGTACGTACGTACGTACGT" + "ACGT" * 20, 0.02, 100),
        ("TCGTACGTAC", "ACGTACGTAC", 0.01, 0),
    ],
)
def test_accurate_length_is_the_longest_prefix_within_the_rate(bases, target, rate, length):
    assert_array_equal(accurate_lengths(align([bases], [target]), rate), [length])


def test_lost_reads_and_reads_of_wrong_wells():
    calls = [Call(0, 0, "ACGT"), Call(2, 2, "ACGT"), Call(2, 3, "ACGT"), Call(0, 1, "")]
    found = score_calls(calls, {(0, 0): "ACGT", (0, 1): "TTTT"}, {(2, 2): "polyclonal"})
    assert (found.n_true_reads, found.n_reads, found.n_lost, found.n_perfect) == (2, 1, 1, 1)
    assert found.wrong_wells == {"polyclonal": 1, "unknown": 1}


def test_a_well_with_two_reads_is_an_error():
    with pytest.raises(InputError, match="well 0:0 has two reads"):
        score_calls([Call(0, 0, "ACGT"), Call(0, 0, "AC")], {(0, 0): "ACGT"})


def test_no_reads_give_a_result_that_says_so():
    found = score_calls([], {(0, 0): "ACGT"})
    assert "0 of 1 reads" in repr(found)
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["errors_per_100_bases"] is None and written["n_lost"] == 1


@given(st.lists(st.tuples(BASES, BASES), min_size=1, max_size=8))
def test_columns_spell_both_sequences(pairs):
    calls, targets = zip(*pairs, strict=True)
    columns = align(calls, targets)
    assert columns.bases.tobytes().decode() == "".join(calls)
    for read, target in enumerate(targets):
        covered = columns.target[columns.target_start[read] : columns.target_start[read + 1]].tobytes().decode()
        assert target.startswith(covered)
    matches = columns.operation == 0
    equal = columns.bases[columns.base_index[matches]] == columns.target[columns.target_index[matches]]
    assert equal.all()


@given(st.lists(st.tuples(BASES, BASES), min_size=1, max_size=8))
def test_batching_reads_changes_nothing(pairs):
    calls = [Call(0, i, bases, np.full(len(bases), 20, np.uint8)) for i, (bases, _) in enumerate(pairs)]
    targets = {(0, i): target for i, (_, target) in enumerate(pairs)}
    whole = score_calls(calls, targets)
    parts = [score_calls([call], {(0, call.col): targets[0, call.col]}) for call in calls]
    assert whole.n_perfect == sum(part.n_perfect for part in parts)
    assert_array_equal(whole.by_quality, sum(part.by_quality for part in parts))
    assert_array_equal(whole.homopolymers, sum(part.homopolymers for part in parts))
    assert_array_equal(whole.by_position.sum(axis=0), sum(part.by_position.sum(axis=0) for part in parts))


def test_missing_bases_count_as_errors_in_first_bases():
    targets = {(0, 0): "ACGTACGT", (0, 1): "ACGTACGT"}
    assert errors_in_first_bases([Call(0, 0, "ACGT")], targets, 8) == pytest.approx(12 / 16)


def test_reads_must_name_their_well(tmp_path):
    import pysam

    path = tmp_path / "x.bam"
    with pysam.AlignmentFile(str(path), "wb", header={"HD": {"VN": "1.4"}}) as out:
        read = pysam.AlignedSegment()
        read.query_name, read.query_sequence, read.flag = "nobody", "ACGT", 4
        out.write(read)
    with pytest.raises(InputError, match="does not name its well"):
        list(calls_from_bam(path))


def test_a_file_that_is_no_bam_is_refused(tmp_path):
    path = tmp_path / "x.bam"
    path.write_text("no BAM at all, but some text that is longer than a header would be")
    with pytest.raises(InputError, match=r"x\.bam: cannot be read as BAM"):
        list(calls_from_bam(path))


@pytest.mark.golden
def test_golden_reads_of_the_original(golden, calls_s60_truth):
    found = score_calls(calls_from_bam(golden / "calls-s60/peer/rawlib.basecaller.bam"), *calls_s60_truth)
    assert (found.n_reads, found.n_lost, found.wrong_wells) == (2902, 0, {})
    assert found.error_rate == pytest.approx(0.414, abs=0.0006)
    assert found.insertion_rate == pytest.approx(0.177, abs=0.0006)
    assert found.deletion_rate == pytest.approx(0.235, abs=0.0006)
    assert found.perfect_share == pytest.approx(0.542, abs=0.0006)
    assert found.n_ends_met / found.n_reads == pytest.approx(0.672, abs=0.0006)


@pytest.mark.golden
def test_golden_real_reads(golden, real_314_targets):
    from Bio.SeqIO.SffIO import SffIterator

    with (golden / "real-314/rawlib.sff").open("rb") as file:
        calls = [
            Call(*map(int, read.id.split(":")[1:]), str(read.seq).upper().removeprefix("TCAG"))
            for read in SffIterator(file)
        ]
    rates = [100 * errors_in_first_bases(calls, real_314_targets, n) for n in (25, 50, 100)]
    assert rates == pytest.approx([0.39, 0.58, 2.44], abs=0.006)
