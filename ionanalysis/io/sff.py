"""Standard flowgram files (SFF) of 454 and early Ion Torrent releases.

Layout: NCBI Trace Archive, "SFF file format"; the index of Roche's programs (``.mft``, ``.srt``) lists
reads by name and may carry an XML manifest. All numbers are big-endian; every part is padded with
zeros to a multiple of 8 bytes. The index may stand anywhere between the reads, at the end or be missing.
"""

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file

_HEADER = struct.Struct(">4s4sQIIHHHB")
_READ = struct.Struct(">HHIHHHH")
_MAGIC, _VERSION = b".sff", b"\0\0\0\x01"
_MAX_INDEXED = 255**4
"""Offsets in Roche's index have four digits of base 255."""


@dataclass(frozen=True)
class SffHeader:
    """What an SFF file says about all of its reads.

    Attributes
    ----------
    n_reads : int
    flow_letters : str
        Nucleotide of each flow. Known to be wrong in some files (field.md 1).
    key : str
    manifest : str or None
        XML text in the index.
    index_kind : str or None
        ``.mft``, ``.srt``, ``.hsh`` or None without an index.
    """

    n_reads: int
    flow_letters: str
    key: str
    manifest: str | None = None
    index_kind: str | None = None


@dataclass(frozen=True, eq=False)
class SffRead:
    """One read.

    Attributes
    ----------
    name : str
    bases : str
        All of them, with the key and what `kept` leaves out.
    qualities : ndarray of shape (n_bases,), uint8
    base_flows : ndarray of shape (n_bases,), int32
        Flow of each base, from 0.
    flow_values : ndarray of shape (n_flows,), uint16
        Signals in hundredths of a base.
    clip_quality, clip_adapter : tuple of int
        First and last base kept, from 1; 0 where there is no clip.
    """

    name: str
    bases: str
    qualities: np.ndarray
    base_flows: np.ndarray
    flow_values: np.ndarray
    clip_quality: tuple[int, int] = (0, 0)
    clip_adapter: tuple[int, int] = (0, 0)

    @property
    def signal(self):
        """Signal of each flow in bases, float32 (n_flows,)."""
        return self.flow_values.astype(np.float32) / np.float32(100)

    @property
    def kept(self):
        """Slice of the bases that both clips leave."""
        start = max(self.clip_quality[0], self.clip_adapter[0], 1) - 1
        ends = [end for end in (self.clip_quality[1], self.clip_adapter[1]) if end]
        return slice(start, max(start, min([*ends, len(self.bases)])))


class SffFile:
    """An open SFF file: a sequence of `SffRead`, each decoded when asked for.

    Opening walks over the whole file, so that a damaged one is refused before any read is used. An
    object can be sent to other processes.

    Attributes
    ----------
    path : Path
    header : SffHeader
    """

    def __init__(self, path):
        self.path = Path(path).absolute()
        try:
            self._bytes = np.memmap(self.path, np.uint8, "r") if self.path.stat().st_size else np.zeros(0, np.uint8)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
        self.header, first, index = _read_header(self.path, self._bytes)
        self._n_flows = len(self.header.flow_letters)
        self._offsets = _read_offsets(self.path, self._bytes, self.header, first, index)

    def __len__(self):
        return len(self._offsets)

    def __getitem__(self, number):
        return _decode(self.path, self._bytes, int(self._offsets[number]), self._n_flows)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def __repr__(self):
        return f"SffFile({self.path.name}: {len(self)} reads, {self._n_flows} flows, key {self.header.key})"

    def __reduce__(self):
        return SffFile, (self.path,)


def open_sff(path):
    """Open an SFF file as a sequence of reads.

    Returns
    -------
    SffFile

    Raises
    ------
    InputError
        If the file is no SFF file, is cut off, or is several ones after another.
    """
    return SffFile(path)


