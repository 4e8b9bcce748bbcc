"""Chemistry and sensors in time: the forward model of sigproc.md 5.2 to 5.5, on arrays of wells."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ionanalysis._core import simulate as kernels

FRAMES_PER_SECOND = 15
COUNTS_PER_HYDROGEN = 2e-5
STRANDS_PER_COPY = 1e6
LONGEST = 23
"""Longest homopolymer that the incorporation model tells apart."""
INTENSITY_STEP = 0.05


@dataclass(frozen=True)
class Pulse:
    """A nucleotide as it passes the wells."""

    mid: float
    """Middle of the rise, frames."""
    sigma: float
    """A third of the rise, frames."""
    span: float
    """From rise to fall, frames."""
    concentration: float
    """micromolar"""
    kmax: float
    """Half saturation of polymerase, micromolar."""


@lru_cache
def poisson_table():
    """Probability of at most k events, float32 of shape (512, 23), for intensities in steps of 0.05."""
    from scipy.special import gammaincc

    intensity = INTENSITY_STEP * np.arange(512)
    return gammaincc(np.arange(1, LONGEST + 1), intensity[:, None]).astype(np.float32)


def released_hydrogen(amplitude, strands, rate, diffusion, shift, pulse, time, *, sensitivity, sub_steps=4):
    """Hydrogen that polymerase has released up to each time, in counts (sigproc.md 5.3).

    Parameters
    ----------
    amplitude : array_like of shape (n_wells,)
        Bases per strand in this flow.
    strands, rate, diffusion, shift : array_like of shape (n_wells,)
        Strands; incorporation rate, 1/s; supply of nucleotide; delay of the pulse, frames.
    pulse : Pulse
    time : array_like of shape (n_points,)
        Frames.
    sensitivity : float
        Counts per 50 000 hydrogens.
    sub_steps : int
        Steps of integration between two times.

    Returns
    -------
    hydrogen : ndarray of shape (n_wells, n_points), float32
    """
    wells = np.stack(np.broadcast_arrays(amplitude, strands, rate, diffusion, shift), axis=-1).astype(np.float64)
    time = np.ascontiguousarray(time, np.float64)
    hydrogen = np.empty((len(wells), len(time)), np.float32)
    kernels.incorporate(
        np.ascontiguousarray(wells),
        np.array([pulse.mid, pulse.sigma, pulse.span, pulse.concentration, pulse.kmax], np.float64),
        FRAMES_PER_SECOND,
        sub_steps,
        time,
        poisson_table(),
        1 / INTENSITY_STEP,
        sensitivity * COUNTS_PER_HYDROGEN,
        hydrogen,
    )
    return hydrogen


def sensed(hydrogen, bulk, buffers, time):
    """Trace that the sensors give: hydrogen and bulk through the buffer of each well (sigproc.md 5.5).

    Parameters
    ----------
    hydrogen : array_like of shape (n_wells, n_points), float32
        Counts released so far.
    bulk : array_like of shape (n_wells, n_points), float32
        What an empty well would see, counts.
    buffers : array_like of shape (n_wells, 3), float64
        Buffering ratio (1 for an empty well), time constant in frames, gain.
    time : array_like of shape (n_points,)
        Frames.

    Returns
    -------
    trace : ndarray of shape (n_wells, n_points), float32
        Counts.
    """
    trace = np.empty(hydrogen.shape, np.float32)
    arrays = (np.ascontiguousarray(array, np.float32) for array in (hydrogen, bulk))
    buffers, time = np.ascontiguousarray(buffers, np.float64), np.ascontiguousarray(time, np.float64)
    kernels.respond(next(arrays), next(arrays), buffers, time, trace)
    return trace


def escaped_hydrogen(hydrogen, buffers, time, taus):
    """Hydrogen that has left each well and hangs above it, in counts, (n_wells, n_points) float32.

    Parameters
    ----------
    hydrogen, buffers, time
        As in `sensed`.
    taus : (float, float)
        Time constants of leaving the well and of being washed away, frames.
    """
    nearby = np.empty(hydrogen.shape, np.float32)
    kernels.escape(
        np.ascontiguousarray(hydrogen, np.float32),
        np.ascontiguousarray(buffers, np.float64),
        np.ascontiguousarray(time, np.float64),
        taus[0],
        taus[1],
        nearby,
    )
    return nearby


def buffering(sensor, ratio, flow):
    """Ratio and time constant in a flow, of wells with the given ratio at the start (sigproc.md 5.6).

    >>> from ionanalysis.options.simulate_raw import SensorOptions
    >>> [float(value.round(3)) for value in buffering(SensorOptions(), np.array(0.7), 100)]
    [0.775, 6.281]
    """
    now = np.minimum(ratio + (1 - ratio) * sensor.ratio_drift * flow / 1000, 1.0)
    return now, np.clip(sensor.tau_slope * now + sensor.tau_base, 4, 65)


def pulse_of(nucleotide, nuc, shift=0.0):
    """The `Pulse` of nucleotide `nuc` (0..3) that arrives `shift` frames late (sigproc.md 5.2)."""
    mid = nucleotide.t0 + nucleotide.mid_lag
    return Pulse(
        mid=mid + nucleotide.nuc_delay[nuc] * (mid - 15) / 20.7 + shift,
        sigma=nucleotide.rise_sigma * nucleotide.rise_factor[nuc],
        span=nucleotide.nuc_span,
        concentration=nucleotide.dntp,
        kmax=nucleotide.kmax[nuc],
    )


@dataclass(frozen=True, eq=False)
class BulkTrace:
    """What an empty well without delay sees during one flow, on a grid finer than frames."""

    values: np.ndarray
    """Counts, from `start` on."""
    start: float
    """Frame of the first value; the trace is 0 before."""
    steps: int = 8
    """Values per frame."""

    def at(self, n_frames, shift):
        """Trace of wells that the flow reaches `shift` frames later, (n_wells, n_frames) float32."""
        first = (self.start + shift)[:, None]
        place = np.clip((np.arange(n_frames) - first) * self.steps, 0, len(self.values) - 1.001).astype(np.float32)
        low = place.astype(np.int32)
        part = place - low
        below = self.values[low]
        return below + part * (self.values[low + 1] - below)


def nucleotide_bulk(background, start, height, n_frames):
    """`BulkTrace` of a nucleotide flow: rises, decays, smoothed by the empty well (sigproc.md 10.2 item 1)."""
    since = np.arange(n_frames * 8 + 400) / 8
    values = height * -np.expm1(-since / background.background_rise) * np.exp(-since / background.background_decay)
    return BulkTrace(smoothed(values, background.background_smooth * 8).astype(np.float32), start)


def step_bulk(background, start, height, n_frames):
    """`BulkTrace` of a bead-finding flow: a step."""
    since = np.arange(n_frames * 8 + 400) / 8
    return BulkTrace((height * -np.expm1(-since / background.beadfind_tau)).astype(np.float32), start)


def smoothed(values, tau):
    """`values` behind a first-order low pass of time constant `tau` (in values), starting at rest."""
    from scipy.signal import lfilter

    if tau <= 0:
        return values
    keep = np.exp(-1 / tau)
    return lfilter([1 - keep], [1, -keep], values)
