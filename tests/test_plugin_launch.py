"""Plugins in their processes: what they get, what they leave, and that none harms another."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from plugin_results import make_result, python_plugin, shell_plugin

from ionanalysis.errors import UsageError
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.jobs import LocalExecutor
from ionanalysis.plugin.launch import Launch, LaunchRequest
from ionanalysis.plugin.live import launch_plugins
from ionanalysis.plugin.results import read_results


def launch(result, *plugins, slots=2, options=(), **request):
    """Launch plugins and wait; records by plugin."""
    request = LaunchRequest(
        result_dir=result,
        plugins=plugins,
        installed=request.pop("installed", plugins),
        options=PluginOptions(slots=slots, **dict(options)),
        **{"manual": True, **request},
    )
    return {record.name: record for record in launch_plugins(request)}


@pytest.fixture
def result(tmp_path):
    return make_result(tmp_path)


@pytest.fixture
def plugin(tmp_path):
    return lambda name, lines, **facts: shell_plugin(tmp_path / "plugins", name, lines, **facts)


def log_of(record):
    return (record.folder / "drmaa_stdout.txt").read_text(errors="replace")


def last_job(record):
    return record.jobs[-1]


def test_a_plugin_finds_its_inputs_and_variables(result, plugin):
    shown = "DIRNAME PLUGINNAME RESULTS_DIR ANALYSIS_DIR TSP_RUNID TSP_RUNTYPE RUNPLUGIN__RUN_MODE PLUGINCONFIG__DEPTH"
    lines = (
        f'for name in {shown} JOB_NAME; do echo "$name=${{!name}}"; done > variables.txt\ncat "$json_fname" > copy.json'
    )
    one = plugin("Shows", lines)
    record = launch(result, one, instance_configs={"Shows": {"depth": 20}})["Shows"]
    assert record.state == "Completed"
    folder = result / "plugin_out" / "Shows_out.1"
    assert record.folder == folder.resolve()
    assert dict(line.split("=", 1) for line in (folder / "variables.txt").read_text().splitlines()) == {
        "DIRNAME": str(one.info.path),
        "PLUGINNAME": "Shows",
        "RESULTS_DIR": str(folder),
        "ANALYSIS_DIR": str(result),
        "TSP_RUNID": "ABCDE",
        "TSP_RUNTYPE": "wholechip",
        "RUNPLUGIN__RUN_MODE": "manual",
        "PLUGINCONFIG__DEPTH": "20",
        "JOB_NAME": "ion_plugin_Shows",
    }
    started = json.loads((folder / "copy.json").read_text())
    assert started["pluginconfig"] == {"depth": 20}
    assert (started["runinfo"]["pluginresult"], started["runinfo"]["plugin"]["id"]) == (1, 1)
    assert json.loads((folder / "barcodes.json").read_text())["nonbarcoded"]["read_count"] == 7


def test_the_log_tells_what_the_original_tells(result, plugin):
    record = launch(result, plugin("Talks", "echo to stdout; echo to stderr >&2"))["Talks"]
    log = log_of(record)
    for line in (
        "plugin: Talks",
        "version: 1.0.0.0",
        "Talks: starting execution of plugin code",
        "to stdout",
        "to stderr",
    ):
        assert f"\n{line}\n" in f"\n{log}"
    assert log.count("=" * 79) == 2
    assert "\npluginelapsedtime: Talks," in log


def test_files_are_open_to_all_and_no_core_is_written(result, plugin):
    record = launch(result, plugin("Writes", "touch made; mkdir sub; ulimit -c > core_limit"))["Writes"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (record.folder / "made", record.folder / "sub")}
    assert modes == {"made": 0o666, "sub": 0o777}
    assert (record.folder / "core_limit").read_text() == "0\n"
    assert stat.S_IMODE((result / "plugin_out").stat().st_mode) == 0o777
    assert stat.S_IMODE(record.folder.stat().st_mode) == 0o775
    assert os.access(record.folder / "ion_plugin_Writes_launch.sh", os.X_OK)


@pytest.mark.parametrize(
    ("lines", "state", "code", "reason"),
    [
        ("true", "Completed", 0, ""),
        ("exit 0", "Completed", 0, ""),
        ("exit 3", "Error", 3, "It ended with exit code 3."),
        ("false\ntrue", "Error", 1, "It ended with exit code 1."),
        ("if then", "Error", 2, "It ended with exit code 2."),
        ("kill -SEGV $BASHPID", "Error", 139, "It was killed by signal SIGSEGV."),
    ],
)
def test_exit_codes_become_states(result, plugin, lines, state, code, reason):
    record = launch(result, plugin("Ends", lines))["Ends"]
    job = last_job(record)
    assert (job["state"], job["exit_code"], job["reason"]) == (state, code, reason)
    assert record.state == state


PYTHON = """
import json
from ion.plugin import *
class Own(IonPlugin):
    version = "1.0.0.0"
    def pre_launch(self, data=None):
        return not self.startplugin["pluginconfig"].get("decline")
    def launch(self, data=None):
        print("level", self.startplugin["runplugin"]["runlevel"])
        self.results = {"pk": self.startplugin["runinfo"]["pk"]}
        return self.startplugin["pluginconfig"].get("answer", True)
