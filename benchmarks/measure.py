"""Measure one benchmark in this process and print what it took, as JSON: ``python -m benchmarks.measure``.

A process of its own for each, so that peak memory is that of the one stage and no cache of another helps.
"""

import argparse
import json
import re
import resource
import sys
import time
from importlib import import_module
from pathlib import Path


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help="MODULE:CLASS")
    parser.add_argument("params", type=json.loads, help="parameters as a JSON list")
    parser.add_argument("--least-seconds", type=float, default=1.0, help="repeat until so much time is measured [1]")
    args = parser.parse_args(argv)
    module, name = args.suite.split(":")
    print(json.dumps(measure(getattr(import_module(module), name)(), args.params, args.least_seconds)))
    return 0


def measure(suite, params, least_seconds=1.0, most_runs=5):
    """Wall-clock and CPU seconds of the fastest of some runs, and the memory of the whole process.

    Returns
    -------
    dict
        ``wall_s``, ``cpu_s`` (of all threads), ``n_runs``, ``n_items``, ``setup_mb`` and ``peak_mb`` (resident
        memory before and after).
    """
    suite.setup(*params)
    (method,) = (name for name in dir(suite) if name.startswith("time_"))
    run = getattr(suite, method)
    before = peak_mb()
    runs: list[tuple[float, float]] = []
    while not runs or (sum(wall for wall, _ in runs) < least_seconds and len(runs) < most_runs):
        wall, cpu = time.perf_counter(), time.process_time()
        run(*params)
        runs.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = min(runs)
    n_items = suite.n_items if hasattr(suite, "n_items") else suite.n_well_flows(params[0])
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "n_runs": len(runs),
        "n_items": n_items,
        "setup_mb": before,
        # The kernel's count of pages lags behind by some, so that its peak can seem to shrink.
        "peak_mb": max(before, peak_mb()),
    }


def peak_mb():
    """Most resident memory of this process so far, in MB.

    Linux lets a new process inherit the peak of the one that started it in `getrusage`; its own stands in /proc.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20), 1)
    return round(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / (1 << 10), 1)


if __name__ == "__main__":
    sys.exit(main())
