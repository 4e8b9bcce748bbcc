"""justBeadFind, Analysis and BaseCaller as the original's pipeline calls them."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ionanalysis.cli.legacy import analysis, basecaller
from ionanalysis.cli.legacy.analysis_flags import ANALYSIS_FLAGS
from ionanalysis.cli.legacy.basecaller_flags import BASECALLER_FLAGS
from ionanalysis.cli.legacy.effects import apply_flags, help_text, target_of
from ionanalysis.errors import ChecksumError, InputError, NoLiveBeadsError, UsageError
from ionanalysis.io.dat import read_dat, write_dat
from ionanalysis.io.fit_parameters import read_fit_parameters


@pytest.fixture(scope="module")
def called(raw48, tmp_path_factory):
    """Output of the three programs, called with the document's command strings."""
    folder = tmp_path_factory.mktemp("legacy")
    tail = f"--librarykey=TCAG --tfkey=ATCG --no-subdir --output-dir={folder}/sigproc_results {raw48}"
    config = "/opt/ion/config"
    assert analysis.main_beadfind(shlex.split(f"--args-json {config}/args_314_beadfind.json {tail}")) == 0
    assert analysis.main_analysis(shlex.split(f"--args-json {config}/args_314_analysis.json {tail}")) == 0
    arguments = (
        "--barcode-filter 0.01 --barcode-filter-minreads 20 --phasing-residual-filter=2.0 --max-phasing-levels 2 "
        f"--input-dir={folder}/sigproc_results --librarykey=TCAG --tfkey=ATCG --run-id=ABCDE "
        f"--output-dir={folder}/basecaller_results --block-offset 0,0 -n 2 --num-unfiltered 1000 "
        "--trim-adapter ATCACCGACTGCCCATAGAGAGGCTGAGAC --wells-normalization on"
    )
    assert basecaller.main(shlex.split(arguments)) == 0
    return folder


def test_the_programs_leave_the_originals_files(called):
    for name in ("1.wells", "bfmask.bin", "analysis.bfmask.bin", "analysis.bfmask.stats", "processParameters.txt"):
        assert (called / "sigproc_results" / name).exists(), name
    for name in ("rawlib.basecaller.bam", "BaseCaller.json", "datasets_basecaller.json"):
        assert (called / "basecaller_results" / name).exists(), name


@pytest.mark.parametrize("level", [0, 1])
def test_fit_parameters_are_written_where_they_are_asked_for(called, raw48, tmp_path, level):
    for name in ("bfmask.bin", "beadfind.h5"):
        shutil.copyfile(called / "sigproc_results" / name, tmp_path / name)
    (tmp_path / "fit_parameters.h5").write_bytes(b"of a former fit")
    words = [f"--output-dir={tmp_path}", "--flowlimit=12", f"--bkg-debug-param={level}", str(raw48)]
    assert analysis.main_analysis(words) == 0
    assert (tmp_path / "1.wells").exists()
    assert (tmp_path / "fit_parameters.h5").exists() == (level > 0)
    if level:
        assert read_fit_parameters(tmp_path / "fit_parameters.h5").flows["zero_level"].shape == (1, 12, 2)


def test_the_run_id_of_the_command_line_names_the_reads(called):
    told = json.loads((called / "basecaller_results" / "BaseCaller.json").read_text())
    assert told["BaseCaller"]["run_id"] == "ABCDE"


def test_notes_are_said_once_each(called, capsys):
    arguments = f"--input-dir={called}/sigproc_results --output-dir={called}/two --window-size 20 --window-size 30"
    assert basecaller.main(arguments.split()) == 0
    assert capsys.readouterr().err.count("--window-size is accepted without effect") == 1


def call_again(called, folder, *options):
    """`Phasing` of BaseCaller.json after another call on the same wells."""
    arguments = [f"--input-dir={called}/sigproc_results", f"--output-dir={folder}", "--num-unfiltered=0", *options]
    assert basecaller.main(arguments) == 0
    return json.loads((folder / "BaseCaller.json").read_text())["Phasing"]


