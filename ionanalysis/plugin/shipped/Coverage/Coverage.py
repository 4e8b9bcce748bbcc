#!/usr/bin/env python3
"""Coverage: how deep the reads of each barcode lie over the targets of a BED file."""

import csv
import html
import json
import os

import numpy as np
import pysam
from ion.plugin import *

DEPTHS = (1, 20, 100)
WINDOW = 1_000_000
NOT_ALIGNED = "The reads are not aligned: this result holds no aligned BAM files."
STYLE = "body{font:13px sans-serif}td,th{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left}"


class Coverage(IonPlugin):
    """Depth, evenness and reads on target over the regions of a BED file, barcode by barcode."""

    version = "1.0.0.0"
    author = "ionanalysis"
    runtypes = [RunType.FULLCHIP, RunType.THUMB, RunType.COMPOSITE]
    runlevels = [RunLevel.DEFAULT]
    major_block = True

    def barcodetable_columns(self):
        return [
            {"field": "selected", "editable": True},
            {"field": "barcode_name", "editable": False},
            {"field": "sample", "editable": False},
            {"field": "target_region_filepath", "editable": True},
        ]

    def custom_validation(self, configuration, run_mode):
        issues = []
        bed = configuration.get("bed", "")
        if bed and not os.path.isfile(bed):
            issues.append(f"The BED file {bed} is not there.")
        if not str(configuration.get("least_mapping_quality", 0)).isdigit():
            issues.append("The least mapping quality must be a whole number.")
        return issues

    def launch(self, data=None):
        config = self.startplugin["pluginconfig"]
        least_quality = int(config.get("least_mapping_quality") or 0)
        with open("barcodes.json") as file:
            barcodes = sorted(json.load(file).items(), key=lambda item: item[1].get("barcode_index", 0))
        chosen = {row["barcode_name"]: row for row in config.get("barcodetable", []) if row.get("selected")}
        if chosen:
            barcodes = [(name, barcode) for name, barcode in barcodes if name in chosen]
        if not any(barcode["aligned"] for _, barcode in barcodes):
            return self.without_alignment()
        lines = {}
        for number, (name, barcode) in enumerate(barcodes):
            self.write_page(lines, f"<p>{number} of {len(barcodes)} barcodes are done.</p>", running=True)
            bed = chosen.get(name, {}).get("target_region_filepath") or config.get("bed")
            lines[name] = self.of_barcode(name, barcode, bed or barcode["target_region_filepath"], least_quality)
        self.results = {"barcodes": lines}
        self.write_page(lines)
        return True

    def without_alignment(self):
        """Say once, not for each barcode, that there is nothing to count."""
        self.log.warning(NOT_ALIGNED)
        self.results = {"barcodes": {}, "error": NOT_ALIGNED}
        with open("Coverage_block.html", "w") as page:
            page.write(f"<!DOCTYPE html><html><head><meta charset='utf-8'><style>{STYLE}</style></head>")
            page.write(f"<body><p>There is no coverage. {NOT_ALIGNED}</p></body></html>")
        return True

    def of_barcode(self, name, barcode, bed, least_quality):
        """The results of a barcode, with the reason if there are none; writes its table of targets."""
        line = {"sample": barcode["sample"], "reads": barcode["read_count"]}
        reason = missing(barcode, bed)
        if reason:
            self.log.warning("%s: %s", name, reason)
            return {**line, "error": reason}
        targets = read_targets(bed)
        with open_indexed(barcode["bam_filepath"]) as bam:
            unknown = sorted({target["chrom"] for target in targets} - set(bam.references))
            known = [target for target in targets if target["chrom"] not in unknown]
            depth = Depth()
            for target in known:
                depth.add(bam, target, least_quality)
            mapped, on_target = count_reads(bam, known, least_quality)
        write_targets(f"{name}.targets.tsv", depth.rows)
        if unknown:
            self.log.warning("%s: the reference of %s has no %s.", name, barcode["bam_file"], ", ".join(unknown))
        return {**line, **summary(depth), "mapped reads": mapped, "on target %": percent(on_target, mapped)}

    def write_page(self, lines, note="", running=False):
        names = [
            "sample",
            "reads",
            "mapped reads",
            "on target %",
            "mean depth",
            *[f">= {depth}x %" for depth in DEPTHS],
        ]
        names += ["evenness %"]
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ["barcode", *names, "targets"])
        rows = []
        for name, line in lines.items():
            cells = "".join(f"<td>{html.escape(str(line.get(key, '-')))}</td>" for key in names)
            link = f'<a href="{name}.targets.tsv">table</a>' if "error" not in line else html.escape(line["error"])
            rows.append(f"<tr><td>{html.escape(name)}</td>{cells}<td>{link}</td></tr>")
        refresh = '<meta http-equiv="refresh" content="10">' if running else ""
        with open("Coverage_block.html", "w") as page:
            page.write(f"<!DOCTYPE html><html><head><meta charset='utf-8'>{refresh}<style>{STYLE}</style></head><body>")
            page.write(f"{note}<table><tr>{head}</tr>{''.join(rows)}</table></body></html>")


