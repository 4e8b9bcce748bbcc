"""Planned runs: fields of the plan, its run and the settings of its analysis in one object (rest-api.md 7)."""

from types import new_class
from typing import Any

from django.db.models import Q

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import Boolean, Dict, Integer, List, Many, One, String, Table

_OPTIONAL = {"null": True, "blank": True}
_COMPUTED = {**_OPTIONAL, "readonly": True}
_EMPTY = {"default": "", "null": True, "blank": True}

# Names of the API, and the columns of the plan's run and of its newest settings that hold them.
OF_RUN = {
    "autoAnalyze": "autoAnalyze",
    "chipBarcode": "chipBarcode",
    "chipType": "chipType",
    "flows": "flows",
    "flowsInOrder": "flowsInOrder",
    "notes": "notes",
    "platform": "platform",
    "sequencekitname": "sequencekitname",
}
OF_SETTINGS = {
    "barcodeId": "barcodeKitName",
    "barcodedSamples": "barcodedSamples",
    "base_recalibration_mode": "base_recalibration_mode",
    "bedfile": "targetRegionBedFile",
    "forward3primeadapter": "threePrimeAdapter",
    "isDuplicateReads": "isDuplicateReads",
    "library": "reference",
    "libraryKey": "libraryKey",
    "librarykitname": "libraryKitName",
    "realign": "realign",
    "regionfile": "hotSpotRegionBedFile",
    "selectedPlugins": "selectedPlugins",
    "sseBedFile": "sseBedFile",
    "tfKey": "tfKey",
}
_PLAN = models.PlannedExperiment


class _PlanColumns(Table):
    """What each object of a plan has that stands in the plan's own row, or follows from it."""

    applicationGroup = One("applicationgroup", **_OPTIONAL)
    childPlans = List(default=[])
    experiment = One("experiment", **_OPTIONAL)
    parentPlan = String(default=None, blank=True)
    project = String(blank=True, readonly=True)
    projects = Many("project", **_OPTIONAL)
    qcValues = Many("plannedexperimentqc", nested=True, **_OPTIONAL)
    sampleGrouping = One("samplegrouptype_cv", **_OPTIONAL)
    sampleSets = Many("sampleset", **_OPTIONAL)

    def dehydrate_childPlans(self, bundle):
        return [RESOURCE().get_resource_uri(child) for child in bundle.obj.childPlans.all()]

    def dehydrate_parentPlan(self, bundle):
        parent = bundle.obj.parentPlan_id
        return RESOURCE.address(parent) if parent else None

    def dehydrate_project(self, bundle):
        first = next(iter(bundle.obj.projects.all()), None)
        return first.name if first is not None else ""

    def dehydrate_projects(self, bundle):
        """Names, in place of addresses (rest-api.md 2.2)."""
        return [project.name for project in bundle.obj.projects.all()]


class PlannedExperiment(_PlanColumns, rows=_PLAN, order=("-id",), returns_data=True):
    autoAnalyze = Boolean()
    barcodeId = String(**_EMPTY)
    barcodedSamples = String(**_EMPTY)
    base_recalibration_mode = String(**_EMPTY)
    bedfile = String(default="", blank=True)
    chefInfo = Dict(default={})
    chipBarcode = String(default="")
    chipType = String(default="")
    earlyDatFileDeletion = Boolean(default=False, readonly=True)
    flows = Integer(default=0)
    flowsInOrder = String(**_EMPTY)
    forward3primeadapter = String(**_EMPTY)
    isDuplicateReads = Boolean()
    library = String(**_EMPTY)
    libraryKey = String(default="", blank=True)
    librarykitname = String(**_EMPTY)
    notes = String(**_EMPTY)
    platform = String(**_OPTIONAL)
    realign = Boolean()
    regionfile = String(default="", blank=True)
    reverse3primeadapter = String(default="", readonly=True)
    reverselibrarykey = String(default="", readonly=True)
    sample = String(**_EMPTY)
    sampleDisplayedName = String(**_EMPTY)
    selectedPlugins = String(**_EMPTY)
    sequencekitname = String(**_EMPTY)
    sseBedFile = String(default="", blank=True)
    tfKey = String(default="", blank=True)
    variantfrequency = String(default="", readonly=True)
    applicationCategoryDisplayedName = String(**_COMPUTED)
    applicationGroupDisplayedName = String(**_COMPUTED)
    libraryPrepType = String(default="", **_COMPUTED)
    libraryPrepTypeDisplayedName = String(default="", **_COMPUTED)
    sampleGroupingName = String(**_COMPUTED)
    sampleSetDisplayedName = String(**_COMPUTED)


