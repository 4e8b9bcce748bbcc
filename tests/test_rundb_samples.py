"""Samples, their attributes, and the sets in which they are prepared, over the API."""

import uuid

import pytest

ITEM = {"relationshipGroup": 1, "gender": "Female", "nucleotideType": "dna"}


def named():
    return f"s {uuid.uuid4().hex[:10]}"


def location(answer):
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


class TestSample:
    def test_name_follows_from_the_displayed_name(self, run_server):
        name = named()
        uri = location(run_server.user.post("sample/", json={"displayedName": name, "name": "ignored"}))
        sample = run_server.user.get(uri).json()
        assert sample["name"] == name.replace(" ", "_") and sample["displayedName"] == name
        assert sample["externalId"] == "" and sample["sampleSets"] == sample["experiments"] == []
        other = named()
        assert run_server.user.put(uri, json={"displayedName": other}).status_code == 204
        assert run_server.user.get(uri).json()["name"] == other.replace(" ", "_")
        assert run_server.user.put(uri, json={"description": "d"}).status_code == 204
        assert run_server.user.get(uri).json()["displayedName"] == other

    def test_only_the_name_may_be_given(self, run_server):
        name = named()
        sample = run_server.user.get(location(run_server.user.post("sample/", json={"name": name}))).json()
        assert sample["displayedName"] == name and sample["name"] == name.replace(" ", "_")

    def test_name_and_external_id_are_unique_together(self, run_server):
        name = named()
        location(run_server.user.post("sample/", json={"displayedName": name}))
        again = run_server.user.post("sample/", json={"displayedName": name})
        assert again.status_code == 400 and "error" in again.json()
        location(run_server.user.post("sample/", json={"displayedName": name, "externalId": "2"}))

    def test_plans_use_samples_again(self, run_server, run_rows):
        name = named()
        uri = location(run_server.user.post("sample/", json={"displayedName": name, "status": "created"}))
        template = {"planName": "template", "isReusable": True, "sample": name}
        plan = run_server.user.post("plannedexperiment/", json=template).json()
        run = run_server.user.get(plan["experiment"]).json()
        assert run["samples"] == [uri]
        assert run_server.user.delete(plan["resource_uri"]).status_code == 204
        assert run_server.user.get(uri).json()["experiments"] == []
        own = named()
        plan = run_server.user.post("plannedexperiment/", json=template | {"sample": own}).json()
        assert run_server.user.delete(plan["resource_uri"]).status_code == 204
        assert run_server.user.objects("sample", displayedName=own) == []

    def test_it_goes_with_the_last_of_its_runs(self, run_server):
        name, shared = named(), named()
        template = {"planName": name.replace(" ", "-"), "isReusable": True, "sample": shared}
        plans = [run_server.user.post("plannedexperiment/", json=template).json() for _ in range(3)]
        run_server.user.delete(plans[0]["resource_uri"])
        assert len(run_server.user.objects("sample", displayedName=shared)[0]["experiments"]) == 2
        done = run_server.user.delete("plannedexperiment/", params={"planName": template["planName"]})
        assert done.status_code == 204 and run_server.user.objects("sample", displayedName=shared) == []

    def test_it_is_neither_deleted_nor_patched(self, run_server):
        uri = location(run_server.user.post("sample/", json={"displayedName": named()}))
        for answer in (run_server.admin.delete(uri), run_server.admin.patch(uri, json={})):
            assert answer.status_code == 405


