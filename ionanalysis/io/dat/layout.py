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
    frames, at = [], header.n_bytes
    for number in range(header.n_frames):
        frame = _coded_frame(file, number, at)
        frames.append(frame)
        at = frame.stop
    return frames


def _coded_frame(file, number, at):
    if at + 8 > len(file.data):
        raise file.error(number, "the file ends before it")
    if at + _CODED.size <= len(file.data):
        time, mode, length, transitions, pixel_sum, sentinel = _CODED.unpack_from(file.data, at)
    else:
        time, mode = struct.unpack_from(">2I", file.data, at)
        sentinel = None
    if mode == 0:
        # Samples have 14 bits, so the mark can only be that of a coded frame.
        if number and sentinel == SIGNATURE:
            raise file.error(number, "says it is plain, but has the mark of a coded frame")
        frame = StoredFrame(at + 8, at + 8 + file.header.frame_bytes, time)
    else:
        if sentinel is None:
            raise file.error(number, "the file ends in its header")
        if number == 0:
            raise file.error(0, f"is coded (word {mode}) where nothing lies before it")
        if sentinel != SIGNATURE:
            raise file.error(number, f"has {sentinel:#010x} where {SIGNATURE:#010x} marks a frame")
        if length < 16:
            raise file.error(number, f"says it is {length} bytes long; at least 16 are needed")
        frame = StoredFrame(at + 24, at + 8 + length, time, mode, transitions, pixel_sum)
    if frame.stop > len(file.data):
        raise file.error(number, f"ends at byte {frame.stop}, the file at byte {len(file.data)}")
    return frame


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
