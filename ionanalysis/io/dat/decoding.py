"""Pixels of interlace types 0 to 6 (sigproc.md 1.4-1.6)."""

import numpy as np

from ionanalysis._core import dat as kernels
from ionanalysis.errors import ChecksumError, InputError

_STATUS = {
    1: "its codes end too early",
    2: "a code that tells the width of the next pixels is missing",
    3: "it has a width code that does not exist",
    4: "a region starts outside of it",
}


def decode_plain(file, stored, window, check):
    """Frames of types 0 to 3: plain samples in an order of their own; nothing to check."""
    rows, cols = window
    order = sample_order(file.path, file.header)[rows, cols]
    first, last = int(order.min()), int(order.max()) + 1
    order = order - first
    samples = np.empty(last - first, np.int16)
    frames = np.empty((len(stored), *order.shape), np.int16)
    for number, frame in enumerate(stored):
        kernels.unpack_stored(file.data[frame.start + 2 * first : frame.start + 2 * last], samples)
        np.take(samples, order, out=frames[number], mode="clip")
    return frames


def sample_order(path, header):
    """Index of the sample of each pixel in a frame of types 0 to 3, int64 of shape (n_rows, n_cols)."""
    kind, n_rows, n_cols = header.interlace_type, header.n_rows, header.n_cols
    step_rows, step_cols = {0: (1, 2), 1: (2, 2), 2: (2, 4), 3: (2, 4)}[kind]
    if n_rows % step_rows or n_cols % step_cols:
        raise InputError(
            f"{path}: {n_rows} x {n_cols} wells cannot be of interlace type {kind}, whose rows come in groups of "
            f"{step_rows} and columns in groups of {step_cols}. The header is damaged, copy the file again."
        )
    y, x = np.arange(n_rows)[:, None], np.arange(n_cols)
    half = n_rows // 2
    if kind == 0:
        return y * n_cols + (x ^ 1)
    if kind == 1:
        return (y % half) * 2 * n_cols + x // 2 * 4 + (y // half) * 2 + (1 - x % 2)
    lines = np.where(y < half, (half - 1 - y) * 2, (y - half) * 2 + 1)
    if kind == 2:
        return lines // 2 * 2 * n_cols + x // 4 * 8 + lines % 2 * 4 + x % 4
    base = np.where(y < half, (half - y) * 2 * n_cols - n_cols, (y - half) * 2 * n_cols)
    return base + x // 4 * 4 + np.array([1, 0, 3, 2])[x % 4]


def decode_delta(file, stored, window, check):
    """Frames of type 4: differences to the frame before, over the whole frame."""
    header = file.header
    frames = np.empty((len(stored), *_shape(window)), np.int16)
    previous, pixels = np.empty((2, header.n_rows * header.n_cols), np.int16)
    found = np.zeros(2, np.int64)
    for number, frame in enumerate(stored):
        payload = file.data[frame.start : frame.stop]
        if frame.mode == 0:
            kernels.unpack_stored(payload, pixels)
        else:
            status = kernels.decode_delta(payload, previous, pixels, found)
            _expect_done(file, number, status)
            _expect_found(file, number, frame, found, check)
        frames[number] = pixels.reshape(header.n_rows, header.n_cols)[window]
        previous, pixels = pixels, previous
    return frames


def decode_regions(file, stored, window, check):
    """Frames of types 5 and 6: differences by region; late regions are interpolated."""
    header = file.header
    if not any(frame.mode for frame in stored):
        return _decode_stored(file, stored, window)
    _expect_regions(file)
    grid, rows, cols, n_down, n_across = _cover(header, window)
    frames = np.empty((len(stored), rows.stop - rows.start, cols.stop - cols.start), np.int16)
    coded = np.ones((len(stored), n_down, n_across), np.uint8)
    whole = frames.shape[1:] == (header.n_rows, header.n_cols)
    found = np.zeros(2, np.int64)
    for number, frame in enumerate(stored):
        if frame.mode == 0:
            _unpack(file, frame, (rows, cols), frames[number])
            continue
        payload = file.data[frame.start : frame.stop]
        args = frames[number - 1], frames[number], coded[number], found
        _expect_done(file, number, kernels.decode_regions(payload, min(frame.mode, 3), grid, *args))
        _expect_found(file, number, frame, found, check and whole)
    times = np.array([frame.end_time_ms for frame in stored], np.int64)
    _fill_late_regions(frames, times, coded, (header.region_rows, header.region_cols))
    inside = tuple(slice(w.start - c.start, w.stop - c.start) for w, c in zip(window, (rows, cols), strict=True))
    return np.ascontiguousarray(frames[:, *inside])


