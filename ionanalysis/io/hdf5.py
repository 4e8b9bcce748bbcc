"""HDF5 files from anywhere: sizes are checked before HDF5 allocates, and its complaints become `InputError`.

Chunks are fetched as stored and decoded here: HDF5 holds its one lock only while it fetches bytes, so
threads decompress side by side, and a damaged size in a file cannot make it ask for gigabytes.
"""

import struct
import zlib
from itertools import product
from math import prod
from pathlib import Path

import h5py
import numpy as np
from isal import isal_zlib

from ionanalysis.errors import InputError

# The type stubs of isal take its class of errors for one of them.
_INFLATE_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]

HDF5_ERRORS = (OSError, KeyError, ValueError, RuntimeError, TypeError, zlib.error, _INFLATE_ERROR)
"""What h5py and the decoding of chunks raise on damaged files; `TypeError` for types that NumPy does not know."""

_CLAIM = np.dtype([("n_letters", "<u4"), ("heap", "<u8"), ("number", "<u4")])
"""A text as a dataset stores it: where its letters are."""

_HEAP, _HEAP_OBJECT = struct.Struct("<8sQ"), struct.Struct("<H6xQ")
_MOST_TEXT = 1 << 24
"""Bytes that all texts of a dataset may take; info texts are short."""

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
    texts = dataset[:].tolist() if kind.length is not None else _long_texts(path, dataset)
    return [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in texts]


def _long_texts(path, dataset):
    """Texts of any length. Read here: on a damaged heap HDF5 allocates what it claims, or never ends."""
    texts: list[bytes] = []
    heaps: dict[int, dict[int, bytes]] = {}
    left = min(Path(path).stat().st_size, _MOST_TEXT)
    with Path(path).open("rb") as file:
        for content in _text_claims(file, dataset):
            for n_letters, place, number in np.frombuffer(content, _CLAIM).tolist():
                if n_letters and place not in heaps:
                    heaps[place], n_bytes = _read_heap(file, place + dataset.file.userblock_size, left)
                    left -= n_bytes
                text = heaps[place].get(number, b"") if n_letters else b""
                if len(text) < n_letters:
                    raise ValueError(f"a text of {n_letters} letters is not in its heap")
                texts.append(text[:n_letters].split(b"\0")[0])
    return texts[: dataset.shape[0]]


def _text_claims(file, dataset):
    """The bytes that a dataset of texts holds itself, in pieces."""
    if dataset.chunks:
        for start in range(0, dataset.shape[0], dataset.chunks[0]):
            yield _stored_chunk(dataset, (start,), _CLAIM.itemsize) or bytes(_CLAIM.itemsize * dataset.chunks[0])
        return
    if dataset.id.get_create_plist().get_layout() == h5py.h5d.COMPACT:
        raise ValueError("texts stored inside the header of their dataset are not read")
    n_bytes = _CLAIM.itemsize * dataset.shape[0]
    place = dataset.id.get_offset()
    if place is None:
        yield bytes(n_bytes)
        return
    file.seek(place)
    content = file.read(n_bytes)
    if len(content) < n_bytes:
        raise ValueError("texts lie outside of the file")
    yield content


def _read_heap(file, start, most):
    """Objects of a global heap by number, and its size in bytes (HDF5 file format III.E)."""
    file.seek(min(start, 1 << 62))
    content = file.read(_HEAP.size)
    signature, size = _HEAP.unpack(content) if len(content) == _HEAP.size else (b"", 0)
    if signature != b"GCOL\1\0\0\0" or not _HEAP.size <= size <= most:
        raise ValueError(f"no heap of texts at byte {start}")
    content += file.read(size - _HEAP.size)
    objects, place = {}, _HEAP.size
    while place + _HEAP_OBJECT.size <= len(content):
        number, n_letters = _HEAP_OBJECT.unpack_from(content, place)
        if not number:
            # Free space, which comes last.
            break
        place += _HEAP_OBJECT.size
        objects[number] = content[place : place + n_letters]
        place += n_letters + -n_letters % 8
    return objects, size


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
            content = isal_zlib.decompressobj().decompress(content, n_bytes)
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
