"""What plugins left on reports, and the jobs that made it (rest-api.md 5)."""

from ionanalysis.plugin.jobs import RUNNING_STATES
from ionanalysis.rundb import models
from ionanalysis.rundb.api.plugin_listing import url_of
from ionanalysis.rundb.life.folders import pages_in, plugin_folder, plugin_folder_name, shown_path
from ionanalysis.rundb.life.launcher import launcher
from ionanalysis.rundb.life.plugin_rows import is_running, settled, state_of
from ionanalysis.rundb.protocol import (
    RESOURCES,
    Boolean,
    DateTime,
    List,
    Many,
    One,
    String,
    Table,
    demand,
    demand_own_site,
    route,
)


class PluginResultJob(Table, rows=models.PluginResultJob, name="PluginResultJob", orders=(), hidden=("number",)):
    def written(self, bundle, *, created):
        """A job that has ended has no number in a queue any more (plugin.md 3.5)."""
        job = bundle.obj
        if not created and "state" in bundle.data and job.state not in RUNNING_STATES and job.number is not None:
            models.PluginResultJob.objects.filter(pk=job.pk).update(grid_engine_jobid=-1)


class PluginResult(Table, rows=models.PluginResult, order=("-id",), hidden=("number", "problems"), secret=("apikey",)):
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

    @classmethod
    def with_relations(cls, rows):
        return super().with_relations(rows).select_related("plugin", "result__reportstorage")

    def received(self, request, data, row):
        """The owner is the caller; a superuser may name another."""
        if not request.user.is_superuser or (row is None and not data.get("owner")):
            data.pop("owner", None)
            if row is None:
                data["owner"] = RESOURCES["user"].address(request.user.pk)
        return data

    def shown(self, request, row, *, in_list):
        return super().shown(request, settled(row), in_list=in_list)

    def dehydrate(self, bundle):
        """Add what jobs and files tell."""
        row = bundle.obj
        jobs = list(row.plugin_result_jobs.all())
        started = [job.starttime for job in jobs if job.starttime is not None]
        ended = [job.endtime for job in jobs if job.endtime is not None]
        name = plugin_folder_name(row)
        bundle.data |= {
            "URL": url_of(row.result, name),
            "can_terminate": is_running(row),
            "endtime": max(ended) if len(ended) == len(jobs) and ended else None,
            "files": pages_in(plugin_folder(row)),
            "major": row.plugin.majorBlock,
            "path": f"{shown_path(row.result)}/plugin_out/{name}",
            "starttime": min(started, default=None),
            "state": state_of(row),
        }
        return bundle

    @route("<pk>/rescan/", "GET")
    def rescan(self, request, pk):
        """Count the space that it takes."""
        row = self._mine(request, pk, "change")
        launcher().measure(row)
        return 202

    @route("<pk>/stop/", "GET")
    def stop(self, request, pk):
        """Stop its jobs."""
        launcher().stop(self._mine(request, pk, "change"))

    @route("<pk>/delete/", "DELETE")
    def delete_with_files(self, request, pk):
        """Delete it with its files."""
        launcher().remove(self._mine(request, pk, "delete"))

    def _mine(self, request, key, action):
        demand(request.user, action, models.PluginResult)
        demand_own_site(request)
        return self.found(key)
