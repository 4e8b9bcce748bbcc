"""Where plugin jobs run. A job starts when all jobs that it is held on have ended, well or badly."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from ionanalysis.errors import IonAnalysisError
from ionanalysis.plugin.process import CANCELLED, ERROR, ProcessEnd, ProcessSpec, run_limited

PENDING, QUEUED, STARTED = RUNNING_STATES = ("Pending", "Queued", "Started")
"""States of a job that has not ended; `ionanalysis.plugin.process` has those of one that has."""


@dataclass(frozen=True)
class PluginJob:
    """One run of one plugin, as an executor sees it."""

    prepare: Callable[[int], ProcessSpec]
    """Makes what the job needs, given its number, and says what to run. Called when the job starts."""
    started: Callable[[int], None]
    ended: Callable[[int, ProcessEnd], None]
    is_free: Callable[[], bool] = lambda: True
    """False while a job waits for something that is not of this launch, a plugin of an earlier one."""


class JobExecutor(Protocol):
    """What a launch needs of a place to run jobs: threads here, or a cluster's queue."""

    def submit(self, job: PluginJob, holds: Sequence[int]) -> int:
        """Queue a job; returns its number. It starts when all jobs of the numbers `holds` have ended."""

    def cancel(self, number: int) -> None:
        """Stop a job, or do not start it. One that has ended stays as it is."""

    def wait(self) -> None:
        """Return when all jobs have ended."""


class LocalExecutor:
    """Runs jobs a few at a time, as processes of this machine unless `run` takes them elsewhere.

    Parameters
    ----------
    n_slots : int
        Jobs at a time.
    first : int
        Number of the first job.
    run : callable, optional
        Called and answering as `run_limited`, from several threads.
    """

    def __init__(self, n_slots, first=1, run=run_limited):
        self._run_process = run
        self._pool = ThreadPoolExecutor(n_slots, thread_name_prefix="plugin")
        self._lock = threading.Condition()
        self._next = first
        self._jobs: dict[int, PluginJob] = {}
        self._cancelled: dict[int, threading.Event] = {}
        self._held: dict[int, set[int]] = {}
        self._running: set[int] = set()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.cancel_all()
        self.wait()
        self._pool.shutdown()

    def submit(self, job, holds=()):
        with self._lock:
            number = self._next
            self._next += 1
            self._jobs[number] = job
            self._cancelled[number] = threading.Event()
            self._held[number] = {held for held in holds if held in self._jobs}
            self._start_free()
        return number

    def cancel(self, number):
        with self._lock:
            if number in self._jobs:
                self._cancelled[number].set()
                # One that waits for others need not.
                if number in self._held:
                    self._held[number] = set()
                    self._start_free()

    def cancel_all(self):
        for number in list(self._jobs):
            self.cancel(number)

    def wait(self, *, tick=None, every_s=5.0):
        """Return when all jobs have ended.

        Parameters
        ----------
        tick : callable, optional
            Called now and then.
        every_s : float
        """
        next_tick = time.monotonic() + every_s
        while True:
            with self._lock:
                if not self._jobs:
                    return
                # Wakes now and then, so that Ctrl-C gets through.
                self._lock.wait(0.5)
            if tick and time.monotonic() > next_tick:
                tick()
                next_tick = time.monotonic() + every_s

    def _start_free(self):
        for number in [number for number, holds in self._held.items() if not holds]:
            del self._held[number]
            self._running.add(number)
            self._pool.submit(self._run, number)

    def _run(self, number):
        job, cancelled = self._jobs[number], self._cancelled[number]
        try:
            end = _run_job(job, number, cancelled, self._run_process)
            job.ended(number, end)
        finally:
            with self._lock:
                del self._jobs[number]
                self._running.discard(number)
                for holds in self._held.values():
                    holds.discard(number)
                self._start_free()
                self._lock.notify_all()


def _run_job(job, number, cancelled, run):
    while not cancelled.is_set() and not job.is_free():
        cancelled.wait(0.5)
    if cancelled.is_set():
        return ProcessEnd(CANCELLED, None, "It was cancelled before it started.", 0.0)
    try:
        spec = job.prepare(number)
        job.started(number)
        return run(spec, cancelled)
    except (OSError, IonAnalysisError) as error:
        # One plugin that cannot start must not stop the others.
        return ProcessEnd(ERROR, None, f"It could not be started: {error}", 0.0)
    except Exception as error:
        # Nor must a defect of ours leave a job that never ends.
        told = f"{type(error).__name__}: {error}"
        return ProcessEnd(ERROR, None, f"It could not be started, by a defect of ionanalysis ({told}).", 0.0)
