"""The protocol as rest-api.md 2 states it, asked of a running server as a client would."""

import os
import re
import uuid

import pytest
from rundb_rows import make_report

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$")


def named():
    return f"t{uuid.uuid4().hex[:12]}"


def plugin_row(run_rows):
    """A plugin that is not installed."""
    return run_rows.Plugin.objects.create(name=named(), version="1", config={}, pluginsettings={}, status={})


def chip_of(**values):
    return {"name": named(), "slots": 1, "instrumentType": "pgm"} | values


@pytest.fixture
def chip(run_server):
    """Address and name of a chip that the test may change."""
    data = chip_of(description="A Chip")
    answer = run_server.admin.post("chip/", json=data)
    assert answer.status_code == 201 and answer.content == b""
    return answer.headers["Location"], data["name"]


class TestReading:
    def test_the_root_needs_no_credentials_and_names_all(self, run_server):
        root = run_server.nobody.get("/rundb/api/v1/").json()
        assert len(root) == 87
        assert root["PluginResultJob"]["schema"] == "/rundb/api/v1/PluginResultJob/schema/"
        assert root["compositeexperiment"]["list_endpoint"] == "/rundb/api/mesh/v1/compositeexperiment/"
        for path in ("/rundb/api/v1/", "/rundb/api/mesh/v1/"):
            assert run_server.user.get(f"{path}compositeexperiment/").status_code == 200
        assert run_server.nobody.get("torrentsuite/version/").json() == {"meta_version": "5.4.0"}

    def test_a_list_an_object_and_several(self, run_server):
        listed = run_server.user.get("chip/", params={"limit": 2}).json()
        assert listed["meta"]["limit"] == 2 and listed["meta"]["offset"] == 0 and listed["meta"]["previous"] is None
        assert listed["meta"]["next"] == "/rundb/api/v1/chip/?limit=2&offset=2"
        first = listed["objects"][0]
        assert run_server.user.get(first["resource_uri"]).json() == first
        several = run_server.user.get("chip/set/1;2/").json()
        assert [chip["id"] for chip in several["objects"]] == [1, 2] and set(several) == {"objects"}
        assert run_server.user.get("chip/set/2;99999;x/").json()["not_found"] == ["99999", "x"]

    def test_addresses_without_their_last_slash_lead_to_those_with_it(self, run_server):
        for path in ("chip", "chip/1", "chip/schema"):
            answer = run_server.user.get(path)
            assert answer.status_code == 301 and answer.headers["Location"].endswith(f"/{path}/")

    def test_head_is_get_without_its_body(self, run_server):
        """A body would be taken for the next answer of the connection."""
        for _ in range(2):
            answer = run_server.user.head("chip/")
            assert answer.status_code == 200 and answer.content == b"" and int(answer.headers["Content-Length"]) > 0
        assert run_server.user.get("chip/").headers["Content-Length"] == answer.headers["Content-Length"]

    def test_formats(self, run_server):
        for parameters in ({}, {"format": "json"}, {"format": "xml"}):
            answer = run_server.user.get("chip/1/", params=parameters, headers={"Accept": "text/html"})
            assert answer.headers["Content-Type"].startswith("application/json")
        answer = run_server.user.get("chip/1/", params={"format": "jsonp", "callback": "show"})
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert answer.text.startswith("show({") and answer.text.endswith("})")
        assert run_server.user.get("chip/1/", params={"format": "jsonp", "callback": "a;b"}).status_code == 400

    def test_dates_have_milliseconds_as_six_digits(self, run_server, run_rows):
        from datetime import UTC, datetime

        row = run_rows.Publisher.objects.create(
            name=named(), version="1", path="p", date=datetime(2017, 4, 4, 4, 29, 6, 356789, UTC)
        )
        got = run_server.user.get(f"publisher/{row.name}/").json()
        assert got["date"] == "2017-04-04T04:29:06.000356+00:00"
        row.date = datetime(2017, 4, 4, 4, 29, 6, tzinfo=UTC)
        row.save()
        assert run_server.user.get(f"publisher/{row.name}/").json()["date"] == "2017-04-04T04:29:06+00:00"

    def test_numbers_and_json_columns(self, run_server):
        data = {"name": named(), "url": "http://x", "size": "4663793607", "progress": 7}
        made = run_server.admin.post("filemonitor/", json=data)
        got = run_server.user.get(made.headers["Location"]).json()
        assert got["size"] == "4663793607" and got["progress"] == "7"
        assert STAMP.match(got["created"])
        rig = run_server.user.get("rig/default/").json()
        assert rig["version"] == {} and rig["location"]["name"] == "Home" and "id" not in rig

    def test_json_columns_take_objects_and_their_text(self, run_server):
        for given in ({"a": [1, {"b": None}]}, '{"a": [1, {"b": null}]}'):
            made = run_server.admin.post("monitordata/", json={"name": named(), "treeDat": given})
            assert run_server.user.get(made.headers["Location"]).json()["treeDat"] == {"a": [1, {"b": None}]}
        refused = run_server.admin.post("monitordata/", json={"name": "x", "treeDat": "{"})
        assert refused.status_code == 400


