"""How fast raw images become signals: ``python -m benchmarks.signals_speed``.

A simulated chip of 192 x 192 wells, 60 flows and 105 equal frames is analysed with default options from its images to
``1.wells``, each time in a process of its own, with one thread and with two in turns. Then the parts that every flow
goes through are measured alone on images in memory, and what the machine can do at best: how fast it reads memory and
multiplies.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.machine import add_output_dir, save_figures, yardstick_seconds
from benchmarks.tables import aligned
from ionanalysis.io.mask import WellFlag
from ionanalysis.options.sigproc import SignalOptions
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads
from ionanalysis.sigproc.beadfind import PINNED_HIGH, PINNED_LOW, cut_frames
from ionanalysis.sigproc.fit import SignalFitter
from ionanalysis.sigproc.flow_filter import N_VECTORS, take_in
from ionanalysis.sigproc.parallel import in_turns
from ionanalysis.simulate import simulate

SEED = 3

ORIGINAL_US = 35.0
"""CPU microseconds per bead and flow of the original on such a chip (52 s for 25 127 beads and 60 flows, 280 MB)."""

_ONE_THREAD_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main(argv=None):
    args = _parser().parse_args(argv)
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory() as scratch:
        run_dir = Path(scratch) / "run"
        simulate(
            size=(args.side, args.side), flows=args.flows, seed=SEED, level="dat", path=run_dir,
            without=("variable_frame_times",),
        )  # fmt: skip
        runs, gains = [], []
        for _ in range(args.repeats):
            runs += [analysed(run_dir, Path(scratch) / "out", n) for n in (1, 2)]
            gains.append(gain_of_two())
        peak_mb = {n: held_mb(run_dir, Path(scratch) / "out", n) for n in (1, 2)}
        parts = parts_of_a_flow(run_dir)
    figures = {
        "yardstick_s": yardstick_seconds(args.yardstick),
        "whole": whole(runs) | {"peak_mb": peak_mb, "gain_of_two": gains},
        "parts": parts,
        "floor": floor(parts, **machine_limits()),
    }
    print(*table(figures), sep="\n")
    save_figures(args.output_dir, "signals-speed-", started, figures)
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.signals_speed", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--side", type=int, default=192, help="side of the square chip, wells [192]")
    parser.add_argument("--flows", type=int, default=60, help="[60]")
    parser.add_argument("--repeats", type=int, default=3, help="runs with one thread and with two, in turns [3]")
    parser.add_argument("--yardstick", type=Path, help="C program that prints the CPU seconds of a fixed piece of work")
    return parser


def analysed(run_dir, out_dir, n_threads):
    """Figures of `analyse_chip` in a process of its own."""
    process = _analysis(run_dir, out_dir, n_threads)
    printed, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"analysis of {run_dir} failed:\n{errors}")
    return json.loads(printed.splitlines()[-1]) | {"threads": n_threads}


def _analysis(run_dir, out_dir, n_threads):
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.analyse_chip", str(run_dir), str(out_dir), str(n_threads)],
        env=os.environ | _ONE_THREAD_EACH,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def held_mb(run_dir, out_dir, n_threads):
    """Most memory that an analysis and the processes it forks held at a time, MB: pages that they share count once.

    Looked at every twentieth of a second, in a run that is not timed.
    """
    process, most = _analysis(run_dir, out_dir, n_threads), 0.0
    while process.poll() is None:
        most = max(most, sum(_resident_mb(pid) for pid in _with_children(process.pid)))
        time.sleep(0.05)
    process.communicate()
    return most


def _with_children(pid):
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        children = ""
    return [pid, *map(int, children.split())]


def _resident_mb(pid):
    """Memory of a process in MB, pages that several processes hold in equal parts; 0 for one that has ended."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / (1 << 10) if found else 0.0


def gain_of_two():
    """How many times as much two processes that only count get done as one: 2 on a machine with nothing else to do."""

    def count():
        yield sum(range(20_000_000))

    seconds = []
    for works in ([count], [count, count]):
        start = time.perf_counter()
        list(in_turns(works))
        seconds.append(time.perf_counter() - start)
    return 2 * seconds[0] / seconds[1]


def whole(runs):
    """Least CPU time of the runs with one thread, in microseconds per live well and flow; and what two threads give."""
    single = [run for run in runs if run["threads"] == 1]
    wall = {n: min(run["wall_s"] for run in runs if run["threads"] == n) for n in (1, 2)}
    scale = 1e6 / (single[0]["n_beads"] * single[0]["n_flows"])
    find, fit = (scale * min(run[name] for run in single) for name in ("find_cpu_s", "fit_cpu_s"))
    return {
        "n_beads": single[0]["n_beads"],
        "n_flows": single[0]["n_flows"],
        "find_us": find,
        "fit_us": fit,
        "whole_us": scale * min(run["find_cpu_s"] + run["fit_cpu_s"] for run in single),
        "startup_cpu_s": min(run["startup_cpu_s"] for run in single),
        "wall_s": wall,
        "speed_up": wall[1] / wall[2],
    }


