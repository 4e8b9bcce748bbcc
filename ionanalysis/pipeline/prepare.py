"""What a result directory holds before its first stage: parameters, experiment metadata, barcode list, folders."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis.errors import InputError, OutputError
from ionanalysis.io.atomic import whole_file, write_whole
from ionanalysis.io.jsonfile import write_json
from ionanalysis.options.calibration import ReferenceOptions
from ionanalysis.pipeline.datasets import datasets_pipeline
from ionanalysis.pipeline.references import RunReferences
from ionanalysis.plugin.barcode_list import barcode_list_text
from ionanalysis.plugin.expmeta import expmeta_text
from ionanalysis.plugin.ion_params import AnalysisRequest, ion_params

FOLDERS = ("sigproc_results", "basecaller_results", "download_links", "plugin_out")
LOGS = ("explog.txt", "explog_final.txt", "explog.json", "explog_final.json")


def make_folders(result_dir):
    """Make the result directory and its folders.

    Raises
    ------
    OutputError
        If that is not possible.
    """
    try:
        for folder in FOLDERS:
            (result_dir / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{result_dir}: cannot be made ({error.strerror}); choose another place.") from error
    if not os.access(result_dir, os.W_OK):
        raise OutputError(f"{result_dir}: cannot be written; change its rights or choose another place.")


def prepare_result(request, facts, barcode_set):
    """Write all that is known before the first stage (plugin.md 1.4 to 1.6). Files that would not change stay."""
    result_dir, references = request.result_dir, RunReferences.of_options(request.option(ReferenceOptions))
    unknown = set(references.by_barcode) - {barcode.name for barcode in barcode_set or ()}
    if unknown:
        table = request.option(ReferenceOptions).barcode_references
        raise InputError(
            f"{table}: {min(unknown)} is no barcode of this run; correct it, or name its set (--barcodes)."
        )
    asked = AnalysisRequest(
        results_name=result_dir.name,
        previous_report=_previous_report(request),
        barcode_set=barcode_set,
        adapter=_adapter(request),
        reference=references.default or "",
        references=references.by_barcode,
    )
    params = ion_params(facts, asked)
    _write_json_if_new(result_dir / "ion_params_00.json", params)
    started = datetime.fromtimestamp((result_dir / "ion_params_00.json").stat().st_mtime, UTC)
    write_whole(result_dir / "expMeta.dat", expmeta_text(params, started.strftime("%Y-%m-%d")))
    if not (result_dir / "primary.key").exists():
        write_whole(result_dir / "primary.key", "ResultsPK = 1\n")
    _copy_logs(Path(facts.raw_dir), request.run_dir, result_dir)
    datasets_path = result_dir / "basecaller_results" / "datasets_pipeline.json"
    if barcode_set:
        write_whole(result_dir / "barcodeList.txt", barcode_list_text(barcode_set))
    else:
        (result_dir / "barcodeList.txt").unlink(missing_ok=True)
    created = started.strftime("%Y-%m-%dT%H:%M:%S")
    write_json(datasets_path, datasets_pipeline(params, facts.run_id, barcode_set, created=created))
    return params


def _previous_report(request):
    """Where the wells come from; empty if this result has made them itself, in this call or an earlier one."""
    wells = request.result_dir / "sigproc_results" / "1.wells"
    is_own = request.first in ("beadfind", "sigproc") or (wells.is_file() and not wells.is_symlink())
    return "" if is_own else str(request.run_dir)


def _adapter(request):
    """The first bead adapter that the options name."""
    for options in request.options:
        adapters = getattr(options, "trim_adapter", None)
        if adapters and adapters[0] != "off":
            return adapters[0]
    return AnalysisRequest.adapter


def _write_json_if_new(path, content):
    """Write `content` unless the file holds it already: its time stamp is the analysis date."""
    try:
        if json.loads(path.read_text("utf-8")) == json.loads(json.dumps(content)):
            return
    except (OSError, ValueError):
        pass
    write_json(path, content)


def _copy_logs(raw_dir, run_dir, result_dir):
    """Copy the run's logs from the raw directory, for a block or a thumbnail from the one above it."""
    for name in LOGS:
        places = (raw_dir / name, run_dir / name, raw_dir.parent / name if _is_part(raw_dir) else raw_dir / name)
        found = next((place for place in places if place.is_file()), None)
        if found and found.resolve() != (result_dir / name).resolve():
            with whole_file(result_dir / name) as temporary:
                shutil.copyfile(found, temporary)


def _is_part(raw_dir):
    return raw_dir.name == "thumbnail" or raw_dir.name.startswith("X")
