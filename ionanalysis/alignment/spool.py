"""Aligned records put in order on disk: as many reads as a chip gives, in little memory."""

from tempfile import TemporaryFile

import numpy as np

from ionanalysis.bam.records import DUPLICATE, EncodedRecords

RUN_BYTES = 64 << 20
"""Records that are sorted in memory at a time; the sorted order then reads each such run from its start to its end."""

_BATCH_RECORDS = 2000
FLAG_AT = 18
"""First byte of the flags of a record, size included."""


class CoordinateSpool:
    """Records in the order in which they come, given back in the order of their keys; a context manager.

    Memory: 24 bytes a record, and `RUN_BYTES`. Records of equal keys keep their order.

    Parameters
    ----------
    folder : path
        Where the temporary file lies; it has no name and goes with the process.
    """

    def __init__(self, folder):
        self._folder = folder
        self._waiting: list[tuple] = []
        self._n_waiting = 0
        self._keys: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []
        self._n_spooled = 0
        self.n_added = 0

    def __enter__(self):
        self._file = TemporaryFile(dir=self._folder)
        return self

    def __exit__(self, *_):
        self._file.close()

    def add(self, records, keys):
        """Append `EncodedRecords` with the key of each, uint64."""
        self._waiting.append((records, keys))
        self.n_added += len(keys)
        self._n_waiting += len(records.data)
        if self._n_waiting >= RUN_BYTES:
            self._write_run()

    def sorted_batches(self, is_duplicate=None):
        """Yield all records as `EncodedRecords`, in order.

        Parameters
        ----------
        is_duplicate : bool ndarray, optional
            For each record in the order of `add`; those get the flag of duplicates.
        """
        self._write_run()
        self._file.flush()
        if not self._n_spooled:
            return
        keys, numbers = np.concatenate(self._keys), np.concatenate(self._numbers)
        start = np.concatenate([[0], np.cumsum(np.concatenate(self._sizes), dtype=np.int64)])
        self._keys, self._sizes, self._numbers = [], [], []
        # Runs follow each other in the order of `add`: a stable order of the keys is that of all records.
        order = np.argsort(keys, kind="stable")
        spooled = EncodedRecords(np.memmap(self._file, np.uint8, "r"), start)
        for first in range(0, len(order), _BATCH_RECORDS):
            chosen = order[first : first + _BATCH_RECORDS]
            batch = spooled[chosen]
            if is_duplicate is not None:
                marked = batch.start[:-1][is_duplicate[numbers[chosen]]]
                batch.data[marked + FLAG_AT + 1] |= DUPLICATE >> 8
            yield batch

    def _write_run(self):
        if not self._waiting:
            return
        data = np.concatenate([records.data for records, _ in self._waiting])
        sizes = np.concatenate([np.diff(records.start) for records, _ in self._waiting])
        keys = np.concatenate([keys for _, keys in self._waiting])
        order = np.argsort(keys, kind="stable")
        start = np.concatenate([[0], np.cumsum(sizes)])
        self._file.write(memoryview(EncodedRecords(data, start)[order].data))
        self._keys.append(keys[order])
        self._sizes.append(sizes[order])
        self._numbers.append(order + self._n_spooled)
        self._n_spooled += len(keys)
        self._waiting, self._n_waiting = [], 0
