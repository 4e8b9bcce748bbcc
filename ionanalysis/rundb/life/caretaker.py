"""Looks after rows whose truth is in files that other processes write."""

import logging
import threading
from contextlib import suppress

from django.db import OperationalError, connection

from ionanalysis.errors import IonAnalysisError
from ionanalysis.pipeline.record import RunRecord
from ionanalysis.rundb import models
from ionanalysis.rundb.life.analyses import PENDING
from ionanalysis.rundb.life.folders import report_folder
from ionanalysis.rundb.life.ingest import ingest
from ionanalysis.rundb.life.launcher import launcher
from ionanalysis.rundb.life.result_files import AT_WORK, status_of

_LOG = logging.getLogger("ionanalysis.rundb")


def look_after():
    """Bring plugin jobs and reports that are being made up to date, once."""
    launcher().catch_up()
    for report in models.Results.objects.filter(status__in=(PENDING, *AT_WORK)).exclude(folder=""):
        folder = report_folder(report)
        if folder is None:
            continue
        try:
            record = RunRecord.read(folder)
            if record is not None and status_of(record, folder) != report.status:
                with suppress(IonAnalysisError):
                    ingest(folder)
        except OperationalError:
            raise
        except Exception:
            # A report with odd files does not keep the others from being followed.
            _LOG.warning("%s: could not be brought up to date", folder, exc_info=True)


class Caretaker(threading.Thread):
    """Does so every few seconds, until it is stopped.

    Parameters
    ----------
    every_s : float
    """

    def __init__(self, every_s=3.0):
        super().__init__(name="caretaker", daemon=True)
        self._every_s = every_s
        self._stopped = threading.Event()

    def run(self):
        while not self._stopped.is_set():
            try:
                look_after()
            except Exception:
                # The next round may succeed: a database that is busy or away comes back.
                _LOG.warning("rows could not be brought up to date", exc_info=True)
            finally:
                connection.close()
            self._stopped.wait(self._every_s)

    def stop(self):
        self._stopped.set()
        self.join()
