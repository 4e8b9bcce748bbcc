"""Requests made at random from the schemas never meet a defect of the server (issue 7: no 500)."""

import base64
import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SUFFIXES = (
    "",
    *(
        f"__{name}"
        for name in [
            "exact",
            "iexact",
            "contains",
            "icontains",
            "startswith",
            "endswith",
            "regex",
            "iregex",
            "in",
            "range",
            "gt",
            "gte",
            "lt",
            "lte",
            "isnull",
            "year",
            "month",
            "day",
            "week_day",
            "hour",
            "minute",
            "second",
            "pk",
            "id",
            "name",
            "nothing",
        ]
    ),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "-1",
            "true",
            "None",
            "nan",
            "1e400",
            "9" * 30,
            "2017-01-01",
            "2017-13-45T99:99:99+99:99",
            "0001-01-01",
        ]
    ),
    st.sampled_from(
        ["(", "(a+)+$", "[", "%", "a,b", "1,2", ",", "\x00", "../../etc/passwd", "<script>", "\ud800", "'--"]
    ),
    st.sampled_from(["/rundb/api/v1/chip/1/", "/rundb/api/v1/results/1/", "/rundb/api/v1/nothing/1/", "//", "/"]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def world(run_rows):
    """A client in this process, and the fields of each resource."""
    from django.test import Client
    from tastypie.models import ApiKey

    import ionanalysis.rundb.urls  # noqa: F401  (declares the resources)
    from ionanalysis.rundb.protocol import RESOURCES

    key = ApiKey.objects.get(user__username="ionadmin").key
    client = Client(SERVER_NAME="localhost", HTTP_AUTHORIZATION=f"ApiKey ionadmin:{key}")
    client.raise_request_exception = False
    fields = {name: sorted(made.build_schema(made())["fields"]) for name, made in RESOURCES.items()}
    return client, fields


@st.composite
def requests(draw, fields):
    name = draw(st.sampled_from(sorted(fields)))
    names = st.sampled_from([*fields[name], "limit", "offset", "order_by", "format", "callback", "nothing"])
    key = draw(
        st.sampled_from(["", "1/", "99999/", "schema/", "set/1;2/", "abc/"]) | TEXTS.map(lambda text: f"{text}/")
    )
    query = draw(st.lists(st.tuples(names, st.sampled_from(SUFFIXES), TEXTS), max_size=3))
    order = draw(st.lists(st.sampled_from(fields[name]), max_size=1))
    body = draw(
        st.dictionaries(st.sampled_from(fields[name]), VALUES, max_size=6)
        | st.builds(lambda objects: {"objects": objects}, st.lists(VALUES, max_size=2))
    )
    method = draw(st.sampled_from(["get", "get", "get", "post", "put", "patch", "delete", "options"]))
    parameters = [(f"{field}{suffix}", value) for field, suffix, value in query] + [("order_by", one) for one in order]
    return method, name, key, parameters, body


class _UndoError(Exception):
    pass


def send(client, method, name, key, parameters, body):
    from django.db import transaction

    from ionanalysis.rundb.protocol import RESOURCES

    query = urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in parameters])
    path = RESOURCES[name].address() + quote(key.encode("utf-8", "surrogatepass"), safe="/;")
    sent = {} if method in ("get", "options") else {"data": json.dumps(body), "content_type": "application/json"}
    try:
        with transaction.atomic():
            answer = getattr(client, method)(f"{path}?{query}", **sent)
            raise _UndoError
    except _UndoError:
        return answer


def check(world, n_examples):
    client, fields = world

    @settings(max_examples=n_examples, suppress_health_check=list(HealthCheck))
    @given(requests(fields))
    def never_a_defect(request):
        answer = send(client, *request)
        assert answer.status_code < 500 or answer.status_code == 501, (request, answer.content[:500])

    never_a_defect()


def test_requests_at_random(world):
    check(world, 300)


@pytest.mark.slow
def test_thousands_of_requests_at_random(world):
    check(world, 10_000)


def test_bad_credentials_at_random(world):
    client, _ = world

    @settings(max_examples=100, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["Basic", "ApiKey", "pluginkey", "system_id", "Bearer", ""]), TEXTS, st.booleans())
    def refused(scheme, text, encoded):
        given_text = text.encode("utf-8", "surrogatepass")
        value = base64.b64encode(given_text).decode() if encoded else text.encode("ascii", "ignore").decode()
        answer = client.get("/rundb/api/v1/project/", HTTP_AUTHORIZATION=f"{scheme} {value}")
        assert answer.status_code == 401

    refused()
