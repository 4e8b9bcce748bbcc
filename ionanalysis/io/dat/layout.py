"""Where the frames of a DAT file lie, checked against its size before anything is decoded."""

import struct
from typing import NamedTuple

import numpy as np

from ionanalysis._core import dat as kernels
from ionanalysis.errors import ChecksumError, InputError
from ionanalysis.io.dat.header import SIGNATURE, DatHeader

_CODED = struct.Struct(">6I")


class DatFile(NamedTuple):
    """The bytes of a DAT file, and its header."""

    path: object
    data: np.ndarray
    header: DatHeader

    def error(self, place, problem):
        """An `InputError` about a frame (by number) or another place."""
        place = f"frame {place}" if isinstance(place, int) else place
        return InputError(f"{self.path}, {place}: {problem}; the file is damaged, copy it again.")


class StoredFrame(NamedTuple):
    """Place and checks of one frame: its bytes are data[start:stop]."""

    start: int
    stop: int
    end_time_ms: int
    mode: int = 0
    """0: plain samples; else delta codes, with shifts from 2 on, with region averages from 3 on."""
    transitions: int = 0
    pixel_sum: int = 0


def locate_plain(file):
    """Frames of interlace types 0 to 3."""
    size = 4 + file.header.frame_bytes
    expect_size(file, file.header.n_bytes + file.header.n_frames * size)
    starts = file.header.n_bytes + size * np.arange(file.header.n_frames)
    times = [int.from_bytes(file.data[at : at + 4].tobytes(), "big") for at in starts]
    return [StoredFrame(int(at) + 4, int(at) + size, time) for at, time in zip(starts, times, strict=True)]


def locate_coded(file):
    """Frames of interlace types 4 to 6."""
    header = file.header
    # The first frame is plain; later ones of type 4 have a byte per pixel or more.
    least = 8 + (header.n_rows * header.n_cols if header.interlace_type == 4 else 2)
    expect_size(file, header.n_bytes + 8 + header.frame_bytes + (header.n_frames - 1) * least)
    found = np.empty((header.n_frames, 6), np.int64)
    n_sound = kernels.locate_frames(file.data, header.n_bytes, header.frame_bytes, found)
    if n_sound < header.n_frames:
        raise _unsound(file, n_sound, int(found[n_sound - 1, 1]) if n_sound else header.n_bytes)
    return [StoredFrame(*frame) for frame in found.tolist()]


def _unsound(file, number, at):
    """What is wrong with a frame of type 4 to 6 that should begin at a byte."""
    words = file.data[at : at + _CODED.size].tobytes()
    if len(words) < 8:
        return file.error(number, "the file ends before it")
    _, mode = struct.unpack_from(">2I", words)
    if mode == 0:
        if number and words[20:24] == SIGNATURE.to_bytes(4, "big"):
            return file.error(number, "says it is plain, but has the mark of a coded frame")
        return _beyond(file, number, at + 8 + file.header.frame_bytes)
    if len(words) < _CODED.size:
        return file.error(number, "the file ends in its header")
    length, _, _, sentinel = struct.unpack_from(">4I", words, 8)
    if number == 0:
        return file.error(0, f"is coded (word {mode}) where nothing lies before it")
    if sentinel != SIGNATURE:
        return file.error(number, f"has {sentinel:#010x} where {SIGNATURE:#010x} marks a frame")
    if length < 16:
        return file.error(number, f"says it is {length} bytes long; at least 16 are needed")
    return _beyond(file, number, at + 8 + length)


def _beyond(file, number, stop):
    return file.error(number, f"ends at byte {stop}, the file at byte {len(file.data)}")


def expect_size(file, n_bytes):
    """Raise `InputError` if the file is shorter than its header makes it."""
    if len(file.data) < n_bytes:
        header = file.header
        raise InputError(
            f"{file.path}: has {len(file.data)} bytes; {header.n_frames} frames of {header.n_rows} x {header.n_cols} "
            f"wells need at least {n_bytes}. The file is cut short or its header damaged; copy it again."
        )


def check_trailer(file, end, *, has_sum):
    """Check what follows the frames: the sum of all bytes, where there is one, and zeros."""
    rest = file.data[end:]
    problem = ""
    if has_sum and len(rest):
        told, found = int.from_bytes(rest[:4].tobytes(), "big"), kernels.byte_sum(file.data[:end]) & 0xFFFFFFFF
        if len(rest) < 4:
            problem = f"its checksum has {len(rest)} of 4 bytes"
        elif told != found:
            problem = f"its bytes add up to {found:#010x}, its checksum is {told:#010x}"
        rest = rest[4:]
    if not problem and rest.any():
        problem = f"{len(rest)} bytes that belong to no frame follow the last one"
    if problem:
        raise ChecksumError(
            f"{file.path}: {problem}; the file is damaged, copy it again (check=False reads it all the same)."
        )
