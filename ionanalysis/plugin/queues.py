"""Submits launch scripts to Slurm or Grid Engine: they hold their own directives (`ionanalysis.plugin.script`)."""

import shutil
import subprocess
import time
from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.plugin.log import LOG_NAME, rotate
from ionanalysis.plugin.process import CANCELLED, COMPLETED, ERROR, TIMED_OUT, ProcessEnd
from ionanalysis.plugin.questions import one_line
from ionanalysis.plugin.script import IN_ENVIRONMENT, TIMED_OUT_LINE

_POLL_S = 0.5
_TAIL = 4096


@dataclass(frozen=True)
class Queue:
    """Programs of a queue. The first prints the job's number at once, and leaves with the job's exit code."""

    submit: tuple[str, ...]
    cancel: str


QUEUES = {
    "slurm": Queue(("sbatch", "--wait", "--parsable", "--export=ALL"), "scancel"),
    "sge": Queue(("qsub", "-sync", "y", "-terse", "-V", "-j", "y", "-o", LOG_NAME), "qdel"),
}


class QueueRunner:
    """Called as `run_limited`, from several threads; the queue runs the script and enforces memory and time.

    Limits of the log and of the folder are not enforced there.

    Raises
    ------
    UsageError
        If the queue's programs are not installed here.
    """

    def __init__(self, kind):
        self.queue = QUEUES[kind]
        for program in (self.queue.submit[0], self.queue.cancel):
            if shutil.which(program) is None:
                raise UsageError(f"executor {kind}: {program} is not here; run on a host that submits jobs.")

    def __call__(self, spec, cancelled):
        started = time.monotonic()
        rotate(spec.log_path)
        # Without this variable the script sets all others itself, with the number that the queue gives the job.
        environment = {name: value for name, value in spec.environment.items() if name != IN_ENVIRONMENT}
        with subprocess.Popen(
            [*self.queue.submit, *spec.command[1:]],
            cwd=spec.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            number = said.partition(";")[0].partition(".")[0]
            is_cancelled = False
            while number.isdigit() and process.poll() is None:
                time.sleep(_POLL_S)
                if cancelled.is_set() and not is_cancelled:
                    is_cancelled = True
                    subprocess.run([self.queue.cancel, number], capture_output=True, check=False)
            rest = process.stdout.read()
        seconds = time.monotonic() - started
        if not number.isdigit():
            return ProcessEnd(
                ERROR, None, f"The queue did not take it: {one_line(f'{said} {rest}'.strip(), 500)}", seconds
            )
        return _end(spec, process.returncode, is_cancelled, seconds)


def _end(spec, code, is_cancelled, seconds):
    if is_cancelled:
        return ProcessEnd(CANCELLED, code, "It was cancelled.", seconds)
    if _has_timed_out(spec.log_path):
        return ProcessEnd(TIMED_OUT, code, "It has reached its time limit (--plugin-time).", seconds)
    if code:
        return ProcessEnd(ERROR, code, f"It ended with exit code {code}.", seconds)
    return ProcessEnd(COMPLETED, 0, "", seconds)


def _has_timed_out(path):
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL))
            return TIMED_OUT_LINE.encode() in log.read().splitlines()
    except OSError:
        return False
