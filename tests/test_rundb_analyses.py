"""Analyses that are started over the REST API: from the wells of a report to a new one, with live status."""

import json
import time
import uuid
from types import SimpleNamespace

import pytest
from rundb_result import copy_of
from rundb_rows import make_report


@pytest.fixture(scope="module")
def other(ingested, run_rows, tmp_path_factory):
    """The row of a report of its own, so that tests of the shared one find no others of its run."""
    from ionanalysis.rundb.life.ingest import ingest

    return ingest(copy_of(ingested, tmp_path_factory.mktemp("analyses") / "Auto_other"))


def start(run_server, folder):
    answer = run_server.user.post("experiment/from_wells_analysis/", json={"directory": str(folder)})
    assert answer.status_code == 202, answer.text
    return answer.json()["report"]


def wait_for(run_server, report, *statuses):
    """The report once its status is one of these, and the statuses before."""
    end, seen = time.monotonic() + 120, []
    while time.monotonic() < end:
        found = run_server.user.get(report).json()
        if found["status"] in statuses:
            return found, seen
        seen.append(found["status"])
        time.sleep(0.2)
    raise AssertionError(seen[-1])


def test_bases_are_called_anew(run_server, ingested, other):
    report = start(run_server, other.folder)
    done, seen = wait_for(run_server, report, "Completed", "Error", "TERMINATED")
    assert done["status"] == "Completed" and seen and set(seen) <= {"Pending", "Started", "Base Calling", *_LATER}
    assert (
        done["resultsName"] == "Auto_other_re1"
        and done["experiment"] == f"/rundb/api/v1/experiment/{other.experiment_id}/"
    )
    assert done["filesystempath"].startswith(str(run_server.home.parent / "results"))
    metrics = run_server.user.get(done["libmetrics"][0]).json()
    first = run_server.user.objects("libmetrics", report=ingested.report)[0]
    assert (
        metrics["totalNumReads"] == pytest.approx(first["totalNumReads"], rel=0.05) and metrics["genome"] == "reference"
    )
    settings = run_server.user.get(done["eas"]).json()
    assert settings["barcodeKitName"] == "IonXpress" and done["reportLink"].endswith(f"_{done['id']:03d}/")


_LATER = ("Calibration", "Alignment", "Statistics", "Report", "Plugins")


def test_one_that_is_stopped_is_terminated(run_server, other):
    first, second = start(run_server, other.folder), start(run_server, other.folder)
    for report in (second, first):
        assert run_server.user.patch(report, json={"status": "TERMINATED"}).status_code == 202
    for report in (second, first):
        assert wait_for(run_server, report, "TERMINATED", "Completed")[0]["status"] == "TERMINATED"


def test_only_reports_are_analysed(run_server, ingested):
    for directory in ("/etc", str(ingested.folder.parent), f"{ingested.folder}/sigproc_results", "", 3, None, "a\0b"):
        answer = run_server.user.post("experiment/from_wells_analysis/", json={"directory": directory})
        assert answer.status_code == 400, directory


def test_a_run_whose_process_has_gone_is_terminated(run_server, ingested, run_rows, tmp_path):
    from ionanalysis.rundb.life.ingest import ingest

    folder = copy_of(ingested, tmp_path / "gone")
    record = ingested.json("run.json") | {"status": "running", "stages": {"basecaller": {"status": "running"}}}
    (folder / "run.json").write_text(json.dumps({**record, "process": {"pid": 1, "start": None}}))
    row = ingest(folder)
    assert row.status == "Base Calling"
    (folder / "run.json").write_text(json.dumps({**record, "process": {"pid": 2**22 + 1, "start": 1}}))
    wait_for(run_server, f"/rundb/api/v1/results/{row.pk}/", "TERMINATED")


def test_what_a_former_server_had_not_begun_is_given_up(run_rows, tmp_path):
    from ionanalysis.rundb.life.analyses import abandon

    waiting, begun = (make_report(run_rows, tmp_path / name, f"{name}{uuid.uuid4().hex}") for name in "ab")
    (tmp_path / "b" / "run.json").write_text("{}")
    run_rows.Results.objects.filter(pk__in=(waiting.pk, begun.pk)).update(status="Pending")
    abandon()
    statuses = [run_rows.Results.objects.get(pk=one.pk).status for one in (waiting, begun)]
    run_rows.Results.objects.filter(pk=begun.pk).update(status="TERMINATED")
    assert statuses == ["TERMINATED", "Pending"]


def test_a_report_with_odd_files_keeps_none_back(run_rows, tmp_path, monkeypatch):
    from ionanalysis.rundb.life import caretaker

    reports = [make_report(run_rows, tmp_path / name, f"{name}{uuid.uuid4().hex}") for name in "cd"]
    keys, asked = [one.pk for one in reports], []
    run_rows.Results.objects.filter(pk__in=keys).update(status="Base Calling")

    def read(folder):
        asked.append(folder.name)
        raise KeyError("odd")

    monkeypatch.setattr(caretaker, "launcher", lambda: SimpleNamespace(catch_up=lambda: None))
    monkeypatch.setattr(caretaker.RunRecord, "read", read)
    caretaker.look_after()
    run_rows.Results.objects.filter(pk__in=keys).update(status="TERMINATED")
    assert {"c", "d"} <= set(asked)
