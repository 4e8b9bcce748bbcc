"""The base-calling stage: wells and mask in; BAM files, metrics and masks out (basecaller.md 2.1, 8)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import get_type_hints

import numpy as np

from ionanalysis import __version__
from ionanalysis.basecaller import run_files
from ionanalysis.basecaller.about import RunFacts
from ionanalysis.basecaller.adapter import check_adapter
from ionanalysis.basecaller.bam_files import BamFiles, HeaderFacts
from ionanalysis.basecaller.barcodes import barcode_templates, template_signals
from ionanalysis.basecaller.blocks import (
    TALLY_FILE,
    SharedByBlocks,
    join_block_bams,
    load_tally,
    paste_masks,
    save_tally,
)
from ionanalysis.basecaller.calibration import CallCalibration, load_calibration
from ionanalysis.basecaller.chip import OpenChip, open_chip
from ionanalysis.basecaller.datasets import library_dataset, read_datasets, tf_dataset
from ionanalysis.basecaller.finish import FinishPlan
from ionanalysis.basecaller.inputs import BasecallerInputs
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.plan import complete_plan
from ionanalysis.basecaller.region import LIBRARY, NOT_READ, TF, TRIMMED, UNTRIMMED, CallJob, call_region
from ionanalysis.basecaller.tally import Tally
from ionanalysis.basecaller.verdicts import MASK_FLAGS, Verdict
from ionanalysis.errors import InputError, OutputError
from ionanalysis.executors import map_blocks, open_executor
from ionanalysis.io.jsonfile import write_json
from ionanalysis.io.mask import NO_READ, Mask, WellFlag, write_barcode_mask, write_mask
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.options.calibration import CalibrationOptions
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.options.stage import StageOptions

__all__ = [
    "BasecallerInputs",
    "BasecallerOptions",
    "BasecallerResult",
    "merge_blocks",
    "run_basecaller",
    "run_phase_estimation",
]


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
    calibration: CalibrationOptions = field(default_factory=CalibrationOptions)

    @classmethod
    def from_classes(cls, option):
        """Built of what ``option(class)`` gives for the class of each part."""
        kinds = get_type_hints(cls)
        return cls(**{part.name: option(kinds[part.name]) for part in fields(cls)})


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
    shared=None,
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
        CF, IE, DR to use; as `options.phase` say by default.
    shared : SharedByBlocks, optional
        For one block of a chip: what it shares with the others, besides its counts, which are kept in ``tally.h5``
        for `merge_blocks`.
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
                shared=shared,
                command_line=command_line,
                version=version,
                progress=progress,
                note=note,
            )
    started = datetime.now().astimezone()
    options, output_dir = options or BasecallerOptions(), Path(output_dir)
    if options.stage.is_training:
        # Whoever learns from the reads must know where they begin: behind what headers and tags say was cut.
        options = replace(options, trims=replace(options.trims, trim_barcodes=True))
    chip = open_chip(inputs, options.stage)
    calibration = _calibration(inputs, options, chip)
    _make_folders(output_dir)
    write_json(output_dir / "progress_basecaller.json", {"percent_complete": 0})
    n_workers = getattr(executor, "_max_workers", None)
    if shared is None:
        shared = SharedByBlocks.of_chip(chip, options, output_dir, n_workers, phase)
        is_block = False
    else:
        chip, is_block = replace(chip, choice=shared.choice), True
    phase = shared.phase
    plan = _plan(inputs, options, chip.flow_order, phase)
    job = CallJob(
        chip.source,
        plan,
        phase,
        options.solver,
        options.stage,
        inputs.run_id,
        inputs.offset,
        options.clonality,
        shared.clonal_model,
        options.flow_tags,
        calibration,
    )
    facts = _facts(inputs, output_dir, options, chip, started, n_workers, command_line, version)
    run = _Run(facts, options, job, chip)
    tally, verdicts, barcodes = run.call(executor, progress)
    if tally.n_bad_values and note:
        names = ", ".join(map(str, inputs.wells_paths))
        note(f"{names}: {tally.n_bad_values} signals of {tally.n_values} are no finite numbers; taken as 0.")
    run.write(tally, run.final_flags(verdicts), barcodes)
    if is_block:
        save_tally(output_dir / TALLY_FILE, tally)
    return BasecallerResult(output_dir, tally, phase, run.written_bams())


def merge_blocks(inputs, blocks, output_dir, options, shared, *, n_workers=None, command_line="", version=""):
    """Put the results of blocks together: the files of ``basecaller_results`` of the whole chip.

    Parameters
    ----------
    inputs : BasecallerInputs
        Of the whole chip.
    blocks : dict of Block to path
        Folders that `run_basecaller` left, in the order in which their reads are written. Wells of other
        blocks have no reads.
    output_dir : path
    options : BasecallerOptions
        Those that the blocks were called with.
    shared : SharedByBlocks
        Of the whole chip.
    n_workers : int, optional
    command_line, version : str
        As in `run_basecaller`.

    Returns
    -------
    BasecallerResult

    Raises
    ------
    InputError, OutputError
        If a block's file is missing or damaged; if a file cannot be written.
    """
    started, output_dir = datetime.now().astimezone(), Path(output_dir)
    chip = open_chip(inputs, options.stage)
    _make_folders(output_dir)
    plan = _plan(inputs, options, chip.flow_order, shared.phase)
    calibration = _calibration(inputs, options, chip)
    job = CallJob(
        chip.source,
        plan,
        shared.phase,
        options.solver,
        options.stage,
        inputs.run_id,
        inputs.offset,
        calibration=calibration,
    )
    facts = _facts(inputs, output_dir, options, chip, started, n_workers, command_line, version)
    run = _Run(facts, options, job, chip)
    tally = Tally.empty(plan)
    for folder in blocks.values():
        tally.add(load_tally(folder / TALLY_FILE, Tally.empty(plan)))
    names = [dataset.bam_name for dataset in plan.library.datasets]
    unfiltered = [f"{folder}/{name}" for folder in ("unfiltered.trimmed", "unfiltered.untrimmed") for name in names]
    own = [dataset.bam_name for dataset in tf_dataset(inputs.run_id).datasets]
    join_block_bams(list(blocks.values()), output_dir, names + own + unfiltered)
    uncalled = run.final_flags(np.full(chip.mask.shape, NOT_READ, np.int8))
    run.write(tally, *paste_masks(blocks, chip.mask.shape, uncalled))
    return BasecallerResult(output_dir, tally, shared.phase, run.written_bams())


def run_phase_estimation(inputs, output_dir, options=None, *, n_threads=None, command_line="", version=""):
    """Estimate the phase of a block and write ``PhaseEstimates.json``, nothing else (basecaller.md 3.7).

    Parameters
    ----------
    inputs : BasecallerInputs
    output_dir : path
        Made if missing.
    options : BasecallerOptions, optional
    n_threads : int, optional
        All cores by default; the result does not depend on it.
    command_line, version : str
        As in `run_basecaller`.

    Returns
    -------
    PhaseEstimate

    Raises
    ------
    InputError, OutputError
        As `run_basecaller` does.
    """
    started = datetime.now().astimezone()
    options, output_dir = options or BasecallerOptions(), Path(output_dir)
    chip = open_chip(inputs, options.stage)
    phase = chip.phase(options.phase, n_threads)
    facts = _facts(inputs, output_dir, options, chip, started, n_threads, command_line, version)
    _make_folder(output_dir)
    write_json(output_dir / "PhaseEstimates.json", {"BaseCaller": facts.about()} | phase.sections())
    return phase


def _calibration(inputs, options, chip):
    models = load_calibration(options.calibration)
    if models is None:
        return None
    n_flows = (len(chip.flow_order), len(chip.source.parts[0].flow_order))
    return CallCalibration(models.linear, models.histogram, n_flows, inputs.offset, options.calibration)


def _facts(inputs, output_dir, options, chip, started, n_workers, command_line, version):
    return RunFacts(
        inputs=inputs,
        output_dir=output_dir,
        flow_order=chip.flow_order,
        chip=chip.source.chip,
        shape=chip.mask.shape,
        key_normalisation=options.solver.key_normalisation,
        started=started,
        n_workers=n_workers or 1,
        command_line=command_line,
        version=version or __version__,
    )


def _make_folders(output_dir):
    for folder in ("", "unfiltered.untrimmed", "unfiltered.trimmed"):
        _make_folder(output_dir / folder)


def _make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another place.") from error


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


@dataclass(frozen=True, eq=False)
class _Run:
    """One run of the stage: what it knows, and its two halves, calling and writing."""

    facts: RunFacts
    options: BasecallerOptions
    job: CallJob
    chip: OpenChip

    def call(self, executor, progress):
        """Call all regions and write the BAM files; the counts, verdicts and barcodes of the block."""
        regions, shape = self.chip.regions(), self.chip.mask.shape
        tally = Tally.empty(self.job.plan)
        # Of the whole block's shape, whatever part of it is called (13.6: the original's are not).
        verdicts = np.full(shape, NOT_READ, np.int8)
        barcodes = np.full(shape, NO_READ, np.uint16)
        with ExitStack() as stack:
            # Threads of the executor share the memory of the writers; other workers would have to be sent it.
            pool = executor if isinstance(executor, ThreadPoolExecutor) else None
            families = self._families(stack, pool)
            for done, part in enumerate(map_blocks(executor, partial(call_region, self.job), regions), 1):
                tally.add(part.tally)
                verdicts[part.block.slices], barcodes[part.block.slices] = part.verdicts, part.barcodes
                for (family, dataset), records in part.records.items():
                    families[family].write(dataset, records)
                if progress:
                    progress(done, len(regions))
            if 0 < tally.n_values <= tally.n_bad_values:
                # Inside, so that the BAM files that were begun are taken back.
                names = ", ".join(map(str, self.facts.inputs.wells_paths))
                raise InputError(
                    f"{names}: none of the {tally.n_values} signals of its reads is a finite number; "
                    "make or copy the wells again."
                )
        return tally, verdicts, barcodes

    def _families(self, stack, pool):
        facts, inputs, trims = self.facts, self.facts.inputs, self.options.trims
        library, tf = self.job.plan.library, tf_dataset(inputs.run_id)
        header = HeaderFacts(
            facts.flow_order.letters,
            inputs.run_id,
            inputs.date,
            facts.version,
            facts.command_line,
            trims.trim_adapter,
            None if self.job.calibration is None else self.job.calibration.linear,
        )
        places = {
            LIBRARY: (facts.output_dir, library, inputs.library_key),
            TF: (facts.output_dir, tf, inputs.tf_key),
            TRIMMED: (facts.output_dir / "unfiltered.trimmed", library, inputs.library_key),
            UNTRIMMED: (facts.output_dir / "unfiltered.untrimmed", library, inputs.library_key),
        }
        return {
            family: stack.enter_context(
                BamFiles(
                    folder,
                    datasets,
                    key,
                    header,
                    trimmed=trims.trim_barcodes,
                    plan=None if family == TF else self.job.plan,
                    pool=pool,
                )
            )
            for family, (folder, datasets, key) in places.items()
        }

    def written_bams(self):
        """Paths of the main BAM files with at least one read."""
        datasets = (*self.job.plan.library.datasets, *tf_dataset(self.facts.inputs.run_id).datasets)
        paths = (self.facts.output_dir / dataset.bam_name for dataset in datasets)
        return tuple(path for path in paths if path.exists())

    def write(self, tally, final, barcodes):
        """Write everything but the BAM files; `final` are the flags of `final_flags`."""
        folder, plan = self.facts.output_dir, self.job.plan
        date = self.facts.started.strftime("%Y-%m-%dT%H:%M:%S")
        write_json(
            folder / "datasets_basecaller.json",
            run_files.datasets_json(plan.library, tally.library, date, plan=plan, tally=tally, with_filters=True),
        )
        tf = run_files.datasets_json(tf_dataset(self.facts.inputs.run_id), tally.tf, date)
        write_json(folder / "datasets_tf.json", tf)
        run_files.write_barcode_filter(folder / "barcodeFilter.txt", plan, tally)
        run_files.write_end_barcode_counts(folder / "EndBarcodeReadCounts.csv", plan, tally)
        write_mask(folder / "basecaller.bfmask.bin", Mask(final))
        write_barcode_mask(folder / "barcodeMask.bin", barcodes)
        for name, counts in (("unfiltered.trimmed", tally.trimmed), ("unfiltered.untrimmed", tally.untrimmed)):
            content = run_files.datasets_json(plan.library, counts, date, plan=plan, tally=tally)
            write_json(folder / name / "datasets_basecaller.json", content)
            run_files.write_filter_status(
                folder / name / "filterStatus.txt",
                np.nonzero(self.chip.choice.sampled),
                final,
                WellFlag.FILTERED_BAD_RESIDUAL,
                WellFlag.KEYPASS,
            )
        write_json(folder / "BaseCaller.json", self._summary(tally))
        write_json(folder / "progress_basecaller.json", {"percent_complete": 100})

    def final_flags(self, verdicts):
        """The mask with the five bits of base calling set anew."""
        new = np.zeros(len(Verdict) + 1, np.uint16)
        for verdict, flag in MASK_FLAGS.items():
            new[verdict] = flag
        # Index -1, wells that are no reads, is the last entry: no bit.
        return (self.chip.mask.flags & np.uint16(~WellFlag.BASECALLER & 0xFFFF)) | new[verdicts]

    def _summary(self, tally):
        filtering, beads = run_files.filtering_section(tally, self.job.plan)
        return {
            "BaseCaller": self.facts.about(),
            "BeadSummary": beads,
            "Filtering": filtering,
        } | self.job.phase.sections()
