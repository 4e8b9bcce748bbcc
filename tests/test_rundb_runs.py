"""The document's API examples on an analysed run, the lists of runs, and the routes of reports, runs and rigs."""

import contextlib
import io
import uuid
from datetime import UTC, datetime

import pytest
import requests

PORTED = """
headers = {{"Authorization": "ApiKey " + USERNAME + ":" + API_KEY}}
object_list = []
next_url = "/rundb/api/v1/{resource}/"
while next_url:
    response = requests.get(BASE_URL + next_url, headers=headers, params={params})
    response.raise_for_status()
    response_data = response.json()
    object_list += response_data["objects"]
    next_url = response_data["meta"]["next"] or None
"""
RUNS = """
for experiment in object_list[0:3]:
    print(experiment["displayName"])
    for report in experiment["results"]:
        print("    " + report["resultsName"] + " " + report["status"])
"""
REPORT = """
headers = {"Authorization": "ApiKey " + USERNAME + ":" + API_KEY}
report_response = requests.get(BASE_URL + "/rundb/api/v1/results/NUMBER/", headers=headers)
report_response.raise_for_status()
report_response_data = report_response.json()
print(report_response_data["resultsName"])
for plugin_name, plugin_status in report_response_data["pluginState"].items():
    print("    " + plugin_name, plugin_status)
lib_metrics_response = requests.get(BASE_URL + report_response_data["libmetrics"][0], headers=headers)
lib_metrics_response.raise_for_status()
lib_metrics_response_data = lib_metrics_response.json()
print("%.1f million reads" % (lib_metrics_response_data["totalNumReads"]/1000000.0))
"""


class TestExamples:
    """The scripts of the SDK document, with the `print` of Python 3 and another address."""

    @pytest.fixture
    def script(self, run_server):
        def run(text):
            names = {"requests": requests, "BASE_URL": run_server.base, "USERNAME": "ionadmin"}
            names["API_KEY"] = run_server.keys["ionadmin"]
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(text, names)
            return said.getvalue().splitlines()

        return run

    def test_fetching_all_chips(self, script):
        (line,) = script(
            PORTED.format(resource="chip", params={}) + "print(len(object_list), len({c['id'] for c in object_list}))"
        )
        n, different = map(int, line.split())
        assert n == different >= 28

    def test_adding_filters(self, script):
        text = PORTED.format(resource="chip", params={"name__startswith": "31"})
        assert script(text + 'for chip in object_list[0:3]:\n    print(chip["name"])') == ["314", "316", "318"]

    def test_completed_runs_and_reports(self, script, ingested):
        said = script(PORTED.format(resource="compositeexperiment", params={}) + RUNS.replace("[0:3]", ""))
        assert "    Auto_life_1 Completed" in said[said.index("SIM ionanalysis") :]

    def test_fetching_a_report(self, script, ingested):
        said = script(REPORT.replace("NUMBER", str(ingested.report)))
        assert said[0] == "Auto_life_1" and said[-1] == "0.0 million reads"


@pytest.fixture(scope="module")
def listed(run_server, run_rows, ingested):
    """Runs with reports in every class; the reports of one are two."""
    storage = run_rows.ReportStorage.objects.first()
    mark = uuid.uuid4().hex[:8]
    made = {}
    for name, statuses in {
        "good": ["Completed", "Error in Alignment"],
        "busy": ["Base Calling"],
        "odd": ["Moved"],
    }.items():
        run = run_rows.Experiment.objects.create(
            unique=f"{name} {mark}",
            expName=f"{name}_{mark}",
            expDir="/raw",
            chipType="520",
            chipBarcode=f"{name}{mark}",
            platform="S5",
            date=datetime(2017, 3, 10, 12, tzinfo=UTC),
            cycles=1,
            flows=1,
            status="run",
            ftpStatus="Complete",
            storage_options="KI",
            notes=f"Notes of {name}",
        )
        settings = run_rows.ExperimentAnalysisSettings.objects.create(
            experiment=run, reference="hg19", barcodeKitName="IonXpress", barcodedSamples={"s": _of("hg19", "ecoli")}
        )
        for number, status in enumerate(statuses):
            run_rows.Results.objects.create(
                experiment=run,
                eas=settings,
                resultsName=f"{name}{number}_{mark}",
                status=status,
                reportstorage=storage,
                reportLink=f"/output/Home/{name}{number}_{mark}/",
                processedflows=0,
                processedCycles=0,
                framesProcessed=0,
            )
        made[name] = run
    made["mark"] = mark
    yield made
    run_rows.Experiment.objects.filter(expName__endswith=mark).delete()