def missing(barcode, bed):
    """Why a barcode has no coverage, or an empty text."""
    if not barcode["aligned"]:
        return NOT_ALIGNED
    if not bed:
        return "No target regions; name a BED file in the plan or in this plugin's configuration."
    if not os.path.isfile(bed):
        return f"The BED file {bed} is not there."
    if not os.path.isfile(barcode["bam_filepath"]):
        return f"{barcode['bam_file']} is not there." if barcode["read_count"] else "No reads."
    return ""


def read_targets(bed):
    with IonBedReader(filename=bed) as reader:
        return list(reader)


def open_indexed(path):
    """A BAM file with its index, which is made in the result directory if it has none."""
    if os.path.exists(path + ".bai"):
        return pysam.AlignmentFile(path)
    index = os.path.basename(path) + ".bai"
    pysam.index(path, index)
    return pysam.AlignmentFile(path, index_filename=index)


def usable(read, least_quality):
    skipped = read.is_unmapped or read.is_secondary or read.is_supplementary or read.is_duplicate
    return not skipped and read.mapping_quality >= least_quality


class Depth:
    """Depth over targets: numbers of each, and how many bases of all have each depth."""

    def __init__(self):
        self.rows = []
        self.histogram = np.zeros(1, np.int64)

    def add(self, bam, target, least_quality):
        """Take in a target, a window at a time: it may be a chromosome."""
        end = min(target["chromEnd"], bam.get_reference_length(target["chrom"]))
        histogram = np.zeros(1, np.int64)
        for start in range(target["chromStart"], end, WINDOW):
            depth = depth_over(bam, target["chrom"], start, min(start + WINDOW, end), least_quality)
            histogram = summed(histogram, np.bincount(depth))
        self.rows.append((target, histogram))
        self.histogram = summed(self.histogram, histogram)


def depth_over(bam, chrom, start, end, least_quality):
    """Reads over each base, deletions not counted."""
    bases = bam.count_coverage(
        chrom, start, end, quality_threshold=0, read_callback=lambda read: usable(read, least_quality)
    )
    return np.sum([np.frombuffer(base, base.typecode) for base in bases], axis=0).astype(np.int64)


def summed(a, b):
    return np.pad(a, (0, max(0, len(b) - len(a)))) + np.pad(b, (0, max(0, len(a) - len(b))))


def count_reads(bam, targets, least_quality):
    """Mapped reads, and those that touch a target."""
    mapped = sum(usable(read, least_quality) for read in bam.fetch())
    on_target = 0
    for chrom, start, end, end_before in merged(targets):
        for read in bam.fetch(chrom, start, end):
            # One that reaches back into the region before has been counted there.
            on_target += usable(read, least_quality) and read.reference_start >= end_before
    return mapped, on_target


def merged(targets):
    """Regions without overlap, by chromosome and place, each with the end of the one before it there."""
    regions = []
    for chrom, start, end in sorted((target["chrom"], target["chromStart"], target["chromEnd"]) for target in targets):
        if regions and regions[-1][0] == chrom and start <= regions[-1][2]:
            regions[-1][2] = max(end, regions[-1][2])
        else:
            before = regions[-1][2] if regions and regions[-1][0] == chrom else 0
            regions.append([chrom, start, end, before])
    return regions


def statistics(histogram):
    """Bases, mean depth, least depth, and bases that are at least so deep."""
    n_bases = int(histogram.sum())
    mean = float(np.arange(len(histogram)) @ histogram) / n_bases if n_bases else 0.0
    least = int(np.flatnonzero(histogram)[0]) if n_bases else 0
    return n_bases, mean, least, [int(histogram[depth:].sum()) for depth in DEPTHS]


def summary(depth):
    """Numbers over all targets; evenness is the share of bases with at least a fifth of the mean depth."""
    n_bases, mean, _, deep = statistics(depth.histogram)
    shares = {f">= {least}x %": percent(number, n_bases) for least, number in zip(DEPTHS, deep)}
    even = int(depth.histogram[int(np.ceil(0.2 * mean)) :].sum()) if mean else 0
    line = {"targets": len(depth.rows), "bases": n_bases, "mean depth": round(mean, 2), **shares}
    return {**line, "evenness %": percent(even, n_bases)}


def write_targets(path, rows):
    with open(path, "w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["chrom", "start", "end", "name", "mean_depth", "least_depth", *[f"bases_{n}x" for n in DEPTHS]])
        for target, histogram in rows:
            place = [target["chrom"], target["chromStart"], target["chromEnd"], target.get("name", "")]
            _, mean, least, deep = statistics(histogram)
            table.writerow([*place, f"{mean:.2f}", least, *deep])


def percent(part, whole):
    return round(100.0 * float(part) / whole, 3) if whole else 0.0


if __name__ == "__main__":
    PluginCLI()
