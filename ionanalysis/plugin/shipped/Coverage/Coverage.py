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
        lines = {}
        for number, (name, barcode) in enumerate(barcodes):
            self.write_page(lines, f"<p>{number} of {len(barcodes)} barcodes are done.</p>", running=True)
            bed = chosen.get(name, {}).get("target_region_filepath") or config.get("bed")
            lines[name] = self.of_barcode(name, barcode, bed or barcode["target_region_filepath"], least_quality)
        self.results = {"barcodes": lines}
        self.write_page(lines)
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
            depths = [depth_over(bam, target, least_quality) for target in known]
            mapped, on_target = count_reads(bam, known, least_quality)
        write_targets(f"{name}.targets.tsv", known, depths)
        if unknown:
            self.log.warning("%s: the reference of %s has no %s.", name, barcode["bam_file"], ", ".join(unknown))
        return {**line, **summary(depths), "mapped reads": mapped, "on target %": percent(on_target, mapped)}

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
        style = "body{font:13px sans-serif}td,th{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left}"
        with open("Coverage_block.html", "w") as page:
            page.write(f"<!DOCTYPE html><html><head><meta charset='utf-8'>{refresh}<style>{style}</style></head><body>")
            page.write(f"{note}<table><tr>{head}</tr>{''.join(rows)}</table></body></html>")


def missing(barcode, bed):
    """Why a barcode has no coverage, or an empty text."""
    if not barcode["aligned"]:
        return "The reads are not aligned; run the analysis with a reference."
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


def depth_over(bam, target, least_quality):
    """Reads over each base of a target, deletions not counted."""
    bases = bam.count_coverage(
        target["chrom"],
        target["chromStart"],
        target["chromEnd"],
        quality_threshold=0,
        read_callback=lambda read: usable(read, least_quality),
    )
    return np.sum([np.frombuffer(base, base.typecode) for base in bases], axis=0)


def count_reads(bam, targets, least_quality):
    """Mapped reads, and those that touch a target."""
    mapped = sum(usable(read, least_quality) for read in bam.fetch())
    on_target = set()
    for target in targets:
        for read in bam.fetch(target["chrom"], target["chromStart"], target["chromEnd"]):
            if usable(read, least_quality):
                on_target.add(read.query_name)
    return mapped, len(on_target)


def summary(depths):
    """Numbers over all targets; evenness is the share of bases with at least a fifth of the mean depth."""
    depth = np.concatenate(depths) if depths else np.zeros(0)
    mean = float(depth.mean()) if len(depth) else 0.0
    shares = {f">= {least}x %": percent((depth >= least).sum(), len(depth)) for least in DEPTHS}
    even = percent((depth >= 0.2 * mean).sum(), len(depth)) if mean else 0.0
    return {"targets": len(depths), "bases": len(depth), "mean depth": round(mean, 2), **shares, "evenness %": even}


def write_targets(path, targets, depths):
    with open(path, "w", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["chrom", "start", "end", "name", "mean_depth", "least_depth", *[f"bases_{n}x" for n in DEPTHS]])
        for target, depth in zip(targets, depths):
            place = [target["chrom"], target["chromStart"], target["chromEnd"], target.get("name", "")]
            numbers = [f"{depth.mean():.2f}", depth.min()] if len(depth) else [0, 0]
            table.writerow([*place, *numbers, *[int((depth >= least).sum()) for least in DEPTHS]])


def percent(part, whole):
    return round(100.0 * float(part) / whole, 3) if whole else 0.0


if __name__ == "__main__":
    PluginCLI()
