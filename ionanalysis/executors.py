"""Where blocks of work run: threads, processes or a dask cluster, by one word."""

import os
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from ionanalysis.errors import LostWorkerError, UsageError

MOST_TRIES = 3
"""How often a block is begun before it is held responsible for the deaths of its workers."""

_DASK_TIMEOUT_S = 10
_FIRST_WORKER_S = 60


@contextmanager
def open_executor(spec="threads", n_threads=None):
    """Give a `concurrent.futures` executor for `spec` and close it afterwards.

    Parameters
    ----------
    spec : str or Executor
        ``threads``, ``threads:N``, ``processes``, ``processes:N`` or ``dask:ADDRESS`` (a running
        scheduler, with the extra ``[cluster]``). One that is open already is given as it is, and left open.
    n_threads : int, optional
        Workers where `spec` names no number; all cores by default.

    Raises
    ------
    UsageError
        If `spec` is none of these, or dask is not installed.
    """
    if isinstance(spec, Executor):
        yield spec
        return
    kind, _, detail = spec.partition(":")
    if kind == "dask" and detail:
        with dask_client(detail) as client:
            try:
                client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
            except TimeoutError:
                raise UsageError(f"executor {spec}: the scheduler has no workers; start some.") from None
            yield DaskExecutor(client)
        return
    n_workers = _worker_count(spec, detail, n_threads)
    pool: Executor
    if kind == "threads":
        pool = ThreadPoolExecutor(n_workers)
    elif kind == "processes":
        pool = ProcessExecutor(n_workers)
    else:
        raise UsageError(
            f"executor {spec!r} is unknown; use threads:N, processes:N, dask:ADDRESS, or for a run slurm:N or sge:N."
        )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class ProcessExecutor(Executor):
    """Processes that are started anew when one of them dies.

    Parameters
    ----------
    n_workers : int
    """

    def __init__(self, n_workers):
        self._max_workers = n_workers
        self._pool = self._start()

    def _start(self):
        # Heavy imports, for those who ask.
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Forked workers would share HDF5 handles and locks with their parent.
        return ProcessPoolExecutor(self._max_workers, mp_context=get_context("spawn"))

    def submit(self, work, /, *args, **kwargs):
        return self._pool.submit(work, *args, **kwargs)

    def renew(self):
        """Start new workers: a pool of which one has died takes no more work."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class DaskExecutor(Executor):
    """The workers of a running dask cluster.

    The scheduler gives the blocks of a worker that dies to others, `MOST_TRIES` times.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client):
        self._client = client
        self._max_workers = max(1, sum(client.nthreads().values()))

    def submit(self, work, /, *args, **kwargs):
        # Pure work of the same arguments would be done once only; what blocks leave on disk must be made each time.
        from distributed.client import ClosedClientError

        try:
            return _DaskFuture(self._client.submit(work, *args, pure=False, **kwargs))
        except ClosedClientError as error:
            raise _gone(error) from None

    def shutdown(self, wait=True, *, cancel_futures=False):
        """The cluster is not ours: it goes on."""


def _gone(error):
    return LostWorkerError(f"the cluster is gone ({error}); start it again and use --resume.")


class _DaskFuture:
    """A future of dask with the errors of ours."""

    def __init__(self, future):
        self._future = future

    def result(self, timeout=None):
        from distributed import KilledWorker
        from distributed.client import ClosedClientError, FutureCancelledError

        try:
            return self._future.result(timeout)
        except KilledWorker as error:
            raise LostWorkerError(f"workers of the cluster died again and again on the same block ({error}).") from None
        except (ClosedClientError, FutureCancelledError) as error:
            raise _gone(error) from None

    def cancel(self):
        from distributed.client import ClosedClientError

        with suppress(ClosedClientError):
            self._future.cancel()


def map_blocks(executor, work, blocks, *, in_flight=None):
    """Yield ``work(block)`` in the order of `blocks`, with a bounded number of them in flight.

    The bound keeps memory independent of the number of blocks; the order makes results independent
    of the executor. The blocks of processes that die are done again by new ones.

    Raises
    ------
    LostWorkerError
        If workers die `MOST_TRIES` times while the same block is the first of those in flight.
    """
    limit = in_flight or 2 * getattr(executor, "_max_workers", 4)
    waiting: deque = deque()

    def first_result():
        for tried in range(1, MOST_TRIES + 1):
            try:
                result = waiting[0][1].result()
            except BrokenExecutor as error:
                if tried == MOST_TRIES or not hasattr(executor, "renew"):
                    raise LostWorkerError(
                        f"workers died {tried} times in a row ({error}); is there enough memory for so many of them?"
                    ) from None
                executor.renew()
                again = [(block, executor.submit(work, block)) for block, _ in waiting]
                waiting.clear()
                waiting.extend(again)
            else:
                waiting.popleft()
                return result
        raise AssertionError("left by return or raise")

    try:
        for block in blocks:
            waiting.append((block, _submit(executor, work, block)))
            if len(waiting) >= limit:
                yield first_result()
        while waiting:
            yield first_result()
    finally:
        for _, future in waiting:
            future.cancel()


def _submit(executor, work, block):
    """A future; where the workers have just died, one that says so when its turn comes."""
    try:
        return executor.submit(work, block)
    except BrokenExecutor as error:
        failed: Future = Future()
        failed.set_exception(error)
        return failed


def _worker_count(spec, detail, n_threads):
    if not detail:
        return n_threads or len(os.sched_getaffinity(0))
    if not detail.isdigit() or int(detail) < 1:
        raise UsageError(f"executor {spec!r}: the number of workers must be 1 or more.")
    return int(detail)


@contextmanager
def dask_client(address):
    """Give a client of the dask scheduler at `address` and close it afterwards.

    Raises
    ------
    UsageError
        If dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("executor dask:ADDRESS needs dask; install ionanalysis[cluster].") from None
    try:
        client = Client(address, timeout=_DASK_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"executor dask:{address}: no scheduler answers there ({error}).") from None
    with client:
        yield client