class TestSampleSet:
    def test_is_given_back_with_what_follows(self, run_server):
        group = run_server.user.objects("samplegrouptype_cv", displayedName="Trio")[0]
        name = named()
        body = {
            "displayedName": name,
            "SampleGroupType_CV": group["resource_uri"],
            "libraryPrepType": "amps_on_chef_v1",
            "libraryPrepKitName": "Ion Chef HID Library V2",
        }
        answer = run_server.user.post("sampleset/", json=body)
        made = answer.json()
        assert location(answer) == made["resource_uri"]
        assert made["sampleGroupTypeName"] == "Trio" and made["sampleCount"] == 0 and made["samples"] == []
        assert made["libraryPrepTypeDisplayedName"] == "AmpliSeq on Chef"
        assert made["libraryPrepKitDisplayedName"] == "Precision ID Chef DL8"
        assert run_server.user.get(made["resource_uri"]).json() == made
        answer = run_server.user.patch(made["resource_uri"], json={"description": "d"})
        assert answer.status_code == 202 and answer.json()["description"] == "d"

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("displayedName", {"displayedName": ""}),
            ("displayedName", {"displayedName": None}),
            ("displayedName", {"displayedName": "a/b"}),
            ("displayedName", {"displayedName": "x" * 128}),
            ("description", {"description": "x" * 1025}),
            ("libraryPrepKitName", {"libraryPrepKitName": "no kit"}),
        ],
        ids=str,
    )
    def test_errors_stand_under_its_name(self, run_server, field, values):
        answer = run_server.user.post("sampleset/", json={"displayedName": named()} | values)
        assert answer.status_code == 400 and set(answer.json()) == {"sampleset"}
        assert set(answer.json()["sampleset"]) == {field}

    def test_no_two_have_one_name(self, run_server):
        first, second = ({"displayedName": named()} for _ in range(2))
        uri = location(run_server.user.post("sampleset/", json=first))
        location(run_server.user.post("sampleset/", json=second))
        for answer in (
            run_server.user.post("sampleset/", json=first),
            run_server.user.patch(uri, json=second),
        ):
            assert answer.status_code == 400 and "displayedName" in answer.json()["sampleset"]
        assert run_server.user.patch(uri, json=first).status_code == 202


class TestItems:
    @pytest.fixture
    def item(self, run_server):
        """An item with its sample, set and barcode."""
        barcode = run_server.user.objects("dnabarcode", name="IonXpress", id_str="IonXpress_007")[0]
        sample = location(run_server.user.post("sample/", json={"displayedName": named(), "externalId": "e"}))
        of = location(run_server.user.post("sampleset/", json={"displayedName": named(), "status": "created"}))
        body = ITEM | {"sample": sample, "sampleSet": of, "dnabarcode": barcode["resource_uri"]}
        uri = location(run_server.user.post("samplesetitem/", json=body))
        return run_server.user.get(uri).json()

    def test_leads_to_sample_set_and_barcode(self, run_server, item):
        assert run_server.user.get(item["sampleSet"]).json()["samples"] == [item["resource_uri"]]
        assert run_server.user.get(item["sampleSet"]).json()["sampleCount"] == 1
        assert run_server.user.get(item["sample"]).json()["sampleSets"] == [item["resource_uri"]]
        assert run_server.user.objects("samplesetitem", sample__id=item["sample"].split("/")[-2])[0] == item

    def test_info_tells_all_at_once(self, run_server, run_rows, item):
        kind = run_server.user.objects("sampleattributedatatype", dataType="Text")[0]["resource_uri"]
        attribute, empty = (f"a{uuid.uuid4().hex[:8]}" for _ in range(2))
        uris = [
            location(run_server.user.post("sampleattribute/", json={"displayedName": name, "dataType": kind}))
            for name in (attribute, empty)
        ]
        row = run_rows.SampleSetItem.objects.get(pk=item["id"])
        run_rows.SampleAttributeValue.objects.create(
            sample=row.sample, sampleAttribute_id=int(uris[0].split("/")[-2]), value="v"
        )
        info = run_server.user.get(f"samplesetiteminfo/{item['id']}/").json()
        expected = {
            "dnabarcode": "IonXpress_007",
            "dnabarcodeKit": "IonXpress",
            "samplePk": row.sample_id,
            "sampleExternalId": "e",
            "sampleDisplayedName": row.sample.displayedName,
            "sampleSetPk": row.sampleSet_id,
            "sampleSetStatus": "created",
            "sample": item["sample"],
            "sampleSet": item["sampleSet"],
            attribute: "v",
            empty: None,
        }
        assert info == info | expected
        assert info["attribute_dict"] == info["attribute_dict"] | {attribute: "v", empty: None}
        counted = run_server.user.get(uris[0]).json()
        assert counted["sampleCount"] == 1 and counted["dataType_name"] == "Text"
        assert run_server.admin.post("samplesetiteminfo/", json={}).status_code == 405
