"""The variables of plugin processes (plugin.md 6.2, 6.3)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugin_results import make_result

from ionanalysis.plugin.environment import (
    find_reference,
    flattened,
    named_variables,
    plugin_environment,
    proxy_variables,
)
from ionanalysis.plugin.inputs import report_facts
from ionanalysis.plugin.startplugin import PluginLaunch, startplugin_json

FLATTENED = [
    ({"runinfo": {"plugin": {"runtypes": ["wholechip", "thumbnail"]}}}, "RUNINFO__PLUGIN__RUNTYPES__1", "thumbnail"),
    ({"runplugin": {"block_dirs": ["."]}}, "RUNPLUGIN__BLOCK_DIRS__0", "."),
    ({"datamanagement": {"Basecalling Input": True}}, "DATAMANAGEMENT__BASECALLING", "true"),
    ({"expmeta": {"chiptype": '"314R"'}}, "EXPMETA__CHIPTYPE", "\\314R\\"),
    ({"plan": {"reverse_primer": None}}, "PLAN__REVERSE_PRIMER", "null"),
    ({"pluginconfig": {"RAM": "32G"}}, "PLUGINCONFIG__RAM", "32G"),
    ({"pluginconfig": {"list": [{}, {"a": 2}]}}, "PLUGINCONFIG__LIST__1__A", "2"),
    ({"pluginconfig": {"a-b.c": 1.5}}, "PLUGINCONFIG__A_B_C", "1.5"),
    ({"pluginconfig": {"text": "two\nlines, \u00b5l"}}, "PLUGINCONFIG__TEXT", "two\\nlines, \\u00b5l"),
]


@pytest.mark.parametrize(("content", "name", "value"), FLATTENED)
def test_scalars_become_variables(content, name, value):
    assert flattened(content)[name] == value


@pytest.mark.parametrize(
    "content",
    [
        {"pluginconfig": {}},
        {"pluginconfig": {"list": []}},
        {"plan": {"barcodedSamples": {"One": {"barcodes": ["IonXpress_001"]}}}},
        {"sampleinfo": {"One": {"name": "One"}}},
        {"pluginconfig": {"note": "see sampleinfo"}},
        {"pluginconfig": {"pattern": "a{}"}},
        {"1": 2},
        {"a/b": 2},
    ],
)
def test_what_the_original_drops_is_dropped(content):
    assert flattened(content) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), json_values))
def test_any_content_gives_variables_that_a_process_takes(content):
    for name, value in flattened(content).items():
        assert name.isidentifier()
        assert "=" not in name
        os.fsencode(value)
        assert "\0" not in value


@pytest.fixture
def started(tmp_path):
    """startplugin.json of a launch in a small result, as an object."""

    def make(**params):
        result = make_result(tmp_path, **params)
        launch = PluginLaunch(name="One", version="1.0", path=str(tmp_path / "plugins" / "One"), result_id=3)
        return startplugin_json(report_facts(result), launch), result

    return make


def test_the_named_variables(started, tmp_path):
    content, result = started(url_path="/output/Home/Auto_1_001")
    (result / "barcodeList.txt").write_text("")
    out = f"{result}/plugin_out/One_out.3"
    stem = "raw_Auto_1"
    variables = named_variables(content)
    expected = {
        "DIRNAME": f"{tmp_path}/plugins/One",
        "PLUGIN_PATH": f"{tmp_path}/plugins/One",
        "PLUGINNAME": "One",
        "PROGRAM": "One",
        "RAW_DATA_DIR": f"{tmp_path}/raw",
        "ANALYSIS_DIR": str(result),
        "REPORT_ROOT_DIR": str(result),
        "SIGPROC_DIR": f"{result}/sigproc_results",
        "BASECALLER_DIR": f"{result}/basecaller_results",
        "ALIGNMENT_DIR": str(result),
        "RESULTS_DIR": out,
        "URL_ROOT": "/output/Home/Auto_1_001",
        "LIBRARY_KEY": "TCAG",
        "TESTFRAG_KEY": "ATCG",
        "TSP_RUN_NAME": "raw",
        "TSP_ANALYSIS_NAME": "Auto_1",
        "TSP_PROJECT": "Soil",
        "TSP_CHIPTYPE": "520",
        "TSP_RUNID": "ABCDE",
        "TSP_FLOWORDER": "TACG",
        "TSP_NUM_FLOWS": "40",
        "TSP_LIBRARY": "none",
        "TSP_LIBRARY_KEY": "TCAG",
        "TSP_TF_KEY": "ATCG",
        "TSP_RUNTYPE": "wholechip",
        "TSP_FILEPATH_OUTPUT_STEM": stem,
        "TSP_URLPATH_OUTPUT_STEM": stem,
        "TSP_FILEPATH_GENOME_FASTA": "",
        "TSP_URLPATH_GENOME_FASTA": "",
        "TSP_FILEPATH_UNMAPPED_BAM": f"{result}/basecaller_results/rawlib.basecaller.bam",
        "TSP_URLPATH_UNMAPPED_BAM": f"/output/Home/Auto_1_001/{stem}.rawlib.basecaller.bam",
        "TSP_FILEPATH_TF_BAM": f"{result}/basecaller_results/rawtf.basecaller.bam",
        "TSP_FILEPATH_BAM": f"{result}/rawlib.bam",
        "TSP_FILEPATH_BAI": f"{result}/rawlib.bam.bai",
        "TSP_URLPATH_BAM": f"/output/Home/Auto_1_001/download_links/{stem}.bam",
        "TSP_FILEPATH_PLUGIN_DIR": out,
        "TSP_URLPATH_PLUGIN_DIR": "/output/Home/Auto_1_001/plugin_out/One_out.3",
        "TSP_FILEPATH_BARCODE_TXT": f"{result}/barcodeList.txt",
        "TSP_PLUGIN_SCRATCH": f"{tmp_path}/plugins/scratch",
    }
    assert {name: variables[name] for name in expected} == expected


def test_process_parameters_stand_in_for_what_is_missing(started):
    content, result = started(runid="")
    (result / "sigproc_results" / "processParameters.txt").write_text("[global]\nrunId = QQQQQ\nnumFlows = 9\n")
    variables = named_variables(content)
    assert (variables["TSP_RUNID"], variables["TSP_NUM_FLOWS"]) == ("QQQQQ", "40")


def test_missing_folders_fall_back_to_the_report(started):
    content, result = started()
    content["runinfo"]["sigproc_dir"] = str(result / "gone")
    assert named_variables(content)["SIGPROC_DIR"] == str(result)


@pytest.mark.parametrize(
    ("place", "version", "found"),
    [
        ("tmap-f3/hg19.fasta", "tmap-f3", True),
        ("tmap-f3/hg19/hg19.fasta", "tmap-f3", True),
        ("tmap-f3/a/b/hg19.fasta", "tmap-f3", True),
        ("tmap-f3/a/b/c/hg19.fasta", "tmap-f3", False),
        ("tmap-f2/hg19/hg19.fasta", "tmap-f3", False),
        ("hg19/hg19.fasta", "", True),
        ("hg19/hg19.fasta", "../tmap-f3", True),
    ],
)
def test_references_are_found_in_their_library(tmp_path, place, version, found):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert find_reference(tmp_path, version, "hg19") == (path if found else None)


@pytest.mark.parametrize("name", ["none", "", "*", "../hg19", "hg[1]9"])
def test_a_reference_name_is_no_pattern(tmp_path, name):
    (tmp_path / "hg19.fasta").touch()
    assert find_reference(tmp_path, "", name) is None


def test_secrets_stay_behind_and_our_python_goes_ahead(started, tmp_path):
    content, _ = started()
    base = {
        "PATH": "/bin",
        "GITHUB_TOKEN": "x",
        "DB_PASSWORD": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONPATH": "/mine",
    }
    variables = plugin_environment(content, tmp_path / "s.json", base=base, job_id=17)
    assert not {"GITHUB_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY"} & set(variables)
    assert variables["PYTHONPATH"].endswith(":/mine")
    assert (variables["JOB_ID"], variables["MPLBACKEND"], variables["json_fname"]) == (
        "17",
        "agg",
        f"{tmp_path}/s.json",
    )


@pytest.mark.parametrize(
    ("tier", "python2", "first"),
    [("compat", "/opt/py2/bin/python", None), ("legacy", "/opt/py2/bin/python", "/opt/py2/bin"), ("legacy", "", None)],
)
def test_programs_find_the_python_of_their_tier(started, tmp_path, tier, python2, first):
    content, _ = started()
    base = {"PATH": "/bin", "IONANALYSIS_PYTHON2": python2}
    path = plugin_environment(content, tmp_path / "s.json", tier=tier, base=base)["PATH"]
    assert path == f"{first or Path(sys.executable).parent}:/bin"


@pytest.mark.parametrize(
    ("machine", "own", "expected"),
    [
        ("", {}, {}),
        ('http_proxy="http://p:1"\n', {}, {"http_proxy": "http://p:1", "no_proxy": "localhost,127.0.0.1"}),
        ("HTTP_PROXY=http://p:1\nno_proxy=here\n", {}, {"http_proxy": "http://p:1", "no_proxy": "here"}),
        ("http_proxy=http://p:1\n", {"http_proxy": "http://q:2"}, {"http_proxy": "http://q:2"}),
    ],
)
def test_the_machines_proxy_is_passed_on(tmp_path, machine, own, expected):
    path = tmp_path / "environment"
    path.write_text(machine)
    found = proxy_variables(own, path)
    assert {name: found[name] for name in expected} == expected
    assert bool(found) == bool(expected)


def test_bash_takes_all_of_it(started, tmp_path):
    content, _ = started(sample="it's; $(touch x) \u00b5")
    content["pluginconfig"] = {"a": "x\ny", "b c": 1, "-": 2}
    variables = plugin_environment(content, tmp_path / "s.json")
    done = subprocess.run(
        ["bash", "-c", 'printf "%s|" "$TSP_SAMPLE" "$PLUGINCONFIG__A" "$PLUGINCONFIG__B"'],
        env=variables, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "it's; $(touch x) \u00b5|x\\ny|1|"
