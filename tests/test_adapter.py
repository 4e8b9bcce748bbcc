"""Bead adapters: the worked table, the twin, and what the original found in golden reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis import _core
from ionanalysis.basecaller.adapter import find_adapters
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.filters import P1_ADAPTER
from ionanalysis.reference import adapter as twin

FLOWS = FlowOrder(DEFAULT_CYCLE, 100)
INSERT = "TCAGGTTCAGGCATTGACCTGA"


@pytest.mark.parametrize(
    ("tail", "matched", "score"),
    [
        (P1_ADAPTER, 30, 1.0),
        (P1_ADAPTER[:12], 14, 0.318519),
        (P1_ADAPTER[:6], 6, 0.2),
        (P1_ADAPTER[:5], 6, 0.116667),
        (P1_ADAPTER.replace("GCCC", "GCC"), 30, 0.981818),
    ],
)
def test_the_worked_table_of_the_spec(perfect_reads, tail, matched, score):
    # basecaller.md 12.8
    hits = find_adapters(perfect_reads([INSERT + tail], FLOWS), FLOWS, (P1_ADAPTER,))
    assert (hits.start_flow[0], hits.start_base[0], hits.matched[0]) == (27, 22, matched)
    assert hits.score[0] == pytest.approx(score, abs=1e-6)


def test_a_read_without_adapter_has_none(perfect_reads):
    hits = find_adapters(perfect_reads([INSERT, "", "TCAG"], FLOWS), FLOWS, (P1_ADAPTER,))
    assert hits.index.tolist() == hits.start_base.tolist() == [-1, -1, -1]


def test_no_adapters_find_nothing(perfect_reads):
    assert not find_adapters(perfect_reads([INSERT], FLOWS), FLOWS, ()).found.any()


def test_the_better_of_two_adapters_wins_by_the_separation(perfect_reads):
    reads = perfect_reads([INSERT + P1_ADAPTER], FLOWS)
    near = P1_ADAPTER[:20] + "T" + P1_ADAPTER[21:]
    hits = find_adapters(reads, FLOWS, (near, P1_ADAPTER))
    assert (hits.index[0], hits.n_competing[0]) == (1, 2)
    lead = float(hits.separation[0])
    assert find_adapters(reads, FLOWS, (near, P1_ADAPTER), separation=lead + 0.01).index[0] == -1


def test_residuals_count_in_mode_1_only(perfect_reads):
    reads = perfect_reads([INSERT + P1_ADAPTER], FLOWS)
    reads.signal[0, 40] += 0.4
    plain = find_adapters(reads, FLOWS, (P1_ADAPTER,), mode=0)
    assert plain.score[0] == 1
    assert find_adapters(reads, FLOWS, (P1_ADAPTER,)).score[0] == pytest.approx(1 - 0.16 / 55, abs=1e-6)


def test_an_adapter_must_be_spelled_in_bases(perfect_reads):
    with pytest.raises(InputError, match="letters A, C, G, T"):
        find_adapters(perfect_reads([INSERT], FLOWS), FLOWS, ("ACN",))


@st.composite
def reads_with_residuals(draw):
    pieces = st.text("ACGT", max_size=60)
    sequences = [
        draw(pieces) + draw(st.sampled_from(["", P1_ADAPTER, P1_ADAPTER[:9], P1_ADAPTER[3:]])) + draw(pieces)
        for _ in range(draw(st.integers(1, 5)))
    ]
    seed = draw(st.integers(0, 2**32 - 1))
    residual = np.random.default_rng(seed).normal(0, draw(st.sampled_from([0, 0.1, 0.6])), (len(sequences), 100))
    return sequences, residual.astype(np.float32)


@given(reads_with_residuals(), st.sampled_from([P1_ADAPTER, "A", "AACG", "GATTACA"]), st.integers(1, 7))
def test_kernels_match_their_twin(perfect_reads, drawn, adapter, min_match):
    sequences, residual = drawn
    # Bases behind the last flow cannot be called.
    called = [sequence[: np.searchsorted(FLOWS.base_flows(sequence), 100)] for sequence in sequences]
    reads = perfect_reads(called, FLOWS)
    letters = np.frombuffer(FLOWS.letters.encode(), np.uint8)
    wanted = np.frombuffer(adapter.encode(), np.uint8)
    args = reads.bases, reads.base_flow, reads.base_start, residual, letters, wanted, 16.0, min_match
    found, score = twin.find_adapter(*args)
    for variant in _core.variants("adapter"):
        ours, value = np.full((len(reads), 3), -1, np.int32), np.full((len(reads), 1), -1e10, np.float32)
        _core.kernel("adapter", variant).find_adapter(*args, ours, value)
        np.testing.assert_array_equal(ours, found)
        np.testing.assert_array_equal(value, score)


def test_predicted_signals_find_the_adapter_too(perfect_reads):
    # Mode 2: no bases are matched, the tag of their number is -1.
    order = FlowOrder(DEFAULT_CYCLE, 200)
    insert = "TCAGGTTCAGGCATTGACCTGAGGCATTGCAGTTCACGGT"
    sequences = [insert + P1_ADAPTER, insert[:31] + P1_ADAPTER, insert, "", "TCAG"]
    reads = perfect_reads(sequences, order)
    reads.phase[:] = 0
    hits = find_adapters(reads, order, (P1_ADAPTER,), mode=2)
    flow_mode = find_adapters(reads, order, (P1_ADAPTER,), mode=1)
    assert hits.start_base[:2].tolist() == flow_mode.start_base[:2].tolist() == [40, 31]
    assert hits.start_flow[:2].tolist() == flow_mode.start_flow[:2].tolist()
    assert hits.matched[:2].tolist() == [-1, -1]
    assert hits.index.tolist() == [0, 0, -1, -1, -1]
    assert (hits.score[:2] > -0.1).all()


@pytest.mark.golden
def test_predicted_signals_agree_with_the_flows_on_golden_reads(golden):
    from ionanalysis.basecaller import call_bases, estimate_phase
    from ionanalysis.wells import open_wells

    wells = open_wells(golden / "calls-s60/1.wells", golden / "calls-s60/analysis.bfmask.bin")
    phase = estimate_phase(wells)
    reads = call_bases(wells, phase, rows=slice(0, 2))
    order = wells.flow_order
    plain, predicted = (find_adapters(reads, order, (P1_ADAPTER,), mode=mode) for mode in (1, 2))
    sure = plain.found & (plain.matched >= 20)
    assert sure.sum() > 15
    assert (predicted.found[sure]).mean() > 0.9
    assert (np.abs(predicted.start_base - plain.start_base)[sure & predicted.found] <= 1).mean() > 0.9