def _of(*references):
    return {"barcodeSampleInfo": {f"IonXpress_{n:03d}": {"reference": name} for n, name in enumerate(references, 1)}}


class TestLists:
    def found(self, run_server, listed, **asked):
        rows = run_server.user.objects("compositeexperiment", expName__endswith=listed["mark"], **asked)
        return {row["expName"].partition("_")[0]: row for row in rows}

    def test_what_a_run_shows(self, run_server, listed):
        row = self.found(run_server, listed)["good"]
        beside = {
            "barcodeId": "IonXpress",
            "barcodedSamples": {"s": _of("hg19", "ecoli")},
            "chipDescription": "520",
            "chipInstrumentType": "S5",
            "applicationCategoryDisplayedName": "",
            "keep": True,
            "library": "hg19",
            "references": "Multiple references",
            "sample": "",
            "sampleDisplayedName": "",
            "sampleSetName": "",
        }
        assert {name: row[name] for name in beside} == beside and "_host" not in row
        assert row["resource_uri"].startswith("/rundb/api/mesh/v1/compositeexperiment/")
        assert [report["resultsName"][:5] for report in row["results"]] == ["good1", "good0"]
        report = row["results"][1]
        assert report["status_display"] == "Completed" and report["isShowAllMetrics"] is True
        assert report["analysis_metrics"] is None and report["eas"]["references"] == "Multiple references"

    def test_both_addresses_answer_and_one_tells_of_servers(self, run_server):
        assert run_server.user.get("/rundb/api/mesh/v1/compositeexperiment/").json()["warnings"] == []
        assert "warnings" not in run_server.user.get("compositeexperiment/").json()

    @pytest.mark.parametrize(
        ("asked", "runs"),
        [
            ({"all_text": "nothing OR NOTES OF GOOD"}, {"good"}),
            ({"all_text": "odd0_"}, {"odd"}),
            ({"all_text": "{busy} OR odd_"}, {"busy", "odd"}),
            ({"all_date": "03/10/2017 00:00,03/11/2017 00:00"}, {"good", "busy", "odd"}),
            ({"all_date": "03/11/2017 00:00,03/12/2017 00:00"}, set()),
            ({"result_status": "Completed"}, {"good"}),
            ({"result_status": "Error"}, {"good"}),
            ({"result_status": "Progress"}, {"busy"}),
            ({"result_status": "Other"}, {"odd"}),
            ({"sample_prep": "IC"}, set()),
            ({"samples__name__in": "a,b"}, set()),
            ({"mesh_node_ids": "1,2"}, set()),
            ({"mesh_node_ids": "local,1"}, {"good", "busy", "odd"}),
        ],
    )
    def test_parameters(self, run_server, listed, asked, runs):
        asked = {name: text.format(busy=listed["busy"].chipBarcode) for name, text in asked.items()}
        found = self.found(run_server, listed, **asked)
        assert set(found) == runs
        if asked.get("result_status") == "Error":
            assert [report["status"] for report in found["good"]["results"]] == ["Error in Alignment"]

    def test_bad_parameters(self, run_server):
        for text in ("x", "03/10/2017", "99/99/2017 00:00,03/11/2017 00:00"):
            assert run_server.user.get("compositeexperiment/", params={"all_date": text}).status_code == 400

    def test_how_runs_are_listed_is_remembered(self, run_server):
        for body, status in ((b"full", 204), (b'"table"', 204), (b"x", 400)):
            assert run_server.user.post("compositeexperiment/show/", data=body).status_code == status

    def test_what_is_going_on(self, run_server, listed):
        names = {row["resultsName"] for row in run_server.user.objects("monitorresult", limit=0)}
        assert {f"busy0_{listed['mark']}", f"good1_{listed['mark']}"} <= names
        (row,) = run_server.user.objects("monitorresult", resultsName=f"busy0_{listed['mark']}")
        assert (row["library"], row["barcodeId"]) == ("hg19", "IonXpress") and row["experiment"]["chipType"] == "520"

    def test_files_of_reports(self, run_server, run_rows, listed, ingested):
        def reports(**asked):
            return {row["id"] for row in run_server.user.objects("compositedatamanagement", limit=0, **asked)}

        (stat,) = run_rows.DMFileStat.objects.filter(result_id=ingested.report, dmfileset="Output Files")
        assert ingested.report in reports(search_name="^SIM_") and ingested.report not in reports(search_name="^x")
        assert ingested.report in reports(output_filter="L") and ingested.report in reports(output_filter="P")
        run_rows.DMFileStat.objects.filter(pk=stat.pk).update(user_keep=True)
        assert ingested.report in reports(output_filter="K") and ingested.report not in reports(output_filter="P")
        run_rows.DMFileStat.objects.filter(pk=stat.pk).update(user_keep=None, action_state="DG")
        (row,) = run_server.user.objects("compositedatamanagement", id=ingested.report)
        assert row["output_state"] == "Deleting" and row["in_process"] is True
        run_rows.DMFileStat.objects.filter(pk=stat.pk).update(action_state="L")
        assert run_server.user.get("compositedatamanagement/", params={"search_name": "("}).status_code == 400

    def test_thumbnails(self, run_server, run_rows, ingested):
        for resource in ("results", "projectresults"):
            assert run_server.user.objects(resource, id=ingested.report, isThumbnail="yes") == []
            assert len(run_server.user.objects(resource, id=ingested.report, isThumbnail="no")) == 1


