"""`ionstats_error_summary.h5`: counts of errors that can be added up over files (basecaller.md 11.3)."""

from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import NUCS
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5_writing import create_hdf5

KINDS = ("ins", "del", "sub", "no_call", "align_start", "align_stop", "depth")


def write_error_summary(path, tally, of_groups):
    """Write the counts of a file of reads, whole or not at all.

    Parameters
    ----------
    path : path
    tally : AlignmentTally
        Of all reads.
    of_groups : dict of str to AlignmentTally
        Of the reads of each read group.
    """
    content = _arrays("", tally)
    for name, of_group in of_groups.items():
        content |= _arrays(f"per_read_group/{_plain(name)}/", of_group)
    _write(path, content)


def merge_error_summaries(paths, output, *, by_group=True):
    """Add up the counts of several files.

    Parameters
    ----------
    paths : sequence of path
    output : path
    by_group : bool
        Whether counts by read group are kept.

    Raises
    ------
    InputError
        If a file is no HDF5, or the files do not fit each other.
    """
    merged: dict[str, np.ndarray] = {}
    for path in paths:
        for name, values in _read(path).items():
            if not by_group and name.startswith("per_read_group/"):
                continue
            merged[name] = _added(path, name, merged[name], values) if name in merged else values
    _write(output, merged)


def _arrays(prefix, tally):
    found: dict[str, np.ndarray] = {}
    for name, counts in (("per_base", tally.by_base), ("per_flow", tally.by_flow)):
        table = np.array([counts[kind] for kind in KINDS], np.uint64)
        found |= {
            f"{prefix}{name}/error_data": table,
            f"{prefix}{name}/error_data_dim": np.array(table.shape, np.uint32),
            f"{prefix}{name}/region_origin": np.zeros(2, np.uint32),
            f"{prefix}{name}/region_dim": np.zeros(2, np.uint32),
        }
    tables = {nuc: np.asarray(tally.homopolymers[nuc], np.uint64) for nuc in NUCS}
    found |= {f"{prefix}per_hp/{nuc}": table for nuc, table in tables.items()}
    found[f"{prefix}per_hp/hp_data_dim"] = np.array(tables[NUCS[0]].shape, np.uint32)
    return found


def _added(path, name, former, values):
    if name.endswith(("_dim", "_origin")):
        return np.maximum(former, values)
    if former.ndim != values.ndim:
        raise InputError(f"{path}: {name} has another shape than in the files before it; give files of one program.")
    total = np.zeros(np.maximum(former.shape, values.shape), np.uint64)
    for part in (former, values):
        total[tuple(slice(size) for size in part.shape)] += part
    return total


def _read(path):
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as HDF5 ({error}); give an error summary of ionstats.") from error
    return found


def _write(path, content):
    with whole_file(Path(path)) as temporary, create_hdf5(temporary) as file:
        for name, values in content.items():
            file.create_dataset(name, data=values)


def _plain(name):
    """Names of groups come from a file; a slash would make groups of groups."""
    plain = name.replace("/", "_")
    return "none" if plain in ("", ".", "..") else plain
