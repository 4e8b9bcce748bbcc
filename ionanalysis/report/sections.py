"""The parts of the report, in reading order: words, tables and plots, or a sentence that says what is missing."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.io.mask import WellFlag
from ionanalysis.report import accuracy_plots, plots
from ionanalysis.report.fit_maps import fit_maps_plot
from ionanalysis.report.reads import SIGNAL_BINS
from ionanalysis.report.result import at, items, number, numbers
from ionanalysis.report.style import Plot

REMOVALS = {
    "bkgmodel_polyclonal": "polyclonal (signal processing)",
    "bkgmodel_high_ppf": "too many positive flows (signal processing)",
    "bkgmodel_keypass": "key not found (signal processing)",
    "polyclonal": "polyclonal: more than one template",
    "high_ppf": "too many positive flows",
    "failed_keypass": "key not found in the called bases",
    "high_residual": "signal fits no sequence",
    "quality_filter": "low quality throughout",
    "short": "too short",
    "adapter_trim": "too short without the adapter (primer dimer)",
    "barcode_trim": "too short without the barcode",
    "tag_trim": "too short without the molecular tag",
    "extra_trim": "too short without extra trimmed bases",
    "quality_trim": "too short without its low-quality end",
}
"""Keys of `Filtering.ReadDetails` (basecaller.md 8.6) in words."""


@dataclass(frozen=True)
class Table:
    """Rows of text; numbers are already written out. The first column heads its row.

    `is_text` marks long texts, which get the full width of the page.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_text: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page; `missing` says in a sentence what could not be shown, and why."""

    name: str
    title: str
    words: str = ""
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: str = ""
    folded: tuple[Table, ...] = ()
    """Tables that are shown when asked for."""
    folded_title: str = ""


def chip_section(result):
    title = "Loading and kinds of wells"
    mask = result.mask
    if mask is None:
        return Section("chip", title, missing="The result has no well mask (analysis.bfmask.bin).")
    classes = plots.well_classes(mask)
    counts = [(name, int((classes == index).sum())) for index, (name, _, _) in enumerate(plots.WELL_CLASSES)]
    rows = tuple((name, f"{n:,}", _percent(n, mask.flags.size)) for name, n in counts if n)
    return Section(
        "chip",
        title,
        "Where beads landed and what they carry. Even loading is good; edges, bubbles and streaks show as patterns.",
        (plots.loading_map(mask), plots.class_map(mask)),
        (Table("Wells by kind", ("well holds", "wells", "share"), rows),),
    )


def key_section(result):
    title = "Key traces"
    if not result.key_traces:
        why = "The result has no key traces (avgNukeTrace_*.txt)."
        return Section("keys", title, missing=why if result.has_signal_processing else _FROM_WELLS)
    # Library first: it is what a run is for.
    by_key = sorted(result.key_traces, key=lambda trace: trace.key != _library_key(result))
    shown = [trace for trace in by_key if any(np.any(values) for values in trace.by_flow.values())]
    silent = [trace.key for trace in by_key if trace not in shown]
    return Section(
        "keys",
        title,
        "The signal over time of wells with a known key: a clear rise where the key takes up a base, flat where not.",
        tuple(plots.key_traces(trace) for trace in shown),
        missing=f"No well showed the key {' or '.join(silent)}." if silent else "",
    )


_FROM_WELLS = "This result was started from wells: there are no raw signals to show."


def _library_key(result):
    return at(result.basecaller, "BaseCaller", "lib_key", default="TCAG")


def noise_section(result):
    """Noise and time constants of signal processing."""
    title = "Signal processing"
    metrics = result.signal_metrics
    if not metrics:
        why = "There are no metrics of signal processing (sigproc.json)."
        return Section("noise", title, missing=why if result.has_signal_processing else _FROM_WELLS)
    spread = numbers(metrics, "zero_mer_residual")
    pinned = numbers(metrics, "pinned_per_flow")
    shown = (plots.noise_by_flow(spread, pinned),) if len(spread) or len(pinned) else ()
    rows = [
        (words, f"{number(metrics, name):.1f}")
        for name, words in (
            ("library_key_snr", "signal to noise of the library key, median"),
            ("key_signal_counts", "signal of one base in the library key, median (counts)"),
        )
        if at(metrics, name) is not None
    ]
    maps = result.fit_maps
    if maps is not None:
        shown += (fit_maps_plot(maps),)
    regions = items(metrics, "regions")
    for name, words in (
        ("t0_s", "onset of the first flow (s)"),
        ("tau_empty_s", "time constant of empty wells (s)"),
        ("tau_bead_s", "time constant of wells with a bead (s)"),
        ("noise_counts", "noise of one frame (counts)"),
    ):
        values = [number(region, name) for region in regions if number(region, name)]
        if values:
            rows.append((words, _range(values)))
    return Section("noise", title, "", shown, (Table("Chip", ("", "value"), tuple(rows)),) if rows else ())


def phase_section(result):
    title = "Phase"
    phasing = at(result.basecaller, "Phasing", default={})
    n_rows, n_cols = int(number(phasing, "RegionRows")), int(number(phasing, "RegionCols"))
    maps = {}
    for name in ("CF", "IE", "DR"):
        values = numbers(phasing, f"{name}byRegion")
        if n_rows > 0 and n_cols > 0 and len(values) == n_rows * n_cols:
            # Lists run down the columns of the grid (basecaller.md 3.7).
            maps[name] = 100 * values.reshape((n_rows, n_cols), order="F")
    if len(maps) < 3:
        return Section("phase", title, missing="BaseCaller.json holds no phase estimates by region.")
    meanings = ("carry-forward (CF)", "incomplete extension (IE)", "droop (DR)")
    rows = tuple(
        (meaning, f"{100 * number(phasing, name):.3f} %", f"{values.min():.3f} %", f"{values.max():.3f} %")
        for meaning, (name, values) in zip(meanings, maps.items(), strict=True)
    )
    is_map = n_rows * n_cols > 1
    header = ("", "mean", "least region", "most region") if is_map else ("", "whole chip")
    reads = numbers(phasing, "ReadsByRegion")
    assumed = "No reads were good enough to estimate phase from: these are the values that calling started from."
    return Section(
        "phase",
        title,
        "How fast the copies of a template get out of step: ahead (carry-forward), behind (incomplete extension), "
        "or lost (droop). Small and even values give long reads.",
        (plots.phase_map(maps),) if is_map else (),
        (Table("Phase, per flow", header, tuple(row[: len(header)] for row in rows)),),
        assumed if len(reads) and not reads.any() else "",
    )


def signal_section(reads):
    title = "Signal quality"
    if reads is None or not reads.signal_counts.any():
        return Section("signal", title, missing="There are no reads with flow signals (tag ZM) to judge them by.")
    shown = [plots.signals(reads.signal_counts, SIGNAL_BINS)]
    if len(reads.residual_moments):
        shown.append(plots.flow_residuals(reads.residual_rms, reads.residual_mean))
    return Section(
        "signal",
        title,
        "Flow signals of the reads, in bases. The clearer the curves of neighbouring lengths part, the surer the "
        "calls. A residual that grows with the flows, or repeats with their order, shows what the model misses.",
        tuple(shown),
    )


def length_section(reads):
    if reads is None:
        return Section("lengths", "Read lengths", missing="The result has no library reads.")
    return Section("lengths", "Read lengths", "After trimming.", (plots.read_lengths(reads.length_counts),))


def quality_section(reads):
    if reads is None or not reads.quality_counts.sum():
        return Section("qualities", "Predicted quality", missing="There are no bases with qualities.")
    return Section(
        "qualities",
        "Predicted quality",
        "What the base caller expects: quality 20 means one error in 100 bases.",
        (plots.qualities(reads.quality_counts), plots.quality_by_position(reads.quality_sums)),
    )


def funnel_section(result):
    """Wells, beads, live beads, library beads, reads; and why reads were taken out."""
    title = "Where reads went"
    details = at(result.basecaller, "Filtering", "ReadDetails", "lib", default={})
    removed = [(words, int(number(details, name))) for name, words in REMOVALS.items()]
    steps = []
    if result.mask is not None:
        usable = result.mask.flags.size - result.mask.count(WellFlag.EXCLUDE)
        steps = [("usable wells", usable)] + [
            (name, result.mask.count(flag))
            for name, flag in (
                ("with a bead", WellFlag.BEAD),
                ("with a live bead", WellFlag.LIVE),
                ("with the library key", WellFlag.LIB),
            )
        ]
    tables: tuple[Table, ...] = ()
    if details:
        kept = int(number(details, "valid"))
        n_before = kept + sum(n for _, n in removed)
        for words, names in _FILTER_STAGES:
            n_before -= sum(int(number(details, name)) for name in names)
            steps.append((words, n_before))
        rows = tuple((words, f"{n:,}", _percent(n, kept + sum(m for _, m in removed))) for words, n in removed if n)
        kept_row = (("kept", f"{kept:,}", _percent(kept, kept + sum(n for _, n in removed))),)
        tables = (Table("Library reads by what became of them", ("", "reads", "share"), rows + kept_row),)
    if not steps:
        return Section("funnel", title, missing="Neither a well mask nor BaseCaller.json is there to count from.")
    missing = "" if details else "There is no BaseCaller.json, so what base calling filtered is not known."
    return Section("funnel", title, "", (plots.funnel(steps),), tables, missing)


_FILTER_STAGES = (
    (
        "past the clonal and key filters",
        ("bkgmodel_polyclonal", "bkgmodel_high_ppf", "bkgmodel_keypass", "polyclonal", "high_ppf"),
    ),
    ("called, with a good signal", ("failed_keypass", "high_residual", "quality_filter", "short")),
    ("long enough when trimmed", ("adapter_trim", "barcode_trim", "tag_trim", "extra_trim", "quality_trim")),
)


def barcode_section(result):
    """Reads by barcode, or None where the run has no barcodes. Unused ones of a set are counted, not listed."""
    rows, unused = [], 0
    for item in items(result.datasets, "datasets"):
        names = item.get("read_groups")
        groups = [result.read_groups.get(str(name), {}) for name in (names if isinstance(names, list) else [])]
        n_bases = sum(number(group, "total_bases") for group in groups)
        group = groups[0] if groups else {}
        is_nomatch = any(str(name).endswith(".nomatch") for name in (names if isinstance(names, list) else []))
        name = "no match" if is_nomatch else at(group, "barcode_name") or at(item, "dataset_name", default="")
        sample = str(at(group, "sample", default=""))
        if not number(item, "read_count") and sample in ("", "none"):
            unused += 1
            continue
        rows.append(
            (
                str(name),
                "" if sample == "none" else sample,
                f"{number(item, 'read_count'):,}",
                f"{n_bases:,}",
                _percent(sum(number(group, "Q20_bases") for group in groups), n_bases),
                "left out" if any(group.get("filtered") for group in groups) else "kept",
            )
        )
    if not any(at(group, "barcode", "barcode_sequence") for group in result.read_groups.values()):
        return None
    header = ("barcode", "sample", "reads", "bases", "bases at Q20", "decision")
    words = f"{unused:,} more barcodes of the set have neither reads nor a sample." if unused else ""
    table = Table("Reads by barcode", header, tuple(rows), is_text=True)
    return Section("barcodes", "Barcodes", words, tables=(table,))


def accuracy_section(accuracy):
    title = "Accuracy against the truth"
    if accuracy is None:
        return Section("accuracy", title, missing="The true sequences are not known, so errors cannot be counted.")
    if not accuracy.n_reads:
        return Section("accuracy", title, missing="No well with a known sequence gave a read.")
    rows = (
        ("errors", f"{accuracy.error_rate:.3f}"),
        ("substitutions", f"{accuracy.substitution_rate:.3f}"),
        ("insertions", f"{accuracy.insertion_rate:.3f}"),
        ("deletions", f"{accuracy.deletion_rate:.3f}"),
    )
    fates = (
        ("wells with a known sequence", f"{accuracy.n_true_reads:,}", ""),
        ("with a read", f"{accuracy.n_reads:,}", _percent(accuracy.n_reads, accuracy.n_true_reads)),
        ("lost", f"{accuracy.n_lost:,}", _percent(accuracy.n_lost, accuracy.n_true_reads)),
        ("perfect", f"{accuracy.n_perfect:,}", _percent(accuracy.n_perfect, accuracy.n_reads) + " of reads"),
        *((f"reads not scored ({kind})", f"{n:,}", "") for kind, n in accuracy.wrong_wells.items()),
    )
    shown = [accuracy_plots.errors_by_position(accuracy.by_position)]
    if accuracy.homopolymers[1:].any():
        shown.append(accuracy_plots.homopolymer_errors(accuracy.homopolymers))
    if accuracy.by_quality[:, 0].max() >= 50:
        shown.append(accuracy_plots.predicted_against_observed(accuracy.by_quality))
    shown.append(accuracy_plots.accurate_lengths(accuracy.aq_length_counts))
    return Section(
        "accuracy",
        title,
        "Each read is aligned to the sequence that its well truly holds, from the first base behind key and barcode.",
        tuple(shown),
        (
            Table("Errors per 100 aligned bases", ("", "per 100 bases"), rows),
            Table("Reads", ("", "wells", "share"), fates),
        ),
    )


def _range(values):
    least, most = f"{min(values):.3g}", f"{max(values):.3g}"
    return least if least == most else f"{least} to {most} by region"


def _percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"
