"""Write DAT files."""

import numpy as np

from ionanalysis._core import dat as kernels
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.dat.components import encode_components
from ionanalysis.io.dat.decoding import sample_order
from ionanalysis.io.dat.header import MAX_PIXEL, SIGNATURE, DatHeader, version_of
from ionanalysis.io.dat.timebase import frame_counts_from_times


def write_dat(
    path,
    frames,
    end_times_ms,
    *,
    interlace_type=5,
    compress=None,
    checksum=True,
    region_shape=(64, 64),
    first_frame_time=0,
):
    """Write one flow image, whole or not at all.

    Parameters
    ----------
    path : path-like
        File to write.
    frames : array_like of shape (n_frames, rows, cols), int
        Counts, 0 to 16383.
    end_times_ms : array_like of shape (n_frames,), int
        End of each frame, in ms, increasing; the first is the length of a base frame. For long frames
        round times down (sigproc.md A.3).
    interlace_type : int
        0 to 3: plain, version 3. 4: differences over the whole frame, version 3. 5 or 6: by region,
        version 4. 7: sums of six common traces per block, version 4; lossy, all others are exact.
    compress : bool, optional
        Whether frames of types 4 to 6 are stored as differences; by default wherever the format can
        (types 5 and 6: columns in multiples of 8). The first frame is always plain.
    checksum : bool
        Whether the sum of all bytes follows, for types 4 to 6.
    region_shape : (int, int)
        Rows and columns of the regions of types 5 to 7; columns a multiple of 8.
    first_frame_time : int
        When the flow began, in seconds since 1970.

    Raises
    ------
    InputError
        If counts, times, size and type do not fit each other.
    OutputError
        If the file cannot be written.
    """
    frames = _checked_frames(path, frames)
    times = np.asarray(end_times_ms)
    if times.shape != frames.shape[:1]:
        raise InputError(f"{path}: end_times_ms has shape {times.shape} for {len(frames)} frames; one time per frame.")
    header = DatHeader(
        version=version_of(interlace_type) if interlace_type in range(8) else 0,
        interlace_type=interlace_type,
        n_frames=frames.shape[0],
        n_rows=frames.shape[1],
        n_cols=frames.shape[2],
        n_uncompressed_frames=int(frame_counts_from_times(times).sum()),
        first_frame_time=first_frame_time,
        region_rows=region_shape[0],
        region_cols=region_shape[1],
    )
    _check_header(path, header, compress)
    parts = _encode(path, header, frames, times, compress)
    _write(path, header, parts, checksum and interlace_type in (4, 5, 6))


def _checked_frames(path, frames):
    frames = np.asarray(frames)
    if frames.ndim != 3 or not frames.size or max(frames.shape) > 0xFFFF or frames.dtype.kind not in "iu":
        raise InputError(
            f"{path}: frames have shape {frames.shape} and type {frames.dtype}; "
            "expected integers of shape (n_frames, rows, cols), each 1 to 65535."
        )
    if frames.min() < 0 or frames.max() > MAX_PIXEL:
        raise InputError(
            f"{path}: counts reach from {frames.min()} to {frames.max()}; a DAT file holds 0 to {MAX_PIXEL}."
        )
    return np.ascontiguousarray(frames, np.int16)


def _check_header(path, header, compress):
    kind = header.interlace_type
    if not header.version:
        raise InputError(f"{path}: interlace type {kind} cannot be written; use 0 to 7.")
    if header.n_uncompressed_frames > 0xFFFF:
        raise InputError(f"{path}: {header.n_uncompressed_frames} base frames; a DAT file counts up to 65535.")
    if header.version == 4 and (min(header.region_rows, header.region_cols) < 1 or header.region_cols % 8):
        raise InputError(
            f"{path}: regions of {header.region_rows} x {header.region_cols} wells; columns must be a multiple of 8."
        )
    if (compress or kind == 7) and (kind <= 3 or (kind >= 5 and header.n_cols % 8)):
        raise InputError(
            f"{path}: {header.n_cols} columns of interlace type {kind} cannot be compressed; "
            "types 5 to 7 take multiples of 8 columns, type 4 any number."
        )


def _encode(path, header, frames, times, compress):
    """The bytes of each frame, one after the other."""
    kind = header.interlace_type
    if kind <= 3:
        order = np.empty(header.n_rows * header.n_cols, np.int64)
        order[sample_order(path, header).ravel()] = np.arange(order.size)
        return (_word(time) + _samples(pixels.ravel()[order]) for time, pixels in zip(times, frames, strict=True))
    if kind == 7:
        return encode_components(header, frames, times)
    if compress is None:
        compress = kind == 4 or header.n_cols % 8 == 0
    return _encode_deltas(header, frames, times, compress)


def _encode_deltas(header, frames, times, compress):
    found = np.zeros(3, np.int64)
    coded = np.empty(_most_bytes(header) if compress else 0, np.uint8)
    for number, (time, pixels) in enumerate(zip(times, frames, strict=True)):
        if number == 0 or not compress:
            yield _word(time) + _word(0) + _samples(pixels)
            continue
        if header.interlace_type == 4:
            kernels.encode_delta(frames[number - 1].reshape(-1), pixels.reshape(-1), coded, found)
        else:
            # A region that is left out from frame 1 on would be read as one that came late.
            grid = np.array([header.region_rows, header.region_cols, number > 1], np.int64)
            kernels.encode_regions(grid, frames[number - 1], pixels, coded, found)
        transitions, pixel_sum, n_bytes = found.tolist()
        words = (time, 1, n_bytes + 16, transitions, pixel_sum, SIGNATURE)
        yield b"".join(map(_word, words)) + coded[:n_bytes].tobytes()


def _most_bytes(header):
    """Upper bound of the codes of one frame."""
    n_pixels = header.n_rows * header.n_cols
    if header.interlace_type == 4:
        return 4 * n_pixels
    n_down, n_across = header.region_grid
    return 4 * n_down * n_across + 18 * n_pixels // 8 + 24


def _word(value):
    return (int(value) & 0xFFFFFFFF).to_bytes(4, "big")


def _samples(pixels):
    return pixels.astype(">u2").tobytes()


def _write(path, header, parts, checksum):
    with whole_file(path) as temporary, temporary.open("w+b") as file:
        file.write(header.pack(0))
        size = total = 0
        for part in parts:
            file.write(part)
            size += len(part)
            total += kernels.byte_sum(np.frombuffer(part, np.uint8))
        start = header.pack(size)
        if checksum:
            file.write(_word(total + sum(start)))
        file.seek(0)
        file.write(start)