if __name__ == "__main__":
    PluginCLI()
"""


@pytest.mark.parametrize(
    ("config", "state", "store", "notes"),
    [
        ({}, "Completed", {"pk": 1}, []),
        ({"decline": True}, "Declined", {}, []),
        (
            {"answer": False},
            "Completed",
            {},
            ["launch() returned False: results and output were not written."],
        ),
    ],
)
def test_what_a_python_plugin_says_is_recorded(result, tmp_path, config, state, store, notes):
    one = python_plugin(tmp_path / "plugins", "Own", PYTHON)
    record = launch(result, one, instance_configs={"Own": config})["Own"]
    assert (record.state, record.content["store"], last_job(record)["notes"]) == (state, store, notes)
    assert ("level default" in log_of(record)) == (state == "Completed")


def test_names_and_versions_are_quoted(result, plugin, tmp_path):
    one = plugin("Quoted", "echo ok", version='1"; touch injected; "$(touch injected)')
    record = launch(
        result, one, instance_configs={"Quoted": {"a": "$(touch injected) `touch injected` '\"; touch injected"}}
    )
    assert record["Quoted"].state == "Completed"
    assert not list(tmp_path.rglob("injected"))


def test_results_are_taken_over(result, plugin):
    record = launch(result, plugin("Stores", """echo '{"depth": 31.5}' > results.json"""))["Stores"]
    assert record.content["store"] == {"depth": 31.5}
    assert record.content["n_files"] >= 4


def test_a_broken_results_file_is_noted(result, plugin):
    record = launch(result, plugin("Stores", "echo '[1' > results.json"))["Stores"]
    assert record.state == "Completed"
    assert "results.json is not taken over" in last_job(record)["notes"][0]


def test_a_defect_of_ours_ends_the_job(result, plugin, monkeypatch):
    def fail(*arguments, **more):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ionanalysis.plugin.launch.launch_script", fail)
    record = launch(result, plugin("One", "true"))["One"]
    assert (record.state, "defect of ionanalysis (ZeroDivisionError: oh)" in last_job(record)["reason"]) == (
        "Error",
        True,
    )


OUTPUT = {"meta_data": {"plugin_name": "Makes"}, "sections": [{"type": "html", "title": "Deep", "content": "31 x"}]}


def test_output_json_becomes_a_page(result, plugin):
    record = launch(result, plugin("Makes", f"echo '{json.dumps(OUTPUT)}' > output.json"))["Makes"]
    assert record.state == "Completed"
    assert "31 x" in (record.folder / "ion_Makes_report.html").read_text()
    assert launch(result, plugin("Breaks", "echo '[' > output.json"))["Breaks"].state == "Completed"


def test_the_script_runs_by_hand(result, plugin):
    record = launch(
        result, plugin("Again", 'echo "$TSP_RUNID $PLUGINCONFIG__A" >> ran'), instance_configs={"Again": {"a": 1}}
    )
    folder = record["Again"].folder
    inherited = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", folder / "ion_plugin_Again_launch.sh", "-j", "startplugin.json"],
        cwd=folder, capture_output=True, text=True, env=inherited, check=True,
    )  # fmt: skip
    assert "Again: starting execution" in done.stdout
    assert (folder / "ran").read_text() == "ABCDE 1\n" * 2


def test_records_survive_a_plugin_that_empties_its_folder(result, plugin):
    record = launch(result, plugin("Empties", "echo before; rm -rf ./* ; echo after"))["Empties"]
    assert record.state == "Completed"
    assert "after" in log_of(record)
    assert [one.state for one in read_results(result)] == ["Completed"]


def test_levels_run_in_their_folders_with_their_inputs(tmp_path, plugin):
    result = make_result(tmp_path, kind="composite", blocks=("X0_Y0", "X8_Y0"))
    lines = (
        'echo "$RUNPLUGIN__RUNLEVEL $RUNPLUGIN__BLOCKID $PWD $RAW_DATA_DIR" >> "$RUNINFO__PLUGIN__RESULTS_DIR/../all"'
    )
    one = plugin("Levels", lines, runlevels=("pre", "block", "default", "post", "last"))
    record = launch(result, one)["Levels"]
    raw = tmp_path / "raw"
    main = result / "plugin_out" / "Levels_out.1"
    told = (result / "plugin_out" / "all").read_text().splitlines()
    blocks = [f"block {b} {result}/block_{b}/plugin_out/Levels_out.1 {raw}/{b}" for b in ("X0_Y0", "X8_Y0")]
    assert sorted(told[1:4]) == sorted([*blocks, f"default  {main} {raw}"])
    assert told[0] == f"pre  {main} {raw}"
    assert told[-2:] == [f"post  {main}/post {raw}", f"last  {main} {raw}"]
    holds = {(job["level"], job["block"]): job["holds"] for job in record.jobs}
    assert holds[("post", "")] == [4, 2, 3]
    started = json.loads((main / "post" / "startplugin.json").read_text())
    assert started["runinfo"]["plugin"]["hold_jid"] == [4, 2, 3]
    assert (started["runinfo"]["plugin"]["jid"], started["runinfo"]["plugin"]["block_jid"]) == (4, [2, 3])


def test_a_failed_dependency_does_not_stop_its_dependent(result, plugin, tmp_path):
    first = plugin("First", "sleep 0.3; touch ../first_done; exit 1")
    then = plugin("Then", "test -e ../first_done; cp startplugin.json seen.json", depends=("First",))
    records = launch(result, then, first)
    assert (records["First"].state, records["Then"].state) == ("Error", "Completed")
    seen = json.loads((records["Then"].folder / "seen.json").read_text())
    number = records["First"].id
    path = str(result / "plugin_out" / f"First_out.{number}")
    assert seen["depends"] == {"First": {"pluginresult": number, "version": "1.0.0.0", "pluginresult_path": path}}


def test_an_earlier_result_satisfies_a_dependency(result, plugin):
    first = plugin("First", "true")
    then = plugin("Then", "true", depends=("First",))
    launch(result, first)
    records = launch(result, then, installed=(first, then))
    assert list(records) == ["Then"]
    started = json.loads((records["Then"].folder / "startplugin.json").read_text())
    assert started["depends"]["First"]["jid"] == 1
    assert started["runinfo"]["plugin"]["id"] == 2


def test_a_required_configuration_refuses_only_its_plugin(result, plugin):
    needs = plugin("Needs", "true", requires_configuration=True)
    other = plugin("Other", "true")
    records = launch(result, needs, other)
    assert {name: one.state for name, one in records.items()} == {"Needs": "Failed Validation", "Other": "Completed"}
    assert records["Needs"].content["validation_errors"] == ["Needs needs a configuration before it can run."]
    assert launch(result, replace(needs, config={"a": 1}))["Needs"].state == "Completed"


def test_a_result_can_be_used_again(result, plugin):
    one = plugin("Again", "echo run >> runs")
    launch(result, one)
    record = launch(result, one, reuse={"Again": 1})["Again"]
    assert record.id == 1
    assert [job["id"] for job in record.jobs] == [1, 2]
    assert (record.folder / "runs").read_text() == "run\nrun\n"
    assert (record.folder / "drmaa_stdout.txt.~1~").is_file()
    with pytest.raises(UsageError, match="plugin result 9 of Again is not in"):
        launch(result, one, reuse={"Again": 9})


# What a bad plugin does to others.


def test_a_hanging_plugin_is_stopped_and_others_run(result, plugin):
    hangs = plugin("Hangs", "sleep 1000")
    other = plugin("Other", "true")
    records = launch(result, hangs, other, options={"time_limit": 1.2 / 3600, "grace": 5.0})
    assert {name: one.state for name, one in records.items()} == {"Hangs": "Timed Out", "Other": "Completed"}
    assert last_job(records["Hangs"])["seconds"] < 5
    assert "time limit" in log_of(records["Hangs"])


def test_one_that_does_not_listen_is_killed_with_all_its_children(result, plugin):
    lines = (
        "trap '' TERM USR1 INT\n"
        "(trap '' TERM USR1; exec sleep 987.5) &\n"
        "setsid bash -c \"trap '' TERM USR1; exec sleep 987.5\" &\n"
        "echo $! > child\nwhile true; do sleep 0.1; done"
    )
    record = launch(result, plugin("Deaf", lines), options={"time_limit": 1.0 / 3600, "grace": 0.5})["Deaf"]
    assert record.state == "Timed Out"
    assert not sleepers("987.5")


def test_what_a_plugin_leaves_in_the_background_ends_with_it(result, plugin):
    record = launch(result, plugin("Forks", "sleep 987.25 & setsid sleep 987.25 & echo done"))["Forks"]
    assert record.state == "Completed"
    assert last_job(record)["seconds"] < 10
    assert not sleepers("987.25")


def sleepers(seconds):
    """Processes `sleep SECONDS` that are alive."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            found.append(place)
    return found


