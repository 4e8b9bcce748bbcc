"""Noise of raw images: of each pixel, of rows, columns and comparators, of the whole chip."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.simulate.physics import FRAMES_PER_SECOND
from ionanalysis.simulate.seeds import Purpose, stream

_SHARED = 1 << 30
"""Stream of what all bands of an image share; bands count from 0."""


@dataclass(frozen=True, eq=False)
class SharedNoise:
    """What wells far apart have in common in one image."""

    chip: np.ndarray
    """Drift of all pixels, (n_frames,) float32, counts."""
    comparator: np.ndarray
    """Noise of rows 0, 4, 8 ..., of rows 1, 5, 9 ... and so on in every column, (n_frames, 4, n_cols) float32."""


def flow_noise(options, schedule, number, n_cols):
    """Draw the `SharedNoise` of image `number`."""
    noise = options.image_noise
    random = stream(options.chip.seed, Purpose.IMAGE_NOISE, number, _SHARED)
    counts = np.array(schedule.counts)
    seconds = (np.cumsum(counts) - (counts + 1) / 2) / FRAMES_PER_SECOND
    per_frame = 1 / np.sqrt(counts)
    comparator = noise.comparator_noise * random.standard_normal((len(counts), 4, n_cols))
    comparator += noise.column_noise * random.standard_normal((len(counts), 1, n_cols))
    return SharedNoise(
        chip=(noise.offset_drift * random.standard_normal() * seconds).astype(np.float32),
        comparator=(comparator * per_frame[:, None, None]).astype(np.float32),
    )


def noisy_counts(options, schedule, clean, shared, noise_factor, plan, row):
    """Counts of a band of rows, int16, from noise-free levels (n_frames, n_rows, n_cols) float32.

    The levels are overwritten. `row` is the first row of the band; noise of long frames is averaged down.
    """
    noise = options.image_noise
    random = stream(options.chip.seed, Purpose.IMAGE_NOISE, plan.number, row)
    per_frame = (1 / np.sqrt(schedule.counts)).astype(np.float32)[:, None]
    draw = random.standard_normal(clean.shape, np.float32)
    draw *= np.float32(noise.white_noise) * noise_factor
    draw += np.float32(noise.row_noise) * random.standard_normal((*clean.shape[:2], 1), np.float32)
    draw *= per_frame[:, :, None]
    clean += draw
    clean += shared.chip[:, None, None]
    clean += shared.comparator[:, np.arange(row, row + clean.shape[1]) % 4]
    np.rint(clean, out=clean)
    return np.clip(clean, 0, 16383, out=clean).astype(np.int16)
