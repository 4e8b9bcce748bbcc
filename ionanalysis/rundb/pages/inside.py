"""Questions of our own pages to the REST API, answered in this process: its rules stand once, for all who ask."""

import html
import json

from django.http import HttpRequest

from ionanalysis.rundb.protocol import serve
from ionanalysis.rundb.protocol.table import ROOT

_COPIED = ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "wsgi.url_scheme")


class Answer:
    """What the API answered.

    Attributes
    ----------
    status : int
    data : object
        The JSON of it; None without.
    """

    def __init__(self, response):
        self.status = response.status_code
        self.data = None
        if response.headers.get("Content-Type", "").startswith("application/json"):
            self.data = json.loads(response.content)

    @property
    def is_good(self):
        return self.status < 400

    @property
    def messages(self):
        """What is wrong, as a dict of field to list of sentences; the field is empty where none is named."""
        if self.is_good:
            return {}
        if self.status == 401:
            return {"": ["You may not do this. An administrator can give you the right."]}
        found = messages_of(self.data)
        return found or {"": [f"The server refused this (status {self.status})."]}


def ask(request, method, path, data=None):
    """Ask the API for a user who is logged in.

    Parameters
    ----------
    request : django.http.HttpRequest
        Of the page; a form's token has been checked by then.
    method : str
    path : str
        Below the API's root, such as ``results/3/plugin/``.
    data : object, optional
        The body, as JSON.

    Returns
    -------
    Answer
    """
    inner = HttpRequest()
    inner.method = method
    inner.META = {name: request.META[name] for name in _COPIED if name in request.META}
    inner.META["CONTENT_TYPE"] = inner.content_type = "application/json"
    inner.path = inner.path_info = f"/{ROOT}{path}"
    inner._body = b"" if data is None else json.dumps(data).encode()
    inner.user, inner.session = request.user, request.session
    inner.csrf_processing_done = True
    name, _, rest = path.partition("/")
    return Answer(serve(inner, name, rest))


def messages_of(data):
    """Field to sentences, from any of the forms in which the API tells them (rest-api.md 2.10)."""
    if isinstance(data, str):
        text = html.unescape(data)
        try:
            inner = json.loads(text[text.index("{") : text.rindex("}") + 1])
        except ValueError:
            return {"": [text]} if text else {}
        return messages_of(inner)
    if not isinstance(data, dict):
        return {}
    if set(data) <= {"error", "error_message", "Error"}:
        return messages_of(next(iter(data.values()), ""))
    if len(data) == 1 and isinstance(next(iter(data.values())), dict):
        return messages_of(next(iter(data.values())))
    return {str(field): _sentences(value) for field, value in data.items()}


def _sentences(value):
    if isinstance(value, dict):
        return [
            sentence for part, inner in value.items() for sentence in (f"{part}: {one}" for one in _sentences(inner))
        ]
    if isinstance(value, list | tuple):
        return [sentence for inner in value for sentence in _sentences(inner)]
    return [str(value)]
