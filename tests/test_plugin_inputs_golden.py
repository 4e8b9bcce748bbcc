"""The document's example files against ours, and what kinds of report, barcodes, reference and level change in them.

`tests/data/plugin_inputs/sdk_*.json` are the two examples of the SDK document, with its one value that is no JSON
(``"username": string``) as null. The tables below say in which keys a variant differs from them; every other key of
every variant must be the example's.
"""

import json
from itertools import product
from pathlib import Path

import pytest

from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.plugin.barcodes import BarcodeSources, barcodes_json
from ionanalysis.plugin.startplugin import PluginLaunch, ReportFacts, startplugin_json

DATA = Path(__file__).parent / "data" / "plugin_inputs"
REPORT = "/results/analysis/output/Disabled/Auto_user_CB1-42-r9723-314wfa-tl_36_001"
MANY = "/results/analysis/output/Local/with_many_samples_017"
RAW = "/results/PGM_test/cropped_CB1-42"
BLOCKS = tuple(f"{REPORT}/block_X{x}_Y{y}" for x in (0, 1288) for y in (0, 1332))
REFERENCES = {name: f"/results/referenceLibrary/tmap-f3/{name}/{name}.fasta" for name in ("hg19", "e_coli_dh10b")}

KINDS = ("wholechip", "thumbnail", "composite")
LEVELS = ("default", "block", "post")
CASES = list(product(KINDS, (False, True), (False, True), LEVELS))
IDS = [
    f"{kind}-{'barcoded' if barcoded else 'plain'}-{'aligned' if aligned else 'unaligned'}-{level}"
    for kind, barcoded, aligned, level in CASES
]


def example(name):
    return json.loads((DATA / f"sdk_{name}.json").read_text())


def params(kind, barcoded, aligned):
    """`ion_params_00.json` of the example's run."""
    reference = "e_coli_dh10b" if aligned else ""
    return {
        "exp_json": {
            "expName": "R_2011_04_07_12_44_38_user_CB1-42-r9723-314wfa-tl",
            "date": "2011-04-07T12:44:38Z",
            "flows": 260,
            "pgmName": "PGM_test",
            "chipType": '"314R"',
            "chipBarcode": "AA0026665",
            "notes": "",
            "sequencekitname": "IonPGM200Kit-v2",
        },
        "plan": {
            "planName": "CopyOfSystemDefault_R_2011_04_07_12_44_38_user_CB1-42-r9723-314wfa-tl",
            "runMode": "single",
            "runType": "GENS",
            "templatingKitName": "Ion PGM Template OT2 200 Kit",
        },
        "experimentAnalysisSettings": {
            "barcodeKitName": "IonXpress" if barcoded else "",
            "barcodedSamples": samples(reference and "hg19") if barcoded else {},
            "reference": reference,
            "libraryKitName": "Ion Xpress Plus Fragment Library Kit",
            "threePrimeAdapter": "ATCACCGACTGCCCATAGAGAGGCTGAGAC",
        },
        "resultsName": "Auto_user_CB1-42-r9723-314wfa-tl_36",
        "runid": "ZN2MB",
        "sample": "e5272-wfa-l165",
        "chiptype": '"314R"',
        "platform": "pgm",
        "flowOrder": "TACGTACGTCTGAGCATCGATCGATGTACAGC",
        "referenceName": reference or "none",
        "libraryKey": "TCAG",
        "tfKey": "ATCG",
        "barcodeId": "IonXpress" if barcoded else "",
        "sampleInfo": example("startplugin")["sampleinfo"],
        "project": "SampleData",
        "rawdatastyle": "single" if kind == "wholechip" else "tiled",
        "pathToData": f"{RAW}/thumbnail" if kind == "thumbnail" else RAW,
        "net_location": "http://ion-ts-vm",
        "url_path": "/output/Disabled/Auto_user_CB1-42-r9723-314wfa-tl_36_001",
        "username": "ionadmin",
        "tmap_version": "tmap-f3",
    }


def samples(reference):
    names = {"First Sample name": "IonXpress_001", "Second Sample Name": "IonXpress_033"}
    return {
        sample: {
            "barcodes": [barcode],
            "barcodeSampleInfo": {barcode: {"nucleotideType": "DNA", "reference": reference}},
        }
        for sample, barcode in names.items()
    }


def made_startplugin(kind, barcoded, aligned, level):
    report = ReportFacts(
        report_dir=REPORT,
        params=params(kind, barcoded, aligned),
        analysis_date="2015-09-02",
        api_key="9516e00c170496012b6df5810431aca7ac558163",
        block_dirs=BLOCKS if kind == "composite" else (),
        raw_block_dir=f"{RAW}/X0_Y1332" if level == "block" and kind == "composite" else "",
    )
    launch = PluginLaunch(
        name="FilterDuplicates",
        version="5.0.0.0",
        path="/results/plugins/FilterDuplicates",
        id=11,
        runtypes=("composite", "wholechip", "thumbnail"),
        level=level,
        block="X0_Y1332" if level == "block" else "",
        mode="manual",
        result_id=5,
    )
    return startplugin_json(report, launch)


