"""What a simulated chip really holds: ``truth.h5`` beside the run."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5_writing import create_hdf5

KINDS = ("empty", "library", "tf", "dud", "polyclonal", "pinned")
"""What a well can hold; a polyclonal well is a library bead with two templates."""

_MAX_WELLS = 1 << 31


@dataclass(frozen=True, eq=False)
class Truth:
    """Truth of every well of a chip.

    Attributes
    ----------
    kind : ndarray of shape (n_rows, n_cols), str
        One of `KINDS`.
    sequence : ndarray of shape (n_rows, n_cols), object
        The whole template after the primer, key first, as str; of a polyclonal well the major one; empty
        where there is none.
    cf, ie, dr : ndarray of shape (n_rows, n_cols), float32
        Carry-forward, incomplete extension and droop, in fractions per flow.
    signal : ndarray of shape (n_rows, n_cols, n_flows), float32
        Bases that a strand takes in each flow in perfect phase and without noise. Of polyclonal wells the
        mean over strands.
    phased_signal : ndarray of shape (n_rows, n_cols, n_flows), float32
        The same with the phasing and droop of the well, still without noise: what signal processing should find,
        up to one gain per well.
    details : dict of str to ndarray of shape (n_rows, n_cols)
        Further facts of each well, such as ``barcode`` (0: none), ``copies``, ``insert_start``.
    """

    kind: np.ndarray
    sequence: np.ndarray
    cf: np.ndarray
    ie: np.ndarray
    dr: np.ndarray
    signal: np.ndarray
    phased_signal: np.ndarray
    details: dict

    @property
    def shape(self):
        """Rows, columns, flows."""
        return self.signal.shape

    def __repr__(self):
        counts = {kind: int(np.count_nonzero(self.kind == kind)) for kind in KINDS}
        facts = ", ".join(f"{kind} {n}" for kind, n in counts.items() if n)
        return f"Truth({self.shape[0]} x {self.shape[1]} wells, {self.shape[2]} flows: {facts})"


def write_truth(path, truth):
    """Write ``truth.h5``: one row per well, wells in row-major order; `details` in a group of their own.

    The number of rows and columns are attributes of the root.
    """
    n_wells, n_flows = truth.kind.size, truth.shape[2]
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        file.attrs["rows"], file.attrs["cols"] = truth.kind.shape
        file["kind"] = truth.kind.ravel().astype("S10")
        file.create_dataset("sequence", data=truth.sequence.ravel(), dtype=h5py.string_dtype("ascii"))
        for name in ("cf", "ie", "dr"):
            file[name] = getattr(truth, name).ravel().astype(np.float32)
        for name in ("signal", "phased_signal"):
            values = getattr(truth, name).reshape(n_wells, n_flows)
            chunk = (max(1, min(n_wells, (1 << 18) // n_flows)), n_flows)
            file.create_dataset(name, data=values, chunks=chunk, compression="gzip", compression_opts=1, shuffle=True)
        for name, values in sorted(truth.details.items()):
            file[f"details/{name}"] = values.ravel()


def read_truth(path):
    """Read ``truth.h5`` as a `Truth`.

    Parameters
    ----------
    path : path
        The file, or the directory of a simulated run.

    Raises
    ------
    InputError
        If the file is missing or not a truth file.
    """
    path = Path(path)
    path = path / "truth.h5" if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: no such file; simulated runs have their truth.h5 beside the images.")
    try:
        with h5py.File(path) as file:
            shape = int(file.attrs["rows"]), int(file.attrs["cols"])
            names = ("kind", "sequence", "cf", "ie", "dr", "signal", "phased_signal")
            sizes = {name: file[name].shape[0] for name in names}
            if set(sizes.values()) != {shape[0] * shape[1]} or not 0 < shape[0] * shape[1] < _MAX_WELLS:
                raise InputError(f"{path}: {shape[0]} x {shape[1]} wells do not fit the tables {sizes}.")
            return Truth(
                kind=file["kind"][:].astype("U10").reshape(shape),
                sequence=file["sequence"].asstr("ascii")[:].reshape(shape),
                **{name: file[name][:].reshape(shape) for name in ("cf", "ie", "dr")},
                **{name: file[name][:].reshape(*shape, -1) for name in ("signal", "phased_signal")},
                details={name: values[:].reshape(shape) for name, values in file.get("details", {}).items()},
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is not the truth of a simulated chip ({error}); simulate it again.") from error
