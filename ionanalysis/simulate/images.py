"""Raw images of a simulated chip, one at a time (sigproc.md 10.2)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.executors import map_blocks
from ionanalysis.simulate.frames import frame_schedule
from ionanalysis.simulate.image_noise import flow_noise, noisy_counts
from ionanalysis.simulate.physics import (
    STRANDS_PER_COPY,
    BulkTrace,
    Pulse,
    buffering,
    escaped_hydrogen,
    nucleotide_bulk,
    pulse_of,
    released_hydrogen,
    sensed,
    step_bulk,
)
from ionanalysis.simulate.pixels import draw_pixels
from ionanalysis.simulate.response import WellResponse
from ionanalysis.simulate.seeds import Purpose, stream

BAND_ROWS = 32
"""Rows that are made together and share a stream of noise. Part of the format: other numbers give other chips."""

BEADFIND_STEPS = {1: 0.5, 3: -1.0}
"""Numbers of the bead-finding images, and their step in units of the option `beadfind_step`."""


SLOW_TAU = 60.0
"""Time constant of the slow tail of signals, frames."""


@dataclass(frozen=True, eq=False)
class FlowPlan:
    """What happens to the whole chip during one image."""

    number: int
    """Stream number of the image."""
    flow: int
    """Flow at whose time constants the wells are; 0 for images before the run."""
    bulk: BulkTrace
    pulse: Pulse | None
    """The nucleotide, None where no template can take it."""
    rate: float
    """Incorporation, 1/s."""
    diffusion: float
    is_beadfind: bool = False
    late: tuple | None = None
    """Row, column, radius and delay of a part that the flow reaches late."""
    outliers: np.ndarray | None = None
    """What is added to the signal of each well, bases, (n_rows, n_cols) float32."""


class ImageMaker:
    """Makes the images of a chip; each depends on its number only, not on those made before.

    Parameters
    ----------
    options : SimulateOptions
    truth : Truth
    flow_order : FlowOrder
    """

    def __init__(self, options, truth, flow_order):
        self.options, self.truth, self.flow_order = options, truth, flow_order
        self.pixels = draw_pixels(options, truth.kind, len(flow_order))
        self.response = WellResponse(options, truth.kind.shape, len(flow_order))
        self.schedule = frame_schedule(options.frames)
        self.time = np.arange(self.schedule.n_base_frames, dtype=np.float64)
        heights = stream(options.chip.seed, Purpose.FLOW, 2).standard_normal(4)
        self._nuc_height = np.maximum(1 + options.background.background_nuc_sd * heights, 0.2)

    def flow(self, flow, executor):
        """Frames of a flow, (n_frames, n_rows, n_cols) int16."""
        return self._image(self._plan(flow, flow), executor)

    def prerun(self, number, executor):
        """Frames of a nucleotide image before the run: the nucleotide of that flow, but nothing to take it."""
        return self._image(self._plan(number, 100_000 + number), executor)

    def beadfind(self, number, executor):
        """Frames of a bead-finding image, 1 or 3."""
        step = BEADFIND_STEPS[number] * self.options.background.beadfind_step
        bulk = step_bulk(self.options.background, self.options.nucleotide.t0, step, len(self.time))
        return self._image(FlowPlan(200_000 + number, 0, bulk, None, 0.0, 1.0, is_beadfind=True), executor)

    def _plan(self, flow, number):
        """A nucleotide flow; numbers beyond the run are images without templates."""
        options, nucleotide, background = self.options, self.options.nucleotide, self.options.background
        random = stream(options.chip.seed, Purpose.FLOW, 3, number)
        nuc = int(self.flow_order.bases[flow % len(self.flow_order)])
        jitter = nucleotide.flow_jitter * random.standard_normal()
        height = background.background * self._nuc_height[nuc]
        height *= max(1 + background.background_flow_sd * random.standard_normal(), 0.2)
        bulk = nucleotide_bulk(background, nucleotide.t0 + jitter, height, len(self.time))
        is_run = number == flow
        return FlowPlan(
            number=number,
            flow=flow if is_run else 0,
            bulk=bulk,
            pulse=pulse_of(nucleotide, nuc, jitter) if is_run else None,
            rate=nucleotide.rate[nuc],
            diffusion=nucleotide.diffusion[nuc],
            late=self._bubble(number) if is_run else None,
            outliers=self.response.outliers(flow) if is_run and self.response.has_outliers else None,
        )

    def _bubble(self, flow):
        random = stream(self.options.chip.seed, Purpose.BUBBLES, flow)
        if random.random() >= self.options.background.bubbles:
            return None
        n_rows, n_cols = self.truth.kind.shape
        radius = random.uniform(0.05, 0.25) * max(n_rows, n_cols)
        return random.uniform(0, n_rows), random.uniform(0, n_cols), radius, random.uniform(3, 10)

    def _image(self, plan, executor):
        n_rows, n_cols = self.truth.kind.shape
        image = np.empty((len(self.schedule.counts), n_rows, n_cols), np.int16)
        shared = flow_noise(self.options, self.schedule, plan.number, n_cols)

        def work(row):
            rows = slice(row, min(row + BAND_ROWS, n_rows))
            traces = self.schedule.average(self._clean(plan, rows))
            level = self.pixels.level[rows] + np.float32(
                self.options.image_noise.baseline_drift * plan.flow / len(self.flow_order)
            )
            clean = traces.T.reshape(-1, *level.shape) + level
            noise_factor = self.pixels.noise_factor[rows] * self.response.noise_factor[plan.flow]
            counts = noisy_counts(self.options, self.schedule, clean, shared, noise_factor, plan, row)
            # Images before the run have other streams; only pixels stuck from the beginning are stuck in them.
            now = plan.flow if plan.number == plan.flow else -1
            stuck = self.pixels.pinned_from[rows] <= now
            image[:, rows] = np.where(stuck, self.pixels.pinned_at[rows], counts)

        for _ in map_blocks(executor, work, range(0, n_rows, BAND_ROWS)):
            pass
        return image

    def _clean(self, plan, rows):
        """Traces without noise of some rows, (n_wells, n_base_frames) float32, around 0."""
        # Neighbours beyond the rows matter for cross-talk.
        wide = slice(max(rows.start - 1, 0), min(rows.stop + 1, self.truth.kind.shape[0]))
        shape = (wide.stop - wide.start, self.truth.kind.shape[1])
        buffers, delay = self._buffers(plan, wide), self._delay(plan, wide)
        hydrogen = self._hydrogen(plan, wide, delay)
        inner = slice((rows.start - wide.start) * shape[1], (rows.stop - wide.start) * shape[1])
        bulk = plan.bulk.at(len(self.time), delay[inner])
        if hydrogen is None:
            return sensed(np.zeros_like(bulk), bulk, buffers[inner], self.time)
        if self.options.sensor.cross_talk:
            escaped = escaped_hydrogen(hydrogen, buffers, self.time, self.options.sensor.cross_talk_tau)
            bulk += np.float32(self.options.sensor.cross_talk) * _neighbour_sum(escaped.reshape(*shape, -1))[inner]
        traces = sensed(hydrogen[inner], bulk, buffers[inner], self.time)
        if self.options.sensor.slow_tail:
            slow = buffers[inner] * [1, 0, 1] + [0, SLOW_TAU, 0]
            tail = sensed(hydrogen[inner], np.zeros_like(bulk), slow, self.time)
            traces += np.float32(self.options.sensor.slow_tail) * tail
        return traces

    def _hydrogen(self, plan, rows, delay):
        """Counts released by every well of the rows, or None without nucleotide."""
        if plan.pulse is None:
            return None
        response, nucleotide = self.response, self.options.nucleotide
        amplitude = response.compressed(self.truth.phased_signal[rows, :, plan.flow])
        if plan.outliers is not None:
            amplitude = amplitude + plan.outliers[rows]
        amplitude = amplitude.ravel()
        copies = self.truth.details["copies"][rows] * nucleotide.copy_drift**plan.flow * response.flow_gain[plan.flow]
        if response.drifts:
            copies = copies * response.gain(rows, plan.flow)
        copies = copies.ravel()
        active = np.flatnonzero(amplitude * copies > 1e-5)
        hydrogen = np.zeros((len(amplitude), len(self.time)), np.float32)
        hydrogen[active] = released_hydrogen(
            amplitude[active],
            STRANDS_PER_COPY * copies[active],
            plan.rate,
            plan.diffusion * self.pixels.diffusion_factor[rows].ravel()[active],
            delay[active],
            plan.pulse,
            self.time,
            sensitivity=nucleotide.sensitivity,
            sub_steps=nucleotide.sub_steps,
        )
        return hydrogen

    def _buffers(self, plan, rows):
        pixels = self.pixels
        # A bead that has left buffers no more.
        gone = self.truth.details["lost_before_flow"][rows] <= plan.flow
        ratio, tau = buffering(self.options.sensor, np.where(gone, 1.0, pixels.ratio[rows]).ravel(), plan.flow)
        tau = tau * pixels.tau_factor[rows].ravel() * (1 + self.options.sensor.tau_drift * plan.flow)
        if plan.is_beadfind:
            tau = tau * pixels.beadfind_factor[rows].ravel()
        return np.stack([ratio, tau, pixels.gain[rows].ravel()], axis=-1)

    def _delay(self, plan, rows):
        delay = self.pixels.delay[rows].copy()
        if plan.late:
            row, col, radius, late = plan.late
            down = np.arange(rows.start, rows.stop)[:, None] - row
            across = np.arange(delay.shape[1]) - col
            delay[down**2 + across**2 < radius**2] += late
        return delay.ravel()


def _neighbour_sum(values):
    """Sum over the 4 neighbours of each well, (n_wells, n_frames) from (n_rows, n_cols, n_frames)."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total.reshape(-1, values.shape[-1])


def one_mer_peak(options):
    """Highest count of a 1-mer of an average well in flow 0, mean over nucleotides: the scale of noise figures."""
    nucleotide, sensor = options.nucleotide, options.sensor
    time = np.arange(200.0)
    ratio, tau = buffering(sensor, np.array(sensor.ratio), 0)
    peaks = []
    for nuc in range(4):
        strands = STRANDS_PER_COPY * options.kinds.copies
        pulse = pulse_of(nucleotide, nuc)
        hydrogen = released_hydrogen(
            [1.0],
            strands,
            nucleotide.rate[nuc],
            nucleotide.diffusion[nuc],
            0.0,
            pulse,
            time,
            sensitivity=nucleotide.sensitivity,
        )
        peaks.append(sensed(hydrogen, np.zeros_like(hydrogen), [[float(ratio), float(tau), 1.0]], time).max())
    return float(np.mean(peaks))
