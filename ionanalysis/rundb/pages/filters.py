"""How numbers stand on pages."""

import re

from django import template
from django.utils.html import format_html

from ionanalysis.rundb.api.run_lists import COMPLETED, ERROR, PROGRESS, class_of

register = template.Library()

NOTHING = "\u2013"
# What templates give for a value that is not there.
_ABSENT = (None, "")

_OF_REPORTS = {COMPLETED: "good", ERROR: "bad", PROGRESS: "busy"}
_OF_PLUGINS = {"Timed Out": "bad", "Failed Validation": "bad", "Queued": "busy", "Pending": "busy", "Resource": "busy"}


@register.filter
def count(number):
    """A whole number with its thousands apart."""
    return NOTHING if number in _ABSENT else f"{int(number):,}".replace(",", "\u202f")


@register.filter
def fixed(number, digits=1):
    return NOTHING if number in _ABSENT else f"{float(number):.{digits}f}"


@register.filter
def bytes_of(size):
    """A size of a file."""
    if size in _ABSENT:
        return NOTHING
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= step:
            return f"{size / step:.3g} {unit}"
    return f"{size} B"


@register.filter
def software(versions):
    """The version of the analysis among those that a report names, as ``db:V,an:V,``."""
    found = re.search(r"(?:^|,)an:([^,]+)", versions or "")
    return found[1] if found else versions or NOTHING


@register.filter
def reference(report):
    """The reference of a report: what it was analysed with, else what its settings name."""
    return _first(getattr(report, "reference", ""), getattr(_settings(report), "reference", ""))


@register.filter
def barcodes(report):
    """The barcode set of a report."""
    return _first(getattr(_settings(report), "barcodeKitName", ""))


def _settings(report):
    return getattr(report, "eas", None)


def _first(*words):
    return next(filter(None, words), NOTHING)


@register.filter
def day(moment):
    """A moment in UTC, as a machine and a person read it."""
    if moment in _ABSENT:
        return NOTHING
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), moment.strftime("%Y-%m-%d %H:%M"))


@register.filter
def state_class(state):
    """Which of the four kinds of state a report or a plugin is in: good, bad, busy or other."""
    return _OF_REPORTS.get(class_of(state or "")) or _OF_PLUGINS.get(state, "other")
