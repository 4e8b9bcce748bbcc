"""The whole pipeline from raw images to the report, stage by stage: ``python -m benchmarks.pipeline``.

A raw chip is simulated and analysed against its reference, cut into blocks, by one worker process of one thread and
by several. Wall-clock and CPU time of each stage are told, and the most memory of the main process and of a worker;
a second chip of the same blocks shows whether a worker's memory depends on the chip, another cut of it how it grows
with the block. ``--page FIGURES.json`` writes the tables of docs/cluster.md from such figures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cluster_page import write_page
from benchmarks.machine import add_output_dir, save_figures
from benchmarks.tables import aligned

SEED = 66_001
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.1
_STARTS = re.compile(r"(\w+): starts")


def main(argv=None):
    args = _parser().parse_args(argv)
    if args.page:
        write_page(json.loads(args.page.read_text()))
        return 0
    started = datetime.now(UTC)
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        chip = simulated(Path(scratch), args.side, args.flows)
        block = args.side // 2
        for n_workers in args.workers:
            runs.append(analysed(chip, Path(scratch, "out"), args.side, args.flows, block, n_workers))
        runs.append(analysed(chip, Path(scratch, "out"), args.side, args.flows, block // 2, 1))
        small = simulated(Path(scratch), block, args.flows)
        runs.append(analysed(small, Path(scratch, "out"), block, args.flows, block // 2, 1))
    print(*table(runs), sep="\n")
    save_figures(args.output_dir, "pipeline-", started, {"load": os.getloadavg()[2], "runs": runs})
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.pipeline", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--side", type=int, default=200, help="rows and columns of the chip [%(default)s]")
    parser.add_argument("--flows", type=int, default=400, help="[%(default)s]")
    parser.add_argument("--workers", type=_numbers, default=(1, 2), metavar="N,...", help="worker processes [1,2]")
    parser.add_argument("--page", type=Path, metavar="FIGURES.json", help="measure nothing: write docs/cluster.md")
    return parser


def _numbers(text):
    return tuple(map(int, text.split(",")))


def simulated(folder, side, flows):
    from ionanalysis.simulate import simulate

    run_dir = folder / f"chip{side}"
    simulate(path=run_dir, size=(side, side), flows=flows, seed=SEED, level="dat")
    return run_dir


def analysed(run_dir, out, side, flows, block, n_workers):
    """Figures of one call of ``ionanalysis run``."""
    command = [
        *(sys.executable, "-c", "import sys; from ionanalysis.cli.main import main; sys.exit(main())"),
        *("run", str(run_dir), "-o", str(out), "--from", "beadfind", "--reference", str(run_dir / "reference.fasta")),
        *("--executor", f"processes:{n_workers}", "--threads", "1", "--blocks", f"{block}x{block}", "--json"),
    ]
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile("w+") as answer,
        subprocess.Popen(command, env=os.environ | single, stdout=answer, stderr=subprocess.PIPE, text=True) as process,
        _Watch(process.pid) as watch,
    ):
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := _STARTS.match(line):
                watch.stage(found[1])
        watch.stage(None)
        if process.wait():
            raise SystemExit(f"the run of {run_dir} failed:\n{''.join(said[-20:])}")
        answer.seek(0)
        told = json.load(answer)
    return {
        "side": side, "flows": flows, "block": block, "workers": n_workers, "reads": told["reads"],
        "stages": watch.stages, "main_mb": watch.peak_main_mb, "worker_mb": watch.peak_worker_mb,
        "raw_bytes": _bytes_of(run_dir.glob("*.dat")),
        "result_bytes": _bytes_of(path for path in out.rglob("*") if path.is_file() and not path.is_symlink()),
    }  # fmt: skip


def _bytes_of(paths):
    return sum(path.stat().st_size for path in paths)


class _Watch:
    """CPU time and memory of a process and of its children, by stage."""

    def __init__(self, pid):
        self._pid = pid
        self._over = threading.Event()
        self._now = None
        self.stages: dict[str, dict[str, float]] = {}
        self.peak_main_mb = self.peak_worker_mb = 0.0

    def __enter__(self):
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def stage(self, name):
        """A stage starts, or with None the last one has ended."""
        cpu, wall = self._cpu_seconds(), time.monotonic()
        if self._now is not None:
            former, cpu_before, wall_before = self._now
            self.stages[former] = {"wall_s": wall - wall_before, "cpu_s": cpu - cpu_before}
        self._now = (name, cpu, wall)

    def _sample(self):
        while not self._over.wait(_SAMPLE_S):
            self.peak_main_mb = max(self.peak_main_mb, _peak_mb(self._pid))
            for child in _children(self._pid):
                self.peak_worker_mb = max(self.peak_worker_mb, _peak_mb(child))

    def _cpu_seconds(self):
        """Of the process, of those it has waited for, and of those that run."""
        own = _cpu_ticks(self._pid)
        return (sum(own) + sum(sum(_cpu_ticks(child)) for child in _children(self._pid))) / _TICKS_PER_S


def _children(pid):
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def _cpu_ticks(pid):
    try:
        # Behind the name, which may hold anything: utime, stime, cutime, cstime are fields 14 to 17.
        return [int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    except OSError:
        return [0]


def _peak_mb(pid):
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def table(runs):
    """Lines of a table of stages; columns are runs."""
    header = ("", *(f"{r['side']}², {r['flows']} flows, blocks {r['block']}², {r['workers']} workers" for r in runs))
    rows = [
        (name, *(f"{r['stages'][name]['wall_s']:.1f} s, CPU {r['stages'][name]['cpu_s']:.1f} s" for r in runs))
        for name in runs[0]["stages"]
    ]
    rows.append(("all", *(f"{sum(stage['wall_s'] for stage in r['stages'].values()):.1f} s" for r in runs)))
    rows.append(("peak MB, main", *(f"{r['main_mb']:.0f}" for r in runs)))
    rows.append(("peak MB, worker", *(f"{r['worker_mb']:.0f}" for r in runs)))
    return aligned(header, rows)


if __name__ == "__main__":
    sys.exit(main())
