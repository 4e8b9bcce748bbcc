"""Say what a raw image, wells, mask, BAM, SFF, quality-table or run-log file holds."""

import json
import sys
from pathlib import Path

from ionanalysis.errors import InputError


def add_arguments(parser):
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files of any of these kinds")
    parser.add_argument("--json", action="store_true", help="print a JSON list with one object per file")


def run(args):
    from ionanalysis.cli._describe import describe

    found, errors = [], []
    for path in args.files:
        try:
            kind, facts = describe(path)
            found.append({"path": str(path), "kind": kind, **facts})
        except InputError as error:
            errors.append(error)
            found.append({"path": str(path), "error": str(error)})
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join(_table(facts) for facts in found if "error" not in facts))
    # The last error ends the command; the others would be lost.
    for earlier in errors[:-1]:
        print(f"ionanalysis info: {earlier}", file=sys.stderr)
    if errors:
        raise errors[-1]


def _table(facts):
    """Path and kind on one line, one fact per line below; counts by name further in."""
    lines = [f"{facts['path']}: {facts['kind']}"]
    rows = list(_rows({name: value for name, value in facts.items() if name not in ("path", "kind")}))
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([*lines, *(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)])


def _rows(facts, indent=""):
    for name, value in facts.items():
        label = indent + str(name).replace("_", " ") if not indent else indent + str(name)
        if isinstance(value, dict):
            yield label, "" if value else "none"
            yield from _rows(value, indent + "  ")
        else:
            yield label, _text(value)


def _text(value):
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 100 else f"{text[:97]}..."
