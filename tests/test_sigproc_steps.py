"""Steps of signal processing, each with worked numbers or a law."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ionanalysis.blocks import Block
from ionanalysis.flows import FlowOrder
from ionanalysis.sigproc.beadfind import region_tiles
from ionanalysis.sigproc.empties import blur_matrix, sharpener, two_classes
from ionanalysis.sigproc.frames import FrameClock, hinge_t0
from ionanalysis.sigproc.keys import KeyFlows, common_zeros, key_gain, score_key
from ionanalysis.sigproc.merging import FrameMerging
from ionanalysis.sigproc.response import ResponseGrid
from ionanalysis.sigproc.scale import HomopolymerScale, learn_scale
from ionanalysis.sigproc.wellfit import centred, fit_surface, fit_wells

EVEN = FrameClock((1,) * 60, 1 / 15)
UNEVEN = FrameClock((1, 8, 4, *(1,) * 40, *(4,) * 4, 8, 8), 0.068)
TACG = FlowOrder("TACG", 40)


def bulk(clock):
    """A smooth step, like that of a nucleotide flow, averaged over frames."""
    fine = (np.arange(sum(clock.counts) * 50) + 0.5) * clock.base_s / 50
    starts = np.concatenate([[0], np.cumsum(clock.counts)[:-1]]) * 50
    values = 200 / (1 + np.exp(-(fine - 1.6) / 0.08))
    return np.add.reduceat(values, starts) / (np.array(clock.counts) * 50)


def test_hinge_fit_finds_the_onset_of_a_falling_trace():
    times = 66.0 * np.arange(1, 60)
    trace = np.where(times < 610, 0, -0.5 * (times - 610))
    assert hinge_t0(trace, times, 66, width=3, slopes=(-5, 300, -20000, -10)) == pytest.approx(610.0)


def test_hinge_fit_finds_a_change_of_slope():
    times = 66.0 * np.arange(1, 60)
    trace = np.where(times < 610, 0.05 * times, 30.5 + 0.3 * (times - 610))
    assert hinge_t0(trace, times, 66, width=4, slopes=(-10, 10, 5, 500)) == pytest.approx(610.0)


def test_hinge_fit_of_a_flat_trace_finds_nothing():
    times = 66.0 * np.arange(1, 60)
    assert np.isnan(hinge_t0(np.zeros(59), times, 66, width=4, slopes=(-10, 10, 5, 500)))


def test_lowpass_of_a_ramp_lags_by_its_time_constant():
    fine = EVEN.step_s * np.arange(60 * 4.0)
    lag = EVEN.averaged(fine) - EVEN.low_passed(fine, [0.2])[0]
    assert lag[-1] == pytest.approx(0.2, abs=1e-6)


def test_lowpass_keeps_a_constant():
    assert_allclose(UNEVEN.low_passed(np.full(4 * sum(UNEVEN.counts), 7.0), [0.3, 2.0]), 7.0)


@pytest.mark.parametrize("clock", [EVEN, UNEVEN])
def test_buffering_with_the_empties_own_constant_changes_nothing(clock):
    assert_allclose(clock.buffered(bulk(clock), 0.4, 0.4)[:, 0], bulk(clock), atol=1e-9)


@pytest.mark.parametrize("clock", [FrameClock((1,) * 150, 1 / 15), FrameClock((1, 8, 4, *(1,) * 60, *(8,) * 9), 0.068)])
def test_buffered_trace_obeys_the_buffering_equation(clock):
    """Integrated over time: tau V + integral V = tau_empty E + integral E, before and after the step."""
    empty = bulk(clock)
    well = clock.buffered(empty, 0.9, 0.4)[:, 0]
    widths = np.diff(clock.edges_s)
    area = ((empty - well) * widths).sum()
    assert area == pytest.approx((0.9 - 0.4) * 200, rel=0.002)


@pytest.mark.parametrize("clock", [EVEN, UNEVEN])
def test_delays_add_up(clock):
    once = clock.delayed(clock.delayed(bulk(clock), 0.02), 0.03)
    assert_allclose(once, clock.delayed(bulk(clock), 0.05), atol=0.6)


def test_released_hydrogen_decays_with_the_wells_time_constant():
    step = (EVEN.mid_s > 1.0).astype(float)
    trace = EVEN.released(step, 0.5)[:, 0]
    late = (EVEN.mid_s > 1.5) & (EVEN.mid_s < 3)
    assert np.polyfit(EVEN.mid_s[late], np.log(trace[late]), 1)[0] == pytest.approx(-2, rel=0.01)


@pytest.mark.parametrize("clock", [EVEN, UNEVEN])
def test_well_fit_returns_what_was_put_in(clock):
    empty, weight = bulk(clock), np.asarray(clock.counts, float)
    grid = ResponseGrid.covering((np.log(0.3), np.log(1.5)), (-0.1, 0.1))
    table = centred(grid.buffered(clock, empty, 0.4), weight)
    truth = [(1.0, 0.4, 0.0), (0.9, 0.75, 0.03), (1.1, 1.2, -0.05)]
    traces = np.array([gain * clock.buffered(empty, tau, 0.4, [delay])[:, 0] for gain, tau, delay in truth])
    fit = fit_wells(grid, table, centred(traces, weight))
    found = np.stack([fit.gain, np.exp(fit.log_tau), fit.delay_s], axis=1)
    assert_allclose(found, truth, atol=2e-3)


def test_mean_empty_is_sharper_than_the_plain_mean():
    delays = np.linspace(-0.08, 0.08, 41)
    flow = np.stack([EVEN.delayed(bulk(EVEN), delay) for delay in delays], axis=1)
    sharp = sharpener(blur_matrix(delays, EVEN)) @ flow.mean(axis=1)
    assert np.abs(sharp - bulk(EVEN)).max() < 0.25 * np.abs(flow.mean(axis=1) - bulk(EVEN)).max()


@pytest.mark.parametrize("clock", [EVEN, UNEVEN])
def test_delays_by_whole_fine_steps_are_those_of_the_spline(clock):
    trace = bulk(clock)
    for steps in (-7, -1, 0, 3, 500):
        delay = steps * clock.step_s
        by_steps, by_spline = clock.fine(trace, [delay]), clock.fine(trace, [delay + 2e-9])
        assert_allclose(by_steps, by_spline, atol=1e-4)


@pytest.mark.parametrize("clock", [EVEN, UNEVEN])
def test_merged_frames_are_means_of_stored_ones(clock):
    merging = FrameMerging.around(clock, 1.6)
    assert sum(merging.merged.counts) == sum(clock.counts)
    assert len(merging.starts) < clock.n_frames
    trace = bulk(clock)
    assert_allclose(merging.merge(trace) @ merging.merged.counts, trace @ clock.counts)
    assert_allclose(merging.merge(np.ones(clock.n_frames)), 1.0)
    vectors = np.random.default_rng(1).normal(size=(3, len(merging.starts)))
    assert_allclose(merging.spread(vectors) @ trace, vectors @ merging.merge(trace))
    weight = np.asarray(clock.counts, float)
    assert_allclose(merging.merge_weight(merging.spread(merging.merge_weight(weight))), merging.merge_weight(weight))


def test_frames_stay_what_they_are_around_an_onset_and_where_it_is_not_known():
    merging = FrameMerging.around(EVEN, 1.6)
    durations = np.array(merging.merged.counts) * EVEN.base_s
    near = (merging.merged.mid_s > 1.4) & (merging.merged.mid_s < 2.8)
    assert (durations[near] < 0.07).all()
    assert durations.max() <= 1.0 + 1e-9
    assert FrameMerging.around(EVEN, np.nan).merged == EVEN


def test_two_classes_are_told_apart():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(-1, 0.05, 40), rng.normal(0, 0.1, 400)])
    probability, separation = two_classes(values, np.ones(440, bool))
    assert separation > 5
    assert (probability > 0.5).tolist() == [False] * 40 + [True] * 400


def test_one_class_is_not_split():
    values = np.random.default_rng(4).normal(0, 1, 2000)
    assert two_classes(values, np.ones(2000, bool))[1] == 0


def test_surface_ignores_outliers():
    rows, cols = np.indices((20, 30)).reshape(2, -1)
    truth = 0.01 * rows - 0.02 * cols + 0.001 * rows * cols
    values = truth + np.where(np.arange(600) % 37 == 0, 5.0, 0.0)
    assert_allclose(fit_surface(rows, cols, values, (20, 30)).ravel(), truth, atol=1e-6)


def test_regions_cover_a_block_without_slivers():
    tiles = region_tiles(Block(3, 7, 103, 52), 50)
    covered = np.zeros((103, 52), int)
    for tile in tiles:
        covered[tile.slices] += 1
    assert (covered == 1).all()
    assert min(min(tile.n_rows, tile.n_cols) for tile in tiles) >= 25


def test_flows_that_no_key_uses():
    keys = [KeyFlows.of(TACG, "TCAG"), KeyFlows.of(TACG, "ATCG")]
    assert common_zeros(keys).tolist() == [3]


def test_key_gain_is_a_steadied_least_squares_fit():
    key = KeyFlows.of(TACG, "TCAG")
    observed = np.array([0.9, 0.1, 1.1, -0.05, 0.02, 1.2, 0.3])
    assert key_gain(observed[:, None], key)[0] == pytest.approx(1.066664, abs=1e-6)


def test_key_scores_do_not_see_a_constant():
    key = KeyFlows.of(TACG, "TCAG")
    flows = key.expected[:, None] * 20.0 + np.array([0.0, -7.0])
    score = score_key(flows, key, 1.0)
    assert_allclose(score.signal, 20.0)
    assert_allclose(score.snr[0], score.snr[1])


def test_a_key_of_another_flow_order_is_scored():
    order = FlowOrder("GTAC", 40)
    library, other = KeyFlows.of(order, "TCAG"), KeyFlows.of(order, "ATCG")
    n_flows = max(library.n_flows, other.n_flows)
    flows = np.zeros((n_flows, 1))
    flows[: library.n_flows, 0] = 15.0 * library.expected
    assert score_key(flows, library, 1.0).snr[0] > 4 * score_key(flows, other, 1.0).snr[0]


def test_scale_and_its_inverse():
    scale = HomopolymerScale(np.array([0.05, -0.02, 0.15, 0.0]))
    for nuc in range(4):
        lengths = np.linspace(0, 8, 60)
        assert_allclose(scale.length(scale.signal(lengths, nuc), nuc), lengths, atol=0.02)


def test_scale_is_learned_from_peaks():
    rng = np.random.default_rng(5)
    truth = HomopolymerScale(np.array([0.08, 0.1, 0.12, 0.06]))
    bases = TACG.bases
    lengths = rng.choice([0, 1, 2, 3, 4, 5], p=[0.55, 0.3, 0.1, 0.03, 0.015, 0.005], size=(40, 800))
    signal = np.array([truth.signal(row, base) for row, base in zip(lengths, bases, strict=True)])
    found = learn_scale(signal + rng.normal(0, 0.04, signal.shape), bases, 8)
    assert_allclose(found.curvature, truth.curvature, atol=0.01)


def test_what_beads_take_up_bends_their_own_scale():
    rng = np.random.default_rng(6)
    bases = TACG.bases
    log_size = rng.normal(0, 0.15, 600)
    places = np.stack([log_size, rng.normal(-0.5, 0.1, 600)], axis=1)
    truth = HomopolymerScale(np.full(4, 0.12), np.array([1.5, 0.0]))
    lengths = rng.choice([0, 1, 2, 3, 4, 5], p=[0.55, 0.3, 0.1, 0.03, 0.015, 0.005], size=(40, 600))
    signal = truth.signal(lengths, 0, truth.bends(log_size, 0.0)) + rng.normal(0, 0.04, lengths.shape)
    # Sizes are known with some error, which must not pass for curvature.
    error = rng.normal(0, 0.02, 600)
    signal, places = signal / np.exp(error), places + np.stack([error, 0 * error], axis=1)
    found = learn_scale(signal, bases, 8, places)
    assert_allclose(found.exponents, truth.exponents, atol=0.4)
    straight = found.length(signal, 0, found.bends(*places.T))
    alike = learn_scale(signal, bases, 8).length(signal, 0)
    long = lengths >= 3
    assert (straight - lengths)[long].std() < 0.8 * (alike - lengths)[long].std()


def test_whole_bases_come_to_lie_on_themselves():
    rng = np.random.default_rng(7)
    lengths = rng.choice([0, 1, 2, 3, 4], p=[0.5, 0.3, 0.12, 0.05, 0.03], size=(40, 800))
    # No curvature makes these lengths straight.
    shown = np.array([0, 1, 2.03, 2.95, 3.8])[lengths] + rng.normal(0, 0.04, lengths.shape)
    scale = learn_scale(shown, TACG.bases, 8)
    found = scale.length(shown, 0)
    for n in range(5):
        assert np.median(found[lengths == n]) == pytest.approx(n, abs=0.03)


def test_phasing_leaves_little_in_the_zeros_of_a_key():
    key = KeyFlows.of(TACG, "TCAG")
    assert not key.leftover[key.ones].any()
    assert key.leftover[1] < 1e-3
    assert (key.leftover[[3, 4, 6]] > 0.004).all()
    assert key.leftover.max() < 0.02


def test_a_family_of_backgrounds_holds_the_backgrounds_of_every_time_constant():
    from ionanalysis.sigproc.family import BackgroundFamily

    clock = FrameClock((1,) * 80, 1 / 15)
    means = [np.tanh(np.maximum(clock.mid_s - onset, 0)) * 300 for onset in (1.0, 1.1)]
    weights = np.ones(80)
    family = BackgroundFamily.of(means, clock, weights)
    for tau_empty in (0.06, 0.4, 1.5):
        grid, table = family.table(tau_empty)
        expected = [grid.buffered(clock, mean, tau_empty) for mean in means]
        expected = np.concatenate([one - one.mean(axis=-1, keepdims=True) for one in expected], axis=-1)
        np.testing.assert_allclose(family.unfolded(table), expected, atol=0.01)


def test_fits_to_projected_traces_find_the_same_as_fits_to_traces():
    from ionanalysis.sigproc.family import BackgroundFamily
    from ionanalysis.sigproc.wellfit import fit_wells

    clock = FrameClock((1,) * 80, 1 / 15)
    mean = np.tanh(np.maximum(clock.mid_s - 1, 0)) * 300
    family = BackgroundFamily.of([mean], clock, np.ones(80))
    grid, table = family.table(0.4)
    random = np.random.default_rng(3)
    traces = np.stack([clock.buffered(mean, tau, 0.4)[:, 0] for tau in (0.4, 0.55, 0.8)])
    traces = traces + random.normal(0, 2, traces.shape)
    short = fit_wells(grid, table, family.seen([traces.T.astype(np.float32)], np.ones(80)))
    traces = (traces - traces.mean(axis=1, keepdims=True)).astype(np.float32)
    full = fit_wells(grid, family.unfolded(table), traces)
    np.testing.assert_allclose(short.log_tau, full.log_tau, atol=2e-3)
    np.testing.assert_allclose(short.residual, full.residual, rtol=1e-3)
