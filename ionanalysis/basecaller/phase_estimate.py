"""Estimation of phase over a chip: regions, the reads that tell, and the two halves of them (basecaller.md 3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.noise import estimate_noise
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.phase_fit import PhaseFit, fit_phase, lead_phase, n_flows_read, training_solver
from ionanalysis.basecaller.response import estimate_response
from ionanalysis.blocks import Block
from ionanalysis.errors import UsageError
from ionanalysis.flows import FlowOrder

_TILE, _LEADING_REGIONS = 50, 4

_GREATEST_RATE = 0.1
"""Beyond it no strand would be in phase after a few dozen flows: percents were meant."""


@dataclass(frozen=True, eq=False)
class ReadSource:
    """Where an estimate gets its reads.

    Attributes
    ----------
    read : callable
        ``read(block, flows)`` gives the signals of a rectangle, float32 (n_rows, n_cols, n_flows).
    usable : ndarray of shape (n_rows, n_cols), bool
        Library wells to use. The estimate spans the whole chip all the same; where no wells are used, it is the
        average.
    flow_order : FlowOrder
    key : str
        Library key.
    """

    read: Callable
    usable: np.ndarray
    flow_order: FlowOrder
    key: str


def phase_of(source, options, *, map_regions=map):
    """CF, IE, DR of a chip: as the options say, from a file, or estimated.

    Parameters
    ----------
    source : ReadSource
    options : PhaseOptions
    map_regions : callable
        `map`, or that of an executor of threads; must keep the order.

    Returns
    -------
    PhaseEstimate

    Raises
    ------
    InputError
        If the file of the options cannot be used.
    """
    shape = tuple(source.usable.shape)
    if options.phase is not None:
        cf, ie, dr = options.phase
        if not all(0 <= rate <= _GREATEST_RATE for rate in options.phase):
            raise UsageError(
                f"CF, IE, DR of {cf:g}, {ie:g}, {dr:g} cannot be: give fractions per flow from 0 to "
                f"{_GREATEST_RATE:g}, such as 0.006, 0.005, 0.001."
            )
        return PhaseEstimate.uniform(cf, ie, dr, shape)
    if options.phase_file is not None:
        return PhaseEstimate.read(options.phase_file, shape)
    grid = _grid(shape, int(source.usable.sum()), options)
    height, width = (-(-size // n) for size, n in zip(shape, grid, strict=True))
    # Rounding up can leave no wells for the last regions.
    grid = (-(-shape[0] // height), -(-shape[1] // width))
    start = np.array([options.initial_cf, options.initial_ie, options.initial_dr])

    regions = Block(0, 0, *shape).tiles(height, width)
    halves = (0, 1) if options.estimator == "crossed" else (None,)
    samples = _Samples(source, regions, options)
    list(map_regions(lambda number: samples.take(number, None), samples.leading_regions))
    found = map_regions(lambda half: lead_phase(samples.leading(half), source.flow_order, start, options), halves)
    leads = dict(zip(halves, found, strict=True))
    # Both halves of a region, one after the other: two threads serve a chip of one region, too.
    tasks = [(number, half) for number in range(len(regions)) for half in halves]

    def fit(task):
        number, half = task
        return fit_phase(samples.take(number, half), source.flow_order, start, options, lead=leads[half])

    fits = list(map_regions(fit, tasks))
    estimates = [
        _estimate(fits[place :: len(halves)], grid, shape, start, options.least_reads) for place in range(len(halves))
    ]
    estimate = PhaseEstimate.crossed(*estimates) if len(estimates) == 2 else estimates[0]
    if not options.response_reads:
        return estimate
    response, noise = _response_and_noise(source, samples, estimate, options, map_regions)
    return replace(estimate, response=response, noise=noise)


def _response_and_noise(source, samples, estimate, options, map_parts):
    """Response and noise of the chip, from reads of as many regions as it takes, in an order that hops over the chip.

    Their few numbers rest on too many runs for a read's own to matter: they are not crossed.
    """
    parts, phases, n_found = [], [], 0
    for number in samples.order:
        signals = samples.take(number, None)
        parts.append(signals[: options.response_reads - n_found])
        values = estimate.values.reshape(-1, 3)[number]
        phases.append(np.tile(values, (len(parts[-1]), 1)))
        n_found += len(parts[-1])
        if n_found >= options.response_reads:
            break
    order = source.flow_order.limited(n_flows_read(source.flow_order, options))
    signals, flowgram = np.concatenate(parts), order.key_flowgram(source.key)
    pinned = pinned_flows(signals, [flowgram], np.zeros(len(signals), np.intp))
    solver = training_solver(options)
    response, solved = estimate_response(
        signals, order, np.concatenate(phases), solver, pinned=pinned, map_parts=map_parts
    )
    return response, None if solved is None else estimate_noise(solved, solver)


class _Samples:
    """Reads of the regions, each region read when it is needed and given away half by half.

    `order` hops over the chip; its first, the `leading_regions`, lead the others, tell the response, and are kept.
    Of the rest few are in memory at a time.
    """

    def __init__(self, source, regions, options):
        self.order = np.random.default_rng(len(regions)).permutation(len(regions)).tolist()
        self._read = lambda number: _signals_of(source, regions[number], options)
        self._locks = [Lock() for _ in regions]
        self.leading_regions = self.order[:_LEADING_REGIONS]
        self._waiting: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def leading(self, half):
        """Signals of a half (all for None) of the regions that lead."""
        return np.concatenate([self.take(number, half) for number in self.leading_regions])

    def take(self, number, half):
        """Signals of the reads of a half of a region; of all for None."""
        with self._locks[number]:
            held = self._waiting.pop(number, None)
            signals, halves = held or self._read(number)
            # Each half is asked for once: the first leaves the reads to the second.
            if number in self.leading_regions or (held is None and half is not None):
                self._waiting[number] = signals, halves
        return signals if half is None else signals[halves == half]


def _signals_of(source, region, options):
    """Key-normalised signals of the reads of a region to use, float32 (n, n_flows), and the half each belongs to.

    One sample serves both halves: to cross them costs no more than not to.
    """
    flows = slice(n_flows_read(source.flow_order, options))
    flowgram = source.flow_order.key_flowgram(source.key)
    parts = [np.zeros((0, n_flows_read(source.flow_order, options)), np.float32)]
    halves, n_found = [np.zeros(0, np.intp)], 0
    # Tiles from all over the region: no more of the file is read than it takes.
    tiles = region.tiles(_TILE, _TILE)
    for number in np.random.default_rng(len(tiles)).permutation(len(tiles)):
        tile = tiles[number]
        row, col = np.nonzero(source.usable[tile.slices])
        if not len(row):
            continue
        signals = normalise_key(source.read(tile, flows)[row, col], flowgram)
        shown = shows_key(signals, flowgram)
        parts.append(signals[shown])
        halves.append((row + col + tile.row + tile.col)[shown] % 2)
        n_found += len(parts[-1])
        if n_found >= options.phase_reads:
            break
    signals, half = np.concatenate(parts), np.concatenate(halves)
    if len(signals) <= options.phase_reads:
        return signals, half
    # Each half is thinned by itself: neighbours belong to different halves, every second read to one.
    chosen = np.concatenate([_spread(np.flatnonzero(half == which), options.phase_reads // 2) for which in (0, 1)])
    chosen.sort()
    return signals[chosen], half[chosen]


def _spread(numbers, n_wanted):
    if len(numbers) <= n_wanted:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, n_wanted).round().astype(int)]


def _grid(shape, n_reads, options):
    """Rows and columns of regions: as asked, else as many as leave enough reads to each."""
    if options.region_size:
        return tuple(-(-size // options.region_size) for size in shape)
    n_regions = max(1, n_reads // options.region_reads)
    aspect = np.sqrt(shape[0] / shape[1])
    side, most = np.sqrt(n_regions), 2 ** (options.levels - 1)
    shorter, longer = sorted((side * aspect, side / aspect))
    n_shorter = int(np.clip(round(shorter), 1, most))
    # Rounding the shorter side up must not leave too few reads to each.
    n_longer = int(np.clip(min(round(longer), n_regions // n_shorter), 1, most))
    return (n_shorter, n_longer) if shape[0] <= shape[1] else (n_longer, n_shorter)


def _estimate(fits: list[PhaseFit], grid, shape, start, least_reads):
    """Estimate of a grid from the fits of its regions; those with too few reads take the average of the others."""
    n_reads = np.array([fit.n_reads for fit in fits])
    enough = n_reads >= least_reads
    average = start
    if enough.any():
        weights = n_reads[enough] / n_reads[enough].sum()
        average = weights @ np.array([fit.values for fit in fits])[enough]
    values = np.array([fit.values if good else average for fit, good in zip(fits, enough, strict=True)])
    errors = np.where(enough[:, None], [fit.errors for fit in fits], np.nan)
    shared = np.where(enough[:, None], [fit.shared for fit in fits], np.nan)
    return PhaseEstimate(
        values.reshape(*grid, 3),
        errors.reshape(*grid, 3),
        n_reads.reshape(grid).astype(np.int32),
        shape,
        shared=shared.reshape(*grid, 3),
    )
