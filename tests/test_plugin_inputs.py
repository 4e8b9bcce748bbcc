"""startplugin.json and barcodes.json against the document's worked examples (plugin.md 5.8)."""

import json

import pytest

from ionanalysis.errors import InputError
from ionanalysis.io.barcode_set import open_barcode_set, shipped_sets
from ionanalysis.plugin.barcode_list import barcode_list_text, read_barcode_list
from ionanalysis.plugin.barcodes import BarcodeSources, barcodes_json
from ionanalysis.plugin.inputs import next_result_id, read_primary_key, write_plugin_inputs
from ionanalysis.plugin.ion_params import AnalysisRequest, RunFacts, ion_params
from ionanalysis.plugin.startplugin import PluginLaunch, ReportFacts, startplugin_json

MANY = "/results/analysis/output/Local/with_many_samples_017"
REPORT = "/results/analysis/output/Home/Auto_user_CB1-42-r9723-314wfa-tl_36_001"
RUN_NAME = "R_2011_04_07_12_44_38_user_CB1-42-r9723-314wfa-tl"
RESULTS_NAME = "Auto_user_CB1-42-r9723-314wfa-tl_36"
HG19 = "/results/referenceLibrary/tmap-f3/hg19/hg19.fasta"
END_BARCODE_KEYS = {
    f"end_barcode_{part}" for part in ("kit_name", "name", "index", "adapter", "sequence", "annotation", "type")
} | {"dual_barcode_name"}


def read_group(barcode, reads, **more):
    return {"read_count": reads, "filtered": False, "sample": "none", "barcode_name": barcode, **more}


def many_samples(reference="hg19", **more):
    """The barcoded example: a named sample of 20 reads, one without sample, one filtered, no match."""
    info = {"nucleotideType": "DNA", "reference": reference}
    params = {
        "referenceName": reference,
        "barcodeId": "IonXpress",
        "tmap_version": "tmap-f3",
        "sampleInfo": {"First Sample name": {"externalId": ""}},
        "experimentAnalysisSettings": {
            "barcodeKitName": "IonXpress",
            "reference": reference,
            "barcodedSamples": {
                "First Sample name": {"barcodes": ["IonXpress_001"], "barcodeSampleInfo": {"IonXpress_001": info}}
            },
        },
    }
    reads = {"IonXpress_034": 267041, "nomatch": 911, "IonXpress_020": 12, "IonXpress_001": 20}
    datasets = {
        "datasets": [
            {"file_prefix": f"{name}_rawlib", "read_groups": [f"ABCDE.{name}"], "read_count": count}
            for name, count in reads.items()
        ],
        "read_groups": {f"ABCDE.{name}": read_group(name, count) for name, count in reads.items()},
    }
    datasets["read_groups"]["ABCDE.IonXpress_020"]["filtered"] = True
    return BarcodeSources(
        report_dir=MANY,
        params=params,
        datasets=datasets,
        barcode_set=open_barcode_set("IonXpress"),
        reference_paths={"hg19": HG19},
        **more,
    )


def test_the_barcoded_example_of_the_document():
    entries = barcodes_json(many_samples())
    first = entries["IonXpress_001"]
    assert {key: first[key] for key in first if key not in END_BARCODE_KEYS} == {
        "aligned": True,
        "bam_file": "IonXpress_001_rawlib.bam",
        "bam_filepath": f"{MANY}/IonXpress_001_rawlib.bam",
        "barcode_adapter": "GAT",
        "barcode_annotation": "",
        "barcode_description": "",
        "barcode_index": 1,
        "barcode_name": "IonXpress_001",
        "barcode_sequence": "CTAAGGTAAC",
        "barcode_type": "",
        "control_sequence_type": "",
        "control_type": "",
        "filtered": False,
        "genome_urlpath": "/auth/output/tmap-f3/hg19/hg19.fasta",
        "hotspot_filepath": "",
        "nucleotide_type": "DNA",
        "read_count": 20,
        "reference": "hg19",
        "reference_full_name": "",
        "reference_fullpath": HG19,
        "sample": "First Sample name",
        "sample_id": "",
        "sse_filepath": "",
        "target_region_filepath": "",
    }
    second = entries["IonXpress_034"]
    assert (second["barcode_index"], second["nucleotide_type"], second["read_count"], second["sample"]) == (
        34,
        "",
        267041,
        "",
    )


