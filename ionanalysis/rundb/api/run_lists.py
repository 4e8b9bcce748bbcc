"""What lists of runs show beside the columns, and the parameters that narrow them (rest-api.md 2.9, 3.2, 6)."""

import re
from datetime import UTC, datetime
from functools import cached_property

from django.db.models import Q

from ionanalysis.plugin.expmeta import json_object
from ionanalysis.rundb import models
from ionanalysis.rundb.life.result_files import AT_WORK
from ionanalysis.rundb.protocol import Refusal

COMPLETED, PROGRESS, ERROR, OTHER = CLASSES = ("Completed", "Progress", "Error", "Other")
"""Classes of the status of a report."""

_ERROR_BEGINS = (
    "Error",
    "ERROR",
    "Checksum Error",
    "CoreDump",
    "MissingFile",
    "No Live Beads",
    "Separator Abort",
    "Failed to contact job server.",
)
_WITH_ERRORS = r"^Completed with \d+ error"
_AT_WORK = (
    *AT_WORK,
    "Alignment QC",
    "Generating Alignment",
    "Processing finished",
    "Uploading Results",
    "Merge Block Results",
    "TFPipeline",
)
_ELSE = ("Importing", "Importing Failed", "Moved", "Pending", "PGM Operation Error", "TERMINATED")
_MOMENT = "%m/%d/%Y %H:%M"


def class_of(status):
    """The class of a report's status, empty if it is in none."""
    if status == COMPLETED:
        return COMPLETED
    if status.startswith(_ERROR_BEGINS) or re.match(_WITH_ERRORS, status):
        return ERROR
    if status in _AT_WORK:
        return PROGRESS
    return OTHER if status in _ELSE else ""


def _in_class(name):
    """Runs with a report whose status is in that class."""
    if name == COMPLETED:
        return Q(results_set__status=COMPLETED)
    if name == PROGRESS:
        return Q(results_set__status__in=_AT_WORK)
    if name == OTHER:
        return Q(results_set__status__in=_ELSE)
    wrong = Q(results_set__status__regex=_WITH_ERRORS)
    for begin in _ERROR_BEGINS:
        wrong |= Q(results_set__status__startswith=begin)
    return wrong


def references_of(settings):
    """The reference of an analysis; told in words where its samples have several."""
    if settings is None:
        return ""
    samples = json_object(settings.barcodedSamples)
    infos = [
        info for told in samples.values() for info in json_object(json_object(told).get("barcodeSampleInfo")).values()
    ]
    found = {json_object(info).get("reference") for info in infos} - {None, ""}
    if len(found) > 1:
        return "Multiple references"
    return settings.reference or next(iter(found), "")


class Catalogue:
    """Names that lists look up for each run, read once per request."""

    @classmethod
    def of(cls, request):
        """That of a request."""
        if not hasattr(request, "catalogue"):
            request.catalogue = cls()
        return request.catalogue

    @cached_property
    def chips(self):
        return {chip.name: chip for chip in models.Chip.objects.all()}

    @cached_property
    def run_types(self):
        return dict(models.RunType.objects.values_list("runType", "description"))

    @cached_property
    def categories(self):
        named = models.CommonCV.objects.filter(cv_type="applicationCategory")
        return dict(named.values_list("value", "displayedValue"))

    def category_of(self, plan):
        """The first of a plan's categories that has a name for people; else what its run type is called."""
        if plan is None:
            return ""
        words = [word for word in (plan.categories or "").split(";") if word in self.categories]
        return self.categories[words[0]] if words else self.run_types.get(plan.runType, "")


def shown_beside(run, catalogue):
    """The keys that the objects of `compositeexperiment` have beside their fields.

    Parameters
    ----------
    run : ionanalysis.rundb.models.Experiment
    catalogue : Catalogue
    """
    chip = catalogue.chips.get(run.chipType)
    plan = run.plan
    best = run.repResult.eas if run.repResult else None
    settings = best or max(run.eas_set.all(), key=lambda one: one.pk, default=None)
    samples = list(run.samples.all())
    return {
        "barcodeId": (settings.barcodeKitName if settings else "") or "",
        "barcodedSamples": json_object(settings.barcodedSamples) if settings else {},
        "chipDescription": chip.description if chip else run.chipType,
        "chipInstrumentType": chip.instrumentType if chip else "",
        "applicationCategoryDisplayedName": catalogue.category_of(plan),
        "keep": run.storage_options == "KI",
        "library": (settings.reference if settings else "") or "",
        "references": references_of(settings),
        "sample": samples[0].name if samples else "",
        "sampleDisplayedName": samples[0].displayedName if samples else "",
        "sampleSetName": ", ".join(one.displayedName for one in plan.sampleSets.all()) if plan else "",
    }


def narrowed_runs(asked, rows):
    """Runs that the parameters of `compositeexperiment` leave.

    Parameters
    ----------
    asked : django.http.QueryDict
    rows : django.db.models.QuerySet
    """
    conditions = []
    if asked.get("all_text"):
        conditions.append(_any_text(asked["all_text"]))
    if asked.get("all_date"):
        first, last = _period(asked["all_date"])
        conditions.append(Q(date__range=(first, last)) | Q(results_set__timeStamp__range=(first, last)))
    if asked.get("result_status") in CLASSES:
        conditions.append(_in_class(asked["result_status"]))
    if asked.get("sample_prep"):
        kits = models.KitInfo.objects.filter(samplePrep_instrumentType=asked["sample_prep"]).values("name")
        conditions.append(Q(plan__templatingKitName__in=kits))
    if asked.get("samples__name__in"):
        conditions.append(Q(samples__name__in=asked["samples__name__in"].split(",")))
    if asked.get("mesh_node_ids") and "local" not in asked["mesh_node_ids"].split(","):
        return rows.none()
    for condition in conditions:
        # Each by itself: a run counts once, however many of its reports match.
        rows = rows.filter(pk__in=models.Experiment.objects.filter(condition).values("pk"))
    return rows


def _any_text(text):
    found = Q()
    for part in text.split(" OR "):
        for path in ("expName", "results_set__resultsName", "notes"):
            found |= Q(**{f"{path}__icontains": part})
        for path in ("plan__sampleTubeLabel", "plan__planShortID", "chipBarcode"):
            found |= Q(**{path: part})
    return found


def _period(text):
    try:
        first, last = (datetime.strptime(part.strip(), _MOMENT).replace(tzinfo=UTC) for part in text.split(","))
    except ValueError:
        raise Refusal(400, {"error": "'all_date' takes MM/DD/YYYY HH:MM,MM/DD/YYYY HH:MM."}) from None
    return first, last
