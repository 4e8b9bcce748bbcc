"""Rows of plugins and of their results: they follow the plugin store, and the records in results' folders."""

from contextlib import suppress

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.dateparse import parse_datetime

from ionanalysis.errors import IonAnalysisError
from ionanalysis.plugin.jobs import RUNNING_STATES
from ionanalysis.plugin.records import FILE_NAME
from ionanalysis.plugin.store import PluginStore
from ionanalysis.rundb import models

_LISTS = ("features", "runtypes", "runlevels", "depends")


class InstalledPlugins:
    """The plugins of a store, and their rows; looked at again when the store's list has changed.

    Parameters
    ----------
    store : PluginStore, optional
    """

    def __init__(self, store=None):
        self.store = store or PluginStore()
        self._seen = None
        self._records = {}

    def records(self):
        """Records of the store's installed plugins by name and version; their rows are up to date then."""
        seen = self._signature()
        if seen != self._seen:
            with suppress(IonAnalysisError):
                records = self.store.records()
                self._write(records)
                self._records = {(one.name, one.version): one for one in records if one.active}
                self._seen = seen
        return self._records

    def record_of(self, plugin):
        """The record of a row's plugin; None if the store has no such version."""
        return self.records().get((plugin.name, plugin.version))

    def row_of(self, record):
        """The row of a record."""
        self.records()
        return models.Plugin.objects.get(name=record.name, version=record.version)

    def _signature(self):
        try:
            told = (self.store.root / FILE_NAME).stat()
        except OSError:
            return None
        return told.st_mtime_ns, told.st_size, told.st_ino

    @transaction.atomic
    def _write(self, records):
        """Rows that no record has stay as they are: requests may have made them."""
        for record in records:
            info = record.info
            told = {
                "active": record.active,
                "description": info.docs,
                "majorBlock": info.major_block,
                "path": str(info.path) if record.active else "",
                "script": info.script.name,
                "pluginsettings": {name: list(getattr(info, name)) for name in _LISTS},
                "config": record.config or {},
            }
            chosen = {"selected": record.selected, "defaultSelected": record.default_selected, "userinputfields": {}}
            models.Plugin.objects.update_or_create(
                name=record.name, version=record.version, defaults=told, create_defaults=told | chosen | {"status": {}}
            )


def mirror(row, record):
    """Write what a record says into the row of the plugin result and into those of its jobs.

    Parameters
    ----------
    row : ionanalysis.rundb.models.PluginResult
    record : ionanalysis.plugin.results.PluginResult
    """
    content = record.content
    running = record.is_running
    row.store, row.problems = content["store"], content["validation_errors"]
    row.size, row.inodes = content["n_bytes"], content["n_files"]
    if not running:
        row.apikey = None
    with transaction.atomic():
        row.save(update_fields=("store", "problems", "size", "inodes", "apikey"))
        known = {job.number: job for job in row.plugin_result_jobs.all()}
        for job in record.jobs:
            state = record.job_state(job)
            told = {
                "state": state,
                "run_level": job["level"],
                "config": content.get("config") or {},
                "starttime": _moment(job.get("started")),
                "endtime": _moment(job.get("finished")),
                # Numbers of jobs that have ended come again.
                "grid_engine_jobid": job["id"] if state in RUNNING_STATES else -1,
            }
            found = known.get(job["id"])
            if found is None:
                row.plugin_result_jobs.create(number=job["id"], **told)
            elif any(getattr(found, name) != value for name, value in told.items()):
                row.plugin_result_jobs.filter(pk=found.pk).update(**told)


def take_in(report, records, owner):
    """Make or renew the rows of all plugin results of a report.

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results
    records : list of ionanalysis.plugin.results.PluginResult
    owner : django.contrib.auth.models.User
        Of those whose record names no user that is known.
    """
    known = {row.number: row for row in report.pluginresult_set.all()}
    for record in records:
        row = known.get(record.id)
        if row is None:
            row = models.PluginResult.objects.create(
                result=report,
                plugin=_plugin_of(record),
                owner=User.objects.filter(username=record.content.get("username") or "").first() or owner,
                number=record.id,
            )
        mirror(row, record)


def _plugin_of(record):
    """The plugin's row; of one that is not installed any more, an inactive one is made."""
    row, _ = models.Plugin.objects.get_or_create(
        name=record.name,
        version=record.content["version"],
        defaults={
            "active": False,
            "majorBlock": bool(record.content.get("major_block")),
            "config": {},
            "pluginsettings": {},
            "userinputfields": {},
            "status": {},
        },
    )
    return row


def _moment(text):
    return parse_datetime(text) if text else None