class TestPaging:
    def test_limits(self, run_server):
        assert run_server.user.get("dnabarcode/").json()["meta"]["limit"] == 20
        assert run_server.user.get("referencegenome/").json()["meta"]["limit"] == 1000
        for limit in (0, 1000, 5000):
            answer = run_server.user.get("dnabarcode/", params={"limit": limit}).json()
            assert answer["meta"]["limit"] == 1000 and len(answer["objects"]) == 1000
        whole = run_server.user.get("content/", params={"limit": 0}).json()
        assert set(whole["meta"]) == {"limit", "offset", "total_count"}

    def test_pages_are_disjoint_and_whole(self, run_server):
        seen, url = [], "kitinfo/?limit=50&order_by=name&kitType=LibraryKit"
        while url:
            page = run_server.user.get(url).json()
            seen += [kit["id"] for kit in page["objects"]]
            url = page["meta"]["next"]
        assert len(seen) == len(set(seen)) == page["meta"]["total_count"] >= 26

    def test_past_the_end_and_before_the_beginning(self, run_server):
        answer = run_server.user.get("chip/", params={"offset": 99999}).json()
        assert answer["objects"] == [] and answer["meta"]["next"] is None
        back = run_server.user.get("chip/", params={"limit": 5, "offset": 7}).json()["meta"]["previous"]
        assert back == "/rundb/api/v1/chip/?limit=5&offset=2"
        assert run_server.user.get("chip/", params={"limit": 5, "offset": 3}).json()["meta"]["previous"] is None
        for parameters in ({"limit": -1}, {"limit": "x"}, {"offset": -1}, {"offset": "x"}):
            answer = run_server.user.get("chip/", params=parameters)
            assert answer.status_code == 400 and "Please provide" in answer.json()["error"]


class TestOrdering:
    def test_by_fields_and_relations(self, run_server):
        names = [chip["name"] for chip in run_server.user.objects("chip", order_by="-name", limit=0)]
        assert names == sorted(names, reverse=True)
        kits = run_server.user.get("kitinfo/?order_by=instrumentType&order_by=-name&limit=0").json()["objects"]
        keys = [(kit["instrumentType"], kit["name"]) for kit in kits]
        assert [key[0] for key in keys] == sorted(key[0] for key in keys)
        parts = run_server.user.get("kitpart/?order_by=kit__name&limit=3")
        assert parts.status_code == 200

    def test_refusals(self, run_server):
        for field, said in (
            ("nothing", "No matching 'nothing' field for ordering on."),
            ("resource_uri", "does not allow ordering"),
            ("name__id", "does not support relations"),
        ):
            answer = run_server.user.get("chip/", params={"order_by": field})
            assert answer.status_code == 400 and said in answer.json()["error"]
        assert run_server.user.get("PluginResultJob/", params={"order_by": "id"}).status_code == 400


