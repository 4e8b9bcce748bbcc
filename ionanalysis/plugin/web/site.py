"""What the server knows and does, without HTTP: installed plugins, results, launches, plan configurations."""

import getpass
import threading
from contextlib import suppress
from pathlib import Path

from ionanalysis.errors import InputError, IonAnalysisError
from ionanalysis.io.jsonfile import write_json
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.ask import validate_plugin
from ionanalysis.plugin.homes import home
from ionanalysis.plugin.inputs import report_facts
from ionanalysis.plugin.jobs import LocalExecutor
from ionanalysis.plugin.launch import Launch, LaunchRequest
from ionanalysis.plugin.plan import plan_configs
from ionanalysis.plugin.results import next_job_number, read_results
from ionanalysis.plugin.web.files import NotFoundError
from ionanalysis.plugin.web.frames import page_text
from ionanalysis.plugin.web.table import launch_table

PAGES = ("config", "plan", "about")
"""Pages that need no result."""


class PluginSite:
    """Plugins of a store and the results on which they may be launched.

    Parameters
    ----------
    store : PluginStore
    result_dirs : sequence of Path
        A result's number is its place here, from 1.
    options : PluginOptions
    on_change : callable, optional
        ``on_change(result_dir)`` when plugins have been queued on a result or have ended.
    """

    def __init__(self, store, result_dirs=(), options=None, on_change=None):
        self.store = store
        self.results = {number: Path(path).resolve() for number, path in enumerate(result_dirs, 1)}
        self.options = options or PluginOptions()
        self.on_change = on_change or (lambda result_dir: None)
        for path in self.results.values():
            report_facts(path)
        first = max((next_job_number(read_results(path)) for path in self.results.values()), default=1)
        self.executor = LocalExecutor(self.options.slots, first)
        self._launches: list[Launch] = []
        self._lock = threading.Lock()
        self._change_lock = threading.Lock()

    def close(self):
        """Stop all plugins that are still running."""
        self.executor.cancel_all()
        self.executor.wait()

    # Plugins

    def plugin(self, key):
        """An installed plugin by number or name."""
        for record in self.store.installed():
            if str(key) in (str(record.id), record.name):
                return record
        raise NotFoundError(f"plugin {key}: is not installed.")

    def plugin_object(self, record):
        """A plugin as the REST API shows it, as far as pages need it."""
        info, pages = record.info, record.info.pages
        return {
            "id": record.id,
            "name": record.name,
            "version": record.version,
            "path": str(info.path),
            "script": info.script.name,
            "config": record.config or {},
            "active": record.active,
            "selected": record.selected,
            "defaultSelected": record.default_selected,
            "description": info.docs,
            "majorBlock": info.major_block,
            "requires_configuration": info.requires_configuration,
            "pluginsettings": {
                key: list(getattr(info, key)) for key in ("features", "runtypes", "runlevels", "depends")
            },
            "isConfig": "config" in pages,
            "isPlanConfig": "plan" in pages,
            "isInstance": "report" in pages,
            "hasAbout": "about" in pages,
            "input": f"/configure/plugins/plugin/{record.id}/configure/report/" if "report" in pages else False,
            "resource_uri": f"/rundb/api/v1/plugin/{record.id}/",
        }

    def page_text(self, record, action):
        """HTML of a plugin's page; None if it has none."""
        return page_text(record.info.path, action)

    def configure(self, record, config):
        """Set a plugin's global configuration."""
        if not isinstance(config, dict):
            raise InputError(f"{record.name}: a configuration must be an object.")
        return self.store.configure(record.name, config)

    # Plan configurations: kept in one file that a run can be given.

    @property
    def plan_path(self):
        return home() / "plan.json"

    def plan_config(self, record):
        """What was saved for a plugin's automatic launches; None if nothing."""
        with suppress(InputError):
            return plan_configs(self.plan_path).get(record.name)
        return None

    def save_plan(self, record, config):
        """Save it, and return what the plugin finds wrong with it; then nothing is saved."""
        if not isinstance(config, dict):
            raise InputError(f"{record.name}: a configuration must be an object.")
        issues = validate_plugin(record, config, "pipeline")
        if not issues:
            with self._lock:
                saved = plan_configs(self.plan_path) if self.plan_path.exists() else {}
                self.plan_path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.plan_path, {**saved, record.name: config})
        return issues

    # Results

    def result_dir(self, number):
        try:
            return self.results[int(number)]
        except (KeyError, ValueError):
            raise NotFoundError(f"result {number}: is not among those that are served.") from None

    def result_object(self, number):
        """A result as the REST API shows it, as far as pages need it."""
        path = self.result_dir(number)
        params = report_facts(path).params
        return {
            "id": int(number),
            "resultsName": params.get("resultsName", ""),
            "reference": params.get("referenceName", ""),
            "runid": params.get("runid", ""),
            "experiment": {"expName": params.get("expName", ""), "chipType": params.get("chiptype", "")},
            "filesystempath": str(path),
            "resource_uri": f"/rundb/api/v1/results/{number}/",
        }

    def plugin_results(self, number, address, is_major=None):
        """Plugin results as the REST API lists them (plugin.md 6.5).

        Parameters
        ----------
        number : int
        address : str
            Where the files of the result are served.
        is_major : bool, optional
            Only those that are major blocks, or are not.
        """
        listed = []
        newest: dict[str, int] = {}
        results = read_results(self.result_dir(number))
        for one in results:
            newest[one.name] = one.id
        for one in results:
            pages = sorted([*one.folder.glob("*.html"), *one.folder.glob("*.php")])
            shown = [path for path in pages if path.name.endswith(("_block.html", "_block.php"))]
            major = bool(one.content.get("major_block"))
            if is_major is not None and major != is_major:
                continue
            listed.append(
                {
                    "id": one.id,
                    "Name": one.name,
                    "Version": one.content.get("version", ""),
                    "Path": str(one.folder),
                    "URL": f"{address}/plugin_out/{one.folder.name}/",
                    "Files": [path.name for path in (shown if is_major else pages)],
                    "Links": [path.name for path in pages if path not in shown],
                    "Modified": {path.name: path.stat().st_mtime_ns for path in pages if path.exists()},
                    "Major": major,
                    "Size": one.content.get("n_bytes", 0),
                    "inodes": one.content.get("n_files", 0),
                    "State": one.state,
                    "show": newest[one.name] == one.id,
                    "can_terminate": one.is_running,
                    "plugin_result_jobs": one.jobs,
                    "validation_errors": one.content["validation_errors"],
                }
            )
        return sorted(listed, key=lambda one: (one["Name"].lower(), -one["id"]))

    def barcode_table(self, number, record):
        """Columns and rows of a plugin's barcode table (plugin.md 4.6); both empty if it asks for none."""
        return launch_table(self.result_dir(number), record, self.plan_config(record))

    def launch(self, number, wanted, config, reuse=None):
        """Launch a plugin by hand, at all its levels.

        Parameters
        ----------
        number : int
            Of the result.
        wanted : str, int, list or dict
            Name, list of one name, number, or an object with `id` or `name`.
        config : dict
        reuse : int, optional
            Plugin result to use again.
        """
        if isinstance(wanted, list):
            wanted = wanted[0] if len(wanted) == 1 else ""
        if isinstance(wanted, dict):
            wanted = wanted.get("id", wanted.get("name", ""))
        record = self.plugin(wanted)
        if config and not isinstance(config, dict):
            raise InputError("pluginconfig: must be an object.")
        if reuse is not None and (isinstance(reuse, bool) or not str(reuse).isdecimal()):
            raise InputError("pluginresult: must be the number of a plugin result.")
        path = self.result_dir(number)
        request = LaunchRequest(
            result_dir=path,
            plugins=(record,),
            installed=self.store.installed(),
            instance_configs={record.name: config or {}},
            manual=True,
            username=getpass.getuser(),
            reuse={} if reuse is None else {record.name: int(reuse)},
            options=self.options,
            validate=validate_plugin,
        )
        launch = Launch(request, self.executor, note=lambda text: self._changed(path))
        with self._lock:
            launch.submit_all()
            self._launches.append(launch)
        self._changed(path)

    def stop(self, number, result_id):
        """Cancel the jobs of a plugin result."""
        path = self.result_dir(number)
        with self._lock:
            for launch in self._launches:
                for name, one in launch.records.items():
                    if launch.result_dir == path and one.id == int(result_id):
                        for key, job in launch.numbers.items():
                            if key.plugin == name:
                                self.executor.cancel(job)

    def _changed(self, path):
        # A report that cannot be written is no reason to end a job.
        with suppress(IonAnalysisError), self._change_lock:
            self.on_change(path)
