"""Projects, runs, the settings of an analysis, and the figures of reports."""

from ionanalysis.rundb import models
from ionanalysis.rundb.api.metadata import WithMetaData
from ionanalysis.rundb.life.analyses import analyses, log_of
from ionanalysis.rundb.protocol import (
    RESOURCES,
    Integer,
    Many,
    One,
    Refusal,
    String,
    Table,
    body_of,
    demand,
    json_response,
    route,
)

_OPTIONAL = {"null": True, "blank": True}


class Project(Table, rows=models.Project, mesh=True):
    creator = One("user")
    resultsCount = Integer(readonly=True)

    def dehydrate_resultsCount(self, bundle):
        return bundle.obj.results.count()


class Experiment(WithMetaData, rows=models.Experiment, returns_data=True):
    results = Many("results", "results_set")
    plan = One("plannedexperiment", **_OPTIONAL)
    eas_set = Many("experimentanalysissettings", nested=True, **_OPTIONAL)
    samples = Many("sample", **_OPTIONAL)
    sample = String(blank=True, readonly=True)
    isProton = String(readonly=True)

    def dehydrate_sample(self, bundle):
        """The first sample's name."""
        first = next(iter(bundle.obj.samples.all()), None)
        return first.name if first is not None else ""

    def dehydrate_isProton(self, bundle):
        return str(bundle.obj.is_proton)

    @route("projects/", "GET")
    def projects(self, request):
        """Names of the projects of all runs; obsolete."""
        rows = models.Project.objects.filter(results__experiment__isnull=False).distinct().order_by("name")
        return list(rows.values_list("name", flat=True))

    @route("from_wells_analysis/", "POST")
    def analyse_wells(self, request):
        """Call bases anew from the wells of a report, named by its folder; other folders are none of a request's."""
        demand(request.user, "add", models.Results)
        directory = body_of(request).get("directory")
        if analyses().root is None:
            raise Refusal(501, {"error": "This server has no folder for new results; start it with --results."})
        if not isinstance(directory, str) or not directory or "\0" in directory:
            raise Refusal(400, {"error": "'directory' takes the folder of a report."})
        former = models.Results.objects.filter(folder=directory.rstrip("/")).first()
        if former is None:
            raise Refusal(400, {"error": "'directory' is the folder of no report."})
        report = analyses().start(former)
        answer = {"report": RESOURCES["results"].address(report.pk), "status": report.status, "log": log_of(report)}
        return json_response(request, answer, status=202)


class ExperimentAnalysisSettings(Table, rows=models.ExperimentAnalysisSettings):
    experiment = One("experiment", **_OPTIONAL)
    results = Many("results", "results_set", **_OPTIONAL)


class AnalysisMetrics(Table, rows=models.AnalysisMetrics):
    report = One("results")


class LibMetrics(Table, rows=models.LibMetrics):
    report = One("results")


class QualityMetrics(Table, rows=models.QualityMetrics):
    report = One("results")


class TFMetrics(Table, rows=models.TFMetrics):
    report = One("results")
