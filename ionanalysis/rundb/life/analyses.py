"""Analyses that are started over the API: `ionanalysis run` in processes of its own, one after the other."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from django.db import connection

from ionanalysis.errors import InputError, IonAnalysisError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.rundb import models
from ionanalysis.rundb.life.folders import report_folder
from ionanalysis.rundb.life.ingest import ingest, link_of
from ionanalysis.rundb.life.result_files import TERMINATED

_LOG = logging.getLogger("ionanalysis.rundb")
PENDING = "Pending"
FAILED = "Error"
LOG_NAME = "analysis.log"
_LONGEST_LOG = 1 << 16
_GRACE_S = 30.0


class Analyses:
    """The analyses of one server.

    Parameters
    ----------
    root : Path, optional
        Folder that they write to; without one none is started.
    """

    def __init__(self, root=None):
        self.root = Path(root).resolve() if root else None
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._processes: dict[int, subprocess.Popen] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._stopped: set[int] = set()

    def start(self, former):
        """Call bases anew from the wells of a report.

        Parameters
        ----------
        former : ionanalysis.rundb.models.Results

        Returns
        -------
        ionanalysis.rundb.models.Results
            The report that is being made.

        Raises
        ------
        InputError
            If there are no wells, or no place for results.
        """
        source = report_folder(former)
        if source is None or not (source / "sigproc_results" / "1.wells").is_file():
            raise InputError(f"{former.resultsName}: has no wells here from which an analysis could start.")
        if self.root is None:
            raise InputError("This server has no folder for new results; start it with --results.")
        folder = _new_folder(self.root, former.resultsName)
        report = models.Results.objects.create(
            folder=str(folder),
            experiment=former.experiment,
            parentResult=former,
            resultsName=folder.name,
            reportstorage=former.reportstorage,
            reference=former.reference,
            analysisVersion="",
            status=PENDING,
            timeToComplete="0",
            framesProcessed=0,
            processedCycles=0,
            processedflows=0,
        )
        report.reportLink = link_of(report)
        report.save(update_fields=("reportLink",))
        command = _command(source, folder)
        thread = threading.Thread(target=self._work, args=(report.pk, folder, command), daemon=True)
        with self._lock:
            self._threads[report.pk] = thread
        thread.start()
        return report

    def stop(self, number):
        """Stop the analysis of a report; whether there was one."""
        with self._lock:
            if number not in self._threads:
                return False
            self._stopped.add(number)
            process = self._processes.get(number)
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        return True

    def close(self):
        """Stop all."""
        with self._lock:
            threads = dict(self._threads)
        for number in threads:
            self.stop(number)
        for thread in threads.values():
            thread.join(_GRACE_S)

    def _work(self, number, folder, command):
        try:
            with self._turn:
                self._run(number, folder, command)
            self._note_end(number, folder)
        except Exception:
            _LOG.error("the analysis in %s failed", folder, exc_info=True)
        finally:
            with self._lock:
                self._threads.pop(number, None)
                self._processes.pop(number, None)
                self._stopped.discard(number)
            connection.close()

    def _run(self, number, folder, command):
        with (folder / LOG_NAME).open("wb") as log:
            with self._lock:
                if number in self._stopped:
                    return
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
                self._processes[number] = process
            connection.close()
            process.wait()

    def _note_end(self, number, folder):
        """The report as the files tell it; one that has none was stopped, or refused."""
        with self._lock:
            was_stopped = number in self._stopped
        try:
            ingest(folder)
        except IonAnalysisError:
            status = TERMINATED if was_stopped else FAILED
            models.Results.objects.filter(pk=number).update(status=status)


def _new_folder(root, former_name):
    """A folder that did not exist, named after the report that the wells come from."""
    stem = re.sub(r"[^\w.+-]", "_", re.sub(r"_re\d+$", "", former_name)).lstrip(".") or "report"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = root / f"{stem}_re{number}"
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error.strerror}); choose another --results.") from error
    raise InputError(f"{root}: holds too many results of {stem}; move some away.")


def _command(source, folder):
    """The call that makes a new result of the wells of a former one, with the same reference and barcodes."""
    command = [sys.executable, "-m", "ionanalysis.cli.main", "run", str(source), "-o", str(folder)]
    command += ["--from", "basecaller"]
    fasta = _reference_file(source)
    return command + (["--reference", str(fasta)] if fasta else [])


def _reference_file(folder):
    """The FASTA file that a result was aligned to, if it is still there."""
    try:
        told = read_json(folder / "alignment.json")
    except InputError:
        return None
    path = Path(str(told.get("reference") or "")) if isinstance(told, dict) else Path()
    return path if path.is_file() else None


def log_of(report):
    """The end of what the analysis of a report has said."""
    folder = report_folder(report)
    try:
        with (folder / LOG_NAME).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LONGEST_LOG))
            return log.read().decode("utf-8", "replace")
    except (OSError, TypeError):
        return ""


def abandon():
    """Note that analyses that a former server had not begun will not begin."""
    for report in models.Results.objects.filter(status=PENDING).exclude(folder=""):
        if not (Path(report.folder) / "run.json").is_file():
            models.Results.objects.filter(pk=report.pk).update(status=TERMINATED)


_CURRENT = Analyses()


def analyses():
    """The analyses of this process."""
    return _CURRENT


def set_up(root):
    """Tell where this process's analyses write to."""
    _CURRENT.root = Path(root).resolve() if root else None
    return _CURRENT
