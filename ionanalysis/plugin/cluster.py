"""Runs plugin processes elsewhere: on workers of a dask cluster, or in a queue. All must see the same files."""

import secrets
import socket
import time
from contextlib import contextmanager
from dataclasses import replace

from ionanalysis.errors import UsageError
from ionanalysis.executors import dask_client
from ionanalysis.plugin.process import CANCELLED, ERROR, ProcessEnd, run_limited
from ionanalysis.plugin.queues import QUEUES, QueueRunner

_POLL_S = 0.5
_ANSWER_S = 30.0
"""Beyond a process's own grace, how long a worker may take to say that it has stopped it."""


@contextmanager
def open_runner(executor="threads"):
    """Give what runs a `ProcessSpec`, for an executor's word.

    Parameters
    ----------
    executor : str
        Whatever number it names: how many plugins run at a time is an option of their own. ``threads``,
        ``processes``: here. ``dask:ADDRESS``: on workers. ``slurm``, ``sge``: their scripts are submitted.

    Raises
    ------
    UsageError
        If it is none of these, or what it needs is not there.
    """
    kind, _, address = executor.partition(":")
    if kind in ("threads", "processes"):
        yield run_limited
    elif kind in QUEUES:
        yield QueueRunner(kind)
    elif kind == "dask" and address:
        with dask_client(address) as client:
            yield DaskRunner(client)
    else:
        raise UsageError(f"executor {executor!r} is unknown; use threads, dask:ADDRESS, slurm or sge.")


class DaskRunner:
    """Called as `run_limited`, from several threads; the process runs on a worker.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client):
        self.client = client

    def __call__(self, spec, cancelled):
        from distributed import Event

        name = f"ionanalysis-plugin-{secrets.token_hex(8)}"
        stop = Event(name, client=self.client)
        started, asked = time.monotonic(), 0.0
        future = self.client.submit(run_on_worker, spec, name, key=name, pure=False, retries=0)
        try:
            while not future.done():
                time.sleep(_POLL_S)
                now = time.monotonic()
                if cancelled.is_set() and not asked:
                    stop.set()
                    asked = now
                if asked and now - asked > spec.grace_s + _ANSWER_S:
                    return ProcessEnd(CANCELLED, None, "It was cancelled; its worker does not answer.", now - started)
            if future.status == "finished":
                return future.result()
            reason = (
                f"Its worker was lost ({future.exception()})." if future.status == "error" else "Its task was lost."
            )
            return ProcessEnd(ERROR, None, reason, time.monotonic() - started)
        finally:
            future.cancel()


class _Stop:
    """A cluster's event, read as one of `threading` but not with every look."""

    def __init__(self, name):
        from distributed import Event

        self._event = Event(name)
        self._next = 0.0
        self._is_set = False

    def is_set(self):
        if not self._is_set and time.monotonic() > self._next:
            self._is_set = self._event.is_set()
            self._next = time.monotonic() + _POLL_S
        return self._is_set


def run_on_worker(spec, name):
    """`run_limited` on a worker, until the event `name` is set."""
    return run_limited(replace(spec, environment={**spec.environment, "HOSTNAME": socket.gethostname()}), _Stop(name))
