"""The raw level of the simulator: worked numbers of chemistry and sensors, images, files."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import ionanalysis as ion
from ionanalysis._core import kernel, variants
from ionanalysis.executors import open_executor
from ionanalysis.options.simulate import simulate_options
from ionanalysis.options.simulate_raw import BackgroundOptions, NucleotideOptions, SensorOptions
from ionanalysis.reference import simulate as twin
from ionanalysis.simulate.chip import simulate_chip
from ionanalysis.simulate.frames import VARIABLE, FrameSchedule
from ionanalysis.simulate.images import ImageMaker, one_mer_peak
from ionanalysis.simulate.physics import (
    BulkTrace,
    Pulse,
    buffering,
    escaped_hydrogen,
    nucleotide_bulk,
    poisson_table,
    pulse_of,
    released_hydrogen,
    sensed,
)

# sigproc.md A.4, A.5: time points of 105 frames compressed, and the setup of nucleotide T.
TIME = np.array([2, 7, 12, 17, 22, *range(25, 46), 46.5, 50.5, 58.5, 70.5, 86.5, 100])
PULSE = Pulse(mid=36, sigma=3, span=22.5, concentration=50, kmax=18)
EMPTY = np.where(TIME > 32, 60 * -np.expm1(-(TIME - 32) / 8) * np.exp(-(TIME - 32) / 60), 0)
WELL = np.array([[0.7, 8.108, 1.0]])


def numbers(text):
    return np.array(text.split(), float)


def hydrogen_of(amplitude, sub_steps):
    return released_hydrogen([amplitude], 2e6, 18.78, 159.923, 0.0, PULSE, TIME, sensitivity=1.256, sub_steps=sub_steps)


HYDROGEN = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 16909.2 162228 577405 1.2837e+06
    2.16655e+06 3.03741e+06 3.74099e+06 4.22248e+06 4.51197e+06 4.67045e+06 4.75225e+06 4.79305e+06
    4.8e+06 4.8e+06 4.8e+06 4.8e+06 4.8e+06 4.8e+06 4.8e+06 4.8e+06"""
)
RED = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0.400087 3.79199 13.1749 28.3559
    45.9508 61.2181 70.7536 73.9266 72.1881 67.5515 61.6395 55.4443
    49.1676 43.4558 36.097 21.8125 7.40054 1.10578 0.00741397 0.000677626"""
)
RED_1 = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0.199643 3.30675 11.6108 22.2925
    30.3443 33.5895 33.1651 30.8908 27.9693 24.8579 21.9702 19.4179
    17.1621 15.1683 12.5998 7.6137 2.58318 0.385975 0.00258786 0.000236527"""
)
BLUE = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0 4.97438 9.43709 13.4269
    16.9809 20.1346 22.9213 25.3728 27.5183 29.3855 30.9998 32.385
    33.5628 34.5534 35.7281 37.411 36.9016 32.2953 25.2533 20.2073"""
)
PURPLE = numbers(
    """0 0 0 0 0 0 0 0 0 0 0 0 0.400087 8.76637 22.612 41.7827
    62.9317 81.3526 93.6749 99.2994 99.7063 96.937 92.6393 87.8293
    82.7304 78.0092 71.8252 59.2235 44.3021 33.4011 25.2607 20.2079"""
)


def test_released_hydrogen_gives_the_worked_numbers():
    counts = hydrogen_of(2.4, 1)[0] / (1.256 * 2e-5)
    assert_allclose(counts, HYDROGEN, rtol=2e-5, atol=50)


def test_responses_give_the_worked_numbers():
    hydrogen, bulk = hydrogen_of(2.4, 1), EMPTY[None].astype(np.float32)
    assert_allclose(sensed(hydrogen, 0 * bulk, WELL, TIME)[0], RED, rtol=2e-5, atol=2e-4)
    assert_allclose(sensed(0 * bulk, bulk, WELL, TIME)[0], BLUE, rtol=2e-5, atol=2e-4)
    assert_allclose(sensed(hydrogen, bulk, WELL, TIME)[0], PURPLE, rtol=2e-5, atol=2e-4)
    assert_allclose(sensed(hydrogen_of(1.0, 2), 0 * bulk, WELL, TIME)[0], RED_1, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize(
    ("k", "intensity", "expected"),
    [
        (0, 1.0, 0.367879),
        (1, 1.0, 0.735759),
        (2, 2.0, 0.676676),
        (5, 5.0, 0.615961),
        (11, 12.0, 0.461597),
        (22, 25.55, 0.280216),
    ],
)
def test_poisson_table_gives_the_worked_numbers(k, intensity, expected):
    assert poisson_table()[round(intensity / 0.05), k] == pytest.approx(expected, abs=1e-6)


def test_buffering_gives_the_worked_numbers():
    for flow, ratio, tau in ((0, 0.7, 8.108), (100, 0.775, 6.281)):
        assert np.allclose(buffering(SensorOptions(), np.array(0.7), flow), (ratio, tau))
    proton = SensorOptions(tau_slope=-4.12, tau_base=18.18)
    assert [float(buffering(proton, np.array(0.7), flow)[1]) for flow in (0, 100)] == pytest.approx([15.296, 14.987])


def test_pulse_times_are_the_worked_numbers():
    nucleotide = NucleotideOptions(t0=30, mid_lag=6, rise_sigma=3)
    pulses = [pulse_of(nucleotide, nuc) for nuc in range(4)]
    assert [pulse.mid for pulse in pulses] == pytest.approx([37.805797, 36.010145, 36.172464, 36.7])
    assert [pulse.sigma for pulse in pulses] == pytest.approx([3.372, 3, 2.5599, 3.486])


wells = st.lists(
    st.tuples(st.floats(-3, 23), st.floats(3e5, 5e6), st.floats(5, 40), st.floats(80, 300), st.floats(-3, 3)),
    min_size=1,
    max_size=6,
)


@given(wells, st.integers(1, 4))
def test_chemistry_matches_its_twin_on_every_instruction_set(drawn, n_steps):
    drawn, pulse = np.array(drawn), np.array([36, 3, 22.5, 50, 18.0])
    args = (drawn, pulse, 15.0, n_steps, TIME, poisson_table(), 20.0, 2.5e-5)
    results = []
    for variant in variants("simulate"):
        results.append(np.empty((len(drawn), len(TIME)), np.float32))
        kernel("simulate", variant).incorporate(*args, results[-1])
    assert_allclose(results[0], twin.incorporate(*args), rtol=1e-4, atol=2e-3)
    assert len({result.tobytes() for result in results}) == 1


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_responses_match_their_twins_on_every_instruction_set(seed, n_wells):
    random = np.random.default_rng(seed)
    hydrogen = np.cumsum(random.random((n_wells, len(TIME)), np.float32), axis=1)
    bulk = random.random((n_wells, len(TIME)), np.float32)
    buffers = random.uniform([0.3, 4, 0.5], [1, 60, 2], (n_wells, 3))
    for name, args in (("respond", (hydrogen, bulk, buffers, TIME)), ("escape", (hydrogen, buffers, TIME, 5.0, 12.0))):
        results = []
        for variant in variants("simulate"):
            results.append(np.empty_like(hydrogen))
            getattr(kernel("simulate", variant), name)(*args, results[-1])
        assert_allclose(results[0], getattr(twin, name)(*args), rtol=1e-4, atol=1e-4)
        assert len({result.tobytes() for result in results}) == 1


@given(st.floats(0.1, 20))
def test_all_hydrogen_of_the_bases_is_released(amplitude):
    long_time = np.arange(400.0)
    pulse = Pulse(mid=20, sigma=3, span=370, concentration=50, kmax=18)
    hydrogen = released_hydrogen([amplitude], 1e6, 20, 180, 0, pulse, long_time, sensitivity=1)
    assert (np.diff(hydrogen[0]) >= 0).all()
    assert_allclose(hydrogen[0, -1], amplitude * 1e6 * 2e-5, rtol=2e-3)


def test_an_empty_well_sees_the_bulk_itself():
    bulk = EMPTY[None].astype(np.float32)
    assert_allclose(sensed(0 * bulk, bulk, [[1.0, 7.0, 1.0]], TIME), bulk, atol=1e-4)


def test_hydrogen_escapes_and_is_washed_away():
    escaped = escaped_hydrogen(hydrogen_of(2, 2), WELL, TIME, (5.0, 12.0))[0]
    assert escaped.min() >= -1e-3
    assert escaped[12] < escaped.max() > 5 * escaped[-1] > 0
    assert 0.1 < escaped.max() / (2 * 2e6 * 1.256 * 2e-5) < 0.8


def test_bulk_arrives_later_in_wells_with_delay():
    bulk = nucleotide_bulk(BackgroundOptions(), 18.0, 60.0, 100)
    early, late = bulk.at(100, np.array([0.0, 2.0]))
    assert_allclose(late[2:], early[:-2], atol=0.02)
    assert not early[:18].any()


def test_bulk_is_read_between_its_values():
    ramp = BulkTrace(np.arange(2000, dtype=np.float32), start=10.0)
    assert_allclose(ramp.at(30, np.array([0.3]))[0, 12:], (np.arange(12, 30) - 10.3) * 8, rtol=1e-4)


def test_variable_schedule_gives_the_worked_times():
    schedule = FrameSchedule(VARIABLE)
    assert schedule.n_base_frames == 177
    assert schedule.end_times_ms[:6].tolist() == [66, 600, 866, 933, 1000, 1066]
    assert schedule.end_times_ms[-3:].tolist() == [10733, 11266, 11800]
    assert_allclose(schedule.average(np.arange(177.0)[None])[0, :4], [0, 4.5, 10.5, 13])


def test_default_chip_has_the_signal_of_the_spec():
    assert 28 < one_mer_peak(simulate_options()) < 42


PLAIN = dict(difficulty="plain", frames="uniform", without=("white_noise", "timing_spread", "buffering"))


def frames_of(n_flows=1, **options):
    """Frames (flow, frame, row, col) relative to the first frame of each flow, and the chip."""
    chip = simulate_chip(simulate_options(level="dat", **(dict(size=(64, 64), flows=16) | options)))
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    with open_executor("threads:1") as executor:
        frames = np.stack([maker.flow(flow, executor) for flow in range(n_flows)]).astype(np.float32)
    return frames - frames[:, :1], chip


def test_wells_show_the_bases_of_their_keys():
    frames, chip = frames_of(7, **PLAIN)
    area = frames.sum(1)
    kind = chip.truth.kind
    for flow, (library, tf) in enumerate(zip((1, 0, 1, 0, 0, 1, 0), (0, 1, 0, 0, 1, 0, 1), strict=True)):
        nothing = area[flow][kind == "dud"].mean()
        assert (area[flow][kind == "library"].mean() - nothing > 200) == bool(library)
        assert (area[flow][kind == "tf"].mean() - nothing > 200) == bool(tf)


def test_bead_wells_follow_the_beadfind_step_more_slowly():
    chip = simulate_chip(simulate_options(size=(64, 64), flows=16, level="dat"))
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    with open_executor("threads:1") as executor:
        frames = maker.beadfind(3, executor).astype(float)
    step = frames - frames[0]
    empty, library, dud = (step[:, chip.truth.kind == kind].mean(1) for kind in ("empty", "library", "dud"))
    assert empty[45] == pytest.approx(-400, abs=8)
    assert library[15] - empty[15] > 40
    assert library[15] == pytest.approx(dud[15], abs=8)


def background_of(frames, chip):
    return frames[:, :, chip.truth.kind == "empty"].mean(2)


def beads_of(chip):
    return chip.truth.kind == "library"


def spread_of_peaks(frames, chip):
    library = chip.truth.signal[:, :, 0] == 1
    return (frames[0].max(0) - frames[0].max(0)[chip.truth.kind == "dud"].mean())[library].std()


def delay_of(trace):
    """Frame at which a trace crosses half of its maximum."""
    top = int(trace.argmax())
    return np.interp(trace.max() / 2, trace[: top + 1], np.arange(top + 1))


def delays(frames, chip):
    empty = chip.truth.kind == "empty"
    return np.array([delay_of(trace) for trace in frames[0][:, empty].T])


MEASURES = {
    "empties": lambda frames, chip: np.mean(chip.truth.kind == "empty"),
    "duds": lambda frames, chip: np.mean(chip.truth.kind == "dud"),
    "test_fragments": lambda frames, chip: np.mean(chip.truth.kind == "tf"),
    "polyclonal_beads": lambda frames, chip: np.mean(chip.truth.kind == "polyclonal"),
    "bead_loss": lambda frames, chip: np.mean(chip.truth.details["lost_before_flow"] < 16),
    "short_inserts": lambda frames, chip: np.mean(
        chip.truth.details["insert_length"][chip.truth.kind == "library"] < 61
    ),
    "phasing": lambda frames, chip: chip.truth.cf.mean() + chip.truth.ie.mean(),
    "droop": lambda frames, chip: chip.truth.dr.mean(),
    "phase_spread": lambda frames, chip: chip.truth.cf.std(),
    "gain_spread": lambda frames, chip: spread_of_peaks(frames, chip) + chip.truth.details["pixel_gain"].std(),
    "background": lambda frames, chip: background_of(frames, chip).max(),
    "background_variation": lambda frames, chip: background_of(frames, chip).max(1).std(),
    "timing_spread": lambda frames, chip: delays(frames, chip).std(),
    "flow_jitter": lambda frames, chip: np.std([delay_of(trace) for trace in background_of(frames, chip)]),
    "buffering": lambda frames, chip: frames[1][30][chip.truth.kind == "dud"].std(),
    "slow_tail": lambda frames, chip: (
        frames[0][90][chip.truth.kind == "library"].mean() - background_of(frames, chip)[0, 90]
    ),
    "cross_talk": lambda frames, chip: frames[0][40][chip.truth.kind == "empty"].std(),
    "white_noise": lambda frames, chip: np.median(frames[0][10:15].std(0)),
    "row_noise": lambda frames, chip: frames[0][10].mean(1).std(),
    "column_noise": lambda frames, chip: frames[0][10].mean(0).std(),
    "comparator_noise": lambda frames, chip: frames[0][10][::4].mean(0).std(),
    "noisy_wells": lambda frames, chip: np.percentile(frames[0][1:15].std(0), 99.7),
    "offset_drift": lambda frames, chip: abs(frames[:, 15].mean((1, 2))).max(),
}


@pytest.mark.parametrize("name", MEASURES)
def test_each_defect_changes_what_it_says(name):
    base = dict(n_flows=6, difficulty="plain", frames="uniform", size=(64, 64))
    kept = {"noisy_wells": {"white_noise"}}.get(name, set())
    others = tuple({"white_noise", "timing_spread", "buffering", "gain_spread"} - {name} - kept)
    good = MEASURES[name](*frames_of(**base, without=(*others, name)))
    bad = MEASURES[name](*frames_of(**base, without=others, defects=(name,)))
    assert bad > 1.3 * good + 1e-6


def test_pinned_pixels_stay_where_they_are():
    chip = simulate_chip(simulate_options(size=(64, 64), flows=40, level="dat", pinned=0.1))
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    with open_executor("threads:1") as executor:
        first, last = maker.flow(0, executor), maker.flow(39, executor)
    pinned = chip.truth.kind == "pinned"
    start = chip.truth.details["pixel_pinned_from"]
    assert np.isin(last[:, pinned], (0, 16383)).all()
    assert np.isin(first[:, pinned & (start <= 0)], (0, 16383)).all()
    assert not np.isin(first[:, start > 0], (0, 16383)).any()
    assert (start[~pinned] == 40).all()


def test_bubbles_delay_parts_of_some_flows():
    frames, chip = frames_of(12, **(PLAIN | dict(defects=("bubbles",))), bubbles=1.0)
    empty = chip.truth.kind == "empty"
    late = [delays(frames[flow : flow + 1], chip) for flow in range(12)]
    assert empty.sum() == len(late[0])
    assert np.mean([times.max() - times.min() > 2.5 for times in late]) > 0.5


def test_buffers_drift_and_differ_across_the_chip():
    options = simulate_options(tau_drift=0.001, tau_gradient=0.2, tau_sd=0, size=(16, 64), level="dat")
    chip = simulate_chip(options)
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    whole = slice(0, 16)
    tau = [maker._buffers(maker._plan(flow, flow), whole)[:, 1].reshape(16, 64) for flow in (0, 100)]
    assert np.median(tau[0][:, -8:]) / np.median(tau[0][:, :8]) == pytest.approx(1.2, rel=0.1)
    ratio, at_start = buffering(options.sensor, maker.pixels.ratio, 100)
    assert_allclose(tau[1] / at_start, maker.pixels.tau_factor * 1.1)
    assert (ratio <= 1).all()


def test_shifting_the_noise_seed_of_one_flow_needs_no_other_flow():
    chip = simulate_chip(simulate_options(size=(40, 40), flows=16, level="dat"))
    with open_executor("threads:2") as executor:
        alone = ImageMaker(chip.options, chip.truth, chip.flow_order).flow(9, executor)
        maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
        after_others = [maker.flow(flow, executor) for flow in (3, 9)][1]
    assert_array_equal(alone, after_others)


def test_cross_talk_passes_the_seam_between_bands():
    # Rows 31 and 32 are made in different bands; a seam would show as a step in the cross-talk of empties.
    options = dict(size=(64, 64), flows=16, empty=0.0, tf=0.0, cross_talk=0.1) | PLAIN
    with_talk, _ = frames_of(**options)
    without, _ = frames_of(**(options | dict(cross_talk=0.0)))
    gained = (with_talk - without)[0][30:60].sum(0).mean(1)
    assert gained[1:-1].std() < 0.2 * gained.mean()
    assert gained[31:33].min() > 0.6 * gained.mean()


def digest(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def test_same_seed_same_bytes_on_any_number_of_threads(tmp_path):
    for name, n_threads in (("a", 1), ("b", 3)):
        ion.simulate(size=(72, 48), flows=10, seed=3, level="dat", path=tmp_path / name, n_threads=n_threads)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


@pytest.mark.parametrize("interlace_type", range(7))
def test_written_run_opens(tmp_path, interlace_type):
    chip = ion.simulate(
        size=(40, 48), flows=9, level="dat", path=tmp_path, interlace_type=interlace_type, prerun=1, chip="540"
    )
    run = ion.open_run(tmp_path)
    assert (run.chip, run.n_rows, run.n_cols) == ("540", 40, 48)
    assert run.flow_order.letters == chip.flow_order.letters
    assert (run.library_key, run.present_flows()) == ("TCAG", list(range(9)))
    image = run.flow(7)
    assert image.header.interlace_type == interlace_type
    assert image.frame_counts.tolist() == list(VARIABLE)
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    with open_executor("threads:1") as executor:
        assert_array_equal(image.frames, maker.flow(7, executor))
        assert_array_equal(run.beadfind().frames, maker.beadfind(3, executor))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"beadfind_pre_0001.dat", "prerun_0000.dat", "explog_final.txt", "truth.h5", "reference.fasta"} <= names
    assert "1.wells" not in names


def test_blocks_are_cut_from_the_same_chip(tmp_path):
    options = dict(size=(40, 60), flows=8, seed=4, level="dat")
    chip = ion.simulate(**options, path=tmp_path / "cut", blocks=(2, 3))
    ion.simulate(**options, path=tmp_path / "whole")
    run, whole = ion.open_run(tmp_path / "cut"), ion.open_run(tmp_path / "whole")
    assert [block.name for block in run.blocks] == ["X0_Y0", "X24_Y0", "X48_Y0", "X0_Y20", "X24_Y20", "X48_Y20"]
    assert (run.n_rows, run.n_cols) == chip.shape[:2]
    assert tuple(logged.block for logged in run.explog.blocks) == run.blocks
    for block in run.blocks:
        assert_array_equal(run.open_block(block).flow(5).frames, whole.flow(5).frames[:, *block.slices])


def test_beads_that_leave_look_empty():
    frames, chip = frames_of(16, **(PLAIN | dict(defects=("bead_loss",))), bead_loss=0.5, copies_sd=0)
    lost = chip.truth.details["lost_before_flow"]
    kind, rising = chip.truth.kind, frames[15, 26]
    empty = rising[kind == "empty"].mean()
    assert rising[lost < 15].mean() == pytest.approx(empty, rel=0.02)
    assert rising[(kind == "dud") & (lost == 16)].mean() < 0.9 * empty


def test_uniform_frames_are_written_as_asked(tmp_path):
    ion.simulate(size=(16, 16), flows=8, level="dat", path=tmp_path, frames="uniform", n_frames=60)
    assert ion.open_run(tmp_path).flow(0).frame_counts.tolist() == [1] * 60


def test_progress_counts_flows(tmp_path):
    seen = []
    ion.simulate(
        size=(8, 8), flows=8, level="dat", path=tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(flow, 8) for flow in range(1, 9)]
