"""`CalledReads`: choosing and joining reads keeps every base with its read."""

import dataclasses
import sys

import numpy as np
import pysam
import pytest
from numpy.testing import assert_array_equal

from ionanalysis.bam import flowgrams
from ionanalysis.basecaller.called import CalledReads
from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.basecaller.solve import call_block
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder


def reads_of(*sequences, first_row=0):
    n_reads, n_flows = len(sequences), 12
    letters = "".join(sequences).encode()
    return CalledReads(
        row=np.arange(first_row, first_row + n_reads),
        col=np.zeros(n_reads),
        base_start=np.cumsum([0, *map(len, sequences)]),
        bases=np.frombuffer(letters, np.uint8),
        qualities=np.arange(len(letters)) % 40,
        base_flow=np.arange(len(letters)) % n_flows,
        signal=np.ones((n_reads, n_flows)),
        predicted=np.ones((n_reads, n_flows)),
        inphase=np.ones((n_reads, n_flows)),
        phase=np.zeros((n_reads, 3)),
        status=np.zeros(n_reads),
    )


def test_reads_are_chosen_by_slice_mask_and_numbers():
    reads = reads_of("TCAG", "", "TCAGAC", "TC")
    assert [reads.sequence(i) for i in range(4)] == ["TCAG", "", "TCAGAC", "TC"]
    assert [reads[2:].sequence(i) for i in range(2)] == ["TCAGAC", "TC"]
    chosen = reads[np.array([3, 0])]
    assert (chosen.sequence(0), chosen.sequence(1)) == ("TC", "TCAG")
    assert_array_equal(chosen.qualities, [10, 11, 0, 1, 2, 3])
    assert len(reads[reads.n_bases > 2]) == 2


def test_joining_undoes_cutting():
    reads = reads_of("TCAG", "", "TCAGAC", "TC")
    joined = CalledReads.concatenate([reads[:1], reads[1:3], reads[3:], CalledReads.empty(12)])
    for name in ("row", "base_start", "bases", "qualities", "base_flow"):
        assert_array_equal(getattr(joined, name), getattr(reads, name))


def test_reads_go_to_bam_and_back(perfect_reads, tmp_path):
    flows = FlowOrder(DEFAULT_CYCLE, 100)
    sequences = ["TCAGACGTTTGA", "ATCGTTGACC", "TCAG", "GGATT"]
    reads = dataclasses.replace(perfect_reads(sequences, flows, qualities=[20] * 12 + [30] * 19), flow_order=flows)
    path = reads[::-1].to_bam(tmp_path / "x.bam", run_id="RUN1X", offset=(100, 20))
    with pysam.AlignmentFile(path, check_sq=False) as bam:
        keys = {group["ID"]: group.get("KS") for group in bam.header.to_dict()["RG"]}
        found = {read.query_name: read for read in bam}
    assert keys == {"RUN1X": "TCAG", "RUN1X.TF": "ATCG", "RUN1X.nokey": None}
    bases = [found[f"RUN1X:00100:{20 + col:05d}"].query_sequence or "" for col in range(4)]
    assert bases == ["ACGTTTGA", "TTGACC", "", "GGATT"]
    read = found["RUN1X:00100:00020"]
    assert (list(read.query_qualities), read.get_tag("RG"), read.get_tag("ZF")) == (
        [20] * 8,
        "RUN1X",
        flows.base_flows(sequences[0])[4],
    )
    back = flowgrams(path)
    assert_array_equal(back.signals[::-1], reads.signal)
    chosen = back[back.col >= 22]
    assert (chosen.names, chosen.key_sequences) == (back.names[:2], back.key_sequences[:2])
    assert_array_equal(chosen.signals, back.signals[:2])
    assert len(back[1]) == 1 and back[[2, 0]].names == [back.names[2], back.names[0]]


def test_reads_without_flow_order_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="do not know their flow order"):
        reads_of("TCAG").to_bam(tmp_path / "x.bam")


def test_reads_as_a_table():
    reads = reads_of("TCAG", "", "TCAGAC")
    table = reads.to_pandas()
    assert table["bases"].tolist() == ["TCAG", "", "TCAGAC"] and table["length"].tolist() == [4, 0, 6]
    assert table["qualities"][0] == '!"#$' and table["mean_quality"][2] == 6.5
    assert set(table["status"]) == {"called"} and {"row", "col", "cf", "ie", "dr"} <= set(table.columns)


def test_tables_without_pandas_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r'pip install "ionanalysis\[notebook\]"'):
        reads_of("TCAG").to_pandas()


def test_repr_counts_reads():
    assert repr(reads_of("TCAG", "TC")) == "CalledReads(2 reads, 2 called, 6 bases, 12 flows)"


def test_arrays_that_do_not_fit_are_refused():
    reads = reads_of("TCAG")
    with pytest.raises(InputError, match="base_start"):
        CalledReads(**{**vars(reads), "bases": reads.bases[:2]})
    with pytest.raises(InputError, match="different numbers of flows"):
        CalledReads.concatenate([reads, CalledReads.empty(13)])


def test_signals_without_droop_are_predicted_with_dr_0():
    order = FlowOrder(DEFAULT_CYCLE, 320)
    random = np.random.default_rng(8)
    grams = [order.flowgram("TCAG" + "".join(random.choice(list("ACGT"), 300))) for _ in range(20)]
    start = np.cumsum([0, *((gram > 0).sum() for gram in grams)])
    flow = np.concatenate([np.flatnonzero(gram) for gram in grams])
    length = np.concatenate([gram[gram > 0] for gram in grams])
    rates = np.tile([0.006, 0.005, 0.003], (20, 1))
    alive, _ = predict_signal(order, start, flow, length, rates * (1, 1, 0))
    measured, _ = predict_signal(order, start, flow, length, rates)
    noise = random.normal(0, 0.05, measured.shape)
    reads = call_block(measured + noise, np.zeros(20), np.arange(20), order, rates)
    late = (slice(None), slice(240, 300))
    with_droop, without = reads.signal[late], reads.signal_without_droop()[late]

    def gain(signal):
        return (signal * alive[late]).sum() / (alive[late] ** 2).sum()

    assert gain(with_droop) < 0.75
    assert gain(without) == pytest.approx(1.0, abs=0.02)
    assert_array_equal(reads.signal_without_droop(np.array([4, 2])), reads.signal_without_droop()[[4, 2]])


def test_signals_of_a_chip_without_droop_stay_as_they_are():
    reads = reads_of("TCAG", "")
    assert_array_equal(reads.signal_without_droop(), reads.signal)
