"""``1.wells`` in its HDF5 form: header and signals in, datasets out (basecaller.md 1.2, sigproc.md 6.1)."""

from dataclasses import dataclass, field

import h5py
import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.hdf5 import HDF5_ERRORS, check_size, damaged, read_box, read_texts

LOW, HIGH = -5.0, 28.0
"""Range of signals that uint16 files hold by default."""

CHUNK = (50, 50, 60)
"""Rows, columns and flows of a chunk, as the original writes them."""


@dataclass(frozen=True)
class WellsHeader:
    """What an HDF5 wells file says about itself.

    Attributes
    ----------
    shape : tuple of int
        Rows, columns, flows.
    flow_order : FlowOrder
    info : dict of str to str
        All info keys of the file.
    scale : tuple of float or None
        Lowest and highest signal of a uint16 file; None for float32.
    has_copies, has_ranks : bool
    chunks : tuple of int or None
    """

    shape: tuple[int, int, int]
    flow_order: FlowOrder
    info: dict = field(hash=False)
    scale: tuple[float, float] | None
    has_copies: bool
    has_ranks: bool
    chunks: tuple[int, int, int] | None


def quantise(values, low=LOW, high=HIGH):
    """Signals as uint16 steps between `low` and `high`, rounded to the nearest (basecaller.md 13.6).

    The original truncates, which reads back half a step too low. NaN is stored as signal 0.

    >>> quantise(np.array([-6.0, 0.0, 1.0, 30.0]))
    array([    0,  9930, 11915, 65535], dtype=uint16)
    """
    steps = np.array(values, np.float64)
    steps[np.isnan(steps)] = 0.0
    np.clip(steps, low, high, out=steps)
    steps -= low
    steps *= 65535.0 / (high - low)
    return np.rint(steps, out=steps).astype(np.uint16)


def step_values(low=LOW, high=HIGH):
    """Signal of each of the 65536 steps of a uint16 file, float32.

    >>> step_values()[[0, 9929, 11915, 65535]].round(6)
    array([-5.00000e+00, -2.75000e-04,  9.99771e-01,  2.80000e+01],
          dtype=float32)
    """
    return (np.arange(65536) * ((high - low) / 65535.0) + low).astype(np.float32)


def read_header(file, path):
    """Check an open wells file and return its `WellsHeader`.

    Raises
    ------
    InputError
        If a dataset is missing or has a shape or type that does not fit the rest or the size of the file.
    """
    try:
        wells = _dataset(file, "wells", 3, path)
        if wells.dtype.kind not in "fu" or wells.dtype.itemsize not in (2, 4):
            raise InputError(f"{path}: wells are {wells.dtype}; expected float32 or uint16.")
        check_size(path, "wells", wells)
        scale = _scale(wells, path)
        info = _read_info(file, path)
        shape = wells.shape
        has_copies = _is_per_well(file, "wells_copies", shape, path, "f")
        has_ranks = _is_per_well(file, "ranks", shape, path, "iu")
        chunks = wells.chunks
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error
    if not info.get("FLOW_ORDER"):
        raise InputError(f"{path}: has no info key FLOW_ORDER; write it, or take the wells file of the run.")
    try:
        flow_order = FlowOrder.from_letters(info["FLOW_ORDER"], shape[2])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return WellsHeader(shape, flow_order, info, scale, has_copies and scale is not None, has_ranks, chunks)


def _dataset(file, name, n_axes, path):
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: has no dataset {name}; expected a wells file.")
    if found.ndim != n_axes or 0 in found.shape:
        raise InputError(f"{path}: {name} has shape {found.shape}; expected {n_axes} axes, none of them empty.")
    return found


def _scale(wells, path):
    low, high = (
        float(np.ravel(wells.attrs[name])[0]) if name in wells.attrs else default
        for name, default in (("convert_low", LOW), ("convert_high", HIGH))
    )
    is_scaled = "convert_low" in wells.attrs or "convert_high" in wells.attrs
    if is_scaled != (wells.dtype == np.uint16):
        raise InputError(
            f"{path}: wells are {wells.dtype} {'with' if is_scaled else 'without'} convert_low or convert_high; "
            "expected uint16 with them or float32 without."
        )
    if is_scaled and not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"{path}: wells hold signals from {low} to {high}; expected a rising range.")
    return (low, high) if is_scaled else None


def _read_info(file, path):
    keys, values = (_dataset(file, name, 1, path) for name in ("info_keys", "info_values"))
    if keys.shape != values.shape:
        raise InputError(f"{path}: has {keys.shape[0]} info keys and {values.shape[0]} values; expected as many.")
    return dict(zip(read_texts(path, "info_keys", keys), read_texts(path, "info_values", values), strict=True))


def _is_per_well(file, name, shape, path, kinds):
    """Whether a dataset with one number per well is there; one of another form is ignored, as the original does."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.shape != shape[:2] or found.dtype.kind not in kinds:
        return False
    check_size(path, name, found)
    return True


def read_per_well(file, name, path, rows, cols):
    """Numbers of a box of wells from a dataset such as ``wells_copies``, of its own dtype."""
    try:
        dataset = file[name]
        values = np.empty((len(rows), len(cols)), dataset.dtype)
        for place, stored in read_box(dataset, (rows, cols)):
            values[place] = stored
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error
    return values


def read_signal(file, path, header, rows, cols, flows):
    """Decoded signals of a box, without copies, float32.

    Parameters
    ----------
    file : h5py.File
        Open wells file whose header is `header`.
    rows, cols, flows : range
        Rising ranges of step 1 inside the shape of the file.

    Returns
    -------
    signal : ndarray of shape (len(rows), len(cols), len(flows)), float32
    """
    signal = np.empty((len(rows), len(cols), len(flows)), np.float32)
    steps = step_values(*header.scale) if header.scale else None
    try:
        for place, stored in read_box(file["wells"], (rows, cols, flows)):
            signal[place] = stored if steps is None else steps[stored]
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error
    return signal
