"""Plots of a run: chip maps, traces, histograms. Each function takes arrays and gives a `Plot`."""

import numpy as np

from ionanalysis.io.mask import WellFlag
from ionanalysis.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    NUC_COLOURS,
    ORANGE,
    PURPLE,
    RED,
    SEQUENTIAL,
    SERIES,
    SKY,
    as_plot,
    drawing,
)

WELL_CLASSES = (
    ("library", WellFlag.LIB, BLUE),
    ("test fragment", WellFlag.TF, ORANGE),
    ("live, no key matched", WellFlag.LIVE, GREEN),
    ("dud", WellFlag.DUD, RED),
    ("bead, not classified", WellFlag.BEAD, PURPLE),
    ("pinned", WellFlag.PINNED, INK),
    ("ignored", WellFlag.IGNORE, GREY),
    ("empty", WellFlag.EMPTY, "#e4e7ec"),
    ("excluded", WellFlag.EXCLUDE, "#ffffff"),
)
"""Classes of wells, their flag and colour; a well belongs to the first whose flag it has."""

_MAP_CELLS = 120


def well_classes(mask):
    """Index into `WELL_CLASSES` of each well, int8 (n_rows, n_cols); the last stands for wells without a flag too."""
    classes = np.full(mask.shape, len(WELL_CLASSES) - 1, np.int8)
    # Pinned and ignored wells carry further flags: what makes them useless is told first.
    order = [5, 6, 0, 1, 2, 3, 4, 7, 8]
    for index in reversed(order):
        classes[mask.matches(WELL_CLASSES[index][1])] = index
    return classes


