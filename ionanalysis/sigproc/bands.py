"""Regions that are worked at together: by one process, in one window of the images."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ionanalysis.blocks import Block


@dataclass(frozen=True)
class Band:
    """Some regions, one after the other.

    Parameters
    ----------
    regions : range
        Their numbers.
    window : Block
        Rectangle that holds them, in rows and columns of the analysed rectangle.
    """

    regions: range
    window: Block

    @classmethod
    def of_tiles(cls, tiles, n_bands):
        """Share regions, row by row, among bands of as many regions each."""
        borders = np.linspace(0, len(tiles), n_bands + 1).astype(int).tolist()
        return [cls(range(first, stop), _around(tiles[first:stop])) for first, stop in pairwise(borders)]

    def inside(self, tile):
        """A region in rows and columns of the window."""
        return Block(tile.row - self.window.row, tile.col - self.window.col, tile.n_rows, tile.n_cols)

    def slices_in(self, block):
        """Rows and columns of the run, by the analysed rectangle."""
        row, col = block.row + self.window.row, block.col + self.window.col
        return Block(row, col, self.window.n_rows, self.window.n_cols).slices


def _around(tiles):
    row, col = min(tile.row for tile in tiles), min(tile.col for tile in tiles)
    last_row, last_col = max(tile.row + tile.n_rows for tile in tiles), max(tile.col + tile.n_cols for tile in tiles)
    return Block(row, col, last_row - row, last_col - col)
