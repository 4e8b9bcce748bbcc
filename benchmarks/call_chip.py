"""Base calling of one run directory in a process of its own: ``python -m benchmarks.call_chip RUN_DIR OUT_DIR ...``.

Imports what base calling needs and nothing more, so that the CPU time of the process is that of the program. Prints a
JSON object: CF, IE and DR used (`phase`), seconds without start-up (`wall_s`), most memory held (`peak_mb`).
"""

import json
import sys
import time
from pathlib import Path


def call(run_dir, out_dir, n_threads=1, *rates):
    """The base-calling stage, with the phase estimated or with CF, IE, DR given; what `main` prints."""
    from benchmarks.measure import peak_mb
    from ionanalysis.basecaller import PhaseEstimate
    from ionanalysis.basecaller.stage import BasecallerInputs, run_basecaller
    from ionanalysis.executors import open_executor
    from ionanalysis.io.mask import read_mask

    mask = Path(run_dir) / "analysis.bfmask.bin"
    inputs = BasecallerInputs(wells=Path(run_dir) / "1.wells", mask=mask, run_id="BENCH")
    phase = PhaseEstimate.uniform(*map(float, rates), read_mask(mask).shape) if rates else None
    started = time.perf_counter()
    with open_executor("threads", int(n_threads)) as executor:
        result = run_basecaller(inputs, out_dir, executor=executor, phase=phase)
    return {
        "phase": [result.phase.cf, result.phase.ie, result.phase.dr],
        "n_reads": int(result.tally.library.reads.sum()),
        "wall_s": time.perf_counter() - started,
        "peak_mb": peak_mb(),
    }


def main(arguments):
    print(json.dumps(call(*arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
