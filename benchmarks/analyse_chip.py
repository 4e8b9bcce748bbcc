"""Find beads and fit signals of one run in this process: ``python -m benchmarks.analyse_chip RUN OUT THREADS``.

Prints as JSON what that took, start-up (imports, and a few wells analysed to warm up) apart.
"""

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

from ionanalysis.io.mask import WellFlag
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals
from ionanalysis.sigproc.stage import run_beadfind, run_signals

_WARM = slice(0, 24), slice(0, 24)


def main(argv):
    run, out_dir, n_threads = open_run(argv[0]), Path(argv[1]), int(argv[2])
    fit_signals(run, _WARM, mask=find_beads(run, _WARM, n_threads=1), n_threads=1)
    startup_s = time.process_time()
    marks = [(time.perf_counter(), time.process_time())]
    beads = run_beadfind(run, out_dir, n_threads=n_threads)
    marks.append((time.perf_counter(), time.process_time()))
    run_signals(run, out_dir, n_threads=n_threads, beads=beads)
    marks.append((time.perf_counter(), time.process_time()))
    (find_wall, find_cpu), (fit_wall, fit_cpu) = (
        (after[0] - before[0], after[1] - before[1]) for before, after in pairwise(marks)
    )
    figures = {
        "n_beads": beads.mask.count(WellFlag.LIVE),
        "n_flows": run.n_flows,
        "startup_cpu_s": startup_s,
        "find_cpu_s": find_cpu,
        "fit_cpu_s": fit_cpu,
        "wall_s": find_wall + fit_wall,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
