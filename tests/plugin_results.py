"""Small result directories and plugins, for tests of what launches plugins."""

import json
from pathlib import Path

from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.plugin.barcode_list import barcode_list_text
from ionanalysis.plugin.info import PluginInfo
from ionanalysis.plugin.ion_params import AnalysisRequest, RunFacts, ion_params
from ionanalysis.plugin.records import PluginRecord


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


def shell_plugin(root, name, lines, *, config=None, **facts):
    """Write a `launch.sh` plugin below `root`; its record as an installation would make it."""
    folder = Path(root) / name
    folder.mkdir(parents=True)
    (folder / "launch.sh").write_text(f'#!/bin/bash\nVERSION="1.0.0.0"\n{lines}\n')
    return record_of(folder, "launch.sh", config=config, **facts)


def python_plugin(root, name, source, *, config=None, tier="compat", **facts):
    """The same for a `NAME.py`."""
    folder = Path(root) / name
    folder.mkdir(parents=True)
    (folder / f"{name}.py").write_text(source)
    return record_of(folder, f"{name}.py", config=config, tier=tier, **facts)


def record_of(folder, script, *, config=None, tier="compat", **facts):
    info = PluginInfo(name=folder.name, path=folder, script=folder / script, **{"version": "1.0.0.0", **facts})
    # Numbers are those of a root into which plugins were put one after the other.
    return PluginRecord(id=len(list(folder.parent.iterdir())), info=info, active=True, config=config, tier=tier)
