"""Chips cut into blocks: what blocks share, and their files put together (basecaller.md 9.2)."""

from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from ionanalysis.bam.joining import join_bams
from ionanalysis.basecaller.choice import WellChoice
from ionanalysis.basecaller.clonal import model_of
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.blocks import Block
from ionanalysis.clonality import ClonalModel
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5 import HDF5_ERRORS, damaged, open_hdf5
from ionanalysis.io.hdf5_writing import create_hdf5
from ionanalysis.io.mask import NO_READ, read_barcode_mask, read_mask

TALLY_FILE = "tally.h5"
"""Counts of a block, as precise as they were counted: what sums over blocks are made of."""


@dataclass(frozen=True, eq=False)
class SharedByBlocks:
    """What is learned or drawn from a whole chip, for one block of it; see `of_block`.

    With it a block's reads are those that the whole chip's call would give.
    """

    phase: PhaseEstimate
    clonal_model: ClonalModel | None
    choice: WellChoice

    @classmethod
    def of_chip(cls, chip, options, folder, n_threads=None, phase=None):
        """What the blocks of an `OpenChip` share; a `phase` that is known is not estimated."""
        return cls(phase or chip.phase(options.phase, n_threads), model_of(chip.reads(), options, folder), chip.choice)

    def of_block(self, block):
        """The part of a block, in its own rows and columns."""
        area, choice = Block(0, 0, block.n_rows, block.n_cols), self.choice
        cut = WellChoice(area, choice.called[block.slices].copy(), choice.sampled[block.slices].copy())
        return replace(self, phase=self.phase.seen_from(block.row, block.col), choice=cut)


def save_tally(path, tally):
    """Write a `Tally`: a dataset per array, an attribute per number."""
    with whole_file(path) as temporary, create_hdf5(temporary) as file:
        for name, value in _flat(tally):
            file[name] = value


def load_tally(path, empty):
    """Read what `save_tally` wrote.

    Parameters
    ----------
    path : path
    empty : Tally
        An empty one of the same options: says which arrays there are.

    Raises
    ------
    InputError
        If the file is missing or damaged, or belongs to other options.
    """
    try:
        with open_hdf5(path) as file:
            _fill(empty, file, "")
    except HDF5_ERRORS as error:
        raise damaged(path, error) from error
    return empty


def _flat(tally, prefix=""):
    for item in fields(tally):
        value = getattr(tally, item.name)
        if is_dataclass(value):
            yield from _flat(value, f"{prefix}{item.name}/")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{item.name}/{name}", np.int64(count)) for name, count in value.items())
        else:
            yield f"{prefix}{item.name}", np.asarray(value)


def _fill(tally, file, prefix):
    for item in fields(tally):
        value, place = getattr(tally, item.name), prefix + item.name
        if is_dataclass(value):
            _fill(value, file, f"{place}/")
        elif isinstance(value, dict):
            value.update({name: int(file[place][name][()]) for name in file.get(place, {})})
        else:
            stored = file[place][()]
            if np.shape(stored) != np.shape(value):
                raise InputError(
                    f"{file.filename}: holds counts of other options ({place} has shape {np.shape(stored)}, expected "
                    f"{np.shape(value)}); call this block again."
                )
            setattr(tally, item.name, stored if isinstance(value, np.ndarray) else int(stored))


def paste_masks(folders, shape, base_flags):
    """Masks of a chip from those of its blocks.

    Parameters
    ----------
    folders : dict of Block to path
        Where each block's files are.
    shape : (int, int)
    base_flags : ndarray of shape `shape`, uint16
        Flags of wells of blocks that are not among `folders`.

    Returns
    -------
    flags, barcodes : ndarray of shape `shape`, uint16
        Of ``basecaller.bfmask.bin`` and ``barcodeMask.bin``.
    """
    flags, barcodes = base_flags.copy(), np.full(shape, NO_READ, np.uint16)
    for block, folder in folders.items():
        flags[block.slices] = read_mask(Path(folder) / "basecaller.bfmask.bin").flags
        barcodes[block.slices] = read_barcode_mask(Path(folder) / "barcodeMask.bin")
    return flags, barcodes


def join_block_bams(folders, output_dir, names):
    """Put the BAM files of blocks together, in the order of `folders`.

    Parameters
    ----------
    folders : list of path
    output_dir : path
    names : list of str
        File names below a block's folder and below `output_dir`. Files that no block has are removed there.
    """
    for name in names:
        parts = [path for path in (Path(folder) / name for folder in folders) if path.is_file()]
        output = Path(output_dir) / name
        if parts:
            join_bams(parts, output)
        else:
            output.unlink(missing_ok=True)
