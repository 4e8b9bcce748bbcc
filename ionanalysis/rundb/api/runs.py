"""Projects, runs, the settings of an analysis, and the figures of reports."""

from ionanalysis.rundb import models
from ionanalysis.rundb.api.metadata import WithMetaData
from ionanalysis.rundb.protocol import Integer, Many, One, String, Table, route

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
