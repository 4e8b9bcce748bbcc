"""Plugins on the workers of a dask cluster, and in queues (plugin.md 3.6)."""

import os
import time
from pathlib import Path

import pytest
from plugin_results import make_result, shell_plugin

from ionanalysis.errors import UsageError
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.cluster import open_runner
from ionanalysis.plugin.jobs import LocalExecutor
from ionanalysis.plugin.launch import Launch, LaunchRequest
from ionanalysis.plugin.live import launch_plugins


@pytest.fixture(scope="module")
def address():
    if not os.environ.get("CI"):
        pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    import distributed

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", protocol="tcp"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def request_of(tmp_path):
    result = make_result(tmp_path)

    def make(*plugins, **options):
        return LaunchRequest(
            result_dir=result, plugins=plugins, installed=plugins, manual=True, options=PluginOptions(**options)
        )

    return make


def test_plugins_run_on_workers_in_their_order(address, request_of, tmp_path):
    first = shell_plugin(tmp_path / "plugins", "First", "sleep 0.3; echo first >> ../order; exit 3")
    then = shell_plugin(tmp_path / "plugins", "Then", "echo then >> ../order; echo $HOSTNAME", depends=("First",))
    records = {one.name: one for one in launch_plugins(request_of(first, then), executor=f"dask:{address}")}
    assert {name: one.state for name, one in records.items()} == {"First": "Error", "Then": "Completed"}
    assert records["First"].jobs[0]["exit_code"] == 3
    assert (records["Then"].folder.parent / "order").read_text() == "first\nthen\n"
    assert os.uname().nodename in (records["Then"].folder / "drmaa_stdout.txt").read_text()


def test_limits_hold_on_workers(address, request_of, tmp_path):
    hangs = shell_plugin(tmp_path / "plugins", "Hangs", "sleep 983.5")
    request = request_of(hangs, time_limit=1.0 / 3600, grace=2.0)
    (record,) = launch_plugins(request, executor=f"dask:{address}")
    assert record.state == "Timed Out"


def test_jobs_on_workers_can_be_cancelled(address, request_of, tmp_path):
    long = shell_plugin(tmp_path / "plugins", "Long", "echo $$ > pid; sleep 983.25")
    with open_runner(f"dask:{address}") as run, LocalExecutor(1, run=run) as jobs:
        launch = Launch(request_of(long), jobs)
        launch.submit_all()
        record = launch.records["Long"]
        end = time.monotonic() + 30
        while not (record.folder / "pid").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        jobs.cancel_all()
    assert record.state == "Cancelled"
    assert not Path("/proc", (record.folder / "pid").read_text().strip()).exists()


def test_a_scheduler_that_is_not_there_is_told(address, monkeypatch):
    monkeypatch.setattr("ionanalysis.executors._DASK_TIMEOUT_S", 1)
    with pytest.raises(UsageError, match="no scheduler answers"), open_runner("dask:tcp://127.0.0.1:9"):
        pass


# Programs of queues as their manuals describe them: they print the number at once, run the script in a clean shell,
# and leave with its code.
SUBMIT = """#!/bin/bash
echo "$@" > {folder}/arguments
if [ -e {folder}/full ]; then echo "error: no room" >&2; exit 1; fi
echo "4711{suffix}"
while [ "${{1##*launch.sh}}" ]; do shift; done
export {variable}=4711
setsid bash "$@" > drmaa_stdout.txt 2>&1 &
echo $! > {folder}/group
wait $!
"""


@pytest.fixture(params=["slurm", "sge"])
def queue(request, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    names, suffix, variable = {
        "slurm": (("sbatch", "scancel"), ";cluster", "SLURM_JOB_ID"),
        "sge": (("qsub", "qdel"), "", "JOB_ID"),
    }[request.param]
    texts = (
        SUBMIT.format(folder=folder, suffix=suffix, variable=variable),
        f'#!/bin/bash\n[ "$1" = 4711 ] && kill -TERM -- -$(cat {folder}/group)\n',
    )
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return request.param


@pytest.mark.parametrize(
    ("lines", "state", "code"),
    [("true", "Completed", 0), ("exit 3", "Error", 3), ("kill -USR1 $$; sleep 0.2", "Timed Out", 0)],
)
def test_queues_run_the_script(queue, request_of, tmp_path, lines, state, code):
    one = shell_plugin(tmp_path / "plugins", "One", f'echo "told $PLUGINNAME $TSP_RUNID"\n{lines}')
    (record,) = launch_plugins(request_of(one), executor=queue)
    assert (record.state, record.jobs[0]["exit_code"]) == (state, code)
    assert "told One ABCDE" in (record.folder / "drmaa_stdout.txt").read_text()
    arguments = (tmp_path / "bin" / "arguments").read_text()
    assert f"{record.folder}/ion_plugin_One_launch.sh -j {record.folder}/startplugin.json" in arguments


def test_jobs_in_queues_can_be_cancelled(queue, request_of, tmp_path):
    long = shell_plugin(tmp_path / "plugins", "Long", "touch begun; sleep 983.75")
    with open_runner(queue) as run, LocalExecutor(1, run=run) as jobs:
        launch = Launch(request_of(long), jobs)
        launch.submit_all()
        record = launch.records["Long"]
        end = time.monotonic() + 30
        while not (record.folder / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        jobs.cancel_all()
    assert record.state == "Cancelled"


def test_a_queue_that_takes_no_job_is_told(queue, request_of, tmp_path):
    (tmp_path / "bin" / "full").touch()
    (record,) = launch_plugins(request_of(shell_plugin(tmp_path / "plugins", "One", "true")), executor=queue)
    assert record.state == "Error" and "did not take it: error: no room" in record.jobs[0]["reason"]


@pytest.mark.parametrize("word", ["slurm", "sge", "dask:", "nonsense"])
def test_where_no_plugin_can_run_is_told(word, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"is not here|is unknown"), open_runner(word):
        pass
