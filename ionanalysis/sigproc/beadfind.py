"""Bead finding: which wells hold a bead, and which key it shows (sigproc.md 3)."""

from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from ionanalysis.blocks import Block, as_block
from ionanalysis.errors import InputError, NoLiveBeadsError
from ionanalysis.executors import map_blocks
from ionanalysis.io.mask import WellFlag
from ionanalysis.options.sigproc import BeadfindOptions
from ionanalysis.sigproc.beadmap import BeadMap
from ionanalysis.sigproc.conditioning import PINNED_HIGH, PINNED_LOW, Conditioning
from ionanalysis.sigproc.flow_filter import N_VECTORS, take_in
from ionanalysis.sigproc.frames import FrameClock, hinge_t0
from ionanalysis.sigproc.keys import KeyFlows
from ionanalysis.sigproc.lateness import LatenessWatch
from ionanalysis.sigproc.merging import FrameMerging
from ionanalysis.sigproc.parallel import in_turns, region_threads, side_by_side, unshared_algebra
from ionanalysis.sigproc.region_beads import RegionTraces, find_region_beads

T0_SLOPES = (-10.0, 10.0, 5.0, 500.0)
"""Slope limits of the onset of nucleotide flows, counts per base frame (sigproc.md 4.1)."""


def find_beads(run, region=None, options=None, *, n_threads=None, progress=None):
    """Find the beads of a run, or of a rectangle of it.

    Each region is analysed alone: wells that follow the bulk fast are empty; the rest hold beads. Their
    key is looked for in the first flows, beside the background that their own time constant predicts.

    Parameters
    ----------
    run : Run
    region : Block or pair of slice, optional
        Rectangle of wells, such as ``(slice(0, 50), slice(100, 150))`` of rows and columns; all by default.
    options : BeadfindOptions, optional
    n_threads : int, optional
        Regions analysed side by side; all cores by default. Results do not depend on it.
    progress : callable, optional
        Called with (done, total) images and regions.

    Returns
    -------
    BeadMap

    Raises
    ------
    InputError
        If images are missing or differ in their frames.
    NoLiveBeadsError
        If (almost) no well shows a key.
    """
    options = options or BeadfindOptions()
    block = as_block(region, run.n_rows, run.n_cols)
    keys = run_keys(run)
    n_flows = max(key.n_flows for key in keys)
    run.expect_flows(n_flows)
    rows, cols = block.slices
    conditioning = Conditioning.of(run, options)
    with region_threads(n_threads) as executor:
        read = partial(read_image, run, conditioning=conditioning, rows=rows, cols=cols)
        images = list(map_blocks(executor, read, run.awaited(range(n_flows))))
    clock = common_clock(run, images)
    beadfind = run.beadfind(rows, cols) if options.use_beadfind_image else None
    beadfind = conditioning.applied(run, beadfind) if beadfind is not None else None
    tiles = run_tiles(run, block, options.region_size)
    work = partial(_one_region, images=images, clock=clock, beadfind=beadfind, keys=keys, options=options)
    results = []
    n_parts = side_by_side(n_threads, len(tiles))
    parts = [partial(map, work, tiles[part::n_parts]) for part in range(n_parts)]
    with unshared_algebra(), closing(in_turns(parts)) as found:
        for result in found:
            results.append(result)
            if progress:
                progress(len(results), len(tiles))
    beads = BeadMap.assembled(
        block,
        tiles,
        [key.sequence for key in keys],
        [beads for beads, _ in results],
        [t0 for _, t0 in results],
        conditioning,
    )
    _expect_live(run, beads, options)
    return beads


def region_tiles(block, size):
    """Cut a block into regions of nearly equal size, about `size` wells wide: none is a sliver.

    >>> region_tiles(Block(0, 0, 52, 100), 50)  # doctest: +NORMALIZE_WHITESPACE
    [Block(row=0, col=0, n_rows=52, n_cols=50), Block(row=0, col=50, n_rows=52, n_cols=50)]
    """
    rows, cols = (
        np.linspace(0, length, max(1, round(length / size)) + 1).astype(int).tolist()
        for length in (block.n_rows, block.n_cols)
    )
    return [
        Block(row, col, row_end - row, col_end - col)
        for row, row_end in pairwise(rows)
        for col, col_end in pairwise(cols)
    ]


def run_tiles(run, block, size):
    """The regions of a rectangle of a run, in its rows and columns.

    A window of a larger chip has the chip's own regions where they fill it: then it does not matter how the chip
    was cut.
    """
    if run.window is not None and (block.n_rows, block.n_cols) == (run.n_rows, run.n_cols):
        window = run.window
        last_row, last_col = window.row + window.n_rows, window.col + window.n_cols
        inside = [
            Block(tile.row - window.row, tile.col - window.col, tile.n_rows, tile.n_cols)
            for tile in region_tiles(Block(0, 0, *run.whole_shape), size)
            if window.row <= tile.row
            and window.col <= tile.col
            and tile.row + tile.n_rows <= last_row
            and tile.col + tile.n_cols <= last_col
        ]
        if sum(tile.n_wells for tile in inside) == window.n_wells:
            return inside
    return region_tiles(block, size)


