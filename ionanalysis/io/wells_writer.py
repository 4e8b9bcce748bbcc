"""Write ``1.wells``, HDF5 form, block by block (basecaller.md 1.2, sigproc.md 6.1)."""

import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import h5py
import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, OutputError, expect_shape
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5_writing import Hdf5Sink, create_hdf5
from ionanalysis.io.wells_hdf5 import CHUNK, HIGH, LOW, quantise


class WellsWriter:
    """A wells file that is filled block by block and appears when complete.

    The bytes of the file do not depend on the order of the blocks nor on how the chip is cut. Old
    readers of the format can open it. Wells that are never written hold 0, and -1 copies.

    Parameters
    ----------
    path : path
    shape : tuple of int
        Rows and columns; a third number must be the number of flows.
    flow_order : FlowOrder
        Its number of flows is that of the file.
    info : dict of str to str, optional
        Further info keys, such as ``ChipType`` and items of the explog.
    dtype : {"uint16", "float32"}
        uint16 holds signals between `low` and `high`, rounded to 65535 steps.
    low, high : float
        Range of the signals stored as uint16.
    has_copies : bool
        Store signals per template copy, and the copies of each well beside them. Reading gives the
        product where copies are above 0, else -1, with either dtype.
    compression : int
        Deflate level 0 (none, the default of the shipped arguments) to 9.

    Raises
    ------
    InputError
        If the arguments do not fit together.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> with WellsWriter(path, (100, 100), run.flow_order, {"ChipType": "530"}) as writer:  # doctest: +SKIP
    ...     for block in Block(0, 0, 100, 100).tiles(50, 50):
    ...         writer.write(block, signals_of(block))
    """

    def __init__(
        self,
        path,
        shape,
        flow_order,
        info=None,
        *,
        dtype="uint16",
        low=LOW,
        high=HIGH,
        has_copies=False,
        compression=0,
    ):
        self.path = Path(path)
        self.shape = (*tuple(shape)[:2], len(flow_order))
        if len(self.shape) != 3 or tuple(shape) not in (self.shape[:2], self.shape) or min(self.shape) < 1:
            raise InputError(f"{path}: shape {tuple(shape)} with {len(flow_order)} flows; expected rows, columns > 0.")
        if dtype not in ("uint16", "float32") or not low < high or compression not in range(10):
            raise InputError(
                f"{path}: dtype {dtype}, range {low} to {high}, compression {compression}; expected uint16 or "
                "float32, a rising range, level 0..9."
            )
        self._scale = (float(np.float32(low)), float(np.float32(high))) if dtype == "uint16" else None
        self._has_copies = has_copies
        self._compression = compression
        texts = {"RAWWELLS_VERSION": "2", "FLOW_ORDER": flow_order.letters}
        self._info = texts | {key: str(value) for key, value in (info or {}).items() if key not in texts}
        with ExitStack() as stack:
            self._temporary = stack.enter_context(whole_file(self.path))
            self._spool = self._temporary
            if compression:
                # Compressed chunks differ in size, so that their places would depend on the order of
                # writing: they are first kept uncompressed, then written in order.
                self._spool = self._temporary.with_suffix(".spool.part")
                stack.callback(self._spool.unlink, missing_ok=True)
            self._sink = stack.enter_context(Hdf5Sink(self._spool))
            self._file = stack.enter_context(h5py.File(self._sink, "w", libver="earliest", rdcc_nbytes=64 << 20))
            self._create(self._file, compression=0)
            self._sink.check()
            self._stack = stack.pop_all()

    def write(self, block, values, copies=None, flows=slice(None)):
        """Store the signals of a block, of all flows or of a slice of them.

        Parameters
        ----------
        block : Block
        values : array_like of shape (block.n_rows, block.n_cols, n_flows_of_slice), float
            Signals, per copy if the file has copies. NaN is stored as 0 in uint16 files.
        copies : array_like of shape (block.n_rows, block.n_cols), float, optional
            Template copies of each well; once given they hold for later writes of other flows.
        flows : slice
            Flows that `values` holds, step 1.
        """
        values = np.asarray(values, np.float32)
        first, last, step = flows.indices(self.shape[2])
        if step != 1 or block.row + block.n_rows > self.shape[0] or block.col + block.n_cols > self.shape[1]:
            raise InputError(f"{self.path}: {block}, {flows} reaches beyond {self.shape}, or leaves out flows.")
        expect_shape(f"signal of block {block.name}", values, (block.n_rows, block.n_cols, last - first), "its wells")
        if copies is not None and not self._has_copies:
            raise InputError(f"{self.path}: was opened without copies; open it with has_copies=True.")
        if copies is not None:
            copies = np.asarray(copies, np.float32)
            expect_shape("copies", copies, (block.n_rows, block.n_cols), "one per well")
            self._file["wells_copies"][block.slices] = copies
        # Rows of chunks one after another bound the memory that converting takes.
        for band in Block(0, 0, block.n_rows, block.n_cols).tiles(CHUNK[0], block.n_cols):
            rows, cols = slice(block.row + band.row, block.row + band.row + band.n_rows), block.slices[1]
            self._file["wells"][rows, cols, first:last] = self._stored(rows, cols, values[band.slices])
        self._check()

    def close(self):
        """Finish the file and give it its name."""
        with self._stack:
            self._file.close()
            self._sink.check()
            if self._compression:
                self._pack()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, traceback)

    def _check(self):
        """End early, with the file deleted, when the disk is full."""
        try:
            self._sink.check()
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); free space or choose another place."
            ) from error

    def _stored(self, rows, cols, values):
        if self._scale:
            return quantise(values, *self._scale)
        if not self._has_copies:
            return values
        copies = self._file["wells_copies"][rows, cols][:, :, None]
        return np.where(copies > 0, values * copies, np.float32(-1))

    def _create(self, file, compression):
        for name, texts in (("info_keys", self._info.keys()), ("info_values", self._info.values())):
            _create_texts(file, name, texts)
        chunks = tuple(min(n, limit) for n, limit in zip(self.shape, CHUNK, strict=True))
        _create_numbers(file, "ranks", self.shape[:2], chunks[:2], "<i4", 0)
        if self._has_copies:
            _create_numbers(file, "wells_copies", self.shape[:2], chunks[:2], "<f4", -1)
        zero = quantise(np.zeros(1), *self._scale)[0] if self._scale else 0
        dtype = "<u2" if self._scale else "<f4"
        wells = _create_numbers(file, "wells", self.shape, chunks, dtype, zero, compression)
        if self._scale:
            for name, end in zip(("convert_low", "convert_high"), self._scale, strict=True):
                wells.attrs.create(name, np.array([end], "<f4"))

    def _pack(self):
        """Copy the spooled file chunk by chunk; threads deflate, chunks are stored in order."""
        with (
            h5py.File(self._spool, "r") as spool,
            create_hdf5(self._temporary) as packed,
            ThreadPoolExecutor() as pool,
        ):
            self._create(packed, self._compression)
            if self._has_copies:
                packed["wells_copies"][...] = spool["wells_copies"][...]
            source, target = spool["wells"], packed["wells"]
            corners = list(product(*(range(0, n, c) for n, c in zip(source.shape, source.chunks, strict=True))))

            def deflate(corner):
                return zlib.compress(source.id.read_direct_chunk(corner)[1], self._compression)

            # A row of chunks at a time bounds the memory.
            for start in range(0, len(corners), 256):
                some = corners[start : start + 256]
                for corner, content in zip(some, pool.map(deflate, some), strict=True):
                    target.id.write_direct_chunk(corner, content)


def _create_texts(file, name, texts):
    content = [text.encode("utf-8").replace(b"\0", b"") for text in texts]
    n = len(content)
    file.create_dataset(name, (n,), h5py.string_dtype("ascii"), content, chunks=(min(100, n),), track_times=False)


def _create_numbers(file, name, shape, chunks, dtype, fill, compression=0):
    places = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if not compression:
        # Chunks get their places now, in order, whatever is written first later on.
        places.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return file.create_dataset(
        name,
        shape,
        dtype,
        chunks=chunks,
        fillvalue=fill,
        compression=compression or None,
        track_times=False,
        dcpl=places,
    )
