"""What bead finding, signal fitting and base calling do with chips that are cut into blocks."""

from dataclasses import replace
from functools import partial
from hashlib import blake2b

from ionanalysis.io.fit_parameters import FIT_FILE
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions
from ionanalysis.pipeline.blocks import BlockStage, clear, fingerprint, run_blocks, sums_of, write_status
from ionanalysis.pipeline.calibrate import basecaller_inputs, basecaller_options


def beadfind_blocks(context):
    """Find the beads of each block; put masks and traces together."""
    from ionanalysis.sigproc.blocks import merge_beadfind

    plan, options = context.blocks, context.option(BeadfindOptions)
    plan.failed.clear()
    plan.empty.clear()
    # Blocks that were to come and did not.
    plan.failed.update(plan.missing)
    stage = BlockStage(
        "beadfind",
        context.sigproc_dir,
        partial(_find_beads, plan.run, options),
        lambda folder: [folder / name for name in ("bfmask.bin", "bfmask.stats", "beadfind.h5")],
    )
    folders = run_blocks(
        context, stage, lambda block: {"inputs": plan.inputs_of(block), "options": options.to_json(), **_cut(plan)}
    )
    merge_beadfind(plan.run, folders, context.sigproc_dir)
    write_status(context.result_dir, plan, "Beadfind")


def signal_blocks(context):
    """Fit the signals of each block; put wells, masks and metrics together."""
    from ionanalysis.sigproc.blocks import merge_signals

    plan, options = context.blocks, context.option(SignalOptions)
    names = ("1.wells", "analysis.bfmask.bin", "sigproc.json", *((FIT_FILE,) if options.fit_parameters else ()))
    stage = BlockStage(
        "sigproc",
        context.sigproc_dir,
        partial(_fit_signals, plan.run, options),
        lambda folder: [folder / name for name in names],
    )

    def key_of(block):
        folder = stage.folder_of(block)
        found = sums_of(folder / "beadfind.h5")
        return {"inputs": plan.inputs_of(block), "beads": found, "options": options.to_json(), **_cut(plan)}

    folders = run_blocks(context, stage, key_of)
    merge_signals(plan.run, folders, context.sigproc_dir, options)
    write_status(context.result_dir, plan, "Analysis")


def call_blocks(context):
    """Call each block with what is learned from the whole chip; put reads, masks and metrics together."""
    from ionanalysis.basecaller.blocks import SharedByBlocks
    from ionanalysis.basecaller.chip import open_chip
    from ionanalysis.basecaller.merging import merge_blocks

    plan, inputs, options = context.blocks, basecaller_inputs(context), basecaller_options(context)
    # Else each block would be dated by its own wells.
    inputs = replace(inputs, run_date=inputs.date)
    shared = SharedByBlocks.of_chip(
        open_chip(inputs, options.stage), options, context.basecaller_dir, context.n_threads
    )
    command_line = context.request.command_line
    stage = BlockStage(
        "basecaller",
        context.basecaller_dir,
        partial(_call, inputs, context.sigproc_dir, options, command_line),
        _files_of_calls,
        shared.of_block,
        on_done=context.plugins.block_done if context.plugins else None,
    )
    of_all = fingerprint(
        shared.phase.sections(),
        repr(shared.clonal_model),
        repr(inputs),
        context.options,
        sums_of(inputs.datasets),
        sums_of(*(path for path in (context.basecaller_dir / "Calibration.json",) if path.is_file())),
    )

    def key_of(block):
        choice = shared.choice
        drawn = [
            blake2b(part[block.slices].tobytes(), digest_size=16).hexdigest()
            for part in (choice.called, choice.sampled)
        ]
        folder = context.sigproc_dir / f"block_{block.name}"
        wells = sums_of(folder / "1.wells", folder / "analysis.bfmask.bin")
        return {"inputs": wells, "shared": of_all, "choice": drawn}

    folders = run_blocks(context, stage, key_of)
    merge_blocks(
        inputs,
        folders,
        context.basecaller_dir,
        options,
        shared,
        n_workers=context.n_threads,
        command_line=command_line,
    )
    write_status(context.result_dir, plan, "Basecaller", is_last=True)


def _cut(plan):
    return {"chip": [plan.run.n_rows, plan.run.n_cols], "run_id": plan.run.run_id}


def _find_beads(run, options, block, folder, n_threads):
    from ionanalysis.sigproc.stage import run_beadfind

    clear(folder)
    run_beadfind(run.open_block(block), folder, options, n_threads=n_threads)


def _fit_signals(run, options, block, folder, n_threads):
    from ionanalysis.sigproc.stage import run_signals

    run_signals(run.open_block(block), folder, options, n_threads=n_threads)


def _call(inputs, sigproc_dir, options, command_line, block, folder, n_threads, shared):
    from ionanalysis.basecaller.stage import run_basecaller
    from ionanalysis.executors import open_executor

    clear(folder)
    results = sigproc_dir / f"block_{block.name}"
    own = replace(
        inputs,
        wells=results / "1.wells",
        mask=results / "analysis.bfmask.bin",
        offset=(inputs.offset[0] + block.row, inputs.offset[1] + block.col),
    )
    # The choice of wells has been made for the whole chip.
    stage = replace(options.stage, rows=None, cols=None)
    with open_executor("threads", n_threads) as executor:
        run_basecaller(
            own, folder, replace(options, stage=stage), executor=executor, shared=shared, command_line=command_line
        )


def _files_of_calls(folder):
    names = ("BaseCaller.json", "datasets_basecaller.json", "basecaller.bfmask.bin", "barcodeMask.bin", "tally.h5")
    return [folder / name for name in names] + sorted(folder.glob("*.bam"))