def test_a_flooded_log_is_cut_and_its_end_kept(result, plugin):
    lines = "head -c 200000000 /dev/zero | tr '\\0' 'x'\necho; echo the end"
    records = launch(result, plugin("Floods", lines), plugin("Other", "true"), options={"log_limit": 1.0})
    assert {one.state for one in records.values()} == {"Completed"}
    path = records["Floods"].folder / "drmaa_stdout.txt"
    assert path.stat().st_size < 1.2 * 2**20
    text = path.read_text()
    assert "bytes are left out here" in text
    assert text.index("starting execution") < text.index("left out") < text.index("\nthe end\n")


def test_one_that_fills_its_folder_is_stopped(result, plugin):
    lines = "for n in $(seq 1000); do head -c 5000000 /dev/urandom > part$n; sleep 0.05; done"
    records = launch(result, plugin("Fills", lines), plugin("Other", "sleep 1"), options={"folder_limit": 0.02})
    assert {name: one.state for name, one in records.items()} == {"Fills": "Error", "Other": "Completed"}
    assert "Its folder held" in last_job(records["Fills"])["reason"]
    assert last_job(records["Fills"])["seconds"] < 20


def test_no_file_may_be_larger_than_the_folder(result, plugin):
    record = launch(result, plugin("Fills", "head -c 50000000 /dev/zero > big"), options={"folder_limit": 0.02})[
        "Fills"
    ]
    assert record.state == "Error"
    assert (record.folder / "big").stat().st_size <= 0.021 * 2**30


