"""Small result directories and plugins, for tests of what launches plugins."""

import json
from dataclasses import dataclass
from pathlib import Path

from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.plugin.barcode_list import barcode_list_text
from ionanalysis.plugin.ion_params import AnalysisRequest, RunFacts, ion_params


def make_result(folder, *, kind="wholechip", barcoded=False, blocks=(), reference="", **params):
    """A result directory as the pipeline leaves it, without reads.

    Parameters
    ----------
    folder : Path
    kind : str
        `wholechip`, `thumbnail` or `composite`.
    blocks : sequence of str
        Names such as ``X0_Y0``.
    """
    raw = folder / "raw" / "thumbnail" if kind == "thumbnail" else folder / "raw"
    result = folder / "result"
    for place in (raw, result / "sigproc_results", result / "basecaller_results"):
        place.mkdir(parents=True)
    for block in blocks:
        for place in (raw / block, result / f"block_{block}", result / "sigproc_results" / f"block_{block}"):
            place.mkdir()
    (raw / "explog_final.txt").write_text("Project: Soil\nSample: One\n")
    barcodes = open_barcode_set("IonXpress") if barcoded else None
    facts = RunFacts(
        raw_dir=str(raw), run_id="ABCDE", n_flows=40, chip="520", tiled=kind != "wholechip", log={"project": "Soil"}
    )
    content = ion_params(facts, AnalysisRequest(results_name="Auto_1", barcode_set=barcodes))
    content["tmap_version"] = "tmap-f3" if reference else ""
    content["experimentAnalysisSettings"]["reference"] = reference
    content["referenceName"] = reference or "none"
    content |= params
    (result / "ion_params_00.json").write_text(json.dumps(content))
    if barcodes:
        (result / "barcodeList.txt").write_text(barcode_list_text(barcodes))
    names = [f"ABCDE.IonXpress_00{n}" for n in (1, 2)] + ["ABCDE.nomatch"] if barcoded else ["ABCDE"]
    datasets = {
        "datasets": [
            {
                "dataset_name": name,
                "file_prefix": f"{name.partition('.')[2]}_rawlib".lstrip("_"),
                "read_groups": [name],
                "read_count": 7,
            }
            for name in names
        ],
        "read_groups": {name: {"read_count": 7, "filtered": name.endswith("2"), "sample": "none"} for name in names},
    }
    (result / "basecaller_results" / "datasets_basecaller.json").write_text(json.dumps(datasets))
    return result


@dataclass(frozen=True, kw_only=True)
class ShellPlugin:
    """A `launch.sh` plugin as inspection would describe it."""

    name: str
    path: Path
    version: str = "1.0.0.0"
    runlevels: tuple = ()
    runtypes: tuple = ()
    features: tuple = ()
    depends: tuple = ()
    major_block: bool = False
    requires_configuration: bool = False


def shell_plugin(root, name, lines, **facts):
    """Write a `launch.sh` plugin below `root`."""
    folder = Path(root) / name
    folder.mkdir(parents=True)
    (folder / "launch.sh").write_text(f'#!/bin/bash\nVERSION="1.0.0.0"\n{lines}\n')
    return ShellPlugin(name=name, path=folder, **facts)