def test_barcodes_come_by_index_without_filtered_ones_and_without_no_match():
    assert list(barcodes_json(many_samples())) == ["IonXpress_001", "IonXpress_034"]


def test_filtered_barcodes_come_on_request_and_are_not_aligned():
    entry = barcodes_json(many_samples(include_filtered=True))["IonXpress_020"]
    assert (entry["filtered"], entry["aligned"], entry["bam_file"]) == (
        True,
        False,
        "IonXpress_020_rawlib.basecaller.bam",
    )


@pytest.mark.parametrize("reference", ["", "none"])
def test_without_a_reference_the_unaligned_file_is_given(reference):
    entry = barcodes_json(many_samples(reference))["IonXpress_001"]
    assert not entry["aligned"]
    assert [entry[key] for key in ("reference", "reference_fullpath", "genome_urlpath")] == ["", "", ""]
    assert entry["bam_filepath"] == f"{MANY}/basecaller_results/IonXpress_001_rawlib.basecaller.bam"


def test_every_entry_has_every_key():
    entries = barcodes_json(many_samples())
    assert set(entries["IonXpress_001"]) == set(entries["IonXpress_034"]) > END_BARCODE_KEYS


def test_a_samples_own_targets_silence_the_runs_error_motifs():
    sources = many_samples()
    settings = sources.params["experimentAnalysisSettings"]
    settings.update(targetRegionBedFile="/run.bed", sseBedFile="/run.sse")
    own = settings["barcodedSamples"]["First Sample name"]["barcodeSampleInfo"]["IonXpress_001"]
    own["targetRegionBedFile"] = "/own.bed"
    entries = barcodes_json(sources)
    paths = {name: (entry["target_region_filepath"], entry["sse_filepath"]) for name, entry in entries.items()}
    assert paths == {"IonXpress_001": ("/own.bed", ""), "IonXpress_034": ("/run.bed", "/run.sse")}


def test_a_read_group_that_is_not_described_is_an_error():
    sources = many_samples()
    del sources.datasets["read_groups"]["ABCDE.IonXpress_001"]
    with pytest.raises(InputError, match=r"names read group 'ABCDE\.IonXpress_001"):
        barcodes_json(sources)


def pgm_run():
    """The parameters of the document's 314 run."""
    params = ion_params(
        RunFacts(
            raw_dir="/results/PGM_test/cropped_CB1-42",
            run_id="ZN2MB",
            flow_order="TACGTACGTCTGAGCATCGATCGATGTACAGC",
            n_flows=260,
            chip="314R",
            log={
                "experiment_name": RUN_NAME,
                "start_time": "04/07/2011 12:44:38",
                "project": "SampleData",
                "sample": "e5272-wfa-l165",
                "devicename": "PGM_test",
                "chipbarcode": "AA0026665",
                "platform": "pgm",
            },
        ),
        AnalysisRequest(results_name=RESULTS_NAME),
    )
    settings = {**params["experimentAnalysisSettings"], "reference": "e_coli_dh10b"}
    return params | {
        "referenceName": "e_coli_dh10b",
        "tmap_version": "tmap-f3",
        "url_path": f"/output/Home/{RESULTS_NAME}_001",
        "net_location": "http://ion-ts-vm",
        "plan": {"runType": "GENS"},
        "experimentAnalysisSettings": settings,
    }


