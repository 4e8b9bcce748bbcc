"""What comes between traces and signals: templates, nuisance, delays of flows, neighbours, the level of 0-mers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ionanalysis.blocks import Block
from ionanalysis.flows import FlowOrder
from ionanalysis.io.mask import WellFlag
from ionanalysis.options.sigproc import SignalOptions
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals
from ionanalysis.sigproc.buffer_drift import BufferDrift, BulkOperators
from ionanalysis.sigproc.cross_talk import learn_cross_talk, neighbour_sum, without_cross_talk
from ionanalysis.sigproc.flow_filter import FlowDelay, FlowModel, PlacedWells
from ionanalysis.sigproc.frames import FrameClock, ramp_operator
from ionanalysis.sigproc.group_noise import comparator_groups, row_groups, without_group_noise
from ionanalysis.sigproc.keys import KeyFlows
from ionanalysis.sigproc.nuisance import LEAST_TRACES, N_DIRECTIONS, NuisanceFit
from ionanalysis.sigproc.response import ResponseGrid
from ionanalysis.sigproc.templates import HydrogenFit
from ionanalysis.sigproc.wellfit import WellFit, centred
from ionanalysis.sigproc.zero_level import ZeroLevel
from ionanalysis.simulate import simulate

CLOCK = FrameClock((1, 8, 4, *(1,) * 40, *(4,) * 4), 1 / 15)
WEIGHT = np.asarray(CLOCK.counts, float) * np.where(np.arange(CLOCK.n_frames) % 7 == 3, 0.4, 1.0)
TAU_EMPTY_S = 0.4
KEY = KeyFlows.of(FlowOrder("TACG", 40), "TCAG")


def hydrogen(start_s=1.6):
    return 60 * (1 - np.exp(-np.maximum(CLOCK.mid_s - start_s, 0) / 0.2))


def bulk(start_s=1.6):
    return 300 / (1 + np.exp(-(CLOCK.mid_s - start_s) / 0.1))


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_hydrogen_comes_back_whatever_the_frames_weigh(random):
    log_tau = random.normal(np.log(0.8), 0.1, 300)
    delay = random.normal(0, 0.02, 300)
    size = random.uniform(0.5, 1.5, 300)
    traces = np.array(
        [a * CLOCK.released(hydrogen(), np.exp(tau), [d])[:, 0] for a, tau, d in zip(size, log_tau, delay, strict=True)]
    )
    fit = HydrogenFit(CLOCK, WEIGHT)
    fit.add(centred(traces, WEIGHT), size, log_tau, delay)
    found = fit.solve(0.5, 1.3, 60.0)
    assert_allclose(found[CLOCK.mid_s > 1.7], hydrogen()[CLOCK.mid_s > 1.7], atol=1.5)


def residuals(random, n_wells, direction, *, white=2.0):
    traces = white * random.standard_normal((n_wells, CLOCK.n_frames)) / np.sqrt(WEIGHT)
    traces += random.standard_normal((n_wells, 1)) * direction
    return centred(traces, WEIGHT).astype(np.float32)


def test_a_common_shape_becomes_a_direction(random):
    direction = 5 * np.sin(CLOCK.mid_s)
    fit = NuisanceFit(WEIGHT)
    fit.add(residuals(random, 2000, direction))
    found = fit.solve(1.0)
    assert found.white == pytest.approx(2.0, rel=0.1)
    main = found.directions[-1]
    inside, expected = (centred(trace, WEIGHT) for trace in (main, direction))
    assert abs(inside @ expected) / (inside @ inside) ** 0.5 / (expected @ expected) ** 0.5 > 0.99
    assert (inside @ inside) ** 0.5 == pytest.approx((expected @ expected) ** 0.5, rel=0.1)


def test_white_noise_alone_gives_no_direction_to_speak_of(random):
    fit = NuisanceFit(WEIGHT)
    fit.add(residuals(random, 2000, np.zeros(CLOCK.n_frames)))
    assert np.abs(fit.solve(1.0).directions).max() < 1.0


def test_a_few_odd_wells_do_not_widen_the_directions(random):
    left = residuals(random, 2000, np.zeros(CLOCK.n_frames))
    odd = left.copy()
    odd[:40] += 100 * centred(np.sin(CLOCK.mid_s), WEIGHT)
    found = []
    for traces in (left, odd):
        fit = NuisanceFit(WEIGHT)
        fit.add(traces)
        found.append(fit.solve(1.0))
    assert_allclose(found[1].white, found[0].white, rtol=0.05)
    assert np.abs(found[1].directions).max() < 1.0


def test_too_few_residuals_tell_nothing(random):
    fit = NuisanceFit(WEIGHT)
    fit.add(residuals(random, LEAST_TRACES - 1, np.zeros(CLOCK.n_frames)))
    found = fit.solve(1.7)
    assert found.white == 1.7
    assert found.directions.shape == (0, CLOCK.n_frames)


def test_frames_without_weight_are_not_looked_at(random):
    weight = np.where(CLOCK.mid_s < 4, WEIGHT, 0)
    fit = NuisanceFit(weight)
    fit.add(residuals(random, 500, np.zeros(CLOCK.n_frames)) * (weight > 0))
    found = fit.solve(1.0)
    assert np.isfinite(found.directions).all()
    assert len(found.directions) == N_DIRECTIONS
    assert not found.directions[:, weight == 0].any()


RAMP = ramp_operator(CLOCK, 1.0)


def plan_for(nuisance):
    grid = ResponseGrid.covering((np.log(0.5), np.log(1.1)), (-0.04, 0.04))
    model = FlowModel(CLOCK, grid, TAU_EMPTY_S, WEIGHT, nuisance, hydrogen(), np.zeros((2, CLOCK.n_frames)))
    operators = BulkOperators.of(CLOCK, grid, RAMP)
    return model.plan(FlowDelay.of(CLOCK, bulk(), WEIGHT, RAMP), bulk(), operators, np.log(0.8))


def drifted_bulk(tau_s, drift):
    """Background of a well after `drift`, from the equation."""
    low = CLOCK.buffered(bulk(), tau_s * np.exp(drift[0]), 0.0)[:, 0]
    return bulk() + (1 - TAU_EMPTY_S / tau_s) * np.exp(-drift[1]) * (low - bulk())


def well_frames(length, *, late_s=0.0, extra=0.0, tau_s=0.8):
    trace = CLOCK.buffered(CLOCK.delayed(bulk(), late_s), tau_s, TAU_EMPTY_S)[:, 0]
    trace = trace + length * CLOCK.released(hydrogen(), tau_s, [late_s])[:, 0] + extra
    return np.rint(8000 + 20 * trace).astype(np.int16)[:, None]


def amplitude(plan, frames, late_s=0.0):
    fit = WellFit(np.ones(1), np.array([np.log(0.8)]), np.zeros(1), np.zeros(1))
    return float(plan.amplitudes(frames, 20 * CLOCK.delayed(bulk(), late_s), fit, np.log(0.8))[0]) / 20


@pytest.mark.parametrize("length", [0, 1, 3])
def test_amplitude_of_a_trace_without_noise(length):
    plan = plan_for(NuisanceFit(WEIGHT).solve(2.0))
    assert amplitude(plan, well_frames(length)) == pytest.approx(length, abs=0.01)


@pytest.mark.parametrize("late_s", [-0.02, 0.02])
def test_a_late_flow_shows_its_full_signal(late_s):
    plan = plan_for(NuisanceFit(WEIGHT).solve(2.0))
    assert plan.flow_delay.seconds(CLOCK.delayed(bulk(), late_s)) == pytest.approx(late_s, abs=0.002)
    assert amplitude(plan, well_frames(1, late_s=late_s), late_s) == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("drift", [(-0.2, 0.15), (0.1, -0.1)])
def test_amplitudes_follow_buffering_that_has_drifted(drift):
    plan = plan_for(NuisanceFit(WEIGHT).solve(2.0))
    tau_s = 0.8 * np.exp(drift[0])
    trace = drifted_bulk(0.8, drift) + CLOCK.released(hydrogen(), tau_s)[:, 0]
    fit = WellFit(np.ones(1), np.array([np.log(0.8)]), np.zeros(1), np.zeros(1))
    wells = PlacedWells.of(np.arange(1), plan.grid, fit, np.log(0.8))
    projections = plan.basis @ trace[:, None].astype(np.float32)
    assert plan.combined(projections, bulk(), wells, drift)[0] == pytest.approx(1, abs=0.02)
    assert abs(plan.combined(projections, bulk(), wells)[0] - 1) > 0.1


def test_drift_of_buffering_is_followed(random):
    plan, n_wells = plan_for(NuisanceFit(WEIGHT).solve(2.0)), 200
    tau_s, gain = random.uniform(0.7, 0.9, n_wells), random.normal(1, 0.02, n_wells)
    fit = WellFit(gain, np.log(tau_s), np.zeros(n_wells), np.zeros(n_wells))
    wells = PlacedWells.of(np.arange(n_wells), plan.grid, fit, np.log(0.8))
    follower, real = BufferDrift(), np.zeros(2)
    for flow in range(40):
        real = flow * np.array([-0.002, 0.0015])
        traces = gain * np.array([drifted_bulk(tau, real) for tau in tau_s]).T
        # What phasing leaves in 0-mers does no harm.
        traces += 0.03 * CLOCK.released(hydrogen(), 0.8)
        projections = plan.basis @ (traces + random.normal(0, 0.1, traces.shape)).astype(np.float32)
        follower.follow(plan.drift_seen(projections, bulk(), wells, follower.state))
    # It lags: hardly any speed is believed in.
    assert_allclose(follower.state, real, atol=0.02)


def test_too_few_wells_tell_no_drift(random):
    follower = BufferDrift()
    follower.follow(random.normal(0.1, 0.01, (2, 10)))
    assert not follower.state.any()


def test_drift_of_all_pixels_passes_by_the_buffers():
    plan = plan_for(NuisanceFit(WEIGHT).solve(2.0))
    ramp = 3 * (CLOCK.mid_s - CLOCK.mid_s[0])
    assert_allclose(RAMP @ ramp, ramp, atol=1e-9)
    fit = WellFit(np.array([1.2]), np.array([np.log(0.8)]), np.zeros(1), np.zeros(1))
    trace = 1.2 * CLOCK.buffered(bulk(), 0.8, TAU_EMPTY_S) + CLOCK.released(hydrogen(), 0.8)
    found = [plan.amplitudes(trace + extra[:, None], bulk() + extra, fit, np.log(0.8))[0] for extra in (0 * ramp, ramp)]
    assert_allclose(found, 1, atol=0.01)


def test_a_known_nuisance_hardly_moves_the_amplitude(random):
    shape = 5 * np.sin(CLOCK.mid_s)
    fit = NuisanceFit(WEIGHT)
    fit.add(residuals(random, 2000, shape))
    moved = []
    for nuisance in (NuisanceFit(WEIGHT).solve(2.0), fit.solve(2.0)):
        plan = plan_for(nuisance)
        moved.append(abs(amplitude(plan, well_frames(1, extra=shape)) - amplitude(plan, well_frames(1))))
    assert moved[1] < 0.3 * moved[0]


def chip_signals(random, share, shape=(40, 40), n_flows=15):
    """Signals of a chip of live wells, of which `share` shows in each neighbour."""
    live = random.random(shape) < 0.8
    size = random.normal(1, 0.1, shape)
    bases = random.integers(0, 3, (n_flows, *shape))
    bases[: KEY.n_flows] = KEY.expected[:, None, None]
    clean = np.where(live, bases * size, 0)
    shown = clean + share * np.array([neighbour_sum(values) for values in clean])
    return (shown + random.normal(0, 0.04, shown.shape)).astype(np.float32), clean, live


@pytest.mark.parametrize("share", [0.0, 0.02, -0.01])
def test_cross_talk_is_found(random, share):
    shown, _, live = chip_signals(random, share)
    assert learn_cross_talk(shown, live, live, KEY) == pytest.approx(share, abs=0.003)


def test_cross_talk_of_a_chip_of_key_flows_only_is_unknown(random):
    shown, _, live = chip_signals(random, 0.02)
    assert learn_cross_talk(shown[: KEY.n_flows], live, live, KEY) == 0.0


def test_cross_talk_is_taken_off(random):
    shown, clean, live = chip_signals(random, 0.03)
    tiles = [Block(0, 0, 40, 20), Block(0, 20, 40, 20)]
    left = [np.std((without_cross_talk(shown[12], live, share, tiles) - clean[12])[live]) for share in (0.0, 0.03)]
    assert left[1] == pytest.approx(0.04, abs=0.004)
    assert left[0] > left[1] + 0.005


def test_level_of_zero_mers_is_followed(random):
    level, place = ZeroLevel(), random.normal(0, 0.1, 80)
    for flow in range(100):
        true = 0.002 * flow + 0.001 * flow * place
        level.follow(true + random.normal(0, 0.07, 80), place)
    assert level.at(np.zeros(1))[0] == pytest.approx(0.198, abs=0.03)
    assert level.state[1] == pytest.approx(0.099, abs=0.05)


def test_level_stays_without_silent_wells(random):
    level = ZeroLevel()
    for _ in range(50):
        level.follow(np.full(30, 0.1) + random.normal(0, 0.05, 30), np.zeros(30))
    before = level.state.copy()
    level.follow(np.array([5.0, 5.0]), np.zeros(2))
    assert_allclose(level.state, before)


def test_wells_that_are_not_silent_after_all_do_not_lift_the_level(random):
    level = ZeroLevel()
    for _ in range(50):
        shown = random.normal(0, 0.05, 60)
        shown[:10] += 1
        level.follow(shown, np.zeros(60))
    assert level.state[0] == pytest.approx(0, abs=0.02)


SHAPE = (48, 40)
GROUPS = {"rows": row_groups(SHAPE), "comparators": comparator_groups(SHAPE, 2)}


def flow_signals(random):
    bases = random.choice([0, 1, 2, 3], SHAPE, p=[0.55, 0.3, 0.1, 0.05])
    size = random.normal(1, 0.15, SHAPE)
    return bases * size, size, random.random(SHAPE) < 0.8


@pytest.mark.parametrize("kind", GROUPS)
def test_noise_of_a_group_is_taken_off(random, kind):
    clean, size, usable = flow_signals(random)
    group = GROUPS[kind]
    shared = random.normal(0, 0.06, group.max() + 1)[group]
    shown = (clean + shared + random.normal(0, 0.04, SHAPE)).astype(np.float32)
    found = without_group_noise(shown, size, usable, list(GROUPS.values()))
    error = (found - clean)[usable]
    assert np.std(error) < 0.055 < 0.068 < np.std((shown - clean)[usable])
    assert_allclose(found[~usable], shown[~usable])


def test_both_kinds_of_shared_noise_are_told_apart(random):
    clean, size, usable = flow_signals(random)
    shared = sum(random.normal(0, 0.06, group.max() + 1)[group] for group in GROUPS.values())
    shown = (clean + shared + random.normal(0, 0.04, SHAPE)).astype(np.float32)
    found = without_group_noise(shown, size, usable, list(GROUPS.values()))
    assert np.std((found - clean)[usable]) < 0.06 < 0.085 < np.std((shown - clean)[usable])


def test_where_no_noise_is_shared_signals_stay(random):
    clean, size, usable = flow_signals(random)
    shown = (clean + random.normal(0, 0.04, SHAPE)).astype(np.float32)
    found = without_group_noise(shown, size, usable, list(GROUPS.values()))
    assert np.std((found - shown)[usable]) < 0.01


def test_a_row_full_of_long_homopolymers_is_no_noise(random):
    clean, size, usable = flow_signals(random)
    clean[7] = 3 * size[7]
    shown = (clean + random.normal(0, 0.04, SHAPE)).astype(np.float32)
    found = without_group_noise(shown, size, usable, list(GROUPS.values()))
    assert np.abs((found - shown)[7]).mean() < 0.02


def test_few_wells_give_no_correction(random):
    shown = random.normal(0, 1, (3, 3)).astype(np.float32)
    groups = [row_groups((3, 3)), comparator_groups((3, 3))]
    assert_allclose(without_group_noise(shown, np.ones((3, 3)), np.ones((3, 3), bool), groups), shown)


def test_comparators_count_rows_of_the_chip():
    groups = comparator_groups((6, 3), first_row=3)
    assert groups[:, 0].tolist() == [3, 0, 1, 2, 3, 0]
    assert groups[0].tolist() == [3, 7, 11]


def measured_rms(folder, **signal_options):
    truth, run, beads = folder
    signals = fit_signals(run, mask=beads, options=SignalOptions(**signal_options), n_threads=1)
    chosen = (truth.kind == "library") & signals.mask.matches(WellFlag.LIB)
    found, expected = (values[chosen].astype(float) for values in (signals.amplitude, truth.phased_signal))
    gain = (found * expected).sum(axis=1) / (found**2).sum(axis=1)
    return np.sqrt(((found * gain[:, None] - expected) ** 2).mean())


@pytest.fixture(scope="module", params=["row_noise", "comparator_noise"])
def noisy_chip(request, tmp_path_factory):
    """A chip with one kind of shared noise: name of the option, and truth, run and beads."""
    path = tmp_path_factory.mktemp(request.param)
    chip = simulate((40, 40), 16, 4, "dat", path, difficulty="plain", defects=(request.param,), n_threads=1)
    run = open_run(path)
    return request.param, (chip.truth, run, find_beads(run, n_threads=1))


def test_each_correction_removes_its_defect(noisy_chip):
    option, chip = noisy_chip
    assert measured_rms(chip) < 0.9 * measured_rms(chip, **{option: False})
