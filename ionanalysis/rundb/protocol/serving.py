"""From a request to an answer: which resource, which verb, in which order refusals come (rest-api.md 2.1, 2.5)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpResponse, HttpResponsePermanentRedirect
from django.views.decorators.csrf import csrf_exempt
from tastypie.exceptions import BadRequest

from ionanalysis.rundb.protocol.access import caller, demand
from ionanalysis.rundb.protocol.answers import Refusal, refusal_for
from ionanalysis.rundb.protocol.table import RESOURCES
from ionanalysis.rundb.protocol.wire import body_of, json_response

_MESH = ("compositeexperiment",)
_MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Route:
    """An address below a resource that is no list, object or schema."""

    pattern: re.Pattern
    methods: tuple[str, ...]
    open_to_all: bool
    answer: Callable


def route(path, *methods, open_to_all=False):
    """Mark a method of a resource as the answer to ``path`` below it.

    The method takes the request and, by name, what stands in ``<name>`` of the path; what it returns is the answer:
    a response, None (204), a number (that status), or data for JSON.
    """
    pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", path)

    def mark(method):
        made = Route(re.compile(f"^{pattern}$"), methods, open_to_all, method)
        method.routes = [*getattr(method, "routes", ()), made]
        return method

    return mark


def routes_of(resource):
    """The custom routes of a resource's class, those of subclasses first."""
    found: list[Route] = []
    for cls in resource.__mro__:
        for member in vars(cls).values():
            found.extend(getattr(member, "routes", ()))
    return found


@csrf_exempt
def serve(request, name, rest, *, mesh=False):
    """Answer a request to ``<root><name>/<rest>``.

    Sessions are protected against requests that other sites make in `access.caller`; keys need no such protection.
    """
    try:
        resource = RESOURCES.get(name)
        if resource is None or (mesh and name not in _MESH):
            return HttpResponse("<h1>Not Found</h1>", status=404)
        if rest and not rest.endswith("/"):
            return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        return _answer(request, resource(), rest)
    except Exception as problem:
        return _refuse(request, refusal_for(problem))


def _refuse(request, refusal):
    if refusal.body is None:
        response = HttpResponse(getattr(refusal, "text", ""), status=refusal.status)
    else:
        try:
            response = json_response(request, refusal.body, status=refusal.status)
        except BadRequest as problem:
            response = HttpResponse(str(problem), status=400, content_type="text/plain")
    for header, value in refusal.headers.items():
        response[header] = value
    return response


def top_level(request, *, mesh=False):
    """The list of all resources; open to all."""
    try:
        names = sorted(name for name in RESOURCES if not mesh or name in _MESH)
        listed = {
            name: {"list_endpoint": (uri := RESOURCES[name].address()), "schema": f"{uri}schema/"} for name in names
        }
        return json_response(request, listed)
    except BadRequest as problem:
        return _refuse(request, refusal_for(problem))


def _answer(request, resource, rest):
    override = request.META.get("HTTP_X_HTTP_METHOD_OVERRIDE")
    method = (override or request.method).upper()
    method = {"HEAD": "GET", "PROPPATCH": "PATCH"}.get(method, method)
    request.method = method
    for custom in routes_of(type(resource)):
        match = custom.pattern.match(rest)
        if match:
            _allow(method, custom.methods)
            if not custom.open_to_all:
                caller(request, mesh=resource._meta.mesh)
            return _response(request, custom.answer(resource, request, **match.groupdict()))
    arguments: list[str]
    if rest == "":
        _allow(method, resource._meta.list_allowed_methods)
        answer, arguments = getattr(_Lists, method.lower()), []
    elif rest == "schema/":
        _allow(method, ("get",))
        answer, arguments = _schema, []
    elif rest.startswith("set/") and rest.count("/") == 2:
        _allow(method, ("get",))
        answer, arguments = _several, [rest[4:-1]]
    elif rest.count("/") == 1:
        _allow(method, resource._meta.detail_allowed_methods)
        answer, arguments = getattr(_Objects, method.lower()), [rest[:-1]]
    else:
        raise Refusal(404)
    caller(request, mesh=resource._meta.mesh)
    return _response(request, answer(resource, request, *arguments))


def _allow(method, methods):
    """Refuse a method that is not among those; tell them to who asks for options."""
    listed = ",".join(name.upper() for name in methods)
    if method == "OPTIONS":
        raise _Told(listed)
    if method.lower() not in {name.lower() for name in methods}:
        raise Refusal(405, Allow=listed)


