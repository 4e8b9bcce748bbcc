"""What stops a long command."""

import signal
from contextlib import contextmanager


@contextmanager
def terminated_as_interrupt():
    """Treat SIGTERM, which clusters send at a time limit, as Ctrl-C: the record is closed, `--resume` goes on."""

    def interrupt(_signal, _frame):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
