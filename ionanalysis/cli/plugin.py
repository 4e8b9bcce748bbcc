"""Plugins: make, install, upgrade, remove, list, run and serve them."""

import json
import sys
from pathlib import Path

from ionanalysis.cli import plugin_run, plugin_serve
from ionanalysis.errors import UsageError


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (add, work, summary) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add(action)
        action.set_defaults(work=work)


def run(args):
    args.work(args)


def add_root(parser):
    """The option that every action on installed plugins shares."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="folder of installed plugins [$IONANALYSIS_PLUGINS, else $IONANALYSIS_HOME/plugins]",
    )


def _add_new(parser):
    parser.add_argument("name", metavar="NAME", help="name of folder, file and class")
    parser.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="where to put it [here]")


def _new(args):
    from ionanalysis.plugin.template import write_template

    folder = write_template(args.name, args.output)
    print(f"edit {folder / args.name}.py, then: ionanalysis plugin install {folder}", file=sys.stderr)
    print(folder)


def _add_install(parser):
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="zip archive, folder, or name of a shipped plugin")
    parser.add_argument(
        "--tier",
        choices=("native", "compat", "legacy"),
        help="Python of the plugin: ours; ours with the layer for Python 2 idioms; the same with a Python 2.7 for the "
        "programs that it starts [as before, or compat]",
    )
    parser.add_argument(
        "--time-limit", type=float, default=30.0, metavar="S", help="seconds to be imported in [%(default)g]"
    )
    add_root(parser)


def _install(args, *, must_exist=False):
    from ionanalysis.plugin.store import PluginStore

    if not args.time_limit > 0:
        raise UsageError(f"--time-limit {args.time_limit:g}: must be above 0.")
    store = PluginStore(args.root, time_limit_s=args.time_limit)
    for source in args.sources:
        record, replaced = store.install(source, tier=args.tier, must_exist=must_exist)
        _warn(record)
        what = f"upgraded from v{replaced.version}" if replaced else "installed"
        print(f"{record.name} v{record.version} {what}", file=sys.stderr)
        print(record.info.path)


def _warn(record):
    """Lines that will not run on Python 3; in programs that the plugin starts they may be meant for Python 2."""
    problems = record.info.problems
    for problem in problems[:10]:
        print(f"warning: {record.name}: {problem}", file=sys.stderr)
    if len(problems) > 10:
        print(f"warning: {record.name}: {len(problems) - 10} more lines like these", file=sys.stderr)


def _upgrade(args):
    _install(args, must_exist=True)


def _add_remove(parser):
    parser.add_argument("names", nargs="+", metavar="NAME", help="installed plugin")
    add_root(parser)


def _remove(args):
    from ionanalysis.plugin.store import PluginStore

    store = PluginStore(args.root)
    for name in args.names:
        record = store.remove(name)
        print(f"{record.name} v{record.version} removed", file=sys.stderr)


def _add_list(parser):
    parser.add_argument("--available", action="store_true", help="list the plugins that come with ionanalysis instead")
    parser.add_argument("--all", action="store_true", help="list replaced and removed versions, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_root(parser)


def _list(args):
    from ionanalysis.plugin.store import PluginStore, shipped_plugins

    if args.available:
        names = shipped_plugins()
        print(json.dumps(list(names)) if args.json else "\n".join(names))
        return
    store = PluginStore(args.root)
    records = store.records() if args.all else store.installed()
    if args.json:
        print(json.dumps([record.to_json() for record in records], indent=2))
        return
    if not records:
        print(
            f"no plugins in {store.root}; `ionanalysis plugin list --available` names those to start with",
            file=sys.stderr,
        )
    rows = [
        (
            record.name,
            record.version,
            ",".join(record.info.runlevels) or "default",
            ",".join(record.info.runtypes) or "-",
            record.tier,
            str(record.info.path) if record.active else "(not installed)",
        )
        for record in records
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rescan(args):
    from ionanalysis.plugin.store import PluginStore

    added, missing, refused = PluginStore(args.root).rescan()
    for record in added:
        _warn(record)
        print(f"{record.name} v{record.version} taken in", file=sys.stderr)
    for record in missing:
        print(f"{record.name} v{record.version} is gone", file=sys.stderr)
    for sentence in refused:
        print(f"warning: {sentence}", file=sys.stderr)


def _add_path(parser):
    parser.add_argument(
        "--tier", choices=("native", "compat"), default="compat", help="with the layer or without [compat]"
    )


def _path(args):
    from ionanalysis.plugin.interpreter import python_path

    print(python_path(args.tier, inherited=""))


def _add_run(parser):
    plugin_run.add_arguments(parser)
    add_root(parser)


def _add_serve(parser):
    plugin_serve.add_arguments(parser)
    add_root(parser)


ACTIONS = {
    "new": (_add_new, _new, "write the files of a new plugin, ready to be installed"),
    "install": (_add_install, _install, "install plugins, or upgrade them to a higher version"),
    "upgrade": (_add_install, _upgrade, "upgrade installed plugins to a higher version"),
    "remove": (_add_remove, _remove, "remove installed plugins; what they did to results stays"),
    "list": (_add_list, _list, "list installed plugins: name, version, run levels, kinds of reports, tier, folder"),
    "run": (_add_run, plugin_run.run, "launch installed plugins on a result and wait for them"),
    "serve": (_add_serve, plugin_serve.run, "show configuration pages and plugin results in a browser"),
    "rescan": (add_root, _rescan, "take in plugins whose folders were copied by hand"),
    "path": (_add_path, _path, "print the PYTHONPATH with which a plugin file runs by hand"),
}
"""Of each action: what adds its arguments, what does it, what it does in words."""
