"""From what was sent to what is stored (rest-api.md 7.1): types, names of kits and chips, defaults, files."""

import json
import re

from ionanalysis.rundb.plans.draft import Draft
from ionanalysis.rundb.plans.lists import TEMPLATING
from ionanalysis.rundb.plans.names import FLAGS, JSON, OF_RUN, OF_SETTINGS, TEXTS

_NONE_IS_EMPTY = (
    "barcodeId",
    "library",
    "librarykitname",
    "sequencekitname",
    "templatingKitName",
    "bedfile",
    "regionfile",
    "sseBedFile",
    "chipType",
)
REGION_FILES = ("bedfile", "regionfile", "sseBedFile")
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_BAD = object()


def normalised(sent, lists, stored=None):
    """The draft of a plan.

    Parameters
    ----------
    sent : dict
        As a client sent it.
    lists : Lists
    stored : dict, optional
        Values of the plan that is changed, under the API's names.

    Returns
    -------
    Draft
        Values of wrong types are left out of `given` and noted in `errors`.
    """
    draft = Draft(dict(sent), dict(stored or {}))
    for names, convert, kind in (
        (TEXTS, _text, "a text"),
        (FLAGS, _flag, "true or false"),
        (JSON, _object, "an object, or its JSON text"),
        (("flows",), _whole, "an integer"),
        (("projects",), _names, "a list of names"),
    ):
        for name in names:
            if name in draft.given:
                _convert(draft, name, convert, kind)
    for name in _NONE_IS_EMPTY:
        if draft.given.get(name, "").lower() == "none":
            draft.given[name] = ""
    _name(draft)
    _kits_and_chip(draft, lists)
    _keys_and_flows(draft, lists)
    _groups(draft, lists)
    _projects(draft)
    _samples(draft, lists)
    _files(draft, lists)
    _thresholds(draft, lists)
    return draft


def _convert(draft, name, convert, kind):
    value = convert(draft.given[name])
    if value is _BAD:
        del draft.given[name]
        draft.refuse(name, f"takes {kind}")
    elif value is None and (name in OF_RUN or name in OF_SETTINGS) and convert is _text:
        draft.given[name] = ""
    elif value is None and convert is not _text:
        del draft.given[name]
    else:
        draft.given[name] = value


def _text(value):
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "\0" in str(value):
        return _BAD
    return str(value)


def _flag(value):
    if value is None or isinstance(value, bool):
        return value
    return _WORDS.get(str(value).strip().lower(), _BAD) if isinstance(value, str | int) else _BAD


def _object(value):
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _BAD
    return value if isinstance(value, dict) else _BAD


def _whole(value):
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return _BAD
    try:
        number = int(str(value)) if isinstance(value, str) else int(value)
    except (ValueError, OverflowError):
        return _BAD
    return number if isinstance(value, str) or number == value else _BAD


def _names(value):
    """Names in a list, or separated by commas."""
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and "\0" not in part for part in parts):
        return _BAD
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _name(draft):
    """The name as it is shown, and with white space made ``_``."""
    given = draft.given
    shown, name = given.get("planDisplayedName"), given.get("planName")
    if shown or name:
        given["planDisplayedName"] = shown or name
        given["planName"] = re.sub(r"\s", "_", name or shown)


def _kits_and_chip(draft, lists):
    given = draft.given
    for name, kinds in (
        ("sequencekitname", ("SequencingKit",)),
        ("templatingKitName", TEMPLATING),
        ("librarykitname", ("LibraryKit",)),
    ):
        kit = lists.kit(given[name], *kinds) if given.get(name) else None
        # A library kit goes by its name only; those of other makers are not in the list.
        if kit is not None and name != "librarykitname":
            given[name] = kit.name
    chip = lists.chip(given["chipType"]) if given.get("chipType") else None
    if chip is not None:
        given["chipType"] = chip.name
        if draft.is_new and given.get("usePostBeadfind") is None and chip.instrumentType.lower() in ("proton", "s5"):
            given["usePostBeadfind"] = False


