"""Align reads to a reference: sorted and indexed BAM, SAM or CRAM, all tags kept.

Reads that are aligned already are aligned anew. With -o - the reads go to stdout.
"""

import shlex
import sys
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.progress import open_progress
from ionanalysis.errors import UsageError
from ionanalysis.options.alignment import AlignmentOptions


def add_arguments(parser):
    parser.add_argument("reads", metavar="IN.bam", type=Path, help="reads as BAM, SAM or CRAM")
    parser.add_argument("--reference", metavar="FASTA", type=Path, required=True, help="genome that they come from")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help=".bam, .sam or .cram; - for stdout")
    parser.add_argument("--format", choices=("bam", "sam", "cram"), help="what to write [by the ending; BAM to stdout]")
    parser.add_argument("--threads", type=int, metavar="N", help="threads; results do not depend on them [all cores]")
    add_options(parser, AlignmentOptions)


def run(args):
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.alignment.formats import align_to
    from ionanalysis.io.jsonfile import write_json

    if args.threads is not None and args.threads < 1:
        raise UsageError(f"--threads {args.threads}: must be 1 or more.")
    output = None if args.output == "-" else Path(args.output)
    if output is not None and output.exists() and args.reads.exists() and output.samefile(args.reads):
        raise UsageError(f"{output}: is the input; name another file for the output.")
    with terminated_as_interrupt(), open_progress() as progress:
        progress("align", 0, 0)
        counts = align_to(
            args.reads,
            output,
            ReferenceIndex.of(args.reference),
            kind=args.format,
            stream=sys.stdout.buffer if output is None else None,
            options=from_args(AlignmentOptions, args),
            n_threads=args.threads,
            command_line=shlex.join(["ionanalysis", *sys.argv[1:]]),
        )
    share = f", {100 * counts.mapped / counts.reads:.2f} %" if counts.reads else ""
    print(f"{counts.reads} reads, {counts.mapped} aligned{share}", file=sys.stderr)
    if counts.duplicates is not None:
        print(f"{counts.duplicates['duplicate_reads']} duplicates", file=sys.stderr)
        if output is not None:
            write_json(output.with_name(f"BamDuplicates.{output.stem}.json"), counts.duplicates)
    if output is not None:
        print(output)
