"""`ionanalysis run` on a small run: what it leaves, what it says, how it ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.cli.main import COMMANDS, main
from ionanalysis.io.mask import Mask, WellFlag, read_mask, write_mask
from ionanalysis.wells import WellsWriter, open_wells

TREE = """
    run.json report.html expMeta.dat ion_params_00.json explog.txt primary.key raw_peak_signal startplugin.json
    barcodes.json plugin_out download_links sigproc_results/1.wells sigproc_results/bfmask.bin
    sigproc_results/analysis.bfmask.bin sigproc_results/analysis.bfmask.stats sigproc_results/processParameters.txt
    sigproc_results/avgNukeTrace_TCAG.txt basecaller_results/rawlib.basecaller.bam basecaller_results/BaseCaller.json
    basecaller_results/datasets_pipeline.json basecaller_results/datasets_basecaller.json
    basecaller_results/TFStats.json basecaller_results/ionstats_basecaller.json
    basecaller_results/rawlib.ionstats_basecaller.json
"""


@pytest.fixture(scope="module")
def result(raw48, tmp_path_factory):
    """A result of the golden run."""
    folder = tmp_path_factory.mktemp("result") / "one"
    assert main(["run", str(raw48), "-o", str(folder), "--threads", "2"]) == 0
    return folder


def test_the_result_has_every_file(result):
    assert [name for name in TREE.split() if not (result / name).exists()] == []


def test_plugins_are_pointed_at_the_reads(result):
    entry = json.loads((result / "barcodes.json").read_text())["nonbarcoded"]
    assert entry["bam_filepath"] == str(result / "basecaller_results" / "rawlib.basecaller.bam")
    started = json.loads((result / "startplugin.json").read_text())
    assert started["expmeta"]["run_name"] == "PEER_SYN"
    assert all(started["datamanagement"].values())


def test_the_read_counts_agree_in_all_files(result):
    reads = json.loads((result / "barcodes.json").read_text())["nonbarcoded"]["read_count"]
    statistics = json.loads((result / "basecaller_results" / "ionstats_basecaller.json").read_text())
    assert reads == statistics["full"]["num_reads"] > 0


def test_a_runs_own_test_fragments_are_counted(tmp_path):
    run, result, fragment = tmp_path / "run", tmp_path / "result", tmp_path / "tf.fasta"
    fragment.write_text(">TF_own\nATCGTGAGCGATTCAACGGTAACTGACCATTGGCATGC\n")
    options = ["--level", "wells", "--size", "36x36", "--flows", "100", "--tf", "0.6", "--tf-fasta", str(fragment)]
    assert main(["simulate", str(run), *options]) == 0
    assert main(["run", str(run), "-o", str(result), "--from", "basecaller", "--to", "statistics"]) == 0
    found = json.loads((result / "basecaller_results" / "TFStats.json").read_text())
    assert list(found) == ["TF_own"] and 700 < found["TF_own"]["Num"] < 36 * 36 * 0.62


def test_peak_signal_is_that_of_the_traces(result):
    peak = re.search(r"^Library = (\d+)$", (result / "raw_peak_signal").read_text(), re.M)
    assert int(peak[1]) > 10


def test_other_threads_and_processes_give_the_same_reads(result, raw48, tmp_path):
    again = tmp_path / "again"
    assert main(["run", str(raw48), "-o", str(again), "--executor", "processes:2", "--threads", "1"]) == 0
    for name in ("sigproc_results/1.wells", "sigproc_results/analysis.bfmask.bin"):
        assert (again / name).read_bytes() == (result / name).read_bytes(), name
    assert reads_of(again) == reads_of(result)


def reads_of(result):
    import pysam

    with pysam.AlignmentFile(str(result / "basecaller_results" / "rawlib.basecaller.bam"), check_sq=False) as bam:
        return [read.to_string() for read in bam.fetch(until_eof=True)]


def test_resume_of_a_finished_result_runs_nothing(result, raw48, capsys):
    assert main(["run", str(raw48), "-o", str(result), "--resume", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["ran"] == []
    assert "basecaller: was finished before." in told.err


def test_a_former_result_can_be_called_again_elsewhere(result, tmp_path, capsys):
    again = tmp_path / "again"
    assert main(["run", str(result), "-o", str(again), "--from", "basecaller", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == json.loads((result / "run.json").read_text())["run_id"]
    assert reads_of(again) == reads_of(result)


def test_a_saved_estimate_of_phase_gives_the_same_reads(result, tmp_path, capsys):
    saved = result / "basecaller_results" / "BaseCaller.json"
    again = ["run", str(result), "--from", "basecaller", "--to", "basecaller", "-o"]
    assert main([*again, str(tmp_path / "file"), "--phase-file", str(saved)]) == 0
    assert reads_of(tmp_path / "file") == reads_of(result)
    assert main([*again, str(tmp_path / "given"), "--phase", "0.011,0.007,0.0005", "--rows", "10,30"]) == 0
    reads = [read.split("\t") for read in reads_of(tmp_path / "given")]
    assert {tag for read in reads for tag in read if tag.startswith("ZP")} == {"ZP:B:f,0.011,0.007,0.0005"}
    assert {10 <= int(read[0].split(":")[1]) < 30 for read in reads} == {True}
    capsys.readouterr()
    assert main([*again, str(tmp_path / "none"), "--phase-file", str(tmp_path / "none.json")]) == 3
    assert "none.json" in capsys.readouterr().err
    assert main([*again, str(tmp_path / "two"), "--phase", "0.011,0.007"]) == 2
    assert "CF,IE,DR must be fractions" in capsys.readouterr().err


@pytest.fixture
def small(raw48, tmp_path):
    """A copy of the golden run that may be damaged."""
    folder = tmp_path / "run"
    shutil.copytree(raw48, folder, ignore=shutil.ignore_patterns("peer", "truth", "prerun*"))
    return folder


def ended(capsys, *arguments):
    """Exit code and stderr of `ionanalysis run`."""
    code = main(["run", *map(str, arguments)])
    return code, capsys.readouterr().err


def test_a_missing_directory(capsys, tmp_path):
    code, said = ended(capsys, tmp_path / "nowhere", "-o", tmp_path / "result")
    assert code == 3
    assert "nowhere: there is no such directory" in said


def test_a_directory_without_images(capsys, tmp_path):
    (tmp_path / "run").mkdir()
    code, said = ended(capsys, tmp_path / "run", "-o", tmp_path / "result")
    assert code == 3
    assert "has neither acq_0000.dat nor blocks" in said


def test_a_truncated_image(capsys, small, tmp_path):
    image = small / "acq_0007.dat"
    image.write_bytes(image.read_bytes()[:5000])
    code, said = ended(capsys, small, "-o", tmp_path / "result")
    assert code == 3
    assert "acq_0007.dat" in said
    assert len(said.strip().splitlines()[-1].split(". ")) <= 2


def test_a_missing_image(capsys, small, tmp_path):
    (small / "acq_0011.dat").unlink()
    code, said = ended(capsys, small, "-o", tmp_path / "result")
    assert code == 3
    assert "acq_0011.dat" in said


def test_a_run_without_a_log_says_what_is_assumed(capsys, small, tmp_path):
    for log in small.glob("explog*"):
        log.unlink()
    (small / "acq_0000.dat").write_bytes((small / "acq_0001.dat").read_bytes()[:5000])
    code, said = ended(capsys, small, "-o", tmp_path / "result")
    assert code == 3
    assert "has no run log; 40 flows of TACG, key TCAG are assumed." in said


def test_too_few_flows_for_the_key(capsys, small, tmp_path):
    for log in small.glob("explog*"):
        log.write_text(re.sub(r"(?m)^Flows:.*$", "Flows: 4", log.read_text()))
    code, said = ended(capsys, small, "-o", tmp_path / "result")
    assert code == 3
    assert f"{small}: key TCAG does not fit into 4 flows" in said


@pytest.mark.parametrize("size", ["1x8", "2x8", "3x5"])
def test_a_few_wells_are_analysed_or_refused(capsys, tmp_path, size):
    assert main(["simulate", str(tmp_path / "run"), "--size", size, "--flows", "12"]) == 0
    code, said = ended(capsys, tmp_path / "run", "-o", tmp_path / "result")
    assert code == 0 or (code == 3 and "wells show a key" in said), said


@pytest.fixture
def wells_run(tmp_path):
    """Simulated wells that may be damaged, as float32 without copies."""
    folder = tmp_path / "wells"
    assert main(["simulate", str(folder), "--level", "wells", "--size", "24x24", "--flows", "60"]) == 0
    with open_wells(folder / "1.wells") as wells:
        signal, flow_order = wells[...], wells.flow_order
    with WellsWriter(folder / "1.wells", signal.shape, flow_order, dtype="float32") as writer:
        writer.write(Block(0, 0, 24, 24), signal)
    return folder


def from_wells(capsys, folder, result):
    code, said = ended(capsys, folder, "-o", result, "--from", "basecaller", "--to", "basecaller")
    return code, said, sorted(path.name for path in result.rglob("*.bam"))


@pytest.mark.parametrize("kept", [0, ~int(WellFlag.LIB) & 0xFFFF])
def test_no_library_wells(capsys, wells_run, tmp_path, kept):
    mask = read_mask(wells_run / "analysis.bfmask.bin")
    write_mask(wells_run / "analysis.bfmask.bin", Mask(mask.flags & np.uint16(kept)))
    code, said, bams = from_wells(capsys, wells_run, tmp_path / "result")
    assert (code, bams) == (3, [])
    assert "none of its 576 wells is a live library bead" in said


def test_signals_that_are_no_numbers_are_told(capsys, wells_run, tmp_path):
    mask = read_mask(wells_run / "analysis.bfmask.bin")
    row, col = np.argwhere(mask.matches(WellFlag.LIB))[0]
    with h5py.File(wells_run / "1.wells", "r+") as file:
        file["wells"][row, col, 40:43] = [np.nan, np.inf, -np.inf]
    code, said, bams = from_wells(capsys, wells_run, tmp_path / "result")
    assert code == 0 and "rawlib.basecaller.bam" in bams
    assert re.search(r"1\.wells: 3 signals of \d+ are no finite numbers; taken as 0\.", said)


def test_wells_without_a_number_are_refused(capsys, wells_run, tmp_path):
    with h5py.File(wells_run / "1.wells", "r+") as file:
        file["wells"][...] = np.nan
    code, said, bams = from_wells(capsys, wells_run, tmp_path / "result")
    assert (code, bams) == (3, [])
    assert re.search(r"none of the \d+ signals of its reads is a finite number", said)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_output_directory_without_rights(capsys, raw48, tmp_path):
    tmp_path.chmod(0o500)
    assert ended(capsys, raw48, "-o", tmp_path / "result")[0] == 3


def test_an_output_directory_below_a_file(capsys, raw48, tmp_path):
    (tmp_path / "file").write_text("")
    code, said = ended(capsys, raw48, "-o", tmp_path / "file" / "result")
    assert code == 3
    assert "cannot be made" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "moon"], "stage 'moon' is unknown"),
        (["--barcodes", "IonExpress"], "neither a file nor a shipped set"),
        (["--threads", "0"], "must be 1 or more"),
        (["--run-id", "toolong"], "must be five letters or digits"),
        (["--min-read-length", "0"], "must be at least 1"),
        (["--executor", "cloud:9"], "executor 'cloud:9' is unknown"),
        (["--shine"], "unrecognized arguments"),
    ],
)
def test_wrong_options(capsys, raw48, tmp_path, options, message):
    code, said = ended(capsys, raw48, "-o", tmp_path / "result", *options)
    assert code == 2
    assert message in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert "usage: ionanalysis" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_double_negation_and_no_empty_default(command, capsys):
    main([command, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for word in ("no-no-", "[]", "[None]", "[derived]", "STR [", "%(default)s"):
        assert word not in told


@pytest.mark.parametrize(("flag", "value"), [("--no-duds", True), ("--duds", False)])
def test_a_flag_that_says_no_has_a_plain_opposite(flag, value):
    from ionanalysis.cli.main import build_parser

    args = build_parser().parse_args(["run", "in", "-o", "out", flag, "--no-trim-zm"])
    assert vars(args)["BeadfindOptions.no_duds"] is value
    assert vars(args)["FlowTagOptions.trim_zm"] is False


def test_another_barcode_set_leaves_nothing_of_the_former(tmp_path):
    run, result = tmp_path / "run", tmp_path / "result"
    options = [
        "--level",
        "wells",
        "--size",
        "36x36",
        "--flows",
        "100",
        "--barcodes",
        "IonXpress",
        "--barcode-count",
        "2",
    ]
    assert main(["simulate", str(run), *options]) == 0
    start = ["run", str(run), "-o", str(result), "--from", "basecaller", "--to", "statistics"]
    assert main([*start, "--barcodes", "IonXpress"]) == 0
    assert len(list(result.rglob("IonXpress_00[12]_rawlib*"))) == 8
    assert main([*start, "--barcodes", "IonCode"]) == 0
    assert list(result.rglob("IonXpress*")) == []


def test_paths_with_dots_are_recorded_without(raw48, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["run", str(raw48), "-o", "../there/../there", "--to", "beadfind"]) == 0
    params = json.loads((tmp_path / "there" / "ion_params_00.json").read_text())
    assert params["resultsName"] == "there"


def test_termination_leaves_with_4_and_resume_finishes(raw48, tmp_path):
    """What a cluster does at a time limit."""
    command = [sys.executable, "-m", "ionanalysis.cli.main", "run", str(raw48), "-o", str(tmp_path / "result")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("sigproc"):
                process.send_signal(signal.SIGTERM)
                break
        said = process.stderr.read()
    assert process.returncode == 4
    assert "interrupted in stage sigproc" in said
    assert "--resume finishes it" in said
    finished = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    assert "beadfind: was finished before." in finished.stderr
    assert (tmp_path / "result" / "report.html").exists()
