"""Run the whole pipeline: raw images (or wells) to reads, metrics, report and plugin inputs."""

import argparse
import json
import re
import shlex
import sys
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.progress import duration, open_progress
from ionanalysis.errors import FailedBlocksError
from ionanalysis.options.queue import QueueOptions
from ionanalysis.pipeline import STAGE_NAMES, PipelineRequest, option_classes, run_pipeline


def add_arguments(parser):
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="raw run, wells with mask, or a former result")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RESULT_DIR", help="directory of the result"
    )
    stages = ", ".join(STAGE_NAMES)
    parser.add_argument("--from", dest="first", metavar="STAGE", help=f"first of {stages} [{STAGE_NAMES[0]}]")
    parser.add_argument(
        "--to", dest="last", metavar="STAGE", default=STAGE_NAMES[-1], help="last stage to run [%(default)s]"
    )
    parser.add_argument("--resume", action="store_true", help="skip stages that a former call has finished")
    parser.add_argument(
        "--barcodes",
        metavar="NAME|CSV",
        help="barcode set, by name or as a file; none for no set, if a former result has one",
    )
    parser.add_argument("--run-id", metavar="XXXXX", help="first part of read names [from the raw data]")
    parser.add_argument(
        "--executor",
        metavar="SPEC",
        default="threads",
        help="threads:N, processes:N, dask:ADDRESS, slurm:N or sge:N [threads]",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a stage [all cores]")
    parser.add_argument("--summary", type=Path, metavar="FILE.tsv", help="write a table with a line per read")
    parser.add_argument("--follow", action="store_true", help="start on a run that is still being written")
    parser.add_argument(
        "--follow-limit",
        type=_seconds,
        default=36_000.0,
        metavar="SECONDS",
        help="longest time that --follow waits for the next image [%(default)g]",
    )
    parser.add_argument(
        "--blocks",
        type=_block_size,
        metavar="ROWSxCOLS",
        help="cut the chip into blocks of about so many wells, each analysed alone [images by block as they are, else "
        "the whole]",
    )
    parser.add_argument(
        "--database", metavar="FILE|URL", help="run database to record the result in, as `ionanalysis db ingest` does"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    add_options(parser, *option_classes(), QueueOptions)


def run(args):
    if args.database:
        _expect_database(args.database)
    request = PipelineRequest(
        run_dir=_located(args.run_dir),
        result_dir=_located(args.output),
        first=args.first or STAGE_NAMES[0],
        last=args.last,
        remake=args.first is not None,
        resume=args.resume,
        executor=args.executor,
        n_threads=_thread_count(args.threads),
        run_id=_run_id(args.run_id),
        barcodes=args.barcodes,
        block_size=args.blocks,
        follow_limit_s=args.follow_limit if args.follow else None,
        options=tuple(from_args(cls, args) for cls in (*option_classes(), QueueOptions)),
        command_line=shlex.join(["ionanalysis", *sys.argv[1:]]),
    )
    with terminated_as_interrupt(), open_progress() as progress:
        result = run_pipeline(request, progress=progress, note=progress.note)
        if args.summary is not None:
            write_summary(result, args.summary)
    if args.database:
        _record(result.result_dir)
    print(summary_text(result), file=sys.stderr)
    if args.json:
        print(json.dumps(summary(result), indent=2))
    else:
        print(result.result_dir)
    if result.failed_blocks:
        raise FailedBlocksError(failed_text(result))


def _expect_database(database):
    """Refuse a database that cannot be used before hours are spent."""
    from ionanalysis.cli.db import configure_database
    from ionanalysis.options.rundb import DatabaseOptions

    configure_database(DatabaseOptions(database=database))
    from ionanalysis.rundb.setup import demand_tables, told_in_words

    with told_in_words():
        demand_tables()


def _record(result_dir):
    from ionanalysis.cli.db import record_result

    print(f"report:  {record_result(result_dir)} in the run database", file=sys.stderr)


def failed_text(result):
    """What is missing in a result whose other blocks are whole."""
    (name, message), *more = result.failed_blocks
    others = f" (and {len(more)} more: {', '.join(name for name, _ in more[:5])})" if more else ""
    return (
        f"{result.result_dir}: block {name}{others} has no result, the other blocks are whole: {message} Mend it, then "
        "use --resume."
    )


def write_summary(result, path):
    """A line per library read; of the aligned files where there are any."""
    from ionanalysis.errors import UsageError
    from ionanalysis.metrics.read_summary import write_read_summary

    unaligned = [bam for bam in result.bam_paths if not bam.name.startswith("rawtf")]
    if not unaligned:
        raise UsageError(f"--summary {path}: no reads were called; run the stage basecaller, too.")
    placed = [result.result_dir / bam.name.replace(".basecaller.bam", ".bam") for bam in unaligned]
    write_read_summary(
        [aligned if aligned.is_file() else bam for aligned, bam in zip(placed, unaligned, strict=True)], path
    )


def summary(result):
    """What a script may want to know of a result."""
    return {
        "result_dir": str(result.result_dir),
        "run_id": result.run_id,
        "reads": result.n_reads,
        "bases": result.n_bases,
        "bam": [str(path) for path in result.bam_paths],
        "report": str(result.report_path) if result.report_path else None,
        "failed_blocks": dict(result.failed_blocks),
        "ran": list(result.ran),
        "skipped": list(result.skipped),
        "seconds": result.seconds,
    }


def summary_text(result):
    """The same for people."""
    length = result.n_bases / result.n_reads if result.n_reads else 0
    total = sum(seconds for name, seconds in result.seconds.items() if name in result.ran)
    lines = [f"{result.n_reads} reads, {result.n_bases} bases, mean length {length:.1f}; {duration(total)} in all"]
    if result.bam_paths:
        more = f" and {len(result.bam_paths) - 1} more" if len(result.bam_paths) > 1 else ""
        lines.append(f"reads:   {result.bam_paths[0]}{more}")
    if result.report_path:
        lines.append(f"report:  {result.report_path}")
    lines.append(f"result:  {result.result_dir}")
    return "\n".join(lines)


def _block_size(text):
    found = re.fullmatch(r"([1-9]\d{0,8})[xX]([1-9]\d{0,8})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not rows x columns, such as 1000x1000")
    return int(found[1]), int(found[2])


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _located(path):
    """The absolute path without ``..``; a link keeps its name, which becomes that of the run or result."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _thread_count(n_threads):
    from ionanalysis.errors import UsageError

    if n_threads is not None and n_threads < 1:
        raise UsageError(f"--threads {n_threads}: must be 1 or more.")
    return n_threads


def _run_id(run_id):
    """Read names are `RUNID:row:col`: five letters or digits keep them readable for other tools."""
    from ionanalysis.errors import UsageError

    if run_id is not None and not (len(run_id) == 5 and run_id.isascii() and run_id.isalnum()):
        raise UsageError(f"--run-id {run_id!r}: must be five letters or digits.")
    return run_id
