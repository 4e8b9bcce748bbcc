"""The document's example objects can be posted and read back: what it shows, ours takes."""

import json
import uuid

import pytest

from ionanalysis.rundb.reference_index import CURRENT_INDEX

# Set or computed by the server, whatever is sent.
SERVER_SET = {
    "results": {"filesystempath", "planShortID", "bamLink"},
    "compositedatamanagement": {"in_process"},
    "project": {"creator"},
    "pluginresult": {"owner", "apikey"},
    "sample": {"name"},
}


@pytest.fixture(scope="module")
def described(golden):
    resources = json.loads((golden.parent / "spec" / "rest-api.json").read_text())["resources"]
    return {resource["name"]: resource for resource in resources}


@pytest.fixture(scope="module")
def poster(run_server, described):
    # Rows that the examples name without an address.
    for name in ("hg19", "mm10", "e_coli_dh10b"):
        data = {"name": name, "short_name": name, "index_version": CURRENT_INDEX, "enabled": True}
        assert run_server.admin.post("referencegenome/", json=data).status_code == 201
    return Poster(run_server.admin, described)


class Poster:
    """Posts examples, and before each the rows that it points to."""

    def __init__(self, client, described):
        self.client, self.described, self.made = client, described, {}

    def example(self, name):
        """The document's object without its own address, unique columns made new, rows it points to made."""
        resource = self.described[name]
        example = resource["example"]
        objects = example.get("objects", [example])
        if not objects:
            return None
        body = {key: value for key, value in objects[0].items() if key not in ("id", "resource_uri")}
        for field in resource["fields"]:
            key = field["name"]
            if key not in body:
                continue
            relation = resource["facts"]["relations"].get(key)
            if relation and relation["many"]:
                del body[key]
            elif relation:
                body[key] = self.target(relation["to"], body[key], field)
            elif field["unique"] or (name, key) in {("plugin", "version"), ("template", "name")}:
                body[key] = f"{body[key]} {uuid.uuid4().hex[:8]}"
        return body

    def target(self, name, value, field):
        if isinstance(value, dict) and value.get("resource_uri") == "":
            return value
        if value is None or (field["nullable"] and name not in ("results",)):
            return None
        if name == "user":
            return "/rundb/api/v1/user/1/"
        if name not in self.made:
            answer = self.client.post(f"{name}/", json=self.example(name))
            assert answer.status_code == 201, (name, answer.text)
            self.made[name] = answer.headers["Location"]
        return self.made[name]

    def behind(self, name):
        """The resource that shows all rows of the model that `name` is a view of."""
        if name.endswith("kitpart"):
            return "kitpart"
        if name.startswith("available") or name.endswith(("plantemplate", "plantemplatesummary")):
            return "plannedexperiment"
        behind = dict.fromkeys(
            ("compositeresult", "monitorresult", "projectresults", "compositedatamanagement"), "results"
        )
        return behind.get(name, "experiment" if name == "compositeexperiment" else name)


def names(described):
    return sorted(name for name, resource in described.items() if "post" in resource["methods"])


def test_examples_are_taken_and_read_back(poster, described):
    refused, different = [], []
    for name in names(described):
        body = poster.example(name)
        if body is None:
            continue
        answer = poster.client.post(described[name]["url"], json=body)
        if answer.status_code != 201:
            refused.append((name, answer.status_code, answer.text[:200]))
            continue
        # A view may not select what is posted to it; the table behind it holds the object.
        key = answer.headers["Location"].rstrip("/").rsplit("/", 1)[-1]
        read = poster.client.get(f"{poster.behind(name)}/{key}/")
        if read.status_code != 200:
            refused.append((name, "read", read.status_code))
            continue
        got = read.json()
        for field in described[name]["fields"]:
            key = field["name"]
            if key not in body or field["readonly"] or key in SERVER_SET.get(name, ()):
                continue
            if not _same(field, described[name]["facts"]["relations"].get(key), body[key], got.get(key)):
                different.append((name, key, body[key], got.get(key)))
    assert not refused, json.dumps(refused, indent=1)
    assert not different, "\n".join(map(str, different))


def _same(field, relation, sent, got):
    if relation:
        return sent is None or isinstance(sent, dict) or sent == (got["resource_uri"] if isinstance(got, dict) else got)
    if field["type"] == "datetime":
        # What the server sets itself keeps its own time; seconds count in what it takes.
        return field["default"] is True or (sent and got and sent[:19] == got[:19]) or sent == got
    return sent == got


def test_listed_objects_have_the_keys_of_the_examples(poster, described):
    """After the examples are posted, most lists show objects; those that do show the document's keys."""
    different, seen = {}, 0
    for name, resource in described.items():
        objects = (resource["example"] or {}).get("objects") or []
        listed = poster.client.get(resource["url"], params={"limit": 1, "special": 1}).json().get("objects")
        if objects and listed:
            seen += 1
            if set(objects[0]) != set(listed[0]):
                different[name] = sorted(set(objects[0]) ^ set(listed[0]))
    assert seen > 50
    assert not different
