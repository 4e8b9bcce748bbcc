"""HDF5 files from anywhere: sizes are checked before HDF5 allocates, and its complaints become `InputError`.

Chunks are fetched as stored and decoded here: HDF5 holds its one lock only while it fetches bytes, so
threads decompress side by side, and a damaged size in a file cannot make it ask for gigabytes.
"""

import zlib
from itertools import product
from math import prod
from pathlib import Path

import h5py
import numpy as np

from ionanalysis.errors import InputError

HDF5_ERRORS = (OSError, KeyError, ValueError, RuntimeError, TypeError, zlib.error)
"""What h5py and the decoding of chunks raise on damaged files; `TypeError` for types that NumPy does not know."""

MAX_RATIO = 1100
"""Deflate cannot shrink more than 1032-fold: a file that claims more is damaged or made to harm."""


def is_hdf5(path):
    """Whether the file starts as an HDF5 file does.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def open_hdf5(path):
    """Open an HDF5 file for reading, without a chunk cache.

    Raises
    ------
    InputError
        If it is missing, or no HDF5 file.
    """
    try:
        return h5py.File(path, "r", rdcc_nbytes=0)
    except FileNotFoundError:
        raise InputError(f"{path}: does not exist.") from None
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error


def damaged(path, error):
    """The `InputError` for what HDF5 reported about `path`."""
    reason = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path}: cannot be read as HDF5 ({reason}). Copy or make the file again.")


def check_size(path, name, dataset):
    """Refuse a dataset that the bytes on disk cannot hold, before anything of its size is allocated.

    Raises
    ------
    InputError
        Also if the data lie in other files.
    """
    n_bytes = Path(path).stat().st_size
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {name} lies in other files; copy them into one.")
    largest = prod(dataset.shape)
    if dataset.chunks:
        largest = max(largest, prod(dataset.chunks))
        n_chunks = prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
        if n_chunks > 1000 + 100 * dataset.id.get_num_chunks():
            raise InputError(f"{path}: {name} should have {n_chunks} chunks; most are missing. Copy the file again.")
    if largest * dataset.dtype.itemsize > MAX_RATIO * n_bytes:
        raise InputError(
            f"{path}: {name} has shape {dataset.shape} in chunks of {dataset.chunks}, more than a file of "
            f"{n_bytes} bytes can hold. Copy or make the file again."
        )


def read_texts(path, name, dataset):
    """A dataset of texts as a list of str.

    Raises
    ------
    InputError
        If it does not hold texts, or a text claims to be longer than the file.
    """
    check_size(path, name, dataset)
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.ndim != 1 or prod(dataset.chunks or (1,)) > 1 << 20:
        raise InputError(f"{path}: {name} are {dataset.dtype} of shape {dataset.shape}; expected a list of texts.")
    if kind.length is None:
        _check_text_lengths(path, name, dataset)
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in dataset[:]]


def _check_text_lengths(path, name, dataset):
    """HDF5 allocates what a text claims before it looks for it; a claim is 4 bytes length, 8 place, 4 number."""
    longest = Path(path).stat().st_size
    for claims in _text_claims(path, dataset):
        n_letters = int(np.frombuffer(claims, "<u4")[::4].sum(dtype=np.int64))
        if n_letters > longest:
            raise InputError(f"{path}: {name} claim {n_letters} letters, more than the file has. Copy it again.")


def _text_claims(path, dataset):
    if dataset.chunks:
        chunks = (_stored_chunk(dataset, (start,), 16) for start in range(0, dataset.shape[0], dataset.chunks[0]))
        yield from (chunk for chunk in chunks if chunk is not None)
    elif dataset.id.get_offset() is not None:
        with Path(path).open("rb") as file:
            file.seek(dataset.id.get_offset())
            content = file.read(16 * dataset.shape[0])
            yield content[: len(content) // 16 * 16]


def read_box(dataset, box):
    """Parts of a dataset inside a box, chunk by chunk.

    Parameters
    ----------
    dataset : h5py.Dataset
        Numbers; passed `check_size`.
    box : sequence of range
        Rising ranges of step 1, one per axis, inside the shape.

    Yields
    ------
    place : tuple of slice
        Where the part belongs in an array of the shape of the box.
    stored : ndarray
        The values as stored.
    """
    if not dataset.chunks:
        yield tuple(slice(0, len(r)) for r in box), dataset[tuple(slice(r.start, r.stop) for r in box)]
        return
    starts = [range(r.start - r.start % c, r.stop, c) for r, c in zip(box, dataset.chunks, strict=True)]
    for corner in product(*starts):
        inside, place = _overlap(corner, box, dataset.chunks)
        yield place, _read_chunk(dataset, corner)[inside]


def _overlap(corner, box, chunks):
    """Slices of a chunk, and of the box, where the two meet."""
    inside, place = [], []
    for first, wanted, length in zip(corner, box, chunks, strict=True):
        start, stop = max(first, wanted.start), min(first + length, wanted.stop)
        inside.append(slice(start - first, stop - first))
        place.append(slice(start - wanted.start, stop - wanted.start))
    return tuple(inside), tuple(place)


def _read_chunk(dataset, corner):
    content = _stored_chunk(dataset, corner, dataset.dtype.itemsize)
    if content is None:
        return np.full(dataset.chunks, dataset.fillvalue, dataset.dtype)
    return np.frombuffer(content, dataset.dtype).reshape(dataset.chunks)


def _stored_chunk(dataset, corner, itemsize):
    """Bytes of a chunk, filters undone; None if it was never stored."""
    stored = dataset.id.get_chunk_info_by_coord(corner)
    if stored.byte_offset is None:
        return None
    n_bytes = itemsize * prod(dataset.chunks)
    # Deflate may add a little to what it cannot shrink.
    if stored.size > n_bytes + n_bytes // 100 + 1000:
        raise ValueError(f"chunk at {corner} is stored in {stored.size} bytes, more than it can need")
    left_out, content = dataset.id.read_direct_chunk(corner)
    for place, kind in reversed(list(enumerate(_filters(dataset)))):
        if left_out >> place & 1:
            continue
        if kind == h5py.h5z.FILTER_DEFLATE:
            content = zlib.decompressobj().decompress(content, n_bytes)
        elif kind == h5py.h5z.FILTER_SHUFFLE:
            content = np.frombuffer(content, np.uint8).reshape(itemsize, -1).T.tobytes()
        else:
            raise ValueError(f"data are packed by filter {kind}; only deflate and shuffle are known")
    if len(content) != n_bytes:
        raise ValueError(f"chunk at {corner} holds {len(content)} of {n_bytes} bytes")
    return content


def _filters(dataset):
    properties = dataset.id.get_create_plist()
    return [properties.get_filter(place)[0] for place in range(properties.get_nfilters())]
