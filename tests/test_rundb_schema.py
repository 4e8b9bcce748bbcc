"""Every resource is there, and its schema says what the document prints, value by value."""

import json

import pytest

ATTRIBUTES = ("default", "help_text", "nullable", "readonly", "blank", "unique", "type")


@pytest.fixture(scope="module")
def described(golden):
    path = golden.parent / "spec" / "rest-api.json"
    return json.loads(path.read_text())["resources"]


def test_schemas_equal_the_document(run_server, described):
    different = []
    for resource in described:
        answer = run_server.user.get(resource["schema_url"])
        assert answer.status_code == 200, resource["name"]
        schema = answer.json()
        assert set(schema["fields"]) == {field["name"] for field in resource["fields"]}, resource["name"]
        assert schema["default_limit"] == resource["facts"]["default_limit"]
        assert sorted(schema["allowed_detail_http_methods"]) == sorted(resource["methods"])
        for field in resource["fields"]:
            got = schema["fields"][field["name"]]
            for name in ATTRIBUTES:
                if name == "default" and field.get("default_dynamic"):
                    continue
                if (got[name], type(got[name])) != (field[name], type(field[name])):
                    different.append((resource["name"], field["name"], name, got[name], field[name]))
            relation = resource["facts"]["relations"].get(field["name"])
            if relation:
                assert got["related_type"] == ("to_many" if relation["many"] else "to_one"), field["name"]
    assert not different


def test_lists_answer_with_pages(run_server, described):
    listed = run_server.nobody.get("/rundb/api/v1/").json()
    assert set(listed) == {resource["name"] for resource in described}
    for resource in described:
        assert listed[resource["name"]] == {"list_endpoint": resource["url"], "schema": resource["schema_url"]}
        answer = run_server.user.get(resource["url"], params={"limit": 1})
        assert answer.status_code == 200, resource["name"]
        if resource["example_shape"] == "list":
            assert set(answer.json()["meta"]) == {"limit", "next", "offset", "previous", "total_count"}


def test_filters_and_ordering_are_those_of_the_facts(run_server, described):
    for resource in described:
        schema = run_server.user.get(resource["schema_url"]).json()
        columns = {field["name"] for field in resource["fields"]}
        for key in ("filtering", "ordering"):
            allowed, got = resource["facts"][key], set(schema.get(key, ()))
            if allowed == "all":
                assert got and got <= columns, resource["name"]
            else:
                assert got <= set(allowed), resource["name"]
