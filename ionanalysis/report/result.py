"""What a result directory holds for the report. Every part may be missing; nothing here is trusted."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.fit_parameters import FIT_FILE
from ionanalysis.io.jsonfile import read_json
from ionanalysis.io.mask import Mask, read_mask
from ionanalysis.report.fit_maps import FitMaps, read_fit_maps

MASKS = (
    "basecaller_results/basecaller.bfmask.bin",
    "sigproc_results/analysis.bfmask.bin",
    "sigproc_results/bfmask.bin",
)
"""Masks of a result, the one that knows most first."""


@dataclass(frozen=True)
class KeyTraces:
    """Average traces of one key, in counts above the background, by label (flow number or nucleotide)."""

    key: str
    by_flow: dict[int, np.ndarray]
    by_nuc: dict[str, np.ndarray]


@dataclass
class Result:
    """Files of a result directory, each read when it is first asked for.

    Properties give None, or something empty, where a file is absent; a file that is broken is noted in
    `problems` and then counts as absent, as a report on a broken result is worth more than none.
    """

    path: Path
    problems: list[str] = field(default_factory=list)

    @cached_property
    def mask(self) -> Mask | None:
        """Bead mask after the last stage that ran."""
        for name in MASKS:
            if (self.path / name).is_file():
                return self._tried(read_mask, name)
        return None

    @cached_property
    def has_signal_processing(self):
        """True if signals were processed in this result; the wells and masks of another are linked."""
        found = [self.path / name for name in MASKS[1:]]
        return any(path.is_file() and not path.is_symlink() for path in found)

    @cached_property
    def key_traces(self) -> list[KeyTraces]:
        found = sorted((self.path / "sigproc_results").glob("avgNukeTrace_*.txt"))
        traces = [self._tried(read_key_traces, path.relative_to(self.path)) for path in found]
        return [trace for trace in traces if trace is not None and trace.by_flow]

    @cached_property
    def basecaller(self) -> dict:
        """`BaseCaller.json`."""
        return self._json("basecaller_results/BaseCaller.json")

    @cached_property
    def datasets(self) -> dict:
        """`datasets_basecaller.json`."""
        return self._json("basecaller_results/datasets_basecaller.json")

    @cached_property
    def signal_metrics(self) -> dict:
        """`sigproc.json`: what signal processing says of itself."""
        return self._json("sigproc_results/sigproc.json")

    @cached_property
    def fit_maps(self) -> FitMaps | None:
        """Maps of what was fitted to wells, from `fit_parameters.h5`; None where it is absent."""
        name = f"sigproc_results/{FIT_FILE}"
        return self._tried(read_fit_maps, name) if (self.path / name).is_file() else None

    @cached_property
    def alignment(self) -> dict:
        """`alignment.json`: the reference, and what calibration brought."""
        return self._json("alignment.json")

    @cached_property
    def read_statistics(self) -> dict:
        """`ionstats_basecaller.json`."""
        return self._json("basecaller_results/ionstats_basecaller.json")

    @cached_property
    def alignment_statistics(self) -> dict:
        """`ionstats_alignment.json`."""
        return self._json("ionstats_alignment.json")

    def alignment_statistics_of(self, prefix):
        """`PREFIX.ionstats_alignment.json` of one dataset."""
        return self._json(f"{prefix}.ionstats_alignment.json") if Path(prefix).name == prefix and prefix else {}

    @cached_property
    def aligned_bams(self) -> list[Path]:
        """Aligned BAM files with their indexes, in the order of their datasets."""
        prefixes = [str(item.get("file_prefix", "")) for item in items(self.datasets, "datasets")]
        paths = [self.path / f"{prefix}.bam" for prefix in prefixes if prefix and Path(prefix).name == prefix]
        return [path for path in dict.fromkeys(paths) if path.is_file() and any(self.path.glob(f"{path.name}.*i"))]

    @cached_property
    def run(self) -> dict:
        """`run.json`."""
        return self._json("run.json")

    @cached_property
    def params(self) -> dict:
        """`ion_params_00.json`: what is known of the run."""
        return self._json("ion_params_00.json")

    @cached_property
    def library_bams(self) -> list[Path]:
        """Unaligned BAM files of library reads, in the order of their datasets; files must lie in the result."""
        folder = self.path / "basecaller_results"
        listed = [str(item.get("basecaller_bam", "")) for item in items(self.datasets, "datasets")]
        # Names come from a file; only plain ones can be trusted to stay in the folder.
        named = [folder / name for name in listed if name and Path(name).name == name]
        found = [path for path in named if path.is_file()] or sorted(folder.glob("*rawlib.basecaller.bam"))
        return list(dict.fromkeys(found))

    @cached_property
    def read_groups(self) -> dict[str, dict]:
        groups = self.datasets.get("read_groups")
        return {str(k): v for k, v in groups.items() if isinstance(v, dict)} if isinstance(groups, dict) else {}

    def _json(self, name):
        if not (self.path / name).is_file():
            return {}
        content = self._tried(read_json, name)
        if isinstance(content, dict):
            return content
        if content is not None:
            self.problems.append(f"{name} holds no JSON object.")
        return {}

    def _tried(self, read, name):
        try:
            return read(self.path / name)
        except (InputError, OSError) as error:
            self.problems.append(str(error))
            return None


def at(content, *names, default=None):
    """The value below `names` in nested JSON objects, or `default` where any of them is missing."""
    for name in names:
        if not isinstance(content, dict) or name not in content:
            return default
        content = content[name]
    return content


def items(content, *names):
    """The JSON objects in a list below `names`; empty if there is no such list."""
    found = at(content, *names)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def number(content, *names, default=0):
    """A finite number below `names`, or `default`."""
    found = at(content, *names)
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and np.isfinite(found)
    return found if is_number else default


def numbers(content, *names):
    """A list of finite numbers below `names` as float64; empty if there is none."""
    found = at(content, *names)
    try:
        values = np.array(found if isinstance(found, list) else [], np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)
    return values if values.ndim == 1 and np.isfinite(values).all() else np.zeros(0)


def read_key_traces(path):
    """Read ``avgNukeTrace_KEY.txt`` (sigproc.md 3.5): lines of a flow number or a nucleotide, and its trace.

    Labels that occur more than once (one line per region or per flow) are averaged.

    Raises
    ------
    InputError
        If a line is not a label and numbers.
    """
    sums: dict[str, list] = {}
    for n_line, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        label, *values = line.split() or [""]
        try:
            trace = np.array([float(value) for value in values])
        except ValueError:
            raise InputError(f"{path}: line {n_line} holds something that is no number; expected a trace.") from None
        if len(trace) and (label.isdecimal() or label in set("ACGT")) and np.isfinite(trace).all():
            sums.setdefault(label, []).append(trace)
    means = {label: np.mean([t for t in traces if len(t) == len(traces[0])], axis=0) for label, traces in sums.items()}
    return KeyTraces(
        key=path.stem.removeprefix("avgNukeTrace_"),
        by_flow={int(label): trace for label, trace in means.items() if label.isdecimal()},
        by_nuc={label: trace for label, trace in means.items() if not label.isdecimal()},
    )
