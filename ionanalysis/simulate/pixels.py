"""What sets one pixel apart from another: buffering, gain, delay, level, defects."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.simulate.kinds import draw_half_loaded
from ionanalysis.simulate.seeds import Purpose, stream


@dataclass(frozen=True, eq=False)
class Pixels:
    """Constants of each well; arrays of shape (n_rows, n_cols)."""

    bead: np.ndarray
    """Whether a bead lies in the well, bool."""
    ratio: np.ndarray
    """Buffering ratio at the start of the run; 1 in empty wells."""
    tau_factor: np.ndarray
    """Time constant over that told by the ratio."""
    beadfind_factor: np.ndarray
    """Time constant during bead finding over that during the run."""
    diffusion_factor: np.ndarray
    """Supply of nucleotide over the mean."""
    gain: np.ndarray
    delay: np.ndarray
    """When flows arrive, frames after the middle of the chip."""
    level: np.ndarray
    """Counts at rest."""
    noise_factor: np.ndarray
    """Noise over the mean."""
    pinned_from: np.ndarray
    """Flow from which the pixel is stuck, -1 for already before the run, `n_flows` for never."""
    pinned_at: np.ndarray
    """Counts at which it is stuck."""


def draw_pixels(options, kind, n_flows):
    """Draw the `Pixels` of a chip."""
    seed, shape, sensor = options.chip.seed, kind.shape, options.sensor
    buffer, timing, pixel = (stream(seed, what) for what in (Purpose.BUFFER, Purpose.TIMING, Purpose.PIXEL))
    bead = ~np.isin(kind, ("empty", "pinned"))
    ratio = np.clip(buffer.normal(sensor.ratio, sensor.ratio_sd, shape), 0.02, 1)
    ratio = np.where(draw_half_loaded(options.kinds, kind, seed), (1 + ratio) / 2, ratio)
    tau = np.maximum(1 + sensor.tau_sd * buffer.standard_normal(shape), 0.2)
    tau *= 1 + sensor.tau_gradient * _ramp(shape[1])
    beadfind = np.maximum(1 + sensor.beadfind_mismatch * buffer.standard_normal(shape), 0.2)
    diffusion = np.maximum(1 + options.nucleotide.diffusion_sd * buffer.standard_normal(shape), 0.2)
    diffusion *= 1 - options.nucleotide.depletion * (_ramp(shape[1]) + 0.5)
    delay = options.nucleotide.t0_sd * timing.standard_normal(shape)
    delay += options.nucleotide.t0_slope * (_ramp(shape[0])[:, None] + _ramp(shape[1])) / 2
    gain = np.maximum(1 + sensor.pixel_gain_sd * pixel.standard_normal(shape), 0.2)
    level = np.clip(pixel.normal(sensor.dc_mean, sensor.dc_sd, shape), 1000, 15000)
    noisy = pixel.random(shape) < options.image_noise.noisy_wells
    early, when, high = pixel.random(shape), pixel.integers(0, n_flows, shape), pixel.random(shape)
    pinned_from = np.where(early < 0.5, -1, when)
    return Pixels(
        bead=bead,
        ratio=np.where(bead, ratio, 1.0),
        tau_factor=tau,
        beadfind_factor=beadfind,
        diffusion_factor=diffusion,
        gain=gain,
        delay=delay,
        level=level.astype(np.float32),
        noise_factor=np.where(noisy, 4, 1).astype(np.float32),
        pinned_from=np.where(kind == "pinned", pinned_from, n_flows).astype(np.int32),
        pinned_at=np.where(high < 0.7, 16383, 0).astype(np.int16),
    )


def _ramp(n):
    """From -0.5 to 0.5 in `n` steps."""
    return np.linspace(-0.5, 0.5, n) if n > 1 else np.zeros(1)
