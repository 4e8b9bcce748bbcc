"""Launches plugins on a result: schedule, inputs, processes, records."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ionanalysis.errors import InputError, IonAnalysisError, UsageError
from ionanalysis.io.jsonfile import write_json
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.barcodes import barcodes_json
from ionanalysis.plugin.cluster import open_runner
from ionanalysis.plugin.commands import OUTCOME_FILE
from ionanalysis.plugin.desk import Desk, NoDesk
from ionanalysis.plugin.environment import plugin_environment
from ionanalysis.plugin.folders import file_config, make_folder, outcome_in, write_script
from ionanalysis.plugin.homes import reference_library
from ionanalysis.plugin.inputs import barcode_sources, raw_block_dir, report_facts
from ionanalysis.plugin.ion_params import report_type
from ionanalysis.plugin.jobs import STARTED, JobExecutor, LocalExecutor, PluginJob
from ionanalysis.plugin.log import LOG_NAME
from ionanalysis.plugin.process import COMPLETED, ProcessSpec
from ionanalysis.plugin.records import PluginRecord
from ionanalysis.plugin.results import (
    PluginResult,
    earlier_results,
    next_job_number,
    now,
    read_results,
    read_store,
    this_process,
)
from ionanalysis.plugin.schedule import (
    BLOCK,
    LEVELS,
    JobKey,
    ScheduleRequest,
    levels_of,
    rounds,
    runs_on,
    schedule_round,
)
from ionanalysis.plugin.script import IN_ENVIRONMENT, launch_script, memory_bytes, script_name
from ionanalysis.plugin.startplugin import PluginLaunch, plugin_results_dir, startplugin_json
from ionanalysis.plugin.watch import folder_usage

DECLINED = "Declined"
"""State in our records of a job whose plugin said in `pre_launch` that it does not want to run."""


@dataclass(frozen=True, kw_only=True)
class LaunchRequest:
    """Which plugins are to run on which result, and how."""

    result_dir: Path
    plugins: tuple[PluginRecord, ...]
    """Those to run, in the order of the call."""
    installed: tuple[PluginRecord, ...] = ()
    """All that are installed."""
    instance_configs: Mapping[str, dict] = field(default_factory=dict)
    """What a manual launch says of each plugin."""
    plan_configs: Mapping[str, dict] = field(default_factory=dict)
    """What a run says of each plugin; else what its parameters say."""
    manual: bool = False
    levels: tuple[str, ...] = LEVELS
    reuse: Mapping[str, int] = field(default_factory=dict)
    """Plugin results (directories) to use again, by plugin."""
    username: str = ""
    options: PluginOptions = field(default_factory=PluginOptions)
    validate: Callable[[PluginRecord, dict, str], list[str]] | None = None
    """Asks a plugin what it thinks of a configuration."""
    desk: Desk = field(default_factory=NoDesk)
    """The server that keeps what becomes of it, if one does."""


class Launch:
    """One launch of plugins on a result.

    Parameters
    ----------
    request : LaunchRequest
    executor : JobExecutor
    note : callable, optional
        Gets a sentence when a job has ended, from the thread that ran it.

    Raises
    ------
    InputError
        If the result lacks `ion_params_00.json`.
    """

    def __init__(self, request: LaunchRequest, executor: JobExecutor, *, note: Callable[[str], None] | None = None):
        self.request = request
        self.note = note or (lambda text: None)
        self.executor = executor
        self.result_dir = Path(request.result_dir).resolve()
        self.report = request.desk.facts(report_facts(self.result_dir))
        self.mode = "manual" if request.manual else "pipeline"
        self.records: dict[str, PluginResult] = {}
        """Plugin results of this launch by plugin."""
        self.numbers: dict[JobKey, int] = {}
        self._earlier = {record.name: record for record in earlier_results(read_results(self.result_dir)).values()}
        self._api_keys: dict[str, str] = {}
        self._jobs: tuple = ()
        self._lock = threading.Lock()
        self._plugins = {plugin.name: plugin for plugin in (*request.installed, *request.plugins)}
        self.schedule = ScheduleRequest(
            plugins=tuple(plugin.info for plugin in request.plugins if self._is_accepted(plugin)),
            installed={name: plugin.info for name, plugin in self._plugins.items()},
            earlier=frozenset(self._earlier),
            manual=request.manual,
            report_type=report_type(self.report.params),
            blocks=tuple(Path(folder).name.removeprefix("block_") for folder in self.report.block_dirs),
            separator=(self.result_dir / "sigproc_results" / "separator.mask.bin").exists(),
            levels=request.levels,
        )

    def submit_all(self):
        """Submit all rounds, in order."""
        for level, block in rounds(self.schedule):
            self.submit(level, block)

    def submit(self, level, block=""):
        """Submit one round."""
        added = schedule_round(self.schedule, self._jobs, level, block)
        self._jobs += added
        for job in added:
            self._submit_job(job)

    def _is_accepted(self, plugin):
        """Whether a plugin's configuration may be launched; if not, that is recorded."""
        config = self._describe(plugin, LEVELS[0], "").config
        issues = []
        if plugin.info.requires_configuration and not config:
            issues.append(f"{plugin.name} needs a configuration before it can run.")
        elif self.request.validate:
            try:
                issues = list(self.request.validate(plugin, config, self.mode))
            except IonAnalysisError as error:
                issues = [str(error)]
        if issues:
            self._record(plugin).update(validation_errors=issues)
            self.note(f"{plugin.name}: is not launched. {' '.join(issues)}")
        return not issues

    def _submit_job(self, job):
        plugin = self._plugins[job.key.plugin]
        record = self._record(plugin)
        waited_for = [self._earlier[name] for name in job.earlier]
        holds = [self.numbers[held] for held in job.holds]
        ready = threading.Event()

        def ended(number, end):
            ready.wait()
            self._ended(job.key, number, end)

        def prepare(number):
            # The job's line must be in its record before anything is said about it.
            ready.wait()
            return self._prepare(job, number, holds)

        number = self.executor.submit(
            PluginJob(
                prepare=prepare,
                started=lambda number: record.update_job(number, state=STARTED, started=now()),
                ended=ended,
                is_free=lambda: not any(_is_running(earlier) for earlier in waited_for),
            ),
            holds,
        )
        self.numbers[job.key] = number
        try:
            record.add_job(id=number, level=job.key.level, block=job.key.block, holds=holds)
        finally:
            ready.set()

    def _record(self, plugin):
        """The record of a plugin's result in this launch, begun when first asked for."""
        with self._lock:
            if plugin.name not in self.records:
                self.records[plugin.name] = self._opened(plugin)
            return self.records[plugin.name]

    def _opened(self, plugin):
        """A new record, or that of an earlier launch."""
        number = self.request.reuse.get(plugin.name)
        former = None if number is None else self._former(plugin, number)
        number, self._api_keys[plugin.name] = self.request.desk.enter(plugin, number)
        config = self._describe(plugin, LEVELS[0], "").config
        if former is None:
            record = PluginResult.begin(
                self.result_dir,
                number=number,
                name=plugin.name,
                version=plugin.version,
                major_block=plugin.info.major_block,
                mode=self.mode,
                username=self.request.username,
                config=config,
            )
        else:
            record = former
            record.update(validation_errors=[], config=config, launcher=this_process())
        record.on_change = self.request.desk.changed
        return record

    def _former(self, plugin, number):
        """The record of an earlier launch that is to be used again."""
        found = next((one for one in read_results(self.result_dir) if one.id == number), None)
        if found is None or found.name != plugin.name:
            raise UsageError(f"plugin result {number} of {plugin.name} is not in {self.result_dir}; start a new one.")
        if found.is_running:
            raise UsageError(f"plugin result {number} of {plugin.name} is still running; wait or cancel it.")
        return found

    def _describe(self, plugin, level, block, number=None, holds=()):
        """The `PluginLaunch` of one job."""
        name, info = plugin.name, plugin.info
        seed = (self.report.params.get("plugins") or {}).get(name)
        seed = seed if isinstance(seed, dict) else {}
        own = [key for key in self.numbers if key.plugin == name and self.numbers[key] != number]
        before = [self.numbers[key] for key in own if key.level != BLOCK and _rank(key.level) < _rank(level)]
        return PluginLaunch(
            name=name,
            version=plugin.version,
            path=str(info.path),
            id=plugin.id,
            features=info.features,
            runtypes=info.runtypes,
            runlevels=levels_of(info),
            depends=info.depends,
            level=level,
            block=block,
            mode=self.mode,
            result_id=self.records[name].id if name in self.records else 0,
            global_config=plugin.config or {},
            plan_input=self.request.plan_configs.get(name) or seed.get("userInput") or "",
            instance_config=self.request.instance_configs.get(name) or {},
            file_config=file_config(info.path),
            planning_version=str(seed.get("version") or ""),
            hold_jobs=tuple(holds),
            dependencies=self._dependencies(plugin),
            former_job=before[-1] if before else None,
            block_jobs=tuple(self.numbers[key] for key in own if key.level == BLOCK and level != BLOCK),
            config_order=self.request.options.config_order,
        )

    def _dependencies(self, plugin):
        """Results of what a plugin depends on: of this launch, else of an earlier one."""
        found = {}
        for name in plugin.info.depends:
            record = self.records.get(name) or self._earlier.get(name)
            if record is None or not record.jobs:
                continue
            found[name] = {
                "pluginresult": record.id,
                "version": record.content["version"],
                "pluginresult_path": str(record.folder),
            }
            if name not in self.records:
                found[name]["jid"] = record.jobs[-1]["id"]
        return found

    def _prepare(self, job, number, holds):
        """Write the inputs of a job and say what to run."""
        plugin = self._plugins[job.key.plugin]
        record = self.records[plugin.name]
        launch = self._describe(plugin, job.key.level, job.key.block, number, holds)
        home, folder = (Path(place) for place in plugin_results_dir(str(self.result_dir), launch))
        for place in (home, folder):
            make_folder(place)
        report = replace(
            self.report,
            api_key=self._api_keys[plugin.name],
            raw_block_dir=raw_block_dir(self.report.params.get("pathToData", ""), job.key.block),
        )
        content = startplugin_json(report, launch)
        content["runinfo"]["username"] = self.request.username or content["runinfo"]["username"]
        write_json(folder / "startplugin.json", content)
        note = self._write_barcodes(folder, report.params)
        memory = memory_bytes(launch.config.get("memory", "")) if isinstance(launch.config, dict) else None
        memory = memory or int(self.request.options.memory * 2**30)
        script = folder / script_name(plugin.name)
        write_script(
            script,
            launch_script(plugin.info, tier=plugin.tier, memory=memory, seconds=self.request.options.time_limit * 3600),
        )
        environment = plugin_environment(
            content, folder / "startplugin.json", tier=plugin.tier, job_id=number, reference_library=reference_library()
        )
        record.update_job(number, folder=str(folder.relative_to(self.result_dir)), notes=[note] if note else [])
        return self._spec(script, folder, environment, memory, _outcome_path(record, number))

    def _spec(self, script, folder, environment, memory, outcome_path):
        options = self.request.options
        outcome_path.unlink(missing_ok=True)
        return ProcessSpec(
            command=("bash", str(script), "-j", str(folder / "startplugin.json")),
            folder=folder,
            log_path=folder / LOG_NAME,
            environment={
                **environment,
                IN_ENVIRONMENT: "1",
                OUTCOME_FILE: str(outcome_path),
            },
            memory=memory,
            seconds=options.time_limit * 3600,
            log_bytes=int(options.log_limit * 2**20),
            folder_bytes=int(options.folder_limit * 2**30),
            n_files=options.file_limit,
            grace_s=options.grace,
        )

    def _write_barcodes(self, folder, params):
        """Write `barcodes.json`; returns what went wrong. A plugin starts without it, as in the original."""
        try:
            sources = barcode_sources(
                self.result_dir,
                params,
                include_filtered=self.request.options.include_filtered,
                reference_library=reference_library(),
            )
            write_json(folder / "barcodes.json", barcodes_json(sources))
        except InputError as error:
            return f"barcodes.json could not be made: {error}"
        return ""

    def _ended(self, key, number, end):
        record = self.records[key.plugin]
        outcome_path = _outcome_path(record, number)
        state, notes = end.state, []
        outcome = outcome_in(outcome_path)
        if state == COMPLETED and outcome == "declined":
            state = DECLINED
        elif outcome in ("false", "none"):
            notes.append(f"launch() returned {outcome.capitalize()}: results and output were not written.")
        outcome_path.unlink(missing_ok=True)
        store, problem = read_store(record.folder)
        n_bytes, n_files = folder_usage(record.folder)
        former: list[str] = next((job.get("notes", []) for job in record.jobs if job["id"] == number), [])
        # Whoever sees that it has ended sees what it left, too.
        record.update(store=store, n_bytes=n_bytes, n_files=n_files)
        record.update_job(
            number,
            state=state,
            finished=now(),
            exit_code=end.exit_code,
            reason=end.reason,
            seconds=round(end.seconds, 3),
            notes=[*former, *notes, *filter(None, [problem])],
        )
        where = f"{key.plugin} ({key.level}{' ' if key.block else ''}{key.block})"
        self.note(" ".join(filter(None, [f"{where}: {state}, {end.seconds:.1f} s.", end.reason, *notes])))


