"""Workers in a queue: what is submitted, and on a real Slurm the results of any other executor."""

import os
import random
import subprocess
import threading
import time

import pytest
from plugin_results import make_result, shell_plugin
from slurm_node import job_numbers, slurm_node
from test_cut_chips import OPTIONS, assert_same_result, simulated

from ionanalysis.cli.main import main
from ionanalysis.errors import LostWorkerError, UsageError
from ionanalysis.executors import map_blocks
from ionanalysis.options.queue import QueueOptions
from ionanalysis.plugin.launch import LaunchRequest
from ionanalysis.plugin.live import launch_plugins
from ionanalysis.queue_workers import expect_queue, make_cluster, open_queue

# What dask and tornado warn of is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    """The configuration of a site: workers reach the scheduler on loopback."""
    if not os.environ.get("CI"):
        pytest.importorskip("dask_jobqueue", reason="the extra [cluster] is not installed")
    import dask
    import dask_jobqueue  # noqa: F401  (its defaults must be there before others are set, or they go with those)

    places = {f"jobqueue.{kind}.scheduler-options": {"host": "127.0.0.1"} for kind in ("slurm", "sge")}
    with dask.config.set(places):
        yield


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        (
            "slurm",
            [
                *("#SBATCH -J ionanalysis", "#SBATCH -p long", "#SBATCH -A lab", "#SBATCH --cpus-per-task=3"),
                *("#SBATCH --mem=1536M", "#SBATCH -t 1:30:00", "#SBATCH --nice=5"),
            ],
        ),
        (
            "sge",
            [
                *("#$ -N ionanalysis", "#$ -q long", "#$ -P lab", "#$ -l mem_free=1536M", "#$ -l h_rt=1:30:00"),
                "#$ --nice=5",
            ],
        ),
    ],
)
def test_jobs_ask_for_what_a_block_needs(kind, lines, tmp_path):
    import dask

    options = QueueOptions(memory=1.5, hours=1.5, queue="long", account="lab")
    with (
        dask.config.set({f"jobqueue.{kind}.job-extra-directives": ["--nice=5"]}),
        make_cluster(kind, options, n_cores=3, log_dir=tmp_path) as cluster,
    ):
        script = cluster.job_script()
    assert [line for line in lines if line not in script.splitlines()] == []
    # One block at a time, which may use the whole memory; a nanny starts a worker that dies anew.
    assert "--nthreads 1 " in script and "--memory-limit 1.50GiB" in script and "--nanny" in script
    assert str(tmp_path) in script


@pytest.mark.parametrize(
    ("spec", "reason"), [("slurm", "say how many"), ("sge:0", "say how many"), ("slurm:2", "sbatch is not here")]
)
def test_words_that_cannot_work_are_told_at_once(spec, reason, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=reason):
        expect_queue(spec)
    assert main(["run", str(tmp_path), "-o", str(tmp_path / "result"), "--executor", spec]) == UsageError.exit_code


def write_queue(folder, text):
    """Programs ``sbatch`` and ``scancel`` of a queue that is not there."""
    folder.mkdir()
    for name, lines in (("sbatch", text), ("scancel", "true")):
        (folder / name).write_text(f"#!/bin/bash\n{lines}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_queue_that_takes_no_job_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", write_queue(tmp_path / "bin", "echo 'no such partition' >&2; exit 1"))
    with pytest.raises(UsageError, match="takes no job: no such partition"), open_queue("slurm:1", QueueOptions()):
        pass