def _keys_and_flows(draft, lists):
    given = draft.given
    if given.get("libraryKey"):
        given["libraryKey"] = lists.library_key(given["libraryKey"]) or given["libraryKey"]
    elif draft.is_new or "libraryKey" in given:
        given["libraryKey"] = lists.config().default_library_key
    if given.get("flowsInOrder"):
        given["flowsInOrder"] = lists.flow_order(given["flowsInOrder"]) or given["flowsInOrder"]
    elif draft.is_new:
        kit = lists.kit(given["sequencekitname"], "SequencingKit") if given.get("sequencekitname") else None
        order = kit.defaultFlowOrder if kit is not None else None
        given["flowsInOrder"] = order.flowOrder if order is not None else ""
    if not given.get("runType") and (draft.is_new or "runType" in given):
        given["runType"] = "GENS"


def _groups(draft, lists):
    """Names of the application group and the grouping of samples stand for their rows, where these are not given."""
    given = draft.given
    for name, relation, found in (
        ("applicationGroupDisplayedName", "applicationGroup", lists.group),
        ("sampleGroupingName", "sampleGrouping", lists.grouping),
    ):
        own = given.get(relation) or None
        if given.get(name) and (own is None or own == draft.stored.get(relation)):
            row = found(given[name])
            if row is not None:
                given[relation] = row


def _projects(draft):
    """``project`` is one more name, if there is no list."""
    one = _names(draft.given.pop("project", None))
    if one and one is not _BAD and "projects" not in draft.given:
        draft.given["projects"] = one


def _samples(draft, lists):
    """Barcoded samples as they are kept: RNA for fusions, files of regions by their path."""
    for sample in _parts(draft.given.get("barcodedSamples")):
        for details in _parts(sample.get("barcodeSampleInfo")):
            if str(details.get("nucleotideType")).lower() == "fusions":
                details["nucleotideType"] = "RNA"
            for name in ("reference", "targetRegionBedFile", "hotSpotRegionBedFile", "sseBedFile"):
                if isinstance(details.get(name), str) and details[name].lower() == "none":
                    details[name] = ""
                value, reference = details.get(name), details.get("reference")
                if name != "reference" and _is_text(value) and _is_text(reference):
                    details[name] = lists.region_file(reference, value) or value


def _parts(value):
    return [part for part in value.values() if isinstance(part, dict)] if isinstance(value, dict) else []


def _is_text(value):
    return isinstance(value, str) and value != "" and "\0" not in value


def _files(draft, lists):
    for name in REGION_FILES:
        value = draft.given.get(name)
        if value:
            draft.given[name] = lists.region_file(draft.value("library"), value) or value


def _thresholds(draft, lists):
    """Thresholds stand under the names of their types, or in ``qcValues``; they are kept as ``thresholds``."""
    found = {}
    values = draft.given.pop("qcValues", None) or []
    for value in values if isinstance(values, list) else [values]:
        name, number = _threshold(value, lists)
        if name is None or number in (None, _BAD):
            draft.refuse("qcValues", "takes a list of objects with qcType and threshold")
            break
        found[name] = number
    for name in lists.thresholds():
        if name in draft.given:
            number = _whole(draft.given.pop(name))
            if number in (None, _BAD):
                draft.refuse(name, "takes an integer")
            else:
                found[name] = number
    draft.given["thresholds"] = found


def _threshold(value, lists):
    """Name of the type, and the threshold, of one of a plan's ``qcValues``."""
    if not isinstance(value, dict):
        return None, None
    kind = value.get("qcType")
    if isinstance(kind, dict):
        kind = kind.get("qcName") or kind.get("resource_uri")
    key = str(kind).rstrip("/").rsplit("/", 1)[-1]
    found = (name for name, row in lists.thresholds().items() if name == kind or str(row.pk) == key)
    return next(found, None), _whole(value.get("threshold"))
