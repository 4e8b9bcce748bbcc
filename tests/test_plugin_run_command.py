"""`ionanalysis plugin run`, and plugins at the end of `ionanalysis run`."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from plugin_results import make_result

from ionanalysis.cli.main import main
from ionanalysis.io.jsonfile import read_json
from ionanalysis.plugin.results import read_results

SHELL = '#!/bin/bash\nVERSION="1.2.3.4"\n'

ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home for plugins; `install` in it makes shell plugins."""
    monkeypatch.setenv("IONANALYSIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IONANALYSIS_PLUGINS", raising=False)

    def install(name, lines, **settings):
        folder = tmp_path / "sources" / name
        folder.mkdir(parents=True)
        (folder / "launch.sh").write_text(f"{SHELL}{lines}\n")
        if settings:
            (folder / "pluginsettings.json").write_text(json.dumps(settings))
        assert main(["plugin", "install", str(folder)]) == 0

    return install


@pytest.fixture
def result(tmp_path):
    return make_result(tmp_path)


def called(capsys, *arguments):
    """Exit code, lines on stdout, text on stderr."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_a_plugin_is_run_by_hand(home, result, capsys):
    home("Counts", 'echo "$PLUGINCONFIG__N $RUNPLUGIN__RUN_MODE" > counted')
    code, out, err = called(capsys, "plugin", "run", "Counts", result, "--config", '{"n": 3}')
    folder = result / "plugin_out" / "Counts_out.1"
    assert (code, out) == (0, [str(folder)])
    assert err.startswith("Counts (default): Completed, ")
    assert (folder / "counted").read_text() == "3 manual\n"


def test_json_tells_all(home, result, capsys):
    home("A", "true")
    home("B", "exit 4")
    code, out, err = called(capsys, "plugin", "run", "A", "B", result, "--json")
    told = {one["name"]: one for one in json.loads("\n".join(out))}
    assert {name: one["state"] for name, one in told.items()} == {"A": "Completed", "B": "Error"}
    assert told["B"]["jobs"][0]["exit_code"] == 4
    log = result / "plugin_out" / f"B_out.{told['B']['id']}" / "drmaa_stdout.txt"
    assert (code, err.splitlines()[-1]) == (3, f"ionanalysis plugin: B: did not complete; see {log}.")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["Gone", "RESULT"], 3, "Gone: is not installed in"),
        (["A", "nowhere"], 3, "nowhere: is no directory"),
        (["A", "EMPTY"], 3, "ion_params_00.json: cannot be read"),
        (["A", "RESULT", "--config", "{"], 2, "--config {: is no JSON"),
        (["A", "RESULT", "--config", "[1]"], 2, "--config [1]: must be an object"),
        (["A", "B", "RESULT", "--config", '{"n": 1}'], 2, "with several plugins"),
        (["A", "B", "RESULT", "--result-id", "1"], 2, "belongs to one plugin"),
        (["A", "RESULT", "--result-id", "9"], 2, "plugin result 9 of A is not in"),
        (["A", "RESULT", "--plugin-slots", "0"], 2, "slots is 0; it must be at least 1"),
    ],
)
def test_what_is_wrong_is_told(home, result, tmp_path, capsys, arguments, code, message):
    home("A", "true")
    home("B", "true")
    (tmp_path / "empty").mkdir()
    places = {"RESULT": result, "EMPTY": tmp_path / "empty"}
    ended, _, err = called(capsys, "plugin", "run", *(places.get(word, word) for word in arguments))
    assert (ended, message in err) == (code, True), err
    assert not (tmp_path / "empty" / "plugin_out").exists()


def test_configurations_come_by_name_or_from_a_file(home, result, tmp_path, capsys):
    for name in "AB":
        home(name, "echo $PLUGINCONFIG__N > n")
    (tmp_path / "config.json").write_text('{"A": {"n": 1}, "B": {"n": 2}}')
    code, out, _ = called(capsys, "plugin", "run", "A", "B", result, "--config", f"@{tmp_path}/config.json")
    assert (code, [(Path(folder) / "n").read_text() for folder in out]) == (0, ["1\n", "2\n"])


def test_a_level_without_jobs_is_told(home, result, capsys):
    home("A", "true")
    code, out, err = called(capsys, "plugin", "run", "A", result, "--level", "last")
    assert (code, out, err) == (0, [], "A: has nothing to do here: it has no job at the levels asked for.\n")


def test_termination_stops_the_plugins(home, result, tmp_path):
    home("Long", "sleep 985.5")
    command = [sys.executable, "-m", "ionanalysis.cli.main", "plugin", "run", "Long", str(result)]
    inherited = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=inherited)
    record = result / "plugin_jobs" / "1.json"
    end = time.monotonic() + 60
    while not (record.exists() and '"Started"' in record.read_text()):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert read_json(record)["jobs"][0]["state"] == "Cancelled"


def test_a_record_that_was_tampered_with_is_left_out(home, result):
    home("A", "true")
    assert main(["plugin", "run", "A", str(result)]) == 0
    path = result / "plugin_jobs" / "1.json"
    content = read_json(path)
    for change in ({"name": "../../x"}, {"id": 2}, {"jobs": [1]}, {"jobs": [{"id": "x"}]}, {"n_bytes": "many"}):
        path.write_text(json.dumps({**content, **change}))
        assert read_results(result) == []
    path.write_text(json.dumps(content))
    assert [one.name for one in read_results(result)] == ["A"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_plugins(home, result, number):
    pytest.importorskip("uvicorn", reason="the extra [plugin] is not installed")
    home("Long", "sleep 983.5")
    command = [sys.executable, "-m", "ionanalysis.cli.main", "plugin", "serve", str(result)]
    inherited = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=inherited)
    try:
        address, _, key = process.stdout.readline().strip().partition("?key=")
        asked = urllib.request.Request(
            f"{address}rundb/api/v1/results/1/plugin/",
            json.dumps({"plugin": "Long"}).encode(),
            {"Cookie": f"ionanalysis_key={key}", "X-Requested-With": "ionanalysis"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.status == 202
        end = time.monotonic() + 60
        while [one.state for one in read_results(result)] != ["Started"]:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [one.state for one in read_results(result)] == ["Cancelled"]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A finished result of a small simulated chip's wells."""
    folder = tmp_path_factory.mktemp("simulated")
    assert main(["simulate", str(folder / "run"), "--size", "20x20", "--flows", "60", "--level", "wells"]) == 0
    assert main(["run", str(folder / "run"), "-o", str(folder / "result"), "--from", "basecaller"]) == 0
    return folder


