"""``fit_parameters.h5``: what signal processing fitted to wells, regions and flows, for those who study it.

Three groups of datasets, each with its unit and meaning as attributes: ``wells`` with one value per well in arrays
(rows, cols), ``regions`` with one row per region, ``flows`` with one row per region and one column per flow. Regions
may differ in their frames: rows of fewer frames end in NaN.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5 import HDF5_ERRORS, check_size, damaged, open_hdf5
from ionanalysis.io.hdf5_writing import create_hdf5

FIT_FILE = "fit_parameters.h5"

DATASETS = {
    "wells/copies": ("", "signal of one base, relative to a typical live well of the region; -1: not live"),
    "wells/gain": ("", "gain of the pixel, relative to the empty wells of the region"),
    "wells/time_constant_s": ("s", "buffering time constant, tauB (of wells without a bead: tauE)"),
    "wells/t0_s": ("s", "onset of the first flow at the well; NaN: not seen"),
    "wells/residual_counts": ("counts", "root mean square of what the fit leaves of flows without a base"),
    "wells/bead_probability": ("", "probability of a bead, by the time constant alone; NaN: unknown"),
    "regions/place": ("wells", "first row, first column, rows, columns"),
    "regions/t0_s": ("s", "onset of the first flow; NaN: not seen"),
    "regions/time_constant_empty_s": ("s", "buffering time constant of empty wells, tauE"),
    "regions/noise_counts": ("counts", "typical root mean square of what the fit leaves of flows without a base"),
    "regions/onset_s": ("s", "when A, C, G, T reach the wells in the first flows, with a margin; NaN: not learned"),
    "regions/curvature": ("", "bend b of the homopolymer scale of A, C, G, T: n (1 - b (n - 1) / (1 + |b| (n - 1)))"),
    "regions/log_time_constant": ("log s", "where the first dark trace holds: the median of beads"),
    "regions/frame_s": ("s", "middle of each frame"),
    "regions/frame_weight": ("", "weight of each frame in fits; 0: late frames, which are not looked at"),
    "regions/hydrogen_counts": ("counts", "set free by one base of A, C, G, T until each frame"),
    "regions/dark_counts": (
        "counts",
        "of A, C, G, T, what a flow without a base has beyond its background: at log_time_constant, and for each unit "
        "of the logarithm above it",
    ),
    "flows/zero_level": (
        "1-mers",
        "what wells show that take no base: at log_time_constant, and for each unit of the logarithm above it",
    ),
}
"""Every dataset: its unit ("" for plain numbers) and its meaning."""


@dataclass(frozen=True, eq=False)
class FitParameters:
    """Values of `DATASETS`, by name without the group, in the order of rows and regions of a chip.

    Parameters
    ----------
    wells : dict of str to ndarray of shape (rows, cols), float32
    regions : dict of str to ndarray of shape (n_regions, ...)
    flows : dict of str to ndarray of shape (n_regions, n_flows, ...)
    """

    wells: dict
    regions: dict
    flows: dict

    def write(self, path):
        """Write the file, whole or not at all."""
        with whole_file(path) as temporary, create_hdf5(temporary) as file:
            for name in DATASETS:
                group, key = name.split("/")
                _described(name, file.create_dataset(name, data=getattr(self, group)[key]))


def write_merged(path, shape, parts):
    """The file of a chip from those of its blocks, one after the other.

    Parameters
    ----------
    path : path
    shape : tuple of int
        Rows and columns of the chip. Wells of blocks without a file are NaN (-1 in ``copies``).
    parts : dict of Block to path
        At least one.

    Raises
    ------
    InputError
        If a part is missing or damaged.
    """
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        tables: dict[str, list] = {name: [] for name in DATASETS if not name.startswith("wells/")}
        for name in DATASETS.keys() - tables.keys():
            nothing = -1 if name == "wells/copies" else np.nan
            _described(name, file.create_dataset(name, shape, np.float32, fillvalue=nothing))
        for block, part in parts.items():
            with _opened(part) as found:
                for name in DATASETS:
                    values = _read(part, found, name)
                    if name in tables:
                        tables[name].append(values)
                    else:
                        file[name][block.slices] = values
            tables["regions/place"][-1] += np.array([block.row, block.col, 0, 0], np.int32)
        # Row by row, as the chip itself would be cut.
        order = np.lexsort(np.concatenate(tables["regions/place"]).T[1::-1])
        for name, tables_of_parts in tables.items():
            _described(name, file.create_dataset(name, data=_stacked(tables_of_parts)[order]))


def read_fit_parameters(path):
    """Read a whole file as `FitParameters`.

    Raises
    ------
    InputError
        If it is missing, damaged or not such a file.
    """
    with _opened(path) as file:
        groups: dict[str, dict] = {"wells": {}, "regions": {}, "flows": {}}
        for name in DATASETS:
            group, key = name.split("/")
            groups[group][key] = _read(path, file, name)
        return FitParameters(**groups)


def well_shape(path):
    """Rows and columns of the chip.

    Raises
    ------
    InputError
        As `read_fit_parameters`.
    """
    with _opened(path) as file:
        rows, cols = _checked(path, file, "wells/copies").shape
        return rows, cols


def read_well_bands(path, names, n_rows):
    """Values of wells, a few rows at a time: chips may be larger than memory.

    Parameters
    ----------
    path : path
    names : sequence of str
        Datasets of ``wells``, without the group.
    n_rows : int
        Rows of each band; the last may have fewer.

    Yields
    ------
    tuple of ndarray
        One of shape (rows of the band, cols) for each name.

    Raises
    ------
    InputError
        As `read_fit_parameters`.
    """
    with _opened(path) as file:
        shape = _checked(path, file, f"wells/{names[0]}").shape
        for start in range(0, shape[0], n_rows):
            band = tuple(_read(path, file, f"wells/{name}", slice(start, start + n_rows)) for name in names)
            if any(values.shape != band[0].shape for values in band):
                raise InputError(f"{path}: datasets of wells differ in their shape. Make the file again.")
            yield band


def _opened(path):
    return open_hdf5(Path(path))


def _checked(path, file, name):
    try:
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fi":
            raise InputError(f"{path}: {name} holds no numbers; expected a file of this program.")
        n_axes = 2 if name.startswith("wells/") else 1
        if dataset.ndim < n_axes or (n_axes == 2 and (dataset.ndim > 2 or 0 in dataset.shape)):
            raise InputError(f"{path}: {name} has shape {dataset.shape}; expected values of each well or region.")
        check_size(path, name, dataset)
        return dataset
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error


def _read(path, file, name, rows=slice(None)):
    dataset = _checked(path, file, name)
    try:
        return dataset[rows]
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error


def _described(name, dataset):
    dataset.attrs["unit"], dataset.attrs["meaning"] = DATASETS[name]


def _stacked(tables):
    """Tables below each other; shorter rows are filled with NaN."""
    longest = np.max([table.shape[1:] for table in tables], axis=0) if tables[0].ndim > 1 else ()
    padded = []
    for table in tables:
        if table.shape[1:] != tuple(longest):
            filled = np.full((len(table), *longest), np.nan, table.dtype)
            filled[tuple(map(slice, table.shape))] = table
            table = filled
        padded.append(table)
    return np.concatenate(padded)
