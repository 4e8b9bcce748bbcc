"""A simulated chip as an object, and the one call that makes it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ionanalysis.errors import UsageError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.truth import Truth
from ionanalysis.options.simulate import SimulateOptions, simulate_options
from ionanalysis.simulate.genome import open_genome
from ionanalysis.simulate.molecules import open_barcodes, open_test_fragments
from ionanalysis.simulate.truth import make_truth
from ionanalysis.simulate.wells_level import noisy_signals, true_mask


@dataclass(frozen=True, eq=False)
class LibraryParts:
    """What templates are made of."""

    genome: dict
    """Reference sequences by name."""
    barcodes: tuple
    """Barcodes in use."""
    test_fragments: dict
    """Test fragments by name, key first."""


@dataclass(frozen=True, eq=False)
class Chip:
    """A simulated chip.

    Attributes
    ----------
    options : SimulateOptions
        All that was asked for.
    flow_order : FlowOrder
    truth : Truth
        What each well holds.
    library : LibraryParts
        Genome, barcodes and test fragments.
    """

    options: SimulateOptions
    flow_order: FlowOrder
    truth: Truth
    library: LibraryParts

    def __repr__(self):
        n_rows, n_cols = self.options.chip.size
        return (
            f"Chip({self.options.chip.chip}, {n_rows} x {n_cols} wells, {len(self.flow_order)} flows of "
            f"{self.flow_order.cycle}, seed {self.options.chip.seed}, level {self.options.chip.level}: {self.truth!r})"
        )

    @property
    def shape(self):
        """Rows, columns, flows."""
        return self.truth.shape

    @cached_property
    def mask(self):
        """The `Mask` of a perfect bead finding."""
        return true_mask(self.truth.kind)

    @cached_property
    def signal_per_copy(self):
        """Signals with noise per template copy, (n_rows, n_cols, n_flows) float32: what 1.wells stores."""
        return noisy_signals(self.truth, self.options, self.flow_order)

    @property
    def copies(self):
        """Template copies of each well as the wells file has them, (n_rows, n_cols) float32; -1 where not live."""
        copies = self.truth.details["copies"]
        return np.where(copies > 0, copies, np.float32(-1))

    @cached_property
    def wells(self):
        """Signals with noise, copies applied, (n_rows, n_cols, n_flows) float32: what `open_wells` gives."""
        copies = self.copies[:, :, None]
        return np.where(copies > 0, self.signal_per_copy * copies, np.float32(-1))

    def write(self, path, *, progress=None, n_threads=None):
        """Write the run directory: images or signals, truth, reference.

        Parameters
        ----------
        path : path
            Directory, made if need be; must not hold a run yet.
        progress : callable, optional
            Called with (flows done, flows) while images are written.
        n_threads : int, optional
            Threads; the bytes do not depend on them.

        Returns
        -------
        dict of str to Path
            Files written, by what they are.
        """
        from ionanalysis.simulate.writing import write_chip

        return write_chip(self, Path(path), progress=progress, n_threads=n_threads)


def simulate(size=(100, 100), flows=200, seed=1, level="wells", path=None, *, progress=None, n_threads=None, **options):
    """Make a synthetic chip with known truth.

    Parameters
    ----------
    size : tuple of int
        Rows and columns.
    flows : int
        Nucleotide flows.
    seed : int
        Fixes everything: the same seed and options give the same bytes, on any number of threads.
    level : {"wells", "dat"}
        What `path` gets: signals and mask, or raw images.
    path : path, optional
        Directory to write the run to; nothing is written without.
    progress, n_threads
        As in `Chip.write`.
    **options
        Any other option of `ionanalysis.options.simulate`, by name.

    Returns
    -------
    Chip

    Raises
    ------
    UsageError
        If an option is unknown or out of range.

    Examples
    --------
    >>> import ionanalysis as ion
    >>> chip = ion.simulate(size=(20, 30), flows=40, seed=7)
    >>> chip.wells.shape
    (20, 30, 40)
    """
    return simulate_chip(
        simulate_options(size=tuple(size), flows=flows, seed=seed, level=level, **options),
        path,
        progress=progress,
        n_threads=n_threads,
    )


def simulate_chip(options, path=None, *, progress=None, n_threads=None):
    """Make the chip that `SimulateOptions` describe; see `simulate`."""
    flow_order = FlowOrder(options.chip.flow_order, options.chip.flows)
    for key in (options.chip.library_key, options.chip.tf_key):
        if int(flow_order.base_flows(key)[-1]) >= len(flow_order):
            raise UsageError(f"flows is {options.chip.flows}, too few for the key {key}; take more.")
    library = LibraryParts(
        genome=open_genome(options.library, options.chip.seed),
        barcodes=open_barcodes(options.library),
        test_fragments=open_test_fragments(options.library, options.chip.tf_key),
    )
    chip = Chip(options, flow_order, make_truth(options, flow_order, library, n_threads), library)
    if path is not None:
        chip.write(path, progress=progress, n_threads=n_threads)
    return chip
