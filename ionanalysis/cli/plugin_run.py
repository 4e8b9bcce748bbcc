"""`ionanalysis plugin run`: launch installed plugins on a result by hand."""

import getpass
import json
import sys
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.errors import InputError, UsageError
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.schedule import LEVELS

_GOOD = ("Completed", "Declined")


def add_arguments(parser):
    parser.add_argument("names", nargs="+", metavar="NAME", help="installed plugin")
    parser.add_argument("result_dir", type=Path, metavar="RESULT_DIR", help="result of a run")
    parser.add_argument(
        "--config",
        metavar="JSON",
        help="configuration of this launch, an object or @FILE; with several plugins an object of such by name",
    )
    parser.add_argument(
        "--level", action="append", choices=LEVELS, help="launch at this level only; may be given again [all]"
    )
    parser.add_argument(
        "--result-id", type=int, metavar="ID", help="use the plugin result of this number again, not a new one"
    )
    parser.add_argument(
        "--executor",
        metavar="SPEC",
        default="threads",
        help="threads: this machine; dask:ADDRESS, slurm or sge: a cluster that sees the same files [threads]",
    )
    parser.add_argument("--json", action="store_true", help="print what became of it as JSON on stdout")
    add_options(parser, PluginOptions)


def run(args):
    from ionanalysis.pipeline.record import RunRecord
    from ionanalysis.plugin.ask import validate_plugin
    from ionanalysis.plugin.launch import LaunchRequest
    from ionanalysis.plugin.live import launch_plugins
    from ionanalysis.plugin.store import PluginStore
    from ionanalysis.report.plugins import refresh_report

    names = list(dict.fromkeys(args.names))
    if args.result_id is not None and len(names) > 1:
        raise UsageError(f"--result-id {args.result_id}: belongs to one plugin; launch {names[0]} alone.")
    if not args.result_dir.is_dir():
        raise InputError(f"{args.result_dir}: is no directory; expected the result of a run.")
    store = PluginStore(args.root)
    request = LaunchRequest(
        result_dir=args.result_dir,
        plugins=tuple(store.find(name) for name in names),
        installed=store.installed(),
        instance_configs=instance_configs(args.config, names),
        manual=True,
        levels=tuple(args.level) if args.level else LEVELS,
        reuse={names[0]: args.result_id} if args.result_id is not None else {},
        username=getpass.getuser(),
        options=from_args(PluginOptions, args),
        validate=validate_plugin,
    )
    with terminated_as_interrupt():
        results = launch_plugins(
            request,
            executor=args.executor,
            note=lambda text: print(text, file=sys.stderr, flush=True),
            on_change=lambda: refresh_report(args.result_dir),
        )
    if record := RunRecord.read(args.result_dir):
        record.refresh("report")
    _print(results, args.json)


def _print(results, as_json):
    if as_json:
        print(json.dumps([{**one.content, "state": one.state, "folder": str(one.folder)} for one in results], indent=2))
    else:
        for one in results:
            if one.jobs:
                print(one.folder)
    # A plugin of several levels fails with any of them.
    failed = [one for one in results if one.state not in _GOOD or any(_failed(one, job) for job in one.jobs)]
    if failed:
        raise InputError(f"{', '.join(one.name for one in failed)}: did not complete; {_where(failed[0])}")


def _failed(result, job):
    return result.job_state(job) not in _GOOD


def _where(result):
    if result.content["validation_errors"]:
        return "give it a configuration that it accepts with --config."
    job = next((job for job in result.jobs if _failed(result, job)), result.jobs[-1])
    folder = result.path.parents[1] / job.get("folder", "plugin_out")
    return f"see {folder / 'drmaa_stdout.txt'}."


def instance_configs(text, names):
    """Configuration of each plugin in what ``--config`` says.

    Raises
    ------
    UsageError
        If it is no JSON object, or names a plugin that is not launched.
    """
    if not text:
        return {}
    try:
        config = json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {text}: is no JSON ({error}).") from None
    if not isinstance(config, dict):
        raise UsageError(f"--config {text}: must be an object.")
    if len(names) == 1:
        return {names[0]: config}
    strange = [name for name in config if name not in names or not isinstance(config[name], dict)]
    if strange:
        raise UsageError(
            f"--config: with several plugins, it holds an object for each by name; {strange[0]!r} is none of them."
        )
    return config
