"""Plugins over the REST API: rows follow the store, launches run, call back, stop, and never stay "Started"."""

import json
import platform
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from plugin_results import python_plugin, shell_plugin
from rundb_result import copy_of

CALLS_BACK = '''
import json, os
from ion.plugin import *

class CallsBack(IonPlugin):
    """Asks the server that started it."""
    version = "1.0.0.1"
    major_block = True

    def launch(self, data=None):
        info = self.startplugin["runinfo"]
        report = self.get_restobj("results/%d" % info["pk"])
        metrics = self.get_restobj("libmetrics", {"report__id": info["pk"]})
        told = {"report": report["resultsName"], "reads": metrics["objects"][0]["totalNumReads"]}
        told["ratio"] = float("nan")
        told["depth"] = self.startplugin["pluginconfig"].get("depth")
        told.update({name: info[name] for name in ("pk", "pluginresult", "username", "api_key", "url_root")})
        with open("results.json", "w") as out:
            json.dump(told, out)
        with open("CallsBack_block.html", "w") as out:
            out.write("<p>done</p>")
        return True

if __name__ == "__main__":
    PluginCLI()
'''
EXTEND = """
def echo(bucket):
    return bucket

def seven(bucket):
    return 7

def fails(bucket):
    raise ValueError("on purpose")
"""


@pytest.fixture(scope="module")
def plugins(run_server, tmp_path_factory):
    """Two plugins that are installed where the server looks."""
    from ionanalysis.plugin.store import PluginStore

    sources = tmp_path_factory.mktemp("plugins")
    python_plugin(sources, "CallsBack", CALLS_BACK)
    (sources / "CallsBack" / "extend.py").write_text(EXTEND)
    (sources / "CallsBack" / "config.html").write_text("<html><head></head></html>")
    shell_plugin(sources, "Waits", "touch waiting; sleep 100")
    store = PluginStore(run_server.home / "plugins")
    for name in ("CallsBack", "Waits"):
        store.install(sources / name)
    return {row["name"]: row for row in run_server.user.objects("plugin") if row["name"] in ("CallsBack", "Waits")}


def start(run_server, report, name, **body):
    """Start a plugin; its newest result."""
    answer = run_server.user.post(f"results/{report}/plugin/", json={"plugin": name, **body})
    assert answer.status_code == 202 and answer.content == b"", answer.text
    asked = {"plugin__name": name} if isinstance(name, str) else {"plugin__name": name["name"]}
    return run_server.user.objects("pluginresult", result=report, limit=1, **asked)[0]


