"""Look at one well: a page with its traces, background, fit and signals.

The region of the well is fitted on its own, from the raw images. Row and column are those of the chip, also where its
images lie in one directory per block.
"""

import argparse
import re
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.progress import open_progress
from ionanalysis.errors import UsageError
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions


def add_arguments(parser):
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="run directory with raw images")
    parser.add_argument("row", type=int, metavar="ROW", help="row of the well, from 0")
    parser.add_argument("col", type=int, metavar="COL", help="column of the well, from 0")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PAGE.html", help="page to write")
    parser.add_argument("--flows", type=_range, metavar="FIRST-LAST", help="flows whose traces are drawn [0-23]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; results do not depend on them [all cores]")
    add_options(parser, BeadfindOptions, SignalOptions)


def run(args):
    from ionanalysis.report.well_page import write_well_page
    from ionanalysis.run import open_run
    from ionanalysis.sigproc.region_view import view_region

    whole = open_run(args.run_dir)
    run, row, col = _holding(whole, args.row, args.col)
    flows = args.flows
    if flows is not None and not (0 <= flows.start < flows.stop <= run.n_flows):
        raise UsageError(f"--flows {flows.start}-{flows.stop - 1}: the run has flows 0 to {run.n_flows - 1}.")
    with open_progress() as progress:
        view = view_region(
            run,
            row,
            col,
            beadfind=from_args(BeadfindOptions, args),
            options=from_args(SignalOptions, args),
            n_threads=args.threads,
            progress=lambda done, total: progress("sigproc", done, total),
        )
    write_well_page(view, row, col, args.output, flows)
    print(args.output)


def _holding(run, row, col):
    """The run of the block that holds a well of the chip, and the well's row and column in it."""
    if run.is_composite:
        for block in run.blocks:
            if block.row <= row < block.row + block.n_rows and block.col <= col < block.col + block.n_cols:
                return run.open_block(block), row - block.row, col - block.col
    return run, row, col


def _range(text):
    found = re.fullmatch(r"(\d+)-(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers, such as 0-23")
    return range(int(found[1]), int(found[2]) + 1)
