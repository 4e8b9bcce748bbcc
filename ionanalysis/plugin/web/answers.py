"""Requests and answers: what both the pages and the REST addresses of the server need."""

import json
from urllib.parse import parse_qsl

from starlette.responses import FileResponse, JSONResponse, Response

from ionanalysis.errors import InputError
from ionanalysis.plugin.web.access import TOKEN_HEADER, FrameScope
from ionanalysis.plugin.web.files import CLOSED, PUBLIC, kind_of

BODY_LIMIT = 8 << 20


class Call:
    """One request, and for which page of a plugin it speaks."""

    def __init__(self, request, body):
        self.request = request
        self.body = body
        self.path = request.path_params
        self.query = dict(parse_qsl(request.url.query, keep_blank_values=True))
        self.scope: FrameScope | None = None

    def json(self):
        """The object that was sent."""
        try:
            content = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise InputError("The request must hold a JSON object.")
        return content


async def whole_body(request):
    """All of it; None if it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return None
    return body


def public(content, kind):
    return Response(content, media_type=kind, headers=dict(PUBLIC))


def public_file(path):
    return FileResponse(path, media_type=kind_of(path), headers=dict(PUBLIC))


def as_json(content, status=200):
    return JSONResponse(content, status, headers=dict(CLOSED))


def for_frames(response, request):
    """Let sandboxed frames, whose origin is "null", read an answer: they get one with a token, never by a cookie."""
    if request.headers.get("origin") == "null" and "access-control-allow-origin" not in response.headers:
        response.headers["Access-Control-Allow-Origin"] = "null"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
        asked = request.headers.get("access-control-request-headers", "")
        response.headers["Access-Control-Allow-Headers"] = asked if asked.isascii() else TOKEN_HEADER
        response.headers["Access-Control-Max-Age"] = "600"
    return response
