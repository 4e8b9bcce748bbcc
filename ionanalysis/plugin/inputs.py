"""The inputs of plugins, made from the files of a result directory."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.plugin.barcode_list import read_barcode_list
from ionanalysis.plugin.barcodes import BarcodeSources, barcodes_json
from ionanalysis.plugin.startplugin import PluginLaunch, ReportFacts, startplugin_json


def write_plugin_inputs(result_dir, launch=None, *, out_dir=None, api_key=None):
    """Write `startplugin.json` and `barcodes.json`.

    Parameters
    ----------
    result_dir : path
        A result directory with `ion_params_00.json` and `basecaller_results/datasets_basecaller.json`.
    launch : PluginLaunch, optional
        Without one, what any plugin would get.
    out_dir : path, optional
        Where they are written; the result directory by default.
    api_key : str, optional
        Key for the REST API. Without a server, a number made from the result: it opens nothing.

    Returns
    -------
    paths : list of Path
    """
    result_dir = Path(result_dir).resolve()
    out_dir = Path(out_dir) if out_dir else result_dir
    report = report_facts(result_dir, launch, api_key=api_key)
    contents = {
        "startplugin.json": startplugin_json(report, launch or PluginLaunch(result_id=next_result_id(result_dir))),
        "barcodes.json": barcodes_json(barcode_sources(result_dir, report.params)),
    }
    for name, content in contents.items():
        write_json(out_dir / name, content)
    return [out_dir / name for name in contents]


def report_facts(result_dir, launch=None, *, api_key=None):
    """`ReportFacts` of a result directory.

    Raises
    ------
    InputError
        If `ion_params_00.json` is missing or is not an object.
    """
    result_dir = Path(result_dir).resolve()
    path = result_dir / "ion_params_00.json"
    params = read_json(path)
    if not isinstance(params, dict):
        raise InputError(f"{path}: must hold an object; run the analysis again.")
    raw_dir = Path(str(params.get("pathToData", "")))
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return ReportFacts(
        report_dir=str(result_dir),
        params=params,
        analysis_date=changed.strftime("%Y-%m-%d"),
        pk=read_primary_key(result_dir),
        api_key=api_key or hashlib.sha1(f"{result_dir}".encode(), usedforsecurity=False).hexdigest(),
        block_dirs=tuple(sorted(str(block) for block in result_dir.glob("block_X*_Y*") if block.is_dir())),
        folders=frozenset(folder.name for folder in result_dir.glob("*_results") if folder.is_dir()),
        on_disk={
            "Signal Processing Input": any(raw_dir.glob("**/acq_0000.dat")) if raw_dir.is_dir() else False,
            "Basecalling Input": any((result_dir / "sigproc_results").glob("**/1.wells")),
            "Output Files": any((result_dir / "basecaller_results").glob("*.bam")),
            "Intermediate Files": (result_dir / "basecaller_results" / "BaseCaller.json").exists(),
        },
        raw_block_dir=_raw_block_dir(raw_dir, launch),
    )


def barcode_sources(result_dir, params):
    """`BarcodeSources` of a result directory.

    Raises
    ------
    InputError
        If `datasets_basecaller.json` is missing or broken.
    """
    result_dir = Path(result_dir).resolve()
    path = result_dir / "basecaller_results" / "datasets_basecaller.json"
    datasets = read_json(path)
    if not isinstance(datasets, dict):
        raise InputError(f"{path}: must hold an object; run the basecaller stage again.")
    barcode_list = result_dir / "barcodeList.txt"
    return BarcodeSources(
        report_dir=str(result_dir),
        params=params,
        datasets=datasets,
        barcode_set=read_barcode_list(barcode_list) if barcode_list.exists() else None,
    )


def read_primary_key(result_dir):
    """The number in `primary.key`, 1 where there is none."""
    try:
        found = re.match(r"\s*ResultsPK\s*=\s*(\d+)", (Path(result_dir) / "primary.key").read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        found = None
    return int(found[1]) if found else 1


def next_result_id(result_dir):
    """1 + the highest ID of the folders ``plugin_out/NAME_out.ID``."""
    ids = (re.search(r"_out\.(\d+)$", folder.name) for folder in Path(result_dir).glob("plugin_out/*_out.*"))
    return 1 + max((int(found[1]) for found in ids if found), default=0)


def _raw_block_dir(raw_dir, launch):
    """The raw directory of a block: the original says `block_X0_Y0`, on disk it is `X0_Y0` (plugin.md 9.9)."""
    if launch is None or launch.level != "block":
        return ""
    candidates = (raw_dir / f"block_{launch.block}", raw_dir / launch.block)
    return next((str(found) for found in candidates if found.is_dir()), "")
