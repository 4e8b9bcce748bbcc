"""`expMeta.dat` and the `expmeta` object of `startplugin.json` (plugin.md 1.6, 5.5)."""

import json


def expmeta_text(params, analysis_date):
    """Text of `expMeta.dat`: lines ``Key = value`` in the original's order.

    Parameters
    ----------
    params : dict
        Content of `ion_params_00.json`.
    analysis_date : str
        YYYY-MM-DD.
    """
    experiment = _experiment(params)
    flows = params.get("flows", experiment.get("flows", 0))
    lines = {
        "Run Name": params.get("expName", ""),
        "Run Date": experiment.get("date", ""),
        "Run Flows": flows,
        "Project": params.get("project", ""),
        "Sample": params.get("sample", ""),
        "Library": "N/A",
        "Reference": params.get("referenceName", ""),
        "Instrument": experiment.get("pgmName", ""),
        "Flow Order": params.get("flowOrder", ""),
        "Library Key": params.get("libraryKey", ""),
        "TF Key": params.get("tfKey", ""),
        "Chip Check": _chip_check(experiment),
        "Chip Type": params.get("chiptype", ""),
        "Chip Data": params.get("rawdatastyle", "single"),
        "Notes": experiment.get("notes", ""),
        "Barcode Set": params.get("barcodeId", ""),
        "End Barcode Set": params.get("endBarcodeKitName", ""),
        "Analysis Name": params.get("resultsName", ""),
        "Analysis Date": analysis_date,
        "Analysis Flows": flows,
        "runID": params.get("runid", ""),
    }
    return "".join(f"{key} = {_one_line(value)}\n" for key, value in lines.items())


def read_expmeta(text):
    """Values of `expMeta.dat` by key."""
    pairs = (line.partition(" = ") for line in text.splitlines())
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def expmeta(params, analysis_date):
    """The `expmeta` object of `startplugin.json`; every key is there."""
    experiment = _experiment(params)
    run_name = experiment.get("expName", "") or params.get("expName", "")
    results_name = params.get("resultsName", "")
    log = json_object(experiment.get("log"))
    return {
        "run_name": run_name,
        "run_date": experiment.get("date", ""),
        "run_flows": int(experiment.get("flows") or params.get("flows") or 0),
        "instrument": experiment.get("pgmName", ""),
        "chiptype": experiment.get("chipType", ""),
        "chipBarcode": experiment.get("chipBarcode", "") or log.get("chip_efuse", ""),
        "notes": experiment.get("notes"),
        "barcodeId": params.get("barcodeId", ""),
        "results_name": results_name,
        "flowOrder": params.get("flowOrder", ""),
        "project": params.get("project", ""),
        "sample": params.get("sample", ""),
        "runid": params.get("runid", ""),
        "output_file_name_stem": f"{run_name}_{results_name}",
        "analysis_date": analysis_date,
    }


def _experiment(params):
    return json_object(params.get("exp_json"))


def json_object(value):
    """An object that older files hold as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = {}
    return value if isinstance(value, dict) else {}


def _chip_check(experiment):
    """`Passed` unless the log says that the chip's calibration failed."""
    return (
        "Failed" if "fail" in str(json_object(experiment.get("log")).get("calibratepassed", "")).lower() else "Passed"
    )


def _one_line(value):
    return " ".join(str("" if value is None else value).split())
