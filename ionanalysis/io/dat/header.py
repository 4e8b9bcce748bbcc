"""Headers of DAT files, versions 3 and 4 (sigproc.md 1.3)."""

import struct
from dataclasses import dataclass
from pathlib import Path

from ionanalysis.errors import InputError

SIGNATURE = 0xDEADBEEF
MAX_PIXEL = 0x3FFF
"""Samples have 14 bits."""

_FILE = struct.Struct(">4I")
_VERSION_3 = struct.Struct(">I6HI4H4H2H")
_VERSION_4 = struct.Struct(">I6HI4H2H")
_VERSION_OF_TYPE = {0: 3, 1: 3, 2: 3, 3: 3, 4: 3, 5: 4, 6: 4, 7: 4}


@dataclass(frozen=True, kw_only=True)
class DatHeader:
    """What the header of a DAT file says."""

    version: int
    """Layout of the header: 3 for interlace types 0 to 4, 4 for types 5 to 7."""
    interlace_type: int
    """How frames are stored: 0-3 plain, 4 delta, 5 and 6 delta by region, 7 PCA."""
    n_rows: int
    n_cols: int
    n_frames: int
    """Stored frames."""
    n_uncompressed_frames: int = 0
    """Base frames, as written in the file; see `n_base_frames`."""
    first_frame_time: int = 0
    """Seconds since 1970."""
    sample_rate: int = 15
    region_rows: int = 0
    """Height of the regions of types 5 to 7, in wells."""
    region_cols: int = 0
    """Width of the regions of types 5 to 7, in wells."""
    channels: int = 4
    channel_offset: tuple[int, int, int, int] = (0, 0, 0, 0)
    full_scale_voltage: tuple[int, int, int, int] = (0, 0, 0, 0)
    electrode: int = 0
    frame_interval: int = 0
    hw_interlace_type: int = 0

    @property
    def n_base_frames(self):
        """Frames at the base rate that the stored ones stand for."""
        told = self.n_uncompressed_frames
        return told if self.n_frames < told < 4 * self.n_frames else self.n_frames

    @property
    def n_bytes(self):
        """Size of the header, in bytes; the frames follow."""
        return _FILE.size + (_VERSION_3 if self.version == 3 else _VERSION_4).size

    @property
    def frame_bytes(self):
        """Size of the samples of one frame that is stored plain, in bytes."""
        return 2 * self.n_rows * self.n_cols

    @property
    def region_grid(self):
        """Number of regions: down, across."""
        return -(-self.n_rows // self.region_rows), -(-self.n_cols // self.region_cols)

    def pack(self, data_size):
        """The header as bytes, before `data_size` bytes of frames."""
        start = _FILE.pack(SIGNATURE, self.version, 40, min(data_size, 0xFFFFFFFF))
        frames = (self.n_frames, self.n_uncompressed_frames, self.sample_rate)
        size = (self.first_frame_time, self.n_rows, self.n_cols)
        if self.version == 3:
            voltages = (*self.full_scale_voltage, *self.channel_offset, self.electrode, self.frame_interval)
            return start + _VERSION_3.pack(*size, self.channels, self.interlace_type, *frames, *voltages)
        regions = (self.region_cols, self.region_rows)
        types = (self.hw_interlace_type, self.interlace_type)
        return start + _VERSION_4.pack(*size, *regions, *frames, *self.channel_offset, *types)


def version_of(interlace_type):
    """Header version that goes with an interlace type."""
    return _VERSION_OF_TYPE[interlace_type]


def read_header(path):
    """Read the header of a DAT file.

    Raises
    ------
    InputError
        If the file cannot be read, is no DAT file, or has a version or interlace type without meaning.
    """
    try:
        with Path(path).open("rb") as file:
            return parse_header(path, file.read(_FILE.size + _VERSION_3.size))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); every flow needs its image.") from error


def parse_header(path, data):
    """Header from the first bytes of the file `path`."""
    if len(data) < _FILE.size + _VERSION_4.size:
        raise InputError(f"{path}: has {len(data)} bytes, too few for the header of a DAT file; copy it again.")
    signature, version, _, _ = _FILE.unpack_from(data)
    if signature != SIGNATURE:
        raise InputError(f"{path}: starts with {signature:#010x} where a DAT file has {SIGNATURE:#010x}.")
    if version not in (3, 4):
        raise InputError(f"{path}: is a DAT file of version {version}; versions 3 and 4 can be read.")
    if version == 3 and len(data) < _FILE.size + _VERSION_3.size:
        raise InputError(f"{path}: has {len(data)} bytes, too few for the header of a DAT file; copy it again.")
    header = _parse_version_3(data) if version == 3 else _parse_version_4(data)
    _check(path, header)
    return header


def _parse_version_3(data):
    values = _VERSION_3.unpack_from(data, _FILE.size)
    time, rows, cols, channels, interlace, frames, uncompressed, rate = values[:8]
    return DatHeader(
        version=3,
        interlace_type=interlace,
        n_rows=rows,
        n_cols=cols,
        n_frames=frames,
        n_uncompressed_frames=uncompressed,
        first_frame_time=time,
        sample_rate=rate,
        channels=channels,
        full_scale_voltage=values[8:12],
        channel_offset=values[12:16],
        electrode=values[16],
        frame_interval=values[17],
    )


def _parse_version_4(data):
    values = _VERSION_4.unpack_from(data, _FILE.size)
    time, rows, cols, region_cols, region_rows, frames, uncompressed, rate = values[:8]
    return DatHeader(
        version=4,
        interlace_type=values[13],
        n_rows=rows,
        n_cols=cols,
        n_frames=frames,
        n_uncompressed_frames=uncompressed,
        first_frame_time=time,
        sample_rate=rate,
        region_rows=region_rows,
        region_cols=region_cols,
        channel_offset=values[8:12],
        hw_interlace_type=values[12],
    )


def _check(path, header):
    if _VERSION_OF_TYPE.get(header.interlace_type) != header.version:
        raise InputError(
            f"{path}: interlace type {header.interlace_type} in a header of version {header.version}; "
            "version 3 has types 0 to 4, version 4 types 5 to 7. Copy the file again."
        )
    if 0 in (header.n_rows, header.n_cols, header.n_frames):
        raise InputError(
            f"{path}: says it has {header.n_frames} frames of {header.n_rows} x {header.n_cols} wells; "
            "none of them can be 0. Copy the file again."
        )
