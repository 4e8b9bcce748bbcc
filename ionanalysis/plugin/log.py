"""`drmaa_stdout.txt`: what a plugin printed, up to a limit."""

import os
import shutil
from collections import deque
from pathlib import Path

LOG_NAME = "drmaa_stdout.txt"

_TAIL = 64 << 10


class CappedLog:
    """A log file that takes any amount: the start is kept up to `limit`, and of the rest the end.

    Parameters
    ----------
    path : path
        A file of that name is moved to a numbered backup, ``NAME.~N~``.
    limit : int
        Bytes.
    """

    def __init__(self, path, limit):
        self.path = Path(path)
        self.room = limit
        self.n_left_out = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        rotate(self.path)
        # Not through a link that an earlier run of a plugin may have left.
        self._file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o664), "w+b", buffering=0)

    def write(self, data):
        head, rest = data[: self.room], data[self.room :]
        if head:
            self._file.write(head)
            self.room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            while self._tail_size - len(self._tail[0]) >= _TAIL:
                gone = len(self._tail.popleft())
                self._tail_size -= gone
                self.n_left_out += gone

    def close(self):
        tail = b"".join(self._tail)[-_TAIL:]
        self.n_left_out += self._tail_size - len(tail)
        if self.n_left_out:
            self._file.write(b"\n[... %d bytes are left out here: the log has a limit ...]\n" % self.n_left_out)
        self._file.write(tail)
        self._put_back()
        self._file.close()

    def _put_back(self):
        """Some plugins empty their folder when they start: write the log again if it is gone."""
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.lstat()):
                return
            self.path.unlink()
        except FileNotFoundError:
            pass
        except OSError:
            return
        if self.path.parent.is_dir():
            self._file.seek(0)
            with os.fdopen(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o664), "wb") as again:
                shutil.copyfileobj(self._file, again)


def rotate(path):
    """Move a file to the first free ``NAME.~N~``; nothing if it does not exist."""
    path = Path(path)
    if not os.path.lexists(path):
        return
    number = 1
    while os.path.lexists(backup := path.with_name(f"{path.name}.~{number}~")):
        number += 1
    path.rename(backup)