def test_a_run_does_not_wait_for_a_queue_that_is_gone(monkeypatch, tmp_path):
    """One worker is started and dies with its job; the queue takes no other."""
    submit = f"""
        if [ -e {tmp_path}/taken ]; then echo 'closed' >&2; exit 1; fi
        cp "$1" {tmp_path}/taken
        setsid bash {tmp_path}/taken > {tmp_path}/log 2>&1 &
        echo $! > {tmp_path}/group
        echo "Submitted batch job 1"
    """
    monkeypatch.setenv("PATH", write_queue(tmp_path / "bin", submit))
    monkeypatch.setattr("ionanalysis.queue_workers._LOST_AFTER", "1s")
    with open_queue("slurm:1", QueueOptions()) as executor:
        results = map_blocks(executor, abs, range(-1000, 0), in_flight=2)
        assert next(results) == 1000
        os.killpg(int((tmp_path / "group").read_text()), 9)
        with pytest.raises(LostWorkerError, match="cluster is gone"):
            list(results)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with slurm_node(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@pytest.mark.slurm
def test_blocks_of_a_job_that_dies_are_done_again_and_the_job_is_replaced(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("ionanalysis.queue_workers._LOST_AFTER", "1s")
    with open_queue("slurm:2", QueueOptions(memory=2), log_dir=tmp_path / "logs") as executor:
        results = map_blocks(executor, abs, range(-2000, 0))
        first = [next(results)]
        victim = job_numbers("running")[0]
        subprocess.run(["scancel", "--signal=KILL", "--full", victim], check=True)
        wait_until(lambda: len(set(job_numbers("running")) - {victim}) == 2)
        assert first + list(results) == list(range(2000, 0, -1))
    wait_until(lambda: job_numbers() == [])


@pytest.mark.slurm
def test_a_job_that_ends_before_its_worker_has_come_is_replaced(slurm):
    cancelled = []

    def cancel_first():
        wait_until(job_numbers)
        cancelled.extend(job_numbers())
        subprocess.run(["scancel", *cancelled], check=True)

    canceller = threading.Thread(target=cancel_first)
    canceller.start()
    with open_queue("slurm:1", QueueOptions(memory=2)) as executor:
        canceller.join()
        assert list(map_blocks(executor, abs, range(-5, 0))) == [5, 4, 3, 2, 1]
        assert len(cancelled) == 1 and set(job_numbers("running")) - set(cancelled)


@pytest.mark.slurm
def test_a_chip_on_slurm_gives_what_threads_give_though_jobs_die(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("ionanalysis.queue_workers._LOST_AFTER", "1s")
    chip = simulated(tmp_path / "run", "--blocks", "2x2")
    command = ["run", str(chip), *OPTIONS]
    assert main([*command, "-o", str(tmp_path / "threads")]) == 0
    is_over = threading.Event()
    killed = []

    def kill_jobs():
        while len(killed) < 2 and not is_over.wait(3):
            if running := [number for number in job_numbers("running") if number not in killed]:
                killed.append(random.Random(1).choice(running))
                subprocess.run(["scancel", "--signal=KILL", "--full", killed[-1]], check=True)

    killer = threading.Thread(target=kill_jobs)
    killer.start()
    try:
        code = main([*command, "-o", str(tmp_path / "slurm"), "--executor", "slurm:2", "--job-memory", "2"])
    finally:
        is_over.set()
        killer.join()
    assert (code, bool(killed)) == (0, True)
    assert_same_result(tmp_path / "slurm", tmp_path / "threads")
    assert list((tmp_path / "slurm" / "worker_logs").iterdir())
    wait_until(lambda: job_numbers() == [])


@pytest.mark.slurm
def test_plugins_run_on_slurm(slurm, tmp_path):
    good = shell_plugin(tmp_path / "plugins", "Good", 'echo "told $PLUGINNAME in job $SLURM_JOB_ID"')
    bad = shell_plugin(tmp_path / "plugins", "Bad", "exit 3", depends=("Good",))
    request = LaunchRequest(
        result_dir=make_result(tmp_path), plugins=(good, bad), installed=(good, bad), manual=True,
    )  # fmt: skip
    records = {one.name: one for one in launch_plugins(request, executor="slurm:2")}
    assert {name: one.state for name, one in records.items()} == {"Good": "Completed", "Bad": "Error"}
    assert records["Bad"].jobs[0]["exit_code"] == 3
    assert "told Good in job " in (records["Good"].folder / "drmaa_stdout.txt").read_text()


def wait_until(is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)
