#!/usr/bin/env python3
"""RunQC: is this run good? Loading, key signals, phasing and homopolymer errors on one page."""

import base64
import configparser
import html
import io
import json
import os
from collections import defaultdict

import numpy as np
import pysam
from ion.plugin import *

LONGEST_RUN = 8
READS_PER_BARCODE = 2000


RUN_COLUMNS = ("called", "expected error %", "aligned", "observed error %")
NO_DATA = {
    "loading": "<p>No counts of wells (sigproc_results/analysis.bfmask.stats): the analysis began with signals.</p>",
    "key": "<p>No key signals: the analysis has no statistics.</p>",
    "phase": "<p>No phasing: there is no BaseCaller.json.</p>",
}


class RunQC(IonPlugin):
    """Loading, key signals, phasing and homopolymer errors of a run, with the numbers in results.json."""

    version = "1.0.0.0"
    author = "ionanalysis"
    runtypes = [RunType.FULLCHIP, RunType.THUMB, RunType.COMPOSITE]
    runlevels = [RunLevel.DEFAULT]
    major_block = True

    def launch(self, data=None):
        runinfo = self.startplugin["runinfo"]
        with open("barcodes.json") as file:
            barcodes = json.load(file)
        self.results = {
            "loading": loading(runinfo["sigproc_dir"]),
            "key": key_signals(runinfo),
            "phase": phasing(runinfo["basecaller_dir"]),
            "homopolymers": homopolymers(barcodes),
            "test_fragments": test_fragments(runinfo["basecaller_dir"]),
        }
        for part, found in self.results.items():
            if not found:
                self.log.warning("%s: nothing to report, its files are missing.", part)
        with open("RunQC_block.html", "w") as page:
            page.write(report(self.results, key_traces(runinfo)))
        return True


def loading(sigproc_dir):
    """Counts of wells and what they mean in percent, from the mask's statistics; {} without them."""
    stats = configparser.ConfigParser(strict=False)
    if not stats.read(os.path.join(sigproc_dir, "analysis.bfmask.stats")) or not stats.has_section("global"):
        return {}
    values = stats["global"]
    names = ("Total Wells", "Excluded Wells", "Pinned Wells", "Bead Wells", "Live Beads", "Dud Beads", "Library Beads")
    counts = {name: values.getint(name, fallback=0) for name in (*names, "Test Fragment Beads")}
    addressable = counts["Total Wells"] - counts["Excluded Wells"]
    return {
        **counts,
        "Loading %": percent(counts["Bead Wells"], addressable),
        "Live beads %": percent(counts["Live Beads"], counts["Bead Wells"]),
        "Library beads %": percent(counts["Library Beads"], counts["Live Beads"]),
    }


def key_signals(runinfo):
    """Peaks of the raw key signals (counts) and the signal-to-noise ratio of the key flows."""
    found = {}
    peaks = configparser.ConfigParser(strict=False)
    if peaks.read(os.path.join(runinfo["report_root_dir"], "raw_peak_signal")) and peaks.has_section("global"):
        # 0 stands for a key that was not seen, or for images that were not read.
        found |= {f"{kind} peak": float(value) for kind, value in peaks["global"].items() if float(value)}
    statistics = read_json(os.path.join(runinfo["basecaller_dir"], "ionstats_basecaller.json"))
    if "system_snr" in statistics:
        found["signal to noise"] = round(statistics["system_snr"], 2)
    return found


def key_traces(runinfo):
    """Average traces of the key's incorporating flows, counts by frame: by key, then by nucleotide."""
    traces = {}
    for kind, key in (("Library", runinfo["library_key"]), ("Test fragment", runinfo["testfrag_key"])):
        path = os.path.join(runinfo["sigproc_dir"], f"avgNukeTrace_{key}.txt")
        if not os.path.exists(path):
            continue
        with open(path) as file:
            lines = [line.split() for line in file]
        # Lines of all key flows have numbers for labels, those with a base a letter.
        of_base = {line[0]: np.array(line[1:], float) for line in lines if line and line[0] in "ACGT"}
        if of_base:
            traces[f"{kind} key {key}"] = of_base
    return traces


def phasing(basecaller_dir):
    """Carry-forward, incomplete extension and droop in percent per flow."""
    phase = read_json(os.path.join(basecaller_dir, "BaseCaller.json")).get("Phasing", {})
    return {f"{name} %": round(100 * phase[name], 3) for name in ("CF", "IE", "DR") if name in phase}


def homopolymers(barcodes):
    """Runs of equal bases by length: how many, how often wrong by their qualities and, if aligned, by the reference.

    At most READS_PER_BARCODE reads of each barcode are looked at.
    """
    tallies = defaultdict(lambda: {"called": 0, "expected_errors": 0.0, "aligned": 0, "wrong": 0})
    for barcode in barcodes.values():
        if not barcode["read_count"] or not os.path.exists(barcode["bam_filepath"]):
            continue
        with pysam.AlignmentFile(barcode["bam_filepath"], check_sq=False) as bam:
            for number, read in enumerate(bam.fetch(until_eof=True)):
                if number >= READS_PER_BARCODE:
                    break
                if read.is_secondary or read.is_supplementary or not read.query_sequence:
                    continue
                count_called(read, tallies)
                if not read.is_unmapped and read.has_tag("MD"):
                    count_aligned(read, tallies)
    lines = {}
    for length, tally in sorted(tallies.items()):
        name = f"{length}" if length < LONGEST_RUN else f"{LONGEST_RUN}+"
        lines[name] = {
            "called": tally["called"],
            "expected error %": percent(tally["expected_errors"], tally["called"]),
        }
        if tally["aligned"]:
            lines[name]["aligned"] = tally["aligned"]
            lines[name]["observed error %"] = percent(tally["wrong"], tally["aligned"])
    return lines


