"""Chip maps of what signal processing fitted to wells: onset, time constant, copies, residual."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.io.fit_parameters import read_well_bands, well_shape
from ionanalysis.report.style import SEQUENTIAL, as_plot, drawing

_CELLS = 50
_LEAST_SIDE = 5
"""Single wells scatter; what a map is to show are trends over the chip."""

_MAPS = (
    ("t0_s", "onset of the first flow", "s", False),
    ("time_constant_s", "time constant", "s", True),
    ("copies", "copies", "of a typical well of the region", True),
    ("residual_counts", "residual of the fit", "counts", True),
)
"""Dataset, what it is, its unit, and whether only live wells count."""


@dataclass(frozen=True, eq=False)
class FitMaps:
    """Means of fitted values over square cells of wells.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the chip.
    side : int
        Wells along the side of a cell.
    values : dict of str to ndarray of shape (n_cell_rows, n_cell_cols), float64
        By dataset; NaN in cells without a value.
    """

    shape: tuple[int, int]
    side: int
    values: dict


def read_fit_maps(path):
    """`FitMaps` of a file, read a few rows at a time.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    shape = well_shape(path)
    side = max(_LEAST_SIDE, -(-max(shape) // _CELLS))
    names = [name for name, *_ in _MAPS]
    rows: dict[str, list] = {name: [] for name in names}
    for band in read_well_bands(path, names, side):
        values = dict(zip(names, band, strict=True))
        live = values["copies"] > 0
        for name, _, _, live_only in _MAPS:
            rows[name].append(_means(values[name], np.isfinite(values[name]) & (live | (not live_only)), side))
    return FitMaps(shape, side, {name: np.array(found) for name, found in rows.items()})


def _means(values, chosen, side):
    """Mean over the chosen wells of each cell of a band that is one cell high; NaN without any."""
    starts = np.arange(0, values.shape[1], side)
    sums = np.add.reduceat(np.where(chosen, values, 0).sum(axis=0, dtype=np.float64), starts)
    counts = np.add.reduceat(chosen.sum(axis=0), starts)
    return np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)


def fit_maps_plot(maps):
    """The maps, two by two."""
    told = []
    height = float(np.clip(2.4 * maps.shape[0] / maps.shape[1], 1.2, 3.6))
    with drawing(6.2, 2 * height + 2.4, columns=2, rows=2) as (figure, panels):
        for axes, (name, words, unit, _) in zip(panels, _MAPS, strict=True):
            values = maps.values[name]
            known = values[np.isfinite(values)]
            low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 1.0)
            extent = (0, values.shape[1] * maps.side, 0, values.shape[0] * maps.side)
            shown = axes.imshow(values, cmap=SEQUENTIAL, origin="lower", extent=extent, vmin=low, vmax=high)
            axes.set(title=words, xlim=(0, maps.shape[1]), ylim=(0, maps.shape[0]))
            axes.grid(visible=False)
            figure.colorbar(shown, ax=axes, orientation="horizontal", label=unit, extend="both", format="%.3g")
            told.append(f"{words} {low:.3g} to {high:.3g} {unit}".strip() if len(known) else f"{words} unknown")
        for axes in panels[::2]:
            axes.set_ylabel("row (wells)")
        return as_plot(
            figure,
            f"Maps of what was fitted to wells: {'; '.join(told)}.",
            f"What was fitted to wells, as means over cells of {maps.side} × {maps.side} wells; time constant, copies "
            "and residual of live wells. Colours span 98 % of the cells. Steps at the borders of regions tell "
            "how surely a region's values are known; differences within regions are surer.",
        )
