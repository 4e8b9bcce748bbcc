"""Run all benchmarks, print tables, write JSON: ``python -m benchmarks.run``, or ``make bench``.

Rates are wells times flows per second of CPU time, so they hold for one core however many worked. Making
the chips is left out of all figures.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import bench_basecaller, bench_io, bench_kernels, bench_sigproc
from benchmarks.chips import FLOWS, SIZES, TINY, chip
from benchmarks.machine import add_output_dir, save_figures, yardstick_seconds
from benchmarks.stage import THREADS, Stage
from benchmarks.tables import kernel_table, scaling, scaling_table, stage_table

MODULES = (bench_io, bench_sigproc, bench_basecaller, bench_kernels)

_TIME_LIMIT = 600


def main(argv=None):
    args = _parser().parse_args(argv)
    started = datetime.now(UTC)
    sizes = list(TINY) if args.tiny else list(SIZES)
    _say("making chips")
    for level in FLOWS:
        for size in sizes:
            chip(size, level)
    stages = [] if args.kernels_only else list(_stages(sizes, args))
    kernels = [] if args.stages_only else list(_kernels(args))
    if stages:
        print(*stage_table(stages), "", *scaling_table(scaling(stages)), "", sep="\n")
    if kernels:
        print(*kernel_table(kernels), "", sep="\n")
    content = {
        "yardstick_s": yardstick_seconds(args.yardstick),
        "stages": stages,
        "scaling": scaling(stages),
        "kernels": kernels,
    }
    save_figures(args.output_dir, "", started, content)
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--threads", type=_numbers, default=list(THREADS), help="numbers of threads [1,2]")
    parser.add_argument("--tiny", action="store_true", help="one tiny chip and one run each, to see that all works")
    parser.add_argument("--only", default="", help="only suites whose name holds this")
    parser.add_argument("--stages-only", action="store_true", help="no kernels")
    parser.add_argument("--kernels-only", action="store_true", help="no stages")
    parser.add_argument("--yardstick", type=Path, help="C program that prints the CPU seconds of a fixed piece of work")
    return parser


def suites(kind):
    """Benchmark classes of a kind, in the order in which data pass through them."""
    found = [
        cls
        for module in MODULES
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, kind) and cls.__module__ == module.__name__ and cls is not kind
    ]
    return sorted(found, key=lambda cls: getattr(cls, "order", 0))


def _stages(sizes, args):
    for cls in suites(Stage):
        if args.only not in cls.__name__:
            continue
        for size in sizes:
            for threads in args.threads:
                figure = _measured(cls, [size, threads], args.tiny)
                n_wells = figure["n_items"] // FLOWS[cls.level]
                yield {"stage": cls.__name__, "chip": size, "threads": threads, "n_wells": n_wells, **figure}


def _kernels(args):
    for cls in suites(bench_kernels.Kernel):
        if args.only not in cls.__name__:
            continue
        for build in cls.params[0]:
            yield {"kernel": cls.__name__, "build": build, "unit": cls.unit, **_measured(cls, [build], args.tiny)}


def _measured(cls, params, is_tiny):
    """Figures of one benchmark, measured in a process of its own."""
    _say(f"{cls.__name__} {' '.join(map(str, params))}")
    command = [sys.executable, "-m", "benchmarks.measure", f"{cls.__module__}:{cls.__name__}", json.dumps(params)]
    if is_tiny:
        command += ["--least-seconds", "0"]
    # Threads are ours to give: a linear algebra library with its own would blur what one core does.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIME_LIMIT)
    if done.returncode:
        raise SystemExit(f"{cls.__name__} {params} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def _numbers(text):
    return [int(number) for number in text.split(",")]


def _say(what):
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
