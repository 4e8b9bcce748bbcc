"""Interlace type 7: blocks of pixels as sums of a few common traces (sigproc.md 1.8)."""

import struct
from typing import NamedTuple

import numpy as np

from ionanalysis._core import dat as kernels
from ionanalysis.errors import InputError
from ionanalysis.io.dat.layout import expect_size

KEY = 0xEBAD
N_VECTORS = 6
MOST_BITS = 32

_BLOCK = struct.Struct("<I4HI4H")
_PINNED_LOW, _PINNED_HIGH = 5, 16380
_UNIT = 0.5
"""Coefficients are rounded to this many counts, or less, when written."""


class PackedBlock(NamedTuple):
    """One block: its pixels, and what they are made of."""

    rows: slice
    cols: slice
    bits: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    least: np.ndarray
    most: np.ndarray
    words: np.ndarray


def locate_blocks(file):
    """Times of the frames, blocks in row-major order, and the place after them."""
    header = file.header
    if header.region_rows < 1 or header.region_cols < 1:
        raise InputError(f"{file.path}: blocks of {header.region_rows} x {header.region_cols} wells; copy it again.")
    n_down, n_across = header.region_grid
    # A block has a vector or more, and each pixel a bit or more.
    least = _BLOCK.size + 12 + 8 * header.n_frames
    at = header.n_bytes + 4 * header.n_frames
    expect_size(file, at + n_down * n_across * least + header.n_rows * header.n_cols // 8)
    times = np.frombuffer(file.data[header.n_bytes : at].tobytes(), "<i4").tolist()
    blocks = []
    for i in range(n_down):
        for j in range(n_across):
            block, at = _locate_block(file, at, i, j)
            blocks.append(block)
    return times, blocks, at


def _locate_block(file, at, i, j):
    header, place = file.header, f"block {i}, {j}"
    start = file.data[at : at + _BLOCK.size].tobytes()
    if len(start) < _BLOCK.size:
        raise file.error(place, "the file ends before it")
    key, version, _, n_vectors, n_frames, n_words, row, row_stop, col, col_stop = _BLOCK.unpack(start)
    rows, cols = _block_window(header, i, j)
    expected = (rows.start, rows.stop, cols.start, cols.stop)
    if (key, version, n_frames) != (KEY, 0, header.n_frames) or (row, row_stop, col, col_stop) != expected:
        raise file.error(place, f"its header is {start.hex()}, which is not that of {expected}")
    at += _BLOCK.size
    n_floats = n_frames * (1 + n_vectors) + 2 * n_vectors
    stop = at + 4 * n_vectors + 4 * n_floats + 8 * n_words
    if n_vectors < 1 or stop > len(file.data):
        raise file.error(place, f"it has {n_vectors} vectors and ends at byte {stop}, the file at {len(file.data)}")
    bits = np.frombuffer(file.data[at : at + 4 * n_vectors].tobytes(), "<i4").astype(np.int32)
    at += 4 * n_vectors
    floats = np.frombuffer(file.data[at : at + 4 * n_floats].tobytes(), "<f4").astype(np.float32)
    if bits.min() < 1 or bits.max() > MOST_BITS or not np.isfinite(floats).all():
        raise file.error(place, "it has codes of impossible size or traces that are not finite")
    if (row_stop - row) * (col_stop - col) * int(bits.sum(dtype=np.int64)) > 64 * n_words:
        raise file.error(place, f"its {n_words} words are too few for its pixels")
    mean, basis, limits = np.split(floats, [n_frames, n_frames * (1 + n_vectors)])
    words = file.data[stop - 8 * n_words : stop]
    parts = bits, mean, basis.reshape(n_vectors, n_frames), *np.split(limits, 2), words
    return PackedBlock(rows, cols, *parts), stop


def _block_window(header, i, j):
    rows = slice(i * header.region_rows, min((i + 1) * header.region_rows, header.n_rows))
    return rows, slice(j * header.region_cols, min((j + 1) * header.region_cols, header.n_cols))


def decode_components(file, blocks, window, check):
    """Frames of type 7; blocks outside of the window are passed over; nothing to check."""
    rows, cols = window
    frames = np.empty((file.header.n_frames, rows.stop - rows.start, cols.stop - cols.start), np.int16)
    for block in blocks:
        inside, target = [], []
        for part, wanted in ((block.rows, rows), (block.cols, cols)):
            first, last = max(part.start, wanted.start), min(part.stop, wanted.stop)
            inside.append(slice(first - part.start, last - part.start))
            target.append(slice(first - wanted.start, last - wanted.start))
        if all(part.start < part.stop for part in target):
            frames[:, *target] = _unpack(block)[:, *inside]
    return frames


def _unpack(block):
    n_rows, n_cols = block.rows.stop - block.rows.start, block.cols.stop - block.cols.start
    pixels = np.empty((len(block.mean), n_rows, n_cols), np.int16)
    with np.errstate(over="ignore"):
        step = (block.most - block.least) / np.exp2(block.bits).astype(np.float32)
    words = np.frombuffer(block.words.tobytes(), "<u8").astype(np.uint64)
    scratch = np.empty((len(block.bits) + 1, n_cols), np.float32), np.empty(n_cols, np.uint8)
    kernels.unpack_components(words, block.bits, block.least, step, block.mean, block.basis, *scratch, pixels)
    return pixels


def encode_components(header, frames, times, n_vectors=N_VECTORS):
    """The bytes after the header, in pieces. Lossy: each block keeps its `n_vectors` largest components."""
    yield np.asarray(times, "<i4").tobytes()
    n_down, n_across = header.region_grid
    for i in range(n_down):
        for j in range(n_across):
            rows, cols = _block_window(header, i, j)
            yield _pack(frames[:, rows, cols], rows, cols, min(n_vectors, header.n_frames))


def _pack(pixels, rows, cols, n_vectors):
    traces = pixels.reshape(len(pixels), -1).T.astype(np.float64)
    ends = traces[:, [0, -1]]
    pinned = ((ends > _PINNED_HIGH) | (ends < _PINNED_LOW)).any(axis=1)
    good = traces[~pinned]
    mean = good.mean(axis=0) if len(good) else np.zeros(len(pixels))
    basis = np.linalg.eigh((good - mean).T @ (good - mean))[1][:, ::-1][:, :n_vectors].T.astype(np.float32)
    coefficients = (traces - mean) @ basis.T
    coefficients[pinned] = 0
    least, most = coefficients.min(axis=0).astype(np.float32), coefficients.max(axis=0).astype(np.float32)
    span = (most - least).astype(np.float64)
    bits = np.clip(np.ceil(np.log2(span / _UNIT + 2)), 3, 24).astype("<i4")
    units = span / (2.0**bits - 1)
    codes = np.trunc((coefficients - least) / np.where(units > 0, units, 1) + 1).astype(np.int64)
    codes = np.clip(codes, 1, (1 << bits.astype(np.int64)) - 1)
    codes[pinned] = 0
    words = _pack_codes(codes, bits)
    place = (rows.start, rows.stop, cols.start, cols.stop)
    start = _BLOCK.pack(KEY, 0, 0, n_vectors, len(pixels), len(words), *place)
    floats = np.concatenate([mean, basis.ravel(), least, most]).astype("<f4")
    return start + bits.tobytes() + floats.tobytes() + words.astype("<u8").tobytes()


def _pack_codes(codes, bits):
    """64-bit words, filled from their most significant bits."""
    stream = [codes[:, [v]] >> np.arange(width, dtype=np.int64)[::-1] & 1 for v, width in enumerate(bits)]
    packed = np.packbits(np.concatenate(stream, axis=1).astype(np.uint8))
    return np.pad(packed, (0, -len(packed) % 8)).view(">u8")