def test_phase_alone_is_written_and_can_be_used(called, tmp_path):
    arguments = [f"--input-dir={called}/sigproc_results", f"--output-dir={tmp_path}/phase", "--just-phase-estimation"]
    arguments.append("--wells-normalization=on")
    assert basecaller.main(arguments) == 0
    assert [path.name for path in (tmp_path / "phase").iterdir()] == ["PhaseEstimates.json"]
    path = tmp_path / "phase" / "PhaseEstimates.json"
    estimated = json.loads(path.read_text())
    assert estimated["Phasing"] == json.loads((called / "basecaller_results/BaseCaller.json").read_text())["Phasing"]
    other = {**estimated["Phasing"], "CFbyRegion": [0.0125], "RegionRows": 1, "RegionCols": 1}
    other |= {"IEbyRegion": [0.01], "DRbyRegion": [0.001], "CFErrorByRegion": [None], "ReadsByRegion": [9]}
    other |= {"IEErrorByRegion": [None], "DRErrorByRegion": [None]}
    path.write_text(json.dumps({"Phasing": other}))
    assert call_again(called, tmp_path / "two", f"--phase-estimation-file={path}")["CFbyRegion"] == [0.0125]


def test_phase_of_the_command_line_is_used(called, tmp_path):
    used = call_again(called, tmp_path, "--libcf-ie-dr", "0.011,0.007,0.002")
    assert (used["CF"], used["IE"], used["DR"]) == (0.011, 0.007, 0.002)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"Phasing": 5}', '{"RegionRows": 1, "RegionCols": 1, "CFbyRegion": ["x"]}', None]
)
def test_a_phase_file_that_cannot_be_used_is_noted_and_phase_estimated(called, tmp_path, capsys, content):
    path = tmp_path / "phase.json"
    if content is not None:
        path.write_text(content)
    used = call_again(called, tmp_path / "out", f"--phase-estimation-file={path}", "--wells-normalization=on")
    assert used == json.loads((called / "basecaller_results/BaseCaller.json").read_text())["Phasing"]
    assert "cannot be used, phase is estimated" in capsys.readouterr().err


def test_phase_of_the_command_line_must_be_fractions(called, tmp_path, capsys):
    arguments = [f"--input-dir={called}/sigproc_results", f"--output-dir={tmp_path}/x", "--libcf-ie-dr", "1.1,0,0"]
    assert basecaller.main(arguments) == 1
    assert "must be fractions per flow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "classes"), [(BASECALLER_FLAGS, basecaller.CLASSES), (ANALYSIS_FLAGS, analysis.CLASSES)], ids=["b", "a"]
)
def test_every_flag_sets_an_option_that_exists_or_says_why_not(table, classes):
    for flag in table.flags:
        assert target_of(flag, classes) or " " in flag.effect or len(flag.reason) > 10, flag.name


@pytest.mark.parametrize(
    ("table", "program"), [(BASECALLER_FLAGS, basecaller), (ANALYSIS_FLAGS, analysis)], ids=["basecaller", "analysis"]
)
def test_no_flag_is_swallowed(table, program):
    """An argument that the program never looks at would be ignored without a word."""
    text = Path(program.__file__).read_text()
    frame = {"help", "version", "no_subdir", "args_json", "args_beadfind_json", "thumbnail", "flow_order", "n_flows"}
    named = {flag.argument for flag in table.flags if flag.argument}
    assert {name for name in named - frame if f'"{name}"' not in text} <= {"library_key", "tf_key"}


@pytest.mark.parametrize(
    ("table", "classes"), [(BASECALLER_FLAGS, basecaller.CLASSES), (ANALYSIS_FLAGS, analysis.CLASSES)], ids=["b", "a"]
)
def test_help_says_of_every_flag_what_it_does(table, classes):
    told = help_text("Program", "usage", table, classes)
    lines = told.split("\n\n")[-1].splitlines()
    assert len(lines) == 2 * len(table.flags)
    for flag, name, words in zip(table.flags, lines[::2], lines[1::2], strict=True):
        assert flag.name in name and len(words.strip()) > 8, flag.name
    assert not re.search(r"(INT|FLOAT|TEXT)S?\d", told)


def effects(line):
    values, _ = BASECALLER_FLAGS.parse(line.split())
    return apply_flags(BASECALLER_FLAGS, values, basecaller.CLASSES, basecaller.CONVERTERS)


