"""Launches that go on: plugins run while blocks of a chip are still worked on, or alone on a finished result."""

from contextlib import ExitStack, suppress

from ionanalysis.plugin.cluster import open_runner
from ionanalysis.plugin.jobs import LocalExecutor
from ionanalysis.plugin.launch import Launch
from ionanalysis.plugin.results import next_job_number, read_results
from ionanalysis.plugin.schedule import BLOCK, runs_on


class LiveLaunch:
    """A launch and the executor of its jobs; a context manager. Left by an exception, as Ctrl-C, it stops all plugins.

    Parameters
    ----------
    request : LaunchRequest
    executor : str
        Where plugins run (`ionanalysis.plugin.cluster.open_runner`).
    note : callable, optional
        Gets a sentence when a job has ended.
    """

    def __init__(self, request, *, executor="threads", note=None):
        self._request = request
        self._executor = executor
        self._note = note
        self._open = ExitStack()

    def __enter__(self):
        first = next_job_number(read_results(self._request.result_dir))
        with ExitStack() as opened:
            run = opened.enter_context(open_runner(self._executor))
            self._jobs = opened.enter_context(LocalExecutor(self._request.options.slots, first, run))
            self.launch = Launch(self._request, self._jobs, note=self._note)
            self._open = opened.pop_all()
        return self

    def __exit__(self, *reason):
        return self._open.__exit__(*reason)

    def submit(self, level, block=""):
        """Submit the round of a level that has come; only composite reports have rounds of blocks."""
        if level != BLOCK or self.launch.schedule.report_type == "composite":
            self.launch.submit(level, block)

    def finish(self, *, blocks=None, on_change=None):
        """Submit all rounds that are left, and wait for all jobs.

        Parameters
        ----------
        blocks : sequence of str, optional
            Names of the blocks that have a result; of all block directories by default.
        on_change : callable, optional
            Called when something may have changed that a report shows: jobs are queued or have ended, a plugin has
            written HTML.

        Returns
        -------
        results : list of PluginResult
            In the order in which plugins were first queued; those that failed validation come first.
        """
        on_change, launch = on_change or (lambda: None), self.launch
        launch.submit_all(blocks)
        on_change()
        seen = _pages(launch)

        def look():
            nonlocal seen
            if (now_there := _pages(launch)) != seen:
                seen = now_there
                on_change()

        self._jobs.wait(tick=look)
        on_change()
        for plugin in self._request.plugins:
            if self._note and plugin.name not in launch.records:
                self._note(f"{plugin.name}: has nothing to do here: {_why_not(plugin.info, launch.schedule)}.")
        return list(launch.records.values())


def launch_plugins(request, *, executor="threads", note=None, on_change=None):
    """Launch plugins on a finished result and wait for them; parameters as of `LiveLaunch` and its `finish`."""
    with LiveLaunch(request, executor=executor, note=note) as live:
        return live.finish(on_change=on_change)


def _why_not(info, schedule):
    if not schedule.manual and not runs_on(info, schedule):
        return f"it takes no {schedule.report_type} reports by itself"
    return "it has no job at the levels asked for"


def _pages(launch):
    """States of jobs, and when each page of the running plugins was last written."""
    states = [job["state"] for result in launch.records.values() for job in result.jobs]
    written = []
    for result in launch.records.values():
        for path in sorted(result.folder.glob("*_block.html")):
            with suppress(OSError):
                written.append((str(path), path.stat().st_mtime_ns))
    return states, written
