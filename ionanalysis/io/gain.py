"""Gain of each pixel: `Gain.lsr` (sigproc.md 1.9)."""

import struct
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole

MAGIC = 0xFF115E3A
LEAST_GAIN, MOST_GAIN = 0.65, 1.35

_HEADER = struct.Struct("<4I")


def read_gain(path):
    """Gain of each pixel as stored, float32 of shape (rows, cols); see `usable_gain`.

    Raises
    ------
    InputError
        If the file cannot be read, is no gain file, or its size does not fit its header.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(_HEADER.size)
            if len(start) < _HEADER.size or _HEADER.unpack(start)[:2] != (MAGIC, 0):
                raise InputError(f"{path}: is no gain file of version 0; copy it again.")
            n_rows, n_cols = _HEADER.unpack(start)[2:]
            n_bytes = Path(path).stat().st_size
            if n_bytes != _HEADER.size + 4 * n_rows * n_cols:
                raise InputError(
                    f"{path}: has {n_bytes} bytes; {n_rows} x {n_cols} gains need "
                    f"{_HEADER.size + 4 * n_rows * n_cols}. Copy it again."
                )
            return np.frombuffer(file.read(), "<f4").astype(np.float32).reshape(n_rows, n_cols)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


def write_gain(path, gain):
    """Write gains of shape (rows, cols), whole or not at all."""
    gain = np.asarray(gain, "<f4")
    if gain.ndim != 2:
        raise InputError(f"{path}: gains have shape {gain.shape}; expected (rows, cols).")
    write_whole(path, _HEADER.pack(MAGIC, 0, *gain.shape) + gain.tobytes())


def usable_gain(gain):
    """Gains to multiply pixels with: unknown ones (0, NaN) are 1, others lie within 0.65 to 1.35.

    >>> usable_gain(np.array([[0.5, 1.1, 0.0, np.nan]], np.float32))
    array([[0.65, 1.1 , 1.  , 1.  ]], dtype=float32)
    """
    gain = np.asarray(gain, np.float32)
    unknown = np.isnan(gain) | (gain == 0)
    return np.where(unknown, np.float32(1), np.clip(gain, np.float32(LEAST_GAIN), np.float32(MOST_GAIN)))
