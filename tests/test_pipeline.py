"""The engine of the pipeline, with small stages that only write files."""

import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest

from ionanalysis.errors import InputError, InterruptedRunError, OutputError, UsageError
from ionanalysis.io.dat import write_dat
from ionanalysis.io.explog import write_explog
from ionanalysis.options.base import Options, option
from ionanalysis.pipeline import PipelineRequest, Stage, run_pipeline
from ionanalysis.pipeline.record import checksum
from ionanalysis.run import hash_run_id


@dataclass(frozen=True, kw_only=True)
class ShineOptions(Options):
    """Shine: an option of a small stage."""

    brightness: int = option(1, "how bright", least=0)
    lamp: str | None = option(None, "file that describes the lamp", names_file=True)


class Fakes:
    """Stages that count their calls."""

    def __init__(self):
        self.calls = []
        self.stop_in = None
        self.error = KeyboardInterrupt()
        names = {
            "beadfind": ("sigproc_results/bfmask.bin", ()),
            "sigproc": ("sigproc_results/1.wells", ()),
            "basecaller": ("basecaller_results/datasets_basecaller.json", (ShineOptions,)),
            "plugins": ("startplugin.json", ()),
        }
        self.stages = [
            Stage(name, self._work(name, path), lambda context, path=path: [context.result_dir / path], options)
            for name, (path, options) in names.items()
        ]

    def _work(self, name, path):
        def work(context):
            self.calls.append(name)
            if name == self.stop_in:
                raise self.error
            context.progress(1, 1)
            groups = {context.facts.run_id: {"read_count": 3, "total_bases": 300}}
            (context.result_dir / path).write_text(json.dumps({"stage": name, "read_groups": groups}))

        return work


@pytest.fixture
def fakes():
    return Fakes()


@pytest.fixture
def raw(tmp_path):
    """A run of 4 flows on 8 x 8 wells."""
    directory = tmp_path / "run"
    directory.mkdir()
    for flow in range(4):
        write_dat(directory / f"acq_{flow:04d}.dat", np.full((3, 8, 8), 8000 + flow), [66, 133, 200])
    write_explog(
        directory / "explog.txt",
        {"Experiment Name": "R_one", "Project": "yeast", "Flows": 4, "Image Map": "TACG", "ChipType": "530"},
    )
    return directory


@pytest.fixture
def call(raw, tmp_path, fakes):
    """Run the pipeline with fake stages."""
    request = PipelineRequest(run_dir=raw, result_dir=tmp_path / "result")

    def run(**changes):
        return run_pipeline(replace(request, **changes), stages=fakes.stages)

    return run


def record_of(result):
    return json.loads((result / "run.json").read_text())


def test_stages_run_in_order(call, fakes):
    result = call()
    assert fakes.calls == list(result.ran) == ["beadfind", "sigproc", "basecaller", "plugins"]
    assert (result.n_reads, result.n_bases) == (3, 300)


def test_from_and_to_choose_stages(call, fakes):
    call()
    fakes.calls.clear()
    call(first="sigproc", last="basecaller")
    assert fakes.calls == ["sigproc", "basecaller"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"last": "shine"}, "stage 'shine' is unknown; stages are beadfind"),
        ({"first": "plugins", "last": "sigproc"}, "sigproc comes before plugins"),
    ],
)
def test_stages_that_do_not_exist_are_refused(call, asked, message):
    with pytest.raises(UsageError, match=message):
        call(**asked)


def test_the_result_tells_the_experiment(call, tmp_path):
    call()
    result = tmp_path / "result"
    params = json.loads((result / "ion_params_00.json").read_text())
    assert (params["expName"], params["project"], params["flows"], params["chiptype"]) == ("R_one", "yeast", 4, "530")
    assert "Run Name = R_one\n" in (result / "expMeta.dat").read_text()
    assert (result / "primary.key").read_text() == "ResultsPK = 1\n"
    assert "Experiment Name: R_one" in (result / "explog.txt").read_text()
    assert {path.name for path in result.iterdir() if path.is_dir()} == {
        "sigproc_results",
        "basecaller_results",
        "download_links",
        "plugin_out",
    }