def test_the_example_without_barcodes():
    sources = BarcodeSources(
        report_dir=REPORT,
        params=pgm_run(),
        datasets={
            "datasets": [
                {"file_prefix": "rawlib", "read_groups": ["ZN2MB"], "basecaller_bam": "rawlib.basecaller.bam"}
            ],
            "read_groups": {"ZN2MB": {"read_count": 231321}},
        },
        reference_paths={"e_coli_dh10b": "/results/referenceLibrary/tmap-f3/e_coli_dh10b/e_coli_dh10b.fasta"},
    )
    assert barcodes_json(sources) == {
        "nonbarcoded": {
            "aligned": True,
            "bam_file": "rawlib.bam",
            "bam_filepath": f"{REPORT}/rawlib.bam",
            "control_sequence_type": "",
            "control_type": "",
            "filtered": False,
            "genome_urlpath": "/auth/output/tmap-f3/e_coli_dh10b/e_coli_dh10b.fasta",
            "hotspot_filepath": "",
            "nucleotide_type": "",
            "read_count": 231321,
            "reference": "e_coli_dh10b",
            "reference_full_name": "",
            "reference_fullpath": "/results/referenceLibrary/tmap-f3/e_coli_dh10b/e_coli_dh10b.fasta",
            "sample": "e5272-wfa-l165",
            "sample_id": "",
            "sse_filepath": "",
            "target_region_filepath": "",
        }
    }


EXPORTER = PluginLaunch(
    name="FileExporter",
    version="5.18.0.0",
    path="/results/plugins/FileExporter",
    id=11,
    runtypes=("wholechip", "thumbnail", "composite"),
    runlevels=("last",),
    level="last",
    mode="manual",
    result_id=5,
    global_config={"delimiter_select": "_"},
)


def exporter(level="last", **changes):
    """startplugin.json of the document's launch, at another level or of another report."""
    report = {"report_dir": REPORT, "params": pgm_run(), "analysis_date": "2015-09-02", "api_key": "9516e00c"} | changes
    launch = PluginLaunch(**{**vars(EXPORTER), "level": level, "block": "X0_Y1332" if level == "block" else ""})
    return startplugin_json(ReportFacts(**report), launch)


def test_the_launch_example_of_the_document():
    started = exporter()
    plan = started.pop("plan")
    assert {key: plan[key] for key in ("barcodeId", "barcodedSamples", "bedfile", "runType")} == {
        "barcodeId": "",
        "barcodedSamples": {},
        "bedfile": "",
        "runType": "GENS",
    }
    assert started == {
        "chefSummary": {},
        "datamanagement": dict.fromkeys(
            ("Basecalling Input", "Intermediate Files", "Output Files", "Signal Processing Input"), True
        ),
        "expmeta": {
            "analysis_date": "2015-09-02",
            "barcodeId": "",
            "chipBarcode": "AA0026665",
            "chiptype": "314R",
            "flowOrder": "TACGTACGTCTGAGCATCGATCGATGTACAGC",
            "instrument": "PGM_test",
            "notes": "",
            "output_file_name_stem": f"{RUN_NAME}_{RESULTS_NAME}",
            "project": "SampleData",
            "results_name": RESULTS_NAME,
            "run_date": "2011-04-07T12:44:38Z",
            "run_flows": 260,
            "run_name": RUN_NAME,
            "runid": "ZN2MB",
            "sample": "e5272-wfa-l165",
        },
        "globalconfig": {"MEM_MAX": "15G", "debug": 0},
        "pluginconfig": {"delimiter_select": "_"},
        "runinfo": {
            "alignment_dir": REPORT,
            "analysis_dir": REPORT,
            "api_key": "9516e00c",
            "api_url": "http://ion-ts-vm/rundb/api",
            "barcodeId": "",
            "basecaller_dir": f"{REPORT}/basecaller_results",
            "chipDescription": "",
            "chipType": "314R",
            "library": "e_coli_dh10b",
            "library_key": "TCAG",
            "net_location": "http://ion-ts-vm",
            "pk": 1,
            "platform": "pgm",
            "plugin": {
                "depends": [],
                "features": [],
                "hold_jid": [],
                "id": 11,
                "name": "FileExporter",
                "path": "/results/plugins/FileExporter",
                "pluginconfig": {"delimiter_select": "_"},
                "pluginresult": 5,
                "results_dir": f"{REPORT}/plugin_out/FileExporter_out.5",
                "runlevel": ["last"],
                "runlevels": ["last"],
                "runtype": ["wholechip", "thumbnail", "composite"],
                "runtypes": ["wholechip", "thumbnail", "composite"],
                "userInput": "",
                "version": "5.18.0.0",
            },
            "plugin_dir": "/results/plugins/FileExporter",
            "plugin_name": "FileExporter",
            "pluginresult": 5,
            "raw_data_dir": "/results/PGM_test/cropped_CB1-42",
            "report_root_dir": REPORT,
            "results_dir": f"{REPORT}/plugin_out/FileExporter_out.5",
            "sigproc_dir": f"{REPORT}/sigproc_results",
            "systemType": "pgm",
            "testfrag_key": "ATCG",
            "tmap_version": "tmap-f3",
            "url_root": f"/output/Home/{RESULTS_NAME}_001",
            "username": "ionadmin",
        },
        # Better than the original's ".", which is relative to nothing useful.
        "runplugin": {
            "blockId": "",
            "block_dirs": [REPORT],
            "numBlocks": 1,
            "run_mode": "manual",
            "run_type": "wholechip",
            "runlevel": "last",
        },
        "sampleinfo": {
            "e5272-wfa-l165": {
                "attributes": {},
                "description": None,
                "displayedName": "e5272-wfa-l165",
                "externalId": "",
                "name": "e5272-wfa-l165",
            }
        },
    }


