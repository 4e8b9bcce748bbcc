"""BaseCaller's options of phase, wells and solver, as typed by users of the original (basecaller.md 1.9, 4.6)."""

import json

import numpy as np
import pysam
import pytest

from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.cli.legacy import basecaller
from ionanalysis.cli.legacy.basecaller_flags import BASECALLER_FLAGS
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.errors import UsageError
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.simulate import simulate


def options(line, note=lambda text: pytest.fail(text)):
    values, _ = BASECALLER_FLAGS.parse(line.split())
    effects = apply_flags(BASECALLER_FLAGS, values, basecaller.CLASSES, basecaller.CONVERTERS)
    return basecaller._options(effects, values, note)


@pytest.mark.parametrize(
    ("name", "drift"),
    [
        ("treephaser-vec", SolverOptions().gain_drift),
        ("treephaser-swan", SolverOptions().gain_drift),
        ("treephaser-adaptive", SolverOptions().gain_drift),
        # 13.6: the original silently leaves the normalisation out.
        ("treephaser-sse", SolverOptions().gain_drift),
        ("dp-treephaser", 0.0),
    ],
)
def test_solvers_are_mapped(name, drift):
    assert options(f"--dephaser {name}").solver.gain_drift == drift


@pytest.mark.parametrize(
    ("name", "reason"), [("treephaser-solve", "without normalising signals"), ("treephaser-gpu", "is unknown; choose")]
)
def test_other_solvers_are_refused_with_a_reason(name, reason, capsys):
    with pytest.raises(UsageError, match=reason):
        options(f"--dephaser {name}")
    assert basecaller.main(["--dephaser", name]) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", PhaseOptions()),
        ("--phasing-estimator spatial-refiner", PhaseOptions(estimator="joint")),
        ("--phasing-estimator spatial-refiner-2", PhaseOptions()),
        ("--phasing-estimator override", PhaseOptions(phase=(0.006, 0.004, 0.0))),
        (
            "--phasing-estimator override --initcf-ie-dr 0.01,0.02,0.001",
            PhaseOptions(phase=(0.01, 0.02, 0.001), initial_cf=0.01, initial_ie=0.02, initial_dr=0.001),
        ),
        ("--libcf-ie-dr 0.01,0.008,0.0005", PhaseOptions(phase=(0.01, 0.008, 0.0005))),
        # The values are fixed for the whole chip, whatever else is asked for.
        ("--libcf-ie-dr 0.01,0.008,0 --phase-estimation-file none.json", PhaseOptions(phase=(0.01, 0.008, 0.0))),
        ("--max-phasing-levels 2 --phasing-min-reads 3000", PhaseOptions(levels=2, region_reads=3000)),
        (
            "--phasing-num-reads 5000 --phasing-start-flow 70 --phasing-end-flow 150",
            PhaseOptions(phase_reads=5000, first_flow=70, end_flow=150),
        ),
    ],
)
def test_phase_flags_reach_the_options(line, expected):
    assert options(line).phase == expected


def test_an_unknown_estimator_is_refused():
    with pytest.raises(UsageError, match="--phasing-estimator magic is unknown"):
        options("--phasing-estimator magic")


def test_a_file_that_cannot_be_read_is_passed_over_with_a_note(tmp_path):
    notes = []
    assert options(f"--phase-estimation-file {tmp_path}/none.json", notes.append).phase == PhaseOptions()
    (tmp_path / "cut.json").write_text('{"Phasing": {"RegionRows": 1')
    assert options(f"--phase-estimation-file {tmp_path}/cut.json", notes.append).phase == PhaseOptions()
    assert ["cannot be used, phase is estimated" in note for note in notes] == [True, True]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--rows 10-20 -c 0-5", StageOptions(rows=(10, 20), cols=(0, 5))),
        ("--downsample-size 500", StageOptions(downsample_size=500)),
        ("--downsample-fraction 0.5", StageOptions(downsample_fraction=0.5)),
        ("--only-process-unfiltered-set on", StageOptions(only_process_unfiltered_set=True)),
        ("--compress-multi-taps", StageOptions(compress_multi_taps=True)),
        ("--wells-normalization on", StageOptions(wells_normalisation="fix01")),
        ("--wells-normalization off", StageOptions()),
        ("--wells-normalization keyonly", StageOptions(wells_normalisation="keyOnly")),
        ("--wells-normalization pinZero", StageOptions(wells_normalisation="pinZero")),
    ],
)
def test_flags_of_wells_reach_the_options(line, expected):
    assert options(line).stage == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--wells-normalization strange", "--wells-normalization strange is unknown"),
        ("--downsample-size 5 --downsample-fraction 0.5", "by size and by fraction"),
        ("--downsample-fraction 1.5", "at most 1"),
        ("--libcf-ie-dr 0.01,0.02", "2 values; expected 3"),
        ("--rows 10-5", "a range first-last"),
    ],
)
def test_contradictions_are_refused(line, message):
    with pytest.raises(UsageError, match=message):
        options(line)


