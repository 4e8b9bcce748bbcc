"""Runs one plugin process with limits, so that whatever it does, no other is harmed."""

import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ionanalysis.plugin.log import CappedLog
from ionanalysis.plugin.watch import folder_usage, kill_strays, session_memory

COMPLETED, ERROR, TIMED_OUT, CANCELLED = "Completed", "Error", "Timed Out", "Cancelled"

_MARKER = "IONANALYSIS_PLUGIN_JOB"
_TICK_S = 0.25
_CHECK_EVERY_S = 1.0
_SHARE_OF_FREE = 0.8
_STACK_KIB = 16 << 10

# The shell's own limits, then the program in its place. A limit that the system refuses is left as it is.
_LIMITED = 'ulimit -c 0; for limit in $1; do ulimit "-${limit%%=*}" "${limit#*=}" 2>/dev/null; done; shift; exec "$@"'


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """A program to run."""

    command: tuple[str, ...]
    folder: Path
    """Working directory; what is in it counts against the limits."""
    log_path: Path
    environment: dict = field(default_factory=dict)
    memory: int = 8 << 30
    """Bytes of all processes together; also the address space of each."""
    seconds: float = 86400.0
    log_bytes: int = 64 << 20
    folder_bytes: int = 200 << 30
    n_files: int = 1_000_000
    grace_s: float = 10.0
    """Between the asking and the killing."""


@dataclass(frozen=True)
class ProcessEnd:
    """How a program ended."""

    state: str
    """`Completed`, `Error`, `Timed Out` or `Cancelled`."""
    exit_code: int | None
    """As a shell says it: 128 and the signal's number for one that was killed. None if it never started."""
    reason: str
    """Why it did not complete, in a sentence; empty if it did."""
    seconds: float


def run_limited(spec, cancelled):
    """Run a program until it ends, is cancelled, or goes over a limit.

    Parameters
    ----------
    spec : ProcessSpec
    cancelled : threading.Event
        Set from another thread to stop it.

    Returns
    -------
    ProcessEnd
    """
    return _Run(spec, cancelled).result()


class _Run:
    def __init__(self, spec, cancelled):
        self.spec = spec
        self.cancelled = cancelled
        self.started = time.monotonic()
        self.marker = secrets.token_hex(8)
        self.stop: tuple[str, str] | None = None
        """State and reason, once it has been asked to end."""
        self.kill_at = 0.0
        self.next_memory_check = self.next_folder_check = self.started + _CHECK_EVERY_S
        free = shutil.disk_usage(spec.folder).free
        self.most_bytes = min(spec.folder_bytes, folder_usage(spec.folder)[0] + int(_SHARE_OF_FREE * free))

    def result(self):
        log = CappedLog(self.spec.log_path, self.spec.log_bytes)
        try:
            process = self._start()
            try:
                self._follow(process, log)
            finally:
                # Also when an interrupt comes here: nothing of it may stay.
                self._clear(process)
            self._drain(process.stdout.fileno(), log)
            process.stdout.close()
        finally:
            log.close()
        return self._end(process.returncode)

    def _start(self):
        spec = self.spec
        limits = {"s": _STACK_KIB, "v": spec.memory >> 10, "f": max(1, self.most_bytes >> 10)}
        words = " ".join(f"{name}={value}" for name, value in limits.items())
        process = subprocess.Popen(
            ["bash", "-c", _LIMITED, "bash", words, *spec.command],
            cwd=spec.folder,
            env={**spec.environment, _MARKER: self.marker},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        return process

    def _follow(self, process, log):
        output = process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        # Wakes as the process ends, though a child of it may still hold the pipe.
        end = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        if end is not None:
            poll.register(end, select.POLLIN)
        try:
            while process.poll() is None:
                ready = dict(poll.poll(1000 * _TICK_S))
                if output in ready and self._copy(output, log):
                    poll.unregister(output)
                self._watch(process)
        finally:
            if end is not None:
                os.close(end)

    def _watch(self, process):
        now = time.monotonic()
        if self.stop:
            if now > self.kill_at:
                _signal(process.pid, signal.SIGKILL)
            return
        if self.cancelled.is_set():
            self._ask(process, signal.SIGTERM, CANCELLED, "It was cancelled.")
        elif now - self.started > self.spec.seconds:
            limit = _told_time(self.spec.seconds)
            self._ask(process, signal.SIGUSR1, TIMED_OUT, f"It ran for {limit}, which is its limit (--plugin-time).")
        else:
            reason = self._too_much(process, now)
            if reason:
                self._ask(process, signal.SIGTERM, ERROR, reason)

    def _too_much(self, process, now):
        """What it takes too much of, in a sentence; empty if nothing."""
        if now > self.next_memory_check:
            self.next_memory_check = now + _CHECK_EVERY_S
            used = session_memory(process.pid)
            if used > self.spec.memory:
                told = f"{used / 2**30:.2f} GiB of memory, more than its {self.spec.memory / 2**30:.2f} GiB"
                return f"It used {told} (--plugin-memory)."
        if now > self.next_folder_check:
            n_bytes, n_files = folder_usage(self.spec.folder)
            # Counting a large folder takes long: never more than a twentieth of the time.
            self.next_folder_check = now + max(_CHECK_EVERY_S, 20 * (time.monotonic() - now))
            if n_bytes > self.most_bytes:
                told = f"{n_bytes / 2**30:.2f} GiB, more than the {self.most_bytes / 2**30:.2f} GiB it may fill"
                return f"Its folder held {told} (--plugin-folder, or 80 % of the free space)."
            if n_files > self.spec.n_files:
                return f"It made {n_files} files, more than its {self.spec.n_files} (--plugin-files)."
        return ""

    def _ask(self, process, number, state, reason):
        self.stop = state, reason
        self.kill_at = time.monotonic() + self.spec.grace_s
        _signal(process.pid, number)

    def _clear(self, process):
        """End what is left of it: its session, and children that left the session."""
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        kill_strays(f"{_MARKER}={self.marker}")

    def _copy(self, output, log):
        """Move what is in the pipe to the log; True at its end."""
        try:
            data = os.read(output, 1 << 16)
        except BlockingIOError:
            return False
        log.write(data)
        return not data

    def _drain(self, output, log):
        # A pipe holds little; a stray that could not be killed may go on writing, and is not waited for.
        for _ in range(64):
            try:
                data = os.read(output, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                return
            log.write(data)

    def _end(self, code):
        seconds = time.monotonic() - self.started
        exit_code = 128 - code if code < 0 else code
        if self.stop:
            state, reason = self.stop
        elif not code:
            state, reason = COMPLETED, ""
        elif code < 0 or code > 128:
            state, reason = ERROR, f"It was killed by signal {_signal_name(exit_code - 128)}."
        else:
            state, reason = ERROR, f"It ended with exit code {code}."
        return ProcessEnd(state, exit_code, reason, seconds)


def _signal(session, number):
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _told_time(seconds):
    return f"{seconds / 3600:g} h" if seconds >= 360 else f"{seconds:g} s"
