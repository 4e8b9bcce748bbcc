"""Progress of long commands: a bar on a terminal, plain lines in a log file. All on stderr."""

import sys
import time


def open_progress(stream=None, every_percent=10):
    """A reporter that suits the stream: `TerminalProgress` or `LogProgress`. Use it in a ``with`` statement."""
    stream = stream or sys.stderr
    return TerminalProgress(stream) if stream.isatty() else LogProgress(stream, every_percent)


class LogProgress:
    """One line per so many percent: stage, done of total, elapsed, time left. No carriage returns.

    Parameters
    ----------
    stream : text file
    every_percent : int
    clock : callable
        Seconds, for tests.
    """

    def __init__(self, stream, every_percent=10, clock=time.monotonic):
        self.stream = stream
        self.every_percent = every_percent
        self.clock = clock
        self._stage = None
        self._started = clock()
        self._next_percent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __call__(self, stage, done, total):
        """Say how far `stage` is. A line is written when the next step of percent is reached.

        A total of 0 says that the stage starts.
        """
        if stage != self._stage:
            self._stage, self._started, self._next_percent = stage, self.clock(), 0
        if not total:
            self.note(f"{stage}: starts")
            return
        # Rounded down: 100 % means done.
        percent = 100 * done // total
        if percent < self._next_percent:
            return
        self._next_percent = (percent // self.every_percent + 1) * self.every_percent
        elapsed = self.clock() - self._started
        left = "" if not done or done >= total else f", about {duration(elapsed / done * (total - done))} left"
        self.note(f"{stage}: {percent} % ({done} of {total}), {duration(elapsed)} elapsed{left}")

    def note(self, text):
        """Write one line."""
        print(text, file=self.stream, flush=True)


class TerminalProgress:
    """A bar per stage, kept up to date in place."""

    def __init__(self, stream):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeftColumn

        self._bars = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeLeftColumn(),
            console=Console(file=stream),
        )
        self._tasks = {}

    def __enter__(self):
        self._bars.start()
        return self

    def __exit__(self, *_):
        self._bars.stop()

    def __call__(self, stage, done, total):
        """Say how far `stage` is."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def note(self, text):
        """Write one line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)


def duration(seconds):
    """Hours, minutes and seconds.

    >>> duration(3725)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
