"""Workers that are jobs in the queue of Slurm or Grid Engine, started and replaced through dask-jobqueue.

What `ionanalysis.options.queue` does not ask for (directives, modules to load, network interfaces) is taken from the
configuration of dask-jobqueue, ``~/.config/dask/jobqueue.yaml``.
"""

import shutil
import subprocess
import threading
import time
from contextlib import contextmanager

from ionanalysis.errors import LostWorkerError, UsageError
from ionanalysis.executors import DaskExecutor

QUEUES = {"slurm": ("sbatch", "scancel"), "sge": ("qsub", "qdel")}
"""Programs that submit and cancel jobs."""

_LOOK_S = 2.0
_TELL_S = 60.0
_LOST_AFTER = "15s"
"""A worker that has been away for so long is replaced; its blocks are given to others at once."""


def is_queue(spec):
    """Whether an executor's word means a queue."""
    return spec.partition(":")[0] in QUEUES


def expect_queue(spec):
    """Check an executor's word, and that its jobs can be submitted from here.

    Parameters
    ----------
    spec : str
        ``slurm:N`` or ``sge:N``, with N workers.

    Returns
    -------
    kind : str
    n_workers : int

    Raises
    ------
    UsageError
        If the number is missing, or the queue's programs or dask-jobqueue are not installed.
    """
    kind, _, number = spec.partition(":")
    if not number.isdigit() or not int(number):
        raise UsageError(f"executor {spec!r}: say how many workers, as in {kind}:8.")
    for program in QUEUES[kind]:
        if shutil.which(program) is None:
            raise UsageError(f"executor {spec}: {program} is not here; run on a host that submits jobs.")
    try:
        import dask_jobqueue  # noqa: F401
    except ImportError:
        raise UsageError(f"executor {spec} needs dask-jobqueue; install ionanalysis[cluster].") from None
    return kind, int(number)


@contextmanager
def open_queue(spec, options, *, n_cores=1, log_dir=None, note=None):
    """Give an executor whose workers are jobs, each of which works on one block at a time; cancel them afterwards.

    Returns when the first worker has started, however long the queue takes.

    Parameters
    ----------
    spec : str
        ``slurm:N`` or ``sge:N``.
    options : QueueOptions
    n_cores : int
        Cores of each worker: threads that work on one block.
    log_dir : path, optional
        Folder of the workers' logs, which both sides see.
    note : callable, optional
        Gets a sentence while workers are waited for.

    Raises
    ------
    UsageError
        As `expect_queue`; or the queue takes no job.
    LostWorkerError
        If the scheduler of the workers does not start here.
    """
    kind, n_workers = expect_queue(spec)
    import dask
    from distributed import Client

    refused: list[str] = []
    if log_dir is not None:
        log_dir.mkdir(parents=True, exist_ok=True)
    with dask.config.set({"distributed.deploy.lost-worker-timeout": _LOST_AFTER}):
        try:
            cluster = make_cluster(kind, options, n_cores=n_cores, log_dir=log_dir, refused=refused)
        except RuntimeError as error:
            raise LostWorkerError(f"executor {spec}: the scheduler of the workers does not start ({error}).") from error
        # The cluster is left last: its jobs are cancelled also where the client fails.
        with cluster, Client(cluster, set_as_default=False) as client, _kept_at(cluster, n_workers, client, refused):
            _wait_for_first(client, spec, refused, note or (lambda text: None), log_dir)
            yield QueueExecutor(client, n_workers)


class QueueExecutor(DaskExecutor):
    """The workers of a queue, as many as were asked for, though few of them may have started yet."""

    def __init__(self, client, n_workers):
        super().__init__(client)
        self._max_workers = n_workers