def test_flags_reach_the_options():
    told = effects("--min-read-length 8 --trim-qual-cutoff 12 -d --initcf-ie-dr 0.01,0.02,0.003 --region-size 20,30")
    options = {name: value for one in told.options for name, value in vars(one).items()}
    assert (options["min_read_length"], options["trim_qual_cutoff"], options["disable_all_filters"]) == (8, 12.0, True)
    assert (options["initial_cf"], options["initial_ie"], options["initial_dr"]) == (0.01, 0.02, 0.003)
    assert (options["region_rows"], options["region_cols"]) == (30, 20)


def test_the_second_spelling_of_a_key_wins():
    assert effects("--librarykey TCAGT --lib-key TCAG").arguments["library_key"] == "TCAGT"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("--barcode-filter 1.5", "barcode_filter", 0.01),
        ("--barcode-filter-minreads -1", "barcode_filter_minreads", 20),
        ("--barcode-filter-postpone 7", "barcode_filter_postpone", 0),
        ("--keynormalizer strange", "key_normalisation", "gain"),
        ("--trim-adapter off", "trim_adapter", ()),
    ],
)
def test_values_outside_are_replaced_as_in_the_original(line, field, value):
    assert next(vars(one)[field] for one in effects(line).options if field in vars(one)) == value


def test_the_block_directory_is_tried_first(tmp_path):
    block = tmp_path / "block_X10_Y20"
    block.mkdir()
    for folder in (block, tmp_path):
        (folder / "1.wells").write_text("")
        (folder / "bfmask.bin").write_text("")
    assert basecaller.find_wells({"input_dirs": (str(tmp_path),)}, (20, 10)) == [
        (block / "1.wells", block / "bfmask.bin")
    ]
    assert basecaller.find_wells({"input_dirs": (str(tmp_path),)}, (0, 0))[0][0] == tmp_path / "1.wells"


def test_wells_and_masks_come_in_pairs():
    with pytest.raises(UsageError, match="--wells names 2 files, --mask 1"):
        basecaller.find_wells({"wells": ("a", "b"), "masks": ("c",)}, (0, 0))


@pytest.mark.parametrize(
    ("error", "code"), [(ChecksumError("x"), 2), (NoLiveBeadsError("x"), 3), (InputError("x"), 1), (UsageError("x"), 1)]
)
def test_exit_codes_of_the_signal_programs(error, code):
    assert analysis.exit_code(error) == code


@pytest.mark.parametrize("program", [analysis.main_beadfind, analysis.main_analysis, basecaller.main])
def test_every_program_answers_help_and_version(program, capsys):
    assert program(["--help"]) == 0
    assert "--output-dir" in capsys.readouterr().out
    assert program([]) == 0
    assert program(["--version"]) == 0


@pytest.mark.parametrize("program", [analysis.main_beadfind, analysis.main_analysis, basecaller.main])
def test_an_unknown_option_ends_with_1(program, capsys):
    assert program(["--shine-on"]) == 1
    assert "--shine-on is unknown" in capsys.readouterr().err


def test_a_damaged_image_ends_analysis_with_2(raw48, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(raw48, run, ignore=shutil.ignore_patterns("peer", "truth"))
    path = run / "acq_0003.dat"
    image = read_dat(path)
    write_dat(path, image.frames, image.end_times_ms)
    damaged = bytearray(path.read_bytes())
    damaged[-1000] ^= 0x01
    path.write_bytes(bytes(damaged))
    assert analysis.main_analysis(["--output-dir", str(tmp_path / "out"), str(run)]) == 2
    assert "acq_0003.dat" in capsys.readouterr().err


def test_a_missing_argument_file_ends_with_1(raw48, capsys):
    assert analysis.main_analysis(["--args-json", "/nowhere/mine.json", str(raw48)]) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_analysis_without_argument_file_says_which_preset_it_takes(raw48, tmp_path, capsys):
    assert analysis.main_beadfind(["--output-dir", str(tmp_path), str(raw48)]) == 0
    assert "our preset for chip 530 is used" in capsys.readouterr().err


def test_base_calling_starts_without_what_it_does_not_need():
    # Start-up is part of every run; of these, each alone takes longer than all of our own modules.
    heavy = "'scipy', 'numba', 'matplotlib', 'pandas', 'pysam', 'multiprocessing', 'asyncio'"
    code = (
        "import sys, ionanalysis.cli.legacy.basecaller, ionanalysis.basecaller.stage; "
        f"print(sorted({{{heavy}}} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
