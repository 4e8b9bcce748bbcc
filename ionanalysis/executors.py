"""Where blocks of work run: threads, processes or a dask cluster, by one word."""

import os
from collections import deque
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from ionanalysis.errors import UsageError

_DASK_TIMEOUT_S = 10


@contextmanager
def open_executor(spec="threads", n_threads=None):
    """Give a `concurrent.futures` executor for `spec` and close it afterwards.

    Parameters
    ----------
    spec : str
        ``threads``, ``threads:N``, ``processes``, ``processes:N`` or ``dask:ADDRESS`` (a running
        scheduler, with the extra ``[cluster]``).
    n_threads : int, optional
        Workers where `spec` names no number; all cores by default.

    Raises
    ------
    UsageError
        If `spec` is none of these, or dask is not installed.
    """
    kind, _, detail = spec.partition(":")
    if kind == "dask" and detail:
        with dask_client(detail) as client:
            yield client.get_executor()
        return
    n_workers = _worker_count(spec, detail, n_threads)
    pool: Executor
    if kind == "threads":
        pool = ThreadPoolExecutor(n_workers)
    elif kind == "processes":
        # Heavy imports, for those who ask.
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Forked workers would share HDF5 handles and locks with their parent.
        pool = ProcessPoolExecutor(n_workers, mp_context=get_context("spawn"))
    else:
        raise UsageError(f"executor {spec!r} is unknown; use threads:N, processes:N or dask:ADDRESS.")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def map_blocks(executor, work, blocks, *, in_flight=None):
    """Yield ``work(block)`` in the order of `blocks`, with a bounded number of them in flight.

    The bound keeps memory independent of the number of blocks; the order makes results independent
    of the executor.
    """
    limit = in_flight or 2 * getattr(executor, "_max_workers", 4)
    waiting: deque = deque()
    try:
        for block in blocks:
            waiting.append(executor.submit(work, block))
            if len(waiting) >= limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


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
        client = Client(address, timeout=_DASK_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise UsageError(f"executor dask:{address}: no scheduler answers there ({error}).") from None
    with client:
        yield client
