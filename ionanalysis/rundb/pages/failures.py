"""Pages in place of those that were asked for."""

import sys

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

from ionanalysis.rundb.protocol.answers import BUSY_S, is_busy


def refused_form(request, reason=""):
    """What a form gets that did not come from a page of this session."""
    return render(request, "403.html", status=403)


def failed(request):
    """What a request gets that has failed: 503 where the database was only too busy, else 500."""
    busy = is_busy(sys.exc_info()[1])
    # Without the request: what goes into other pages could fail once more.
    text = render_to_string("500.html")
    return HttpResponse(text, status=503, headers={"Retry-After": BUSY_S}) if busy else HttpResponse(text, status=500)