def cut_at_regions(n_rows, n_cols, block_size, region_size):
    """Cut a chip into blocks of about `block_size` (rows, columns), along the borders of its regions.

    >>> [block.name for block in cut_at_regions(100, 150, (60, 100), 50)]
    ['X0_Y0', 'X100_Y0', 'X0_Y50', 'X100_Y50']
    """
    tiles = region_tiles(Block(0, 0, n_rows, n_cols), region_size)
    rows, cols = (
        _merged_borders(
            sorted({(getattr(tile, axis), getattr(tile, axis) + getattr(tile, count)) for tile in tiles}), n
        )
        for axis, count, n in (("row", "n_rows", block_size[0]), ("col", "n_cols", block_size[1]))
    )
    return [
        Block(row, col, row_end - row, col_end - col)
        for row, row_end in pairwise(rows)
        for col, col_end in pairwise(cols)
    ]


def _merged_borders(spans, size):
    """Borders of neighbouring spans put together while they are no longer than `size`; at least one span each."""
    borders = [0]
    for (_, end), (_, next_end) in pairwise(spans):
        if next_end - borders[-1] > size:
            borders.append(end)
    return [*borders, spans[-1][1]]


def run_keys(run):
    """Keys of a run, library first; a test-fragment key equal to it is left out.

    Raises
    ------
    InputError
        If a key is too short to be told from silence.
    """
    sequences = [run.library_key, *([run.tf_key] if run.tf_key and run.tf_key != run.library_key else [])]
    try:
        keys = [KeyFlows.of(run.flow_order, sequence) for sequence in sequences]
    except InputError as error:
        raise InputError(f"{run.path}: {error} Check the flow order and the number of flows in its log.") from None
    for key in keys:
        if not len(key.ones) or not len(key.zeros) or key.n_flows < 3:
            raise InputError(
                f"key {key.sequence} under flow order {run.flow_order.cycle} has no flow with and one without a base "
                "before its last; bead finding needs both. Check the key and the flow order."
            )
    return tuple(keys)


def read_image(run, flow, conditioning, rows, cols):
    """Corrected image of a flow, decoded at once: not later by the first of many threads that need it."""
    image = conditioning.applied(run, run.flow(flow, rows, cols))
    image.frames  # noqa: B018
    return image


def common_clock(run, images):
    """Clock of the first image; the others must have the same frames."""
    for flow, image in enumerate(images):
        if not np.array_equal(image.frame_counts, images[0].frame_counts):
            raise InputError(
                f"{run.path}: flow {flow} has other frames than flow 0 ({image.n_frames} and {images[0].n_frames}); "
                "all flows of a run must have the same. Copy the run again."
            )
    return FrameClock.of(images[0])


def cut_frames(image, tile):
    """Frames of a tile: int16 of shape (n_frames, n_rows, n_cols), a view."""
    return image.frames[(slice(None), *tile.slices)]


def _one_region(tile, images, clock, beadfind, keys, options):
    onset_s = _onset(cut_frames(images[0], tile), images[0].end_times_ms, clock)
    merging = FrameMerging.around(clock, onset_s)
    taken = [merging.take_in(cut_frames(image, tile), PINNED_LOW, PINNED_HIGH) for image in images]
    pinned = np.any([out for _, out in taken], axis=0)
    image = image_clock = None
    if beadfind is not None:
        frames, image_clock = cut_frames(beadfind, tile), FrameClock.of(beadfind)
        image_merging = FrameMerging.around(image_clock, _step_onset(frames, image_clock))
        image, image_clock = image_merging.take_in(frames, PINNED_LOW, PINNED_HIGH)[0], image_merging.merged
    shape = (tile.n_rows, tile.n_cols)
    flows = [traces for traces, _ in taken]
    watch = LatenessWatch.by_flows(merging.merged, shape, ~pinned, flows)
    flows = [watch.set_right(traces) for traces in flows]
    traces = RegionTraces(shape, merging.merged, flows, pinned, image, image_clock)
    beads = find_region_beads(traces, keys, options)
    # Live wells tell best what is usual, and what is late in later flows.
    live = LatenessWatch.by_flows(merging.merged, shape, (beads.flags & WellFlag.LIVE) > 0, flows)
    beads = replace(beads, usual_delay_s=live.usual_s())
    return beads.with_stored_frames(merging), onset_s


def _onset(frames, end_times_ms, clock):
    """Onset of a flow, seconds; as float32, which its file keeps."""
    everyone = np.ones(frames.shape[1] * frames.shape[2], bool)
    mean = take_in(frames, np.zeros((N_VECTORS, len(frames))), PINNED_LOW, PINNED_HIGH, everyone).mean
    if mean is None:
        return np.float32(np.nan)
    return np.float32(hinge_t0(mean, end_times_ms, clock.base_s * 1000, width=4, slopes=T0_SLOPES) / 1000)


def _step_onset(frames, clock):
    """When the bead-find image begins to move, seconds."""
    mean = np.median(frames[:, ::4].reshape(len(frames), -1), axis=1)
    return clock.mid_s[np.argmax(np.abs(mean - mean[0]) > 0.05 * np.ptp(mean))]


def _expect_live(run, beads, options):
    n_wells = beads.mask.flags.size
    n_live = beads.mask.count(WellFlag.LIVE)
    least = max(min(10.0, 0.01 * n_wells), options.min_live_fraction * n_wells)
    if n_live <= least:
        raise NoLiveBeadsError(
            f"{run.path}: {n_live} of {n_wells} wells show a key ({' or '.join(beads.keys)}); expected more than "
            f"{least:.0f}. Check the keys, the flow order and that the chip was loaded."
        )
