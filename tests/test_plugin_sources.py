"""Plugins written for Torrent Suite, unmodified (plugin.md 8.3, candidates 1 to 3; 4 to 10 need programs of others).

Their sources are not ours to ship: ``make test-plugins PLUGIN_SOURCES=FOLDER`` runs these tests on a folder that holds
them, such as the folder ``plugin`` of Torrent Suite's repository. Everywhere else they are skipped.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ionanalysis.plugin.inputs import write_plugin_inputs
from ionanalysis.plugin.inspection import inspect_plugin
from ionanalysis.plugin.interpreter import python_path
from ionanalysis.plugin.startplugin import PluginLaunch

SOURCES = os.environ.get("PLUGIN_SOURCES")

pytestmark = pytest.mark.skipif(
    not SOURCES, reason="needs the sources of others' plugins: make test-plugins PLUGIN_SOURCES=FOLDER"
)

TYPES = ("composite", "thumbnail", "wholechip")

EXPECTED = {
    "coverageAnalysis": {"version": "5.18.0.2", "runlevels": ["default"], "major_block": True},
    "sampleID": {"version": "5.18.0.2", "runlevels": ["default"], "major_block": True},
    "ampliSeqRNA": {"version": "5.18.0.0", "runlevels": ["default"], "major_block": True},
    "immuneResponseRNA": {"version": "5.18.0.0", "runlevels": ["default"], "major_block": True},
    "ERCC_Analysis": {"version": "5.18.0.0", "runlevels": ["default"]},
    "molecularCoverageAnalysis": {
        "version": "5.18.0.0",
        "runlevels": ["default"],
        "major_block": True,
        "requires_configuration": True,
    },
    "variantCaller": {"version": "5.18.0.0", "runlevels": [], "requires_configuration": True},
    "PGxAnalysis": {"version": "5.18.0.0", "runlevels": ["last"], "depends": ["coverageAnalysis", "variantCaller"]},
    "FileExporter": {"version": "5.18.0.0", "runlevels": ["last"]},
    "DataExport": {"version": "5.18.0.0", "runlevels": ["last"], "requires_configuration": True},
    "FilterDuplicates": {"version": "5.18.0.0", "runlevels": []},
    "RunTransfer": {"version": "5.18.0.0", "runlevels": [], "runtypes": ["composite", "wholechip"]},
    "FieldSupport": {"version": "5.18.1.0", "runlevels": ["last"], "runtypes": ["thumbnail", "wholechip"]},
    "autoCal": {"version": "2.1.1", "runlevels": [], "runtypes": ["thumbnail", "wholechip"]},
    "ValkyrieWorkflow": {"version": "1.1.32", "runlevels": [], "runtypes": []},
    "NucStepSpatialV2": {"version": "1.13.0", "runlevels": [], "runtypes": ["thumbnail"]},
}
"""plugin.md 8.4; what is not said: all run types, no features, no dependencies, both flags false."""


def plugin_folder(name):
    """The folder of a plugin anywhere below the sources."""
    found = sorted(path.parent for path in Path(SOURCES).rglob(f"{name}.py") if path.parent.name == name)
    if not found:
        pytest.skip(f"{name} is not below {SOURCES}")
    return found[0]


@pytest.mark.parametrize("name", EXPECTED)
def test_introspection(name):
    info = inspect_plugin(plugin_folder(name)).to_json()
    expected = {
        "name": name,
        "runtypes": list(TYPES),
        "features": [],
        "depends": [],
        "major_block": False,
        "requires_configuration": False,
        **EXPECTED[name],
    }
    found = {key: info[key] for key in expected}
    for lists in (found, expected):
        for key in ("runtypes", "depends"):
            lists[key] = sorted(lists[key])
    assert found == expected


def asked(name, expression, tmp_path):
    """An expression on an instance `plugin`, evaluated in a plugin process."""
    folder = plugin_folder(name)
    program = (
        f"import json, sys\nsys.path.insert(0, {str(folder)!r})\nimport {name}\n"
        f"plugin = {name}.{name}()\nprint(json.dumps({expression}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": python_path(), "DIRNAME": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_columns_of_ampliseq_rna(tmp_path):
    columns = asked("ampliSeqRNA", "plugin.barcodetable_columns()", tmp_path)
    assert [(column["field"], column["editable"]) for column in columns] == [
        ("selected", True),
        ("barcode_name", False),
        ("sample", False),
    ]


@pytest.mark.parametrize(
    ("name", "configuration", "mode", "n_messages"),
    [
        ("molecularCoverageAnalysis", {"planLibType": "AMPS"}, "pipeline", 2),
        ("molecularCoverageAnalysis", {"planLibType": "TAG_SEQUENCING"}, "pipeline", 0),
        ("molecularCoverageAnalysis", {"planLibType": "AMPS"}, "manual", 0),
        ("variantCaller", {"meta": {}}, "pipeline", 3),
    ],
)
def test_validation(tmp_path, name, configuration, mode, n_messages):
    messages = asked(name, f"plugin.custom_validation({configuration!r}, {mode!r})", tmp_path)
    assert len(messages) == n_messages


@pytest.fixture
def report(tmp_path):
    """A report of one aligned file without barcodes, chip 540, run name ``run``; (directory, raw directory)."""
    import pysam

    raw, root = tmp_path / "raw", tmp_path / "report"
    for folder in (raw, root / "basecaller_results", root / "sigproc_results"):
        folder.mkdir(parents=True)
    header = {"HD": {"VN": "1.4", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": 100}]}
    with pysam.AlignmentFile(root / "rawlib.bam", "wb", header=header) as bam:
        read = pysam.AlignedSegment(bam.header)
        read.query_name, read.flag, read.query_sequence = "RUN01:1:2", 0, "ACGT"
        read.reference_id, read.reference_start, read.cigarstring, read.mapping_quality = 0, 3, "4M", 9
        read.query_qualities = [30] * 4
        bam.write(read)
    pysam.index(str(root / "rawlib.bam"))
    params = {
        "exp_json": {"expName": "run", "chipType": "540", "log": {}},
        "expName": "run",
        "resultsName": "result",
        "plan": {"planName": "plan", "runType": "GENS"},
        "reverse_primer_dict": {"name": "Ion Kit", "sequence": "ATCACCGACTGCCCATAGAGAGGCTGAGAC"},
        "experimentAnalysisSettings": {"barcodeKitName": "", "reference": "ref"},
        "pathToData": str(raw),
        "chiptype": "540",
        "platform": "S5",
        "referenceName": "ref",
        "flows": 16,
        "flowOrder": "TACG",
    }
    (root / "ion_params_00.json").write_text(json.dumps(params))
    datasets = {
        "datasets": [
            {
                "file_prefix": "rawlib",
                "basecaller_bam": "rawlib.basecaller.bam",
                "read_groups": ["RUN01"],
                "dataset_name": "a",
                "read_count": 1,
            }
        ],
        "read_groups": {"RUN01": {"read_count": 1, "filtered": False, "sample": "S"}},
    }
    (root / "basecaller_results/datasets_basecaller.json").write_text(json.dumps(datasets))
    return root, raw


def launch(name, root, **config):
    folder = plugin_folder(name)
    results = root / "plugin_out" / f"{name}_out.1"
    results.mkdir(parents=True)
    started = PluginLaunch(name=name, path=str(folder), instance_config=config, mode="manual")
    write_plugin_inputs(root, started, out_dir=results)
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "DIRNAME": str(folder),
        "ANALYSIS_DIR": str(root),
        "RESULTS_DIR": str(results),
        "TSP_URLPATH_PLUGIN_DIR": f"/output/report/plugin_out/{name}_out.1",
    }
    script = folder / f"{name}.py"
    done = subprocess.run(
        [sys.executable, "-u", str(script), "-vv"], cwd=results, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return results


def test_file_exporter(report):
    root, _ = report
    results = launch(
        "FileExporter",
        root,
        bamCreate="on",
        fastqCreate="on",
        zipBAM="on",
        zipFASTQ="on",
        compressedType="zip",
        select_dialog=["run_name", "chiptype"],
        delimiter_select="_",
    )
    assert (results / "run_540.bam").resolve() == root / "rawlib.bam" and (results / "run_540.bam.bai").exists()
    assert (results / "run_540.fastq").read_text() == "@RUN01:1:2\nACGT\n+\n????\n"
    with zipfile.ZipFile(results / "run_540.zip") as archive:
        names = sorted(archive.namelist())
    assert names == ["run_540/run_540.bam", "run_540/run_540.bam.bai", "run_540/run_540.fastq"]
    assert "run_540.zip" in (results / "FileExporter_block.html").read_text()
    assert any((root / "plugin_out/downloads").iterdir())


def test_auto_cal(report):
    root, raw = report
    # An S5 log in the form of plugin.md 1.6; what autoCal wants besides is known from its source only.
    lines = ["Experiment Name: run", "Platform: S5", "ChipType: 540", "Rows: 10656", "Columns: 15456", "Flows: 16"]
    lines += ["Start Time: 01/02/2026 10:00:00", "End Time: 01/02/2026 12:30:00", "Image Map: TACG"]
    lines += ["ExperimentInfoLog: "]
    lines += [
        f"\tacq_{flow:04d}.dat: Pressure=10.5 10.4 Temp=40.0 41.0 42.0 43.0 dac_start_sig=2000 FlowTime=20.0"
        for flow in range(16)
    ]
    for name in ("explog.txt", "explog_final.txt"):
        (raw / name).write_text("\n".join([*lines, "ExpLog_Done", ""]))
    results = launch("autoCal", root)
    assert (results / "autoCal.html").exists() and (results / "autoCal_block.html").exists()
    found = json.loads((results / "results.json").read_text())
    assert (found["Platform"], found["Rows"], found["run_time"]) == ("S5", 10656, 2.5)
