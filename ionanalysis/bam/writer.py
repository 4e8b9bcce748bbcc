"""Writing BAM files: whole or not at all, the same bytes for the same reads however they are cut into batches."""

import struct
import sys
from contextlib import ExitStack
from pathlib import Path

from ionanalysis.bam.bgzf import BLOCK_SIZE, END_OF_FILE, LEVEL, LEVELS, compress_block
from ionanalysis.bam.records import encode_records
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file

_BLOCKS_PER_FLUSH = 4


class BamWriter:
    """An unaligned BAM file being written; a context manager.

    The file has a temporary name until the writer is left without an error. Between flushes it is not
    kept open: a run with hundreds of barcodes writes more files than a process may hold open.

    Parameters
    ----------
    path : str or Path
    header : BamHeader
    level : int
        Compression, 0 (fastest) to 3 (smallest).

    Raises
    ------
    InputError
        If there is no such level.
    OutputError
        If the file cannot be written.
    """

    def __init__(self, path, header, *, level=LEVEL):
        self.path = Path(path)
        if level not in LEVELS:
            raise InputError(f"{path}: compression level {level} must be {LEVELS[0]} to {LEVELS[-1]}.")
        self.n_reads = 0
        self._level = level
        text = header.text.encode("utf-8")
        self._waiting = bytearray(b"BAM\x01" + struct.pack("<i", len(text)) + text + struct.pack("<i", 0))
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

    def _flush(self, *, final=False):
        if self._temporary is None:
            raise InputError(f"{self.path}: BamWriter must be entered (with BamWriter(...) as bam) before writing.")
        n_bytes = len(self._waiting) if final else len(self._waiting) // BLOCK_SIZE * BLOCK_SIZE
        ready = memoryview(bytes(self._waiting[:n_bytes]))
        del self._waiting[:n_bytes]
        with self._temporary.open("ab") as file:
            for start in range(0, n_bytes, BLOCK_SIZE):
                file.write(compress_block(ready[start : start + BLOCK_SIZE], self._level))
            if final:
                file.write(END_OF_FILE)