class TestFiltering:
    @pytest.fixture(scope="class")
    @classmethod
    def three(cls, run_server):
        """A prefix of the names of three chips: ``Alpha``, ``alphabet`` and ``Beta``, with 1, 2 and 3 slots."""
        prefix = named()
        for slots, name in enumerate(("Alpha", "alphabet", "Beta"), 1):
            data = chip_of(name=f"{prefix}{name}", slots=slots, isActive=slots != 2)
            assert run_server.admin.post("chip/", json=data).status_code == 201
        return prefix

    @pytest.mark.parametrize(
        ("suffix", "value", "slots"),
        [
            ("", "{}Alpha", [1]),
            ("__exact", "{}alpha", []),
            ("__iexact", "{}ALPHA", [1]),
            ("__contains", "{}A", [1]),
            ("__icontains", "{}a", [1, 2]),
            ("__startswith", "{}alpha", [2]),
            ("__istartswith", "{}ALPHA", [1, 2]),
            ("__endswith", "eta", [3]),
            ("__iendswith", "BETA", [3]),
            ("__regex", "^{}.lpha$", [1]),
            ("__iregex", "^{}B.*A$", [3]),
            ("__in", "{}Alpha,{}Beta", [1, 3]),
            ("__range", "{}Alpha,{}Beta", [1, 3]),
            ("__gt", "{}Beta", [2]),
            ("__gte", "{}Beta", [2, 3]),
            ("__lt", "{}Beta", [1]),
            ("__lte", "{}Beta", [1, 3]),
            ("__isnull", "True", []),
            ("__isnull", "false", [1, 2, 3]),
        ],
    )
    def test_suffixes_of_text(self, run_server, three, suffix, value, slots):
        parameters = {"name__regex": f"^{three}", "order_by": "slots"}
        parameters[f"name{suffix}"] = value.replace("{}", three)
        if suffix == "__regex":
            del parameters["order_by"]
        got = sorted(chip["slots"] for chip in run_server.user.objects("chip", **parameters))
        assert got == slots

    def test_letters_that_patterns_know_are_letters_here(self, run_server):
        name = named() + "%_\\x"
        assert run_server.admin.post("chip/", json=chip_of(name=name)).status_code == 201
        for suffix in ("contains", "startswith", "endswith", "icontains"):
            found = run_server.user.objects("chip", **{f"name__{suffix}": name, "limit": 0})
            assert [chip["name"] for chip in found] == [name], suffix
        assert run_server.user.objects("chip", name__contains=name[:5] + "%") == []

    def test_other_kinds(self, run_server, three):
        def slots(**parameters):
            return sorted(
                chip["slots"] for chip in run_server.user.objects("chip", name__startswith=three, **parameters)
            )

        assert slots(slots=2) == slots(slots__in="2,7") == slots(slots__range="2,2") == [2]
        assert slots(slots__gte=2) == [2, 3] and slots(slots__lt="2") == [1]
        assert slots(isActive="true") == slots(isActive="True") == [1, 3]
        assert slots(isActive="False") == [2]
        assert slots(slots=10**24) == slots(slots__lt=-(10**24)) == []
        assert slots(nothing="x", nothing__in="y") == [1, 2, 3]
        repeated = run_server.user.get(f"chip/?name__startswith={three}&slots=1&slots=3").json()["objects"]
        assert [chip["slots"] for chip in repeated] == [3]
        joined = run_server.user.get(f"chip/?name__startswith={three}&slots__in=1&slots__in=3").json()["objects"]
        assert sorted(chip["slots"] for chip in joined) == [1, 3]

    def test_dates(self, run_server, run_rows):
        from datetime import UTC, datetime

        tag = named()
        for day in (1, 2, 4):
            row = run_rows.Publisher(name=f"{tag}{day}", version=tag, path="p")
            row.date = datetime(2017, 4, day, 10 + day, 30, 5, tzinfo=UTC)
            row.save()

        def days(**parameters):
            found = run_server.user.objects("publisher", version=tag, **parameters)
            return sorted(int(publisher["name"].removeprefix(tag)) for publisher in found)

        assert days(date__gte="2017-04-02") == [2, 4]
        assert days(date__range="2017-04-01,2017-04-02 12:30:05") == [1, 2]
        assert days(date__lt="2017-04-02T12:30:05+00:00") == [1]
        assert days(date="2017-04-02 14:30:05+02:00") == [2]
        assert days(date__year=2017) == [1, 2, 4] and days(date__month=5) == []
        assert days(date__day=4) == [4] and days(date__hour=12) == [2] and days(date__minute=30) == [1, 2, 4]
        assert days(date__second=5) == [1, 2, 4]
        # 2017-04-02 is a Sunday.
        assert days(date__week_day=1) == [2] and days(date__week_day=7) == [1]

    def test_relations(self, run_server):
        parts = run_server.user.objects("kitpart", kit__name="IonSeqKit", limit=0)
        assert {part["kit"] for part in parts} == {"/rundb/api/v1/kitinfo/20001/"}
        assert run_server.user.objects("kitpart", kit=20001, limit=0) == parts
        assert run_server.user.objects("kitpart", kit__id=20001, limit=0) == parts
        with_parts = run_server.user.objects("kitinfo", parts__barcode__startswith="44689", limit=0)
        assert len({kit["id"] for kit in with_parts}) == len(with_parts) > 0
        assert run_server.user.objects("runtype", applicationGroups__name="PGx")

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("kitpart/?kit__pk=1", "The 'pk' field does not allow filtering."),
            ("chip/?name__nothing=1", "The 'name' field does not support relations."),
            ("chip/?resource_uri=x", "does not allow filtering"),
            ("librarykitinfo/?kitType=LibraryKit", "The 'kitType' field does not allow filtering."),
            ("location/?comments=x", "The 'comments' field does not allow filtering."),
            ("chip/?slots=abc", "Invalid resource lookup data provided (mismatched type)."),
            ("chip/?slots__in=1,abc", "Invalid resource lookup data provided (mismatched type)."),
            ("chip/?isActive=perhaps", ""),
            ("publisher/?date__gt=yesterday", ""),
            ("chip/?name__regex=(", ""),
            ("chip/?slots__range=1", ""),
            ("chip/?name__regex=" + "x" * 600, ""),
            ("chip/?slots__year=1", ""),
            ("eventlog/?created__year=0", ""),
            ("eventlog/?created__year=99999", ""),
            ("results/?" + "__".join(["experiment__results"] * 5) + "__id=1", "At most 8 relations are followed"),
            (
                "results/?order_by=" + "__".join(["experiment__results"] * 5) + "__id",
                "At most 8 relations are followed",
            ),
            ("chip/set/" + "1;" * 1000 + "1/", "At most 1000 objects"),
            ("datamanagementhistory/?resultsName=" + "x" * 600, "a pattern of at most 500"),
            ("compositedatamanagement/?search_name=" + "x" * 600, "a pattern of at most 500"),
            ("chip/?name=%00", ""),
        ],
    )
    def test_refusals(self, run_server, query, said):
        answer = run_server.user.get(query)
        if "%00" in query:
            assert answer.status_code in (200, 400)
        else:
            assert answer.status_code == 400 and said in answer.json()["error"]

    def test_patterns_that_take_for_ever_are_ended(self, run_server):
        if os.environ.get("IONANALYSIS_TEST_DATABASE") == "postgresql":
            pytest.skip("PostgreSQL's own expressions know no such patterns")
        name = "a" * 60 + "!" + named()
        assert run_server.admin.post("chip/", json=chip_of(name=name)).status_code == 201
        answer = run_server.user.get("chip/", params={"name__regex": "^(a|aa|a?a)+$", "order_by": "-id"})
        assert answer.status_code == 400 and "takes too long" in answer.json()["error"]

    def test_listed_fields_without_a_column_are_refused(self, run_server):
        """compositeexperiment lists `barcodeId`, which is no field of its, clusterinfohistory a computed `name`."""
        answer = run_server.user.get("clusterinfohistory/", params={"name": "x"})
        assert answer.status_code == 400
        assert answer.json() == {"error": "The 'name' field has no 'attribute' for searching with."}
        assert run_server.user.get("clusterinfohistory/", params={"order_by": "name"}).status_code == 400
        assert run_server.user.get("compositeexperiment/", params={"order_by": "barcodeId"}).status_code == 400
        assert run_server.user.get("compositeexperiment/", params={"results__results_set": 1}).status_code == 400


