"""HDF5 files that a full disk cannot break.

HDF5 gives up its own state when a write fails: closing such a file raises again, or ends the process. So it
writes through an object that notes the first failure and takes all that follows; the failure is raised once
HDF5 has let go of the file.
"""

import io
import os
from contextlib import contextmanager

import h5py


class Hdf5Sink(io.RawIOBase):
    """What HDF5 writes to: a file on disk, until a write to it fails.

    Attributes
    ----------
    error : OSError or None
        The first failure. What is written after it is lost.
    """

    def __init__(self, path):
        super().__init__()
        self.error = None
        self._file = open(path, "w+b", buffering=0)  # noqa: PTH123, SIM115 - closed by close()

    def check(self):
        """Raise the first failure, if there was one."""
        if self.error:
            raise self.error

    def seek(self, offset, whence=os.SEEK_SET):
        return self._file.seek(offset, whence)

    def tell(self):
        return self._file.tell()

    def readinto(self, buffer):
        n_read = self._file.readinto(buffer) or 0
        if self.error and n_read < len(buffer):
            # What was lost reads as zeros.
            buffer[n_read:] = bytes(len(buffer) - n_read)
            return len(buffer)
        return n_read

    def write(self, content):
        view = memoryview(content).cast("B")
        n_written = 0
        while not self.error and n_written < len(view):
            try:
                n_written += self._file.write(view[n_written:])
            except OSError as error:
                self.error = error
        return len(view)

    def truncate(self, size=None):
        if not self.error:
            try:
                self._file.truncate(size)
            except OSError as error:
                self.error = error
        return size

    def flush(self):
        pass

    def readable(self):
        return True

    def writable(self):
        return True

    def seekable(self):
        return True

    def close(self):
        self._file.close()
        super().close()


@contextmanager
def create_hdf5(path, **options):
    """Make an HDF5 file; gives the `h5py.File`, which is closed at the end.

    Parameters
    ----------
    path : path
        Commonly a temporary name from `whole_file`, which explains failures.
    **options
        Of `h5py.File`.

    Raises
    ------
    OSError
        At the end, if something could not be written.
    """
    with Hdf5Sink(path) as sink:
        with h5py.File(sink, "w", libver="earliest", **options) as file:
            yield file
        sink.check()
