"""Rectangles of wells: the unit in which chips are cut, analysed and merged."""

import re
from dataclasses import dataclass

from ionanalysis.errors import InputError


@dataclass(frozen=True, order=True)
class Block:
    """A rectangle of wells: first row and column, and its size in rows and columns."""

    row: int
    col: int
    n_rows: int
    n_cols: int

    def __post_init__(self):
        if min(self.row, self.col) < 0 or min(self.n_rows, self.n_cols) < 1:
            raise InputError(f"block {self} must start at 0 or later and hold at least one well.")

    @property
    def name(self):
        """Name in the style of raw-data directories, column first: ``X0_Y48``."""
        return f"X{self.col}_Y{self.row}"

    @property
    def n_wells(self):
        return self.n_rows * self.n_cols

    @property
    def slices(self):
        """Row and column slices, to index an array of the chip with."""
        return slice(self.row, self.row + self.n_rows), slice(self.col, self.col + self.n_cols)

    def tiles(self, n_rows, n_cols):
        """Cut into tiles of at most `n_rows` x `n_cols` wells, columns fastest, partial ones at the far edges.

        >>> [tile.name for tile in Block(0, 0, 100, 60).tiles(50, 50)]
        ['X0_Y0', 'X50_Y0', 'X0_Y50', 'X50_Y50']
        """
        last_row, last_col = self.row + self.n_rows, self.col + self.n_cols
        return [
            Block(row, col, min(n_rows, last_row - row), min(n_cols, last_col - col))
            for row in range(self.row, last_row, n_rows)
            for col in range(self.col, last_col, n_cols)
        ]


def as_block(region, n_rows, n_cols):
    """The block that `region` means on a chip of `n_rows` x `n_cols` wells.

    Parameters
    ----------
    region : Block, pair of slice, or None
        A rectangle; slices of rows and of columns as they index an array, without a step; None for all wells.
    n_rows, n_cols : int

    Raises
    ------
    InputError
        If the rectangle is not on the chip.

    >>> as_block((slice(10, 30), slice(None)), 100, 60)
    Block(row=10, col=0, n_rows=20, n_cols=60)
    """
    if region is None:
        return Block(0, 0, n_rows, n_cols)
    if not isinstance(region, Block):
        try:
            (row, row_end, row_step), (col, col_end, col_step) = (
                part.indices(size) for part, size in zip(region, (n_rows, n_cols), strict=True)
            )
        except (AttributeError, TypeError, ValueError):
            raise InputError(f"region {region!r} must be a Block or slices of rows and of columns.") from None
        if (row_step, col_step) != (1, 1) or row >= row_end or col >= col_end:
            raise InputError(f"region {region!r} must hold wells and have no step; the chip has {n_rows} x {n_cols}.")
        return Block(row, col, row_end - row, col_end - col)
    if region.row + region.n_rows > n_rows or region.col + region.n_cols > n_cols:
        raise InputError(f"region {region} must lie on the chip, which has {n_rows} x {n_cols} wells.")
    return region


def block_offset(name):
    """Offset (row, col) told by a directory name with ``X<col>_Y<row>`` in it, or None (sigproc.md 1.1).

    >>> block_offset("block_X1288_Y0")
    (0, 1288)
    """
    found = re.search(r"X(\d+)_Y(\d+)", name)
    return (int(found[2]), int(found[1])) if found else None