class TestLinks:
    def test_keys_are_not_exchanged(self, run_server):
        for method, path in (
            ("GET", "system_id"),
            ("GET", "retrieve_key"),
            ("GET", "revalidate"),
            ("PUT", "assign_key"),
        ):
            assert run_server.nobody.request(method, f"ionmeshnode/{path}/").status_code == 401
            assert run_server.admin.request(method, f"ionmeshnode/{path}/").status_code == 501


class TestCredentials:
    def test_every_way_in(self, run_server):
        key = run_server.keys["ionuser"]
        ways = (
            {"auth": ("ionuser", "secret of ionuser")},
            {"headers": {"Authorization": f"ApiKey ionuser:{key}"}},
            {"headers": {"Authorization": f"apikey ionuser:{key}"}},
            {"params": {"username": "ionuser", "api_key": key}},
        )
        for way in ways:
            assert run_server.nobody.get("chip/1/", **way).status_code == 200, way
        listed = run_server.nobody.get("plannedexperiment/", params={"username": "ionuser", "api_key": key, "limit": 1})
        assert listed.status_code == 200 and "api_key" in (listed.json()["meta"]["next"] or "api_key")

    def test_every_other_is_refused(self, run_server):
        key = run_server.keys["ionuser"]
        ways = (
            {},
            {"auth": ("ionuser", "wrong")},
            {"auth": ("nobody", "secret of ionuser")},
            {"headers": {"Authorization": "Basic !!!"}},
            {"headers": {"Authorization": f"ApiKey ionadmin:{key}"}},
            {"headers": {"Authorization": "ApiKey"}},
            {"params": {"username": "ionuser", "api_key": ""}},
            {"headers": {"Authorization": "pluginkey 1:x"}},
            {"headers": {"Authorization": f"system_id 1:{key}"}},
        )
        for way in ways:
            for path in ("chip/1/", "chip/", "chip/schema/", "torrentsuite/"):
                answer = run_server.nobody.get(path, **way)
                assert answer.status_code == 401 and answer.content == b"", (way, path)
                assert answer.headers["WWW-Authenticate"] == 'Basic Realm="Torrent Browser"'

    def test_inactive_users_fail(self, run_server, run_rows):
        from django.contrib.auth.models import User

        user = User.objects.create_user(named(), password="p")
        assert run_server.nobody.get("chip/1/", auth=(user.username, "p")).status_code == 200
        user.is_active = False
        user.save()
        assert run_server.nobody.get("chip/1/", auth=(user.username, "p")).status_code == 401
        header = {"Authorization": f"ApiKey {user.username}:{user.api_key.key}"}
        assert run_server.nobody.get("chip/1/", headers=header).status_code == 401

    def test_order_of_refusals(self, run_server):
        assert run_server.nobody.put("chip/1/schema/").status_code in (404, 405)
        assert run_server.nobody.post("chip/schema/").status_code == 405
        assert run_server.nobody.delete("sample/1/").status_code == 405
        assert run_server.nobody.post("chip/", data="no json").status_code == 401
        assert run_server.user.get("nothing/").status_code == 404
        assert "json" not in run_server.user.get("nothing/").headers["Content-Type"]

    def test_who_may_only_read_is_told_401(self, run_server, run_rows):
        from django.contrib.auth.models import User

        reader = User.objects.create_user(named())
        header = {"Authorization": f"ApiKey {reader.username}:{reader.api_key.key}"}
        ask = run_server.nobody
        assert ask.get("chip/1/", headers=header).status_code == 200
        assert ask.get("chip/schema/", headers=header).status_code == 200
        for method, path in (("post", "chip/"), ("put", "chip/1/"), ("patch", "chip/1/"), ("delete", "chip/1/")):
            answer = ask.request(method, path, json={"name": "x", "slots": 1}, headers=header)
            assert answer.status_code == 401 and answer.content == b"", method
        assert ask.request("patch", "chip/", json={"objects": [{}]}, headers=header).status_code == 401
        assert ask.request("put", "chip/", json={"objects": []}, headers=header).status_code == 401
        assert ask.delete("chip/?name=none", headers=header).status_code == 401

    def test_users_of_the_group_may_write_what_is_theirs_alone(self, run_server):
        assert run_server.user.post("chip/", json=chip_of()).status_code == 401
        assert run_server.user.post("message/", json={"body": "x"}).status_code == 201
        assert run_server.user.patch("globalconfig/1/", json={"site_name": "x"}).status_code == 401

    def test_keys_of_others_are_neither_shown_nor_guessed(self, run_server, run_rows):
        node = run_rows.IonMeshNode.objects.create(system_id=named(), hostname=named(), apikey_local="k" * 40)
        path = f"ionmeshnode/{node.pk}/"
        assert run_server.user.get(path).json()["apikey_local"] is None
        assert run_server.admin.get(path).json()["apikey_local"] == "k" * 40
        for query in ("apikey__startswith=a", "order_by=apikey"):
            answer = run_server.user.get(f"pluginresult/?{query}")
            assert answer.status_code == 400 and "'apikey' field does not allow" in answer.json()["error"]
        through = run_server.user.get("results/?pluginresults__apikey__startswith=a")
        assert through.status_code == 400

    def test_keys_are_not_set_by_users(self, run_server, run_rows, tmp_path):
        from django.contrib.auth.models import User

        report, plugin = make_report(run_rows, tmp_path, named()), plugin_row(run_rows)
        owner = User.objects.get(username="ionuser")
        row = run_rows.PluginResult.objects.create(result=report, plugin=plugin, owner=owner, apikey="k" * 40)
        run_rows.PluginResultJob.objects.create(plugin_result=row, run_level="default", state="Started")
        path, before = f"pluginresult/{row.pk}/", row.apikey
        assert run_server.user.patch(path, json={"apikey": "mine", "inodes": "7"}).status_code == 202
        row.refresh_from_db()
        assert (row.apikey, row.inodes) == (before, 7)

    @pytest.mark.parametrize(
        ("method", "site", "mode", "status"),
        [
            ("GET", "cross-site", "navigate", 200),
            ("GET", "cross-site", "no-cors", 403),
            ("POST", "cross-site", "navigate", 403),
            ("GET", "same-origin", "cors", 200),
        ],
    )
    def test_remembered_passwords_do_not_serve_other_sites(self, run_server, method, site, mode, status):
        answer = run_server.nobody.request(
            method,
            "message/",
            data="{}" if method == "POST" else None,
            auth=("ionuser", "secret of ionuser"),
            headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode},
        )
        assert answer.status_code == status

    def test_secrets_are_not_shown(self, run_server):
        for user in run_server.admin.objects("user"):
            assert not {"password", "is_staff", "is_superuser"} & set(user)


