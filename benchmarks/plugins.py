"""What launching a plugin costs besides the plugin: ``python -m benchmarks.plugins``.

Fifty plugins that do nothing, each with up to three dependencies among those before it, are launched on a result.
The same programs started bare, one after the other, are what they cost by themselves; the rest is ours: schedule,
inputs, script, environment, watching, records.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import add_output_dir, save_figures
from benchmarks.tables import aligned
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.info import PluginInfo
from ionanalysis.plugin.interpreter import python_path
from ionanalysis.plugin.ion_params import AnalysisRequest, RunFacts, ion_params
from ionanalysis.plugin.launch import LaunchRequest
from ionanalysis.plugin.live import launch_plugins
from ionanalysis.plugin.records import PluginRecord
from ionanalysis.plugin.schedule import ScheduleRequest, schedule

N_PLUGINS = 50

_PYTHON = """\
from ion.plugin import *
class {name}(IonPlugin):
    version = "1.0.0.0"
    def launch(self, data=None):
        return True
if __name__ == "__main__":
    PluginCLI()
"""


def main(argv=None):
    parser = argparse.ArgumentParser(prog="benchmarks.plugins", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--number", type=int, default=N_PLUGINS, help="plugins to launch [%(default)s]")
    parser.add_argument("--slots", type=int, default=2, help="plugins at a time [%(default)s]")
    args = parser.parse_args(argv)
    started = datetime.now(UTC)
    figures = [measured(kind, args.number, args.slots) for kind in ("shell", "python")]
    rows = [
        (
            figure["kind"],
            str(figure["n_plugins"]),
            f"{figure['schedule_s'] * 1e3:.2f}",
            *(f"{figure[name] * 1e3:.1f}" for name in ("bare_cpu_s", "launched_cpu_s", "overhead_cpu_s", "wall_s")),
        )
        for figure in figures
    ]
    header = (
        "plugins",
        "number",
        "schedule, ms",
        "bare CPU, ms each",
        "launched CPU, ms each",
        "ours, ms each",
        "wall, ms each",
    )
    print(*aligned(header, rows), sep="\n")
    save_figures(args.output_dir, "plugins-", started, {"plugins": figures})
    return 0


def measured(kind, n_plugins, slots):
    """Seconds per plugin: CPU of the bare programs, CPU of the launch, their difference, wall clock of the launch."""
    with tempfile.TemporaryDirectory() as folder:
        plugins = make_plugins(Path(folder, "plugins"), kind, n_plugins)
        result = make_result(Path(folder, "result"))
        began = time.perf_counter()
        jobs = schedule(ScheduleRequest(plugins=tuple(plugin.info for plugin in plugins), manual=True))
        schedule_s = time.perf_counter() - began
        before = _cpu_seconds()
        for plugin in plugins:
            _run_bare(plugin, folder)
        bare = _cpu_seconds() - before
        request = LaunchRequest(
            result_dir=result, plugins=plugins, installed=plugins, manual=True, options=PluginOptions(slots=slots)
        )
        before, began = _cpu_seconds(), time.perf_counter()
        results = launch_plugins(request)
        launched, wall = _cpu_seconds() - before, time.perf_counter() - began
    failed = [one.name for one in results if one.state != "Completed"]
    if failed or len(jobs) != n_plugins:
        raise SystemExit(f"plugins failed: {', '.join(failed)}")
    return {
        "kind": kind,
        "n_plugins": n_plugins,
        "n_holds": sum(len(job.holds) for job in jobs),
        "slots": slots,
        "schedule_s": schedule_s,
        "bare_cpu_s": bare / n_plugins,
        "launched_cpu_s": launched / n_plugins,
        "overhead_cpu_s": (launched - bare) / n_plugins,
        "wall_s": wall / n_plugins,
    }


def make_plugins(root, kind, n_plugins):
    """Plugins that do nothing; number n depends on n // 2, n // 3 and n - 1 where these are numbers of others."""
    plugins = []
    for n in range(1, n_plugins + 1):
        name = f"P{n}"
        script = root / name / ("launch.sh" if kind == "shell" else f"{name}.py")
        script.parent.mkdir(parents=True)
        script.write_text("true\n" if kind == "shell" else _PYTHON.format(name=name))
        depends = tuple(f"P{other}" for other in sorted({n // 2, n // 3, n - 1}) if 0 < other < n and n % 5)
        info = PluginInfo(name=name, version="1.0.0.0", path=script.parent, script=script, depends=depends)
        plugins.append(PluginRecord(id=n, info=info, active=True, tier="native"))
    return tuple(plugins)


def make_result(folder):
    """A result directory without reads."""
    for place in ("sigproc_results", "basecaller_results", "raw"):
        (folder / place).mkdir(parents=True)
    facts = RunFacts(raw_dir=str(folder / "raw"), run_id="BENCH", n_flows=400, chip="530")
    params = ion_params(facts, AnalysisRequest(results_name="bench"))
    (folder / "ion_params_00.json").write_text(json.dumps(params))
    datasets = {"datasets": [{"file_prefix": "rawlib", "read_groups": ["BENCH"]}], "read_groups": {"BENCH": {}}}
    (folder / "basecaller_results" / "datasets_basecaller.json").write_text(json.dumps(datasets))
    return folder


def _run_bare(plugin, folder):
    interpreter = ["bash"] if plugin.info.is_shell else [sys.executable]
    arguments = [] if plugin.info.is_shell else ["-vv"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": python_path(plugin.tier)}
    command = [*interpreter, plugin.info.script, *arguments]
    subprocess.run(command, check=True, cwd=folder, capture_output=True, env=environment)


def _cpu_seconds():
    """CPU time of this process and of all that it has waited for."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


if __name__ == "__main__":
    sys.exit(main())