def test_barcodes_become_read_groups_and_a_list(call, tmp_path):
    call(barcodes="IonXpress")
    result = tmp_path / "result"
    assert (result / "barcodeList.txt").read_text().startswith("file_id IonXpress\n")
    datasets = json.loads((result / "basecaller_results" / "datasets_pipeline.json").read_text())
    assert len(datasets["read_groups"]) == 97
    run_id = record_of(result)["run_id"]
    assert datasets["read_groups"][f"{run_id}.IonXpress_001"]["barcode"]["barcode_sequence"] == "CTAAGGTAAC"


def test_the_record_tells_what_ran(call, tmp_path, raw):
    call()
    record = record_of(tmp_path / "result")
    assert record["status"] == "done"
    assert {name: stage["status"] for name, stage in record["stages"].items()} == dict.fromkeys(
        ("beadfind", "sigproc", "basecaller", "plugins"), "done"
    )
    assert record["inputs"]["acq_0002.dat"] == checksum(raw / "acq_0002.dat")
    assert record["stages"]["basecaller"]["key"]["options"] == {"ShineOptions": {"brightness": 1, "lamp": None}}
    assert record["libraries"]["numpy"] == np.__version__


def test_resume_skips_all_of_a_finished_run(call, fakes):
    call()
    fakes.calls.clear()
    result = call(resume=True)
    assert fakes.calls == []
    assert len(result.skipped) == 4


def test_resume_on_a_missing_result_starts_at_the_beginning(call, fakes):
    call(resume=True)
    assert fakes.calls[0] == "beadfind"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("x")], ids=["gone", "cut"])
def test_resume_makes_damaged_outputs_and_all_behind_them_again(call, fakes, tmp_path, damage):
    call()
    fakes.calls.clear()
    damage(tmp_path / "result" / "sigproc_results" / "1.wells")
    call(resume=True)
    assert fakes.calls == ["sigproc", "basecaller", "plugins"]


def test_resume_runs_stages_again_whose_options_changed(call, fakes):
    call()
    fakes.calls.clear()
    call(resume=True, options=(ShineOptions(brightness=2),))
    assert fakes.calls == ["basecaller", "plugins"]


def test_resume_runs_later_stages_again_after_one_stage_was_made_again(call, fakes, tmp_path):
    options = (ShineOptions(brightness=5),)
    call()
    call(remake=True, options=options, last="basecaller")
    assert "plugins" not in record_of(tmp_path / "result")["stages"]
    fakes.calls.clear()
    call(resume=True, options=options)
    assert fakes.calls == ["plugins"]


def test_resume_runs_stages_again_whose_options_name_a_file_that_changed(call, fakes, tmp_path):
    options = (ShineOptions(lamp=str(tmp_path / "lamp.json")),)
    with pytest.raises(InputError, match=r"lamp\.json"):
        call(options=options)
    (tmp_path / "lamp.json").write_text("bright")
    call(options=options)
    fakes.calls.clear()
    call(resume=True, options=options)
    assert fakes.calls == []
    (tmp_path / "lamp.json").write_text("dim")
    call(resume=True, options=options)
    assert fakes.calls == ["basecaller", "plugins"]


def test_resume_runs_everything_again_when_the_raw_data_changed(call, fakes, raw):
    call()
    fakes.calls.clear()
    write_dat(raw / "acq_0001.dat", np.full((3, 8, 8), 9000), [66, 133, 200])
    call(resume=True)
    assert len(fakes.calls) == 4


def test_an_interrupted_run_says_so_and_can_be_finished(call, fakes, tmp_path):
    fakes.stop_in = "sigproc"
    with pytest.raises(InterruptedRunError, match=r"interrupted in stage sigproc; .* --resume finishes it"):
        call()
    assert record_of(tmp_path / "result")["stages"]["sigproc"]["status"] == "interrupted"
    fakes.stop_in = None
    fakes.calls.clear()
    call(resume=True)
    assert fakes.calls == ["sigproc", "basecaller", "plugins"]


def test_resume_after_a_kill_in_the_middle_of_a_stage(call, fakes, tmp_path):
    call()
    result = tmp_path / "result"
    record = record_of(result)
    record["stages"]["basecaller"]["status"] = "running"
    (result / "run.json").write_text(json.dumps(record))
    (result / "basecaller_results" / ".rawlib.basecaller.bam.0a0a.part").write_text("half")
    fakes.calls.clear()
    call(resume=True)
    assert fakes.calls == ["basecaller", "plugins"]
    assert not list(result.rglob("*.part"))


def test_resume_after_a_kill_that_broke_the_record(call, fakes, tmp_path):
    call()
    (tmp_path / "result" / "run.json").write_text("{")
    fakes.calls.clear()
    call(resume=True)
    assert len(fakes.calls) == 4


