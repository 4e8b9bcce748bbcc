#!/usr/bin/env python3
"""Export: reads of each barcode as FASTQ, SFF or BAM, under names that tell the run."""

import html
import json
import os
import re
import zipfile

from ion.plugin import *

from ionanalysis.export import write_fastq, write_sff

FORMATS = ("fastq", "sff", "bam")
STYLE = "<style>body{font:13px sans-serif}td,th{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left}</style>"


class Export(IonPlugin):
    """Writes the reads of each barcode as FASTQ (compressed), SFF (with flow signals) or BAM."""

    version = "1.0.0.0"
    author = "ionanalysis"
    runtypes = [RunType.FULLCHIP, RunType.THUMB, RunType.COMPOSITE]
    runlevels = [RunLevel.LAST]
    features = [Feature.EXPORT]

    def getUserInput(self):
        return {"formats": ["fastq"], "zip": False}

    def custom_validation(self, configuration, run_mode):
        unknown = [name for name in formats_of(configuration) if name not in FORMATS]
        return [f"The format {name} is not known; choose of {', '.join(FORMATS)}." for name in unknown]

    def launch(self, data=None):
        config = self.startplugin["pluginconfig"]
        expmeta = self.startplugin["expmeta"]
        stem = safe_name(f"{expmeta['run_name']}_{expmeta['results_name']}")
        with open("barcodes.json") as file:
            barcodes = sorted(json.load(file).items(), key=lambda item: item[1].get("barcode_index", 0))
        lines = {}
        for number, (name, barcode) in enumerate(barcodes):
            self.write_page(lines, f"<p>{number} of {len(barcodes)} barcodes are done.</p>", running=True)
            own = stem if name == "nonbarcoded" else f"{safe_name(name)}_{stem}"
            lines[name] = self.of_barcode(barcode, own, formats_of(config) or ["fastq"])
        note = ""
        if config.get("zip") in (True, "on", "true"):
            archive = f"{stem}.zip"
            pack(archive, [file for line in lines.values() for file in line["files"]])
            note = f'<p><a href="{archive}">all files in one archive</a></p>'
        self.results = {"barcodes": lines}
        self.write_page(lines, note)
        return True

    def of_barcode(self, barcode, stem, formats):
        """Files written for a barcode, and why there are none."""
        source = barcode["bam_filepath"]
        if not os.path.isfile(source):
            if barcode["read_count"]:
                self.log.error("%s is not there; was it deleted?", source)
            return {"reads": 0, "files": [], "error": "no BAM file"}
        files, reads = [], barcode["read_count"]
        for name in formats:
            target = f"{stem}.{name}" + (".gz" if name == "fastq" else "")
            if name == "bam":
                link(source, target)
                if os.path.exists(source + ".bai"):
                    link(source + ".bai", target + ".bai")
                    files.append(target + ".bai")
            else:
                reads = write_fastq(source, target) if name == "fastq" else write_sff(source, target)
            files.append(target)
        return {"reads": reads, "files": files}

    def write_page(self, lines, note="", running=False):
        rows = []
        for name, line in lines.items():
            links = ", ".join(f'<a href="{file}">{file}</a>' for file in line["files"])
            what = links or html.escape(line.get("error", ""))
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{line['reads']}</td><td>{what}</td></tr>")
        refresh = '<meta http-equiv="refresh" content="10">' if running else ""
        with open("Export_block.html", "w") as page:
            page.write(f"<!DOCTYPE html><html><head><meta charset='utf-8'>{refresh}{STYLE}</head><body>{note}")
            page.write(
                f"<table><tr><th>Barcode</th><th>Reads</th><th>Files</th></tr>{''.join(rows)}</table></body></html>"
            )


def formats_of(configuration):
    """Formats asked for; forms give a text for one, or one tick per format."""
    asked = configuration.get("formats", [])
    asked = re.split(r"[,\s]+", asked.strip()) if isinstance(asked, str) else list(asked)
    asked += [name for name in FORMATS if configuration.get(name) in (True, "on", "true")]
    return list(dict.fromkeys(name.lower() for name in asked if name))


def safe_name(text):
    """A text as a file name: whatever may mean something to a shell or a path becomes `_`."""
    return re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII).lstrip(".-") or "run"


def link(source, target):
    """A symbolic link: BAM files are large, and the report keeps them."""
    if os.path.lexists(target):
        os.remove(target)
    os.symlink(os.path.realpath(source), target)


def pack(archive, files):
    # The files are compressed already.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, allowZip64=True) as opened:
        for file in files:
            opened.write(file)


if __name__ == "__main__":
    PluginCLI()