def runs_of(letters):
    """Start and end of each run of equal letters."""
    codes = np.frombuffer(letters.encode(), np.uint8)
    borders = np.flatnonzero(np.diff(codes)) + 1
    return np.concatenate([[0], borders]), np.concatenate([borders, [len(codes)]])


def count_called(read, tallies):
    """A run is expected to be wrong as often as one of its bases is."""
    if read.query_qualities is None:
        return
    right = np.log1p(-np.power(10.0, -0.1 * np.maximum(np.frombuffer(read.query_qualities, np.uint8), 1)))
    sums = np.concatenate([[0.0], np.cumsum(right)])
    for start, end in zip(*runs_of(read.query_sequence)):
        tally = tallies[min(end - start, LONGEST_RUN)]
        tally["called"] += 1
        tally["expected_errors"] += -np.expm1(sums[end] - sums[start])


def count_aligned(read, tallies):
    """Runs of the reference that an alignment spans with a base on either side: is their length right?"""
    pairs = read.get_aligned_pairs(with_seq=True)
    aligned = [pair for pair in pairs if pair[1] is not None]
    if len(aligned) < 3:
        return
    letters = "".join((base or "N").upper() for _, _, base in aligned)
    # Read bases that stand beside a reference base, or are inserted behind it.
    beside, place = [""] * len(aligned), -1
    for query, reference, _ in pairs:
        place += reference is not None
        if query is not None and 0 <= place < len(aligned):
            beside[place] += read.query_sequence[query]
    starts, ends = runs_of(letters)
    for start, end in list(zip(starts, ends))[1:-1]:
        base = letters[start]
        # An insertion may be placed before the run, behind the base in front of it.
        called = beside[start - 1][1:].count(base) + sum(part.count(base) for part in beside[start:end])
        tally = tallies[min(end - start, LONGEST_RUN)]
        tally["aligned"] += 1
        tally["wrong"] += called != end - start


def test_fragments(basecaller_dir):
    """Test fragments of known sequence: reads, and runs called right by length."""
    fragments = {}
    for name, entry in read_json(os.path.join(basecaller_dir, "TFStats.json")).items():
        right, seen = entry.get("Per HP accuracy NUM", []), entry.get("Per HP accuracy DEN", [])
        lengths = {str(n): percent(a, b) for n, (a, b) in enumerate(zip(right, seen)) if n and b}
        fragments[name] = {"reads": entry.get("Num", 0), "accuracy % by run": lengths}
    return fragments


def percent(part, whole):
    return round(100.0 * float(part) / whole, 3) if whole else 0.0


def read_json(path):
    """A file's object; {} where the stage that writes it did not run."""
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return json.load(file)


def report(results, traces):
    """The page."""
    parts = ["<!DOCTYPE html><html><head><meta charset='utf-8'><style>"]
    parts.append("body{font:13px sans-serif}table{border-collapse:collapse;margin:0 0 1em}td,th{padding:2px 8px;")
    parts.append(
        "border-bottom:1px solid #ddd;text-align:right}th:first-child,td:first-child{text-align:left}"
        "section{display:inline-block;vertical-align:top;margin-right:2.5em;max-width:25em}img{display:block}</style></head>"
    )
    parts.append("<body>")
    for title, name in (("Loading", "loading"), ("Key", "key"), ("Phase, per flow", "phase")):
        parts.append(section(title, table(["", ""], results[name].items()) if results[name] else NO_DATA[name]))
    lines = results["homopolymers"]
    if lines:
        columns = [name for name in RUN_COLUMNS if any(name in line for line in lines.values())]
        rows = [[length, *(line.get(column, "-") for column in columns)] for length, line in lines.items()]
        parts.append(section("Homopolymers", table(["length", *columns], rows)))
    for name, fragment in results["test_fragments"].items():
        rows = fragment["accuracy % by run"].items()
        parts.append(section(f"{name}: {fragment['reads']} reads", table(["length", "accuracy %"], rows)))
    if traces:
        parts.append(trace_plot(traces))
    return "".join(parts) + "</body></html>"


def section(title, content):
    return f"<section><h3>{html.escape(title)}</h3>{content}</section>"


def table(header, rows):
    lines = ["".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)]
    lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def trace_plot(traces):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(traces), figsize=(4.5 * len(traces), 2.6), squeeze=False)
    for panel, (title, rows) in zip(panels[0], traces.items()):
        for nucleotide, trace in rows.items():
            panel.plot(trace, label=nucleotide)
        panel.set(title=title, xlabel="frame", ylabel="counts")
        panel.legend(frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90, bbox_inches="tight")
    pyplot.close(figure)
    return f"<img alt='key traces' src='data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}'>"


if __name__ == "__main__":
    PluginCLI()