def launch_plugins(request, *, executor="threads", note=None, on_change=None):
    """Launch plugins and wait for them.

    Parameters
    ----------
    request : LaunchRequest
    executor : str
        Where they run (`ionanalysis.plugin.cluster.open_runner`).
    note : callable, optional
        Gets a sentence when a job has ended.
    on_change : callable, optional
        Called when something may have changed that a report shows: jobs are queued or have ended, a plugin has
        written HTML.

    Returns
    -------
    results : list of PluginResult
        In the order in which plugins were first queued; those that failed validation come first.
    """
    first = next_job_number(read_results(request.result_dir))
    on_change = on_change or (lambda: None)
    # Leaving by an exception, as Ctrl-C, stops all plugins.
    with open_runner(executor) as run, LocalExecutor(request.options.slots, first, run) as jobs:
        launch = Launch(request, jobs, note=note)
        launch.submit_all()
        on_change()
        seen = _pages(launch)

        def look():
            nonlocal seen
            if (now_there := _pages(launch)) != seen:
                seen = now_there
                on_change()

        jobs.wait(tick=look)
    on_change()
    for plugin in request.plugins:
        if note and plugin.name not in launch.records:
            note(f"{plugin.name}: has nothing to do here: {_why_not(plugin.info, launch.schedule)}.")
    return list(launch.records.values())


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


def _outcome_path(record, number):
    """What `PluginCLI` says of a job lies beside the job's record, out of reach of a plugin that tidies up."""
    return record.path.with_name(f"{record.id}.job{number}.outcome")


def _is_running(record):
    """Whether an earlier plugin result is still being made, perhaps by another process."""
    fresh = next((one for one in read_results(record.path.parents[1]) if one.id == record.id), None)
    return fresh is not None and fresh.is_running


def _rank(level):
    return LEVELS.index(level)
