"""Planned runs: fields of the plan, its run and the settings of its analysis in one object (rest-api.md 7)."""

from functools import cached_property
from types import new_class
from typing import Any

from django.db.models import Prefetch, Q

from ionanalysis.rundb import models
from ionanalysis.rundb.api.planning import Planning
from ionanalysis.rundb.api.samples import LIBRARY_PREPARATIONS
from ionanalysis.rundb.plans.lists import TEMPLATING, Lists
from ionanalysis.rundb.plans.make import run_of, settings_of
from ionanalysis.rundb.plans.names import ARGUMENTS, FLAGS, JSON, OF_RUN, OF_SETTINGS, chef_columns
from ionanalysis.rundb.plans.rules import LONGEST_NAME
from ionanalysis.rundb.protocol import Boolean, Dict, Integer, List, Many, One, String, Table, body_of, plain, route

_OPTIONAL = {"null": True, "blank": True}
_COMPUTED = {**_OPTIONAL, "readonly": True}
_EMPTY = {"default": "", "null": True, "blank": True}

_PLAN = models.PlannedExperiment


class _PlanColumns(Planning):
    """What each object of a plan has that stands in the plan's own row, or follows from it."""

    applicationGroup = One("applicationgroup", **_OPTIONAL)
    childPlans = List(default=[])
    experiment = One("experiment", **_OPTIONAL)
    parentPlan = String(default=None, blank=True)
    project = String(blank=True, readonly=True)
    projects = Many("project", reads=("name",), **_OPTIONAL)
    qcValues = Many("plannedexperimentqc", nested=True, **_OPTIONAL)
    sampleGrouping = One("samplegrouptype_cv", **_OPTIONAL)
    sampleSets = Many("sampleset", reads=("displayedName", "combinedLibraryTubeLabel", "libraryPrepType"), **_OPTIONAL)

    @classmethod
    def with_relations(cls, rows):
        children = models.PlannedExperiment.objects.order_by("pk").only("pk", "parentPlan")
        return super().with_relations(rows).prefetch_related(Prefetch("childPlans", children))

    def dehydrate_childPlans(self, bundle):
        return [PlannedExperiment.address(child.pk) for child in bundle.obj.childPlans.all()]

    def dehydrate_parentPlan(self, bundle):
        parent = bundle.obj.parentPlan_id
        return PlannedExperiment.address(parent) if parent else None

    def dehydrate_project(self, bundle):
        first = next(iter(bundle.obj.projects.all()), None)
        return first.name if first is not None else ""

    def dehydrate_projects(self, bundle):
        """Names, in place of addresses (rest-api.md 2.2)."""
        return [project.name for project in bundle.obj.projects.all()]


class _WholePlan(_PlanColumns):
    """A plan with its run, settings and samples in one object."""

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

    @classmethod
    def with_relations(cls, rows):
        along = ("experiment", "latestEAS", "applicationGroup", "sampleGrouping")
        return super().with_relations(rows).select_related(*along).prefetch_related("experiment__samples")

    @cached_property
    def _categories(self):
        return _categories()

    @cached_property
    def _early_chips(self):
        """Chips whose images are deleted early."""
        rows = models.Chip.objects.exclude(earlyDatFileDeletion__in=("", "0"))
        return set(rows.values_list("name", flat=True))

    def dehydrate(self, bundle):
        """Add what stands in the plan's run and settings, and what follows from its samples."""
        plan, data = bundle.obj, bundle.data
        run = run_of(plan) or models.Experiment(flows=0)
        settings = self.settings_shown(bundle.request, plan) or models.ExperimentAnalysisSettings()
        for row, names in ((run, OF_RUN), (settings, OF_SETTINGS)):
            for name, column in names.items():
                value = getattr(row, column)
                data[name] = value if value is not None or name in FLAGS else {} if name in JSON else ""
        data |= {name: getattr(settings, name) for name in (*ARGUMENTS, "custom_args")}
        data["chefInfo"] = chef_columns(run)
        data["earlyDatFileDeletion"] = run.chipType in self._early_chips
        # Samples by barcode stand in `barcodedSamples`.
        sample = next(iter(run.samples.all()), None) if run.pk and not data["barcodedSamples"] else None
        data["sample"] = (sample.name or "") if sample is not None else ""
        data["sampleDisplayedName"] = (sample.displayedName or "") if sample is not None else ""
        self._add_names(plan, data)
        data |= getattr(plan, "told", {})
        return bundle

    def _add_names(self, plan, data):
        """Names of what the plan belongs to, as they are shown."""
        data["applicationCategoryDisplayedName"] = _shown_categories(plan, self._categories)
        data["applicationGroupDisplayedName"] = (
            (plan.applicationGroup.description or "") if plan.applicationGroup else ""
        )
        data["sampleGroupingName"] = plan.sampleGrouping.displayedName if plan.sampleGrouping else ""
        sets = list(plan.sampleSets.all())
        data["sampleSetDisplayedName"] = ", ".join(one.displayedName for one in sets)
        data["libraryPrepType"] = sets[0].libraryPrepType if sets else ""
        data["libraryPrepTypeDisplayedName"] = LIBRARY_PREPARATIONS.get(data["libraryPrepType"], "")
        label = next((one.combinedLibraryTubeLabel for one in sets if one.combinedLibraryTubeLabel), None)
        if label:
            data["combinedLibraryTubeLabel"] = label

    def settings_shown(self, request, plan):
        """The plan's newest settings, or with ``for_report`` those of that report of its run."""
        report = self.report_asked(request)
        run = run_of(plan)
        is_of_run = report is not None and run is not None and report.experiment_id == run.pk
        return report.eas if is_of_run and report.eas_id is not None else settings_of(plan)


