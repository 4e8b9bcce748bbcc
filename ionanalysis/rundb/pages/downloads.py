"""Files of reports, at the addresses that the original gave them, and what pages load."""

import os
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from ionanalysis.plugin.web.files import (
    FRAME_POLICY,
    HEIGHT_SCRIPT,
    PUBLIC,
    SCRIPTS,
    NotFoundError,
    jquery,
    kind_of,
    script_of_pages,
)
from ionanalysis.rundb.models import Results
from ionanalysis.rundb.pages.installed import folder_of
from ionanalysis.rundb.pages.sending import ACTIVE, open_below, send_below
from ionanalysis.rundb.pages.tokens import output_address, tokens
from ionanalysis.rundb.pages.visitors import for_known

_OWN = ("pages.css", "pages.js")
_BLOCK_LIMIT = 8 << 20


def is_hidden(path):
    """Whether a file is kept back: inputs of plugins hold the key with which these ask the API."""
    parts = Path(path).parts
    name = parts[-1] if parts else ""
    is_secret = name == "startplugin.json" or (name.startswith("ion_plugin_") and name.endswith("_launch.sh"))
    return is_secret or any(part.startswith(".") for part in parts)


def link_of(report):
    """Where a report's files are, with an end slash; empty if its row, which requests can change, says otherwise."""
    link = f"{report.reportLink.rstrip('/')}/"
    return quote(link) if re.fullmatch(r"/output/[^/]+/[^/]+/", link) else ""


@for_known
@require_safe
def output(request, storage, directory, path):
    """A file of the report with that address."""
    link = f"/output/{storage}/{directory}"
    if "\0" in link:
        raise Http404
    report = Results.objects.filter(reportLink__in=(f"{link}/", link)).order_by("-pk").first()
    if report is None or not report.folder:
        raise Http404
    if path == "":
        return redirect("report", report.pk)
    if path.endswith("/"):
        return _listing(request, report, path)
    if kind_of(Path(path)) in ACTIVE and "download" not in request.GET:
        # It may be a page of a plugin. Sandboxed, it has no session; what it loads comes by the token in its address.
        return redirect(output_address(report.pk, quote(path)))
    return _sent(request, report.folder, path)


@require_safe
def framed_output(request, token, path):
    """The same for a frame, which a token lets in."""
    try:
        response = _by_token(request, token, path)
    except Http404:
        response = HttpResponse("This file is not here.", status=404, content_type="text/plain")
    # Django writes the address of a request that failed into the log; this one holds a token.
    response._has_been_logged = True
    return response


def _by_token(request, token, path):
    number = tokens().output_result(token)
    report = Results.objects.filter(pk=number).first() if number is not None else None
    if report is None or not report.folder:
        return HttpResponse("Open this page from its report.", status=403, content_type="text/plain")
    if path.endswith("_block.html") and not is_hidden(path):
        return _block(request, report.folder, path)
    return _sent(request, report.folder, path)


def _sent(request, folder, path):
    if is_hidden(path):
        raise Http404
    try:
        return send_below(request, folder, path)
    except (NotFoundError, OSError):
        raise Http404 from None


def _block(request, folder, path):
    """A plugin's output page, which tells the frame around it how high it is."""
    try:
        _, handle = open_below(folder, path)
    except (NotFoundError, OSError):
        raise Http404 from None
    with os.fdopen(handle, "rb") as file:
        if os.fstat(handle).st_size > _BLOCK_LIMIT:
            return _sent(request, folder, path)
        content = file.read(_BLOCK_LIMIT)
    headers = {
        "Content-Security-Policy": FRAME_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
    }
    return HttpResponse(content + HEIGHT_SCRIPT, headers=headers)


def _listing(request, report, path):
    """What is in a folder of a report."""
    root = Path(report.folder).resolve()
    folder = (root / path).resolve() if "\0" not in path else root / "none"
    if not folder.is_relative_to(root) or not folder.is_dir() or is_hidden(path):
        raise Http404
    entries = []
    for one in sorted(folder.iterdir(), key=lambda one: (not one.is_dir(), one.name)):
        if not is_hidden(one.name) and one.exists() and one.resolve().is_relative_to(root):
            entries.append(
                {"name": one.name + "/" * one.is_dir(), "size": None if one.is_dir() else one.stat().st_size}
            )
    return render(request, "folder.html", {"report": report, "path": path, "entries": entries})


@require_safe
def plugin_media(request, name, path):
    """A file of a plugin's ``pluginMedia``; open to all, as frames have no session."""
    folder = folder_of(name)
    if folder is None:
        raise Http404
    try:
        return _public(send_below(request, folder / "pluginMedia", path))
    except (NotFoundError, OSError):
        raise Http404 from None


@require_safe
def site_media(request, path):
    """What pages of plugins load from the original's own files: jQuery."""
    try:
        return _public(HttpResponse(jquery(path), content_type="text/javascript; charset=utf-8"), keep=True)
    except NotFoundError:
        raise Http404 from None


@require_safe
def static(request, name):
    """Style and scripts of our own pages and of those around plugins."""
    if name in _OWN:
        content = (files("ionanalysis.rundb.pages") / "static" / name).read_bytes()
    elif name in SCRIPTS:
        content = script_of_pages(name)
    else:
        raise Http404
    return _public(HttpResponse(content, content_type=f"{kind_of(Path(name))}; charset=utf-8"), keep=True)


def _public(response, *, keep=False):
    for header, value in PUBLIC.items():
        response.headers[header] = value
    if keep:
        response.headers["Cache-Control"] = "max-age=300"
    return response
