"""Calibration models in force: linear ones in the solver, boundaries after it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.bam.source import header_of, open_alignments
from ionanalysis.basecaller import call_bases
from ionanalysis.basecaller.calibration import CallCalibration, linear_model_response, load_calibration
from ionanalysis.basecaller.phase import PhaseEstimate, predict_signal
from ionanalysis.basecaller.polish import polish_runs, run_lengths
from ionanalysis.basecaller.solve import solve_runs
from ionanalysis.cli.legacy import basecaller
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import DEFAULT_CYCLE, NUCS, FlowOrder
from ionanalysis.io.calibration import Calibration, HistogramCalibration, LinearCalibration, read_calibration
from ionanalysis.io.calibration_writing import write_calibration
from ionanalysis.metrics.accuracy import calls_from_bam, calls_from_reads, score_calls
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.options.calibration import CalibrationOptions
from ionanalysis.options.simulate import simulate_options
from ionanalysis.simulate import simulate_chip
from ionanalysis.wells import open_wells

PHASE = (0.006, 0.005, 0.0005)
GAIN, OFFSET = (1.0, 1.0, 0.97, 1.0), (0.0, 0.0, 0.02, 0.0)


def linear_model(n_flows, gain=GAIN, offset=OFFSET, first_rows=(0,), **changes):
    """One gain and offset for each nucleotide, whatever the length."""
    shape = (len(first_rows), 1, 1, 4, 24)
    facts = {
        "block": "CALIB.block_X0_Y0",
        "n_flows": n_flows,
        "first_rows": np.array(first_rows),
        "first_cols": np.array([0]),
        "first_flows": np.array([0]),
        "stop": (1000, 1000),
        "lengths": (0, 10),
        "gain": np.broadcast_to(np.float32(gain)[:, None], shape).copy(),
        "offset": np.broadcast_to(np.float32(offset)[:, None], shape).copy(),
    }
    return LinearCalibration(**facts | changes)


def planted_chip(seed, gain=(1.0, 1.0, 0.80, 1.0), offset=(0.0, 0.0, 0.08, 0.0), flows=200, size=(40, 40)):
    options = simulate_options(
        size=size,
        flows=flows,
        level="wells",
        seed=seed,
        genome_length=50_000,
        polyclonal=0.0,
        wells_type="float32",
        nuc_gain=gain,
        nuc_offset=offset,
        nuc_offset_sd=0.0,
        noise_sd=0.08,
        noise_per_base=0.05,
    )
    return simulate_chip(options)


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """A written chip whose G gives 20 % less and 0.08 bases more, its inserts, and its calibration."""
    made = planted_chip(6001)
    folder = tmp_path_factory.mktemp("planted")
    made.write(folder)
    key = len(made.options.chip.library_key)
    library = made.truth.kind == "library"
    inserts = {(r, c): str(made.truth.sequence[r, c])[key:] for r, c in zip(*np.nonzero(library), strict=True)}
    (wells,) = folder.rglob("1.wells")
    model = linear_model(200, (1.0, 1.0, 0.80, 1.0), (0.0, 0.0, 0.08, 0.0))
    return made, wells, inserts, Calibration(linear=model, histogram=None)


def opened(chip):
    return open_wells(chip[1], chip[0].mask)


def test_planted_gain_and_offset_are_taken_into_account(chip):
    wells, inserts, calibration = opened(chip), chip[2], chip[3]
    phase = PhaseEstimate.uniform(0.006, 0.005, 0.001, wells.shape[:2])
    rates = [
        score_calls(list(calls_from_reads(call_bases(wells, phase, calibration=models))), inserts)
        for models in (None, calibration)
    ]
    assert rates[1].error_rate < 0.6 * rates[0].error_rate


def test_a_model_without_effect_changes_nothing(chip):
    wells = opened(chip)
    phase = PhaseEstimate.uniform(0.006, 0.005, 0.001, wells.shape[:2])
    none = Calibration(linear=linear_model(200, (1,) * 4, (0,) * 4), histogram=None)
    rows = {"rows": slice(0, 10)}
    plain, same = (call_bases(wells, phase, calibration=models, **rows) for models in (None, none))
    for name in ("bases", "qualities", "signal", "predicted"):
        assert_array_equal(getattr(same, name), getattr(plain, name))


def test_each_read_gets_the_coefficients_of_its_region_window_and_flow():
    order = FlowOrder(DEFAULT_CYCLE, 60)
    shape = (2, 1, 2, 4, 24)
    rng = np.random.default_rng(1)
    gain = rng.uniform(0.9, 1.1, shape).astype(np.float32)
    offset = np.broadcast_to(rng.normal(0, 0.02, (*shape[:4], 1)), shape).astype(np.float32)
    model = replace(linear_model(60, first_rows=(0, 10)), first_flows=np.array([0, 30]), gain=gain, offset=offset)
    response = linear_model_response(model, ([0, 1, 1], [0, 0, 0]), order, [True, True, False])
    for read, region in ((0, 0), (1, 1)):
        for flow in (3, 29, 30, 59):
            cell = gain[region, 0, flow // 30, order.bases[flow]]
            sizes = response.sizes[response.model[read], response.table[flow]]
            assert_allclose(sizes[:3], cell[:3] * [0, 1, 2], rtol=1e-5)
            assert_allclose(
                response.offset[response.model[read], flow], offset[region, 0, flow // 30, order.bases[flow], 0]
            )
    assert_array_equal(response.sizes[response.model[2], response.table], np.tile(np.arange(25), (60, 1)))
    assert not response.offset[response.model[2]].any()
    assert (np.diff(response.sizes, axis=-1) > 0).all()


def test_a_model_for_other_flows_is_refused():
    with pytest.raises(InputError, match="was made for 60 flows, the run has 61"):
        CallCalibration(linear_model(60), None, (61,))
    CallCalibration(linear_model(60), None, (40, 60))


@pytest.fixture(scope="module")
def called(chip, tmp_path_factory):
    """Results of BaseCaller without and with `Calibration.json`."""
    wells, calibration = chip[1], chip[3]
    folder = tmp_path_factory.mktemp("called")
    write_calibration(folder / "Calibration.json", calibration)
    common = [f"--input-dir={wells.parent}", "--run-id=CALIB", "--num-unfiltered=50", "--libcf-ie-dr=0.006,0.005,0.001"]
    assert basecaller.main([*common, f"--output-dir={folder}/plain"]) == 0
    more = [f"--calibration-json={folder}/Calibration.json", f"--output-dir={folder}/calibrated"]
    assert basecaller.main([*common, *more]) == 0
    return folder


def test_basecaller_applies_the_file_and_puts_the_model_into_headers(chip, called):
    inserts = chip[2]
    plain, calibrated = (
        score_calls(calls_from_bam(called / name / "rawlib.basecaller.bam"), inserts)
        for name in ("plain", "calibrated")
    )
    assert calibrated.error_rate < 0.6 * plain.error_rate
    for path, n_lines in (("plain", 1), ("calibrated", 2), ("calibrated/unfiltered.trimmed", 2)):
        with open_alignments(called / path / "rawlib.basecaller.bam") as bam:
            comments = header_of(bam)["CO"]
        assert len(comments) == n_lines and "BaseCallerComments" in comments[-1]
    content = json.loads(comments[0])
    assert content["MasterKey"] == "CALIB.block_X0_Y0"
    cells = content["CALIB.block_X0_Y0"]["modelParameters"]
    assert {(chr(c["flowBase"]), c["paramA"], c["paramB"]) for c in cells} == {
        (nuc, gain, offset) for nuc, gain, offset in zip(NUCS, (1, 1, 0.8, 1), (0, 0, 0.08, 0), strict=True)
    }


def test_recall_with_the_models_of_the_header_gives_the_reads_again(chip, called, tmp_path):
    from ionanalysis.basecaller.recall import recall_bam

    _, _, inserts, _ = chip
    source = called / "calibrated/rawlib.basecaller.bam"
    counts = recall_bam(source, tmp_path / "again.bam")
    assert counts.calibrated == counts.reads - counts.kept > 100
    before, after = (score_calls(calls_from_bam(path), inserts).error_rate for path in (source, tmp_path / "again.bam"))
    assert after < 1.1 * before


@pytest.mark.parametrize("flag", ["calibration-json", "calibration-file", "model-file"])
def test_files_that_are_no_calibration_stop_basecaller_with_one_sentence(chip, tmp_path, capsys, flag):
    (tmp_path / "bad").write_text("no calibration")
    common = [f"--input-dir={chip[1].parent}", f"--output-dir={tmp_path}/out"]
    assert basecaller.main([*common, f"--{flag}={tmp_path}/bad"]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert sum("bad" in line for line in told) == 1
    assert not (tmp_path / "out").exists()


def test_two_files_for_one_model_are_refused():
    with pytest.raises(UsageError, match="holds both models"):
        load_calibration(CalibrationOptions(calibration_json="a", model_file="b"))
    assert load_calibration(CalibrationOptions()) is None


# --- histogram

EXAMPLE = [(0.95, 0, 0.960556), (1.40, 1, 1.452586), (1.45, 1, 1.495690), (0.50, -1, 0.462500), (0.46, -1, 0.424038)]


@pytest.mark.parametrize(("measured", "change", "expected"), EXAMPLE)
def test_worked_example_of_polishing(measured, change, expected):
    """basecaller.md 12.10: called 1, prediction and in-phase fraction 0.95."""
    order = FlowOrder("TACG", 8)
    solved = {
        "signal": np.zeros((1, 8), np.float32),
        "predicted": np.zeros((1, 8), np.float32),
        "inphase": np.full((1, 8), 0.95, np.float32),
        "n_runs": np.array([2], np.int32),
        "run_flow": np.zeros((1, 8), np.int16),
        "run_length": np.zeros((1, 8), np.int8),
        "losses": np.ones((1, 8, 3), np.float32),
    }
    solved["run_flow"][0, :2], solved["run_length"][0, :2] = [2, 3], 1
    solved["signal"][0, [2, 3]] = measured, 0.95
    solved["predicted"][0, [2, 3]] = 0.95
    boundaries = np.tile(np.int16([0, 4, -6, 10, 0, 0]), (1, 8, 1))
    rates = np.zeros((1, 3))
    polish_runs(solved, np.array([True]), order, rates, boundaries, 100, CalibrationOptions())
    assert solved["signal"][0, 2] == pytest.approx(expected, abs=2e-6)
    assert run_lengths(solved)[0, 2] == 1 + change


def noisy(n=60, flows=160, seed=3):
    order, rng = FlowOrder(DEFAULT_CYCLE, flows), np.random.default_rng(seed)
    starts, taken, sizes = [0], [], []
    for _ in range(n):
        gram = order.flowgram("TCAG" + "".join(rng.choice(list(NUCS), 100)))
        taken.append(np.flatnonzero(gram))
        sizes.append(gram[taken[-1]])
        starts.append(starts[-1] + len(taken[-1]))
    phase = np.tile(PHASE, (n, 1))
    signals = predict_signal(order, starts, np.concatenate(taken), np.concatenate(sizes), phase)[0]
    return order, (signals + rng.normal(0, 0.12, signals.shape)).astype(np.float32), phase


@pytest.mark.parametrize("shift", [-20, 0, 20])
def test_polished_reads_are_sequences_whose_prediction_fits(shift):
    order, signals, phase = noisy()
    solved = solve_runs(signals, order, phase, SolverOptions())
    before, signal = run_lengths(solved), solved["signal"].copy()
    boundaries = np.tile(np.int16([0, shift, shift, shift, 0, 0]), (*signals.shape, 1))
    everyone = np.ones(len(signals), bool)
    polish_runs(solved, everyone, order, phase, boundaries, 100, CalibrationOptions())
    lengths = run_lengths(solved)
    changed = (lengths != before).any(axis=1)
    if shift:
        assert changed.sum() > 5
        # A boundary that moves up makes reads shorter.
        assert np.sign((lengths - before).sum()) == -np.sign(shift)
    else:
        # A boundary that has not moved leaves calls to the solver, also those against the signal of their flow.
        step = np.abs(solved["signal"] - solved["predicted"]) / np.maximum(solved["inphase"], 1e-6)
        assert (step > 0.5).any()
        assert not changed.any()
        assert_allclose(solved["signal"], signal, atol=1e-5)
    for read in np.flatnonzero(changed):
        flows = np.flatnonzero(lengths[read])
        sequence = "".join(order.letters[flow] * lengths[read, flow] for flow in flows)
        assert_array_equal(order.flowgram(sequence), lengths[read])
        predicted = predict_signal(order, [0, len(flows)], flows, lengths[read, flows], phase[read : read + 1])[0][0]
        assert_allclose(solved["predicted"][read], predicted, atol=1e-4)


def test_reads_that_the_model_is_not_for_are_left_alone():
    order, signals, phase = noisy(20)
    solved = solve_runs(signals, order, phase, SolverOptions())
    before = {name: array.copy() for name, array in solved.items()}
    boundaries = np.tile(np.int16([0, 30, 30, 30, 0, 0]), (*signals.shape, 1))
    polish_runs(solved, np.zeros(20, bool), order, phase, boundaries, 100, CalibrationOptions())
    for name, array in before.items():
        assert_array_equal(solved[name], array)


def test_calling_applies_the_boundaries_of_each_region_to_library_reads(chip):
    made, wells = chip[0], opened(chip)
    phase = PhaseEstimate.uniform(0.006, 0.005, 0.001, wells.shape[:2])
    boundaries = np.zeros((2, 1, 1, 4, 6), np.int16)
    boundaries[1, ..., 1:4] = 25
    histogram = HistogramCalibration(offset=(0, 0), size=(40, 40), n_bins=100, window=200, boundaries=boundaries)
    models = Calibration(linear=None, histogram=histogram)
    plain, moved = (call_bases(wells, phase, calibration=given) for given in (None, models))
    library = made.truth.kind[plain.row, plain.col] != "tf"
    longer = moved.n_bases - plain.n_bases
    assert not longer[~library].any()
    lower, upper = longer[(plain.row >= 20) & library], longer[(plain.row < 20) & library]
    assert lower.mean() < -1 < upper.mean()


def test_files_that_basecaller_wrote_models_into_are_read_again(called):
    found = read_calibration(called / "Calibration.json")
    assert found.histogram is None and found.linear.block == "CALIB.block_X0_Y0"
