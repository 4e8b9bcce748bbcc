"""What pages of plugins may ask the API for (plugin.md 4).

They run in sandboxed frames without a session; a token says for which plugin, report and user they speak. Open to
them is what their own plugin and report need, and the catalogue; nothing else.
"""

import json
import re

from django.contrib.auth.models import User
from django.http import HttpResponse, QueryDict

from ionanalysis.plugin.web.access import TOKEN_HEADER
from ionanalysis.rundb.models import Plugin
from ionanalysis.rundb.pages.tokens import tokens

_API = "/rundb/api/v1/"
_ANY = ("GET", "POST", "PUT", "DELETE")
_PLUGIN, _RESULT = r"(?P<plugin>[^/]+)", r"(?P<result>\d+)"
_OPEN = tuple(
    (re.compile(pattern), methods)
    for pattern, methods in (
        (rf"{_API}plugin/", ("GET",)),
        (rf"{_API}plugin/{_PLUGIN}/", ("GET", "PUT", "PATCH")),
        (rf"{_API}plugin/{_PLUGIN}/(?:type|info)/", ("GET",)),
        (rf"{_API}plugin/{_PLUGIN}/validate/", ("POST",)),
        (rf"{_API}plugin/{_PLUGIN}/extend/[^/]+/", _ANY),
        (rf"{_API}results/{_RESULT}/", ("GET",)),
        (rf"{_API}results/{_RESULT}/(?:pluginresults|barcode|barcodesampleinfo|metadata)/", ("GET",)),
        (rf"{_API}results/{_RESULT}/plugin/", ("GET", "POST")),
        (rf"/report/{_RESULT}/plugin/{_PLUGIN}/plugin_barcodes_table", ("GET",)),
        (
            rf"{_API}(?:referencegenome|content|publisher|dnabarcode|chip|kitinfo|runtype|applicationgroup|floworder|"
            r"librarykey|threeprimeadapter|template|common_cv)/(?:[^/]+/)?",
            ("GET",),
        ),
    )
)
_OF_LISTS = ("limit", "offset", "name", "version", "active", "selected", "id", "isConfig")


def framed_requests(get_response):
    """Middleware: requests with a token are those of a frame; answers can be read there."""

    def answer(request):
        if request.headers.get("Origin") == "null" and request.method == "OPTIONS":
            return _readable(HttpResponse(status=204), request)
        token = request.headers.get(TOKEN_HEADER)
        if token is None:
            return get_response(request)
        scope = tokens().frame_scope(token)
        user = User.objects.filter(pk=scope.user, is_active=True).first() if scope else None
        if user is None:
            return _readable(_refused(403, "This page is too old; load it again."), request)
        refused = _refusal(scope, request)
        if refused is not None:
            return _readable(refused, request)
        request.framed_user = user
        return _readable(_without_configs(scope, request, get_response(request)), request)

    return answer


def _refused(status, sentence):
    return HttpResponse(json.dumps({"error": sentence}), status=status, content_type="application/json")


def _refusal(scope, request):
    """The refusal of a request, or None if the page may make it; its body is cut to what it may change."""
    if request.headers.get("X-HTTP-Method-Override"):
        return _refused(403, "A page of a plugin asks with plain methods.")
    matches = (pattern.fullmatch(request.path) for pattern, methods in _OPEN if request.method in methods)
    found = next(filter(None, matches), None)
    if found is None:
        return _refused(403, "A page of a plugin may not ask for this.")
    named = found.groupdict()
    if "result" in named and named["result"] != str(scope.result):
        return _refused(404, "A page of a plugin may ask for the report that it is shown on only.")
    if "plugin" in named and not _is_own(scope, named["plugin"]):
        return _refused(404, "A page of a plugin may ask for its own plugin only.")
    if request.path == f"{_API}plugin/":
        # No filter or order leads to what other plugins are configured with; of JSONP nothing is taken out below.
        kept = QueryDict(mutable=True)
        for name in set(_OF_LISTS) & set(request.GET):
            kept.setlist(name, request.GET.getlist(name))
        request.GET = kept
    if request.method in ("PUT", "PATCH") and "plugin" in named and "/extend/" not in request.path:
        return _only_config(scope, request)
    if request.method == "POST" and "result" in named:
        return _only_launch(scope, request)
    return None


def _is_own(scope, key):
    if "\0" in key:
        return False
    return key == str(scope.plugin) or Plugin.objects.filter(pk=scope.plugin, name=key).exists()


def _body(request):
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _only_config(scope, request):
    if scope.action != "config":
        return _refused(403, "Only a plugin's own config.html may change its configuration.")
    request._body = json.dumps({"config": _body(request).get("config")}).encode()
    return None


def _only_launch(scope, request):
    if scope.action != "report":
        return _refused(403, "Only a plugin's instance.html may launch it.")
    wanted = _body(request).get("plugin", "")
    wanted = wanted[0] if isinstance(wanted, list) and wanted else wanted
    wanted = wanted.get("id", wanted.get("name", "")) if isinstance(wanted, dict) else wanted
    return None if _is_own(scope, str(wanted)) else _refused(404, "A page of a plugin may launch its own plugin only.")


def _without_configs(scope, request, response):
    """Configurations may hold passwords: a plugin's page sees that of its own plugin."""
    if not request.path.startswith(f"{_API}plugin/") or "/extend/" in request.path:
        return response
    if response.status_code != 200 or not response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    content = json.loads(response.content)
    for one in content.get("objects", [content]) if isinstance(content, dict) else []:
        if isinstance(one, dict) and "config" in one and one.get("id") != scope.plugin:
            one["config"] = {}
    response.content = json.dumps(content)
    return response


def _readable(response, request):
    """Let a frame, whose origin is "null", read an answer: it got it with a token, never by a cookie."""
    if request.headers.get("Origin") == "null":
        asked = request.headers.get("Access-Control-Request-Headers", "")
        response.headers["Access-Control-Allow-Origin"] = "null"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        response.headers["Access-Control-Allow-Headers"] = asked if asked.isascii() else TOKEN_HEADER
        response.headers["Access-Control-Max-Age"] = "600"
        response.headers["Vary"] = "Origin"
    return response
