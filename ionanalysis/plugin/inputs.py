"""The inputs of plugins, made from the files of a result directory."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.plugin.barcode_list import read_barcode_list
from ionanalysis.plugin.barcodes import BarcodeSources, barcodes_json
from ionanalysis.plugin.environment import find_reference
from ionanalysis.plugin.ion_params import reference_name
from ionanalysis.plugin.startplugin import PluginLaunch, ReportFacts, startplugin_json


def write_plugin_inputs(result_dir):
    """Write `startplugin.json` and `barcodes.json` into a result directory: what any plugin would get.

    Parameters
    ----------
    result_dir : path
        A result directory with `ion_params_00.json` and `basecaller_results/datasets_basecaller.json`.

    Returns
    -------
    paths : list of Path
    """
    result_dir = Path(result_dir).resolve()
    report = report_facts(result_dir)
    contents = {
        "startplugin.json": startplugin_json(report, PluginLaunch(result_id=next_result_id(result_dir))),
        "barcodes.json": barcodes_json(barcode_sources(result_dir, report.params)),
    }
    for name, content in contents.items():
        write_json(result_dir / name, content)
    return [result_dir / name for name in contents]


def report_facts(result_dir):
    """`ReportFacts` of a result directory. Its API key is a number made from the result: it opens nothing.

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
        api_key=hashlib.sha1(f"{result_dir}".encode(), usedforsecurity=False).hexdigest(),
        block_dirs=tuple(sorted(str(block) for block in result_dir.glob("block_X*_Y*") if block.is_dir())),
        folders=frozenset(folder.name for folder in result_dir.glob("*_results") if folder.is_dir()),
        on_disk={
            "Signal Processing Input": any(raw_dir.glob("**/acq_0000.dat")) if raw_dir.is_dir() else False,
            "Basecalling Input": any((result_dir / "sigproc_results").glob("**/1.wells")),
            "Output Files": any((result_dir / "basecaller_results").glob("*.bam")),
            "Intermediate Files": (result_dir / "basecaller_results" / "BaseCaller.json").exists(),
        },
    )


def barcode_sources(result_dir, params, *, block="", include_filtered=False, reference_library=None):
    """`BarcodeSources` of a result directory, or of one block of it.

    Parameters
    ----------
    result_dir : path
    params : dict
        Content of `ion_params_00.json`.
    block : str
        Name of a block, whose own reads count where it has any: those of the chip come later.
    include_filtered : bool
        Also give barcodes that were filtered.
    reference_library : path, optional
        Folder of reference genomes.

    Raises
    ------
    InputError
        If `datasets_basecaller.json` is missing or broken.
    """
    result_dir = Path(result_dir).resolve()
    places = [result_dir / f"block_{block}", result_dir] if block else [result_dir]
    paths = [place / "basecaller_results" / "datasets_basecaller.json" for place in places]
    path = next((path for path in paths if path.is_file()), paths[-1])
    datasets = read_json(path)
    if not isinstance(datasets, dict):
        raise InputError(f"{path}: must hold an object; run the basecaller stage again.")
    barcode_list = result_dir / "barcodeList.txt"
    return BarcodeSources(
        report_dir=str(path.parents[1]),
        params=params,
        datasets=datasets,
        barcode_set=read_barcode_list(barcode_list) if barcode_list.exists() else None,
        reference_paths={**_reference_paths(params, reference_library), **_aligned_to(result_dir)},
        include_filtered=include_filtered,
        is_aligned=path.parents[1] == result_dir,
    )


def _reference_paths(params, reference_library):
    """FASTA files of the references that a run names, where the library has them."""
    settings = params.get("experimentAnalysisSettings") or {}
    samples = settings.get("barcodedSamples") or {}
    infos = [
        info
        for sample in (samples.values() if isinstance(samples, dict) else ())
        for info in sample.get("barcodeSampleInfo", {}).values()
    ]
    names = {settings.get("reference"), params.get("referenceName"), *(info.get("reference") for info in infos)}
    found = {name: find_reference(reference_library, params.get("tmap_version", ""), name) for name in names if name}
    return {name: path for name, path in found.items() if path}


def _aligned_to(result_dir):
    """FASTA files that the reads of a result are aligned to, by their short names."""
    path = result_dir / "alignment.json"
    told = read_json(path) if path.exists() else {}
    fastas = [told.get("reference"), *(one.get("reference") for one in told.get("datasets", {}).values())]
    return {reference_name(fasta): fasta for fasta in fastas if fasta}


def read_primary_key(result_dir):
    """The number in `primary.key`, 1 where there is none."""
    try:
        found = re.match(r"\s*ResultsPK\s*=\s*(\d+)", (Path(result_dir) / "primary.key").read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        found = None
    return int(found[1]) if found else 1


def next_result_id(result_dir):
    """1 + the highest ID of the folders ``plugin_out/NAME_out.ID`` and the records ``plugin_jobs/ID.json``."""
    result_dir = Path(result_dir)
    names = [path.name for place in ("plugin_out/*_out.*", "plugin_jobs/*.json") for path in result_dir.glob(place)]
    ids = (re.search(r"(?:_out\.|^)(\d+)(?:\.json)?$", name) for name in names)
    return 1 + max((int(found[1]) for found in ids if found), default=0)


def raw_block_dir(raw_dir, block):
    """The raw directory of a block, "" without one: the original says `block_X0_Y0`, on disk it is `X0_Y0`
    (plugin.md 9.9)."""
    if not block:
        return ""
    candidates = (Path(raw_dir, f"block_{block}"), Path(raw_dir, block))
    return next((str(found) for found in candidates if found.is_dir()), "")
