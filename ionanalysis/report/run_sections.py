"""The parts of the report that say what ran: headline numbers, time per stage, versions and options."""

import json

from ionanalysis.io.mask import WellFlag
from ionanalysis.report import plots
from ionanalysis.report.result import at, items, number, numbers
from ionanalysis.report.sections import Section, Table

_SHOWN_TEXT = 300
_NOT_SHOWN = ("format", "options", "stages", "inputs", "status", "finished")


def headline(result, reads, accuracy):
    """The most important numbers, as (value, what it is) pairs; only those that are known."""
    shown = []
    if result.mask is not None:
        usable = result.mask.flags.size - result.mask.count(WellFlag.EXCLUDE)
        beads = result.mask.count(WellFlag.BEAD)
        if usable:
            shown.append((f"{100 * beads / usable:.0f} %", f"of {usable:,} usable wells hold a bead"))
    counted = numbers(result.basecaller, "Filtering", "qv_histogram")
    details = at(result.basecaller, "Filtering", "ReadDetails", "lib")
    if details is not None:
        shown.append((f"{int(number(details, 'valid')):,}", "library reads"))
    elif reads is not None:
        shown.append((f"{reads.n_reads:,}", "library reads looked at"))
    if counted.sum():
        shown.append((_bases(counted.sum()), "bases"))
        shown.append((f"{100 * counted[20:].sum() / counted.sum():.0f} %", "of the bases have quality 20 or better"))
    if reads is not None:
        mean = reads.length_counts @ range(len(reads.length_counts)) / reads.n_reads
        shown.append((f"{mean:.0f}", "bases long is a read on average"))
    if accuracy is not None and accuracy.n_reads:
        shown.append((f"{accuracy.error_rate:.2f}", "errors per 100 bases against the truth"))
        shown.append((f"{100 * accuracy.perfect_share:.0f} %", "of the reads are perfect"))
    return shown


def timing_section(result):
    stages = _stages(result.run)
    if not stages:
        return Section("time", "Time per stage", missing="There is no run.json with stage times.")
    names, seconds = zip(*stages, strict=True)
    return Section("time", "Time per stage", plots=(plots.stage_times(names, seconds),))


def settings_section(result):
    """Versions, run facts and options, as tables of name and value."""
    told = at(result.basecaller, "BaseCaller", default={})
    facts = {
        name.replace("_", " "): told[name]
        for name in ("version", "run_id", "chip_type", "num_flows", "lib_key", "tf_key", "flow_order", "command_line")
        if isinstance(told, dict) and name in told
    }
    tables = [Table("Base calling", ("", "value"), _rows(facts), is_text=True)] if facts else []
    folded = []
    options = at(result.run, "options", default={})
    for name, content in sorted(options.items()) if isinstance(options, dict) else ():
        rows = _rows(content if isinstance(content, dict) else {name: content})
        if rows:
            folded.append(Table(name, ("option", "value"), rows, is_text=True))
    # The page is made while the run is going on: how it ended is not known yet.
    general = {k: v for k, v in result.run.items() if k not in _NOT_SHOWN}
    if general:
        tables.insert(0, Table("Run", ("", "value"), _rows(general), is_text=True))
    missing = "" if tables else "There is neither a run.json nor a BaseCaller.json."
    return Section(
        "settings",
        "Versions and options",
        tables=tuple(tables),
        missing=missing if not folded else "",
        folded=tuple(folded),
        folded_title="All options of the run",
    )


def _stages(run):
    """Names and seconds of the stages in `run.json`: a list of objects, or an object by name."""
    stages = at(run, "stages", default={})
    if isinstance(stages, dict):
        named = [(str(name), stage) for name, stage in stages.items()]
    else:
        named = [(str(stage.get("name", "?")), stage) for stage in items(run, "stages")]
    return [(name[:40], float(number(stage, "seconds"))) for name, stage in named if number(stage, "seconds") > 0]


def _rows(content):
    return tuple((str(name).replace("_", " "), _text(value)) for name, value in content.items())


def _text(value):
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        value = ", ".join(map(str, value))
    if isinstance(value, dict) and not any(isinstance(item, list | dict) for item in value.values()):
        value = ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"


def _bases(n):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{int(n)}"
