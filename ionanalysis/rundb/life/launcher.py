"""Starts and stops plugins for the server: processes of their own, whose states are rows while they run."""

import logging
import secrets
import shutil
import threading
from dataclasses import replace

from django.db import connection, transaction
from django.db.models import Max
from django.utils.timezone import now

from ionanalysis.errors import InputError, IonAnalysisError
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.ask import validate_plugin
from ionanalysis.plugin.desk import at_server
from ionanalysis.plugin.jobs import RUNNING_STATES, LocalExecutor
from ionanalysis.plugin.launch import Launch, LaunchRequest
from ionanalysis.plugin.process import CANCELLED, ERROR
from ionanalysis.plugin.results import FOLDER, read_results
from ionanalysis.plugin.watch import folder_usage, kill_strays
from ionanalysis.report.plugins import refresh_report
from ionanalysis.rundb import models
from ionanalysis.rundb.life.folders import plugin_folder, report_folder
from ionanalysis.rundb.life.plugin_rows import InstalledPlugins, mirror, spoilt_left_out

_LOG = logging.getLogger("ionanalysis.rundb")
NO_SERVER = "http://localhost"
"""The address that plugins get where nothing listens."""


class ReportDesk:
    """One report's place in the database, as a launch sees it (`ionanalysis.plugin.desk.Desk`).

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results
    user : django.contrib.auth.models.User
        Who launches; the plugin results are theirs.
    address : str
        Of the server.
    plugins : InstalledPlugins
    row : ionanalysis.rundb.models.PluginResult, optional
        Made for the plugin that was asked for.
    """

    def __init__(self, report, user, address, plugins):
        self.report, self.user, self.address, self.plugins = report, user, address, plugins
        self.folder = report_folder(report)

    def facts(self, report):
        return at_server(
            report,
            address=self.address,
            number=self.report.pk,
            url=self.report.reportLink,
            username=self.user.username,
        )

    def enter(self, plugin, number=None):
        key = secrets.token_hex(20)
        if number is not None:
            models.PluginResult.objects.filter(result=self.report, number=number).update(apikey=key)
            return number, key
        plugin_row = self.plugins.row_of(plugin)
        while True:
            row = models.PluginResult.objects.create(result=self.report, plugin=plugin_row, owner=self.user, apikey=key)
            taken = (self.folder / FOLDER / f"{row.pk}.json").exists()
            if not taken and not any(self.folder.glob(f"plugin_out/*_out.{row.pk}")):
                break
            # A launch without the server has used this number: keys do not come again, the next is another.
            row.delete()
        row.number = row.pk
        row.save(update_fields=("number",))
        return row.number, key

    def changed(self, record):
        try:
            row = models.PluginResult.objects.filter(result=self.report, number=record.id).first()
            if row is not None:
                mirror(row, record)
        except Exception:
            # No reason to end a plugin: `Launcher.catch_up` writes what is missing here.
            _LOG.warning("the state of plugin result %s could not be stored yet", record.id, exc_info=True)
        finally:
            # Threads that run plugins serve no requests, behind which connections are closed.
            if not connection.in_atomic_block:
                connection.close()


