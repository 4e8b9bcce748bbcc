"""The solver: exact on clean signals, equal to its twin, the same bytes however the work is cut."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis import _core
from ionanalysis.basecaller.called import CALLED, NO_SIGNAL
from ionanalysis.basecaller.keys import pinned_flows
from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.basecaller.solve import ReadResponse, call_block, solve_runs
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.reference import solve as twin

PHASE = (0.006, 0.004, 0.0005)


def signals_of(order, sequences, phase=PHASE):
    signals = []
    for sequence in sequences:
        gram = order.flowgram(sequence)
        flows = np.flatnonzero(gram)
        signals.append(predict_signal(order, [0, len(flows)], flows, gram[flows], [phase])[0][0])
    return np.array(signals)


def random_inserts(rng, n, length):
    return ["TCAG" + "".join(rng.choice(list("ACGT"), length)) for _ in range(n)]


def call(signals, order, phase=PHASE, options=None):
    n = len(signals)
    return call_block(signals, np.arange(n), np.zeros(n, int), order, np.tile(phase, (n, 1)), options)


def fitting(order, sequence):
    """The bases of a sequence that the flows reach."""
    return sequence[: int((order.base_flows(sequence) < len(order)).sum())]


@pytest.mark.parametrize("n_flows", [60, 160, 400])
def test_clean_signals_are_called_exactly(n_flows):
    order = FlowOrder(DEFAULT_CYCLE, n_flows)
    sequences = random_inserts(np.random.default_rng(n_flows), 40, n_flows)
    reads = call(signals_of(order, sequences), order)
    exact = sum(reads.sequence(i) == fitting(order, sequence) for i, sequence in enumerate(sequences))
    # The very last flows lack the signal of what comes after; a read in forty may miss its end.
    assert exact >= 39


def test_noise_of_five_percent_leaves_reads_of_400_flows_exact():
    order, rng = FlowOrder(DEFAULT_CYCLE, 400), np.random.default_rng(2)
    sequences = random_inserts(rng, 100, 220)
    signals = signals_of(order, sequences)
    reads = call(signals + rng.normal(0, 0.05, signals.shape), order)
    assert sum(reads.sequence(i) == fitting(order, sequence) for i, sequence in enumerate(sequences)) >= 95


def test_example_of_the_appendix_with_alternating_offset():
    order = FlowOrder(DEFAULT_CYCLE, 32)
    signal = signals_of(order, ["TCAGTTACG"], (0.006, 0.004, 0.0))
    shift = np.where(np.arange(32) % 2, 0.05, -0.05)
    reads = call(np.concatenate([signal, signal + shift]), order, (0.006, 0.004, 0.0))
    assert [reads.sequence(0), reads.sequence(1)] == ["TCAGTTACG", "TCAGTTACG"]
    assert_allclose(reads.predicted[0], signal[0], atol=1e-3)


@pytest.mark.parametrize("length", [9, 23])
def test_long_homopolymers_are_called(length):
    order = FlowOrder(DEFAULT_CYCLE, 80)
    sequence = "TCAGC" + "A" * length + "CGTACTTGACT"
    reads = call(signals_of(order, [sequence]), order)
    assert reads.sequence(0) == fitting(order, sequence)


def test_double_taps_and_a_thousand_flows():
    rng = np.random.default_rng(4)
    for order in (FlowOrder("TTAACCGGTACG", 240), FlowOrder(DEFAULT_CYCLE, 1200)):
        sequence = random_inserts(rng, 1, 900)[0]
        reads = call(signals_of(order, [sequence], (0.002, 0.002, 0.0)), order, (0.002, 0.002, 0.0))
        assert reads.sequence(0)[:-3] == fitting(order, sequence)[:-3]


def test_signals_that_are_not_finite_give_a_status_and_no_bases():
    order = FlowOrder(DEFAULT_CYCLE, 60)
    signals = signals_of(order, ["TCAGACGT"] * 3)
    signals[1, 7] = np.nan
    reads = call(signals, order)
    assert_array_equal(reads.status, [CALLED, NO_SIGNAL, CALLED])
    assert_array_equal(reads.n_bases, [8, 0, 8])


def test_wrong_gain_of_the_key_is_found():
    order, rng = FlowOrder(DEFAULT_CYCLE, 300), np.random.default_rng(5)
    sequences = random_inserts(rng, 20, 150)
    signals = signals_of(order, sequences)
    signals = signals * rng.uniform(0.8, 1.25, (20, 1)) + rng.normal(0, 0.04, signals.shape)
    reads = call(signals, order)
    assert sum(reads.sequence(i) == fitting(order, sequence) for i, sequence in enumerate(sequences)) >= 19


def test_outliers_do_not_end_a_read():
    order, rng = FlowOrder(DEFAULT_CYCLE, 240), np.random.default_rng(8)
    sequences = random_inserts(rng, 30, 180)
    signals = signals_of(order, sequences) + rng.normal(0, 0.06, (30, 240))
    # Two flows spoilt: each path is behind for a while, and none may give the rest of the read up.
    signals[:, 120:122] += 0.6
    reads = call(signals, order)
    last = [reads.base_flow[reads.bases_of(i)][-1] for i in range(30)]
    assert min(last) > 220


def test_reads_that_show_their_key_are_called_with_it():
    order, rng = FlowOrder(DEFAULT_CYCLE, 120), np.random.default_rng(3)
    signals = signals_of(order, ["TCAG" + "T" * 6 + "ACGATCAGGTCATTGACC"] * 40)
    # So much noise on the key that likelihood alone would put bases into it; rounded, it still shows.
    signals[:, :7] = order.key_flowgram("TCAG")[:7] + rng.uniform(-0.49, 0.49, (40, 7))
    grams = [order.key_flowgram(key) for key in ("TCAG", "ATCG")]
    pinned = pinned_flows(signals, grams, np.zeros(40, int))
    free, held = (
        call_block(signals, np.arange(40), np.zeros(40), order, np.tile(PHASE, (40, 1)), pinned=known)
        for known in (None, pinned)
    )
    assert any(not free.sequence(i).startswith("TCAG") for i in range(40))
    assert all(held.sequence(i).startswith("TCAG") for i in range(40))


def test_flows_of_reads_without_their_key_are_free():
    order = FlowOrder(DEFAULT_CYCLE, 60)
    signals = signals_of(order, ["TCAGACGT", "ATCGTT", "GGACT"])
    grams = [order.key_flowgram(key) for key in ("TCAG", "ATCG")]
    pinned = pinned_flows(signals, grams, np.array([0, 1, 0]))
    assert_array_equal(pinned, [[1, 0, 1, 0, 0, 1, 0, -2], [0, 1, 0, 0, 1, 0, 1, -2], [-1] * 8])


def test_phase_of_wrong_shape_is_refused():
    order = FlowOrder(DEFAULT_CYCLE, 20)
    with pytest.raises(InputError, match="phase_values"):
        call_block(np.zeros((2, 20)), [0, 1], [0, 0], order, np.zeros((2, 2)))


@st.composite
def noisy_reads(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    order = FlowOrder(draw(st.sampled_from(["TACG", DEFAULT_CYCLE, "TTAACCGG"])), draw(st.integers(20, 90)))
    sequences = random_inserts(rng, draw(st.integers(1, 3)), 80)
    phase = (draw(st.floats(0, 0.02)), draw(st.floats(0, 0.02)), 0.001)
    signals = signals_of(order, sequences, phase)
    signals = signals * rng.uniform(0.9, 1.1) + rng.normal(0, draw(st.floats(0.01, 0.2)), signals.shape)
    n_models, n_tables = draw(st.integers(1, 2)), draw(st.integers(4, 6))
    response = ReadResponse(
        np.cumsum(rng.uniform(0.8, 1.1, (n_models, n_tables, 25)), axis=2).astype(np.float32),
        rng.normal(0, 0.02, (n_models, len(order))).astype(np.float32),
        rng.integers(0, n_models, len(signals)).astype(np.int32),
        rng.integers(0, n_tables, len(order)).astype(np.int16),
    )
    response.sizes[..., 0] = 0
    return order, phase, signals, draw(st.booleans()), response


@given(noisy_reads())
def test_kernel_equals_its_twin_and_builds_each_other(case):
    order, phase, signals, is_pinned, response = case
    settings = SolverOptions().as_array()
    gram = order.key_flowgram("TCAG")
    pinned = np.tile([*gram[:-1], -1 - gram[-1]] if is_pinned else [], (len(signals), 1)).astype(np.int8)
    phase = np.tile(phase, (len(signals), 1))
    shift = response.offset[response.model]
    signal, predicted, inphase, n_runs, run_flow, run_length, losses = twin.solve_reads(
        order.bases,
        signals.astype(np.float32) - shift,
        phase,
        pinned,
        response.sizes,
        response.model,
        response.table,
        settings,
    )
    results = set()
    for variant in _core.variants("solve"):
        solved = solve_runs(
            signals,
            order,
            phase,
            SolverOptions(),
            pinned=pinned,
            response=response,
            kernels=_core.kernel("solve", variant),
        )
        results.add(b"".join(array.tobytes() for array in solved.values()))
    assert len(results) == 1
    assert_array_equal(solved["n_runs"], n_runs)
    assert_array_equal(solved["run_flow"], run_flow)
    assert_array_equal(solved["run_length"], run_length)
    assert_allclose(solved["signal"], signal + shift, atol=1e-4)
    assert_allclose(solved["predicted"], predicted + shift, atol=1e-4)
    assert_allclose(solved["inphase"], inphase, atol=1e-4)
    assert_allclose(solved["losses"], losses, atol=1e-2, rtol=1e-3)


def test_how_and_where_the_work_is_cut_changes_nothing():
    order, rng = FlowOrder(DEFAULT_CYCLE, 120), np.random.default_rng(7)
    signals = signals_of(order, random_inserts(rng, 24, 80)) + rng.normal(0, 0.1, (24, 120))
    phase = np.tile(PHASE, (24, 1))
    phase[12:] *= 1.1
    whole = solve_runs(signals, order, phase, SolverOptions())
    for cut in (1, 5, 13):
        with ThreadPoolExecutor(2) as pool:
            parts = list(
                pool.map(
                    lambda s: solve_runs(signals[s], order, phase[s], SolverOptions()), [slice(cut), slice(cut, None)]
                )
            )
        for name, array in whole.items():
            assert_array_equal(np.concatenate([part[name] for part in parts]), array)