def test_plan_has_every_key_of_the_document():
    documented = """barcodeId barcodedSamples bedfile controlSequencekitname librarykitname planName regionfile
        reverse_primer runMode runType runTypeDescription sampleGrouping samplePrepKitName sampleSet_name
        sampleSet_planIndex sampleSet_planTotal sampleSet_uid sampleTubeLabel sequencekitname templatingKitName
        threePrimeAdapter username endBarcodeKitName sseBedFile applicationGroup_id"""
    assert set(exporter()["plan"]) == set(documented.split())


def test_a_block_launch_of_a_composite_report():
    blocks = tuple(f"{REPORT}/block_X0_Y{row}" for row in range(0, 1332 * 8, 1332))
    params = pgm_run() | {"rawdatastyle": "tiled", "pathToData": "/raw"}
    started = exporter("block", params=params, block_dirs=blocks)
    runinfo = started["runinfo"]
    assert started["runplugin"] == {
        "blockId": "X0_Y1332",
        "block_dirs": list(blocks),
        "numBlocks": 8,
        "run_mode": "manual",
        "run_type": "composite",
        "runlevel": "block",
    }
    assert runinfo["results_dir"] == f"{REPORT}/block_X0_Y1332/plugin_out/FileExporter_out.5"
    assert runinfo["sigproc_dir"] == f"{REPORT}/sigproc_results/block_X0_Y1332"
    assert runinfo["report_root_dir"] == runinfo["analysis_dir"] == REPORT
    assert runinfo["plugin"]["results_dir"] == f"{REPORT}/plugin_out/FileExporter_out.5"


def test_a_post_launch_works_in_its_own_folder():
    plain, post = exporter()["runinfo"], exporter("post")["runinfo"]
    assert post["results_dir"] == f"{plain['results_dir']}/post"
    assert {key for key in plain if plain[key] != post[key]} == {"results_dir"}


def test_a_thumbnail_report():
    params = pgm_run() | {"rawdatastyle": "tiled", "pathToData": "/raw/thumbnail"}
    assert exporter(params=params)["runplugin"]["run_type"] == "thumbnail"


