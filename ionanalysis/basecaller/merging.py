"""The files of ``basecaller_results`` of a chip from those of its blocks (basecaller.md 9.2)."""

from datetime import datetime
from pathlib import Path

import numpy as np

from ionanalysis.basecaller.blocks import (
    TALLY_FILE,
    join_block_bams,
    load_tally,
    paste_masks,
)
from ionanalysis.basecaller.calling_run import CallingRun, calibration_of, facts_of, make_folders, plan_of
from ionanalysis.basecaller.chip import open_chip
from ionanalysis.basecaller.datasets import tf_dataset
from ionanalysis.basecaller.region import NOT_READ, CallJob
from ionanalysis.basecaller.stage import BasecallerResult
from ionanalysis.basecaller.tally import Tally


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
    make_folders(output_dir)
    plan = plan_of(inputs, options, chip.flow_order, shared.phase)
    calibration = calibration_of(inputs, options, chip)
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
    facts = facts_of(inputs, output_dir, options, chip, started, n_workers, command_line, version)
    run = CallingRun(facts, options, job, chip)
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
