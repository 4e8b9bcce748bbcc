"""Plugins, their results, and the jobs that made those."""

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import (
    Boolean,
    DateTime,
    JsonValue,  # noqa: F401
    List,
    Many,
    One,
    String,
    Table,
)


class Plugin(Table, rows=models.Plugin):
    availableVersions = List(default=[], readonly=True)
    hasAbout = Boolean(readonly=True)
    input = String(readonly=True)
    isConfig = Boolean(readonly=True)
    isInstance = Boolean(readonly=True)
    isPlanConfig = Boolean(readonly=True)
    isSupported = Boolean(readonly=True)
    isUpgradable = Boolean(default=False, readonly=True)
    versionedName = String(readonly=True)


class PluginResultJob(Table, rows=models.PluginResultJob, name="PluginResultJob", orders=()):
    pass


class PluginResult(Table, rows=models.PluginResult, order=("-id",)):
    result = One("results")
    plugin = One("plugin")
    owner = One("user")
    plugin_result_jobs = Many("PluginResultJob", nested=True)
    URL = String(readonly=True)
    can_terminate = Boolean(readonly=True)
    endtime = DateTime(readonly=True)
    files = List(readonly=True)
    major = Boolean(readonly=True)
    path = String(readonly=True)
    pluginName = String("plugin__name", readonly=True)
    pluginVersion = String("plugin__version", readonly=True)
    reportLink = String("result__reportLink", readonly=True)
    resultName = String("result__resultsName", readonly=True)
    starttime = DateTime(readonly=True)
    state = String(readonly=True)