class PlannedExperiment(_WholePlan, rows=_PLAN, order=("-id",), returns_data=True):
    checked = True

    @route("copy/<guid>/", "POST")
    def copy(self, request, guid):
        """A new plan like that of the GUID; fields of the request's form or JSON overwrite its own."""
        source = self.with_relations(_PLAN.objects.filter(planGUID=guid)).order_by("pk").first()
        if source is None:
            return 410
        data = plain(self.shown(request, source, in_list=False))
        data = {name: value for name, value in data.items() if name not in _NOT_COPIED}
        name = f"CopyOf_{source.planDisplayedName or source.planName or ''}"[:LONGEST_NAME]
        data |= {"planName": name, "planDisplayedName": name, "planStatus": "planned", "origin": "copy"}
        given = body_of(request) if request.content_type == "application/json" else request.POST.dict()
        if "planName" in given:
            data["planDisplayedName"] = given["planName"]
        plan = self.create(request, {**data, **given})
        return self.answer_with(request, plan, 202)

    @route("<number>/transfer/", "GET", "POST")
    def transfer(self, request, number):
        return 501


# What a copy has of its own.
_NOT_COPIED = (
    "id",
    "resource_uri",
    "childPlans",
    "chefInfo",
    "date",
    "experiment",
    "expName",
    "planExecuted",
    "planExecutedDate",
    "planGUID",
    "planShortID",
)


class PlannedExperimentDb(_PlanColumns, rows=_PLAN, order=("-id",), returns_data=True):
    checked = True

    def dehydrate(self, bundle):
        bundle.data |= getattr(bundle.obj, "told", {})
        return bundle


def _categories():
    """What categories of plans are called, by their values."""
    rows = models.CommonCV.objects.filter(cv_type="applicationCategory")
    return dict(rows.values_list("value", "displayedValue"))


def _shown_categories(plan, names):
    shown = (names.get(part.strip()) for part in (plan.categories or "").split(";"))
    return ", ".join(filter(None, shown))


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


class _Summary(Planning):
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


class _ChefSummary(Planning):
    experiment = One("experiment", **_OPTIONAL)

    def dehydrate(self, bundle):
        """What the sample preparation instrument reads, and no more (rest-api.md 2.12)."""
        bundle.data = {name: bundle.data[name] for name in _CHEF_SHOWN}
        return bundle


_VIEWS: tuple[tuple[str, Any, Any, Any], ...] = (
    ("availableionchefplannedexperiment", _ChefSummary, lambda: _PENDING & _on_chef(), "all"),
    ("availableionchefplannedexperimentsummary", _ChefSummary, lambda: _PENDING & _on_chef(), "all"),
    ("availableonetouchplannedexperiment", _WholePlan, lambda: _PLANNED & _on_one_touch(), ()),
    ("availableonetouchplannedexperimentsummary", _Summary, lambda: _PLANNED & _on_one_touch(), "all"),
    ("availableplannedexperimentsummary", _WholePlan, _PLANNED, "all"),
    ("ionchefplantemplate", _WholePlan, lambda: _TEMPLATE & _on_chef(), ()),
    ("ionchefplantemplatesummary", _Summary, lambda: _TEMPLATE & _on_chef(), ()),
    ("onetouchplantemplate", _WholePlan, lambda: _TEMPLATE & _on_one_touch(), ()),
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

    @classmethod
    def with_relations(cls, rows):
        return (
            super().with_relations(rows).select_related("experiment", "latestEAS", "applicationGroup", "sampleGrouping")
        )

    @cached_property
    def _categories(self):
        return _categories()

    @cached_property
    def _kits(self):
        return dict(models.KitInfo.objects.filter(kitType__in=TEMPLATING).values_list("name", "kitType"))

    def dehydrate(self, bundle):
        plan, data = bundle.obj, bundle.data
        data["applicationCategoryDisplayedName"] = _shown_categories(plan, self._categories)
        kind = self._kits.get(plan.templatingKitName)
        data["templatePrepInstrumentType"] = {"IonChefPrepKit": "IonChef", "TemplatingKit": "OneTouch"}.get(kind, "")
        data["irAccountName"] = _account(plan.latestEAS)
        for name in (
            "applicationGroupDisplayedName",
            "sampleGroupName",
            "sequencingInstrumentType",
            *_OF_SETTINGS_SHOWN,
        ):
            data[name] = data[name] or ""
        return bundle

    @route("check_files/", "GET")
    def check_files(self, request):
        """References and files of regions that templates of an application name and that are not here."""
        application = request.GET.get("application", "")
        rows = self.rows().select_related("latestEAS")
        if application:
            rows = rows.filter(Q(categories__contains=application) | Q(runType=application))
        lists, references, regions = Lists(), set(), set()
        for plan in rows:
            settings = plan.latestEAS
            reference = (settings and settings.reference) or ""
            if reference and not lists.has_reference(reference):
                references.add(reference)
            named = (settings.targetRegionBedFile, settings.hotSpotRegionBedFile) if settings else ()
            regions |= {name for name in named if name and lists.region_file(reference, name) is None}
        return {
            "references": sorted(references),
            "bedfiles": sorted(regions),
            "install_lock": False,
            "files_available": not references and not regions,
        }


_OF_SETTINGS_SHOWN = ("barcodeKitName", "hotSpotRegionBedFile", "notes", "reference", "targetRegionBedFile")


def _account(settings):
    """The account of Ion Reporter that a plan's uploads go to, as its plugin was told."""
    told = settings.selectedPlugins if settings is not None else None
    for name in ("IonReporterUploader", "userInput", "accountName"):
        told = told.get(name) if isinstance(told, dict) else None
    return told if isinstance(told, str) else ""
