"""What pixels are corrected for before anything is measured: gain, cross-talk of channels and of pairs (sigproc.md 2).

All of it is linear in counts above rest, so that the fits that follow need not know. Where a file has more than the
window that is asked for, corrections look beyond it, so that it does not matter how a chip is cut.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from ionanalysis.errors import InputError
from ionanalysis.io.dat import open_dat
from ionanalysis.io.gain import read_gain, usable_gain
from ionanalysis.run import BEADFIND_IMAGE

GAIN_FILE = "Gain.lsr"

PINNED_LOW, PINNED_HIGH = 0, 16380
"""Counts beyond which the converter is saturated: at or below, at or above (sigproc.md 2.2, bead finding)."""

REACH = 12
"""Columns that the cross-talk of channels reaches."""

CHANNEL_WEIGHTS = {
    "316": ((0.0029, -0.0632, -0.0511, 1.1114, 0.0, 0.0, 0.0),) * 2,
    "318": (
        (0.0132, -0.1511, -0.0131, 1.1076, 0.0404, 0.0013, 0.0018),
        (0.0356, -0.1787, -0.1732, 1.3311, -0.0085, -0.0066, 0.0001),
    ),
}
"""Weights of the pixels 12, 8, 4 columns before, of a pixel itself, and 4, 8, 12 after it; for chip columns that are
0 to 3 and 4 to 7 modulo 8 (sigproc.md 2.3)."""

LEAST_BEADFIND_GAIN, MOST_BEADFIND_GAIN = 0.8, 1.35
_GAIN_ROWS, _GAIN_COLS = 3, 6
"""Rows and columns on each side whose mean trace of the bead-find image a pixel is compared with."""

_FRAMES_BEFORE = 20


@dataclass(frozen=True)
class Conditioning:
    """Which corrections the images of a run get.

    Parameters
    ----------
    gain : {"none", "file", "beadfind"}
        Pixels are multiplied by ``Gain.lsr``, or by what the bead-find image tells.
    channels : {"none", "316", "318"}
        Chip whose cross-talk of channels is taken off.
    pairs : float
        Part of a pixel's signal that the other one of a pair of rows shows.
    """

    gain: str = "none"
    channels: str = "none"
    pairs: float = 0.0

    @classmethod
    def of(cls, run, options):
        """What `BeadfindOptions` ask for, with the defaults of the run's chip (sigproc.md 1.10)."""
        family = run.chip.strip('"').lower()
        gain = options.pixel_gain
        if gain == "chip":
            wanted = "none" if family[:3] in ("", "314", "316", "318", "324") else "file"
            if family.startswith(("p1.0.", "p1.1.17", "p2.0.")):
                wanted = "beadfind"
            gain = wanted if _gain_source(run.path, wanted) else "none"
        elif gain != "none" and not _gain_source(run.path, gain):
            name = GAIN_FILE if gain == "file" else BEADFIND_IMAGE
            raise InputError(f"{run.path}: has no {name}, from which gains are to be taken; take another --pixel-gain.")
        channels = options.channel_cross_talk
        if channels == "chip":
            channels = family[:3] if family[:3] in CHANNEL_WEIGHTS else "none"
        return cls(gain, channels, options.pair_cross_talk)

    def __bool__(self):
        return self != Conditioning()

    def to_text(self):
        """On one line.

        >>> Conditioning.of_text(Conditioning("file", "318").to_text())
        Conditioning(gain='file', channels='318', pairs=0.0)
        """
        return f"{self.gain} {self.channels} {self.pairs!r}"

    @classmethod
    def of_text(cls, text):
        """From `to_text`."""
        gain, channels, pairs = text.split()
        return cls(gain, channels, float(pairs))

    def applied(self, run, image):
        """An image of a run, `Image`, with corrected frames."""
        # The instrument has done the like before it compresses to components (sigproc.md 1.8).
        wanted = replace(self, gain="none", pairs=0.0) if image.header.interlace_type == 7 else self
        if not wanted:
            return image
        inside = (run.window.row, run.window.col) if run.window else (0, 0)
        origin = tuple(max(first, 0) - before for first, before in zip(run.offset, inside, strict=True))
        shape = image.header.n_rows, image.header.n_cols
        work = partial(_decode, image.decode, wanted, run.path, shape, origin)
        return type(image)(image.header, image.rows, image.cols, image.end_times_ms, image.frame_counts, work)


def _gain_source(path, gain):
    """File that gains come from; None where there is none."""
    if gain == "beadfind":
        return path / BEADFIND_IMAGE if (path / BEADFIND_IMAGE).exists() else None
    found = [folder / GAIN_FILE for folder in (path, path.parent) if (folder / GAIN_FILE).is_file()]
    return found[0] if found and gain == "file" else None


def _decode(decode, wanted, path, shape, origin, rows, cols):
    """Corrected frames of a window of a file; `origin` is the chip's row and column of the file's first pixel."""
    reach = REACH if wanted.channels != "none" else 0
    wide = slice(max(cols.start - reach, 0), min(cols.stop + reach, shape[1]))
    tall = rows
    if wanted.pairs:
        first = rows.start - (rows.start + origin[0]) % 2
        tall = slice(max(first, 0), min(rows.stop + (rows.stop + origin[0]) % 2, shape[0]))
    stored = decode(tall, wide)
    inner = (
        slice(rows.start - tall.start, rows.stop - tall.start),
        slice(cols.start - wide.start, cols.stop - wide.start),
    )
    frames = stored.astype(np.float32)
    if wanted.gain != "none":
        frames *= _gains(wanted.gain, path, shape, origin, tall, wide)
    if wanted.channels != "none":
        frames = without_channel_cross_talk(frames, CHANNEL_WEIGHTS[wanted.channels], origin[1] + wide.start)
    if wanted.pairs:
        frames = without_pair_cross_talk(frames, wanted.pairs, origin[0] + tall.start)
    frames, stored = frames[:, *inner], stored[:, *inner]
    pinned = ((stored <= PINNED_LOW) | (stored >= PINNED_HIGH)).any(axis=0)
    # Pixels must not pass for pinned, nor escape it, by a correction.
    corrected = np.clip(np.rint(frames), PINNED_LOW + 1, PINNED_HIGH - 1).astype(np.int16)
    return np.where(pinned, stored, corrected)