class SffWriter:
    """An SFF file that is filled read by read and appears when complete.

    Parameters
    ----------
    path : path
    flow_letters : str
        Nucleotide of each flow.
    key : str
    manifest : str, optional
        XML text to put into the index.
    with_index : bool
        Write an index of the reads by name at the end.
    """

    def __init__(self, path, flow_letters, key, *, manifest=None, with_index=True):
        self.path = Path(path)
        if not 0 < len(flow_letters) <= 0xFFFF or len(key) > 0xFFFF:
            raise InputError(f"{path}: an SFF file holds 1 to 65535 flows, not {len(flow_letters)}.")
        self._flow_letters, self._key, self._manifest = flow_letters, key, manifest
        self._names: list[tuple[bytes, int]] | None = [] if with_index or manifest else None
        self._n_reads = 0
        with ExitStack() as stack:
            temporary = stack.enter_context(whole_file(self.path))
            self._file = stack.enter_context(temporary.open("wb"))
            self._file.write(self._header(0, 0))
            self._stack = stack.pop_all()

    def write(self, read):
        """Add an `SffRead`.

        Raises
        ------
        InputError
            If its arrays do not fit each other or the number of flows.
        """
        if self._names is not None:
            self._names.append((read.name.encode("latin-1"), self._file.tell()))
        self._file.write(_encode(read, len(self._flow_letters), self.path))
        self._n_reads += 1

    def close(self):
        """Finish the file and give it its name."""
        with self._stack:
            self._finish()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, traceback)

    def _finish(self):
        offset, index = self._file.tell(), b""
        if self._names is not None and offset < _MAX_INDEXED:
            index = _index(self._names, self._manifest)
            self._file.write(_padded(index))
        self._file.seek(0)
        self._file.write(self._header(offset if index else 0, len(index)))

    def _header(self, index_offset, index_length):
        letters, key = self._flow_letters.encode("ascii"), self._key.encode("ascii")
        n_bytes = len(_padded(bytes(_HEADER.size + len(letters) + len(key))))
        numbers = (index_offset, index_length, self._n_reads, n_bytes, len(key), len(letters), 1)
        return _padded(_HEADER.pack(_MAGIC, _VERSION, *numbers) + letters + key)


def _read_header(path, content):
    """Header, offset of the first read, and the range of bytes of the index (empty if none)."""
    if content[:4].tobytes() != _MAGIC or len(content) < _HEADER.size:
        raise InputError(f"{path}: is no SFF file; expected it to start with .sff and a header of 31 bytes.")
    numbers = _HEADER.unpack(content[: _HEADER.size].tobytes())
    _, version, index_offset, index_length, n_reads, header_length, key_length, n_flows, code = numbers
    if version != _VERSION or code != 1:
        raise InputError(f"{path}: is SFF version {version.hex()}, flowgram format {code}; expected 00000001 and 1.")
    text_end = _HEADER.size + n_flows + key_length
    if header_length % 8 or not text_end <= header_length < text_end + 8 or header_length > len(content) or not n_flows:
        raise InputError(
            f"{path}: header of {header_length} bytes with {n_flows} flows and a key of {key_length} letters; "
            "expected 31 bytes more than these, padded to a multiple of 8. Copy the file again."
        )
    letters = content[_HEADER.size : text_end].tobytes()
    if not letters.isalpha():
        raise InputError(f"{path}: flows or key are not letters. Copy the file again.")
    index = range(index_offset, index_offset + index_length) if index_offset and index_length else range(0)
    if index and (index.start < header_length or index.stop > len(content)):
        raise InputError(f"{path}: index at bytes {index.start} to {index.stop} lies outside the file. Copy it again.")
    kind, manifest = _read_index(content, index)
    text = letters.decode("ascii")
    return SffHeader(n_reads, text[:n_flows], text[n_flows:], manifest, kind), header_length, index


def _read_index(content, index):
    """Kind of the index and its manifest; an index of unknown form is passed over."""
    start = content[index.start : min(index.start + 16, index.stop)].tobytes()
    if len(start) < 8:
        return None, None
    kind, manifest = start[:4].decode("latin-1"), None
    if kind == ".mft" and len(start) == 16:
        length = int.from_bytes(start[8:12], "big")
        text = content[index.start + 16 : min(index.start + 16 + length, index.stop)].tobytes()
        manifest = text.decode("utf-8", "replace") if text else None
    return kind, manifest