def parts_of_a_flow(run_dir):
    """Microseconds per live well and flow of decoding an image and of the kernel, and the bytes that they go through.

    The kernel is all that is done to the images of a flow once decoded: pinned wells, empties' mean, projections, and
    amplitudes from them.
    """
    run = open_run(run_dir)
    beads = find_beads(run, n_threads=1)
    n_live = beads.mask.count(WellFlag.LIVE)
    flow = run.n_flows - 1
    with SignalFitter(run, beads, SignalOptions(), 1) as fitter:
        fitter.learn()
        image = run.flow(flow)
        decode_s = least_seconds(lambda: run.flow(flow).frames)
        kernel_s = least_seconds(
            lambda: [
                fitter.measure_region(index, flow, np.ascontiguousarray(cut_frames(image, tile)))
                for index, tile in enumerate(beads.tiles)
            ]
        )
    tile = beads.tiles[0]
    basis = np.ones((N_VECTORS, image.n_frames))
    chosen = np.zeros(tile.n_wells, bool)
    frames = cut_frames(image, tile)
    take_s = least_seconds(lambda: take_in(frames, basis, PINNED_LOW, PINNED_HIGH, chosen))
    n_wells = beads.block.n_wells
    return {
        "decode_us": 1e6 * decode_s / n_live,
        "kernel_us": 1e6 * kernel_s / n_live,
        "take_in_us": 1e6 * take_s / tile.n_wells * n_wells / n_live,
        "file_bytes": run.flow_path(flow).stat().st_size / n_live,
        "image_bytes": 2 * image.n_frames * n_wells / n_live,
        "operations": 2 * N_VECTORS * image.n_frames * n_wells / n_live,
    }


def machine_limits():
    """Bytes that one core reads from memory in a second, and float32 operations of a matrix product."""
    block = np.ones(1 << 26, np.uint64)
    read_s = least_seconds(lambda: np.bitwise_or.reduce(block))
    from threadpoolctl import threadpool_limits

    matrix = np.ones((1024, 1024), np.float32)
    with threadpool_limits(1, user_api="blas"):
        product_s = least_seconds(lambda: matrix @ matrix)
    return {"bytes_per_s": block.nbytes / read_s, "operations_per_s": 2 * 1024**3 / product_s}


def floor(parts, bytes_per_s, operations_per_s):
    """Least microseconds per live well and flow: to read file and image once, and to project traces."""
    return {
        "bytes_per_s": bytes_per_s,
        "operations_per_s": operations_per_s,
        "read_us": 1e6 * (parts["file_bytes"] + parts["image_bytes"]) / bytes_per_s,
        "project_us": 1e6 * parts["operations"] / operations_per_s,
    }


def least_seconds(work, *, n_runs=7):
    """CPU seconds of the fastest of some runs."""
    found = []
    for _ in range(n_runs):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def table(figures):
    """Lines of two tables."""
    one, parts, low = figures["whole"], figures["parts"], figures["floor"]
    rows = [
        ("images to 1.wells, start-up left out", f"{one['whole_us']:.2f}", f"{ORIGINAL_US / one['whole_us']:.0f}"),
        ("  bead finding", f"{one['find_us']:.2f}", ""),
        ("  signals", f"{one['fit_us']:.2f}", ""),
        ("decoding alone", f"{parts['decode_us']:.3f}", ""),
        ("kernel alone", f"{parts['kernel_us']:.3f}", ""),
        ("  of it taking in", f"{parts['take_in_us']:.3f}", ""),
        ("floor: file and image read once", f"{low['read_us']:.3f}", ""),
        ("floor: projections at the peak rate", f"{low['project_us']:.3f}", ""),
    ]
    shown = aligned(("stage", "us per bead and flow", "times as fast as the original"), rows)
    return [
        *shown,
        "",
        f"start-up {one['startup_cpu_s']:.2f} s; memory {one['peak_mb'][1]:.0f} MB with one thread, "
        f"{one['peak_mb'][2]:.0f} MB with two; two threads {one['speed_up']:.2f} times as fast as one "
        f"({one['wall_s'][1]:.2f} s and {one['wall_s'][2]:.2f} s), where two processes that only count get "
        f"{min(one['gain_of_two']):.2f} to {max(one['gain_of_two']):.2f} times as much done as one",
    ]


if __name__ == "__main__":
    sys.exit(main())