@pytest.fixture(scope="module")
def sigproc(tmp_path_factory):
    """Directory with wells and mask of a small chip."""
    folder = tmp_path_factory.mktemp("programs")
    simulate(size=(24, 24), flows=100, seed=13, path=folder / "run", polyclonal=0.0)
    (wells,) = (folder / "run").rglob("1.wells")
    return wells.parent


def program(sigproc, out, line=""):
    assert basecaller.main(f"-i {sigproc} -o {out} --run-id PHASE -n 1 {line}".split()) == 0
    return out


def content(folder, name="BaseCaller.json"):
    return json.loads((folder / name).read_text())


def first_phase(out):
    """ZP of each read, by row and column."""
    with pysam.AlignmentFile(str(out / "rawlib.basecaller.bam"), check_sq=False) as bam:
        return {tuple(map(int, read.query_name.split(":")[1:])): list(read.get_tag("ZP")) for read in bam}


def test_a_saved_estimate_serves_a_second_call(sigproc, tmp_path):
    only = program(sigproc, tmp_path / "only", "--just-phase-estimation on")
    assert [path.name for path in only.iterdir()] == ["PhaseEstimates.json"]
    saved = content(only, "PhaseEstimates.json")
    again = program(sigproc, tmp_path / "again", f"--phase-estimation-file {only}/PhaseEstimates.json")
    assert content(again)["TrainSubset"] == saved["TrainSubset"]
    phase = PhaseEstimate.from_json(saved)
    for (row, col), values in first_phase(again).items():
        assert np.allclose(values, phase.at(row, col)[0], rtol=1e-5)
    # Each read with what the other half of the reads told.
    assert len({tuple(values) for values in first_phase(again).values()}) == 2


def test_given_phase_is_used_and_reported(sigproc, tmp_path):
    out = program(sigproc, tmp_path, "--libcf-ie-dr 0.011,0.007,0.0005")
    assert all(np.allclose(values, [0.011, 0.007, 0.0005]) for values in first_phase(out).values())
    told = content(out)
    assert told["Phasing"]["CF"] == pytest.approx(0.011)
    assert "TrainSubset" not in told


def test_sums_of_files_are_called(sigproc, tmp_path):
    wells, mask = f"{sigproc}/1.wells", f"{sigproc}/analysis.bfmask.bin"
    one = program(sigproc, tmp_path / "one")
    two = program(sigproc, tmp_path / "two", f"--wells {wells},{wells} --mask {mask},{mask}")
    # Twice the signal, and the same reads once the key has scaled it.
    assert first_phase(one).keys() == first_phase(two).keys()
    assert content(two)["BaseCaller"]["filename_wells"] == [wells, wells]
    three = program(sigproc, tmp_path / "three", f"-i {sigproc},{sigproc}")
    assert first_phase(three) == first_phase(two)


def test_what_would_be_something_else_is_refused(sigproc, tmp_path, capsys):
    wells, mask = f"{sigproc}/1.wells", f"{sigproc}/analysis.bfmask.bin"
    for line, message in (
        ("--diagonal-state-prog on", "no diagonal states"),
        ("--rows 90-100", "outside of the block"),
        (f"--wells {','.join([wells] * 9)} --mask {','.join([mask] * 9)}", "expected 1 to 8"),
    ):
        assert basecaller.main(f"-i {sigproc} -o {tmp_path}/out {line}".split()) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_a_block_is_called_in_chip_coordinates(sigproc, tmp_path):
    out = program(sigproc, tmp_path, "--block-offset 1000,2000 --rows 4-12 --cols 6-20")
    places = np.array(list(first_phase(out)))
    assert places[:, 0].min() >= 2004
    assert places[:, 0].max() < 2012
    assert places[:, 1].min() >= 1006
    assert places[:, 1].max() < 1020


def test_missing_masks_are_replaced_folder_by_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.wells").write_text("")
        (tmp_path / name / "bfmask.bin").write_text("")
    asked = {
        "input_dirs": (f"{tmp_path}/a", f"{tmp_path}/b"),
        "wells": (f"{tmp_path}/a/1.wells", f"{tmp_path}/b/1.wells"),
        "masks": (f"{tmp_path}/a/none.bin", f"{tmp_path}/b/none.bin"),
    }
    assert [mask for _, mask in basecaller.find_wells(asked, (0, 0))] == [
        tmp_path / "a/bfmask.bin",
        tmp_path / "b/bfmask.bin",
    ]
