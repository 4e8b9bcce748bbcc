"""From images to signals: learn each region from the first flows, then measure flow after flow."""

from functools import partial

import numpy as np

from ionanalysis.blocks import as_block
from ionanalysis.errors import InputError
from ionanalysis.executors import map_blocks
from ionanalysis.io.mask import Mask, WellFlag
from ionanalysis.options.sigproc import SignalOptions
from ionanalysis.sigproc.beadfind import cut_frames, find_beads, find_pinned, read_image, run_keys
from ionanalysis.sigproc.cross_talk import FLOWS_BEYOND_KEY, learn_cross_talk, without_cross_talk
from ionanalysis.sigproc.empties import blur_matrix, sharpened
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.group_noise import comparator_groups, row_groups, without_group_noise
from ionanalysis.sigproc.keys import key_gain
from ionanalysis.sigproc.parallel import region_threads
from ionanalysis.sigproc.region_model import RegionSample, learn_region
from ionanalysis.sigproc.signals import Signals
from ionanalysis.sigproc.zero_level import ZeroLevel

SAMPLE_BYTES = 400_000_000
"""Most memory for the traces that regions are learned from."""


def fit_signals(run, region=None, *, mask=None, options=None, progress=None, n_threads=None):
    """Signals of all flows of a run, or of a rectangle of it.

    Parameters
    ----------
    run : Run
    region : Block or pair of slice, optional
        Rectangle of wells, such as ``(slice(0, 50), slice(100, 150))`` of rows and columns; all by default.
    mask : BeadMap or Mask, optional
        Beads found before (`find_beads` on the same region), or a mask whose flags replace those that bead
        finding sets.
    options : SignalOptions, optional
    progress : callable, optional
        Called with (done, total) flows.
    n_threads : int, optional
        Regions measured side by side; all cores by default. Results do not depend on it.

    Returns
    -------
    Signals

    Raises
    ------
    InputError
        If images are missing.
    NoLiveBeadsError
        If (almost) no well shows a key.
    """
    beads = mask if mask is not None and not isinstance(mask, Mask) else find_beads(run, region, n_threads=n_threads)
    if isinstance(mask, Mask):
        beads = beads.with_mask(mask)
    expected = as_block(region, run.n_rows, run.n_cols)
    if beads.block != expected:
        raise InputError(f"beads were found in {beads.block}; signals are asked for in {expected}. Use the same.")
    amplitude = np.zeros((beads.block.n_rows, beads.block.n_cols, run.n_flows), np.float32)
    with SignalFitter(run, beads, options or SignalOptions(), n_threads) as fitter:
        fitter.learn()
        for flow, values in fitter.flows():
            amplitude[:, :, flow] = values
            if progress:
                progress(flow + 1, run.n_flows)
        return fitter.signals(amplitude)


