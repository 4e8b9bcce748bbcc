"""Phase estimation and base calling of whole chips or rectangles of them."""

from concurrent.futures import ThreadPoolExecutor
from os import sched_getaffinity

import numpy as np

from ionanalysis.basecaller.called import CalledReads
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.phase import estimate_from_regions
from ionanalysis.basecaller.solve import call_block
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY, TF_KEY
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions

_TILE = 50
_MAX_REGIONS = 8


def estimate_phase(
    wells,
    mask=None,
    rows=slice(None),
    cols=slice(None),
    *,
    n_flows=None,
    options=None,
    key=LIBRARY_KEY,
    n_threads=None,
):
    """Estimate carry-forward, incomplete extension and droop over a chip or from a rectangle of it.

    Parameters
    ----------
    wells : Wells
        Signals; ``wells[rows, cols, flows]``.
    mask : Mask, optional
        Bead mask; library wells that signal processing did not filter are used. By default that of `wells`;
        without any, all wells whose signals show the key.
    rows, cols : slice
        Rectangle whose wells are used, step 1. The estimate holds for the whole chip all the same: where no wells
        were used, it is the average.
    n_flows : int, optional
        Use no more than so many flows; all by default.
    options : PhaseOptions, optional
    key : str
        Library key.
    n_threads : int, optional
        Threads that work on regions; all cores by default. The result does not depend on it.

    Returns
    -------
    phase : PhaseEstimate
        CF, IE, DR with standard errors on a grid of regions. Regions with few reads take the average of the
        others; without any reads, the initial values of the options, with errors NaN.

    Raises
    ------
    InputError
        If the rectangle is no pair of slices of step 1.
    """
    options = options or PhaseOptions()
    mask = mask if mask is not None else getattr(wells, "mask", None)
    n_rows, n_cols = wells.shape[:2]
    usable = np.ones((n_rows, n_cols), bool)
    if mask is not None:
        classes = read_classes(mask)
        usable = classes.library & classes.valid
    row_range, col_range = _spans(wells, rows, cols)
    inside = np.zeros_like(usable)
    inside[row_range.start : row_range.stop, col_range.start : col_range.stop] = True
    usable &= inside
    order = _limited(wells.flow_order, n_flows)
    grid = _grid((n_rows, n_cols), int(usable.sum()), options)
    height, width = -(-n_rows // grid[0]), -(-n_cols // grid[1])
    regions = Block(0, 0, n_rows, n_cols).tiles(height, width)
    # Rounding up can leave no wells for the last regions.
    grid = (-(-n_rows // height), -(-n_cols // width))
    flowgram = order.key_flowgram(key)

    def signals_of(region):
        parts, n_found = [np.zeros((0, len(order)), np.float32)], 0
        # Tiles from all over the region: no more of the file is read than it takes.
        tiles = region.tiles(_TILE, _TILE)
        for number in np.random.default_rng(len(tiles)).permutation(len(tiles)):
            tile = tiles[number]
            chosen = usable[tile.slices]
            if not chosen.any():
                continue
            signals = normalise_key(wells[(*tile.slices, slice(len(order)))][chosen], flowgram)
            parts.append(signals[shows_key(signals, flowgram)])
            n_found += len(parts[-1])
            if n_found >= options.phase_reads:
                break
        signals = np.concatenate(parts)
        if len(signals) <= options.phase_reads:
            return signals
        return signals[np.linspace(0, len(signals) - 1, options.phase_reads).round().astype(int)]

    with ThreadPoolExecutor(n_threads or len(sched_getaffinity(0))) as pool:
        return estimate_from_regions(signals_of, regions, grid, (n_rows, n_cols), order, options, map_regions=pool.map)


def _grid(shape, n_reads, options):
    """Rows and columns of regions: as asked, else as many as leave two samples of reads to each."""
    if options.region_size:
        return tuple(-(-size // options.region_size) for size in shape)
    n_regions = max(1, n_reads // (2 * options.phase_reads))
    aspect = np.sqrt(shape[0] / shape[1])
    side = np.sqrt(n_regions)
    return tuple(int(np.clip(round(n), 1, _MAX_REGIONS)) for n in (side * aspect, side / aspect))


def call_bases(
    wells,
    phase=None,
    mask=None,
    rows=slice(None),
    cols=slice(None),
    *,
    n_flows=None,
    options=None,
    keys=(LIBRARY_KEY, TF_KEY),
    n_threads=None,
):
    """Call the bases of the wells of a chip or of a rectangle of it.

    Parameters
    ----------
    wells : Wells
        Signals; ``wells[rows, cols, flows]``.
    phase : PhaseEstimate, optional
        Estimated from `wells` by default.
    mask : Mask, optional
        Bead mask; library and test-fragment wells that signal processing did not filter are called. By default
        that of `wells`; without any, the wells whose signals show one of the keys.
    rows, cols : slice
        Rectangle to call, step 1; reads keep the coordinates of the whole.
    n_flows : int, optional
        Use no more than so many flows; all by default.
    options : SolverOptions, optional
    keys : tuple of str
        Library and test-fragment key.
    n_threads : int, optional
        All cores by default. The result does not depend on it.

    Returns
    -------
    reads : CalledReads
        Reads in the order of wells, row by row; nothing filtered or trimmed.

    Raises
    ------
    InputError
        If the rectangle is no pair of slices of step 1.
    """
    options = options or SolverOptions()
    mask = mask if mask is not None else getattr(wells, "mask", None)
    row_range, col_range = _spans(wells, rows, cols)
    order = _limited(wells.flow_order, n_flows)
    phase = phase or estimate_phase(wells, mask, n_flows=n_flows, key=keys[0], n_threads=n_threads)
    classes = read_classes(mask) if mask is not None else None
    if not (row_range and col_range):
        return CalledReads.empty(len(order), order)

    def call(strip):
        return _call_strip(wells, order, phase, classes, strip, options, keys)

    strips = Block(row_range.start, col_range.start, len(row_range), len(col_range)).tiles(8, len(col_range))
    with ThreadPoolExecutor(n_threads or len(sched_getaffinity(0))) as pool:
        return CalledReads.concatenate(pool.map(call, strips))


def _spans(wells, rows, cols):
    """Rows and columns of two slices, as ranges; empty ones too."""
    spans = []
    for name, part, n in zip(("rows", "cols"), (rows, cols), wells.shape, strict=False):
        if not isinstance(part, slice) or range(n)[part].step != 1:
            raise InputError(f"{name} is {part}; expected a slice of step 1, such as slice(0, 50).")
        spans.append(range(n)[part])
    return spans


def _limited(flow_order, n_flows):
    return flow_order if n_flows is None else flow_order.limited(n_flows)


def _call_strip(wells, order, phase, classes, strip, options, keys):
    signals = wells[(*strip.slices, slice(len(order)))]
    flowgrams = [order.key_flowgram(key) for key in keys]
    scaled = [normalise_key(signals.reshape(-1, signals.shape[2]), f, options.key_normalisation) for f in flowgrams]
    if classes is None:
        library, tf = (shows_key(part, f).reshape(signals.shape[:2]) for part, f in zip(scaled, flowgrams, strict=True))
        tf &= ~library
    else:
        library = (classes.library & classes.valid)[strip.slices]
        tf = (classes.tf & classes.valid)[strip.slices]
    row, col = np.nonzero(library | tf)
    places = row * strip.n_cols + col
    chosen = np.where(tf[row, col][:, None], scaled[1][places], scaled[0][places])
    pinned = pinned_flows(chosen, flowgrams, tf[row, col].astype(np.intp))
    row, col = row + strip.row, col + strip.col
    return call_block(chosen, row, col, order, phase.at(row, col), options, pinned=pinned)