class Launcher:
    """The plugins of one server.

    Parameters
    ----------
    options : PluginOptions, optional
    address : str
        By which plugins reach the server.
    """

    def __init__(self, options=None, address=NO_SERVER):
        self.options = options or PluginOptions()
        self.address = address
        self.plugins = InstalledPlugins()
        self._executor = None
        self._launches: list[Launch] = []
        self._lock = threading.Lock()

    @property
    def executor(self):
        """Where jobs run; begun with the first of them."""
        with self._lock:
            if self._executor is None:
                last = models.PluginResultJob.objects.aggregate(last=Max("number"))["last"] or 0
                self._executor = LocalExecutor(self.options.slots, last + 1)
            return self._executor

    def start(self, report, plugin, config, user, *, reuse=None):
        """Start a plugin on a report, at all its levels.

        Parameters
        ----------
        report : ionanalysis.rundb.models.Results
        plugin : ionanalysis.rundb.models.Plugin
        config : dict
            Of this launch.
        user : django.contrib.auth.models.User
        reuse : ionanalysis.rundb.models.PluginResult, optional
            To use again.

        Raises
        ------
        InputError
            If the report has no files, or the plugin is not installed here, or its result is still running.
        """
        folder = report_folder(report)
        if folder is None:
            raise InputError(f"{report.resultsName}: has no files here, so no plugin can run on it.")
        record = self.plugins.record_of(plugin)
        if record is None:
            raise InputError(f"{plugin.name}: is not installed on this server.")
        numbers = {(row.name, row.version): row.pk for row in models.Plugin.objects.filter(active=True)}
        installed = {one.name: replace(one, id=numbers[key]) for key, one in self.plugins.records().items()}
        request = LaunchRequest(
            result_dir=folder,
            plugins=(installed[record.name],),
            installed=tuple(installed.values()),
            instance_configs={record.name: config or {}},
            manual=True,
            username=user.username,
            reuse={} if reuse is None else {record.name: reuse.number},
            options=self.options,
            validate=validate_plugin,
            desk=ReportDesk(report, user, self.address, self.plugins),
        )
        launch = Launch(request, self.executor, note=lambda text: _refresh(folder))
        with self._lock:
            self._launches = [one for one in self._launches if any(r.is_running for r in one.records.values())]
            self._launches.append(launch)
        launch.submit_all()
        for begun in list(launch.records.values()):
            # One without jobs has not been mentioned yet.
            begun.update()
        _refresh(folder)

    def stop(self, row):
        """Stop the jobs of a plugin result.

        Parameters
        ----------
        row : ionanalysis.rundb.models.PluginResult

        Raises
        ------
        InputError
            If another process runs them.
        """
        with self._lock:
            launches = list(self._launches)
        for launch in launches:
            record = launch.records.get(row.plugin.name)
            if record is not None and record.id == row.number and str(launch.result_dir) == row.result.folder:
                for key, number in launch.numbers.items():
                    if key.plugin == row.plugin.name:
                        self.executor.cancel(number)
                return
        record = _record_of(row)
        if record is None:
            _close(row, CANCELLED)
        elif record.is_running:
            raise InputError(f"{row.plugin.name}: was started by another process, which alone can stop it.")

    def measure(self, row):
        """Count the space that a plugin result takes."""
        folder = plugin_folder(row)
        if folder is not None:
            row.size, row.inodes = folder_usage(folder)
            row.save(update_fields=("size", "inodes"))

    def remove(self, row):
        """Delete a plugin result with its files.

        Raises
        ------
        InputError
            If it is still running.
        """
        self.stop(row)
        record = _record_of(row)
        if record is not None and record.is_running:
            raise InputError(f"{row.plugin.name}: is still being stopped; try again in a moment.")
        folder = plugin_folder(row)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if record is not None:
            record.path.unlink(missing_ok=True)
        row.delete()

    def catch_up(self):
        """Bring rows of jobs that should be running up to date: their launcher may have gone, or been another's."""
        running = models.PluginResult.objects.filter(plugin_result_jobs__state__in=RUNNING_STATES)
        for row in running.select_related("plugin", "result").distinct():
            record = _record_of(row)
            if record is not None:
                if not record.is_running:
                    _end_strays(record)
                with spoilt_left_out(record):
                    mirror(row, record)
            elif row.number is not None:
                _close(row, ERROR)

    def close(self):
        """Stop all plugins."""
        if self._executor is not None:
            self._executor.cancel_all()
            self._executor.wait()


def _record_of(row):
    """The record of a plugin result in its report's folder, or None."""
    folder = report_folder(row.result)
    if folder is None:
        return None
    records = read_results(folder)
    return next((one for one in records if one.id == row.number and one.name == row.plugin.name), None)


def _end_strays(record):
    """End processes of a plugin whose launcher was killed and could not end them itself."""
    folders = {str(record.folder), *(str(record.path.parents[1] / job.get("folder", "")) for job in record.jobs)}
    for folder in folders:
        kill_strays(f"RESULTS_DIR={folder}")


@transaction.atomic
def _close(row, state):
    """End the jobs of a plugin result of which nothing more will be heard."""
    row.plugin_result_jobs.filter(state__in=RUNNING_STATES).update(state=state, endtime=now(), grid_engine_jobid=-1)
    models.PluginResult.objects.filter(pk=row.pk).update(apikey=None)


_PAGE_LOCK = threading.Lock()


def _refresh(folder):
    """Write the report's page anew; one that cannot be written is no reason to end a job."""
    try:
        with _PAGE_LOCK:
            refresh_report(folder)
    except IonAnalysisError as problem:
        _LOG.warning("%s", problem)


_CURRENT = Launcher()


def launcher():
    """The launcher of this process."""
    return _CURRENT


def set_up(options, address):
    """Tell this process's launcher how plugins run, and where the server listens."""
    _CURRENT.options, _CURRENT.address = options, address
    return _CURRENT