def expected_startplugin(kind, barcoded, aligned, level):
    """The example, changed where a variant differs."""
    content = example("startplugin")
    run, told, plan = content["runinfo"], content["runplugin"], content["plan"]
    # Better than the document, whose code adds these or gives "." (plugin.md 5, 9.16, 9.18).
    content["chefSummary"] = {}
    content["expmeta"]["output_file_name_stem"] = (
        f"{content['expmeta']['run_name']}_{content['expmeta']['results_name']}"
    )
    plan |= {"applicationGroup_id": 1, "endBarcodeKitName": "", "sseBedFile": ""}
    run["plugin"] |= {"runlevels": run["plugin"]["runlevel"], "runtypes": run["plugin"]["runtype"]}
    told |= {"block_dirs": [REPORT], "run_type": kind, "runlevel": level}
    out = run["results_dir"]
    if kind == "composite":
        told |= {"block_dirs": list(BLOCKS), "numBlocks": len(BLOCKS)}
    if kind == "thumbnail":
        run["raw_data_dir"] += "/thumbnail"
    if level == "post":
        run["results_dir"] += "/post"
    if level == "block":
        told["blockId"] = "X0_Y1332"
        run["results_dir"] = out.replace("/plugin_out", "/block_X0_Y1332/plugin_out")
        for key in ("sigproc_dir", "basecaller_dir", "alignment_dir"):
            run[key] += "/block_X0_Y1332"
        run["raw_data_dir"] += "/X0_Y1332" if kind == "composite" else "/block_X0_Y1332"
    if barcoded:
        run["barcodeId"] = plan["barcodeId"] = content["expmeta"]["barcodeId"] = "IonXpress"
        plan["barcodedSamples"] = samples((aligned and "hg19") or "")
    if not aligned:
        run["library"] = "none"
    return content


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_startplugin_is_the_documents(case):
    assert made_startplugin(*case) == expected_startplugin(*case)


def made_barcodes(kind, barcoded, aligned, **more):
    counts = {"IonXpress_001": 20, "IonXpress_033": 231321, "IonXpress_034": 267041, "IonXpress_020": 12}
    groups = counts if barcoded else {"": 231321}
    names = {name: f"ZN2MB.{name}".rstrip(".") for name in groups}
    content = params(kind, barcoded, aligned)
    if barcoded and aligned:
        content["experimentAnalysisSettings"]["reference"] = "hg19"
    return barcodes_json(
        BarcodeSources(
            report_dir=MANY,
            params=content,
            datasets={
                "datasets": [
                    {"file_prefix": f"{name}_rawlib".lstrip("_"), "read_groups": [names[name]], "read_count": count}
                    for name, count in groups.items()
                ],
                "read_groups": {
                    names[name]: {"read_count": count, "filtered": name == "IonXpress_020"}
                    for name, count in groups.items()
                },
            },
            barcode_set=open_barcode_set("IonXpress") if barcoded else None,
            reference_paths=REFERENCES,
            **more,
        )
    )


LATER_KEYS = {"control_type": "", "reference_full_name": "", "sse_filepath": ""}
"""Keys that came after the document."""

END_KEYS = dict.fromkeys(
    [f"end_barcode_{part}" for part in ("kit_name", "name", "index", "adapter", "sequence", "annotation", "type")]
    + ["dual_barcode_name"],
    "",
)


def unaligned(entry):
    name = entry["bam_file"].removesuffix(".bam") + ".basecaller.bam"
    empty = dict.fromkeys(("reference", "reference_fullpath", "genome_urlpath"), "")
    return {**entry, **empty, "aligned": False, "bam_file": name, "bam_filepath": f"{MANY}/basecaller_results/{name}"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "unaligned"])
def test_barcodes_are_the_documents(kind, aligned):
    expected = {name: {**entry, **LATER_KEYS, **END_KEYS} for name, entry in example("barcodes").items()}
    if not aligned:
        expected = {name: unaligned(entry) for name, entry in expected.items()}
    made = made_barcodes(kind, True, aligned)
    assert made == expected
    assert list(made) == ["IonXpress_001", "IonXpress_033", "IonXpress_034"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "unaligned"])
def test_a_run_without_barcodes_has_one_entry(kind, aligned):
    entry = {
        "aligned": True,
        "bam_file": "rawlib.bam",
        "bam_filepath": f"{MANY}/rawlib.bam",
        "control_sequence_type": "",
        "filtered": False,
        "genome_urlpath": "/auth/output/tmap-f3/e_coli_dh10b/e_coli_dh10b.fasta",
        "hotspot_filepath": "",
        "nucleotide_type": "",
        "read_count": 231321,
        "reference": "e_coli_dh10b",
        "reference_fullpath": REFERENCES["e_coli_dh10b"],
        "sample": "e5272-wfa-l165",
        "sample_id": "",
        "target_region_filepath": "",
        **LATER_KEYS,
    }
    assert made_barcodes(kind, False, aligned) == {"nonbarcoded": entry if aligned else unaligned(entry)}


@pytest.mark.parametrize("kind", KINDS)
def test_filtered_barcodes_come_on_request(kind):
    made = made_barcodes(kind, True, True, include_filtered=True)
    assert {name: entry["filtered"] for name, entry in made.items()} == {
        "IonXpress_001": False,
        "IonXpress_020": True,
        "IonXpress_033": False,
        "IonXpress_034": False,
    }
    assert not made["IonXpress_020"]["aligned"]


@pytest.mark.parametrize("mode", ["manual", "pipeline"])
@pytest.mark.parametrize("order", ["sdk", "ts"])
def test_which_configuration_goes_first(mode, order):
    """The table of plugin.md 4.1: each configuration is taken away once it has been seen."""
    asked = {
        ("manual", "sdk"): ["instance", "global", "file"],
        ("manual", "ts"): ["instance", "global", "plan", "file"],
        ("pipeline", "sdk"): ["plan", "global", "file"],
        ("pipeline", "ts"): ["global", "plan", "file"],
    }[mode, order]
    fields = {"instance": "instance_config", "global": "global_config", "plan": "plan_input", "file": "file_config"}
    given = {fields[name]: {"from": name} for name in fields}
    seen = []
    while config := PluginLaunch(name="P", mode=mode, config_order=order, **given).config:
        seen.append(config["from"])
        del given[fields[config["from"]]]
    assert seen == asked