@pytest.mark.parametrize(
    ("mode", "plan", "instance", "expected"),
    [
        ("pipeline", {"from": "plan"}, {"from": "instance"}, {"from": "plan"}),
        ("pipeline", "", {"from": "instance"}, {"from": "global"}),
        ("manual", {"from": "plan"}, {"from": "instance"}, {"from": "instance"}),
        ("manual", {"from": "plan"}, {}, {"from": "global"}),
    ],
)
def test_the_first_configuration_is_taken_whole(mode, plan, instance, expected):
    launch = PluginLaunch(
        name="P", mode=mode, plan_input=plan, instance_config=instance, global_config={"from": "global"}
    )
    assert launch.config == expected


def test_a_chef_run_gets_its_chef_columns():
    params = pgm_run()
    params["exp_json"] |= {"chefInstrumentName": "chef1", "chefReagentID": "7"}
    assert exporter(params=params)["chefSummary"] == {"chefInstrumentName": "chef1", "chefReagentID": "7"}


def test_experiments_as_json_text_are_read_too():
    params = pgm_run()
    params["exp_json"] = json.dumps(params["exp_json"])
    assert exporter(params=params)["expmeta"]["run_name"] == RUN_NAME


@pytest.mark.parametrize("name", shipped_sets())
def test_every_shipped_set_comes_back_from_its_list(name, tmp_path):
    written = shipped_sets()[name]
    path = tmp_path / "barcodeList.txt"
    path.write_text(barcode_list_text(written))
    read = read_barcode_list(path)
    assert [(one.index, one.name, one.sequence, one.adapter) for one in read] == [
        (one.index, one.name, one.sequence, one.adapter) for one in written
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("barcode 1,../../evil,ACGT,GAT,,,4", "line 2: the name '../../evil' must be letters"),
        ("barcode 1,one,ACGT!,GAT,,,5", "line 2: sequence 'ACGT!' must be letters A, C, G, T"),
        ("barcode one", "line 2"),
        ("", "holds no barcodes"),
    ],
)
def test_a_broken_barcode_list_is_explained(line, message, tmp_path):
    path = tmp_path / "barcodeList.txt"
    path.write_text(f"file_id mine\n{line}\n")
    with pytest.raises(InputError, match=message):
        read_barcode_list(path)


def test_barcode_lists_come_back(tmp_path):
    express = open_barcode_set("IonXpress")
    text = barcode_list_text(express)
    assert text.splitlines()[:4] == [
        "file_id IonXpress",
        "score_mode 1",
        "score_cutoff 2",
        "barcode 1,IonXpress_001,CTAAGGTAAC,GAT,,,10",
    ]
    (tmp_path / "barcodeList.txt").write_text(text)
    assert read_barcode_list(tmp_path / "barcodeList.txt") == express


def test_inputs_are_made_from_a_result_directory(tmp_path):
    result = tmp_path / "result"
    (result / "basecaller_results").mkdir(parents=True)
    (result / "plugin_out" / "Old_out.7").mkdir(parents=True)
    (result / "primary.key").write_text("ResultsPK = 12\n")
    (result / "ion_params_00.json").write_text(json.dumps(pgm_run()))
    datasets = {"datasets": [{"file_prefix": "rawlib", "read_groups": ["ZN2MB"]}], "read_groups": {"ZN2MB": {}}}
    (result / "basecaller_results" / "datasets_basecaller.json").write_text(json.dumps(datasets))
    started, barcodes = (json.loads(path.read_text()) for path in write_plugin_inputs(result))
    assert (started["runinfo"]["pk"], started["runinfo"]["pluginresult"]) == (12, 8)
    assert started["runinfo"]["sigproc_dir"] == str(result)
    assert len(started["runinfo"]["api_key"]) == 40
    assert list(barcodes) == ["nonbarcoded"]


def test_a_result_without_parameters_is_explained(tmp_path):
    with pytest.raises(InputError, match=r"ion_params_00\.json"):
        write_plugin_inputs(tmp_path)


def test_ids_start_at_one(tmp_path):
    assert (read_primary_key(tmp_path), next_result_id(tmp_path)) == (1, 1)
