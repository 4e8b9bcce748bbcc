"""Memory of base calling, and what a second thread gives: ``python -m benchmarks.calling_resources``.

Chips of signals over 400 flows are called with default options, each time in a process of its own. Memory should not
grow with the rows of a chip; two threads should take half the time, start-up left out, and the same CPU time.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import add_output_dir, save_figures
from benchmarks.tables import aligned

SIZES = ((100, 100), (200, 200), (400, 200))
"""Rows and columns of the chips whose memory is measured, on two threads."""

SCALED = (200, 200)
"""The chip on which threads are compared."""

SEED = 55_001

_ONE_THREAD_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main(argv=None):
    args = _parser().parse_args(argv)
    started = datetime.now(UTC)
    memory, threads = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for size in (tuple(max(n // args.shrink, 12) for n in size) for size in SIZES):
            run_dir = _simulated(Path(scratch), size)
            memory.append({"rows": size[0], "cols": size[1], **called(run_dir, Path(scratch) / "out", 2)})
        size = tuple(max(n // args.shrink, 12) for n in SCALED)
        threads = compare_threads(_simulated(Path(scratch), size), Path(scratch) / "out", args.repeats)
    for table in (memory_table(memory), threads_table(threads)):
        print(*table, "", sep="\n")
    save_figures(args.output_dir, "calling-resources-", started, {"memory": memory, "threads": threads})
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.calling_resources", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--repeats", type=int, default=3, help="runs with one thread and with two, in turns [3]")
    parser.add_argument("--shrink", type=int, default=1, help="divide rows and columns by this, to try it out [1]")
    return parser


def _simulated(folder, size):
    from benchmarks.calling import chip_options
    from ionanalysis.simulate import simulate

    run_dir = folder / f"run-{size[0]}x{size[1]}"
    if not run_dir.exists():
        simulate(path=run_dir, **chip_options("400 flows", SEED, size[0]) | {"size": size})
    return run_dir


def called(run_dir, out_dir, n_threads, *rates):
    """Figures of `call_chip` in a process of its own, with its CPU seconds, start-up included (`cpu_s`)."""
    words = [str(run_dir), str(out_dir), str(n_threads), *map(repr, rates)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.call_chip", *words],
        env=os.environ | _ONE_THREAD_EACH,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"calling of {run_dir} failed:\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"cpu_s": cpu, "threads": n_threads}


def compare_threads(run_dir, out_dir, repeats):
    """The fastest of several runs with one thread and with two, taken in turns so that both meet the same load."""
    runs = [called(run_dir, out_dir, n_threads) for _ in range(repeats) for n_threads in (1, 2)]
    return [min((run for run in runs if run["threads"] == n), key=lambda run: run["wall_s"]) for n in (1, 2)]


def memory_table(figures):
    rows = [
        (
            f"{f['rows']} x {f['cols']}",
            f"{f['n_reads']:,}",
            f"{f['peak_mb']:.0f}",
            f"{1e3 * f['cpu_s'] / f['n_reads']:.2f}",
        )
        for f in figures
    ]
    return aligned(("chip, 2 threads", "reads", "peak MB", "CPU ms/read"), rows)


def threads_table(figures):
    rows = [
        (str(f["threads"]), f"{f['wall_s']:.2f}", f"{figures[0]['wall_s'] / f['wall_s']:.2f}", f"{f['cpu_s']:.2f}")
        for f in figures
    ]
    return aligned(("threads", "wall s without start-up", "speed-up", "CPU s"), rows)


if __name__ == "__main__":
    sys.exit(main())
