"""Read DAT files."""

import mmap
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.dat import components, decoding, layout
from ionanalysis.io.dat.header import parse_header
from ionanalysis.io.dat.image import Image
from ionanalysis.io.dat.timebase import frame_counts_from_times


def read_dat(path, rows=slice(None), cols=slice(None), *, check=True):
    """Decode one flow image, or a window of it.

    Parameters
    ----------
    path : path-like
        File of version 3 or 4, any interlace type.
    rows, cols : slice
        Window, in wells; steps other than 1 are refused. A window holds the same bytes as that part
        of the whole image.
    check : bool
        Whether transition counts, pixel sums, the checksum of the file and its times must be right.

    Returns
    -------
    image : Image
        Its frames are decoded already; `open_dat` leaves that for later.

    Raises
    ------
    InputError
        If the file is missing, cut short, of another format, or its codes make no sense.
    ChecksumError
        If it carries a check and fails it.

    Notes
    -----
    Memory: the window, and for types 1 to 4 two frames. Source: sigproc.md 1.3-1.8.
    """
    image = open_dat(path, rows, cols, check=check)
    image.frames  # noqa: B018
    return image


def open_dat(path, rows=slice(None), cols=slice(None), *, check=True):
    """Open one flow image, or a window of it; see `read_dat`.

    What the header, the times and the size of the file tell is checked at once, codes and checksums
    when frames are asked for. The image is small and picklable until then.
    """
    file = _open(path)
    window = _bounds(file, "rows", rows, file.header.n_rows), _bounds(file, "cols", cols, file.header.n_cols)
    times, counts = _time_base(file, _locate(file)[0], check)
    return Image(file.header, *window, times, counts, partial(_decode, path, check))


def _open(path):
    data = _map_bytes(path)
    return layout.DatFile(path, data, parse_header(path, data[:64].tobytes()))


def _locate(file):
    """End times as stored, where the frames (or blocks) lie, and where they end."""
    kind = file.header.interlace_type
    if kind == 7:
        return components.locate_blocks(file)
    stored = layout.locate_plain(file) if kind <= 3 else layout.locate_coded(file)
    return [frame.end_time_ms for frame in stored], stored, stored[-1].stop


def _decode(path, check, rows, cols):
    file = _open(path)
    _, stored, end = _locate(file)
    whole = (rows.start, cols.start, rows.stop, cols.stop) == (0, 0, file.header.n_rows, file.header.n_cols)
    if check and whole:
        _check_trailer(file, end)
    elif check:
        stat = Path(path).stat()
        _check_sum_once(path, stat.st_size, stat.st_mtime_ns)
    try:
        return _DECODERS[file.header.interlace_type](file, stored, (rows, cols), check)
    except MemoryError:
        size = f"{file.header.n_frames} frames of {rows.stop - rows.start} x {cols.stop - cols.start} wells"
        raise InputError(f"{path}: {size} do not fit into memory; read smaller windows.") from None


def _check_trailer(file, end):
    layout.check_trailer(file, end, has_sum=file.header.interlace_type in (4, 5, 6))


@lru_cache(maxsize=4096)
def _check_sum_once(path, size, modified):
    """Add the bytes of a file up for its first window only: chips are read in thousands of them."""
    file = _open(path)
    _check_trailer(file, _locate(file)[2])


_DECODERS = {
    **dict.fromkeys(range(4), decoding.decode_plain),
    4: decoding.decode_delta,
    5: decoding.decode_regions,
    6: decoding.decode_regions,
    7: components.decode_components,
}


def _map_bytes(path):
    """The bytes of a file, paged in as they are used."""
    try:
        if not Path(path).stat().st_size:
            raise InputError(f"{path}: is empty; copy it again.")
        with Path(path).open("rb") as file:
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error


def _bounds(file, axis, wanted, length):
    start, stop, step = wanted.indices(length)
    if step != 1 or start >= stop:
        raise InputError(f"{file.path}: {axis} {wanted} leave no window in {length}; use a slice with step 1.")
    return slice(start, stop)


def _time_base(file, times, check):
    """End times from the start of the flow, and the base frames of each stored frame (sigproc.md 1.7)."""
    times = np.array(times, np.int64)
    if len(times) > 1 and times[0] == 0:
        times += times[1]
    most = np.iinfo(np.int32).max
    if check and times.max() > most:
        raise InputError(f"{file.path}: a frame ends after {times.max()} ms; the file is damaged, copy it again.")
    times = np.clip(times, 0, most)
    try:
        counts = _frame_counts(times, file.header)
    except InputError as error:
        if check:
            raise InputError(f"{file.path}: {error} The file is damaged, copy it again.") from None
        counts = np.clip((np.diff(times, prepend=0) + 2) // max(times[0], 1), 1, 0xFFFF).astype(np.int32)
    return times.astype(np.int32), counts


def _frame_counts(times, header):
    """Counts that the times give; what the header tells decides only where it tells of long frames."""
    n_frames, n_base_frames = header.n_frames, header.n_base_frames
    if n_frames == 1:
        return np.ones(1, np.int32)
    if n_base_frames > n_frames:
        return frame_counts_from_times(times, n_base_frames)
    try:
        return frame_counts_from_times(times)
    except InputError:
        return frame_counts_from_times(times, n_frames)
