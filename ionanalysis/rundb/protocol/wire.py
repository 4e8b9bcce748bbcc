"""JSON as release 5.4 wrote it (rest-api.md 2.2): dates, long numbers, callbacks; and what comes in."""

import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

from django.http import HttpResponse
from django.utils.functional import Promise
from tastypie.bundle import Bundle
from tastypie.exceptions import BadRequest

from ionanalysis.rundb.protocol.answers import Refusal

_CALLBACK = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$.]{0,127}$")


def number_of(text):
    """The number that a text says in plain digits; None if it says none, or one that no key of a row can be."""
    text = str(text)
    is_short = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text) if is_short and int(text) < 2**31 else None


def stamp(moment):
    """A moment as text: UTC, the milliseconds written as six digits and left out where they are 0."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        fraction = f".{moment.microsecond // 1000:06d}" if moment.microsecond >= 1000 else ""
        return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + fraction + "+00:00"
    return moment.isoformat()


def plain(value):
    """`value` in what JSON knows: bundles as their data, dates as `stamp`, numbers with 15 significant digits."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Bundle):
        return {key: plain(item) for key, item in value.data.items()}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, float | Decimal):
        value = float(value)
        return float(f"{value:.15g}") if math.isfinite(value) else str(value).replace("nan", "NaN")
    if isinstance(value, date):
        return stamp(value)
    if isinstance(value, Promise):
        return str(value)
    return str(value)


def json_response(request, data, *, status=200):
    """The answer that carries `data`; with ``format=jsonp`` in a call of the callback."""
    text = json.dumps(plain(data), ensure_ascii=False, allow_nan=False)
    if request.GET.get("format") == "jsonp":
        callback = request.GET.get("callback", "callback")
        if not _CALLBACK.match(callback):
            raise BadRequest("JSONP callback name is invalid.")
        # These two end a line in JavaScript, but not in JSON.
        text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        return HttpResponse(f"{callback}({text})", content_type="text/javascript; charset=utf-8", status=status)
    return HttpResponse(text.encode("utf-8", "backslashreplace"), content_type="application/json", status=status)


def body_of(request):
    """The JSON object in a request's body.

    Raises
    ------
    Refusal
        415 for another type of content.
    BadRequest
        If the body is no JSON object.
    """
    kind = request.META.get("CONTENT_TYPE", "").split(";")[0].strip().lower()
    if kind and kind not in ("application/json", "text/json", "text/plain"):
        raise Refusal(415, {"error_message": f"Content of type '{kind}' is not taken; send application/json."})
    try:
        data = json.loads(request.body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadRequest("Request is not valid JSON.") from None
    if not isinstance(data, dict):
        raise BadRequest("Request is not valid JSON: an object is expected.")
    return data
