"""How all plots of the report look, and how they get into the page."""

import base64
import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

INK = "#1f2430"
GRID = "#d5d9e0"
# Okabe and Ito's palette: told apart with any kind of colour vision, also in print.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#8a8f99",
)  # fmt: skip
SERIES = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
NUC_COLOURS = {"A": GREEN, "C": BLUE, "G": INK, "T": RED}
SEQUENTIAL = "cividis"

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "ionanalysis",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Plot:
    """A picture in the page: `source` is a data URI, `alt` says in words what is to be seen."""

    source: str
    alt: str
    caption: str = ""


@contextmanager
def drawing(width=6.2, height=3.6, columns=1, rows=1):
    """Give a figure and its axes (a list, row by row, if there are several) in the report's style; sizes in inches.

    Figures are made without pyplot: no window system, no global state, safe on any thread.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        yield figure, axes[0] if len(axes) == 1 else list(axes)


def as_plot(figure, alt, caption=""):
    """The finished figure as an embedded picture; call inside `drawing`. Same input, same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", alt, caption)
