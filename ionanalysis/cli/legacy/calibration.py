"""`Calibration`: reads of a training call to `Calibration.json`, with the original's options."""

import shlex
from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.legacy.calibration_flags import CALIBRATION_FLAGS
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.program import Program
from ionanalysis.cli.progress import open_progress
from ionanalysis.errors import UsageError
from ionanalysis.options.calibration import CalibrationFitOptions

CLASSES = (CalibrationFitOptions,)


def main(argv=None):
    """Entry point of `Calibration`."""
    usage = "Calibration [options] -i BAM[,BAM...] -o DIR"
    return Program("Calibration", usage, CALIBRATION_FLAGS, CLASSES, _calibrate, lambda error: 1)(argv)


def _calibrate(values, words, note):
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.calibration.learn import run_calibration

    if words:
        raise UsageError(f"{words[0]!r} belongs to no option; --help lists the options.")
    effects = apply_flags(CALIBRATION_FLAGS, values, CLASSES)
    for text in effects.notes:
        note(text)
    asked = effects.arguments
    if not asked.get("input"):
        raise UsageError("no reads are given; name BAM files of a training call with -i.")
    col, row = asked.get("block_offset", (0, 0))
    n_threads = asked.get("n_threads")
    if n_threads is not None and n_threads < 1:
        raise UsageError(f"--num-threads {n_threads}: must be 1 or more.")
    reference = asked.get("reference")
    with terminated_as_interrupt(), open_progress() as progress:
        learnt = run_calibration(
            [Path(path) for path in asked["input"]],
            asked.get("output_dir", "."),
            effects.option(CalibrationFitOptions),
            offset=(row, col),
            size=asked["block_size"][::-1] if "block_size" in asked else None,
            index=ReferenceIndex.of(reference) if reference else None,
            n_threads=n_threads,
            command_line=shlex.join(["Calibration", *(f"--{name}={_written(values[name])}" for name in values)]),
            progress=lambda done, total: progress("calibration", done, total),
            note=note,
        )
    note(f"{learnt.n_useful} of {learnt.counts.in_file} reads counted, {learnt.n_off} did not fit their reference.")


def _written(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
