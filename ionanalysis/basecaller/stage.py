"""The base-calling stage: wells and mask in; BAM files, metrics and masks out (basecaller.md 2.1, 8)."""

import platform
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from ionanalysis import __version__
from ionanalysis.basecaller import run_files
from ionanalysis.basecaller.adapter import check_adapter
from ionanalysis.basecaller.bam_files import BamFiles, HeaderFacts
from ionanalysis.basecaller.barcodes import barcode_templates, template_signals
from ionanalysis.basecaller.calling import estimate_phase
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.clonal import model_of
from ionanalysis.basecaller.datasets import library_dataset, read_datasets, tf_dataset
from ionanalysis.basecaller.finish import FinishPlan
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.plan import complete_plan
from ionanalysis.basecaller.region import (
    LIBRARY,
    NOT_READ,
    TF,
    TRIMMED,
    UNTRIMMED,
    CallJob,
    Region,
    call_region,
)
from ionanalysis.basecaller.tally import Tally
from ionanalysis.basecaller.verdicts import MASK_FLAGS, Verdict
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, OutputError
from ionanalysis.executors import map_blocks, open_executor
from ionanalysis.flows import LIBRARY_KEY, TF_KEY, FlowOrder
from ionanalysis.io.jsonfile import write_json
from ionanalysis.io.mask import NO_READ, Mask, WellFlag, read_mask, write_barcode_mask, write_mask
from ionanalysis.io.read_names import named_wells
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.wells import is_hdf5, open_wells

_SAMPLE_SEED = 1


@dataclass(frozen=True, kw_only=True)
class BasecallerInputs:
    """Where the signals of a block are, and what is known of its run.

    `datasets` is the path of a dataset file; without one, all library reads go to ``rawlib``. `offset` is
    the block's first (row, col) on the chip. `run_date` (ISO) stands in the BAM headers; without one, the
    time at which the wells file was written.
    """

    wells: Path
    mask: Path
    run_id: str
    library_key: str = LIBRARY_KEY
    tf_key: str = TF_KEY
    flow_cycle: str = ""
    datasets: Path | None = None
    offset: tuple[int, int] = (0, 0)
    run_date: str = ""


@dataclass(frozen=True, kw_only=True)
class BasecallerOptions:
    """The options of every part of base calling."""

    stage: StageOptions = field(default_factory=StageOptions)
    phase: PhaseOptions = field(default_factory=PhaseOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)
    filters: FilterOptions = field(default_factory=FilterOptions)
    trims: TrimOptions = field(default_factory=TrimOptions)
    barcodes: BarcodeOptions = field(default_factory=BarcodeOptions)
    clonality: ClonalityOptions = field(default_factory=ClonalityOptions)
    flow_tags: FlowTagOptions = field(default_factory=FlowTagOptions)


@dataclass(frozen=True, eq=False)
class BasecallerResult:
    """What a run of the stage gave: counts, and the phase it used.

    `bams` are the paths of the main BAM files with at least one read.
    """

    output_dir: Path
    tally: Tally
    phase: PhaseEstimate
    bams: tuple[Path, ...]

    def __repr__(self):
        reads, bases = int(self.tally.library.reads.sum()), int(self.tally.library.bases.sum())
        return f"BasecallerResult({reads} library reads, {bases} bases, in {self.output_dir})"


