"""`PluginCLI`, the command line of a plugin file (plugin.md 2.5)."""

import argparse
import inspect
import json
import logging
import os
import sys
from pathlib import Path

from ionanalysis.plugin.barcode_table import available_columns
from ionanalysis.plugin.base import REGISTRY, IonPlugin
from ionanalysis.plugin.info import info_object

OUTCOME_FILE = "IONANALYSIS_PLUGIN_OUTCOME"
"""Environment variable: file to which the outcome of `launch_wrapper` is written, for the job's record."""

_CHATTERERS = ("matplotlib", "PIL", "numba", "django", "urllib3", "asyncio")
"""Libraries that log each font, byte code or connection."""

_LEVELS = (logging.ERROR, logging.INFO, logging.DEBUG)


def PluginCLI(plugin=None):  # noqa: N802 (a name of the contract)
    """Parse ``sys.argv`` and run a plugin at once.

    Parameters
    ----------
    plugin : class, instance, module or str, optional
        By default the class that is named like the calling file.

    Raises
    ------
    SystemExit
        On ``--version``, wrong arguments (2), or if there is no such class (1); what `launch` raises passes.
    """
    if plugin is None:
        plugin = inspect.getmodulename(sys._getframe(1).f_code.co_filename) or ""
    plugin_class = _plugin_class(plugin)
    args = _parser(plugin_class).parse_args()
    _start_log(args.verbose)
    if args.bctable_columns:
        print(json.dumps(available_columns(), indent=1))
        return
    instance = plugin if isinstance(plugin, IonPlugin) else plugin_class()
    if args.inspect:
        print(json.dumps(info_object(instance), indent=2))
    elif args.runmode == "block" and not args.dry_run:
        _run_block(instance, args.block)
    else:
        outcome = instance.launch_wrapper(dry_run=args.dry_run)
        _tell(outcome)


def _parser(plugin_class):
    parser = argparse.ArgumentParser(description=inspect.cleandoc(plugin_class.__doc__ or ""), allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"Ion Torrent Plugin - %(prog)s v{plugin_class.version}")
    parser.add_argument("-v", dest="verbose", action="count", default=0, help="log more; twice for all")
    parser.add_argument("--dry-run", action="store_true", help="log name and version, run nothing")
    parser.add_argument("--inspect", "--info", action="store_true", help="print what the plugin is, as JSON")
    parser.add_argument("--runmode", choices=("launch", "block"), default="launch", help="what to call [%(default)s]")
    parser.add_argument("--block", metavar="ID", help="block for --runmode block")
    parser.add_argument("--bctable-columns", action="store_true", help="print the known columns of the barcode table")
    return parser


def _start_log(verbose):
    logging.basicConfig(level=_LEVELS[min(verbose, len(_LEVELS) - 1)], format="%(levelname)s: %(message)s")
    # The framework always asks for all, and means what the plugin has to say.
    for library in _CHATTERERS:
        logging.getLogger(library).setLevel(logging.INFO)


def _plugin_class(plugin):
    if isinstance(plugin, IonPlugin):
        return type(plugin)
    if inspect.isclass(plugin):
        return plugin
    if inspect.ismodule(plugin):
        derived = (value for value in vars(plugin).values() if inspect.isclass(value) and issubclass(value, IonPlugin))
        found = next((value for value in derived if value is not IonPlugin), None)
        return found or sys.exit(f"{plugin.__name__}: no class in it derives from IonPlugin.")
    found = REGISTRY.get(plugin)
    if found is None:
        others = ", ".join(sorted({cls.__name__ for cls in REGISTRY.values()})) or "none"
        sys.exit(
            f"{plugin}.py: no class {plugin} derives from IonPlugin (found: {others}); "
            "directory, file and class of a plugin must have the same name."
        )
    return found


def _run_block(instance, block):
    if not block:
        instance.log.error("%s: --runmode block needs --block ID; nothing was run.", instance.name)
    elif not hasattr(instance, "block"):
        raise NotImplementedError(f"{type(instance).__name__} has no method block().")
    else:
        instance.block(block)


def _tell(outcome):
    path = os.environ.get(OUTCOME_FILE)
    if path:
        Path(path).write_text(json.dumps({"outcome": outcome}) + "\n", encoding="utf-8")