class TestRoutes:
    def test_metadata(self, run_server, ingested):
        for url in (f"results/{ingested.report}/metadata/", f"experiment/{ingested.run}/metadata/"):
            assert run_server.user.get(url).json() == {}
            assert run_server.user.post(url, json={"metadata": {"a": 1, "b": [2]}}).status_code == 202
            assert run_server.user.post(url, json={"metadata": {"c": 3}, "remove": ["a"]}).status_code == 202
            assert run_server.user.get(url).json() == {"b": [2], "c": 3}
            assert run_server.user.post(url, json={"metadata": 3}).status_code == 400
            assert run_server.user.post(url, json={"remove": ["b", "c"]}).status_code == 202

    def test_the_report_that_stands_for_its_run(self, run_server, run_rows, listed):
        run = listed["good"]
        first, second = run_rows.Results.objects.filter(experiment=run).order_by("pk")
        for report in (first, second):
            assert (
                run_server.user.post(f"results/{report.pk}/representative/", json={"representative": True}).status_code
                == 202
            )
            got = run_server.user.get(f"compositeexperiment/{run.pk}/").json()
            assert got["repResult"] == f"/rundb/api/v1/compositeresult/{report.pk}/"
            pinned = [one.representative for one in run_rows.Results.objects.filter(experiment=run).order_by("pk")]
            assert pinned == [report == first, report == second]
        assert (
            run_server.user.put(f"results/{second.pk}/representative/", json={"representative": False}).status_code
            == 202
        )
        run.refresh_from_db()
        assert run.pinnedRepResult is False
        assert (
            run_server.user.post(f"results/{first.pk}/representative/", json={"representative": "x"}).status_code == 400
        )

    def test_barcodes_of_a_report(self, run_server, ingested):
        url = f"results/{ingested.report}"
        told = run_server.user.get(f"{url}/barcodesampleinfo/").json()
        assert [name for name, one in told.items() if not one["filtered"]] == ["IonXpress_001", "IonXpress_002"]
        assert told["IonXpress_001"]["reference"] == "reference" and len(told) == 96
        assert run_server.user.get(f"{url}/barcode/").status_code == 400
        table = ingested.folder / "alignment_barcode_summary.csv"
        table.write_text("ID,Reads\nIonXpress_001,7\n")
        assert run_server.user.get(f"{url}/barcode/").json() == [{"ID": "IonXpress_001", "Reads": "7"}]
        assert run_server.user.get(f"{url}/barcode/", params={"metric": "x"}).status_code == 400
        table.unlink()

    def test_an_instrument(self, run_server, ingested):
        assert run_server.user.get("rig/SIM5/config/").json()["ftpserver"] == "192.168.201.1"
        sent = {"state": "Running", "alarms": {"hot": 1}, "ftppassword": "x"}
        assert run_server.user.put("rig/SIM5/status/", json=sent).status_code == 202
        told = run_server.user.get("rig/SIM5/status/").json()
        assert (told["state"], told["alarms"], told["last_experiment"]) == ("Running", {"hot": 1}, "SIM_ionanalysis")
        assert set(told) == {"state", "last_init_date", "last_clean_date", "last_experiment", "version", "alarms"}
        assert run_server.user.get("rig/SIM5/config/").json()["ftppassword"] == "ionguest"
        assert run_server.user.get("rig/nothing/status/").status_code == 404

    def test_users_who_ask_for_an_account(self, run_server, run_rows):
        from django.contrib.auth.models import User

        user = User.objects.create(username=uuid.uuid4().hex, is_active=False)
        for name in ("activate", "reject"):
            assert run_server.user.post(f"user/{user.pk}/{name}/").status_code == 401
            assert run_server.admin.post(f"user/{user.pk}/{name}/").status_code == 202
            assert User.objects.filter(pk=user.pk, is_active=True).exists() == (name == "activate")

    def test_events_of_nodes_are_cleared(self, run_server):
        body = {"object_pk": 1, "text": "state: G", "username": "ion"}
        assert run_server.admin.post("clusterinfohistory/", json=body).status_code == 201
        assert run_server.user.get("clusterinfohistory/clear/").status_code == 202
        assert run_server.user.get("clusterinfohistory/").json()["meta"]["total_count"] == 0

    def test_files_of_uploads_are_registered(self, run_server, run_rows):
        publisher = run_rows.Publisher.objects.create(
            name=uuid.uuid4().hex, version="1", path="p", date=datetime.now(UTC)
        )
        upload = run_rows.ContentUpload.objects.create(publisher=publisher, file_path="f", status="")
        for resource in ("content", "publisher"):
            url = f"{resource}/register/{upload.pk}/"
            body = {"file": f"/x/{resource}.bed", "path": "/hg19/x.bed", "meta": {"a": 1}}
            assert run_server.user.post(url, json=body).status_code == 202
            (row,) = run_server.user.objects("content", file=body["file"])
            assert row["meta"] == {"a": 1} and row["contentupload"] == f"/rundb/api/v1/contentupload/{upload.pk}/"
            assert run_server.user.post(url, json={"file": 3}).status_code == 400
            assert run_server.admin.post(f"{resource}/install/").status_code == 501

    def test_pages_of_other_sites_change_nothing(self, run_server, ingested):
        """A GET that changes something is refused where a browser says that another site has caused it."""
        other = {"Sec-Fetch-Site": "cross-site"}
        for path in (
            "clusterinfohistory/clear/",
            "plugin/rescan/",
            f"results/{ingested.report}/scan_for_orphaned_plugin_results/",
        ):
            assert run_server.user.get(path, headers=other).status_code == 403
