"""How simulated signals stray from their bases: compression, drift of gain, growing noise, outliers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import ionanalysis as ion
from ionanalysis.executors import open_executor
from ionanalysis.options.simulate import simulate_options
from ionanalysis.simulate.chip import simulate_chip
from ionanalysis.simulate.images import ImageMaker
from ionanalysis.simulate.response import WALK_FLOWS, WellResponse

QUIET = dict(
    noise_sd=0.0,
    noise_per_base=0.0,
    offset_sd=0.0,
    nuc_offset_sd=0.0,
    signal_gain_sd=0.0,
    flow_gain_sd=0.0,
    signal_decay=0.0,
    polyclonal=0.0,
    tf=0.0,
)
SHORTFALL = (0.006, 0.045, 0.15, 0.46)
ALL = dict(
    homopolymer_shortfall=SHORTFALL,
    gain_trend_sd=0.03,
    gain_walk_sd=0.03,
    noise_growth=1.0,
    outlier_flows=0.1,
    outlier_signals=0.01,
)


def signals(**options):
    """Signals of the library wells and those of the truth, (n_wells, n_flows)."""
    chip = ion.simulate(**{"size": (60, 60), "flows": 200, "seed": 4} | QUIET | options)
    library = chip.truth.kind == "library"
    return chip.signal_per_copy[library], chip.truth.phased_signal[library]


def test_runs_show_less_than_their_length():
    shown, true = signals(homopolymer_shortfall=SHORTFALL, cf=0.0, ie=0.0, dr=0.0, long_homopolymers=0.1)
    for bases, missing in {0: 0, 1: 0, 2: 0.006, 3: 0.045, 4: 0.15, 5: 0.46, 6: 0.77, 8: 1.39}.items():
        assert (true == bases).sum() > 20
        assert_allclose(shown[true == bases], bases - missing, atol=1e-5)


def test_shares_of_a_base_lie_between_whole_ones():
    response = WellResponse(simulate_options(homopolymer_shortfall=(0.1, 0.4)), (1, 1), 10)
    signal = np.array([0, 0.3, 1, 1.5, 2, 2.5, 3, 4, 40], np.float32)
    assert_allclose(response.compressed(signal), [0, 0.3, 1, 1.45, 1.9, 2.25, 2.6, 3.3, 2.6 + 37 * 0.7], rtol=1e-6)


def test_gain_of_each_well_drifts_by_a_trend_and_a_walk():
    n_wells = 4000
    for options, spread in (
        (dict(gain_trend_sd=0.02), lambda flow: 0.02 * flow / 100),
        (dict(gain_walk_sd=0.05), lambda flow: 0.05 * (flow / 100) ** 0.5),
    ):
        response = WellResponse(simulate_options(**options), (n_wells, 1), 401)
        log_gain = np.log(response.gain(slice(None), np.arange(401))[:, 0])
        assert_allclose(log_gain[:, 0], 0, atol=1e-7)
        for flow in (WALK_FLOWS, 100, 400):
            assert log_gain[:, flow].std() == pytest.approx(spread(flow), rel=0.05)
            assert abs(log_gain[:, flow].mean()) < 4 * spread(flow) / n_wells**0.5
            assert_allclose(response.gain(slice(7, 9), flow), np.exp(log_gain[7:9, flow, None]), rtol=1e-6)
        # Slow: a tenth of a step from one flow to the next, at most.
        assert np.abs(np.diff(log_gain, axis=1)).max() < 5 * spread(WALK_FLOWS) / WALK_FLOWS


def test_drift_of_gain_acts_on_signals_and_leaves_their_mean():
    shown, true = signals(gain_trend_sd=0.05)
    strong = true.sum(axis=0) > 0.3 * len(true)
    ratio = [
        shown[:, flow][true[:, flow] > 0.5] / true[:, flow][true[:, flow] > 0.5] for flow in np.flatnonzero(strong)
    ]
    flows = np.flatnonzero(strong)
    for at in (len(flows) // 2, len(flows) - 1):
        assert np.log(ratio[at]).std() == pytest.approx(0.05 * flows[at] / 100, rel=0.1)
        assert np.median(ratio[at]) == pytest.approx(1, abs=0.01)


def test_noise_grows_along_the_run():
    shown, true = signals(noise_sd=0.05, noise_growth=2.0)
    noise = (shown - true).std(axis=0)
    assert_allclose(noise, 0.05 * (1 + 2 * np.arange(200) / 200), rtol=0.1)


def test_outlier_flows_are_off_in_all_wells_at_once():
    shown, true = signals(outlier_flows=0.1, outlier_flow_sd=0.4)
    gain = shown.sum(axis=0) / true.sum(axis=0)
    assert_allclose(shown, true * gain.astype(np.float32), atol=2e-5)
    off = np.abs(gain - 1) > 1e-4
    assert 8 <= off.sum() <= 35
    assert 0.25 < gain[off].std() < 0.55 and gain.min() >= 0


def test_outlier_signals_are_few_and_far_off():
    shown, true = signals(outlier_signals=0.01, outlier_signal_sd=0.5)
    added = shown - true
    off = np.abs(added) > 1e-5
    assert off.mean() == pytest.approx(0.01, rel=0.05)
    assert added[off].std() == pytest.approx(0.5, rel=0.05)
    assert_allclose(np.sort(off.mean(axis=0))[[0, -1]], 0.01, atol=0.01)


def test_without_them_chips_are_as_before():
    shown, true = signals()
    assert_array_equal(shown, true)
    response = WellResponse(simulate_options(), (3, 3), 50)
    assert not response.drifts and not response.has_outliers
    assert (response.flow_gain == 1).all() and (response.noise_factor == 1).all()
    assert response.compressed(true) is true


@pytest.mark.parametrize("level", ["wells", "dat"])
def test_same_seed_same_bytes_and_same_molecules(tmp_path, level):
    names = {"wells": "1.wells", "dat": "acq_0008.dat"}
    for name, n_threads, options in (("a", 1, ALL), ("b", 2, ALL), ("none", 1, {})):
        ion.simulate((36, 40), 9, 3, level, tmp_path / name, n_threads=n_threads, **options)
    content = {name: (tmp_path / name / names[level]).read_bytes() for name in ("a", "b", "none")}
    assert content["a"] == content["b"] != content["none"]
    assert (tmp_path / "a/truth.h5").read_bytes() == (tmp_path / "none/truth.h5").read_bytes()


def images(flow, **options):
    """Frames of one flow of a chip of 40 x 40 wells, 80 flows, in counts."""
    options = dict(size=(40, 40), flows=80, level="dat", seed=2, cross_talk=0.0, dc_sd=0.0) | options
    chosen = simulate_options(difficulty="plain", **options)
    chip = simulate_chip(chosen)
    with open_executor(n_threads=1) as executor:
        return chip.truth, ImageMaker(chosen, chip.truth, chip.flow_order).flow(flow, executor).astype(float)


def released(flow, **options):
    """By how much every well of an image exceeds what it would show without template, summed over frames."""
    truth, image = images(flow, white_noise=0.0, row_noise=0.0, comparator_noise=0.0, **options)
    _, base = images(flow, white_noise=0.0, row_noise=0.0, comparator_noise=0.0, sensitivity=0.05)
    return truth, (image - base).sum(axis=0)


def test_images_show_compression_and_drift_of_gain():
    truth, plain = released(79)
    chosen = (truth.kind == "library") & (truth.phased_signal[..., 79] > 0.5)
    assert chosen.sum() > 100
    _, drifted = released(79, gain_trend_sd=0.2)
    gain = WellResponse(simulate_options(size=(40, 40), flows=80, seed=2, gain_trend_sd=0.2), (40, 40), 80)
    ratio = drifted[chosen] / plain[chosen]
    assert np.corrcoef(ratio, gain.gain(slice(None), 79)[chosen])[0, 1] > 0.98
    _, short = released(79, homopolymer_shortfall=(0.5,))
    runs = chosen & (truth.phased_signal[..., 79] > 1.8)
    single = chosen & (truth.phased_signal[..., 79] < 1)
    assert (short[runs] / plain[runs]).mean() < 0.85
    assert_allclose(short[single] / plain[single], 1, atol=0.02)


def test_images_show_growing_noise_and_outliers():
    def noise(**options):
        truth, image = images(60, row_noise=0.0, comparator_noise=0.0, **options)
        return np.diff(image[20:40], axis=0)[:, truth.kind == "empty"].std()

    assert noise(noise_growth=4.0) / noise() == pytest.approx(4, rel=0.1)
    truth, plain = released(60)
    _, off = released(60, outlier_signals=0.1, outlier_signal_sd=2.0)
    library = truth.kind == "library"
    assert 0.03 < (np.abs(off - plain) > 100)[library].mean() < 0.12
    assert_array_equal(off[~library & (truth.kind != "tf")], plain[~library & (truth.kind != "tf")])


def test_half_loaded_beads_have_half_the_templates_and_buffering():
    options = dict(size=(60, 60), flows=16, level="dat", seed=2, copies_sd=0.0, ratio_sd=0.0)
    none, some = (ion.simulate(**options, half_loaded=share).truth for share in (0.0, 0.25))
    assert_array_equal(none.sequence, some.sequence)
    live = np.isin(some.kind, ("library", "polyclonal", "tf"))
    half = some.details["copies"][live] == 1
    assert_array_equal(some.details["copies"][live][~half], 2)
    assert half.mean() == pytest.approx(0.25, abs=0.03)
    assert_allclose(some.details["pixel_ratio"][live], np.where(half, 0.85, 0.7), rtol=1e-6)
    assert_array_equal(some.details["pixel_ratio"][none.kind == "empty"], 1)


def test_reagent_runs_short_along_the_flow():
    # All bases are taken up in the end, but later where supply is short: the peak is lower. Flow 0 is in the key.
    def peak(**options):
        options |= dict(white_noise=0.0, row_noise=0.0, comparator_noise=0.0, background=0.0, t0_slope=0.0)
        truth, image = images(0, **options)
        return truth.kind == "library", (image - image[0]).max(axis=0)

    library, plain = peak()
    _, short = peak(depletion=0.9)
    assert library[:, :4].sum() > 60 and plain[library].min() > 20
    kept = np.where(library, short, 0) / np.where(library, plain, 1)
    first, last = (kept[:, part][library[:, part]].mean() for part in (slice(4), slice(-4, None)))
    assert first > 0.995 and last < 0.975
