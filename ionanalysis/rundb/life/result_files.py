"""What the files of a result tell of its run and its analysis; nothing here knows of tables."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.metrics.result_metrics import ResultMetrics, result_metrics
from ionanalysis.pipeline.record import RunRecord
from ionanalysis.plugin.environment import process_parameters
from ionanalysis.plugin.expmeta import json_object
from ionanalysis.plugin.results import read_results
from ionanalysis.rundb.life.folders import disk_space

_MODULES = {
    "beadfind": "Beadfind",
    "sigproc": "Signal Processing",
    "calibration": "Calibration",
    "basecaller": "Base Calling",
    "alignment": "Alignment",
    "statistics": "Statistics",
    "report": "Report",
    "plugins": "Plugins",
}
"""What a report's status says while a stage runs."""

_INPUTS = {
    "analysismetrics": ("sigproc_results/analysis.bfmask.bin", "sigproc_results/bfmask.bin"),
    "libmetrics": ("basecaller_results/ionstats_basecaller.json",),
    "qualitymetrics": ("basecaller_results/ionstats_basecaller.json",),
    "tfmetrics": ("basecaller_results/TFStats.json",),
}
"""Files without which a table of metrics gets no row; one of each suffices."""

AT_WORK = ("Started", *_MODULES.values())
"""Statuses of reports that are being made."""

COMPLETED, STARTED, TERMINATED = "Completed", "Started", "TERMINATED"


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """A result as its files tell it."""

    folder: Path
    params: dict
    """Content of `ion_params_00.json`."""
    experiment: dict
    """What that file says of the run."""
    log: dict
    """The run's log by key."""
    settings: dict
    """Settings of the analysis."""
    status: str
    analysed: datetime
    seconds: int
    """Time of all stages."""
    processed: dict
    """Flows, cycles and frames, by column of the report."""
    metrics: ResultMetrics
    tables: frozenset
    """Tables of metrics for which there is something to say."""
    plugin_results: list
    space: dict
    """MB of each set of files."""
    version: str = field(default=__version__)

    @property
    def raw_dir(self):
        return Path(str(self.params.get("pathToData") or self.folder))


def read_result(folder):
    """Read the files of a result directory.

    Parameters
    ----------
    folder : path

    Returns
    -------
    ResultFiles

    Raises
    ------
    InputError
        If it is no directory, or none of a result.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise InputError(f"{folder}: is no directory; name the result of a run.")
    path = folder / "ion_params_00.json"
    if not path.is_file():
        raise InputError(f"{folder}: is no result of a run, it has no {path.name}; name what `run -o` made.")
    params = read_json(path)
    if not isinstance(params, dict):
        raise InputError(f"{path}: must hold an object; run the analysis again.")
    experiment = json_object(params.get("exp_json"))
    record = RunRecord.read(folder)
    raw_dir = Path(str(params.get("pathToData") or folder))
    return ResultFiles(
        folder=folder,
        params=params,
        experiment=experiment,
        log=json_object(experiment.get("log")),
        settings=json_object(params.get("experimentAnalysisSettings")),
        status=status_of(record, folder),
        analysed=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        seconds=round(sum(stage.get("seconds") or 0 for stage in record.stages.values())) if record else 0,
        processed=_processed(folder),
        metrics=result_metrics(folder),
        tables=frozenset(table for table, names in _INPUTS.items() if any((folder / name).is_file() for name in names)),
        plugin_results=read_results(folder),
        space=disk_space(folder, raw_dir),
        version=record.content.get("ionanalysis", __version__) if record else __version__,
    )


def status_of(record, folder):
    """The status of a report: `Completed`, the step that is under way, or what went wrong (rest-api.md 6).

    Parameters
    ----------
    record : RunRecord or None
        None for results of other programs.
    folder : Path
    """
    if record is None:
        whole = (folder / "basecaller_results" / "datasets_basecaller.json").is_file()
        return COMPLETED if whole else STARTED
    if record.has_died:
        return TERMINATED
    stages = record.stages
    status = record.content.get("status")
    at_work = next((name for name, stage in stages.items() if stage.get("status") == status), "")
    match status:
        case "done":
            return COMPLETED
        case "incomplete":
            blocks = {block for stage in stages.values() for block in dict(stage.get("failed_blocks") or {})}
            return f"Completed with {max(1, len(blocks))} error(s)"
        case "running":
            return _MODULES.get(at_work, STARTED)
        case "interrupted":
            return TERMINATED
    return f"Error in {_MODULES.get(at_work, at_work)}" if at_work else "Error"


def _processed(folder):
    """Counts in `processParameters.txt`; 0 where it has none (rest-api.md 6)."""
    told = process_parameters(folder / "sigproc_results" / "processParameters.txt")
    columns = {"processedflows": "numFlows", "processedCycles": "cyclesProcessed", "framesProcessed": "framesProcessed"}
    return {column: _whole(told.get(key)) for column, key in columns.items()}


def _whole(value):
    found = re.fullmatch(r"\s*(\d{1,9})(\.0*)?\s*", str(value))
    return int(found[1]) if found else 0