def again(simulated, *arguments):
    return main(["run", str(simulated / "run"), "-o", str(simulated / "result"), "--from", "basecaller", *arguments])


def test_a_run_launches_plugins_at_its_end(home, simulated, capsys):
    home("Shows", 'echo "$RUNPLUGIN__RUN_MODE" > shown_block.html')
    home("Fails", "exit 1")
    home("Large", "true", runtypes=["composite"])
    assert again(simulated, "--plugins", "Shows,Fails,Large") == 0
    err = capsys.readouterr().err
    assert "Fails (default): Error" in err
    assert "Large: has nothing to do here: it takes no wholechip reports by itself." in err
    result = simulated / "result"
    (shown,) = result.glob("plugin_out/Shows_out.*")
    assert (shown / "shown_block.html").read_text() == "pipeline\n"
    report = (result / "report.html").read_text()
    assert "pipeline\n" in report
    assert "It ended with exit code 1." in report


def test_a_run_takes_a_configuration_for_its_plugins(home, simulated, tmp_path, capsys):
    home("Asks", 'echo "depth $PLUGINCONFIG__DEPTH" > asks_block.html')
    plan = tmp_path / "plan.json"
    plan.write_text('{"Asks": {"depth": 12}, "Another": {}}')
    assert again(simulated, "--plugins", "Asks", "--plugin-config", str(plan)) == 0
    assert "depth 12\n" in (simulated / "result" / "report.html").read_text()
    for text in ("[]", '{"Asks": 1}', "{"):
        plan.write_text(text)
        assert again(simulated, "--plugins", "Asks", "--plugin-config", str(plan)) == 3
        assert f"run: {plan}: " in capsys.readouterr().err


def test_resume_knows_that_plugins_have_run(home, simulated, capsys):
    home("Shows", "echo run > shown_block.html")
    assert again(simulated, "--plugins", "Shows") == 0
    there = len(list((simulated / "result" / "plugin_jobs").iterdir()))
    assert again(simulated, "--plugins", "Shows", "--resume") == 0
    assert "Completed" not in capsys.readouterr().err.partition("plugins: was finished before")[2]
    assert len(list((simulated / "result" / "plugin_jobs").iterdir())) == there
    # Another plugin is launched, and nothing else made again.
    home("Other", "true")
    assert again(simulated, "--plugins", "Other", "--resume") == 0
    err = capsys.readouterr().err
    assert "report: was finished before" in err
    assert "Other (default): Completed" in err


