"""Plugin results: what is known of each time that plugins ran on a report, a file each in `plugin_jobs/`.

They lie outside the plugins' own folders, which plugins empty as they please (plugin.md 9.30).
"""

import os
import platform
import threading
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis.errors import InputError, OutputError
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.plugin.inputs import next_result_id
from ionanalysis.plugin.jobs import RUNNING_STATES
from ionanalysis.plugin.process import COMPLETED, ERROR
from ionanalysis.plugin.watch import is_alive, start_ticks

FOLDER = "plugin_jobs"
FAILED_VALIDATION = "Failed Validation"
UNKNOWN = "Unknown"
STORE_LIMIT = 16 << 20
"""Bytes of a `results.json` that is taken over."""


class PluginResult:
    """One run of a plugin with all its levels, and its jobs; the record on disk is kept up to date.

    Safe to use from several threads.

    Parameters
    ----------
    path : Path
    content : dict
    """

    def __init__(self, path, content):
        self.path = Path(path)
        self.content = content
        self.on_change = None
        """Called with this object whenever the record has been written."""
        self._lock = threading.RLock()

    @classmethod
    def begin(cls, result_dir, *, number=None, **facts):
        """A new one, under a number that is free, else under the next free one of the result directory."""
        folder = Path(result_dir) / FOLDER
        try:
            folder.mkdir(exist_ok=True)
            while True:
                number = number or next_result_id(result_dir)
                path = folder / f"{number}.json"
                try:
                    # The file reserves the number, also where two launches go on at once.
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                    break
                except FileExistsError:
                    number = None
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be written ({error.strerror}); check that the result is yours."
            ) from error
        content = {
            "format": 1,
            "id": number,
            **facts,
            "created": now(),
            "launcher": this_process(),
            "validation_errors": [],
            "jobs": [],
            "store": {},
            "n_bytes": 0,
            "n_files": 0,
        }
        record = cls(path, content)
        record.save()
        return record

    @property
    def id(self):
        return self.content["id"]

    @property
    def name(self):
        return self.content["name"]

    @property
    def folder(self):
        """The plugin result's directory."""
        return self.path.parents[1] / "plugin_out" / f"{self.name}_out.{self.id}"

    @property
    def jobs(self):
        return self.content["jobs"]

    @property
    def state(self):
        """State of the result: of its validation, else of the job that started last (plugin.md 3.5)."""
        if self.content["validation_errors"]:
            return FAILED_VALIDATION
        if not self.jobs:
            return UNKNOWN
        begun = [job for job in self.jobs if job.get("started")]
        last = max(begun, key=lambda job: (job["started"], job["id"])) if begun else self.jobs[-1]
        return self.job_state(last)

    @property
    def is_running(self):
        return any(self.job_state(job) in RUNNING_STATES for job in self.jobs)

    def job_state(self, job):
        """State of a job; one whose launcher has gone cannot be running any more."""
        return ERROR if job["state"] in RUNNING_STATES and not self._launcher_lives() else job["state"]

    def _launcher_lives(self):
        launcher = self.content.get("launcher", {})
        if launcher.get("host") != platform.node():
            # Not to be known from here.
            return True
        return is_alive(launcher.get("pid", -1), launcher.get("start"))

    def add_job(self, **facts):
        """Note a job that has been queued."""
        with self._lock:
            self.jobs.append({"state": "Queued", "queued": now(), "started": None, "finished": None, **facts})
            self.save()

    def update_job(self, number, **facts):
        """Note something about the job of a number."""
        with self._lock:
            next(job for job in self.jobs if job["id"] == number).update(facts)
            self.save()

    def update(self, **facts):
        with self._lock:
            self.content.update(facts)
            self.save()

    def save(self):
        write_json(self.path, self.content)
        if self.on_change:
            self.on_change(self)


def this_process():
    """What tells this process from all others, as the launcher of jobs."""
    return {"host": platform.node(), "pid": os.getpid(), "start": start_ticks(os.getpid())}


def read_results(result_dir):
    """All plugin results of a result directory by number; broken records are left out."""
    found = []
    for path in Path(result_dir, FOLDER).glob("*.json"):
        try:
            content = read_json(path)
        except InputError:
            continue
        if _is_record(content, path):
            found.append(PluginResult(path, content))
    return sorted(found, key=lambda record: record.id)


def _is_record(content, path):
    """Whether this is what we write: plugins can reach the file, and its name leads to a folder."""
    if not isinstance(content, dict) or content.get("format") != 1 or f"{content.get('id')}.json" != path.name:
        return False
    kinds = {"name": str, "version": str, "jobs": list, "validation_errors": list, "store": dict, "launcher": dict}
    numbers = {"id": int, "n_bytes": int, "n_files": int}
    if not all(isinstance(content.get(key), kind) for key, kind in (kinds | numbers).items()):
        return False
    job_kinds = {"id": int, "state": str, "level": str, "block": str}
    return content["name"].isidentifier() and all(
        isinstance(job, dict) and all(isinstance(job.get(key), kind) for key, kind in job_kinds.items())
        for job in content["jobs"]
    )


def earlier_results(records):
    """The newest result of each plugin that is done, running or queued (plugin.md 3.2)."""
    usable = (COMPLETED, *RUNNING_STATES)
    return {record.name: record for record in records if record.state in usable}


def next_job_number(records):
    """1 + the highest number of a job."""
    return 1 + max((job["id"] for record in records for job in record.jobs), default=0)


def read_store(folder):
    """The object in a plugin's `results.json`, and what is wrong with it, if anything."""
    path = Path(folder) / "results.json"
    try:
        if not path.stat().st_size:
            return {}, ""
        if path.stat().st_size > STORE_LIMIT:
            return {}, f"results.json is larger than {STORE_LIMIT >> 20} MiB and is not taken over."
        content = read_json(path)
    except FileNotFoundError:
        return {}, ""
    except (InputError, OSError, RecursionError) as error:
        return {}, f"results.json is not taken over: {error}"
    return (content, "") if isinstance(content, dict) else ({}, "results.json holds no object and is not taken over.")


def now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
