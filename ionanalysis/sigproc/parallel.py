"""Threads for regions."""

from contextlib import contextmanager

from ionanalysis.executors import open_executor


@contextmanager
def region_threads(n_threads=None):
    """Give an executor for regions; meanwhile linear algebra stays on the thread that calls it.

    Many small products gain nothing from threads of their own, and their sums must not depend on how
    many there are.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"), open_executor("threads", n_threads) as executor:
        yield executor
