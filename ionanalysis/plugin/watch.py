"""What a running plugin takes: memory, disk, and processes that stay behind."""

import os
import signal
from contextlib import suppress
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


def folder_usage(folder):
    """Bytes on disk and number of files below a folder. Links count as themselves: plugins link whole BAM files.

    Returns
    -------
    n_bytes, n_files : int
    """
    n_bytes = n_files = 0
    stack = [os.fspath(folder)]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    # Files vanish while one counts.
                    with suppress(OSError):
                        n_bytes += entry.stat(follow_symlinks=False).st_blocks * 512
                        n_files += 1
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
        except OSError:
            continue
    return n_bytes, n_files


def session_memory(session):
    """Resident bytes of all processes of a session; 0 where the system does not tell."""
    return sum(pages for _, pages in _processes(session)) * _PAGE


def _processes(session):
    """Number and resident pages of each process of a session."""
    for entry in _numbered():
        with suppress(OSError, ValueError, IndexError):
            # The name in brackets may hold anything; the fields behind the last bracket are numbers.
            fields = Path(_PROC, entry, "stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[3]) == session:
                yield int(entry), int(fields[21])


def _numbered():
    try:
        return [entry for entry in os.listdir(_PROC) if entry.isdigit()]  # noqa: PTH208 (a thousand paths a second)
    except OSError:
        return []


def kill_strays(marker):
    """Kill processes that carry `marker` (``NAME=value``) in the environment that they were started with.

    A plugin's child that started a session of its own is out of reach of signals to the plugin's.

    Returns
    -------
    n_killed : int
    """
    found = 0
    wanted = os.fsencode(marker)
    for entry in _numbered():
        with suppress(OSError):
            if wanted in Path(_PROC, entry, "environ").read_bytes().split(b"\0"):
                os.kill(int(entry), signal.SIGKILL)
                found += 1
    return found


def is_alive(pid, started=None):
    """Whether a process exists, and is the one that started at `started` (`start_ticks`)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return started is None or start_ticks(pid) in (None, started)


def start_ticks(pid):
    """When a process started, in ticks since the machine did; None where the system does not tell.

    Numbers of processes come again, with this they do not.
    """
    try:
        return int(Path(_PROC, str(pid), "stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
