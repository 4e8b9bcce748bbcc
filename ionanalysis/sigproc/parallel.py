"""Regions side by side: work that one region does not share with another, in processes forked for it.

Threads would wait for each other: what is done to a region is hundreds of small array operations, each of which holds
the interpreter's lock. A forked process sees all that is in memory at no cost, and ends with its work.
"""

import ctypes
import fcntl
import gc
import os
import pickle
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from ionanalysis.errors import LostWorkerError
from ionanalysis.executors import open_executor

_END_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of ``prctl(2)``."""

_SET_PIPE_SIZE = 1031
"""F_SETPIPE_SZ of ``fcntl(2)``."""

_PIPE_BYTES = 1 << 20
_END = object()


@contextmanager
def region_threads(n_threads=None):
    """Give an executor of threads; meanwhile linear algebra stays on the thread that calls it (`unshared_algebra`)."""
    with unshared_algebra(), open_executor("threads", n_threads) as executor:
        yield executor


def unshared_algebra():
    """Context in which linear algebra stays on the thread that calls it.

    Many small products gain nothing from threads of their own, and their sums must not depend on how
    many there are.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def side_by_side(n_threads, n_regions):
    """Number of processes to share regions among: `n_threads`, or all cores, and no more than regions."""
    return max(1, min(n_threads or len(os.sched_getaffinity(0)), n_regions))


def in_turns(works, *, forked=sys.platform == "linux"):
    """Yield what iterators give, one value of each in turn, while all of them work ahead.

    Parameters
    ----------
    works : sequence of callable
        Each gives an iterator. A single one is run here; of several each in a process of its own, to which
        changes of objects stay.
    forked : bool
        False: in threads, where processes do not survive a fork.

    Raises
    ------
    LostWorkerError
        If a process dies.
    Exception
        What a work raises.
    """
    if len(works) == 1:
        yield from works[0]()
        return
    with ExitStack() as stack:
        if forked:
            ahead: list = []
            for work in works:
                ahead.append(_Forked.start(work, ahead))
                stack.callback(ahead[-1].end)
            sources = [worker.next for worker in ahead]
        else:
            pool = stack.enter_context(ThreadPoolExecutor(len(works)))
            sources = [_Ahead(pool, iter(work())).next for work in works]
        while sources:
            for source in list(sources):
                value = source()
                if value is _END:
                    sources.remove(source)
                else:
                    yield value


class _Ahead:
    """An iterator whose next value is made in a thread."""

    def __init__(self, pool, values):
        self._advance = partial(pool.submit, next, values, _END)
        self._coming = self._advance()

    def next(self):
        value = self._coming.result()
        if value is not _END:
            self._coming = self._advance()
        return value


@dataclass(frozen=True)
class _Forked:
    """A process that sends what an iterator gives."""

    pid: int
    reader: Connection

    @classmethod
    def start(cls, work, others):
        reader, writer = Pipe(duplex=False)
        with suppress(OSError):  # A smaller pipe does, too.
            fcntl.fcntl(writer.fileno(), _SET_PIPE_SIZE, _PIPE_BYTES)
        parent = os.getpid()
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork beside threads; those of linear algebra know what to do.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _serve(work, parent, writer, [reader, *(other.reader for other in others)])
        writer.close()
        return cls(pid, reader)

    def next(self):
        """The next value; `_END` behind the last."""
        try:
            kind, value = pickle.loads(self.reader.recv_bytes())
        except EOFError:
            raise LostWorkerError(
                "a process that worked at some regions has died; is there enough memory for so many of them?"
            ) from None
        if kind == "raised":
            raise value
        return value if kind == "value" else _END

    def end(self):
        """Stop the process, if it has not ended, and leave nothing of it."""
        self.reader.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _serve(work, parent, writer, inherited):
    """What a forked process does; it never returns to what its parent was doing."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getppid() != parent:
            return
        for reader in inherited:
            reader.close()
        # Collections would write to pages that are shared.
        gc.freeze()
        try:
            for value in work():
                writer.send_bytes(pickle.dumps(("value", value), 5))
            last = pickle.dumps(("end", None))
        except Exception as error:
            last = _pickled(error)
        writer.send_bytes(last)
        status = 0
    finally:
        os._exit(status)


def _pickled(error):
    try:
        return pickle.dumps(("raised", error))
    except Exception:
        return pickle.dumps(("raised", RuntimeError(repr(error))))