def test_a_launch_by_hand_leaves_a_result_that_resume_takes_as_whole(home, simulated, capsys):
    home("Late", "echo late > late_block.html")
    assert again(simulated) == 0
    assert main(["plugin", "run", "Late", str(simulated / "result")]) == 0
    assert again(simulated, "--resume") == 0
    assert "report: was finished before" in capsys.readouterr().err
    assert "late\n" in (simulated / "result" / "report.html").read_text()


def test_a_plugin_that_is_not_installed_stops_a_run_before_it_starts(home, simulated, tmp_path, capsys):
    code = main(
        ["run", str(simulated / "run"), "-o", str(tmp_path / "new"), "--from", "basecaller", "--plugins", "Gone"]
    )
    assert (code, "Gone: is not installed in" in capsys.readouterr().err) == (3, True)
    assert not (tmp_path / "new").exists()


def test_levels_start_while_blocks_run(home, tmp_path, monkeypatch, capsys):
    """Bead finding waits here for level `pre`, putting blocks together for level `block` of all of them."""
    lines = """
        cp startplugin.json $ANALYSIS_DIR/$RUNPLUGIN__RUNLEVEL$RUNPLUGIN__BLOCKID.json
        [ -z "$RUNPLUGIN__BLOCKID" ] || cp barcodes.json $ANALYSIS_DIR/barcodes$RUNPLUGIN__BLOCKID.json
        touch $ANALYSIS_DIR/seen_$RUNPLUGIN__RUNLEVEL$RUNPLUGIN__BLOCKID
    """
    home("Levels", lines, runlevels=["pre", "block", "default", "post"], runtypes=["composite"])
    run, result = tmp_path / "run", tmp_path / "result"
    assert main(["simulate", str(run), "--size", "24x48", "--flows", "40", "--blocks", "1x2"]) == 0
    blocks = ("X0_Y0", "X24_Y0")
    at_merge = []

    def waits_for(place, *names):
        module, _, function = place.rpartition(".")
        original = getattr(importlib.import_module(module), function)

        def wait(*arguments, **named):
            end = time.monotonic() + 60
            while not all((result / f"seen_{name}").exists() for name in names):
                assert time.monotonic() < end, f"{names} have not started before {function}"
                time.sleep(0.02)
            at_merge.extend(sorted(path.name for path in result.glob("seen_*")))
            return original(*arguments, **named)

        monkeypatch.setattr(place, wait)

    waits_for("ionanalysis.sigproc.blocks.merge_beadfind", "pre")
    waits_for("ionanalysis.basecaller.merging.merge_blocks", *(f"block{name}" for name in blocks))
    assert main(["run", str(run), "-o", str(result), "--plugins", "Levels"]) == 0
    assert at_merge == ["seen_pre", "seen_blockX0_Y0", "seen_blockX24_Y0", "seen_pre"]
    for name in blocks:
        told = read_json(result / f"block{name}.json")
        assert told["runplugin"]["blockId"] == name and told["runplugin"]["numBlocks"] == 2
        assert told["runinfo"]["basecaller_dir"] == f"{result}/basecaller_results/block_{name}"
        (reads,) = read_json(result / f"barcodes{name}.json").values()
        assert Path(reads["bam_filepath"]).is_file() and f"block_{name}" in reads["bam_filepath"]
    (record,) = read_results(result)
    assert [(job["level"], job["block"]) for job in record.jobs] == [
        ("pre", ""), *(("block", name) for name in blocks), ("default", ""), ("post", ""),
    ]  # fmt: skip
    assert {job["state"] for job in record.jobs} == {"Completed"}
    # What was there when level `pre` started: no results yet.
    assert read_json(result / "pre.json")["runplugin"]["runlevel"] == "pre"
    # Blocks that are kept are told of at once, and the launch begins anew.
    (result / "basecaller_results" / "rawlib.basecaller.bam").unlink()
    assert main(["run", str(run), "-o", str(result), "--plugins", "Levels", "--resume"]) == 0
    assert "basecaller: 2 of 2 blocks were finished before" in capsys.readouterr().err
    assert [len(record.jobs) for record in read_results(result)] == [5, 5]