def test_many_files_count_too(result, plugin):
    lines = "mkdir many; n=0; while true; do : > many/$n; n=$((n + 1)); [ $((n % 500)) = 0 ] && sleep 0.2; done"
    record = launch(result, plugin("Litters", lines), options={"file_limit": 400})["Litters"]
    assert (record.state, "files, more than its 400" in last_job(record)["reason"]) == ("Error", True)


def test_memory_is_limited(result, plugin):
    code = "x = [bytearray(100 << 20) for _ in range(100)]"
    record = launch(result, plugin("Eats", f"{sys.executable} -c '{code}'"), options={"memory": 0.4})["Eats"]
    assert record.state == "Error"
    assert "MemoryError" in log_of(record) or "memory" in last_job(record)["reason"]


def test_memory_of_all_processes_counts_together(result, plugin):
    code = 'import time; x = bytearray(120 << 20); x[::4096] = b"1" * len(x[::4096]); time.sleep(30)'
    lines = f"for n in 1 2 3 4; do {sys.executable} -c '{code}' & done; wait"
    record = launch(result, plugin("Eats", lines), options={"memory": 0.3})["Eats"]
    assert (record.state, last_job(record)["seconds"] < 20) == ("Error", True)
    assert "GiB of memory" in last_job(record)["reason"]