class TestWriting:
    def test_post_put_patch_delete(self, run_server, chip):
        uri, name = chip
        assert uri.startswith("/rundb/api/v1/chip/")
        assert run_server.admin.put(uri, json={"slots": 5}).status_code == 204
        got = run_server.admin.get(uri).json()
        assert (got["slots"], got["name"], got["description"]) == (5, name, "A Chip")
        answer = run_server.admin.patch(uri, json={"description": "B", "nothing": 1, "resource_uri": "x", "id": 1})
        assert answer.status_code == 202 and answer.content == b""
        got = run_server.admin.get(uri).json()
        assert (got["slots"], got["description"], got["resource_uri"]) == (5, "B", uri)
        assert run_server.admin.delete(uri).status_code == 204
        assert run_server.admin.get(uri).status_code == 404 and run_server.admin.get(uri).content == b""
        assert run_server.admin.delete(uri).status_code == run_server.admin.patch(uri, json={}).status_code == 404

    def test_put_makes_what_is_not_there(self, run_server):
        answer = run_server.admin.put("chip/70001/", json=chip_of())
        assert answer.status_code == 201 and answer.headers["Location"] == "/rundb/api/v1/chip/70001/"
        assert run_server.admin.get("chip/70001/").json()["id"] == 70001
        name = named()
        rig = {"location": "/rundb/api/v1/location/1/"}
        answer = run_server.admin.put(f"rig/{name}/", json=rig)
        assert answer.status_code == 201 and answer.headers["Location"] == f"/rundb/api/v1/rig/{name}/"

    def test_an_id_in_a_post_is_dropped(self, run_server, chip):
        uri, name = chip
        number = run_server.admin.get(uri).json()["id"]
        answer = run_server.admin.post("chip/", json=chip_of(id=number, resource_uri=uri))
        assert answer.status_code == 201 and answer.headers["Location"] != uri
        assert run_server.admin.get(uri).json()["name"] == name

    def test_other_ways_to_say_patch(self, run_server, chip):
        uri, _ = chip
        answer = run_server.admin.post(uri, json={"slots": 7}, headers={"X-HTTP-Method-Override": "PATCH"})
        assert answer.status_code == 202
        assert run_server.admin.request("PROPPATCH", uri, json={"description": "C"}).status_code == 202
        got = run_server.admin.get(uri).json()
        assert (got["slots"], got["description"]) == (7, "C")

    def test_options_and_methods_that_are_not_allowed(self, run_server):
        answer = run_server.nobody.options("chip/")
        assert answer.status_code == 200 and answer.text == answer.headers["Allow"]
        assert set(answer.text.split(",")) == {"GET", "POST", "PUT", "DELETE", "PATCH"}
        answer = run_server.admin.post("user/", json={})
        assert answer.status_code == 405 and answer.headers["Allow"] == "GET"
        assert run_server.admin.post("chip/1/", json={}).status_code == 501
        assert run_server.admin.post("ionmeshnode/", json={}).status_code == 405

    def test_lists_at_once(self, run_server):
        tag = named()
        objects = [chip_of(description=tag) for _ in range(3)]
        assert run_server.admin.patch("chip/", json={"objects": objects}).status_code == 202
        found = run_server.admin.objects("chip", description=tag)
        assert {chip["name"] for chip in found} == {chip["name"] for chip in objects}
        body = {
            "objects": [{"resource_uri": found[0]["resource_uri"], "slots": 9}, chip_of(description=tag)],
            "deleted_objects": [found[1]["resource_uri"]],
        }
        assert run_server.admin.patch("chip/", json=body).status_code == 202
        after = run_server.admin.objects("chip", description=tag)
        assert len(after) == 3 and found[1]["id"] not in {chip["id"] for chip in after}
        assert next(chip for chip in after if chip["id"] == found[0]["id"])["slots"] == 9
        broken = {"objects": [chip_of(description=tag), {"name": named(), "slots": "many"}]}
        assert run_server.admin.patch("chip/", json=broken).status_code == 400
        assert len(run_server.admin.objects("chip", description=tag)) == 3
        replaced = run_server.admin.put(
            "chip/", params={"description": tag}, json={"objects": [chip_of(description=tag)]}
        )
        assert replaced.status_code == 204 and len(run_server.admin.objects("chip", description=tag)) == 1
        assert run_server.admin.delete("chip/", params={"description": tag}).status_code == 204
        assert run_server.admin.objects("chip", description=tag) == []
        answer = run_server.admin.patch("chip/", json={"stuff": []})
        assert answer.status_code == 400 and answer.json()["error"] == "Invalid data sent: missing 'objects'"

    def test_relations_as_addresses_and_objects(self, run_server):
        made = run_server.admin.post(
            "rig/", json={"name": named(), "location": {"name": "Lab", "comments": "second floor"}}
        )
        assert made.status_code == 201
        rig = run_server.admin.get(made.headers["Location"]).json()
        place = rig["location"]["resource_uri"]
        assert run_server.admin.get(place).json()["comments"] == "second floor"
        rig["location"]["comments"] = "third floor"
        assert run_server.admin.put(made.headers["Location"], json=rig).status_code == 204
        assert run_server.admin.get(place).json()["comments"] == "third floor"
        assert run_server.admin.patch(made.headers["Location"], json={"location": "/rundb/api/v1/location/1/"}).ok
        assert run_server.admin.get(made.headers["Location"]).json()["location"]["id"] == 1
        gone = run_server.admin.patch(made.headers["Location"], json={"location": "/rundb/api/v1/location/999/"})
        assert gone.status_code == 400
        assert (
            gone.json()["error"] == "Could not find the provided object via resource URI '/rundb/api/v1/location/999/'."
        )

    def test_resources_that_return_data(self, run_server):
        data = {"displayedName": named()}
        made = run_server.admin.post("sampleset/", json=data)
        if made.status_code == 201:
            assert made.json()["resource_uri"] == made.headers["Location"]

    @pytest.mark.parametrize(
        ("data", "kind", "status"),
        [
            (b"{", "application/json", 400),
            (b"[]", "application/json", 400),
            (b"3", "application/json", 400),
            (b"\xff", "application/json", 400),
            (b"[" * 100_000, "application/json", 400),
            (b"<a/>", "application/xml", 415),
            (b'{"name": "x"}', "application/json", 400),
            (b'{"name": "x", "slots": null}', "application/json", 400),
            (b'{"name": "x", "slots": "a"}', "application/json", 400),
            (b'{"name": "x", "slots": 1e99}', "application/json", 400),
            (b'{"name": "x", "slots": 99999999999}', "application/json", 400),
            (b'{"name": {"a": 1}, "slots": 1}', "application/json", 400),
            (b'{"name": "\\ud800", "slots": 1}', "application/json", 400),
        ],
    )
    def test_bad_bodies(self, run_server, data, kind, status):
        answer = run_server.admin.post("chip/", data=data, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert set(answer.json()) & {"error", "error_message"}

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"x", "multipart/form-data"),
            ("&".join(f"a{n}=1" for n in range(1001)).encode(), "application/x-www-form-urlencoded"),
        ],
    )
    def test_broken_forms(self, run_server, data, kind):
        answer = run_server.nobody.post("chip/", data=data, headers={"Content-Type": kind})
        assert answer.status_code == 400

    def test_what_is_too_deep_is_not_kept(self, run_server, run_rows):
        """It could not be shown again, and would spoil each list that it is in."""
        path = f"plugin/{plugin_row(run_rows).pk}/"
        for levels, status in ((90, 204), (500, 400)):
            deep = '{"config": {"a": ' + "[" * levels + "]" * levels + "}}"
            answer = run_server.user.put(path, data=deep, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, answer.text
            assert run_server.user.get(path).status_code == 200

    def test_a_busy_database_is_no_defect(self, run_rows):
        from django.db import OperationalError

        from ionanalysis.rundb.protocol.answers import refusal_for

        refusal = refusal_for(OperationalError("database is locked"))
        assert refusal.status == 503 and refusal.headers == {"Retry-After": "10"}
        assert refusal_for(OperationalError("disk I/O error")).status == 500

    def test_numbers_that_are_none_or_endless(self, run_server):
        for number, status in (("9" * 5000, 404), ("9" * 10, 404), ("\u00b2", 404)):
            assert run_server.user.get(f"chip/{number}/").status_code == status
            assert run_server.user.get(f"plugin/{number}/type/").status_code == status
            assert run_server.user.get(f"plugin/set/{number}/type/").json() == {}
            assert run_server.user.get("eventlog/", params={"content_type_id": number}).status_code == 200
        assert run_server.admin.put(f"chip/{'9' * 5000}/", json=chip_of()).status_code == 400

    def test_rules_of_columns(self, run_server):
        name = named()
        data = {"name": name, "sequence": "TCAG"}
        assert run_server.admin.post("librarykey/", json=data).status_code == 201
        assert run_server.admin.post("librarykey/", json=data).status_code == 400
        assert run_server.admin.post("emailaddress/", json={"email": "no address"}).json() == {
            "emailaddress": {"email": ["Enter a valid email address."]}
        }
        assert run_server.admin.post("emailaddress/", json={"email": "a@example.org"}).status_code == 201
        answer = run_server.admin.post("template/", json={"name": "TF_A", "key": "ATCG"})
        assert answer.status_code == 400 and set(answer.json()) == {"template"}

    def test_two_writers_of_different_fields_lose_nothing(self, run_server, chip):
        from concurrent.futures import ThreadPoolExecutor

        uri, _ = chip
        with ThreadPoolExecutor(4) as pool:
            done = list(
                pool.map(
                    lambda n: run_server.admin.patch(uri, json={("slots", "description")[n % 2]: n}).status_code,
                    range(40),
                )
            )
        assert set(done) == {202}
        made = []
        with ThreadPoolExecutor(4) as pool:
            tag = named()
            made = list(
                pool.map(
                    lambda n: run_server.admin.post("chip/", json=chip_of(description=tag, slots=n)).status_code,
                    range(40),
                )
            )
        assert set(made) == {201}
        assert run_server.admin.get("chip/", params={"description": tag}).json()["meta"]["total_count"] == 40
