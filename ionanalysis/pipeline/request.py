"""What a user asks of the pipeline, and what the stages get to see."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from ionanalysis.errors import UsageError
from ionanalysis.io.barcode_set import BarcodeSet
from ionanalysis.options.base import Options
from ionanalysis.options.calibration import ReferenceOptions
from ionanalysis.pipeline.blocks import BlockPlan
from ionanalysis.pipeline.references import RunReferences
from ionanalysis.pipeline.run_plugins import RunPlugins
from ionanalysis.plugin.ion_params import RunFacts
from ionanalysis.run import Patience


@dataclass(frozen=True, kw_only=True)
class PipelineRequest:
    """One call of the pipeline."""

    run_dir: Path
    """Raw run, a directory with wells and mask, or a former result."""
    result_dir: Path
    first: str = "beadfind"
    last: str = "plugins"
    remake: bool = False
    """Start at `first` even where that replaces a finished result."""
    resume: bool = False
    """Skip stages whose outputs are whole and were made with the same inputs and options."""
    executor: str = "threads"
    """Where blocks of work run (`ionanalysis.executors.open_executor`, `ionanalysis.queue_workers`)."""
    n_threads: int | None = None
    run_id: str | None = None
    """Five characters that reads are named after; from the raw data by default."""
    block_size: tuple[int, int] | None = None
    """Rows and columns of the blocks that a chip with one set of images is cut into; by default it is not."""
    follow_limit_s: float | None = None
    """For a run that is still being written: the longest time between two images."""
    barcodes: str | None = None
    """Name of a shipped barcode set, or path of a CSV file; `none` for no set. By default that of a former result."""
    options: tuple[Options, ...] = ()
    """Options of the stages; classes that are not among them have their defaults."""
    command_line: str = ""
    """Recorded in `run.json`."""

    def option(self, cls):
        """The options of class `cls`: those given, else the defaults."""
        return next((given for given in self.options if isinstance(given, cls)), None) or cls()


def stage_range(names, first, last):
    """The stages from `first` to `last`.

    Raises
    ------
    UsageError
        If a name is not among `names`, or they come in the wrong order.
    """
    for name in (first, last):
        if name not in names:
            raise UsageError(f"stage {name!r} is unknown; stages are {', '.join(names)}.")
    chosen = names[names.index(first) : names.index(last) + 1]
    if not chosen:
        raise UsageError(f"--from {first} --to {last}: {last} comes before {first}; stages are {', '.join(names)}.")
    return chosen


@dataclass(frozen=True)
class StageContext:
    """All that a stage gets to see."""

    request: PipelineRequest
    facts: RunFacts
    barcode_set: BarcodeSet | None
    n_threads: int
    progress: Callable[[int, int], None]
    """``progress(done, total)``."""
    note: Callable[[str], None]
    """Gets a sentence where something is worth knowing."""
    patience: Patience | None = None
    """Given for a run that is still being written."""
    blocks: BlockPlan | None = None
    """Given for chips that are cut into blocks."""
    options: dict = field(default_factory=dict)
    """Options of the stage as plain values, with checksums of the files that they name."""
    executor: str | Executor = "threads"
    """Where blocks of this stage run: the word of the request, or workers of a queue."""
    plugins: RunPlugins | None = None
    """Those that the run was asked for; told of each block that is done."""

    @property
    def result_dir(self):
        return self.request.result_dir

    @property
    def sigproc_dir(self):
        return self.result_dir / "sigproc_results"

    @property
    def basecaller_dir(self):
        return self.result_dir / "basecaller_results"

    @property
    def mask_path(self):
        """The mask that knows most: after signal fitting, else after bead finding."""
        fitted = self.sigproc_dir / "analysis.bfmask.bin"
        return fitted if fitted.exists() else self.sigproc_dir / "bfmask.bin"

    @property
    def references(self):
        """Genomes that reads are compared with."""
        return RunReferences.of_options(self.option(ReferenceOptions))

    def option(self, cls):
        """Options of class `cls`, as asked for."""
        return self.request.option(cls)
