"""Writing BAM files: whole or not at all, the same bytes for the same reads however they are cut into batches."""

import struct
import sys
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ionanalysis.bam.bgzf import BLOCK_SIZE, END_OF_FILE, LEVEL, LEVELS, compress_block
from ionanalysis.bam.records import encode_records
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file

_BLOCKS_PER_FLUSH = 4
_MOST_DEFLATING = 4
"""Flushes of one file that may be at the pool: what keeps memory bounded."""


class BamWriter:
    """A BAM file being written; a context manager.

    The file has a temporary name until the writer is left without an error. Between flushes it is not
    kept open: a run with hundreds of barcodes writes more files than a process may hold open.

    Parameters
    ----------
    path : str or Path
    header : BamHeader, AlignedHeader or CopiedHeader
    level : int
        Compression, 0 (fastest) to 3 (smallest).
    pool : concurrent.futures.Executor, optional
        Threads that deflate, beside what else they do; the writer itself by default. The file is the same.

    Attributes
    ----------
    n_reads : int
        Reads written.
    n_header_bytes : int
        Unpacked bytes in front of the first record.

    Raises
    ------
    InputError
        If there is no such level.
    OutputError
        If the file cannot be written.
    """

    def __init__(self, path, header, *, level=LEVEL, pool=None):
        self.path = Path(path)
        if level not in LEVELS:
            raise InputError(f"{path}: compression level {level} must be {LEVELS[0]} to {LEVELS[-1]}.")
        self.n_reads = 0
        self._level = level
        text = header.text.encode("utf-8")
        self._waiting = bytearray(b"BAM\x01" + struct.pack("<i", len(text)) + text)
        self._waiting += struct.pack("<i", len(header.references))
        for one in header.references:
            name = one.name.encode("utf-8") + b"\0"
            self._waiting += struct.pack("<i", len(name)) + name + struct.pack("<i", one.length)
        self.n_header_bytes = len(self._waiting)
        self._block_sizes: list[int] = []
        self._deflating: deque[Future[list[bytes]]] = deque()
        self._pool = pool
        self._files = ExitStack()
        self._temporary: Path | None = None

    def __enter__(self):
        self._temporary = self._files.enter_context(whole_file(self.path))
        try:
            self._temporary.touch()
        except OSError:
            self._files.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return self._files.__exit__(kind, error, trace)
        with self._files:
            self._flush(final=True)
        return None

    def write(self, batch):
        """Append the reads of a `ReadBatch`."""
        self.write_records(encode_records(batch))

    def write_records(self, records):
        """Append `EncodedRecords`."""
        self.n_reads += len(records)
        self._waiting += memoryview(records.data)
        if len(self._waiting) >= _BLOCKS_PER_FLUSH * BLOCK_SIZE:
            self._flush()

    def block_start(self):
        """Where in the file each block begins, int64; complete once the writer is left."""
        return np.cumsum([0, *self._block_sizes[:-1]], dtype=np.int64)

    def _flush(self, *, final=False):
        n_bytes = len(self._waiting) if final else len(self._waiting) // BLOCK_SIZE * BLOCK_SIZE
        ready = memoryview(bytes(memoryview(self._waiting)[:n_bytes]))
        del self._waiting[:n_bytes]
        if self._pool is None:
            self._append(_deflated(ready, self._level))
        else:
            self._deflating.append(self._pool.submit(_deflated, ready, self._level))
            self._append_deflated(wait=final)
        if final:
            self._append([END_OF_FILE])

    def _append_deflated(self, *, wait):
        """Write what the pool has deflated, in order: all that was given to it, or what is done."""
        done: list[bytes] = []
        while self._deflating and (wait or len(self._deflating) > _MOST_DEFLATING or self._deflating[0].done()):
            done += self._deflating.popleft().result()
        if done:
            self._append(done)

    def _append(self, blocks):
        if self._temporary is None:
            raise InputError(f"{self.path}: BamWriter must be entered (with BamWriter(...) as bam) before writing.")
        with self._temporary.open("ab") as file:
            file.writelines(blocks)
        self._block_sizes += map(len, blocks)


def _deflated(content, level):
    """Blocks that hold `content`, a memoryview."""
    starts = range(0, len(content), BLOCK_SIZE)
    return [compress_block(content[start : start + BLOCK_SIZE], level) for start in starts]