def test_a_configuration_may_ask_for_memory(result, plugin):
    one = plugin("Asks", "ulimit -v > limit")
    record = launch(result, one, instance_configs={"Asks": {"memory": "3G"}})["Asks"]
    assert (record.folder / "limit").read_text() == f"{3 << 20}\n"
    assert "#$ -l mem_free=3072M" in (record.folder / "ion_plugin_Asks_launch.sh").read_text()


def test_jobs_can_be_cancelled(result, plugin):
    request = LaunchRequest(
        result_dir=result,
        plugins=(plugin("Long", "sleep 1000"), plugin("Then", "true", depends=("Long",))),
        manual=True,
    )
    with LocalExecutor(2) as executor:
        one = Launch(request, executor)
        one.submit_all()
        wait_for(lambda: one.records["Long"].state == "Started")
        executor.cancel_all()
    assert {name: record.state for name, record in one.records.items()} == {"Long": "Cancelled", "Then": "Cancelled"}
    assert last_job(one.records["Then"])["reason"] == "It was cancelled before it started."


def test_an_exception_in_the_launcher_stops_its_plugins(result, plugin):
    request = LaunchRequest(result_dir=result, plugins=(plugin("Long", "sleep 986.5"),), manual=True)

    def fail():
        with LocalExecutor(1) as executor:
            one = Launch(request, executor)
            one.submit_all()
            wait_for(lambda: one.records["Long"].state == "Started")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [one.state for one in read_results(result)] == ["Cancelled"]
    assert not sleepers("986.5")


def test_a_plugin_that_cannot_start_harms_no_other(result, plugin):
    gone = plugin("Gone", "true")
    (gone.info.path / "launch.sh").unlink()
    records = launch(result, gone, plugin("Other", "true"))
    assert {name: one.state for name, one in records.items()} == {"Gone": "Error", "Other": "Completed"}
    assert "It could not be started" in last_job(records["Gone"])["reason"]


def test_a_launcher_that_was_killed_leaves_no_running_job(result, plugin):
    record = launch(result, plugin("One", "true"))["One"]
    record.update_job(1, state="Started")
    record.update(launcher={**record.content["launcher"], "pid": 2**22 + 1})
    assert read_results(result)[0].state == "Error"


def test_only_as_many_run_as_there_are_slots(result, plugin):
    lines = "echo $(ls ../running 2>/dev/null | wc -l) > seen; mkdir -p ../running/$$; sleep 0.3; rmdir ../running/$$"
    plugins = [plugin(f"P{n}", lines) for n in range(5)]
    records = launch(result, *plugins, slots=2)
    seen = [int((record.folder / "seen").read_text()) for record in records.values()]
    assert max(seen) <= 1


def test_two_launches_at_once_get_different_results(result, plugin):
    plugins = [plugin(f"P{n}", "sleep 0.2") for n in range(4)]
    threads = [threading.Thread(target=launch, args=(result, one)) for one in plugins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.id for record in read_results(result)) == [1, 2, 3, 4]


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
