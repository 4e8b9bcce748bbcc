"""The phase model: worked numbers, exact derivatives, kernels equal their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis import _core
from ionanalysis.basecaller.phase import PhaseEstimate, predict_signal
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.reference import phase as twin

O32 = FlowOrder(DEFAULT_CYCLE, 32)


def runs_of(flow_order, *sequences):
    """run_start, run_flow, run_length of sequences."""
    grams = [flow_order.flowgram(sequence) for sequence in sequences]
    flows = [np.flatnonzero(gram) for gram in grams]
    start = np.cumsum([0, *map(len, flows)])
    return (
        start.astype(np.int64),
        np.concatenate(flows).astype(np.int32),
        np.concatenate([gram[at] for gram, at in zip(grams, flows, strict=True)]).astype(np.float32),
    )


def test_transition_probabilities_of_the_appendix():
    extend, stay = np.empty((2, 1, 4, 8))
    _core.phase.transition_tables(O32.limited(8).bases, np.array([[0.006, 0.004, 0.0]]), extend, stay)
    assert_allclose(extend[0, 0], [0, 0.996, 0.005976, 0.000036, 0, 0.996, 0.005976, 0.000036], atol=5e-7)
    assert_allclose(extend[0, 3], [0.996, 0.005976, 0.000036, 0, 0.996, 0.005976, 0.000036, 0], atol=5e-7)
    assert_allclose(stay[0, 0, :6], [1, 0.004, 0.994024, 0.999964, 1, 0.004], atol=5e-7)


S1 = """0.996000 0.000024 0.997969 0.005999 0.015793 0.988085 0.013829 0.984134
1.948950 0.000118 0.007749 0.003983 0.986319 0.011684 0.976413 0.004003
0.031194 0.007789 0.968815 0.015435 0.000311 0.015381 0.019173 0.000215
0.000002 0.000076 0.000000 0.000002 0.000277 0.000000 0.000276 0.000001"""
S2 = """0.995004 0.000024 0.995968 0.005975 0.015726 0.985106 0.013764 0.980180
1.939224 0.000117 0.007703 0.003963 0.980435 0.011626 0.969589 0.003975
0.031007 0.007727 0.961080 0.015327 0.000309 0.015258 0.019001 0.000213
0.000002 0.000075 0.000000 0.000002 0.000274 0.000000 0.000273 0.000001"""
S3 = """0.992000 0.000095 0.995876 0.012000 0.007846 1.011966 0.039261 0.957700
0.012193 0.000787 0.000319 0.031109 3.852710 0.024293 1.900193 0.120321
0.954456 0.085388 1.872213 0.013944 0.971852 0.923295 0.101052 0.914025
0.058700 0.003215 0.002027 0.007225 0.067084 0.065019 0.000050 0.000524"""


@pytest.mark.parametrize(
    ("sequence", "phase", "expected"),
    [
        ("TCAGTTACG", (0.006, 0.004, 0.0), S1),
        ("TCAGTTACG", (0.006, 0.004, 0.001), S2),
        ("TCAGAAAACCTGGTCA", (0.012, 0.008, 0.0), S3),
    ],
)
def test_predicted_signals_of_the_appendix(sequence, phase, expected):
    signal, _ = predict_signal(O32, *runs_of(O32, sequence), [phase], cutoff=0.0)
    assert_allclose(signal[0], np.array(expected.split(), float), atol=1e-6)
    windowed, _ = predict_signal(O32, *runs_of(O32, sequence), [phase])
    assert_allclose(windowed, signal, atol=1e-4)


def test_states_of_the_key_of_the_appendix():
    expected = {"T": 0.996000, "TC": 0.992040, "TCA": 0.982156, "TCAG": 0.978286}
    for sequence, fraction in expected.items():
        _, inphase = predict_signal(O32, *runs_of(O32, sequence), [(0.006, 0.004, 0.0)])
        assert_allclose(inphase[0, -1], fraction, atol=1e-5)


@st.composite
def reads(draw):
    cycle = draw(st.sampled_from(["TACG", DEFAULT_CYCLE, "TTAACCGG", "TACGG"]))
    order = FlowOrder(cycle, draw(st.integers(20, 120)))
    sequences = draw(st.lists(st.text("ACGT", min_size=1, max_size=60), min_size=1, max_size=4))
    rate = st.floats(0.0, 0.04)
    phase = draw(
        st.lists(st.tuples(rate, rate, st.floats(0.0, 0.01)), min_size=len(sequences), max_size=len(sequences))
    )
    return order, runs_of(order, *sequences), np.array(phase)


@given(reads())
def test_kernels_equal_their_twins_and_builds_each_other(case):
    order, runs, phase = case
    signals = set()
    for variant in _core.variants("phase"):
        kernels = _core.kernel("phase", variant)
        signal = np.empty((len(phase), len(order)))
        inphase = np.empty(signal.shape, np.float32)
        kernels.predict_signal(order.bases, *runs, phase, 1e-6, signal, inphase)
        signals.add(signal.tobytes() + inphase.tobytes())
        extend, stay = np.empty((2, len(phase), 4, len(order)))
        kernels.transition_tables(order.bases, phase, extend, stay)
        assert_allclose((extend, stay), twin.transition_tables(order.bases, phase), atol=1e-12)
    assert len(signals) == 1
    expected, fraction = twin.predict_signal(order.bases, *runs, phase, 1e-6)
    assert_allclose(signal, expected, atol=1e-10)
    assert_allclose(inphase, fraction, atol=1e-6)


@given(reads())
def test_slopes_are_those_of_the_signal(case):
    order, runs, phase = case
    phase = phase + 1e-3
    _, slope = twin.predict_slopes(order.bases, *runs, phase, 0.0)
    for k in range(3):
        step = np.eye(3)[k] * 1e-6
        above, below = (predict_signal(order, *runs, phase + sign * step, cutoff=0.0)[0] for sign in (1, -1))
        assert_allclose(slope[:, k], (above - below) / 2e-6, atol=2e-4, rtol=1e-4)


@given(reads(), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_sums_of_the_fit_equal_those_of_the_twin(case, first, seed):
    order, runs, phase = case
    random = np.random.default_rng(seed)
    measured = predict_signal(order, *runs, phase + 1e-3)[0] * random.normal(1, 0.1, (len(phase), 1))
    measured = (measured + random.normal(0, 0.2, measured.shape)).astype(np.float32)
    end = random.integers(0, len(order) + 1, len(phase)).astype(np.int32)
    args = order.bases, *runs, phase[0], 1e-6, measured, first, end, np.array([0.1, 0.03, 2.5])
    expected = twin.fit_sums(*args)
    _, slope = twin.predict_slopes(order.bases, *runs, np.tile(phase[0], (len(phase), 1)), 1e-6)
    # What gain and offset explain to the last digit leaves rounding of sums of this size.
    size = 100 * (1 + (slope**2).sum(axis=(1, 2)).max())
    sums = set()
    for variant in _core.variants("phase"):
        outs = [np.full(wanted.shape, np.nan) for wanted in expected]
        _core.kernel("phase", variant).fit_sums(*args, *outs)
        for found, wanted in zip(outs, expected, strict=True):
            assert_allclose(found, wanted, rtol=1e-6, atol=1e-9 * size * max(1.0, np.abs(wanted).max()))
        sums.add(b"".join(found.tobytes() for found in outs))
        # Without flows wanted, the rest is the same.
        fewer = [np.full(wanted.shape, np.nan) for wanted in (*expected[:2], np.empty((0, 3)), expected[3])]
        _core.kernel("phase", variant).fit_sums(*args, *fewer)
        assert_array_equal(fewer[0], outs[0])
        assert_array_equal(fewer[3], 0)
    assert len(sums) == 1


def test_runs_outside_the_flows_are_refused():
    with pytest.raises(InputError, match="within the 32 flows"):
        predict_signal(O32, [0, 1], [32], [1], [(0, 0, 0)])


def test_estimates_survive_json_and_know_their_regions():
    values = np.arange(18.0).reshape(2, 3, 3) / 1000
    estimate = PhaseEstimate(values, values / 10, np.full((2, 3), 7), (10, 9))
    again = PhaseEstimate.from_json({"Phasing": estimate.to_json()})
    assert_array_equal(again.values, values)
    assert_array_equal(again.errors, values / 10)
    # Beyond the outermost centres, at the centre of region (0, 1), and between the centres of four regions.
    assert_array_equal(again.at([0, 9, 2], [0, 8, 4]), values[[0, 1, 0], [0, 2, 1]])
    assert_allclose(again.at([4], [3])[0], values[0, 0] + 0.4 * 0.009 + 2 / 3 * 0.003)
    # Column-major, as in the original.
    assert estimate.to_json()["CFbyRegion"][1] == values[1, 0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"CFbyRegion": ["x"]}, "lists of numbers"),
        ({"IEbyRegion": 0.01}, "1 x 1 values"),
        ({"DRbyRegion": [1.5]}, "fractions per flow"),
        ({"CFbyRegion": [None]}, "fractions per flow"),
        ({"RegionRows": 2}, "2 x 1 values"),
    ],
)
def test_json_of_other_values_is_refused(changed, message):
    content = PhaseEstimate.uniform(0.01, 0.01, 0.001, (4, 4)).to_json()
    with pytest.raises(InputError, match=message):
        PhaseEstimate.from_json(content | changed)


def test_json_without_the_keys_of_phasing_is_refused():
    with pytest.raises(InputError, match="Phasing"):
        PhaseEstimate.from_json({"CF": 0.01})
