"""Two results side by side: a table of numbers, and a page with the curves of both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole
from ionanalysis.metrics.result_metrics import result_metrics
from ionanalysis.report.page import render
from ionanalysis.report.result import Result, at, number, numbers
from ionanalysis.report.sections import Section, Table
from ionanalysis.report.style import BLUE, ORANGE, as_plot, drawing

_COLOURS = (BLUE, ORANGE)
_READS, _ALIGNED, _WELLS = "qualitymetrics", "libmetrics", "analysismetrics"
_ROWS = (
    ("wells with a bead (%)", _WELLS, "loading", 2),
    ("live beads", _WELLS, "live", 0),
    ("library beads", _WELLS, "lib", 0),
    ("carry-forward (% per flow)", _WELLS, "sysCF", 4),
    ("incomplete extension (% per flow)", _WELLS, "sysIE", 4),
    ("droop (% per flow)", _WELLS, "sysDR", 4),
    ("signal to noise of the key", _ALIGNED, "sysSNR", 2),
    ("reads", _READS, "q0_reads", 0),
    ("bases", _READS, "q0_bases", 0),
    ("bases of quality 20", _READS, "q20_bases", 0),
    ("mean read length (bases)", _READS, "q0_mean_read_length", 2),
    ("median read length (bases)", _READS, "q0_median_read_length", 0),
    ("aligned reads", _ALIGNED, "total_mapped_reads", 0),
    ("aligned bases", _ALIGNED, "total_mapped_target_bases", 0),
    ("raw accuracy (%)", _ALIGNED, "raw_accuracy", 2),
    ("bases at AQ17", _ALIGNED, "q17_mapped_bases", 0),
    ("mean AQ17 length (bases)", _ALIGNED, "q17_mean_alignment_length", 0),
    ("bases at AQ20", _ALIGNED, "q20_mapped_bases", 0),
    ("mean AQ20 length (bases)", _ALIGNED, "q20_mean_alignment_length", 0),
    ("bases at AQ47, without error", _ALIGNED, "q47_mapped_bases", 0),
    ("duplicate reads", _ALIGNED, "duplicate_reads", 0),
)
"""What is compared: words, table and column of the metrics, decimals."""


@dataclass(frozen=True)
class ComparedValue:
    """One number of both results; None where a result does not tell it."""

    name: str
    first: float | None
    second: float | None
    decimals: int

    @property
    def change(self):
        """Second less first; None where one is missing."""
        return None if self.first is None or self.second is None else self.second - self.first


def compare_results(first, second):
    """The numbers of two result directories, list of `ComparedValue`.

    Raises
    ------
    InputError
        If one is no result directory.
    """
    told = [_metrics(Path(place)) for place in (first, second)]
    return [
        ComparedValue(words, told[0].get((table, column)), told[1].get((table, column)), decimals)
        for words, table, column, decimals in _ROWS
    ]


def write_comparison(first, second, path):
    """Write a page that compares two results; it needs no other file and runs no script.

    Returns
    -------
    Path
    """
    values = compare_results(first, second)
    results = [Result(Path(first)), Result(Path(second))]
    names = _names(results)
    sections = [_numbers_section(values, names), _curves_section(results, names), _options_section(results, names)]
    path = Path(path)
    page = render(
        title=f"{names[0]} and {names[1]}",
        subtitle=f"A: {results[0].path.absolute()}, B: {results[1].path.absolute()}",
        headline=[],
        problems=[problem for result in results for problem in result.problems],
        sections=sections,
    )
    write_whole(path, page)
    return path


def table_text(values, names):
    """The numbers as lines of text."""
    rows = [("", *names, "change"), *(_row(value) for value in values)]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  " + "  ".join(f"{row[n]:>{widths[n]}}" for n in (1, 2, 3)) for row in rows
    )


def _metrics(path):
    if not path.is_dir() or not any((path / name).exists() for name in ("basecaller_results", "sigproc_results")):
        raise InputError(f"{path}: is no result of a run; name its directory.")
    metrics = result_metrics(path)
    has_reads = (path / "basecaller_results" / "ionstats_basecaller.json").is_file()
    is_aligned = (path / "ionstats_alignment.json").is_file()
    known = {(_WELLS, name): value for name, value in metrics.analysismetrics.items()}
    if not metrics.analysismetrics["total"]:
        known = {key: value for key, value in known.items() if key[1].startswith("sys")}
    if has_reads:
        known |= {(_READS, name): value for name, value in metrics.qualitymetrics.items()}
        known[_ALIGNED, "sysSNR"] = metrics.libmetrics["sysSNR"]
    if is_aligned:
        known |= {(_ALIGNED, name): value for name, value in metrics.libmetrics.items()}
    return known


def _names(results):
    names = [result.path.resolve().name for result in results]
    return names if names[0] != names[1] else [f"A: {names[0]}", f"B: {names[1]}"]


def _row(value):
    told = [_written(number_of, value.decimals) for number_of in (value.first, value.second)]
    change = value.change
    if change is None:
        return (value.name, *told, "–")
    shown = f"{change:+,.{value.decimals}f}" if change else "0"
    if change and value.first and value.decimals == 0:
        shown += f" ({100 * change / value.first:+.2g} %)"
    return (value.name, *told, shown)


def _written(value, decimals):
    return "–" if value is None else f"{value:,.{decimals}f}"


def _numbers_section(values, names):
    table = Table("A and B", ("", *names, "change"), tuple(_row(value) for value in values))
    return Section("numbers", "Numbers", tables=(table,))


def _curves_section(results, names):
    shown = (
        (
            "Read lengths",
            ("length (bases)", "reads (%)"),
            lambda result: _share(numbers(result.read_statistics, "full", "read_length_histogram")),
        ),
        (
            "Predicted quality",
            ("quality (Phred)", "bases of at least so much (%)"),
            lambda result: _at_least(numbers(result.read_statistics, "qv_histogram")),
        ),
        (
            "Accurate lengths (AQ20)",
            ("accurate length (bases)", "aligned reads at least so long (%)"),
            lambda result: _at_least(numbers(result.alignment_statistics, "AQ20", "read_length_histogram")),
        ),
        (
            "Errors by position",
            ("position in the read (bases)", "errors per 100 bases"),
            lambda result: _errors(result.alignment_statistics),
        ),
    )
    drawn, missing = [], []
    for title, labels, values_of in shown:
        found = [values_of(result) for result in results]
        lacking = [one for one, values in zip(names, found, strict=True) if not len(values)]
        if lacking:
            missing.append(
                f"{title}: {' and '.join(lacking)} does not tell."
                if len(lacking) == 1
                else f"{title}: neither result tells."
            )
        else:
            drawn.append(_curve(title, labels, found, names))
    return Section("curves", "Curves", plots=tuple(drawn), missing=" ".join(missing))


def _curve(title, labels, found, names):
    """A curve of each result over whole numbers from 0."""
    with drawing(6.2, 3.4) as (figure, axes):
        for values, label, colour in zip(found, names, _COLOURS, strict=True):
            axes.plot(np.arange(len(values)), values, color=colour, label=label)
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1], ylim=(0, None), xlim=(0, None))
        axes.legend()
        told = " and ".join(f"{one} up to {values.max():.3g}" for one, values in zip(names, found, strict=True))
        return as_plot(figure, f"{title}: {told} on the axis “{labels[1]}”.")


def _options_section(results, names):
    """Options that differ between both results."""
    told = [_options(result) for result in results]
    rows = []
    for name in sorted(told[0].keys() | told[1].keys()):
        pair = [str(one.get(name, "–")) for one in told]
        if pair[0] != pair[1]:
            rows.append((name, *pair))
    if not rows:
        return Section("options", "Options", "Both were made with the same options and versions.")
    table = Table("Options and versions that differ", ("", *names), tuple(rows), is_text=True)
    return Section("options", "Options", tables=(table,))


def _options(result):
    options = at(result.run, "options", default={})
    found = {
        f"{group}.{name}": value
        for group, values in (options.items() if isinstance(options, dict) else ())
        if isinstance(values, dict)
        for name, value in values.items()
    }
    return found | {name: result.run[name] for name in ("ionanalysis", "run_dir", "run_id") if name in result.run}


def _share(histogram):
    total = histogram.sum()
    return _trimmed(100 * histogram / total) if total else np.zeros(0)


def _at_least(histogram):
    total = histogram.sum()
    return _trimmed(100 * histogram[::-1].cumsum()[::-1] / total) if total else np.zeros(0)


def _errors(statistics):
    """Errors per 100 bases by position, where at least one read in 20 still goes on; means of 5 positions."""
    wrong, depth = numbers(statistics, "error_by_position"), numbers(statistics, "by_base", "depth")
    n = min(len(wrong), len(depth))
    if not n or not number(statistics, "aligned", "num_reads"):
        return np.zeros(0)
    deep = depth[:n] >= 0.05 * depth.max()
    end = int(deep.argmin()) if not deep.all() else n
    kernel = np.ones(5)
    return 100 * np.convolve(wrong[:end], kernel, "same") / np.maximum(np.convolve(depth[:end], kernel, "same"), 1)


def _trimmed(values):
    """Without the zeros at the end."""
    return values[: int(np.flatnonzero(values)[-1]) + 2] if values.any() else np.zeros(0)
