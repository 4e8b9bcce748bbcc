"""Wells normalised by each other (basecaller.md 1.5)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller.wells_normalisation import classify, normalise_wells
from ionanalysis.flows import FlowOrder
from ionanalysis.options.stage import WELLS_NORMALISATIONS

ORDER = FlowOrder("TACGTACGTCTGAGCATCGATCGATGTACAGC", 200)
KEYS = ORDER.key_flowgram("TCAG"), ORDER.key_flowgram("ATCG")
MODES = [mode for mode in WELLS_NORMALISATIONS if mode != "off"]


def reads(n, seed, noise=0.03):
    """Signals of random reads without phasing, and the bases they hold."""
    random = np.random.default_rng(seed)
    sequences = ["TCAG" + "".join(random.choice(list("ACGT"), 150)) for _ in range(n)]
    true = np.array([ORDER.flowgram(sequence) for sequence in sequences], np.float32)
    return true + random.normal(0, noise, true.shape).astype(np.float32), true


def normalised(signals, mode, **about):
    n = len(signals)
    settings = {"good": np.ones(n, bool), "tf": np.zeros(n, bool), "key_flowgrams": KEYS} | about
    return normalise_wells(signals, ORDER, mode, **settings)


def test_signals_are_classified_by_the_nearest_level():
    signals, true = reads(200, 1)
    kinds, misfit = classify(signals)
    assert (kinds == np.minimum(true, 2)).mean() > 0.999
    # Mean distance: that of the noise, and of the runs of three and more.
    assert 0.01 < np.median(misfit) < 0.1


def test_levels_follow_a_drift():
    signals, true = reads(100, 2)
    drift = np.linspace(0, 0.45, 200, dtype=np.float32)
    kinds, _ = classify(signals * (1 - drift) + drift)
    assert (kinds == np.minimum(true, 2)).mean() > 0.98
    # Without following, a 0-mer at the end would be nearer to 1 as often as not.
    assert ((signals * (1 - drift) + drift)[:, -20:][true[:, -20:] == 0] > 0.4).mean() > 0.5


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "signalBiasOnly"])
def test_every_mode_scales_by_the_key(mode):
    signals, true = reads(50, 3)
    gains = np.linspace(0.4, 3, 50, dtype=np.float32)[:, None]
    assert_allclose(normalised(signals * gains, mode), normalised(signals, mode), atol=1e-4)
    assert abs(normalised(signals * gains, mode) - true).mean() < 0.06


def test_bias_alone_leaves_the_scale():
    signals, _ = reads(20, 4)
    ones = normalised(signals * 2, "signalBiasOnly")[:, [0, 2, 5]]
    assert_allclose(ones.mean(), 2, atol=0.1)


def test_test_fragments_are_scaled_by_their_key():
    true = ORDER.flowgram("ATCG" + "TGCA" * 20).astype(np.float32)
    found = normalised(np.tile(true * 3, (2, 1)), "keyOnly", tf=np.array([True, False]), good=np.zeros(2, bool))
    assert_allclose(found[0], true, rtol=1e-6)
    # Of the library key there is no signal at all to scale by.
    assert_array_equal(found[1], true * 3)


@pytest.mark.parametrize("mode", ["fix01", "pinZero", "offset"])
def test_a_bias_that_all_wells_share_is_taken_out(mode):
    signals, true = reads(900, 5)
    bias = np.random.default_rng(6).normal(0, 0.08, 200).astype(np.float32)
    bias[:25] = 0
    # A bias of what is no base: 1-mers measure right, as fix01 takes for granted.
    biased = signals + bias * np.clip(1 - true, 0, 1)
    empty = true[:, 60:] == 0

    def left_over(values):
        deviation = np.where(empty, values[:, 60:], 0).sum(axis=0) / empty.sum(axis=0)
        return deviation.std()

    before, after = left_over(normalised(biased, "keyOnly")), left_over(normalised(biased, mode))
    assert before > 0.06
    assert after < (0.02 if mode == "pinZero" else 0.5 * before)
    ones = true == 1
    if mode == "fix01":
        assert abs(normalised(biased, mode) - true)[ones].mean() < 0.05


@pytest.mark.parametrize("mode", ["fix01", "offset"])
def test_nucleotides_come_to_one_level(mode):
    signals, true = reads(900, 11)
    biased = signals + np.float32(0.1) * (ORDER.bases == 2) * np.clip(1 - true, 0, 1)
    found = normalised(biased, mode)
    # Neighbouring flows of the nucleotide have the same bias: it is no bias of a flow.
    levels = [found[:, ORDER.bases == base][true[:, ORDER.bases == base] == 0].mean() for base in range(4)]
    assert np.ptp(levels) < 0.02


def test_too_few_wells_are_only_scaled_and_shifted_each_by_itself():
    signals, _ = reads(400, 7)
    biased = signals + np.random.default_rng(8).normal(0, 0.05, 200).astype(np.float32)
    few = normalised(biased[:299], "fix01")
    assert_array_equal(few[:10], normalised(biased[:10], "fix01"))
    # 300 and more good ones, but only half of them fit better than the mean.
    assert_array_equal(normalised(biased, "fix01")[:10], few[:10])


def test_filtered_wells_tell_nothing_but_are_normalised_too():
    signals, _ = reads(700, 9)
    biased = signals + 0.1 * (ORDER.bases == 2)
    good = np.arange(700) < 690
    rubbish = biased.copy()
    rubbish[690:] = np.random.default_rng(10).normal(1, 3, (10, 200))
    found = normalised(rubbish, "fix01", good=good)
    assert_array_equal(found[:690], normalised(biased, "fix01", good=good)[:690])


@given(st.sampled_from(MODES), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_any_signals_give_finite_ones_and_stay_unchanged(mode, n, seed):
    random = np.random.default_rng(seed)
    signals = random.normal(0, 10, (n, 200)).astype(np.float32)
    before = signals.copy()
    found = normalised(signals, mode, good=random.random(n) < 0.5, tf=random.random(n) < 0.3)
    assert found.shape == signals.shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert_array_equal(signals, before)