def run_basecaller(
    inputs,
    output_dir,
    options=None,
    *,
    executor=None,
    phase=None,
    command_line="",
    version="",
    progress=None,
    note=None,
):
    """Call the bases of a block and write all files of ``basecaller_results``.

    Parameters
    ----------
    inputs : BasecallerInputs
    output_dir : path
        Made if missing.
    options : BasecallerOptions, optional
    executor : concurrent.futures.Executor, optional
        Where regions are called; all cores by default.
    phase : PhaseEstimate, optional
        CF, IE, DR to use; estimated from the wells by default.
    command_line : str
        For the @PG line and BaseCaller.json.
    version : str
        The same; of this package by default.
    progress : callable, optional
        Called with (regions done, regions in all).
    note : callable, optional
        Gets a sentence where something is worth knowing.

    Returns
    -------
    BasecallerResult

    Raises
    ------
    InputError
        If an input is missing or damaged, or inputs do not fit together, or no signal is a finite number.
    OutputError
        If a file cannot be written. No half-written file is left.

    Notes
    -----
    Regions are called in parallel and written in scan order, wells row by row: the files are the same
    bytes for any executor, but for recorded times, host and number of workers in the JSON files.
    """
    if executor is None:
        with open_executor() as own:
            return run_basecaller(
                inputs,
                output_dir,
                options,
                executor=own,
                phase=phase,
                command_line=command_line,
                version=version,
                progress=progress,
                note=note,
            )
    started = datetime.now().astimezone()
    options, output_dir = options or BasecallerOptions(), Path(output_dir)
    wells, mask = open_inputs(inputs)
    _make_folders(output_dir)
    write_json(output_dir / "progress_basecaller.json", {"percent_complete": 0})
    flow_order = _flow_order(wells, options.stage)
    if phase is None:
        phase = estimate_phase(
            wells,
            mask,
            options=options.phase,
            key=inputs.library_key,
            n_threads=getattr(executor, "_max_workers", None),
        )
    plan = _plan(inputs, options, flow_order, phase)
    job = CallJob(
        wells,
        plan,
        phase,
        options.solver,
        options.stage,
        inputs.run_id,
        inputs.offset,
        options.clonality,
        model_of(wells, mask, inputs, options, flow_order, output_dir),
        options.flow_tags,
    )
    facts = HeaderFacts(
        flow_order.letters,
        inputs.run_id,
        inputs.run_date or _written(inputs.wells),
        version or __version__,
        command_line,
        options.trims.trim_adapter,
    )
    called = _called_wells(mask, inputs, options.stage)
    run = _Run(inputs, output_dir, options, job, facts, _sample(called, options.stage), mask, called, started)
    tally, verdicts, barcodes = run.call(executor, progress)
    if tally.n_bad_values and note:
        note(f"{inputs.wells}: {tally.n_bad_values} signals of {tally.n_values} are no finite numbers; taken as 0.")
    run.write(tally, verdicts, barcodes, n_workers=getattr(executor, "_max_workers", 1))
    bams = tuple(
        output_dir / dataset.bam_name
        for dataset in (*plan.library.datasets, *tf_dataset(inputs.run_id).datasets)
        if (output_dir / dataset.bam_name).exists()
    )
    return BasecallerResult(output_dir, tally, phase, bams)


def open_inputs(inputs):
    """The wells and the mask of `BasecallerInputs`, checked against each other.

    Raises
    ------
    InputError
        If one is missing or damaged, or their sizes differ.
    """
    mask = read_mask(inputs.mask)
    # Only legacy files need to keep the mask.
    wells = open_wells(inputs.wells, mask)
    if is_hdf5(inputs.wells):
        wells = open_wells(inputs.wells)
    if inputs.flow_cycle:
        # The user knows better than the file; phase estimation takes the order from here.
        wells.flow_order = FlowOrder(inputs.flow_cycle, wells.shape[2])
    return wells, mask