def make_cluster(kind, options, *, n_cores=1, log_dir=None, refused=None):
    """A cluster of dask-jobqueue without workers yet; ``cluster.job_script()`` is what it would submit.

    Parameters
    ----------
    kind : str
        ``slurm`` or ``sge``.
    options : QueueOptions
    n_cores : int
    log_dir : path, optional
    refused : list, optional
        Gets what the queue says when it refuses a job.
    """
    import dask
    import dask_jobqueue
    from distributed.core import Status

    cluster_class = {"slurm": dask_jobqueue.SLURMCluster, "sge": dask_jobqueue.SGECluster}[kind]
    refused = [] if refused is None else refused
    memory = round(options.memory * 1024)

    class Job(cluster_class.job_cls):  # type: ignore[name-defined]
        async def start(self):
            try:
                await super().start()
            except RuntimeError as error:
                # Raised here, it would be a trace in the log of an event loop and nothing else.
                refused.append(_last_line(error))
                self.status = Status.running

    given = {
        "job_name": "ionanalysis",
        # One block at a time, whose threads are those of the block.
        "cores": 1,
        "processes": 1,
        "memory": f"{memory}MiB",
        "walltime": _clock(options.hours),
        "queue": options.queue,
        "job_cls": Job,
        # A port of a web page, on a host that many share.
        "scheduler_options": {
            "dashboard_address": ":0",
            **dask.config.get(f"jobqueue.{kind}.scheduler-options", {}),
        },
    }
    if not dask.config.get(f"jobqueue.{kind}.log-directory", None) and log_dir is not None:
        given["log_directory"] = str(log_dir)
    if kind == "slurm":
        given |= {"job_cpu": n_cores, "account": options.account, "job_mem": f"{memory}M"}
    else:
        given["project"] = options.account
        if not dask.config.get("jobqueue.sge.resource-spec", None):
            given["resource_spec"] = f"mem_free={memory}M"
    return cluster_class(**given)


@contextmanager
def _kept_at(cluster, n_workers, client, refused):
    """Ask for workers, and again whenever one has been lost: dask-jobqueue replaces those it is asked for anew.

    Where the queue takes no more jobs and the last worker is gone, the client is closed: nothing waits forever.
    """
    is_over = threading.Event()

    def keep():
        while not is_over.wait(_LOOK_S):
            if refused and not client.nthreads():
                client.close()
                return
            for name in _gone_before_they_came(cluster):
                cluster.loop.add_callback(cluster.workers.pop, name, None)
            cluster.scale(n_workers)

    cluster.scale(n_workers)
    keeper = threading.Thread(target=keep, name="queue workers", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        is_over.set()
        keeper.join()


def _gone_before_they_came(cluster):
    """Names of workers whose jobs have ended without one: nobody else notices that these are lost."""
    there = {worker.name for worker in list(cluster.scheduler.workers.values())}
    waiting = [(name, job) for name, job in list(cluster.workers.items()) if name not in there and job.job_id]
    return [name for name, job in waiting if _has_ended(job)]


def _has_ended(job):
    """Whether the queue says that it does not know a job; where it says nothing, it may be busy."""
    program = ["squeue", "-h", "-j"] if job.config_name == "slurm" else ["qstat", "-j"]
    try:
        told = subprocess.run([*program, job.job_id], capture_output=True, text=True, timeout=_TELL_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    if told.returncode:
        return any(words in told.stderr for words in ("Invalid job id", "do not exist", "does not exist"))
    return not told.stdout.strip()


def _wait_for_first(client, spec, refused, note, log_dir):
    told = started = time.monotonic()
    while not refused and not client.nthreads():
        if time.monotonic() - told > _TELL_S:
            told = time.monotonic()
            logs = f"; the logs of those that have started are in {log_dir}" if log_dir else ""
            note(f"executor {spec}: no worker after {(told - started) / 60:.0f} min in the queue{logs}.")
        time.sleep(0.2)
    if refused:
        raise UsageError(f"executor {spec}: the queue takes no job: {refused[0]}")


def _last_line(error):
    """What a queue's program says last, of dask-jobqueue's account of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "it gives no reason."


def _clock(hours):
    seconds = round(hours * 3600)
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
