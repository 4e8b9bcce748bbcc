"""The base-calling stage: wells and mask in; BAM files, metrics and masks out (basecaller.md 2.1, 8)."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ionanalysis.basecaller.blocks import (
    TALLY_FILE,
    SharedByBlocks,
    save_tally,
)
from ionanalysis.basecaller.calling_run import CallingRun, calibration_of, facts_of, make_folder, make_folders, plan_of
from ionanalysis.basecaller.chip import open_chip
from ionanalysis.basecaller.inputs import BasecallerInputs
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.region import CallJob
from ionanalysis.basecaller.tally import Tally
from ionanalysis.executors import open_executor
from ionanalysis.io.jsonfile import write_json
from ionanalysis.options.calling import BasecallerOptions

__all__ = [
    "BasecallerInputs",
    "BasecallerOptions",
    "BasecallerResult",
    "run_basecaller",
    "run_phase_estimation",
]


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
    calibration = calibration_of(inputs, options, chip)
    make_folders(output_dir)
    write_json(output_dir / "progress_basecaller.json", {"percent_complete": 0})
    n_workers = getattr(executor, "_max_workers", None)
    is_block = shared is not None
    shared = shared or SharedByBlocks.of_chip(chip, options, output_dir, n_workers, phase)
    chip, phase = replace(chip, choice=shared.choice), shared.phase
    plan = plan_of(inputs, options, chip.flow_order, phase)
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
    facts = facts_of(inputs, output_dir, options, chip, started, n_workers, command_line, version)
    run = CallingRun(facts, options, job, chip)
    tally, verdicts, barcodes = run.call(executor, progress)
    if tally.n_bad_values and note:
        names = ", ".join(map(str, inputs.wells_paths))
        note(f"{names}: {tally.n_bad_values} signals of {tally.n_values} are no finite numbers; taken as 0.")
    run.write(tally, run.final_flags(verdicts), barcodes)
    if is_block:
        save_tally(output_dir / TALLY_FILE, tally)
    return BasecallerResult(output_dir, tally, phase, run.written_bams())


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
    facts = facts_of(inputs, output_dir, options, chip, started, n_threads, command_line, version)
    make_folder(output_dir)
    write_json(output_dir / "PhaseEstimates.json", {"BaseCaller": facts.about()} | phase.sections())
    return phase
