"""`justBeadFind` and `Analysis`: raw images to masks and wells, with the original's options."""

import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.legacy.analysis_flags import ANALYSIS_FLAGS
from ionanalysis.cli.legacy.args_json import flag_values, flattened, load_arguments, preset
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.program import Program
from ionanalysis.cli.progress import open_progress
from ionanalysis.errors import ChecksumError, InputError, NoLiveBeadsError, OutputError, UsageError
from ionanalysis.io.atomic import whole_file
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions

CLASSES = (BeadfindOptions, SignalOptions)


def main_beadfind(argv=None):
    """Entry point of `justBeadFind`."""
    usage = "justBeadFind [options] --output-dir DIR RAW_DIR"
    return Program("justBeadFind", usage, ANALYSIS_FLAGS, CLASSES, _find_beads, exit_code)(argv)


def main_analysis(argv=None):
    """Entry point of `Analysis`."""
    usage = "Analysis --args-json FILE [options] --output-dir DIR RAW_DIR"
    return Program("Analysis", usage, ANALYSIS_FLAGS, CLASSES, _analyse, exit_code)(argv)


def exit_code(error):
    """2 for a checksum error, 3 for a chip without live beads, 1 for all else (plugin.md 1.3)."""
    if isinstance(error, ChecksumError):
        return 2
    return 3 if isinstance(error, NoLiveBeadsError) else 1


def _find_beads(values, words, note):
    job = _Job(values, words, note)
    with job.progress() as progress:
        job.find_beads(progress)


def _analyse(values, words, note):
    job = _Job(values, words, note)
    with job.progress() as progress:
        if job.needs_beadfind():
            job.find_beads(progress)
        if not job.arguments.get("beadfind_only"):
            job.fit_signals(progress)


class _Job:
    """One call of either program: its run, its options, its output directory."""

    def __init__(self, values, words, note):
        self.note = note
        if len(words) != 1:
            raise UsageError(f"expected one raw directory, got {len(words)} ({', '.join(words) or 'none'}).")
        self.run = _opened(Path(words[0]), values)
        merged = self._with_files(values)
        self.effects = apply_flags(ANALYSIS_FLAGS, merged, CLASSES, _CONVERTERS, said=values)
        for text in self.effects.notes:
            note(text)
        self.arguments = self.effects.arguments
        self.out_dir = Path(self.arguments.get("output_dir", "."))
        try:
            self.out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.out_dir}: cannot be made ({error.strerror}); choose another place.") from error
        self.n_threads = self.arguments.get("n_threads") or len(os.sched_getaffinity(0))

    def progress(self):
        return _JobProgress()

    def needs_beadfind(self):
        """Whether beads are to be found first: when told so, or when there is no mask yet."""
        if self.arguments.get("use_beadmask"):
            _copy_mask(Path(self.arguments["use_beadmask"]), self.out_dir)
            return False
        if not self.arguments.get("from_beadfind", True):
            return True
        if (self.out_dir / "bfmask.bin").exists():
            return False
        self.note(f"{self.out_dir} has no bfmask.bin yet; beads are found first.")
        return True

    def find_beads(self, progress):
        from ionanalysis.sigproc.stage import run_beadfind

        options = self.effects.option(BeadfindOptions)
        run_beadfind(self.run, self.out_dir, options, self.n_threads, progress.stage("beadfind"))

    def fit_signals(self, progress):
        from ionanalysis.sigproc.stage import run_signals

        options = self.effects.option(SignalOptions)
        run_signals(self.run, self.out_dir, options, self.n_threads, progress.stage("sigproc"))

    def _with_files(self, values):
        """Values of the argument files below those of the command line; our preset where no file is named."""
        paths = [values[name] for name in ("args-beadfind-json", "args-json") if name in values]
        files = [(path, load_arguments(path, self.note)) for path in paths]
        if not files:
            self.note(f"no --args-json; our preset for chip {self.run.chip or 'unknown'} is used.")
            files = [("preset", _preset_of(self.run.chip))]
        merged: dict = {}
        for source, content in files:
            entries, unknown = flag_values(ANALYSIS_FLAGS, flattened(content, bool(values.get("thumbnail"))), source)
            merged |= entries
            if unknown:
                self.note(f"{source}: entries unknown here have no effect: {', '.join(unknown)}.")
        return merged | values


class _JobProgress:
    """Progress by stage, as the stage functions call it."""

    def __enter__(self):
        self._interrupts = terminated_as_interrupt()
        self._interrupts.__enter__()
        self._progress = open_progress().__enter__()
        return self

    def __exit__(self, *error):
        self._progress.__exit__(*error)
        self._interrupts.__exit__(*error)

    def stage(self, name):
        return lambda done, total: self._progress(name, done, total)


def _opened(raw_dir, values):
    from ionanalysis.run import open_run

    if not raw_dir.is_dir():
        raise InputError(f"{raw_dir}: there is no such directory; name a run directory.")
    run = open_run(
        raw_dir,
        flow_order=values.get("flow-order"),
        library_key=values.get("librarykey"),
        **({"tf_key": values["tfkey"]} if "tfkey" in values else {}),
    )
    limit = values.get("flowlimit") or run.n_flows
    run = replace(run, flow_order=run.flow_order.limited(limit))
    if run.is_composite:
        raise InputError(f"{raw_dir}: holds a chip cut into blocks; call the program once per block directory.")
    run.expect_flows()
    return run


def _preset_of(chip):
    try:
        return preset(chip)
    except UsageError:
        # A chip that nobody knows is treated as the code treats any: with the options' own defaults.
        return {}


def _square(size):
    """Side of the square region with about the area of `size`, columns and rows."""
    return round(math.sqrt(size[0] * size[1]))


def _pixel_gain(wanted):
    """Pixels are corrected as the chip needs it, or not at all."""
    return "chip" if wanted else "none"


_CONVERTERS = {
    "region-size": _square,
    "img-gain-correct": _pixel_gain,
    "bkg-debug-param": lambda level: level > 0,
}


def _copy_mask(path, out_dir):
    if not path.is_file():
        raise InputError(f"--use-beadmask {path}: there is no such file.")
    if path.resolve() != (out_dir / "bfmask.bin").resolve():
        with whole_file(out_dir / "bfmask.bin") as temporary:
            shutil.copyfile(path, temporary)