def _written(path):
    """When a file was written, UTC: the same in every run on the same input."""
    return datetime.fromtimestamp(int(Path(path).stat().st_mtime), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _make_folders(output_dir):
    try:
        for folder in ("", "unfiltered.untrimmed", "unfiltered.trimmed"):
            (output_dir / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output_dir}: cannot be made ({error.strerror}); choose another place.") from error


def _flow_order(wells, stage):
    n_flows = min(wells.shape[2], stage.flowlimit or wells.shape[2])
    return wells.flow_order.limited(n_flows)


def _plan(inputs, options, flow_order, phase):
    for key in (inputs.library_key, inputs.tf_key):
        flow_order.key_flowgram(key)
    for adapter in (*options.trims.trim_adapter, *options.trims.trim_adapter_tf):
        check_adapter(adapter)
    library = read_datasets(inputs.datasets) if inputs.datasets else library_dataset(inputs.run_id)
    templates = signals = None
    if library.barcoded:
        groups = [library.groups[number] for number in library.barcoded]
        templates = barcode_templates(
            inputs.library_key,
            [(group.barcode, group.adapter) for group in groups],
            flow_order,
            ignored=options.barcodes.barcode_ignore_flows,
        )
        droop = 0.0 if options.barcodes.barcode_skip_droop else phase.dr
        signals = template_signals(templates, flow_order, phase.cf, phase.ie, droop)
    return complete_plan(
        FinishPlan(
            flow_order,
            inputs.library_key,
            inputs.tf_key,
            library,
            templates,
            signals,
            options.filters,
            options.trims,
            options.barcodes,
        )
    )


def _called_wells(mask, inputs, stage):
    """The mask, without live wells that are not to be called."""
    if not stage.read_names:
        return mask
    wanted = named_wells(stage.read_names, mask.shape, inputs.offset)
    return Mask(np.where(wanted, mask.flags, mask.flags & np.uint16(~WellFlag.LIVE & 0xFFFF)))


def _sample(mask, stage):
    """Library wells of the unfiltered sets, bool of the chip's shape: the same for any cut into regions."""
    library = np.flatnonzero(read_classes(mask, ignore_washouts=stage.ignore_washouts).library)
    sampled = np.zeros(mask.shape, bool)
    if len(library) > stage.num_unfiltered:
        library = np.random.default_rng(_SAMPLE_SEED).choice(library, stage.num_unfiltered, replace=False)
    sampled.flat[library] = True
    return sampled


@dataclass(frozen=True, eq=False)
class _Run:
    """One run of the stage: what it knows, and its two halves, calling and writing."""

    inputs: BasecallerInputs
    output_dir: Path
    options: BasecallerOptions
    job: CallJob
    facts: HeaderFacts
    sampled: np.ndarray
    mask: Mask
    called: Mask
    started: datetime

    def call(self, executor, progress):
        """Call all regions and write the BAM files; the counts, verdicts and barcodes of the block."""
        stage, plan = self.options.stage, self.job.plan
        blocks = Block(0, 0, *self.mask.shape).tiles(stage.region_rows, stage.region_cols)
        regions = (Region(block, self.called.flags[block.slices], self.sampled[block.slices]) for block in blocks)
        tally = Tally.empty(plan)
        verdicts = np.full(self.mask.shape, NOT_READ, np.int8)
        barcodes = np.full(self.mask.shape, NO_READ, np.uint16)
        with ExitStack() as stack:
            families = self._families(stack)
            for done, part in enumerate(map_blocks(executor, partial(call_region, self.job), regions), 1):
                tally.add(part.tally)
                verdicts[part.block.slices], barcodes[part.block.slices] = part.verdicts, part.barcodes
                for (family, dataset), records in part.records.items():
                    families[family].write(dataset, records)
                if progress:
                    progress(done, len(blocks))
            if 0 < tally.n_values == tally.n_bad_values:
                # Inside, so that the BAM files that were begun are taken back.
                raise InputError(
                    f"{self.inputs.wells}: none of the {tally.n_values} signals of its reads is a finite number; "
                    "make or copy the wells again."
                )
        return tally, verdicts, barcodes

    def _families(self, stack):
        library, tf = self.job.plan.library, tf_dataset(self.inputs.run_id)
        cut = self.options.trims.trim_barcodes
        places = {
            LIBRARY: (self.output_dir, library, self.inputs.library_key),
            TF: (self.output_dir, tf, self.inputs.tf_key),
            TRIMMED: (self.output_dir / "unfiltered.trimmed", library, self.inputs.library_key),
            UNTRIMMED: (self.output_dir / "unfiltered.untrimmed", library, self.inputs.library_key),
        }
        return {
            family: stack.enter_context(
                BamFiles(folder, datasets, key, self.facts, trimmed=cut, plan=None if family == TF else self.job.plan)
            )
            for family, (folder, datasets, key) in places.items()
        }

    def write(self, tally, verdicts, barcodes, n_workers):
        """Write everything but the BAM files."""
        folder, plan = self.output_dir, self.job.plan
        date = self.started.strftime("%Y-%m-%dT%H:%M:%S")
        write_json(
            folder / "datasets_basecaller.json",
            run_files.datasets_json(plan.library, tally.library, date, plan=plan, tally=tally, with_filters=True),
        )
        tf = run_files.datasets_json(tf_dataset(self.inputs.run_id), tally.tf, date)
        write_json(folder / "datasets_tf.json", tf)
        run_files.write_barcode_filter(folder / "barcodeFilter.txt", plan, tally)
        run_files.write_end_barcode_counts(folder / "EndBarcodeReadCounts.csv", plan, tally)
        final = self._final_flags(verdicts)
        write_mask(folder / "basecaller.bfmask.bin", Mask(final))
        write_barcode_mask(folder / "barcodeMask.bin", barcodes)
        for name, counts in (("unfiltered.trimmed", tally.trimmed), ("unfiltered.untrimmed", tally.untrimmed)):
            content = run_files.datasets_json(plan.library, counts, date, plan=plan, tally=tally)
            write_json(folder / name / "datasets_basecaller.json", content)
            run_files.write_filter_status(
                folder / name / "filterStatus.txt",
                np.nonzero(self.sampled),
                final,
                WellFlag.FILTERED_BAD_RESIDUAL,
                WellFlag.KEYPASS,
            )
        write_json(folder / "BaseCaller.json", self._summary(tally, n_workers))
        write_json(folder / "progress_basecaller.json", {"percent_complete": 100})

    def _final_flags(self, verdicts):
        """The mask with the five bits of base calling set anew."""
        new = np.zeros(len(Verdict) + 1, np.uint16)
        for verdict, flag in MASK_FLAGS.items():
            new[verdict] = flag
        # Index -1, wells that are no reads, is the last entry: no bit.
        return (self.mask.flags & np.uint16(~WellFlag.BASECALLER & 0xFFFF)) | new[verdicts]

    def _summary(self, tally, n_workers):
        filtering, beads = run_files.filtering_section(tally, self.job.plan)
        return {
            "BaseCaller": self._about(n_workers),
            "BeadSummary": beads,
            "Filtering": filtering,
            "Phasing": self.job.phase.to_json(),
        }

    def _about(self, n_workers):
        inputs, flow_order = self.inputs, self.job.plan.flow_order
        ended = datetime.now().astimezone()
        n_rows, n_cols = self.mask.shape
        seconds = int((ended - self.started).total_seconds())
        chip = self.job.wells.chip or "unknown"
        return {
            "basecalling_duration": seconds,
            "block_col_offset": inputs.offset[1],
            "block_col_size": n_cols,
            "block_row_offset": inputs.offset[0],
            "block_row_size": n_rows,
            "build_number": "0",
            "chip_type": "p" + chip[1:] if chip.startswith("P") else chip,
            "command_line": self.facts.command_line,
            "dephaser": "ionanalysis",
            "end_time": ended.strftime("%Y-%m-%dT%H:%M:%S"),
            "filename_mask": [str(inputs.mask)],
            "filename_wells": [str(inputs.wells)],
            "flow_order": flow_order.letters,
            "git_hash": "",
            "host_name": platform.node(),
            "inline_control": False,
            "inline_control_reference": "",
            "input_dir": [str(Path(inputs.wells).parent)],
            "keynormalizer": self.options.solver.key_normalisation,
            "lib_key": inputs.library_key,
            "num_flows": len(flow_order),
            "num_threads": n_workers,
            "output_dir": str(self.output_dir),
            "run_id": inputs.run_id,
            "start_time": self.started.strftime("%Y-%m-%dT%H:%M:%S"),
            "tf_key": inputs.tf_key,
            "total_duration": seconds,
            "version": self.facts.version,
        }