def test_a_failed_stage_keeps_its_error_and_is_recorded(call, fakes, tmp_path):
    fakes.stop_in, fakes.error = "basecaller", InputError("no wells")
    with pytest.raises(InputError, match="no wells"):
        call()
    record = record_of(tmp_path / "result")
    assert (record["status"], record["stages"]["basecaller"]["status"]) == ("failed", "failed")


def test_a_stage_that_leaves_nothing_is_an_error(raw, tmp_path):
    stage = Stage("beadfind", lambda context: None, lambda context: [context.result_dir / "nothing"])
    request = PipelineRequest(run_dir=raw, result_dir=tmp_path / "result", last="beadfind")
    with pytest.raises(InputError, match=r"stage beadfind left no .*nothing"):
        run_pipeline(request, stages=[stage])


def test_a_finished_result_is_not_overwritten(call):
    call()
    with pytest.raises(UsageError, match="holds a finished result"):
        call()


def test_the_raw_data_are_not_mixed_with_results(call, raw):
    with pytest.raises(UsageError, match="holds the raw data"):
        call(result_dir=raw)


def test_a_file_in_the_place_of_the_result_is_refused(call, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        call(result_dir=tmp_path / "file")


def test_a_result_that_cannot_be_made_is_explained(call, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        call(result_dir=tmp_path / "file" / "result")


def test_a_missing_run_directory_is_explained(call, tmp_path):
    with pytest.raises(InputError, match="there is no such directory"):
        call(run_dir=tmp_path / "nowhere")


def test_a_directory_without_wells_is_explained(call, raw):
    with pytest.raises(InputError, match="needs wells and mask"):
        call(first="basecaller")


def test_a_missing_flow_stops_the_run_before_anything_is_written(call, raw, tmp_path):
    (raw / "acq_0002.dat").unlink()
    with pytest.raises(InputError, match="flow 2"):
        call()
    assert not (tmp_path / "result").exists()


def test_a_run_can_start_from_bare_wells(golden, tmp_path, fakes):
    result = tmp_path / "result"
    request = PipelineRequest(run_dir=golden / "calls-s60", result_dir=result, first="basecaller", run_id="GOLD1")
    run_pipeline(request, stages=fakes.stages)
    assert (result / "sigproc_results" / "1.wells").samefile(golden / "calls-s60" / "1.wells")
    assert (result / "sigproc_results" / "analysis.bfmask.bin").exists()
    params = json.loads((result / "ion_params_00.json").read_text())
    assert (params["runid"], params["flows"], params["blockArgs"]) == ("GOLD1", 400, "fromWells")


def test_the_run_id_never_depends_on_the_result_path(golden, tmp_path, fakes):
    ids = {
        run_pipeline(
            PipelineRequest(run_dir=golden / "calls-s60", result_dir=tmp_path / name, first="basecaller"),
            stages=fakes.stages,
        ).run_id
        for name in ("one", "two")
    }
    assert len(ids) == 1


def test_a_run_can_start_from_a_former_result(call, fakes, tmp_path, golden):
    request = PipelineRequest(run_dir=golden / "calls-s60", result_dir=tmp_path / "first", first="basecaller")
    first = run_pipeline(request, stages=fakes.stages)
    second = run_pipeline(
        replace(request, run_dir=tmp_path / "first", result_dir=tmp_path / "second"), stages=fakes.stages
    )
    assert second.run_id == first.run_id
    assert (tmp_path / "second" / "sigproc_results" / "1.wells").samefile(golden / "calls-s60" / "1.wells")
    # What the second run writes must not reach the first one through links.
    assert not (tmp_path / "second" / "basecaller_results" / "datasets_basecaller.json").is_symlink()


def params_of(result):
    return json.loads((result / "ion_params_00.json").read_text())


@pytest.fixture
def wells_beside_log(golden, tmp_path):
    """Bare wells with the log of their run."""
    folder = tmp_path / "wells"
    folder.mkdir()
    for name in ("1.wells", "analysis.bfmask.bin"):
        (folder / name).symlink_to(golden / "calls-s60" / name)
    write_explog(
        folder / "explog.txt",
        {"Experiment Name": "R_two", "Project": "yeast", "Flows": 400, "Image Map": "TACG", "Serial Number": "S5_7"},
    )
    return folder


@pytest.mark.golden
def test_a_log_beside_bare_wells_tells_the_experiment(wells_beside_log, tmp_path, fakes):
    request = PipelineRequest(run_dir=wells_beside_log, result_dir=tmp_path / "result", first="basecaller")
    result = run_pipeline(request, stages=fakes.stages)
    params = params_of(tmp_path / "result")
    assert (params["expName"], params["project"], params["instrumentName"]) == ("R_two", "yeast", "S5_7")
    # The wells know their flows better than the log.
    assert params["flowOrder"] == "TACGTACGTCTGAGCATCGATCGATGTACAGC"
    assert (params["blockArgs"], params["previousReport"]) == ("fromWells", str(wells_beside_log))
    assert result.run_id == hash_run_id("R_two\n\nS5_7")


def test_a_stage_made_again_keeps_the_run(golden, raw, call, fakes, tmp_path):
    first = call()
    before, folder = params_of(tmp_path / "result"), tmp_path / "result" / "sigproc_results"
    shutil.copyfile(golden / "calls-s60" / "1.wells", folder / "1.wells")
    again = call(first="basecaller")
    after = params_of(tmp_path / "result")
    assert again.run_id == first.run_id == after["runid"]
    assert {name: after[name] for name in ("expName", "project", "chiptype", "blockArgs")} == {
        name: before[name] for name in ("expName", "project", "chiptype", "blockArgs")
    }


def test_a_finished_result_is_made_again_when_the_first_stage_is_named(call, fakes):
    call()
    fakes.calls.clear()
    call(remake=True, last="beadfind")
    assert fakes.calls == ["beadfind"]


@pytest.fixture
def barcoded(golden, tmp_path, fakes):
    """A finished result with a barcode set of the user's own, and the request that made it."""
    table = tmp_path / "mine.csv"
    table.write_text("id_str,sequence,adapter,sample\nbc_1,CTAAGGTAAC,GAT,liver left\nbc_2,TAAGGAGAAC,GAT,\n")
    request = PipelineRequest(
        run_dir=golden / "calls-s60", result_dir=tmp_path / "first", first="basecaller", barcodes=str(table)
    )
    run_pipeline(request, stages=fakes.stages)
    return replace(request, barcodes=None)


@pytest.mark.golden
@pytest.mark.parametrize("place", ["same", "new"])
def test_a_former_results_barcodes_and_samples_are_taken_over(barcoded, place, tmp_path, fakes):
    request, notes = barcoded, []
    if place == "new":
        request = replace(request, run_dir=tmp_path / "first", result_dir=tmp_path / "second")
    before = (tmp_path / "first" / "basecaller_results" / "datasets_pipeline.json").read_text()
    run_pipeline(replace(request, first="plugins"), stages=fakes.stages, note=notes.append)
    after = json.loads((request.result_dir / "basecaller_results" / "datasets_pipeline.json").read_text())
    former = json.loads(before)
    assert (after["read_groups"], after["datasets"]) == (former["read_groups"], former["datasets"])
    assert [group["sample"] for group in after["read_groups"].values()] == ["none", "liver left", "none"]
    assert params_of(request.result_dir)["experimentAnalysisSettings"]["barcodeKitName"] == "mine"
    assert "barcode set mine is taken over from" in notes[0]


@pytest.mark.golden
def test_former_barcodes_are_left_out_on_request_and_in_a_run_from_the_beginning(barcoded, raw, tmp_path, fakes):
    run_pipeline(replace(barcoded, first="plugins", barcodes="none"), stages=fakes.stages)
    assert not (tmp_path / "first" / "barcodeList.txt").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "barcodeList.txt").write_text("file_id old\nbarcode 1,a,ACGT,,,,4\n")
    run_pipeline(PipelineRequest(run_dir=raw, result_dir=tmp_path / "other"), stages=fakes.stages)
    assert params_of(tmp_path / "other")["barcodeId"] == ""


@pytest.mark.parametrize(
    ("content", "message"), [("[]", "must hold an object"), ('{"flows": "many"}', "flows is 'many'")]
)
@pytest.mark.golden
def test_broken_parameters_of_a_former_result_are_explained(barcoded, tmp_path, fakes, content, message):
    (tmp_path / "first" / "ion_params_00.json").write_text(content)
    request = replace(barcoded, run_dir=tmp_path / "first", result_dir=tmp_path / "second")
    with pytest.raises(InputError, match=message):
        run_pipeline(request, stages=fakes.stages)
