"""Runs and reports as lists of a page need them: several tables in one object (rest-api.md 3.2)."""

from datetime import timedelta

from django.db.models import Q
from django.utils.timezone import now

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import MESH_ROOT, Boolean, Integer, Many, One, String, Table

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
    isPQ = Boolean(readonly=True)


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
    pass


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


_LISTED = ("id", "resultsName", "timeStamp", "diskusage", "expDir", "expName")


class CompositeDataManagement(
    Table,
    rows=models.Results,
    only=("id", "resultsName", "timeStamp", "diskusage"),
    where=Q(experiment__isnull=False) & ~Q(experiment__expDir=""),
    filters=_LISTED,
    orders=_LISTED,
):
    expName = String("experiment__expName", readonly=True)
    expDir = String("experiment__expDir", readonly=True)
    in_process = Boolean(default=False)
    sigproc_state = String(default="Unknown", readonly=True)
    sigproc_keep = String(null=True, readonly=True)
    basecall_state = String(default="Unknown", readonly=True)
    basecall_keep = String(null=True, readonly=True)
    output_state = String(default="Unknown", readonly=True)
    output_keep = String(null=True, readonly=True)
    misc_state = String(default="Unknown", readonly=True)
    misc_keep = String(null=True, readonly=True)


def _watched():
    """Reports of the last two days, and those whose run of the last week is still being transferred."""
    done = ("Complete", "Completed", "User Aborted", "Missing File(s)", "Lost Chip Connection")
    shown = ~Q(experiment__status="planned") & ~Q(experiment__expDir="") & _NO_REPORT_ONLY
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
    library = String(null=True, readonly=True)
    barcodeId = String(null=True, readonly=True)


_PROJECT = ["id", "resultsName", "timeStamp", "projects", "status", "reportLink", "reportStatus", "reference"]


class ProjectResults(Table, rows=models.Results, hidden=("folder",), filters=_PROJECT, orders=_PROJECT):
    projects = Many("project")
