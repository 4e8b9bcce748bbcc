"""The `ionanalysis` command: picks the subcommand and turns errors into one line and an exit code."""

import argparse
import sys
from importlib import import_module

from ionanalysis import __version__
from ionanalysis.errors import IonAnalysisError

COMMANDS: tuple[str, ...] = (
    "simulate",
    "run",
    "info",
    "well",
    "recall",
    "align",
    "export",
    "compare",
    "barcodes",
    "plugin",
    "db",
    "serve",
    "train-qualities",
)
"""Subcommands in the order in which one runs them; each is a module of this package."""


def build_parser(only=None):
    """The parser of all commands; with `only`, the others are known by name alone and their modules not loaded."""
    parser = argparse.ArgumentParser(prog="ionanalysis", description="From Ion Torrent raw images to trusted reads.")
    parser.add_argument("--version", action="version", version=f"ionanalysis {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if only not in (None, name):
            commands.add_parser(name)
            continue
        module = import_module(f"ionanalysis.cli.{name.replace('-', '_')}")
        summary = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary, description=module.__doc__)
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        module.add_arguments(command)
        command.usage = _short_usage(command)
        command.set_defaults(run=module.run)
    return parser


def _short_usage(command):
    """What must be given; the dozens of options made from option classes would bury it."""
    required = [action for action in command._actions if action.required]
    parts = [
        f"{action.option_strings[0]} {action.metavar}" if action.option_strings else str(action.metavar or action.dest)
        for action in sorted(required, key=lambda action: bool(action.option_strings))
    ]
    return " ".join([command.prog, *parts, "[options]"])


def main(argv=None):
    """Run one command; return its exit code (0 done, 2 usage, 3 bad input, 4 interrupted, 1 our defect)."""
    words = sys.argv[1:] if argv is None else argv
    # The first word that is no option; options before it, --debug and --version, take no value.
    first = next((word for word in words if not word.startswith("-")), None)
    parser = build_parser(only=first if first in COMMANDS else None)
    try:
        args = parser.parse_args(argv)
    except SystemExit as leave:
        return int(leave.code or 0)
    return guarded(lambda: args.run(args), prog=f"ionanalysis {args.command}", debug=args.debug)


def guarded(work, *, prog, debug=False, exit_code=lambda error: error.exit_code):
    """Run `work`, turning an `IonAnalysisError` into one line on stderr and its exit code."""
    try:
        work()
    except IonAnalysisError as error:
        if debug:
            raise
        print(f"{prog}: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted.", file=sys.stderr)
        return 4
    except BrokenPipeError:
        return 0
    except Exception as error:
        if debug:
            raise
        print(
            f"{prog}: internal error: {type(error).__name__}: {error}. This is a defect of ionanalysis; "
            "run again with --debug and report the traceback.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
