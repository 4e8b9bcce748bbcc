"""Runs and reports as lists of a page need them: several tables in one object (rest-api.md 3.2)."""

from datetime import timedelta

from django.db.models import Q
from django.utils.timezone import now

from ionanalysis.rundb import models
from ionanalysis.rundb.api.reports import thumbnails
from ionanalysis.rundb.api.run_lists import CLASSES, Catalogue, class_of, narrowed_runs, references_of, shown_beside
from ionanalysis.rundb.protocol import MESH_ROOT, Boolean, Integer, Many, One, Refusal, String, Table, route

_OPTIONAL = {"null": True, "blank": True}
_NO_REPORT_ONLY = ~Q(experiment__expName="NONE_ReportOnly_NONE")
_BASE = [
    "id",
    "resultsName",
    "processedflows",
    "timeStamp",
    "status",
    "reportLink",
    "representative",
    "reportStatus",
    "autoExempt",
]
_REPORT = [*_BASE, "projects", "eas", "analysismetrics", "libmetrics", "qualitymetrics"]


class _Project(Table, rows=models.Project, only=("id", "name", "modified"), served=False, name="_project"):
    pass


class _Settings(
    Table, rows=models.ExperimentAnalysisSettings, only=("reference", "barcodeKitName"), served=False, name="_eas"
):
    references = String(readonly=True)
    chipType = String("experiment__chipType", null=True, readonly=True)
    isPQ = Boolean(default=False, readonly=True)

    @classmethod
    def with_relations(cls, rows):
        return super().with_relations(rows).select_related("experiment")

    def dehydrate_references(self, bundle):
        return references_of(bundle.obj)


class _AnalysisMetrics(
    Table,
    rows=models.AnalysisMetrics,
    only=("id", "bead", "empty", "excluded", "pinned", "ignored", "lib", "libFinal", "live"),
    served=False,
    name="_analysismetrics",
):
    total_wells = Integer(readonly=True)

    def dehydrate_total_wells(self, bundle):
        row = bundle.obj
        return row.bead + row.empty + row.excluded + row.pinned + row.ignored


class _LibMetrics(
    Table,
    rows=models.LibMetrics,
    only=("id", "i100Q20_reads", "q20_mean_alignment_length", "aveKeyCounts"),
    served=False,
    name="_libmetrics",
):
    pass


class _QualityMetrics(
    Table,
    rows=models.QualityMetrics,
    only=("id", "q0_bases", "q0_reads", "q0_mean_read_length", "q20_bases", "q20_reads", "q20_mean_read_length"),
    served=False,
    name="_qualitymetrics",
):
    pass


class _Plan(
    Table, rows=models.PlannedExperiment, only=("id", "runType", "sampleTubeLabel"), served=False, name="_plan"
):
    pass


class _Report(Table):
    """What the reports of lists have in common; a report may lack any of its parts."""

    projects = Many(_Project, nested=True)
    eas = One(_Settings, nested=True)
    analysismetrics = One(_AnalysisMetrics, nested=True, null=True)
    libmetrics = One(_LibMetrics, nested=True, null=True)
    qualitymetrics = One(_QualityMetrics, nested=True, null=True)


class CompositeResult(
    _Report,
    rows=models.Results,
    only=_REPORT,
    filters=_REPORT,
    orders=_REPORT,
):
    def dehydrate(self, bundle):
        """Metrics under their other names, too."""
        bundle.data["analysis_metrics"] = bundle.data["analysismetrics"]
        bundle.data["quality_metrics"] = bundle.data["qualitymetrics"]
        bundle.data["isShowAllMetrics"] = True
        return bundle


_RUN = tuple(
    [
        "barcodeId",
        "chipType",
        "date",
        "expName",
        "flows",
        "ftpStatus",
        "id",
        "library",
        "notes",
        "pgmName",
        "resultDate",
        "results",
        "results_set",
        "runMode",
        "repResult",
        "star",
        "storage_options",
        "plan",
        "platform",
        "displayName",
    ]
)


class CompositeExperiment(
    Table,
    rows=models.Experiment,
    only=_RUN,
    where=~Q(status="planned") & ~Q(expDir="") & ~Q(expName="NONE_ReportOnly_NONE"),
    filters=_RUN,
    orders=_RUN,
    order=("-resultDate",),
    mesh=True,
    root=MESH_ROOT,
):
    results = Many("compositeresult", "results_set", nested=True)
    plan = One(_Plan, nested=True, **_OPTIONAL)
    repResult = One("compositeresult", **_OPTIONAL)
    _host = String(readonly=True, help_text="Host this resource is located on.")

    @classmethod
    def with_relations(cls, rows):
        seen = super().with_relations(rows).select_related("plan", "repResult__eas")
        return seen.prefetch_related("samples", "eas_set", "plan__sampleSets")

    def narrow(self, request, rows):
        return narrowed_runs(request.GET, rows)

    def dehydrate(self, bundle):
        """Add what pages show beside a run, and classes to its reports, the newest first."""
        run, data = bundle.obj, bundle.data
        data.pop("_host")
        data |= shown_beside(run, Catalogue.of(bundle.request))
        reports = sorted(data["results"], key=lambda one: (one.data["timeStamp"], one.data["id"]), reverse=True)
        for report in reports:
            report.data["status_display"] = class_of(report.data["status"])
        wanted = bundle.request.GET.get("result_status")
        if wanted in CLASSES:
            reports = [report for report in reports if report.data["status_display"] == wanted]
        data["results"] = reports
        return bundle

    def whole_list(self, request, page):
        """The list over linked servers tells which of them did not answer: there are none."""
        return page | {"warnings": []} if "/mesh/" in request.path else page

    @route("show/", "POST")
    def show(self, request):
        """Remember how the caller wants runs to be listed."""
        wanted = request.body.decode("utf-8", "replace").strip().strip('"')
        if wanted not in ("full", "table"):
            raise Refusal(400, {"error": "The body is 'full' or 'table'."})
        request.session["runs_shown_as"] = wanted


def _watched():
    """Reports of the last two days, and those whose run of the last week is still being transferred."""
    done = ("Complete", "Completed", "User Aborted", "Missing File(s)", "Lost Chip Connection")
    shown = Q(experiment__isnull=False) & ~Q(experiment__status="planned") & ~Q(experiment__expDir="")
    shown &= _NO_REPORT_ONLY
    recent = Q(timeStamp__gt=now() - timedelta(days=2))
    arriving = Q(experiment__date__gt=now() - timedelta(weeks=1)) & ~Q(experiment__ftpStatus__in=done)
    return shown & (recent | arriving)


class MonitorResult(
    _Report,
    rows=models.Results,
    only=[*_REPORT, "experiment"],
    where=_watched,
    filters=[*_REPORT, "experiment"],
    orders=[*_REPORT, "experiment"],
    order=("-timeStamp",),
):
    experiment = One("experiment", nested=True)
    library = String("eas__reference", null=True, readonly=True)
    barcodeId = String("eas__barcodeKitName", null=True, readonly=True)


_PROJECT = ["id", "resultsName", "timeStamp", "projects", "status", "reportLink", "reportStatus", "reference"]


class ProjectResults(Table, rows=models.Results, hidden=("folder",), filters=_PROJECT, orders=_PROJECT):
    projects = Many("project")

    def narrow(self, request, rows):
        return thumbnails(request, rows)