def _decode_stored(file, stored, window):
    frames = np.empty((len(stored), *_shape(window)), np.int16)
    for number, frame in enumerate(stored):
        _unpack(file, frame, window, frames[number])
    return frames


def _unpack(file, frame, window, pixels):
    """Fill `pixels` with a window of a frame of plain samples in row-major order."""
    header, (rows, cols) = file.header, window
    samples = file.data[frame.start : frame.stop].reshape(header.n_rows, 2 * header.n_cols)
    samples = samples[rows, 2 * cols.start : 2 * cols.stop]
    kernels.unpack_stored(np.ascontiguousarray(samples).reshape(-1), pixels.reshape(-1))


def _shape(window):
    return tuple(part.stop - part.start for part in window)


def _cover(header, window):
    """The whole regions that cover a window: kernel grid, rows, cols, how many regions down and across."""
    (first_row, first_col), (stop_row, stop_col) = (
        (window[0].start // header.region_rows, window[1].start // header.region_cols),
        (-(-window[0].stop // header.region_rows), -(-window[1].stop // header.region_cols)),
    )
    rows = slice(first_row * header.region_rows, min(stop_row * header.region_rows, header.n_rows))
    cols = slice(first_col * header.region_cols, min(stop_col * header.region_cols, header.n_cols))
    per_row = header.region_grid[1]
    grid = np.array([header.region_rows, header.region_cols, per_row, first_row, first_col], np.int64)
    return grid, rows, cols, stop_row - first_row, stop_col - first_col


def _expect_regions(file):
    header = file.header
    if header.region_rows < 1 or header.region_cols < 1 or header.region_cols % 8 or header.n_cols % 8:
        raise InputError(
            f"{file.path}: regions of {header.region_rows} x {header.region_cols} in {header.n_rows} x "
            f"{header.n_cols} wells; rows of regions must be multiples of 8 wells. The header is damaged, "
            "copy the file again."
        )


def _expect_done(file, number, status):
    if status:
        raise file.error(number, _STATUS[status])


def _expect_found(file, number, frame, found, check):
    transitions, pixel_sum = int(found[0]), int(found[1]) & 0xFFFFFFFF
    if check and (transitions, pixel_sum) != (frame.transitions, frame.pixel_sum):
        raise ChecksumError(
            f"{file.path}, frame {number}: {transitions} width codes and pixel sum {pixel_sum}, where its header "
            f"tells {frame.transitions} and {frame.pixel_sum}; the file is damaged, copy it again "
            "(check=False reads it all the same)."
        )


def _fill_late_regions(frames, times, coded, region):
    """Interpolate regions whose first coded frame comes late, in place (sigproc.md 1.6)."""
    height, length = region
    first = np.where(coded[1:].any(axis=0), coded[1:].argmax(axis=0) + 1, 0) if len(frames) > 1 else np.zeros(1)
    for i, j in np.argwhere(first >= 2):
        traces = frames[:, i * height : (i + 1) * height, j * length : (j + 1) * length]
        _fill_late_region(traces, times, int(first[i, j]))


def _fill_late_region(traces, times, first):
    middle, last = first // 2, len(traces) - 1
    start, arrived = traces[0].astype(np.int64), traces[first].astype(np.int64)
    # The frames after the first coded one may be missing: then the trace rests where it arrived.
    after = traces[first + 1 : first + 3].astype(np.int64)
    aim = np.trunc(after.sum(axis=0) / len(after)).astype(np.int64) if len(after) else arrived
    for frame in range(1, middle):
        traces[frame] = start + _part(arrived - start, times, (0, frame, middle))
    traces[middle] = arrived
    for frame in range(middle + 1, first + 1):
        traces[frame] = arrived + _part(aim - arrived, times, (middle, frame, min(first + 1, last)))


def _part(change, times, frames):
    """Share of `change` that is done at the second of three frames, cut to an integer."""
    begin, now, end = times[list(frames)]
    return np.trunc(change * (now - begin) / max(end - begin, 1)).astype(np.int64)
