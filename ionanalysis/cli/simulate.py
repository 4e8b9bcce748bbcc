"""Simulate a chip: a run directory with raw images, or with signals and a mask, and the truth beside them."""

import argparse
import json
import re
from pathlib import Path

from ionanalysis.cli._from_options import add_options, given
from ionanalysis.cli.progress import open_progress
from ionanalysis.options.defects import DEFECTS, DIFFICULTIES
from ionanalysis.options.simulate import GROUPS, simulate_options


def add_arguments(parser):
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="directory to make; must not hold a run yet")
    parser.add_argument("--size", type=_pair, help="rows and columns [100x100]", metavar="ROWSxCOLS")
    parser.add_argument(
        "--blocks", type=_pair, help="blocks down and across, each with its own directory [1x1]", metavar="DOWNxACROSS"
    )
    parser.add_argument("--difficulty", default="default", choices=DIFFICULTIES, help="how hard a chip [default]")
    known = ", ".join(DEFECTS)
    parser.add_argument(
        "--defects", default="", metavar="NAME,...", help=f"make these as bad as on a bad chip: {known}"
    )
    parser.add_argument("--without", default="", metavar="NAME,...", help="leave these defects out altogether")
    parser.add_argument("--threads", type=int, help="threads; results do not depend on them [all cores]", metavar="N")
    parser.add_argument("--json", action="store_true", help="print options and paths as JSON")
    add_options(parser, *GROUPS.values())


def run(args):
    from ionanalysis.simulate import simulate_chip

    values = {name: value for cls in GROUPS.values() for name, value in given(cls, args).items()}
    values |= {name: getattr(args, name) for name in ("size", "blocks") if getattr(args, name)}
    options = simulate_options(
        difficulty=args.difficulty, defects=_names(args.defects), without=_names(args.without), **values
    )
    chip = simulate_chip(options, n_threads=args.threads)
    with open_progress() as progress:
        files = chip.write(
            args.run_dir, progress=lambda done, total: progress("simulate", done, total), n_threads=args.threads
        )
    if args.json:
        paths = {what: str(path) for what, path in files.items()}
        print(json.dumps({"options": options.to_json(), "files": paths}, indent=2))
        return
    for name, value in options.to_json().items():
        print(f"{name} = {'x'.join(map(str, value)) if name in ('size', 'blocks') else value}")
    print(repr(chip))
    for what, path in files.items():
        print(f"{what}: {path}")


def _names(text):
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pair(text):
    found = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers, such as 100x100")
    return int(found[1]), int(found[2])