def wait_for(run_server, result, *states):
    """The plugin result once it is in one of the states."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = run_server.user.get(result["resource_uri"]).json()
        if found["state"] in states and (found["state"] == "Started" or not found["can_terminate"]):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{found['state']} and not {states}")


@pytest.fixture(scope="module")
def done(run_server, ingested, plugins):
    """A result of the plugin that calls back."""
    begun = start(run_server, ingested.report, "CallsBack", pluginconfig={"depth": 20})
    assert begun["can_terminate"] and begun["state"] in ("Queued", "Started") and len(begun["apikey"]) == 40
    return wait_for(run_server, begun, "Completed", "Error")


class TestInstalled:
    def test_rows_follow_the_store(self, run_server, plugins):
        row = plugins["CallsBack"]
        assert row["availableVersions"] == ["1.0.0.1"] and row["versionedName"] == "CallsBack--v1.0.0.1"
        pages = ("isConfig", "isPlanConfig", "isInstance", "hasAbout", "input", "isUpgradable", "isSupported")
        assert [row[name] for name in pages] == [True, False, False, False, "False", False, True]
        assert row["description"] == "Asks the server that started it." and row["majorBlock"] is True
        assert {"CallsBack"} <= {row["name"] for row in run_server.user.objects("plugin", isConfig="true")}
        assert "CallsBack" not in {row["name"] for row in run_server.user.objects("plugin", isConfig="false")}

    def test_an_upgrade_makes_a_row_and_hides_the_old_one(self, run_server, tmp_path):
        from ionanalysis.plugin.store import PluginStore

        store = PluginStore(run_server.home / "plugins")
        for version in ("1.0", "1.1"):
            shutil.rmtree(tmp_path / "Rises", ignore_errors=True)
            shell_plugin(tmp_path, "Rises", "true")
            script = tmp_path / "Rises" / "launch.sh"
            script.write_text(script.read_text().replace("1.0.0.0", version))
            store.install(tmp_path / "Rises")
            (row,) = run_server.user.objects("plugin", name="Rises")
        assert row["version"] == "1.1" and row["availableVersions"] == ["1.0", "1.1"]
        (entry,) = [one for one in run_server.user.get("plugin/lineage/").json()["objects"] if one["name"] == "Rises"]
        assert entry["CurrentVersion"] == "1.1" and entry["id"] == row["id"] and len(entry) == 13
        assert run_server.user.delete(f"plugin/{row['id']}/uninstall/").status_code == 401
        assert run_server.admin.delete(f"plugin/{row['id']}/uninstall/").json() == {"Status": True}
        assert run_server.user.objects("plugin", name="Rises") == [] and not (store.root / "Rises").exists()
        shutil.copytree(tmp_path / "Rises", store.root / "Rises")
        assert run_server.user.get("plugin/rescan/").status_code == 202
        assert len(run_server.user.objects("plugin", name="Rises")) == 1

    def test_what_a_plugin_says_of_itself(self, run_server, plugins):
        number = plugins["CallsBack"]["id"]
        assert run_server.user.get(f"plugin/{number}/type/").json() == {"files": ["config.html"]}
        assert run_server.user.get(f"plugin/set/{number};99999/type/").json() == {
            str(number): {"files": ["config.html"]}
        }
        assert run_server.user.get(f"plugin/{number}/info/").json()["major_block"] is True
        made = run_server.user.post("plugin/", json={"name": "Elsewhere", "version": "1", "path": "/etc"})
        assert run_server.user.get(f"{made.headers['Location']}type/").status_code == 410
        assert run_server.user.get(f"{made.headers['Location']}info/").status_code == 410

    def test_a_configuration_reaches_the_store(self, run_server, plugins):
        changed = run_server.user.patch(plugins["Waits"]["resource_uri"], json={"config": {"mode": "slow"}})
        assert changed.status_code == 202
        told = json.loads((run_server.home / "plugins" / "plugins.json").read_text())["records"]
        assert [one["config"] for one in told if one["name"] == "Waits"] == [{"mode": "slow"}]

    def test_its_own_endpoints(self, run_server, plugins):
        asked = run_server.user.post("plugin/CallsBack/extend/echo/?x=1&format=json", json={"a": [1]}).json()
        assert asked == {
            "request_get": {"x": "1", "format": "json"},
            "request_post": {"a": [1]},
            "user": "ionuser",
            "request_method": "POST",
            "name": "CallsBack",
            "version": "1.0.0.1",
            "config": {},
        }
        assert run_server.user.get(f"plugin/{plugins['CallsBack']['id']}/extend/seven/").json() == 7
        for function, status in (("nothing", 404), ("_x", 404), ("fails", 400)):
            assert run_server.user.get(f"plugin/CallsBack/extend/{function}/").status_code == status
        assert run_server.user.get("plugin/Waits/extend/echo/").status_code == 404
        assert run_server.nobody.get("plugin/CallsBack/extend/seven/").status_code == 401
        lured = run_server.user.get("plugin/CallsBack/extend/seven/", headers={"Sec-Fetch-Site": "cross-site"})
        assert lured.status_code == 403

    def test_installing_over_the_api(self, run_server, plugins, tmp_path):
        scratch = run_server.home / "plugins" / "scratch"
        scratch.mkdir(exist_ok=True)
        shell_plugin(tmp_path, "Zipped", "true")
        shutil.make_archive(str(scratch / "Zipped"), "zip", tmp_path, "Zipped")
        shutil.copy(scratch / "Zipped.zip", scratch.parent / "outside.zip")
        assert run_server.user.post("plugin/install/", json={"file": "Zipped.zip"}).status_code == 401
        for name in ("../outside.zip", "nothing.zip", "Zipped", 7, None, str(scratch / "Zipped.zip")):
            assert run_server.admin.post("plugin/install/", json={"file": name}).status_code == 400
        assert run_server.admin.post("plugin/install/", json={"file": "Zipped.zip"}).status_code == 202
        assert len(run_server.user.objects("plugin", name="Zipped")) == 1
        assert run_server.admin.post(f"plugin/{plugins['Waits']['id']}/upgrade/").status_code == 501


class TestLaunches:
    def test_it_ends_completed_with_its_store(self, run_server, ingested, done):
        assert done["state"] == "Completed" and not done["can_terminate"] and done["major"]
        reads = ingested.json("basecaller_results/ionstats_basecaller.json")["full"]["num_reads"]
        store = done["store"]
        assert (store["report"], store["reads"], store["depth"]) == ("Auto_life_1", reads, 20)
        assert store["ratio"] == "NaN"
        assert (store["pk"], store["pluginresult"], store["username"]) == (ingested.report, done["id"], "ionuser")
        assert done["files"] == ["CallsBack_block.html"] and int(done["size"]) > 0 and int(done["inodes"]) >= 4
        report = run_server.user.get(f"results/{ingested.report}/").json()
        assert done["URL"] == f"{report['reportLink']}plugin_out/CallsBack_out.{done['id']}/"
        assert f"{store['url_root']}/" == report["reportLink"]
        assert (Path(done["path"]) / "results.json").is_file()
        (job,) = done["plugin_result_jobs"]
        assert (job["state"], job["grid_engine_jobid"], job["run_level"]) == ("Completed", -1, "default")
        assert job["config"] == {"depth": 20} and job["starttime"] < job["endtime"]
        assert report["pluginState"]["CallsBack"] == "Completed" and report["pluginStore"]["CallsBack"] == store

    def test_its_key_dies_with_it(self, run_server, done):
        key = {"pluginresult": done["id"], "api_key": done["store"]["api_key"]}
        assert done["apikey"] is None and len(key["api_key"]) == 40
        assert run_server.nobody.get("chip/", params=key).status_code == 401

    def test_a_key_of_a_running_one_opens_the_api(self, run_server, ingested, plugins):
        begun = start(run_server, ingested.report, "Waits")
        running = wait_for(run_server, begun, "Started")
        key = {"pluginresult": running["id"], "api_key": running["apikey"]}
        (job,) = running["plugin_result_jobs"]
        number = {"grid_engine_jobid": job["grid_engine_jobid"]}
        (found,) = run_server.nobody.get("PluginResultJob/", params=key | number).json()["objects"]
        assert found["state"] == "Started" and found["id"] == job["id"]
        sent = run_server.nobody.patch(running["resource_uri"], params=key, json={"store": {"so": "far"}})
        assert sent.status_code == 202
        assert run_server.user.get("torrentsuite/sgejobs/").json()["plugin_jobs"] >= 1
        again = {"plugin": "Waits", "pluginresult": running["id"]}
        assert run_server.user.post(f"results/{ingested.report}/plugin/", json=again).status_code == 400
        while not (Path(running["path"]) / "waiting").exists():
            time.sleep(0.05)
        begun = time.monotonic()
        assert run_server.user.get(f"{running['resource_uri']}stop/").status_code == 204
        stopped = wait_for(run_server, running, "Cancelled")
        assert time.monotonic() - begun < 20
        assert stopped["store"] == {"so": "far"} and stopped["apikey"] is None and stopped["endtime"]
        assert run_server.nobody.get("chip/", params=key).status_code == 401
        folder = Path(stopped["path"])
        assert run_server.user.delete(f"{running['resource_uri']}delete/").status_code == 204
        assert run_server.user.get(running["resource_uri"]).status_code == 404 and not folder.exists()

    def test_a_result_is_used_again(self, run_server, ingested, done):
        begun = start(
            run_server, ingested.report, {"name": "CallsBack"}, pluginresult=done["id"], pluginconfig={"depth": 3}
        )
        again = wait_for(run_server, begun, "Completed", "Error")
        assert again["id"] == done["id"] and again["store"]["depth"] == 3 and len(again["plugin_result_jobs"]) == 2

    def test_what_cannot_be_started(self, run_server, ingested, plugins):
        url = f"results/{ingested.report}/plugin/"
        for body, status in (
            ({"plugin": "Nothing"}, 410),
            ({"plugin": 99999}, 410),
            ({"plugin": {"name": "CallsBack", "version": "9"}}, 410),
            ({}, 400),
            ({"plugin": {"path__contains": "/"}}, 400),
            ({"plugin": ["a", "b"]}, 400),
            ({"plugin": "CallsBack", "pluginconfig": [1]}, 400),
            ({"plugin": "CallsBack", "pluginresult": 99999}, 400),
        ):
            assert run_server.user.post(url, json=body).status_code == status, body
        assert run_server.user.put(url, json={"plugin": "CallsBack"}).status_code == 400
        assert run_server.user.post("results/99999/plugin/", json={"plugin": "CallsBack"}).status_code == 404
        assert run_server.nobody.post(url, json={"plugin": "CallsBack"}).status_code == 401

    def test_jobs_whose_launcher_has_gone_end(self, run_server, run_rows, ingested, plugins):
        """As after a kill of the server: a record says `Started`, and nobody is there any more."""
        plugin = run_rows.Plugin.objects.get(name="Waits")
        owner = run_rows.Project.objects.first().creator
        report = run_rows.Results.objects.get(pk=ingested.report)
        row = run_rows.PluginResult.objects.create(
            result=report, plugin=plugin, owner=owner, number=77, apikey="k" * 40
        )
        job = {"id": 77, "state": "Started", "level": "default", "block": "", "started": "2026-01-01T00:00:00Z"}
        record = {"format": 1, "id": 77, "name": "Waits", "version": "1.0.0.0", "jobs": [job], "validation_errors": []}
        launcher = {"host": platform.node(), "pid": 2**22 + 1, "start": 1}
        record |= {"store": {}, "n_bytes": 0, "n_files": 0, "launcher": launcher}
        folder = ingested.folder / "plugin_jobs"
        folder.mkdir(exist_ok=True)
        (folder / "77.json").write_text(json.dumps(record))
        place = {"RESULTS_DIR": str(ingested.folder / "plugin_out" / "Waits_out.77")}
        stray = subprocess.Popen(["sleep", "100"], env=place)
        row.plugin_result_jobs.create(number=77, state="Started", run_level="default", grid_engine_jobid=77)
        ended = wait_for(run_server, {"resource_uri": f"/rundb/api/v1/pluginresult/{row.pk}/"}, "Error")
        assert ended["apikey"] is None and ended["plugin_result_jobs"][0]["grid_engine_jobid"] == -1
        assert stray.wait(10) < 0


class TestListing:
    def test_the_page_of_a_report(self, run_server, ingested, done):
        stray = ingested.folder / "plugin_out" / "Stray_out.5"
        stray.mkdir(parents=True, exist_ok=True)
        (stray / "Stray.html").write_text("x")
        url = f"results/{ingested.report}/pluginresults/"
        listed = {entry["Name"]: entry for entry in run_server.user.get(url).json()}
        assert list(listed) == sorted(listed, key=str.lower)
        entry = listed["CallsBack"]
        assert entry["id"] == done["id"] and entry["State"] == "Completed" and entry["show"] is True
        assert entry["Files"] == ["CallsBack_block.html"] and entry["Links"] == []
        assert str(entry["Size"]) == run_server.user.get(done["resource_uri"]).json()["size"]
        unknown = listed["Stray"]
        assert (unknown["id"], unknown["State"], unknown["Size"], unknown["Files"]) == (
            None,
            "Unknown",
            -1,
            ["Stray.html"],
        )
        assert {entry["Name"] for entry in run_server.user.get(url, params={"major": "true"}).json()} == {"CallsBack"}
        assert "CallsBack" not in {
            entry["Name"] for entry in run_server.user.get(url, params={"major": "false"}).json()
        }
        told = run_server.user.get(f"results/{ingested.report}/plugin/").json()
        assert told["pluginFiles"]["CallsBack"] == ["CallsBack_block.html"]
        page = run_server.user.get(f"results/{ingested.report}/pluginresult_set/", params={"limit": 1}).json()
        assert page["meta"]["total_count"] >= 1 and len(page["objects"]) == 1

    def test_states_and_stores_are_for_the_object(self, run_server, ingested, done):
        def keys(url, **asked):
            answer = run_server.user.get(url, params=asked).json()
            row = answer["objects"][0] if "objects" in answer else answer
            return {"pluginState", "pluginStore"} & set(row)

        number = ingested.report
        assert keys(f"results/{number}/") and not keys(f"results/{number}/", noplugin="true")
        assert not keys("results/", id=number) and keys("results/", id=number, plugin="true")

    def test_stores_are_read_and_written(self, run_server, ingested, done):
        url = f"results/{ingested.report}/pluginstore/"
        before = run_server.user.get(url).json()
        assert run_server.user.put(url, json={"CallsBack": {"mine": 1}}).status_code == 202
        assert run_server.user.get(done["resource_uri"]).json()["store"] == {"mine": 1}
        assert run_server.user.put(url, json={"CallsBack": before["CallsBack"]}).status_code == 202
        for body in ({"Nothing": {}}, {"CallsBack": 3}):
            assert run_server.user.put(url, json=body).status_code == 400

    def test_rows_are_made_for_a_report(self, run_server, ingested, plugins):
        body = {"plugin": plugins["Waits"]["resource_uri"], "store": {"a": 1}, "owner": "/rundb/api/v1/user/1/"}
        made = run_server.user.post(f"results/{ingested.report}/pluginresults/", json=body)
        assert made.status_code == 201 and made.content == b""
        row = run_server.user.get(made.headers["Location"]).json()
        assert row["store"] == {"a": 1} and row["state"] == "Unknown" and row["starttime"] is None
        owner = run_server.user.get(row["owner"]).json()
        assert owner["username"] == "ionuser"
        assert run_server.user.get(f"{row['resource_uri']}rescan/").status_code == 202
        assert run_server.user.get(f"{row['resource_uri']}stop/").status_code == 204
        assert run_server.user.delete(row["resource_uri"]).status_code == 204

    def test_results_of_other_launches_are_adopted(self, run_server, run_rows, ingested, done, tmp_path):
        from ionanalysis.rundb.life.ingest import ingest

        folder = copy_of(ingested, tmp_path / "adopted")
        report = ingest(folder)
        jobs = ingested.folder / "plugin_jobs"
        shutil.copytree(
            jobs, folder / "plugin_jobs", ignore=lambda _, names: {n for n in names if n != f"{done['id']}.json"}
        )
        url = f"results/{report.pk}"
        assert run_server.user.get(f"{url}/scan_for_orphaned_plugin_results/").status_code == 204
        (row,) = run_server.user.objects("pluginresult", result=report.pk)
        assert (
            row["state"] == "Completed"
            and row["id"] != done["id"]
            and row["URL"].endswith(f"CallsBack_out.{done['id']}/")
        )
        spoilt = {"id": 9, "format": 1, "name": "Waits", "version": "1\0", "jobs": [], "validation_errors": []}
        spoilt |= {"store": {}, "launcher": {}, "n_bytes": 2**80, "n_files": 0}
        (folder / "plugin_jobs" / "9.json").write_text(json.dumps(spoilt))
        stray = folder / "plugin_out" / "Stray_out.5"
        stray.mkdir(parents=True)
        (stray / "results.json").write_text('{"found": 1}')
        assert run_server.user.get(f"{url}/scan_for_orphaned_plugin_results/").status_code == 204
        assert run_server.user.get(f"{url}/scan_for_orphaned_plugin_results/").status_code == 204
        stray, _ = run_server.user.objects("pluginresult", result=report.pk)
        assert (stray["pluginName"], stray["store"], stray["state"]) == ("Stray", {"found": 1}, "Completed")
        run_server.admin.delete(f"experiment/{report.experiment_id}/")


class TestPaths:
    """Nothing that a request can set leads out of a report's folder."""

    @pytest.mark.parametrize("name", ["../../victim", "..", "/etc", "a/b", "victim\n"])
    def test_names_of_plugins_lead_nowhere(self, run_server, ingested, name):
        victim = ingested.folder / "victim_out.1"
        victim.mkdir(exist_ok=True)
        (victim / "page.html").write_text("x")
        made = run_server.admin.post(
            "plugin/", json={"name": name, "version": "1", "path": str(victim), "active": True}
        )
        assert made.status_code == 201
        body = {"plugin": made.headers["Location"], "result": f"/rundb/api/v1/results/{ingested.report}/"}
        row = run_server.admin.post("pluginresult/", json=body).headers["Location"]
        assert run_server.admin.get(row).json()["files"] == []
        assert run_server.admin.get(f"{row}rescan/").status_code == 202
        assert run_server.admin.get(row).json()["size"] == "-1"
        assert run_server.admin.delete(f"{row}delete/").status_code == 204
        assert (victim / "page.html").exists()
        assert run_server.admin.delete(made.headers["Location"]).status_code == 204

    def test_links_are_not_followed(self, run_server, ingested, plugins):
        """A folder that a plugin has replaced by a link is no folder."""
        body = {"plugin": plugins["Waits"]["resource_uri"], "result": f"/rundb/api/v1/results/{ingested.report}/"}
        row = run_server.admin.post("pluginresult/", json=body).headers["Location"]
        number = run_server.admin.get(row).json()["id"]
        link = ingested.folder / "plugin_out" / f"Waits_out.{number}"
        link.symlink_to(ingested.folder / "basecaller_results")
        assert run_server.admin.get(row).json()["files"] == []
        assert run_server.admin.delete(f"{row}delete/").status_code == 204
        assert (ingested.folder / "basecaller_results" / "BaseCaller.json").exists()
        link.unlink()

    def test_what_a_report_says_of_its_place_is_not_believed(self, run_server, ingested):
        url = f"results/{ingested.report}/"
        before = run_server.user.get(url).json()
        changed = {"reportLink": "/../../etc/", "filesystempath": "/etc", "folder": "/etc"}
        assert run_server.user.patch(url, json=changed).status_code == 202
        assert run_server.user.get(url).json()["filesystempath"] == str(ingested.folder)
        assert run_server.user.get(f"{url}barcodesampleinfo/").json()["IonXpress_001"]["filtered"] is False
        run_server.user.patch(url, json={"reportLink": before["reportLink"]})
