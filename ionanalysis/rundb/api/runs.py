"""Projects, runs, the settings of an analysis, reports, and the figures of each."""

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import Dict, Integer, Many, One, String, Table

_OPTIONAL = {"null": True, "blank": True}


class Project(Table, rows=models.Project, mesh=True):
    creator = One("user")
    resultsCount = Integer(readonly=True)

    def dehydrate_resultsCount(self, bundle):
        return bundle.obj.results.count()


class Experiment(Table, rows=models.Experiment, returns_data=True):
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


class ExperimentAnalysisSettings(Table, rows=models.ExperimentAnalysisSettings):
    experiment = One("experiment", **_OPTIONAL)
    results = Many("results", "results_set", **_OPTIONAL)


class ReportStorage(Table, rows=models.ReportStorage, served=False):
    pass


class Results(Table, rows=models.Results, hidden=("folder",)):
    experiment = One("experiment", null=True)
    eas = One("experimentanalysissettings", **_OPTIONAL)
    projects = Many("project")
    reportstorage = One(ReportStorage, nested=True)
    analysismetrics = Many("analysismetrics", "analysismetrics_set")
    libmetrics = Many("libmetrics", "libmetrics_set")
    qualitymetrics = Many("qualitymetrics", "qualitymetrics_set")
    tfmetrics = Many("tfmetrics", "tfmetrics_set")
    pluginresults = Many("pluginresult", "pluginresult_set")
    filesystempath = String()
    bamLink = String()
    planShortID = String()
    pluginState = Dict(readonly=True)
    pluginStore = Dict(readonly=True)


class AnalysisMetrics(Table, rows=models.AnalysisMetrics):
    report = One("results")


class LibMetrics(Table, rows=models.LibMetrics):
    report = One("results")


class QualityMetrics(Table, rows=models.QualityMetrics):
    report = One("results")


class TFMetrics(Table, rows=models.TFMetrics):
    report = One("results")