def class_map(mask):
    """Chip map of the kinds of wells; on large chips, the commonest kind of each cell."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    classes = well_classes(mask)
    side = max(1, -(-max(mask.shape) // (2 * _MAP_CELLS)))
    shares = np.stack([_cell_means(classes == index, side) for index in range(len(WELL_CLASSES))])
    present = [index for index in range(len(WELL_CLASSES)) if (classes == index).any()]
    with drawing(6.2, _map_height(mask.shape)) as (figure, axes):
        colours = ListedColormap([colour for _, _, colour in WELL_CLASSES])
        axes.imshow(shares.argmax(axis=0), cmap=colours, vmin=-0.5, vmax=len(WELL_CLASSES) - 0.5, **_chip(mask.shape))
        _chip_axes(axes)
        patches = [Patch(facecolor=WELL_CLASSES[i][2], edgecolor=INK, label=WELL_CLASSES[i][0]) for i in present]
        axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.02, 1), title="well holds")
        named = ", ".join(f"{100 * (classes == i).mean():.1f} % {WELL_CLASSES[i][0]}" for i in present)
        cells = "each point is one well" if side == 1 else f"each point is the commonest kind of {side} × {side} wells"
        return as_plot(figure, f"Map of the chip by kind of well: {named}.", f"Kinds of wells; {cells}.")


def loading_map(mask):
    """Chip map of the share of usable wells that hold a bead."""
    side = max(5, -(-max(mask.shape) // _MAP_CELLS))
    beads = _cell_means(mask.matches(WellFlag.BEAD), side)
    usable = _cell_means(~mask.matches(WellFlag.EXCLUDE), side)
    share = np.divide(100 * beads, usable, out=np.full(beads.shape, np.nan), where=usable > 0)
    with drawing(6.2, _map_height(mask.shape)) as (figure, axes):
        shown = axes.imshow(share, cmap=SEQUENTIAL, vmin=0, vmax=100, **_chip(mask.shape))
        _chip_axes(axes)
        figure.colorbar(shown, ax=axes, label="wells with a bead (%)")
        known = share[np.isfinite(share)]
        told = f"from {known.min():.0f} % to {known.max():.0f} %" if len(known) else "no usable wells"
        return as_plot(
            figure, f"Map of loading: {told} of the wells hold a bead.", f"Loading in cells of {side} × {side} wells."
        )


def key_traces(traces):
    """Average traces of a key: a curve per nucleotide that is taken up, and per flow without uptake."""
    with drawing(6.2, 4.2, columns=2) as (figure, (left, right)):
        for label, trace in sorted(traces.by_flow.items()):
            colour = SERIES[label % len(SERIES)]
            style = "-" if label < len(SERIES) else "--"
            left.plot(trace, color=colour, linestyle=style, label=f"flow {label}", linewidth=1.7)
        for nuc, trace in sorted(traces.by_nuc.items()):
            right.plot(trace, color=NUC_COLOURS[nuc], label=f"{nuc}")
        left.set(title="by flow of the key", xlabel="frame", ylabel="signal above background (counts)")
        right.set(title="one base, by nucleotide", xlabel="frame")
        for axes in (left, right):
            if axes.lines:
                below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18)}
                axes.legend(**below, ncols=3, columnspacing=1, handlelength=1.2)
        peak = max((trace.max() for trace in traces.by_nuc.values()), default=float("nan"))
        return as_plot(
            figure,
            f"Average signal of wells with the key {traces.key} over time; a single base peaks at {peak:.0f} counts.",
            f"Average traces of key {traces.key}.",
        )


def phase_map(regions):
    """Maps of CF, IE and DR by region; `regions` maps each name to an array (rows, cols) in percent per flow."""
    with drawing(6.2, 2.9, columns=len(regions)) as (figure, axes):
        for axis, (name, values) in zip(axes, regions.items(), strict=True):
            spread = max(float(np.ptp(values)), 0.01)
            middle = float(values.min() + values.max()) / 2
            shown = axis.imshow(
                values,
                cmap=SEQUENTIAL,
                origin="lower",
                aspect="auto",
                vmin=middle - spread / 2,
                vmax=middle + spread / 2,
            )
            axis.set(title=name, xticks=[], yticks=[], xlabel="regions, columns →")
            axis.grid(visible=False)
            if values.size <= 16:
                _write_values(axis, values, middle)
            figure.colorbar(shown, ax=axis, orientation="horizontal", label="% per flow", format="%.3g")
        axes[0].set_ylabel("regions, rows →")
        told = "; ".join(f"{name} {v.min():.3f} to {v.max():.3f} %" for name, v in regions.items())
        return as_plot(figure, f"Phase by region: {told} per flow.", "Carry-forward, incomplete extension and droop.")


def read_lengths(counts):
    """Histogram of read lengths."""
    n_reads, lengths = counts.sum(), np.arange(len(counts))
    mean = float(lengths @ counts / n_reads)
    width = max(1, len(counts) // 100)
    with drawing() as (figure, axes):
        axes.hist(lengths, weights=counts, bins=np.arange(0, len(counts) + width, width), color=BLUE)
        axes.axvline(mean, color=RED, linestyle="--", label=f"mean {mean:.0f} bases")
        per = "" if width == 1 else f" per {width} bases"
        axes.set(xlabel="read length (bases)", ylabel=f"reads{per}", xlim=(0, max(len(counts), 2)))
        axes.legend()
        return as_plot(figure, f"Histogram of {n_reads} read lengths with a mean of {mean:.0f} bases.")


def qualities(counts):
    """Histogram of base qualities, and how many bases have at least each."""
    n_bases = counts.sum()
    top = int(np.flatnonzero(counts)[-1]) + 1
    at_least = 100 * counts[::-1].cumsum()[::-1] / n_bases
    q20 = at_least[20]
    with drawing(6.2, 3.6, columns=2) as (figure, (left, right)):
        left.bar(np.arange(top), 100 * counts[:top] / n_bases, color=BLUE, width=0.9)
        left.set(xlabel="predicted quality (Phred)", ylabel="share of bases (%)")
        right.plot(np.arange(top), at_least[:top], color=BLUE)
        right.plot([20, 20, 0], [0, q20, q20], color=RED, linestyle="--", linewidth=1.5)
        right.annotate(f"{q20:.1f} %\nat Q20", (18.5, 40), ha="right", color=RED)
        right.set(xlabel="predicted quality (Phred)", ylabel="bases with at least it (%)", ylim=(0, 103), xlim=(0, top))
        return as_plot(figure, f"Histogram of base qualities; {q20:.1f} % of the bases have quality 20 or better.")


def quality_by_position(sums):
    """Mean predicted error by position, as a quality."""
    enough = sums[:, 0] >= max(1, 0.01 * sums[0, 0])
    last = int(np.argmin(enough)) if not enough.all() else len(enough)
    quality = -10 * np.log10(sums[:last, 1] / sums[:last, 0])
    with drawing(6.2, 3.2) as (figure, axes):
        axes.plot(np.arange(1, last + 1), quality, color=BLUE)
        axes.set(xlabel="position in the read (bases)", ylabel="quality of the mean\npredicted error", ylim=(0, None))
        return as_plot(
            figure, f"Mean predicted quality falls from {quality[:10].mean():.0f} at the start to {quality[-1]:.0f}."
        )


def funnel(steps):
    """Where wells and reads went: bars of (name, count)."""
    names, counts = [name for name, _ in steps], np.array([count for _, count in steps])
    whole = max(int(counts[0]), 1)
    with drawing(6.2, 0.6 + 0.42 * len(steps)) as (figure, axes):
        y = np.arange(len(steps))[::-1]
        axes.barh(y, counts, color=BLUE, height=0.72)
        for place, count in zip(y, counts, strict=True):
            axes.text(count + 0.01 * whole, place, f"{count:,}  ({100 * count / whole:.1f} %)", va="center")
        axes.set_yticks(y, names)
        axes.set(xlim=(0, 1.28 * whole), xlabel="wells")
        axes.xaxis.set_major_locator(_whole_numbers(5))
        axes.grid(axis="y", visible=False)
        told = ", ".join(f"{name} {count}" for name, count in steps)
        return as_plot(figure, f"From wells to reads: {told}.")


def signals(counts, bin_starts):
    """Distribution of flow signals by the homopolymer length that was called from them."""
    with drawing(6.2, 3.6) as (figure, axes):
        width = bin_starts[1] - bin_starts[0]
        for mers, row in enumerate(counts):
            if row.sum():
                axes.plot(
                    bin_starts + width / 2,
                    100 * row / row.sum(),
                    color=SERIES[mers],
                    label=f"{mers}-mer",
                    linewidth=1.7,
                )
        filled = np.flatnonzero(counts.sum(axis=0))
        axes.set(
            xlabel="signal (bases)",
            ylabel="share of flows (%)",
            xlim=(bin_starts[filled[0]], bin_starts[filled[-1]] + width),
            ylim=(0, None),
        )
        axes.legend(title="called", ncols=2)
        return as_plot(figure, "Distributions of the flow signal, one curve for each called homopolymer length.")


def flow_residuals(rms, mean):
    """Root mean square and mean, by flow, of signal minus prediction."""
    with drawing(height=3.2) as (figure, axes):
        axes.axhline(0, color=INK, linewidth=1)
        axes.plot(rms, color=BLUE, label="root mean square", linewidth=1.5)
        axes.plot(mean, color=ORANGE, label="mean", linewidth=1.5)
        axes.set(xlabel="flow", ylabel="signal minus prediction (bases)", xlim=(0, max(len(rms), 2)))
        axes.legend(ncols=2)
        known = rms[np.isfinite(rms)]
        told = f"{known[0]:.2f} at the first flows, {known[-1]:.2f} bases at the last" if len(known) else "unknown"
        return as_plot(
            figure,
            f"Residual of the signals by flow, root mean square: {told}.",
            "Signal minus what the phase model predicts for the called bases.",
        )


def noise_by_flow(spread, pinned):
    """Spread of the signals of beads without template, and wells that saturate, by flow; either may be empty."""
    with drawing(height=3.4) as (figure, axes):
        left = axes.plot(spread, color=BLUE, linewidth=1.5, label="spread of duds")
        axes.set(xlabel="flow", ylabel="spread of duds (bases)", ylim=(0, None))
        right = axes.twinx()
        right.spines.right.set_visible(True)
        right.grid(visible=False)
        right.plot(pinned.cumsum(), color=ORANGE, linewidth=1.5, linestyle="--", label="pinned wells")
        right.set(ylabel="wells pinned so far", ylim=(0, max(1.1 * pinned.sum(), 1)))
        axes.legend(handles=[*left, *right.lines], loc="lower right")
        middle = f"{np.median(spread):.3f} bases in the middle" if len(spread) else "unknown"
        return as_plot(
            figure,
            f"Spread of the signals of beads without template by flow, {middle}; {pinned.sum():.0f} wells saturate.",
            "Noise: how far signals of beads without template lie apart. Pinned wells left the range of the converter.",
        )


def stage_times(names, seconds):
    """Wall-clock time of each stage."""
    with drawing(6.2, 0.8 + 0.36 * len(names)) as (figure, axes):
        y = np.arange(len(names))[::-1]
        axes.barh(y, seconds, color=SKY, height=0.7)
        for place, value in zip(y, seconds, strict=True):
            axes.text(value + 0.01 * max(seconds), place, f"{value:.1f} s", va="center")
        axes.set_yticks(y, names)
        axes.set(xlabel="wall-clock time (s)", xlim=(0, 1.2 * max(max(seconds), 1e-9)))
        axes.grid(axis="y", visible=False)
        return as_plot(
            figure, "Time per stage: " + ", ".join(f"{n} {s:.1f} s" for n, s in zip(names, seconds, strict=True))
        )


def _cell_means(values, side):
    """Mean of a 2-D array in cells of `side` x `side`; cells at the far edges may be smaller."""
    rows, cols = np.arange(0, values.shape[0], side), np.arange(0, values.shape[1], side)
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), rows, axis=0), cols, axis=1)
    heights = np.diff(np.append(rows, values.shape[0]))
    widths = np.diff(np.append(cols, values.shape[1]))
    return sums / np.outer(heights, widths)


def _chip(shape):
    return {"origin": "lower", "extent": (0, shape[1], 0, shape[0]), "interpolation": "nearest"}


def _map_height(shape):
    """Height of a chip map in inches: long chips get flat maps, whose width is used."""
    return float(np.clip(4.4 * shape[0] / shape[1], 2.4, 4.8))


def _chip_axes(axes):
    axes.set(xlabel="column (wells)", ylabel="row (wells)")
    axes.grid(visible=False)


def _write_values(axis, values, middle):
    for (row, col), value in np.ndenumerate(values):
        colour = INK if value > middle else "white"
        axis.text(col, row, f"{value:.3f}", ha="center", va="center", fontsize=9, color=colour)


def _whole_numbers(n):
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(n, integer=True)
