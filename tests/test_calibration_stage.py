"""The calibration stage within the pipeline."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ionanalysis.bam.source import header_of, open_alignments
from ionanalysis.errors import InputError
from ionanalysis.io.calibration import read_calibration
from ionanalysis.io.fasta import write_fasta
from ionanalysis.options.calibration import CalibrationFitOptions, RecalibrationOptions, ReferenceOptions
from ionanalysis.options.simulate import simulate_options
from ionanalysis.options.stage import StageOptions
from ionanalysis.pipeline import PipelineRequest, run_pipeline
from ionanalysis.simulate import simulate_chip


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wells")
    options = simulate_options(
        size=(40, 40), flows=160, level="wells", seed=6201, genome_length=50_000, nuc_gain=(1.0, 0.9, 1.0, 1.0)
    )
    simulate_chip(options).write(folder / "run")
    return folder / "run"


def analysed(wells, result, *options, notes=None, **changes):
    request = PipelineRequest(
        run_dir=wells,
        result_dir=result,
        first="calibration",
        last="basecaller",
        remake=True,
        run_id="STAGE",
        options=(StageOptions(num_unfiltered=20), CalibrationFitOptions(num_calibration_regions=(1, 1)), *options),
    )
    done = run_pipeline(replace(request, **changes), note=None if notes is None else notes.append)
    return done, result / "basecaller_results"


def comments(folder):
    with open_alignments(folder / "rawlib.basecaller.bam") as bam:
        return header_of(bam)["CO"]


def test_with_a_reference_a_calibration_is_learned_and_applied(wells, tmp_path):
    done, folder = analysed(wells, tmp_path / "result", ReferenceOptions(reference=str(wells / "reference.fasta")))
    assert done.ran == ("calibration", "basecaller")
    model = read_calibration(folder / "Calibration.json").linear
    assert model.gain[0, 0, 0, 1, 1] == pytest.approx(0.9, abs=0.015)
    assert model.block == "STAGE.block_X0_Y0"
    assert (folder / "recalibration/rawlib.basecaller.bam").is_file()
    assert len(comments(folder)) == 2 and len(comments(folder / "recalibration")) == 1
    # The phase is that of the training call.
    phases = [
        json.loads((path / "BaseCaller.json").read_text())["Phasing"] for path in (folder, folder / "recalibration")
    ]
    assert phases[0]["CF"] == phases[1]["CF"]


def test_without_a_reference_nothing_is_learned_unless_blindly(wells, tmp_path):
    done, folder = analysed(wells, tmp_path / "result")
    assert done.ran == ("calibration", "basecaller")
    assert not (folder / "Calibration.json").exists() and len(comments(folder)) == 1
    _, folder = analysed(wells, tmp_path / "result", RecalibrationOptions(recalibration="blind"))
    assert "own bases" in json.loads((folder / "Calibration.json").read_text())["Calibration"]["truth"]
    assert len(comments(folder)) == 2
    _, folder = analysed(wells, tmp_path / "result", RecalibrationOptions(recalibration="none"))
    assert not (folder / "Calibration.json").exists() and len(comments(folder)) == 1


def test_resume_skips_a_stage_that_had_nothing_to_do(wells, tmp_path):
    analysed(wells, tmp_path / "result")
    done, _ = analysed(wells, tmp_path / "result", remake=False, resume=True)
    assert done.skipped == ("calibration", "basecaller")
    reference = ReferenceOptions(reference=str(wells / "reference.fasta"))
    done, _ = analysed(wells, tmp_path / "result", reference, remake=False, resume=True)
    assert done.ran == ("calibration", "basecaller")
    done, _ = analysed(wells, tmp_path / "result", reference, remake=False, resume=True)
    assert done.skipped == ("calibration", "basecaller")


def test_a_reference_of_something_else_leaves_reads_uncalibrated_and_says_so(wells, tmp_path):
    rng = np.random.default_rng(5)
    write_fasta(tmp_path / "other.fasta", {"x": "".join(rng.choice(list("ACGT"), 5000))})
    notes = []
    _, folder = analysed(
        wells, tmp_path / "result", ReferenceOptions(reference=str(tmp_path / "other.fasta")), notes=notes
    )
    assert any("no calibration is learned" in note and "can be learned from" in note for note in notes)
    assert len(comments(folder)) == 1


def test_a_missing_reference_stops_the_run(wells, tmp_path):
    with pytest.raises(InputError, match=r"missing\.fasta"):
        analysed(wells, tmp_path / "result", ReferenceOptions(reference=str(tmp_path / "missing.fasta")))