class _Told(Refusal):
    """What is allowed, for who asks with OPTIONS."""

    def __init__(self, listed):
        super().__init__(200, Allow=listed)
        self.text = listed


def _response(request, answer):
    if isinstance(answer, HttpResponse):
        return answer
    if answer is None:
        return HttpResponse(status=204)
    if isinstance(answer, bool) or not isinstance(answer, int):
        return json_response(request, answer)
    return HttpResponse(status=answer)


def _created(resource, request, row):
    """201 with the address of a new row, and the object where the resource returns data."""
    if resource._meta.always_return_data:
        response = resource.answer_with(request, row, 201)
    else:
        response = HttpResponse(status=201)
    response["Location"] = resource.get_resource_uri(row)
    return response


def _schema(resource, request):
    return resource.build_schema()


def several(keys):
    """The keys that an address names together.

    Raises
    ------
    BadRequest
        If they are more than a list's page holds.
    """
    parts = keys.split(";")
    if len(parts) > _MOST_AT_ONCE:
        raise BadRequest(f"At most {_MOST_AT_ONCE} objects are asked for at once.")
    return parts


def _several(resource, request, keys):
    rows = []
    missing = []
    for key in several(keys):
        try:
            row = resource.find(key)
        except Refusal:
            row = None
        if row is None:
            missing.append(key)
        else:
            rows.append(resource.shown(request, row, in_list=True))
    return {"objects": rows} | ({"not_found": missing} if missing else {})


class _Lists:
    """The verbs on a list."""

    @staticmethod
    def get(resource, request):
        page = resource.page(request, resource.asked_for(request))
        page["objects"] = [resource.shown(request, row, in_list=True) for row in page["objects"]]
        return resource.whole_list(request, page)

    @staticmethod
    def post(resource, request):
        return _created(resource, request, resource.create(request, body_of(request)))

    @staticmethod
    def put(resource, request):
        objects = _objects(body_of(request))
        demand(request.user, "delete", resource._meta.object_class)
        demand(request.user, "add", resource._meta.object_class)
        with transaction.atomic():
            resource.chosen(request).delete()
            for data in objects:
                resource.create(request, data)

    @staticmethod
    def patch(resource, request):
        body = body_of(request)
        objects, gone = _objects(body), body.get("deleted_objects", [])
        if not isinstance(gone, list):
            raise BadRequest("'deleted_objects' takes a list of addresses.")
        with transaction.atomic():
            for data in objects:
                _patched(resource, request, data)
            for uri in gone:
                row = resource.at(uri)
                if row is None:
                    raise BadRequest(f"Could not find the provided object via resource URI '{uri}'.")
                resource.remove(request, row)
        return 202

    @staticmethod
    def delete(resource, request):
        demand(request.user, "delete", resource._meta.object_class)
        with transaction.atomic():
            resource.chosen(request).delete()


def _objects(body):
    if not isinstance(body.get("objects"), list):
        raise BadRequest("Invalid data sent: missing 'objects'")
    if not all(isinstance(data, dict) for data in body["objects"]):
        raise BadRequest("Invalid data sent: 'objects' holds objects")
    return body["objects"]


def _patched(resource, request, data):
    uri = data.get("resource_uri")
    row = resource.at(uri) if uri else None
    if row is not None:
        resource.update(request, row, data)
        return
    key = str(uri).rstrip("/").rsplit("/", 1)[-1] if uri else None
    if uri and resource.address(key) != uri:
        raise BadRequest(f"Could not find the provided object via resource URI '{uri}'.")
    resource.create(request, data, key=key)


class _Objects:
    """The verbs on one object."""

    @staticmethod
    def get(resource, request, key):
        return resource.shown(request, resource.found(key), in_list=False)

    @staticmethod
    def post(resource, request, key):
        return 501

    @staticmethod
    def put(resource, request, key):
        data, row = body_of(request), resource.find(key)
        if row is None:
            return _created(resource, request, resource.create(request, data, key=key))
        return _changed(resource, request, resource.update(request, row, data), 204, 200)

    @staticmethod
    def patch(resource, request, key):
        data, row = body_of(request), resource.found(key)
        return _changed(resource, request, resource.update(request, row, data), 202, 202)

    @staticmethod
    def delete(resource, request, key):
        resource.remove(request, resource.found(key))


def _changed(resource, request, row, empty, full):
    if not resource._meta.always_return_data:
        return empty
    return resource.answer_with(request, row, full)