class SignalFitter:
    """Measures the flows of a run, one image after the other, regions side by side.

    Parameters
    ----------
    run : Run
    beads : BeadMap
    options : SignalOptions
    n_threads : int, optional
    """

    def __init__(self, run, beads, options, n_threads=None):
        self.run, self.beads, self.options = run, beads, options
        run.expect_flows()
        self.keys = run_keys(run)
        self.shape = (beads.block.n_rows, beads.block.n_cols)
        self.regions = [beads.region(index) for index in range(len(beads.tiles))]
        self.references = [_references(region) for region in self.regions]
        self.models: list = [None] * len(self.regions)
        self.size = np.ones(self.shape, np.float32)
        self.live = beads.mask.matches(WellFlag.LIVE)
        self._measured = beads.mask.matches(WellFlag.LIVE | WellFlag.DUD)
        self._noise_groups = _noise_groups(options, beads.block, run.offset[0])
        self.cross_talk = 0.0
        """Part of a well's signal that shows in each of its four neighbours."""
        self.first_pinned = np.where(beads.mask.matches(WellFlag.PINNED), 0, run.n_flows).astype(np.int32)
        self._executor_context = region_threads(n_threads)
        self.clock = FrameClock.of(run.flow(0, slice(0, 1), slice(0, 1)))
        # Wells that pin later are too few to change the blur.
        self.blurs = [
            blur_matrix(region.fit.delay_s[wells], self.clock) if len(wells) else None
            for region, wells in zip(self.regions, self.references, strict=True)
        ]
        self.dud_spread: list = [None] * run.n_flows
        """Root mean square signal of duds in each flow, 1-mers; None without duds."""
        self.dc_levels = np.zeros((run.n_flows, 101))
        """Percentiles of the wells' first frames in each flow, counts."""
        self.zero_level = np.zeros((len(self.regions), run.n_flows, 2))
        """State of each region's `ZeroLevel` in each flow."""

    def __enter__(self):
        self._executor = self._executor_context.__enter__()
        return self

    def __exit__(self, *reason):
        return self._executor_context.__exit__(*reason)

    def learn(self):
        """Learn every region from the first flows, and the size of every live well from the key."""
        n_flows = min(self.options.learning_flows, self.run.n_flows)
        samples = [self._sample_wells(region, n_flows) for region in self.regions]
        frames: list = [[] for _ in self.regions]
        empties: list = [[] for _ in self.regions]
        for _, image in self._images(range(n_flows)):
            cut = partial(self._cut_sample, image=image, samples=samples)
            for index, (part, empty) in enumerate(self._each(cut)):
                frames[index].append(part)
                empties[index].append(empty)
        work = partial(self._learn_one, samples=samples, frames=frames, empties=empties)
        self.models = list(self._each(work))
        self._learn_from_keys()

    def flows(self):
        """Yield each flow and its signals, float32 of shape (rows, cols): 1 is one base, 0 where no well is live."""
        levels = [ZeroLevel() for _ in self.regions]
        for flow, image in self._images(range(self.run.n_flows)):
            raw = self._clear(flow, self._measure(flow, image), levels)
            if self._noise_groups:
                usable = self._measured & (self.first_pinned > flow)
                raw = without_group_noise(raw, self.size, usable, self._noise_groups)
            duds = raw[self.beads.mask.matches(WellFlag.DUD)].astype(float)
            self.dud_spread[flow] = float(np.sqrt((duds**2).mean())) if len(duds) else None
            self.zero_level[:, flow] = [level.state for level in levels]
            yield flow, self._scaled(flow, raw)

    def copies(self):
        """Size of each live well's signal relative to a typical one, -1 elsewhere: float32 (rows, cols)."""
        return np.where(self.live, self.size, -1).astype(np.float32)

    def signals(self, amplitude):
        """Wrap measured amplitudes with what was learned."""
        return Signals(
            self.beads,
            self.run.flow_order,
            amplitude,
            self.copies(),
            self.mask(),
            self.run.chip,
            self.first_pinned,
        )

    def newly_pinned(self):
        """Wells that pinned first in each flow, a list of n_flows counts."""
        return np.bincount(self.first_pinned.ravel(), minlength=self.run.n_flows + 1)[: self.run.n_flows].tolist()

    def mask(self):
        """The bead mask, with wells that pinned in any flow marked."""
        pinned = self.first_pinned < self.run.n_flows
        return self.beads.mask.with_flags(WellFlag.PINNED, pinned)

    def _images(self, flows):
        rows, cols = self.beads.block.slices
        read = partial(read_image, self.run, rows=rows, cols=cols)
        images = map_blocks(self._executor, read, self.run.awaited(flows), in_flight=2)
        # One image is read ahead while the one before is measured.
        for flow, image in zip(flows, images, strict=True):
            if tuple(image.frame_counts) != self.clock.counts:
                raise InputError(
                    f"{self.run.flow_path(flow)}: has {image.n_frames} frames, flow 0 has {self.clock.n_frames} or "
                    "other times; all flows of a run must have the same. Copy the file again."
                )
            self.dc_levels[flow] = _percentiles(image.frames[0])
            yield flow, image

    def _each(self, work):
        return map_blocks(self._executor, work, range(len(self.regions)))

    def _sample_wells(self, region, n_flows):
        """Wells of a region that it is learned from: live ones evenly over the region, and duds."""
        n_frames = len(region.frame_weight)
        affordable = SAMPLE_BYTES // (2 * n_frames * n_flows * max(len(self.regions), 1))
        most = int(np.clip(affordable, 60, self.options.learning_wells))
        live = _evenly(np.flatnonzero(region.flags & WellFlag.LIVE), most)
        duds = _evenly(np.flatnonzero(region.flags & WellFlag.DUD), max(most // 4, 15))
        return np.sort(np.concatenate([live, duds]))

    def _cut_sample(self, index, image, samples):
        frames = cut_frames(image, self.beads.tiles[index])
        return np.ascontiguousarray(frames[:, samples[index]]), self._empty(index, frames)

    def _empty(self, index, frames):
        """Mean empty trace of a region in a flow, counts above its first frame; None without any empty well."""
        wells = self.references[index]
        wells = wells[~find_pinned(np.ascontiguousarray(frames[:, wells]))]
        if not len(wells):
            return None
        rising = (frames[:, wells] - frames[:1, wells]).astype(np.float32)
        return sharpened(rising.mean(axis=1, dtype=np.float64), self.blurs[index])

    def _learn_one(self, index, samples, frames, empties):
        region = self.regions[index]
        live = region.flags[samples[index]] & WellFlag.LIVE
        if np.count_nonzero(live) < 10 or any(empty is None for empty in empties[index]):
            return None
        bases = self.run.flow_order.bases[: len(frames[index])]
        return learn_region(
            RegionSample(self.clock, samples[index], frames[index], empties[index], bases, self.keys), region
        )

    def _learn_from_keys(self):
        """Learn cross-talk and the size of every live well's signal from the flows of the keys."""
        n_flows = min(max(key.n_flows for key in self.keys) + FLOWS_BEYOND_KEY, self.run.n_flows)
        raw = np.array([self._measure(flow, image) for flow, image in self._images(range(n_flows))])
        library = self.beads.mask.matches(WellFlag.LIB) & (self.first_pinned >= n_flows)
        if self.options.cross_talk:
            self.cross_talk = learn_cross_talk(raw, self.live, library, self.keys[0])
        levels = [ZeroLevel() for _ in self.regions]
        raw = np.array([self._clear(flow, values, levels) for flow, values in enumerate(raw)])
        for flag, key in zip((WellFlag.LIB, WellFlag.TF), self.keys, strict=False):
            wells = self.beads.mask.matches(flag)
            self.size[wells] = np.maximum(key_gain(raw[:, wells], key), 0.05)

    def _clear(self, flow, raw, levels):
        """Signals of a flow without what neighbours add, and without what 0-mers show."""
        if self.cross_talk:
            raw = without_cross_talk(raw, self.live, self.cross_talk, self.beads.tiles)
        for tile, region, model, level in zip(self.beads.tiles, self.regions, self.models, levels, strict=True):
            if model is not None:
                inside = raw[tile.slices]
                usable = (self.first_pinned[tile.slices] > flow).ravel()
                silent = np.flatnonzero(self._silent(flow, region.flags) & usable)
                place = region.fit.log_tau - model.mean_log_tau
                level.follow(inside.ravel()[silent], place[silent])
                measured = ((region.flags & (WellFlag.LIVE | WellFlag.DUD)) > 0) & usable
                inside -= np.where(measured, level.at(place), 0).reshape(inside.shape)
        return raw

    def _silent(self, flow, flags):
        """Wells of a region that take no base in a flow, by their key or because they are duds."""
        silent = (flags & WellFlag.DUD) > 0
        for flag, key in zip((WellFlag.LIB, WellFlag.TF), self.keys, strict=False):
            if flow in key.zeros:
                silent |= (flags & flag) > 0
        return silent

    def _measure(self, flow, image):
        raw = np.zeros(self.shape, np.float32)
        work = partial(self._measure_one, flow=flow, image=image)
        for index, values in enumerate(self._each(work)):
            raw[self.beads.tiles[index].slices] = values
        return raw

    def _measure_one(self, index, flow, image):
        tile, region, model = self.beads.tiles[index], self.regions[index], self.models[index]
        frames = cut_frames(image, tile)
        pinned = find_pinned(frames)
        first = self.first_pinned[tile.slices]
        first[pinned.reshape(first.shape)] = np.minimum(first[pinned.reshape(first.shape)], flow)
        values = np.zeros(len(region.flags), np.float32)
        empty = self._empty(index, frames)
        if model is not None and empty is not None:
            plan = model.plans[self.run.flow_order.bases[flow]]
            wells = np.flatnonzero((region.flags & (WellFlag.LIVE | WellFlag.DUD)) > 0)
            part = np.ascontiguousarray(frames[:, wells])
            values[wells] = np.nan_to_num(plan.amplitudes(part, empty, region.fit.at(wells), model.mean_log_tau))
        values[(first <= flow).ravel()] = 0
        return values.reshape(first.shape)

    def _scaled(self, flow, raw):
        signal = np.where(self.live, raw / self.size, np.float32(0))
        nuc = self.run.flow_order.bases[flow]
        for tile, model in zip(self.beads.tiles, self.models, strict=True):
            if model is not None:
                signal[tile.slices] = model.scale.length(signal[tile.slices], nuc)
        return signal


def _evenly(wells, most):
    """At most `most` of `wells`, evenly spread over their order."""
    if len(wells) <= most:
        return wells
    return wells[(np.arange(most) * len(wells)) // most]


def _percentiles(values, most=100_000):
    """Least value, percentiles 1 to 99 and greatest value; percentiles of at most `most` values."""
    some = values.ravel()[:: -(-values.size // most)]
    return np.concatenate([[values.min()], np.percentile(some, np.arange(1, 100)), [values.max()]])


def _noise_groups(options, block, chip_row):
    shape = block.n_rows, block.n_cols
    found = [row_groups(shape)] if options.row_noise else []
    if options.comparator_noise:
        found.append(comparator_groups(shape, max(chip_row, 0) + block.row))
    return found


def _references(region):
    return np.flatnonzero(region.flags & WellFlag.REFERENCE)
