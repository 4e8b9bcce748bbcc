"""expMeta.dat and the parameters of a run."""

import pytest

from ionanalysis.io.explog import read_explog
from ionanalysis.plugin.expmeta import expmeta_text, read_expmeta
from ionanalysis.plugin.ion_params import AnalysisRequest, RunFacts, ion_params, iso_date, log_entries, report_type

EXPLOG = """Experiment Name: R_2020_01_02_03_04_05_user_one
Start Time: 01/02/2020 03:04:05
Project: yeast
Sample: strain 7
Cal Chip High/Low/InRange: 1 2 3
ExperimentInfoLog:
    acq_0000.dat: Pressure=1
Notes: one: two
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "explog.txt"
    path.write_text(EXPLOG)
    return log_entries(read_explog(path))


def params(**changes):
    facts = {"raw_dir": "/raw/one", "run_id": "ABCDE", "n_flows": 8, "chip": "540"}
    return ion_params(RunFacts(**facts | changes), AnalysisRequest(results_name="one_result"))


def test_expmeta_has_its_keys_in_order(log):
    text = expmeta_text(params(log=log), "2026-11-23")
    assert [line.partition(" = ")[0] for line in text.splitlines()] == [
        "Run Name",
        "Run Date",
        "Run Flows",
        "Project",
        "Sample",
        "Library",
        "Reference",
        "Instrument",
        "Flow Order",
        "Library Key",
        "TF Key",
        "Chip Check",
        "Chip Type",
        "Chip Data",
        "Notes",
        "Barcode Set",
        "End Barcode Set",
        "Analysis Name",
        "Analysis Date",
        "Analysis Flows",
        "runID",
    ]


def test_expmeta_tells_the_run(log):
    told = read_expmeta(expmeta_text(params(log=log), "2026-11-23"))
    assert told["Run Name"] == "R_2020_01_02_03_04_05_user_one"
    assert (told["Sample"], told["Library"], told["Run Flows"], told["runID"]) == ("strain 7", "N/A", "8", "ABCDE")


def test_log_keys_are_as_the_original_writes_them(log):
    assert log["cal_chip_high_low_inrange"] == "1 2 3"
    assert log["notes"] == "one: two"
    assert "acq_0000.dat" not in log


@pytest.mark.parametrize(
    ("start", "name", "expected"),
    [
        ("11/23/2026 00:00:00", "", "2026-11-23T00:00:00Z"),
        ("soon", "R_2011_04_07_12_44_38_user", "2011-04-07T12:44:38Z"),
        ("", "nothing", ""),
    ],
)
def test_start_times_become_iso_dates(start, name, expected):
    assert iso_date(start, name) == expected


@pytest.mark.parametrize(
    ("tiled", "raw_dir", "kind"),
    [(False, "/raw/one", "wholechip"), (True, "/raw/one", "composite"), (True, "/raw/one/thumbnail", "thumbnail")],
)
def test_kind_of_report(tiled, raw_dir, kind):
    assert report_type(params(tiled=tiled, raw_dir=raw_dir)) == kind


def test_a_run_without_a_log_is_named_after_its_directory():
    assert params(raw_dir="/raw/two/")["expName"] == "two"
