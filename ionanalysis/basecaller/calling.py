"""Phase estimation and base calling of whole chips or rectangles of them."""

from concurrent.futures import ThreadPoolExecutor
from os import sched_getaffinity

import numpy as np

from ionanalysis.basecaller.calibration import CallCalibration
from ionanalysis.basecaller.called import CalledReads
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.phase_estimate import ReadSource, phase_of
from ionanalysis.basecaller.solve import call_block
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY, TF_KEY
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions


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
        CF, IE, DR with standard errors on a grid of regions, by default from two halves of the reads, each to call
        the other with. Regions with few reads take the average of the others; without any reads, the initial
        values of the options, with errors NaN. If the options name values or a file, those.

    Raises
    ------
    InputError
        If the rectangle is no pair of slices of step 1, or the file of the options cannot be used.
    """
    options = options or PhaseOptions()
    mask = mask if mask is not None else getattr(wells, "mask", None)
    usable = np.ones(wells.shape[:2], bool)
    if mask is not None:
        classes = read_classes(mask)
        usable = classes.library & classes.valid
    row_range, col_range = _spans(wells, rows, cols)
    inside = np.zeros_like(usable)
    inside[row_range.start : row_range.stop, col_range.start : col_range.stop] = True
    chip = ReadSource(
        lambda block, flows: wells[(*block.slices, flows)],
        usable & inside,
        _limited(wells.flow_order, n_flows),
        key,
    )
    with ThreadPoolExecutor(n_threads or len(sched_getaffinity(0))) as pool:
        return phase_of(chip, options, map_regions=pool.map)


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
    calibration=None,
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
    calibration : Calibration, optional
        Models to apply to library reads (`io.calibration.read_calibration`).
    n_threads : int, optional
        All cores by default. The result does not depend on it.

    Returns
    -------
    reads : CalledReads
        Reads in the order of wells, row by row; nothing filtered or trimmed.

    Raises
    ------
    InputError
        If the rectangle is no pair of slices of step 1, or the calibration is for another number of flows.
    """
    options = options or SolverOptions()
    mask = mask if mask is not None else getattr(wells, "mask", None)
    row_range, col_range = _spans(wells, rows, cols)
    order = _limited(wells.flow_order, n_flows)
    phase = phase or estimate_phase(wells, mask, n_flows=n_flows, key=keys[0], n_threads=n_threads)
    classes = read_classes(mask) if mask is not None else None
    if calibration is not None:
        n_used = (len(order), len(wells.flow_order))
        calibration = CallCalibration(calibration.linear, calibration.histogram, n_used)
    if not (row_range and col_range):
        return CalledReads.empty(len(order), order)

    def call(strip):
        return _call_strip(wells, order, phase, classes, strip, options, keys, calibration)

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


def _call_strip(wells, order, phase, classes, strip, options, keys, calibration):
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
    is_tf = tf[row, col]
    chosen = np.where(is_tf[:, None], scaled[1][places], scaled[0][places])
    pinned = pinned_flows(chosen, flowgrams, is_tf.astype(np.intp))
    row, col = row + strip.row, col + strip.col
    rates, models = phase.at(row, col), {"response": phase.response}
    if calibration is not None:
        models = calibration.of_reads(row, col, order, rates, ~is_tf, phase.response)
    return call_block(chosen, row, col, order, rates, options, pinned=pinned, noise=phase.noise, **models)
