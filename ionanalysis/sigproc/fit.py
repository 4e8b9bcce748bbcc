"""From images to signals: learn each region from the first flows, then measure flow after flow."""

from contextlib import ExitStack, closing
from functools import partial

import numpy as np

from ionanalysis.blocks import as_block
from ionanalysis.errors import InputError
from ionanalysis.io.mask import Mask, WellFlag
from ionanalysis.options.sigproc import SignalOptions
from ionanalysis.sigproc.bands import Band
from ionanalysis.sigproc.beadfind import cut_frames, find_beads, read_image, run_keys
from ionanalysis.sigproc.buffer_drift import BufferDrift, quiet_wells
from ionanalysis.sigproc.conditioning import PINNED_HIGH, PINNED_LOW
from ionanalysis.sigproc.cross_talk import FLOWS_BEYOND_KEY, learn_cross_talk, without_cross_talk
from ionanalysis.sigproc.empties import blur_matrix, sharpener
from ionanalysis.sigproc.flow_filter import N_VECTORS, PlacedWells, take_in
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.group_noise import comparator_groups, row_groups, without_group_noise
from ionanalysis.sigproc.keys import key_gain
from ionanalysis.sigproc.lateness import LatenessWatch, uneven
from ionanalysis.sigproc.merging import FrameMerging
from ionanalysis.sigproc.parallel import in_turns, side_by_side, unshared_algebra
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
        self.clock = FrameClock.of(run.flow(0, slice(0, 1), slice(0, 1)))
        self.mergings = [FrameMerging.around(self.clock, onset_s) for onset_s in beads.t0_s]
        self.regions = [beads.region(index).with_merged_frames(merging) for index, merging in enumerate(self.mergings)]
        self.references = [(region.flags & WellFlag.REFERENCE) > 0 for region in self.regions]
        self.models: list = [None] * len(self.regions)
        self._placed: list = [None] * len(self.regions)
        self._flags: list = [None] * len(self.regions)
        self._kept: dict = {}
        self._drifts = [BufferDrift() for _ in self.regions]
        self._bends: list = [None] * len(self.regions)
        self.size = np.ones(self.shape, np.float32)
        self.live = beads.mask.matches(WellFlag.LIVE)
        self._measured = beads.mask.matches(WellFlag.LIVE | WellFlag.DUD)
        self._noise_groups = _noise_groups(options, beads.block, run.offset[0])
        self.cross_talk = 0.0
        """Part of a well's signal that shows in each of its four neighbours."""
        self.first_pinned = np.where(beads.mask.matches(WellFlag.PINNED), 0, run.n_flows).astype(np.int32)
        self._context = ExitStack()
        self._bands = Band.of_tiles(beads.tiles, side_by_side(n_threads, len(beads.tiles)))
        # Wells that pin later are too few to change the blur.
        self.sharpeners = [
            sharpener(blur_matrix(region.fit.delay_s[wells], merging.merged)) if wells.any() else None
            for region, wells, merging in zip(self.regions, self.references, self.mergings, strict=True)
        ]
        self._live = [(region.flags & WellFlag.LIVE) > 0 for region in self.regions]
        self._watches = [
            LatenessWatch.by_wells(
                merging.merged,
                (tile.n_rows, tile.n_cols),
                (region.flags & (WellFlag.BEAD | WellFlag.EMPTY)) > 0,
                live,
                region.usual_delay_s,
            )
            for tile, region, live, merging in zip(beads.tiles, self.regions, self._live, self.mergings, strict=True)
        ]
        self.dud_spread: list = [None] * run.n_flows
        """Root mean square signal of duds in each flow, 1-mers; None without duds."""
        self.dc_levels = np.zeros((run.n_flows, 101))
        """Percentiles of the wells' first frames in each flow, counts."""
        self.zero_level = np.zeros((len(self.regions), run.n_flows, 2))
        """State of each region's `ZeroLevel` in each flow."""

    def __enter__(self):
        self._context.enter_context(unshared_algebra())
        return self

    def __exit__(self, *reason):
        return self._context.__exit__(*reason)

    def learn(self):
        """Learn every region from the first flows, and the size of every live well from the key."""
        n_flows = min(self.options.learning_flows, self.run.n_flows)
        samples = [self._sample_wells(region, n_flows) for region in self.regions]
        learned = in_turns([partial(self._learn_band, band, n_flows, samples) for band in self._bands])
        self.models = [model for models in learned for model in models]
        for index, (region, model) in enumerate(zip(self.regions, self.models, strict=True)):
            if model is not None:
                wells = np.flatnonzero((region.flags & (WellFlag.LIVE | WellFlag.DUD)) > 0)
                self._flags[index] = region.flags[wells]
                self._placed[index] = PlacedWells.of(wells, model.grid, region.fit.at(wells), model.mean_log_tau)
        self._learn_from_keys()

    def flows(self):
        """Yield each flow and its signals, float32 of shape (rows, cols): 1 is one base, 0 where no well is live."""
        levels = [ZeroLevel() for _ in self.regions]
        for flow, raw in self._raw():
            raw = self._clear(flow, raw, levels)
            if self._noise_groups:
                usable = self._measured & (self.first_pinned > flow)
                raw = without_group_noise(raw, self.size, usable, self._noise_groups)
            duds = raw[self.beads.mask.matches(WellFlag.DUD)].astype(float)
            self.dud_spread[flow] = float(np.sqrt((duds**2).mean())) if len(duds) else None
            self.zero_level[:, flow] = [level.state for level in levels]
            yield flow, self._scaled(flow, raw)

    def _raw(self):
        """Yield each flow as measured, those first that were measured before."""
        kept, self._kept = self._kept, {}
        n_kept = len(kept)
        for flow in range(n_kept):
            yield flow, kept.pop(flow)
        yield from self._measure(range(n_kept, self.run.n_flows))

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

    def _images(self, band, flows):
        """Yield each flow and its image in the window of a band."""
        rows, cols = band.slices_in(self.beads.block)
        for flow in self.run.awaited(flows):
            image = read_image(self.run, flow, self.beads.conditioning, rows, cols)
            # The next one is read from disk while this one is measured.
            self.run.read_ahead(flow + 1)
            if tuple(image.frame_counts) != self.clock.counts:
                raise InputError(
                    f"{self.run.flow_path(flow)}: has {image.n_frames} frames, flow 0 has {self.clock.n_frames} or "
                    "other times; all flows of a run must have the same. Copy the file again."
                )
            yield flow, image

    def _sample_wells(self, region, n_flows):
        """Wells of a region that it is learned from: live ones evenly over the region, and duds."""
        n_frames = len(region.frame_weight)
        affordable = SAMPLE_BYTES // (4 * n_frames * n_flows * max(len(self.regions), 1))
        most = int(np.clip(affordable, 60, self.options.learning_wells))
        live = _evenly(np.flatnonzero(region.flags & WellFlag.LIVE), most)
        duds = _evenly(np.flatnonzero(region.flags & WellFlag.DUD), max(most // 4, 15))
        return np.sort(np.concatenate([live, duds]))

    def _learn_band(self, band, n_flows, samples):
        """Yield once, a list of the models of all regions of a band."""
        cut: list = [[] for _ in band.regions]
        for _, image in self._images(band, range(n_flows)):
            for index, parts in zip(band.regions, cut, strict=True):
                traces, empty = self._in_time(index, self._frames(index, band, image))
                parts.append((np.take(traces, samples[index], axis=1), empty))
        yield [
            self._learn_one(index, samples[index], *zip(*parts, strict=True))
            for index, parts in zip(band.regions, cut, strict=True)
        ]

    def _frames(self, index, band, image):
        """Frames of a region, copied: in an image they often lie whole pages apart, and share few places of a cache."""
        return np.ascontiguousarray(cut_frames(image, band.inside(self.beads.tiles[index])))

    def _in_time(self, index, frames):
        """Traces of a region in a flow, late ones moved back, and the mean empty trace; None without empties."""
        traces, pinned = self.mergings[index].take_in(frames, PINNED_LOW, PINNED_HIGH)
        traces = self._watches[index].set_right(traces)
        wells = self.references[index] & ~pinned
        empty = self.sharpeners[index] @ traces[:, wells].mean(axis=1, dtype=np.float64) if wells.any() else None
        return traces, empty

    def _learn_one(self, index, sample, frames, empties):
        region = self.regions[index]
        live = region.flags[sample] & WellFlag.LIVE
        if np.count_nonzero(live) < 10 or any(empty is None for empty in empties):
            return None
        bases = self.run.flow_order.bases[: len(frames)]
        return learn_region(
            RegionSample(self.mergings[index].merged, sample, frames, empties, bases, self.keys), region
        )

    def _learn_from_keys(self):
        """Learn cross-talk and the size of every live well's signal from the flows of the keys."""
        n_flows = min(max(key.n_flows for key in self.keys) + FLOWS_BEYOND_KEY, self.run.n_flows)
        measured = [raw for _, raw in self._measure(range(n_flows))]
        # They are measured once.
        self._kept = dict(enumerate(measured))
        raw = np.array(measured)
        library = self.beads.mask.matches(WellFlag.LIB) & (self.first_pinned >= n_flows)
        if self.options.cross_talk:
            self.cross_talk = learn_cross_talk(raw, self.live, library, self.keys[0])
        levels = [ZeroLevel() for _ in self.regions]
        raw = np.array([self._clear(flow, values, levels) for flow, values in enumerate(raw)])
        for flag, key in zip((WellFlag.LIB, WellFlag.TF), self.keys, strict=False):
            wells = self.beads.mask.matches(flag)
            self.size[wells] = np.maximum(key_gain(raw[:, wells], key), 0.05)
        log_size, log_tau = np.log(self.size), np.log(self.beads.time_constant_s)
        self._bends = [
            model and model.scale.bends(log_size[tile.slices], log_tau[tile.slices])
            for tile, model in zip(self.beads.tiles, self.models, strict=True)
        ]

    def _clear(self, flow, raw, levels):
        """Signals of a flow without what neighbours add, and without what 0-mers show."""
        if self.cross_talk:
            raw = without_cross_talk(raw, self.live, self.cross_talk, self.beads.tiles)
        for index, (tile, level) in enumerate(zip(self.beads.tiles, levels, strict=True)):
            placed = self._placed[index]
            if placed is not None:
                inside = raw[tile.slices]
                values = inside.ravel()[placed.wells]
                usable = (self.first_pinned[tile.slices] > flow).ravel()[placed.wells]
                silent = self._silent(flow, self._flags[index]) & usable
                expected = self._leftover(flow, self._flags[index])
                expected *= self.size[tile.slices].ravel()[placed.wells]
                level.follow((values - expected)[silent], placed.place[silent])
                cleared = np.zeros(inside.size, np.float32)
                cleared[placed.wells] = values - np.where(usable, level.at(placed.place), 0)
                raw[tile.slices] = cleared.reshape(inside.shape)
        return raw

    def _silent(self, flow, flags):
        """Wells of a region that take no base in a flow, by their key or because they are duds."""
        kinds = WellFlag.DUD
        for flag, key in zip((WellFlag.LIB, WellFlag.TF), self.keys, strict=False):
            if flow in key.zeros:
                kinds |= flag
        return (flags & np.uint16(kinds)) > 0

    def _leftover(self, flow, flags):
        """What phasing typically leaves in a flow of the key of each well, bases."""
        leftover = np.zeros(len(flags), np.float32)
        for flag, key in zip((WellFlag.LIB, WellFlag.TF), self.keys, strict=False):
            if flow < key.n_flows:
                leftover[(flags & flag) > 0] = key.leftover[flow]
        return leftover

    def _measure(self, flows):
        """Yield flows and their signals as they come; wells that pin are marked."""
        tiles = self.beads.tiles
        with closing(in_turns([partial(self._measure_band, band, flows) for band in self._bands])) as found:
            for flow in flows:
                raw, before = np.zeros(self.shape, np.float32), np.empty(self.shape, np.int16)
                for band, (first_frame, measured) in zip(self._bands, found, strict=False):
                    before[band.window.slices] = first_frame
                    for index, (values, pinned) in zip(band.regions, measured, strict=True):
                        first = self.first_pinned[tiles[index].slices]
                        first[pinned.reshape(first.shape) & (first > flow)] = flow
                        raw[tiles[index].slices] = np.where(first <= flow, 0, values.reshape(first.shape))
                self.dc_levels[flow] = _percentiles(before)
                yield flow, raw
            # What bands follow from flow to flow they give back.
            self._drifts = [drift for drifts in found for drift in drifts]

    def _measure_band(self, band, flows):
        """Yield for each flow the first frame of a band and what `measure_region` gives; then the regions' drifts."""
        for flow, image in self._images(band, flows):
            parts = ((index, self._frames(index, band, image)) for index in band.regions)
            yield image.frames[0], [self.measure_region(index, flow, frames) for index, frames in parts]
        yield [self._drifts[index] for index in band.regions]

    def measure_region(self, index, flow, frames):
        """Signals of the wells of a region as they come, float32, and which are pinned, bool: both (n_wells,).

        `frames`: of the region, (n_frames, n_rows, n_cols).
        """
        tile, model, merging = self.beads.tiles[index], self.models[index], self.mergings[index]
        plan = model.plans[self.run.flow_order.bases[flow]] if model else None
        basis = merging.spread(plan.basis) if plan else np.zeros((N_VECTORS, self.clock.n_frames))
        taken = take_in(frames, basis, PINNED_LOW, PINNED_HIGH, self.references[index])
        values = np.zeros(len(taken.pinned), np.float32)
        if plan and taken.mean is not None:
            empty = self.sharpeners[index] @ merging.merge(taken.mean)
            placed, drift = self._placed[index], self._drifts[index]
            projections = taken.projections
            values[placed.wells] = np.nan_to_num(plan.combined(projections, empty, placed, drift.state))
            if uneven(values, self._live[index], (tile.n_rows, tile.n_cols)):
                traces, found = self._in_time(index, frames)
                projections, empty = plan.basis @ traces, empty if found is None else found
                values[placed.wells] = np.nan_to_num(plan.combined(projections, empty, placed, drift.state))
            silent = self._silent(flow, self._flags[index])
            quiet = quiet_wells(values[placed.wells], self.size[tile.slices].ravel()[placed.wells], silent)
            drift.follow(plan.drift_seen(projections, empty, placed.at(quiet), drift.state))
        return values, taken.pinned

    def _scaled(self, flow, raw):
        signal = np.where(self.live, raw / self.size, np.float32(0))
        nuc = self.run.flow_order.bases[flow]
        for tile, model, bends in zip(self.beads.tiles, self.models, self._bends, strict=True):
            if model is not None:
                signal[tile.slices] = model.scale.length(signal[tile.slices], nuc, bends)
        return signal


def _evenly(wells, most):
    """At most `most` of `wells`, evenly spread over their order."""
    if len(wells) <= most:
        return wells
    return wells[(np.arange(most) * len(wells)) // most]


def _percentiles(values, most=100_000):
    """Least value, percentiles 1 to 99 and greatest value; percentiles of at most `most` values."""
    # A stable sort of 16-bit values goes by their bytes.
    ordered = np.sort(values.ravel()[:: -(-values.size // most)], kind="stable").astype(float)
    place = np.arange(1, 100) / 100 * (len(ordered) - 1)
    middle = np.interp(place, np.arange(len(ordered)), ordered)
    return np.concatenate([[values.min()], middle, [values.max()]])


def _noise_groups(options, block, chip_row):
    shape = block.n_rows, block.n_cols
    found = [row_groups(shape)] if options.row_noise else []
    if options.comparator_noise:
        found.append(comparator_groups(shape, max(chip_row, 0) + block.row))
    return found