RESOURCE = PlannedExperiment


class PlannedExperimentDb(_PlanColumns, rows=_PLAN, order=("-id",), returns_data=True):
    pass


class PlannedExperimentQC(Table, rows=models.PlannedExperimentQC):
    plannedExperiment = One("plannedexperiment")
    qcType = One("qctype", nested=True)


def _kits(kind):
    return models.KitInfo.objects.filter(kitType=kind).values("name")


def _on_chef():
    return Q(templatingKitName__in=_kits("IonChefPrepKit"))


def _on_one_touch():
    return Q(templatingKitName__in=_kits("TemplatingKit"))


_FREE = Q(isReusable=False, planExecuted=False)
_PLANNED = Q(planStatus__in=("", "planned")) & _FREE
_PENDING = Q(planStatus="pending") & _FREE
_TEMPLATE = Q(isReusable=True)


class _Summary(Table):
    """Columns of the plan alone."""


_CHEF_SHOWN = tuple(
    [
        "id",
        "experiment",
        "username",
        "planShortID",
        "planName",
        "date",
        "planStatus",
        "isPlanGroup",
        "isReverseRun",
        "sampleTubeLabel",
        "templatingSize",
        "templatingKitName",
        "samplePrepProtocol",
    ]
)


class _ChefSummary(Table):
    experiment = One("experiment", **_OPTIONAL)

    def dehydrate(self, bundle):
        """What the sample preparation instrument reads, and no more (rest-api.md 2.12)."""
        bundle.data = {name: bundle.data[name] for name in _CHEF_SHOWN}
        return bundle


_VIEWS: tuple[tuple[str, Any, Any, Any], ...] = (
    ("availableionchefplannedexperiment", _ChefSummary, lambda: _PENDING & _on_chef(), "all"),
    ("availableionchefplannedexperimentsummary", _ChefSummary, lambda: _PENDING & _on_chef(), "all"),
    ("availableonetouchplannedexperiment", PlannedExperiment, lambda: _PLANNED & _on_one_touch(), ()),
    ("availableonetouchplannedexperimentsummary", _Summary, lambda: _PLANNED & _on_one_touch(), "all"),
    ("availableplannedexperimentsummary", PlannedExperiment, _PLANNED, "all"),
    ("ionchefplantemplate", PlannedExperiment, lambda: _TEMPLATE & _on_chef(), ()),
    ("ionchefplantemplatesummary", _Summary, lambda: _TEMPLATE & _on_chef(), ()),
    ("onetouchplantemplate", PlannedExperiment, lambda: _TEMPLATE & _on_one_touch(), ()),
    ("onetouchplantemplatesummary", _Summary, lambda: _TEMPLATE & _on_one_touch(), ()),
    ("plantemplatesummary", _Summary, _TEMPLATE, "all"),
)
for _name, _base, _where, _filters in _VIEWS:
    _options = {"rows": _PLAN, "name": _name, "where": _where, "filters": _filters, "order": ("-id",)}
    new_class(_name, (_base,), _options)


class PlanTemplateBasicInfo(
    Table, rows=_PLAN, where=_TEMPLATE & Q(isSystemDefault=False) & ~Q(planStatus="inactive"), methods=("get",)
):
    applicationGroup = One("applicationgroup", **_OPTIONAL)
    eas = One("experimentanalysissettings", "latestEAS", null=True)
    applicationCategoryDisplayedName = String(**_COMPUTED)
    applicationGroupDisplayedName = String("applicationGroup__description", **_COMPUTED)
    barcodeKitName = String("latestEAS__barcodeKitName", **_COMPUTED)
    hotSpotRegionBedFile = String("latestEAS__hotSpotRegionBedFile", default="", **_COMPUTED)
    irAccountName = String(**_COMPUTED)
    notes = String("experiment__notes", default="", **_COMPUTED)
    reference = String("latestEAS__reference", **_COMPUTED)
    sampleGroupName = String("sampleGrouping__displayedName", **_COMPUTED)
    sequencingInstrumentType = String("experiment__platform", **_COMPUTED)
    targetRegionBedFile = String("latestEAS__targetRegionBedFile", default="", **_COMPUTED)
    templatePrepInstrumentType = String(**_COMPUTED)
