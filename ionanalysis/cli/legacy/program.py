"""The frame of every original program: help, version, notes on stderr, exit code."""

import sys

from ionanalysis import __version__
from ionanalysis.cli.legacy.effects import help_text
from ionanalysis.cli.main import guarded


class Program:
    """One original program.

    Parameters
    ----------
    name : str
    usage : str
    table : FlagTable
    classes : sequence of option classes
        Those that the table sets.
    work : callable
        Gets the parsed values, the words that belong to no option, and a callable for notes.
    exit_code : callable
        Exit code of an error.
    """

    def __init__(self, name, usage, table, classes, work, exit_code):
        self.name = name
        self.usage = usage
        self.table = table
        self.classes = classes
        self.work = work
        self.exit_code = exit_code
        self._noted: set[str] = set()

    def __call__(self, argv=None):
        """Run on `argv` (the process's own by default) and return the exit code."""
        argv = sys.argv[1:] if argv is None else list(argv)
        return guarded(lambda: self._run(argv), prog=self.name, exit_code=self.exit_code)

    def note(self, text):
        """Say something once, on stderr."""
        if text not in self._noted:
            self._noted.add(text)
            print(f"{self.name}: {text}", file=sys.stderr)

    def _run(self, argv):
        self._noted.clear()
        values, words = self.table.parse(argv)
        if not argv or values.get("help"):
            print(help_text(self.name, self.usage, self.table, self.classes))
        elif values.get("version"):
            print(f"{self.name}, ionanalysis {__version__}")
        else:
            self.work(values, words, self.note)