def _read_offsets(path, content, header, first, index):
    """Walk over the reads; offset of each, int64 (n_reads,)."""
    signal_bytes = 2 * len(header.flow_letters)
    if header.n_reads * (_READ.size + signal_bytes) > len(content):
        raise InputError(
            f"{path}: says it holds {header.n_reads} reads, more than its {len(content)} bytes can. Copy it again."
        )
    offsets = np.empty(header.n_reads, np.int64)
    view, place = memoryview(content), first
    for number in range(header.n_reads):
        place = _after_index(place, index)
        if place + _READ.size > len(content):
            raise InputError(f"{path}: ends in read {number} of {header.n_reads}. Copy the file again.")
        header_length, name_length, n_bases = _READ.unpack_from(view, place)[:3]
        if header_length % 8 or not _READ.size + name_length <= header_length < _READ.size + name_length + 8:
            raise InputError(
                f"{path}: read {number} at byte {place} has a header of {header_length} bytes for a name of "
                f"{name_length}; the file is damaged before it. Copy it again."
            )
        offsets[number] = place
        place += header_length + _padded_length(signal_bytes + 3 * n_bases)
    if place > len(content):
        raise InputError(f"{path}: ends in its last read. Copy the file again.")
    _check_end(path, content, _after_index(place, index))
    return offsets


def _after_index(place, index):
    return _padded_length(index.stop) if index and place == index.start else place


def _check_end(path, content, place):
    rest = content[place:]
    found = rest[:16].tobytes().find(_MAGIC)
    if found >= 0 or content[max(0, place - 8) : place].tobytes().find(_MAGIC) >= 0:
        raise InputError(
            f"{path}: a second SFF file starts near byte {place}; files cannot be joined by "
            "concatenation. Split them, or merge their reads with a program for SFF."
        )
    if len(rest) >= 8 or rest.any():
        raise InputError(f"{path}: has {len(rest)} bytes after the last read at byte {place}. Copy the file again.")


def _decode(path, content, offset, n_flows):
    lengths = _READ.unpack(content[offset : offset + _READ.size].tobytes())
    header_length, name_length, n_bases, quality_left, quality_right, adapter_left, adapter_right = lengths
    name = content[offset + _READ.size : offset + _READ.size + name_length].tobytes().decode("latin-1")
    place = offset + header_length
    data = content[place : place + 2 * n_flows + 3 * n_bases].tobytes()
    steps, letters, qualities = (data[2 * n_flows + n * n_bases :][:n_bases] for n in range(3))
    base_flows = np.cumsum(np.frombuffer(steps, np.uint8), dtype=np.int64) - 1
    if n_bases and not (letters.isalpha() and base_flows[0] >= 0 and base_flows[-1] < n_flows):
        raise InputError(
            f"{path}: read {name} at byte {offset} has bases that are no letters or lie outside its "
            f"{n_flows} flows. Copy the file again."
        )
    return SffRead(
        name=name,
        bases=letters.decode("ascii"),
        qualities=np.frombuffer(qualities, np.uint8),
        base_flows=base_flows.astype(np.int32),
        flow_values=np.frombuffer(data[: 2 * n_flows], ">u2").astype(np.uint16),
        clip_quality=(quality_left, quality_right),
        clip_adapter=(adapter_left, adapter_right),
    )


def _encode(read, n_flows, path):
    n_bases, name = len(read.bases), read.name.encode("latin-1")
    steps = np.diff(np.asarray(read.base_flows, np.int64), prepend=-1)
    fits = len(read.qualities) == len(steps) == n_bases and np.shape(read.flow_values) == (n_flows,)
    if not fits or (n_bases and (steps.min() < 0 or steps.max() > 255 or read.base_flows[-1] >= n_flows)):
        raise InputError(
            f"{path}: read {read.name} has {n_bases} bases, {len(read.qualities)} qualities, {len(steps)} base "
            f"flows and {len(read.flow_values)} flows; expected as many of each, {n_flows} flows, and base "
            "flows that rise by at most 255."
        )
    header_length = _padded_length(_READ.size + len(name))
    header = _READ.pack(header_length, len(name), n_bases, *read.clip_quality, *read.clip_adapter)
    data = (
        np.asarray(read.flow_values).astype(">u2").tobytes()
        + steps.astype(np.uint8).tobytes()
        + read.bases.encode("ascii")
        + np.asarray(read.qualities, np.uint8).tobytes()
    )
    return _padded(header + name) + _padded(data)


def _index(names, manifest):
    entries = b"".join(name + b"\0" + _base_255(offset) + b"\xff" for name, offset in sorted(names))
    if manifest is None:
        return b".srt1.00" + bytes(4) + entries
    text = manifest.encode("utf-8")
    return b".mft1.00" + struct.pack(">II", len(text), len(entries)) + text + entries


def _base_255(number):
    return bytes(number // 255**power % 255 for power in (3, 2, 1, 0))


def _padded_length(n_bytes):
    return n_bytes + -n_bytes % 8


def _padded(content):
    return content + bytes(-len(content) % 8)