def without_channel_cross_talk(frames, weights, first_col):
    """Frames (n_frames, n_rows, n_cols) with each pixel replaced by a sum over its channel (sigproc.md 2.3).

    `first_col`: the chip's column of the first one. What lies outside is left out of the sums.
    """
    n_cols = frames.shape[2]
    phase = (np.arange(n_cols) + first_col) % 8 // 4
    # Constant levels are no signal: the sum is taken of what lies above the first frame.
    rising, found = frames - frames[:1], np.zeros_like(frames)
    for place, offset in enumerate(range(-REACH, REACH + 1, 4)):
        weight = np.array([weights[0][place], weights[1][place]], np.float32)[phase]
        to = slice(max(-offset, 0), min(n_cols - offset, n_cols))
        source = slice(to.start + offset, to.stop + offset)
        if to.start < to.stop:
            found[:, :, to] += weight[to] * rising[:, :, source]
    return frames[:1] + found


def without_pair_cross_talk(frames, share, first_row):
    """Frames (n_frames, n_rows, n_cols) in which pixels of a pair of rows do not show each other (sigproc.md 2.4).

    `first_row`: the chip's row of the first one; rows without a partner stay what they are.
    """
    rising = frames - frames[:1]
    found = frames.copy()
    first = first_row % 2
    last = frames.shape[1] - (frames.shape[1] - first) % 2
    upper, lower = rising[:, first:last:2], rising[:, first + 1 : last : 2]
    found[:, first:last:2] = frames[:1, first:last:2] + (upper - share * lower) / (1 - share)
    found[:, first + 1 : last : 2] = frames[:1, first + 1 : last : 2] + (lower - share * upper) / (1 - share)
    return found


def _gains(source, path, shape, origin, rows, cols):
    """Gains of a window of a file, float32 (n_rows, n_cols)."""
    if source == "beadfind":
        return _beadfind_gains(path, (rows.start, rows.stop), (cols.start, cols.stop))
    file = _gain_source(path, source)
    gain = _kept_gains(file, file.stat().st_mtime_ns)
    if gain.shape == shape:
        return gain[rows, cols]
    part = gain[origin[0] + rows.start : origin[0] + rows.stop, origin[1] + cols.start : origin[1] + cols.stop]
    if part.shape != (rows.stop - rows.start, cols.stop - cols.start):
        raise InputError(
            f"{file}: has gains of {gain.shape[0]} x {gain.shape[1]} pixels, which do not cover the images."
        )
    return part


@lru_cache(maxsize=1)
def _kept_gains(path, modified):
    return usable_gain(read_gain(path))


@lru_cache(maxsize=4)
def _beadfind_gains(path, rows, cols):
    """Gains of a window by the bead-find image."""
    image = open_dat(Path(path) / BEADFIND_IMAGE)
    _, n_rows, n_cols = image.shape
    tall = slice(max(rows[0] - _GAIN_ROWS, 0), min(rows[1] + _GAIN_ROWS, n_rows))
    wide = slice(max(cols[0] - _GAIN_COLS, 0), min(cols[1] + _GAIN_COLS, n_cols))
    gain = beadfind_gains(image[:, tall, wide])
    return gain[rows[0] - tall.start : rows[1] - tall.start, cols[0] - wide.start : cols[1] - wide.start]


def beadfind_gains(frames):
    """Gain of each pixel beside the mean of those around it, from a bead-find image (sigproc.md 2.7).

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_rows, n_cols), int16

    Returns
    -------
    ndarray of shape (n_rows, n_cols), float32
        What pixels are to be multiplied with; 1 for pinned ones.
    """
    good = ~((frames <= PINNED_LOW) | (frames >= PINNED_HIGH)).any(axis=0)
    rising = np.where(good, frames - frames[1:4].mean(axis=0, dtype=np.float32), np.float32(0))
    size = 2 * _GAIN_ROWS + 1, 2 * _GAIN_COLS + 1

    def around(values):
        values = np.asarray(values, np.float32)
        box = uniform_filter(values, (*([0] * (values.ndim - 2)), *size), mode="constant") * (size[0] * size[1])
        own = uniform_filter(values, (*([0] * (values.ndim - 2)), size[0], 1), mode="constant") * size[0]
        return box - own

    reference = around(rising) / np.maximum(around(good), 0.5)
    mean = np.abs(rising.mean(axis=(1, 2)))
    furthest = int(mean.argmax())
    chosen = np.zeros(len(frames), bool)
    chosen[:4] = True
    chosen[max(furthest - _FRAMES_BEFORE, 0) : furthest + 1] = True
    power = (reference[chosen] ** 2).sum(axis=0)
    product = (reference[chosen] * rising[chosen]).sum(axis=0)
    known = good & (product > 0.1 * power) & (power > 0)
    gain = np.where(known, power / np.where(known, product, 1), 1)
    return np.clip(gain, LEAST_BEADFIND_GAIN, MOST_BEADFIND_GAIN).astype(np.float32)
