"""Call bases again from the flow signals that a BAM file carries; other tags are kept.

For files whose wells and images are gone: signals come from tag ZM with the phase of ZP, or from FZ of older files.
The result is unaligned. Input may also be SAM or CRAM.
"""

import shlex
import sys
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.progress import open_progress
from ionanalysis.options.basecaller import SolverOptions


def add_arguments(parser):
    parser.add_argument("bam", metavar="IN.bam", type=Path, help="reads with flow signals")
    parser.add_argument("-o", "--output", metavar="OUT.bam", type=Path, required=True, help="BAM file to make")
    parser.add_argument("--threads", type=int, help="threads; results do not depend on them [all cores]", metavar="N")
    parser.add_argument(
        "--read-names", type=Path, metavar="FILE", help="file of read names, one a line: recall these reads only"
    )
    add_options(parser, SolverOptions)


def run(args):
    from ionanalysis.basecaller.recall import recall_bam
    from ionanalysis.io.read_names import read_names

    with open_progress() as progress:
        counts = recall_bam(
            args.bam,
            args.output,
            from_args(SolverOptions, args),
            names=None if args.read_names is None else frozenset(read_names(args.read_names)),
            n_threads=args.threads,
            command_line=shlex.join(["ionanalysis", *sys.argv[1:]]),
            progress=lambda done, total: progress("recall", done, total),
        )
    print(
        f"{counts.reads} reads, {counts.bases} bases; {counts.changed} reads changed, {counts.kept} kept as they were",
        file=sys.stderr,
    )
    if counts.calibrations:
        models = ", ".join(sorted({model.block for model in counts.calibrations}))
        print(
            f"note: {args.bam} carries a calibration of homopolymer signals ({models}); it was applied to "
            f"{counts.calibrated} reads",
            file=sys.stderr,
        )
    print(args.output)
