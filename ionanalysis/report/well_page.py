"""A page on one well: its traces, the background that its region predicts, and the fit, flow by flow."""

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.mask import WellFlag
from ionanalysis.report.page import render
from ionanalysis.report.sections import Section, Table
from ionanalysis.report.style import INK, NUC_COLOURS, ORANGE, SKY, as_plot, drawing

_FACTS = (
    ("t0_s", "onset of the first flow (s)", "{:.3f}"),
    ("time_constant_s", "time constant (s)", "{:.3f}"),
    ("gain", "gain, relative to empty wells", "{:.3f}"),
    ("copies", "copies, relative to a typical live well", "{:.3f}"),
    ("residual_counts", "residual of flows without a base (counts, root mean square)", "{:.2f}"),
)


def write_well_page(view, row, col, path, flows=None):
    """Write an HTML page on a well.

    Parameters
    ----------
    view : RegionView
        Of the region that holds the well.
    row, col : int
        The well, in the rows and columns of the run.
    path : path
    flows : range, optional
        Flows whose traces are drawn; the first 24 by default.

    Raises
    ------
    InputError
        If the well is not in the region.
    OutputError
        If the page cannot be written.
    """
    well = view.well(row, col)
    drawn = range(min(24, len(well.signal))) if flows is None else flows
    sections = [_facts_section(view, well), _raw_section(view, well), _fit_section(view, well, drawn)]
    # Wells are called by their place on the chip, as in the names of reads.
    above, left = (max(first, 0) for first in view.run.offset)
    block = Block(view.block.row + above, view.block.col + left, view.block.n_rows, view.block.n_cols)
    page = render(
        title=f"Well {row + above}:{col + left}",
        subtitle=f"run {view.run.run_id}, chip {view.run.chip or 'unknown'}, {len(well.signal)} flows, "
        f"region of rows {block.row} to {block.row + block.n_rows - 1} and columns {block.col} to "
        f"{block.col + block.n_cols - 1}",
        headline=[],
        problems=[],
        sections=sections,
    )
    write_whole(path, page)


def _facts_section(view, well):
    kinds = [str(flag.name).lower() for flag in WellFlag if flag & well.kind]
    rows = [("kind", ", ".join(kinds) or "none")]
    rows += [(words, form.format(well.facts[name])) for name, words, form in _FACTS if _is_known(well.facts, name)]
    rows += [
        ("time constant of empty wells nearby (s)", f"{float(view.signals.beads.tau_empty_s[0]):.3f}"),
        ("residual of all flows (counts, root mean square)", f"{np.sqrt((well.residual_rms**2).mean()):.2f}"),
    ]
    is_live = well.facts["copies"] > 0
    return Section(
        "signals",
        "Signals",
        "What signal processing makes of the well: one base gives a signal of about 1.",
        (_signal_plot(view, well),) if is_live else (),
        (Table("Fitted to the well", ("", "value"), tuple(rows)),),
        "" if is_live else "The well is not live: no signals are measured in it.",
    )


def _is_known(facts, name):
    return np.isfinite(facts[name]) and not (name == "copies" and facts[name] < 0)


def _signal_plot(view, well):
    letters = view.run.flow_order.letters
    with drawing(6.2, 3.2) as (figure, axes):
        for nuc, colour in NUC_COLOURS.items():
            chosen = [flow for flow in range(len(well.signal)) if letters[flow] == nuc]
            axes.bar(chosen, well.signal[chosen], color=colour, width=0.85, label=nuc)
        axes.set(xlabel="flow", ylabel="signal (bases)", xlim=(-1, len(well.signal)))
        axes.legend(ncols=4)
        shown = f"Signals of {len(well.signal)} flows, from {well.signal.min():.2f} to {well.signal.max():.2f} bases."
        return as_plot(figure, shown, "Signal of each flow, coloured by nucleotide.")


def _raw_section(view, well):
    """The first flow of each nucleotide as measured, beside the empties."""
    letters = view.run.flow_order.letters
    flows = sorted(letters.index(nuc) for nuc in set(letters))
    plots = []
    for figure, panels, part in _panels(flows, 3.2):
        for axes, flow in zip(panels, part, strict=True):
            axes.plot(view.clock.mid_s, well.trace[flow], ".", color=INK, markersize=3, label="measured")
            axes.plot(view.clock.mid_s, view.empties[flow], color=SKY, linewidth=1.5, label="empty wells")
            axes.plot(view.clock.mid_s, well.background[flow], color=ORANGE, linewidth=1.5, label="background")
            axes.set(title=f"flow {flow}: {letters[flow]}", xlabel="time (s)")
        panels[0].set_ylabel("counts above\nthe first frame")
        panels[0].legend(loc="lower right")
        told = " and ".join(f"{flow} ({letters[flow]})" for flow in part)
        plots.append(as_plot(figure, f"Traces of the well and of empty wells, and the background, in flows {told}."))
    return Section(
        "raw",
        "Traces and background",
        "What the well shows, what empty wells near it show on average, and the background: what the well would show "
        "without taking up a base, from the empty wells, its time constant and its delay. Where a base is taken up, "
        "the trace lies above the background. Here for the first flow of each nucleotide.",
        tuple(plots),
    )


def _fit_section(view, well, flows):
    letters = view.run.flow_order.letters
    plots = []
    above, fitted = well.trace - well.background, well.fit - well.background
    low, high = min(above[flows].min(), 0), above[flows].max()
    margin = 0.08 * (high - low)
    for figure, panels, part in _panels(flows, 2.6):
        for axes, flow in zip(panels, part, strict=True):
            axes.plot(view.clock.mid_s, above[flow], ".", color=INK, markersize=3)
            axes.plot(view.clock.mid_s, fitted[flow], color=NUC_COLOURS[letters[flow]])
            axes.set(title=f"flow {flow}: {letters[flow]}, {well.signal[flow]:.2f}", xlabel="time (s)")
            axes.set(ylim=(low - margin, high + margin))
        panels[0].set_ylabel("counts above\nbackground")
        told = "; ".join(f"flow {flow} {letters[flow]}: {well.signal[flow]:.2f} bases" for flow in part)
        plots.append(as_plot(figure, f"Trace above the background, and its fit. {told}."))
    return Section(
        "fit",
        "Fit",
        "What is left above the background (dots), and as much of what a base adds as fits best (line); the line ends "
        "where frames are no longer looked at. Beside the nucleotide: the signal that comes of it, once neighbours, "
        "the size of the well and the scale of homopolymers are taken into account.",
        tuple(plots),
    )


def _panels(flows, height):
    """Figures of two panels side by side: a figure, its panels and their flows."""
    for start in range(0, len(flows), 2):
        part = flows[start : start + 2]
        with drawing(6.2, height, columns=2) as (figure, panels):
            for axes in panels[len(part) :]:
                axes.set_visible(False)
            yield figure, panels[: len(part)], part
