"""The metric columns of a result, from its files: what the API tells of it (rest-api.md 9)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.io.mask import read_mask
from ionanalysis.io.mask_stats import mask_stats, read_mask_stats

_WELLS = {
    "empty": "Empty Wells",
    "bead": "Bead Wells",
    "live": "Live Beads",
    "dud": "Dud Beads",
    "amb": "Ambiguous Beads",
    "tf": "Test Fragment Beads",
    "lib": "Library Beads",
    "pinned": "Pinned Wells",
    "ignored": "Ignored Wells",
    "excluded": "Excluded Wells",
    "washout": "Washout Wells",
    "washout_dud": "Washout Dud",
    "washout_ambiguous": "Washout Ambiguous",
    "washout_live": "Washout Live",
    "washout_test_fragment": "Washout Test Fragment",
    "washout_library": "Washout Library",
    "keypass_all_beads": "Keypass Beads",
    "total": "Total Wells",
    "adjusted_addressable": "Adjusted Addressable Wells",
}
_ALWAYS_ZERO = ("libLive", "libKp", "libMix", "tfLive", "tfKp", "tfMix", "lib_pass_basecaller", "lib_pass_cafie")
_AQ = (7, 10, 17, 20, 47)
_ALIGNMENT_COLUMNS = {
    "longest_alignment": "max_read_length",
    "mean_alignment_length": "mean_read_length",
    "mapped_bases": "num_bases",
    "alignments": "num_reads",
}
_READ_LENGTHS = range(50, 601, 50)
NOT_AVAILABLE = -1
"""What the original stores for NA."""


@dataclass(frozen=True)
class ResultMetrics:
    """Columns by name of each of the API's metric tables; `tfmetrics` has one row per test fragment.

    `problems` tells of files that are broken; their columns are as if the files were absent.
    """

    analysismetrics: dict
    libmetrics: dict
    qualitymetrics: dict
    tfmetrics: list
    problems: list = field(default_factory=list)


def result_metrics(result_dir):
    """Gather all metric columns of a result directory, whole or of some stages only.

    Parameters
    ----------
    result_dir : path

    Returns
    -------
    ResultMetrics
    """
    files = _Files(Path(result_dir))
    return ResultMetrics(
        analysismetrics=_analysis(files),
        libmetrics=_library(files),
        qualitymetrics=_quality(files),
        tfmetrics=_fragments(files),
        problems=files.problems,
    )


class _Files:
    """Files of a result, empty where they are absent or broken."""

    def __init__(self, root):
        self.root = root
        self.problems: list[str] = []
        self.wells = self._tried(read_mask_stats, "sigproc_results/analysis.bfmask.stats")
        if not self.wells:
            self.wells = self._tried(read_mask_stats, "sigproc_results/bfmask.stats")
        for mask in ("analysis.bfmask.bin", "bfmask.bin"):
            # A result that was started from wells has masks, but no counts of them.
            if not self.wells:
                self.wells = self._tried(lambda path: mask_stats(read_mask(path)), f"sigproc_results/{mask}")
        self.basecaller = self._tried(read_json, "basecaller_results/BaseCaller.json")
        self.reads = self._tried(read_json, "basecaller_results/ionstats_basecaller.json")
        self.aligned = self._tried(read_json, "ionstats_alignment.json")
        self.alignment = self._tried(read_json, "alignment.json")
        self.fragments = self._tried(read_json, "basecaller_results/TFStats.json")
        self.peaks = self._tried(read_mask_stats, "raw_peak_signal")

    def duplicates(self):
        """Contents of the statistics on duplicates."""
        return [self._tried(read_json, path.name) for path in sorted(self.root.glob("BamDuplicates*.json"))]

    def _tried(self, read, name):
        path = self.root / name
        if not path.is_file():
            return {}
        try:
            content = read(path)
        except InputError as error:
            self.problems.append(str(error))
            return {}
        if not isinstance(content, dict):
            self.problems.append(f"{path}: holds no JSON object; write it again.")
            return {}
        return content


def _analysis(files):
    columns = {name: _count(files.wells, key) for name, key in _WELLS.items()}
    if columns["adjusted_addressable"] <= 0:
        columns["adjusted_addressable"] = columns["total"] - max(columns["excluded"], 0)
    usable = columns["adjusted_addressable"]
    columns["loading"] = 100.0 * columns["bead"] / usable if usable > 0 else 0.0
    valid = {kind: _at(files.basecaller, "Filtering", "ReadDetails", kind, "valid") for kind in ("lib", "tf")}
    columns |= {"libFinal": int(valid["lib"]), "tfFinal": int(valid["tf"])}
    phase = _phase(files)
    columns |= {f"sys{name.upper()}": value for name, value in phase.items()}
    return columns | dict.fromkeys(_ALWAYS_ZERO, 0)


def _library(files):
    reads, aligned = files.reads, files.aligned
    phase = _phase(files)
    snr = _at(reads, "system_snr")
    known = bool(reads) and "Phasing" in files.basecaller
    columns = {
        **_genome(files),
        "totalNumReads": int(_at(reads, "full", "num_reads")),
        "aveKeyCounts": float(_count(files.peaks, "Library")),
        "sysSNR": snr if known else 0.0,
        **{name: value if known else 0.0 for name, value in phase.items()},
        "align_sample": (2 if files.root.name == "thumbnail" else 0) if aligned else -1,
        "total_mapped_reads": int(_at(aligned, "aligned", "num_reads")),
        "total_mapped_target_bases": int(_at(aligned, "aligned", "num_bases")),
    }
    for quality in _AQ:
        of_quality = _object(aligned, f"AQ{quality}")
        for column, key in _ALIGNMENT_COLUMNS.items():
            columns[f"q{quality}_{column}"] = int(_at(of_quality, key))
        histogram = _histogram(of_quality)
        for length in _READ_LENGTHS:
            columns[f"i{length}Q{quality}_reads"] = int(histogram[length:].sum())
    duplicates = [int(_at(one, "duplicate_reads")) for one in files.duplicates()]
    return columns | {
        "raw_accuracy": _raw_accuracy(aligned),
        "duplicate_reads": sum(duplicates) if duplicates else None,
    }


def _quality(files):
    full = _object(files.reads, "full")
    histogram = _histogram(full)
    qualities = _numbers(files.reads, "qv_histogram")
    n_bases, n_reads = int(_at(full, "num_bases")), int(_at(full, "num_reads"))
    mean = n_bases / n_reads if n_reads else 0.0
    so_far = np.cumsum(histogram)
    median = int((so_far > so_far[-1] / 2).argmax()) if len(so_far) and so_far[-1] else 0
    mode = int(histogram.argmax()) if len(histogram) else 0
    columns: dict = {}
    for quality in (0, 17, 20):
        # Lengths are those of whole reads, whatever the quality: so the original's.
        columns |= {
            f"q{quality}_bases": int(qualities[quality:].sum()),
            f"q{quality}_reads": n_reads,
            f"q{quality}_max_read_length": int(_at(full, "max_read_length")),
            f"q{quality}_mean_read_length": mean,
            f"q{quality}_median_read_length": median,
            f"q{quality}_mode_read_length": mode,
            **{f"q{quality}_{length}bp_reads": int(histogram[length:].sum()) for length in (50, 100, 150)},
        }
    # Types of the original's columns.
    columns["q20_mean_read_length"] = int(mean)
    columns["q20_max_read_length"] = float(columns["q20_max_read_length"])
    return columns


def _fragments(files):
    rows = []
    for name, told in files.fragments.items():
        if not isinstance(told, dict):
            continue
        right, all_runs = (_numbers(told, f"Per HP accuracy {word}") for word in ("NUM", "DEN"))
        pairs = zip(right.tolist(), all_runs.tolist(), strict=False)
        rows.append(
            {
                "name": str(told.get("TF Name", name)),
                "sequence": str(told.get("TF Seq", "")),
                "number": int(_at(told, "Num")),
                "keypass": int(_at(told, "Num")),
                "aveKeyCount": float(_count(files.peaks, "Test Fragment")),
                "SysSNR": float(_at(told, "System SNR")),
                **{f"Q{q}Histo": " ".join(map(str, _numbers(told, f"Q{q}").tolist())) for q in (10, 17)},
                **{f"Q{q}Mean": float(_at(told, f"Q{q} Mean")) for q in (10, 17)},
                **{f"Q{q}ReadCount": int(_at(told, f"50Q{q}")) for q in (10, 17)},
                "HPAccuracy": ", ".join(f"{length} : {n}/{total}" for length, (n, total) in enumerate(pairs)),
                "corrHPSNR": "",
            }
        )
    return rows


def _genome(files):
    """The reference: from its ``NAME.info.txt`` where there is one, else from what alignment has noted."""
    if not files.alignment:
        return {"Genome_Version": "None", "Index_Version": "None", "genome": "None", "genomesize": 0}
    fasta = Path(str(files.alignment.get("reference", "")))
    told = _info(fasta.with_name(f"{fasta.stem}.info.txt")) if fasta.name else {}
    size = sum(int(_at(one, "length")) for one in files.alignment.get("sequences", []))
    return {
        "Genome_Version": told.get("genome_version", "None"),
        "Index_Version": told.get("index_version") or str(files.alignment.get("aligner", "None")),
        "genome": told.get("genome_name") or fasta.stem,
        "genomesize": int(told["genome_length"]) if told.get("genome_length", "").isdigit() else size,
    }


def _info(path):
    """Lines ``key<tab>value`` or ``key = value`` of a reference's information file."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.replace("=", "\t", 1).partition("\t") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _phase(files):
    return {name.lower(): 100.0 * _at(files.basecaller, "Phasing", name) for name in ("CF", "IE", "DR")}


def _raw_accuracy(aligned):
    n_bases = _at(aligned, "aligned", "num_bases")
    n_errors = float(_numbers(aligned, "error_by_position").sum())
    return round(100.0 * (1.0 - n_errors / n_bases), 2) if n_bases else 0.0


def _count(stats, key):
    """A count of an INI file: absent is 0, NA is -1."""
    value = stats.get(key, 0)
    return NOT_AVAILABLE if value is None else value


def _object(content, name):
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def _at(content, *names):
    """The number below `names`; 0 if there is none."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, int | float) and not isinstance(content, bool) else 0


def _numbers(content, name):
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(value, int | float) for value in found):
        return np.zeros(0, np.int64)
    return np.array(found)


def _histogram(lengths):
    return _numbers(lengths, "read_length_histogram")
