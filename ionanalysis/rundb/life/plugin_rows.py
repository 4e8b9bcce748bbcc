"""Rows of plugins and of their results: they follow the plugin store, and the records in results' folders."""

import logging
import math
import re
from contextlib import contextmanager, suppress

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DataError, transaction
from django.utils.dateparse import parse_datetime

from ionanalysis.errors import InputError, IonAnalysisError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.plugin.jobs import RUNNING_STATES
from ionanalysis.plugin.process import COMPLETED
from ionanalysis.plugin.records import FILE_NAME
from ionanalysis.plugin.results import FAILED_VALIDATION, UNKNOWN, read_store
from ionanalysis.plugin.store import PluginStore
from ionanalysis.plugin.versions import LooseVersion
from ionanalysis.plugin.watch import folder_usage
from ionanalysis.rundb import models
from ionanalysis.rundb.life.folders import child_folder
from ionanalysis.rundb.models.columns import DEEPEST

_LOG = logging.getLogger("ionanalysis.rundb")
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

    def configure(self, plugin):
        """Give an installed plugin the global configuration that its row has."""
        record = self.record_of(plugin)
        if record is not None and (record.config or {}) != plugin.config:
            self.store.configure(plugin.name, plugin.config)

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
    told = {
        "problems": content["validation_errors"],
        "size": content["n_bytes"],
        "inodes": content["n_files"],
    }
    if content["store"]:
        # A plugin may have sent its store itself.
        told["store"] = finite(content["store"])
    if (record.jobs or content["validation_errors"]) and not record.is_running:
        told["apikey"] = None
    with transaction.atomic():
        models.PluginResult.objects.select_for_update().filter(pk=row.pk).first()
        models.PluginResult.objects.filter(pk=row.pk).update(**told)
        known = {job.number: job for job in models.PluginResultJob.objects.filter(plugin_result=row)}
        for job in record.jobs:
            state = record.job_state(job)
            facts = {
                "state": state,
                "run_level": job["level"],
                "config": finite(content.get("config") or {}),
                "starttime": _moment(job.get("started")),
                "endtime": _moment(job.get("finished")),
                # Numbers of jobs that have ended come again.
                "grid_engine_jobid": job["id"] if state in RUNNING_STATES else -1,
            }
            found = known.get(job["id"])
            if found is None:
                row.plugin_result_jobs.create(number=job["id"], **facts)
            elif any(getattr(found, name) != value for name, value in facts.items()):
                row.plugin_result_jobs.filter(pk=found.pk).update(**facts)


def state_of(row):
    """The state of a plugin result: of its validation, else of the job that started last (plugin.md 3.5)."""
    if row.problems:
        return FAILED_VALIDATION
    jobs = list(row.plugin_result_jobs.all())
    if not jobs:
        return UNKNOWN
    begun = [job for job in jobs if job.starttime is not None]
    last = max(begun, key=lambda job: (job.starttime, job.pk)) if begun else max(jobs, key=lambda job: job.pk)
    return last.state


def is_running(row):
    """Whether a job of a plugin result has not ended."""
    return any(job.state in RUNNING_STATES for job in row.plugin_result_jobs.all())


def settled(row):
    """The row, read again if its jobs ended between reading it and reading them: its key goes when they end."""
    if row.apikey and not is_running(row):
        row.refresh_from_db(fields=("store", "problems", "size", "inodes", "apikey"))
    return row


def newest_by_name(report):
    """The newest plugin result of a report by the plugin's name."""
    rows = (
        models.PluginResult.objects.filter(result=report)
        .select_related("plugin")
        .prefetch_related("plugin_result_jobs")
        .order_by("pk")
    )
    return {row.plugin.name: settled(row) for row in rows}


def take_in(report, records, owner):
    """Make or renew the rows of all plugin results of a report.

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results
    records : list of ionanalysis.plugin.results.PluginResult
    owner : django.contrib.auth.models.User
        Of those whose record names no user that is known.
    """
    known = {row.number: row for row in models.PluginResult.objects.filter(result=report)}
    for record in records:
        with spoilt_left_out(record):
            mirror(known.get(record.id) or _new_row(report, record, owner), record)


@contextmanager
def spoilt_left_out(record):
    """Store what a record says, or nothing: plugins can reach the file, and a spoilt one must not keep others out."""
    try:
        with transaction.atomic():
            yield
    except (LookupError, ValueError, TypeError, OverflowError, RecursionError, ValidationError, DataError) as problem:
        _LOG.warning("%s: is not taken in: %s", record.path, problem)


def _new_row(report, record, owner):
    named = User.objects.filter(username=str(record.content.get("username") or "")).first()
    return models.PluginResult.objects.create(
        result=report, plugin=_plugin_of(record), owner=named or owner, number=record.id
    )


def adopt(report, folder, owner):
    """Make rows for the folders of plugin results that neither a row nor a record stands for, as other programs
    leave them.

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results
    folder : Path
        Of the report.
    owner : django.contrib.auth.models.User
    """
    known = {row.number for row in models.PluginResult.objects.filter(result=report)}
    for place in sorted(folder.glob("plugin_out/*_out.*")):
        named = re.fullmatch(r"(\w+)_out\.(\d{1,9})", place.name, re.ASCII)
        if named is None or int(named[2]) in known or child_folder(place.parent, place.name) is None:
            continue
        store, _ = read_store(place)
        size, inodes = folder_usage(place)
        row = models.PluginResult.objects.create(
            result=report,
            plugin=_plugin_row(named[1], _version_in(place, named[1])),
            owner=owner,
            number=int(named[2]),
            store=finite(store),
            size=size,
            inodes=inodes,
        )
        row.plugin_result_jobs.create(run_level="default", state=COMPLETED if store else UNKNOWN, grid_engine_jobid=-1)


def _version_in(place, name):
    """The version that made a plugin's folder, as its `startplugin.json` says; else the newest that is known."""
    try:
        told = read_json(place / "startplugin.json")["runinfo"]["plugin"]["version"]
    except (InputError, LookupError, TypeError):
        known = models.Plugin.objects.filter(name=name).values_list("version", flat=True)
        return max(known, key=LooseVersion, default="0")
    return str(told)


def _plugin_of(record):
    return _plugin_row(record.name, record.content["version"], is_major=bool(record.content.get("major_block")))


def _plugin_row(name, version, *, is_major=False):
    """A plugin's row; of one that is not installed any more, an inactive one is made."""
    row, _ = models.Plugin.objects.get_or_create(
        name=name,
        version=version,
        defaults={
            "active": False,
            "majorBlock": is_major,
            "config": {},
            "pluginsettings": {},
            "userinputfields": {},
            "status": {},
        },
    )
    return row


def finite(value, levels=DEEPEST):
    """JSON without what plugins write and databases refuse: numbers that are none become their names, and what lies
    deeper than `levels` a remark."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    if levels == 0 and isinstance(value, dict | list):
        return "left out: nested too deeply"
    if isinstance(value, dict):
        return {key: finite(item, levels - 1) for key, item in value.items()}
    return [finite(item, levels - 1) for item in value] if isinstance(value, list) else value


def _moment(text):
    return parse_datetime(text) if text else None
