"""Which wells of a block are called: rectangle, random samples, the unfiltered sets (basecaller.md 2.1)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.errors import UsageError
from ionanalysis.io.read_names import named_wells

_UNFILTERED_SEED, _DOWNSAMPLE_SEED = 1, 2


@dataclass(frozen=True, eq=False)
class WellChoice:
    """The wells of a block that are called. Arrays have the whole block's shape, whatever part is called.

    Attributes
    ----------
    area : Block
        Rectangle outside of which nothing is called.
    called : ndarray of shape (n_rows, n_cols), bool
        Wells that become reads, or are counted with the filter that took them out.
    sampled : ndarray of the same shape, bool
        Library wells of the unfiltered sets.
    """

    area: Block
    called: np.ndarray
    sampled: np.ndarray


def choose_wells(classes, options, offset=(0, 0)):
    """Choose the wells to call.

    Parameters
    ----------
    classes : ReadClasses
        Of the whole block.
    options : StageOptions
    offset : (int, int)
        First row and column of the block on the chip, by which read names count.

    Returns
    -------
    WellChoice

    Raises
    ------
    UsageError
        If the rectangle lies outside of the block.
    InputError
        If the file of read names cannot be used.

    Notes
    -----
    Samples are drawn from the whole rectangle at once, with fixed seeds: they are the same for any number of threads
    and any cut into regions. A smaller sample replaces usable wells only: those that signal processing filtered
    stay, so that their counts stay right.
    """
    shape = classes.library.shape
    area = _area(options, shape)
    inside = np.zeros(shape, bool)
    inside[area.slices] = True
    if options.read_names:
        inside &= named_wells(options.read_names, shape, offset)
    if options.is_training:
        # Filtered wells teach nothing, and test fragments are not calibrated.
        inside &= classes.library & classes.valid
    called = classes.output & inside
    usable = np.flatnonzero(classes.valid & inside)
    asked = options.calibration_training if options.is_training else options.downsample_size
    n_wanted = asked or int(options.downsample_fraction * len(usable))
    if n_wanted < len(usable):
        called.flat[usable] = False
        called.flat[_drawn(usable, n_wanted, _DOWNSAMPLE_SEED)] = True
    library = np.flatnonzero(classes.library & called)
    sampled = np.zeros(shape, bool)
    sampled.flat[_drawn(library, 0 if options.is_training else options.num_unfiltered, _UNFILTERED_SEED)] = True
    return WellChoice(area, sampled.copy() if options.only_process_unfiltered_set else called, sampled)


def _area(options, shape):
    limits = []
    for name, given, size in zip(("rows", "cols"), (options.rows, options.cols), shape, strict=True):
        first, last = given or (0, size)
        if first >= size:
            raise UsageError(f"--{name} {first}-{last} lies outside of the block, which has {size} {name}.")
        limits.append((first, min(last, size)))
    (row, last_row), (col, last_col) = limits
    return Block(row, col, last_row - row, last_col - col)


def _drawn(wells, n_wanted, seed):
    if len(wells) <= n_wanted:
        return wells
    return np.random.default_rng(seed).choice(wells, n_wanted, replace=False)


def tiles_within(area, shape, n_rows, n_cols):
    """Tiles of the block as far as they lie in `area`; cut as in the whole block, so that file chunks stay whole."""
    tiles = []
    for tile in Block(0, 0, *shape).tiles(n_rows, n_cols):
        row, col = max(tile.row, area.row), max(tile.col, area.col)
        last_row = min(tile.row + tile.n_rows, area.row + area.n_rows)
        last_col = min(tile.col + tile.n_cols, area.col + area.n_cols)
        if row < last_row and col < last_col:
            tiles.append(Block(row, col, last_row - row, last_col - col))
    return tiles
