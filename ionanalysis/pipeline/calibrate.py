"""The stage that learns a calibration: a training call, alignment, models (basecaller.md 9, 10)."""

import shutil
from dataclasses import replace
from pathlib import Path

from ionanalysis.blocks import block_offset
from ionanalysis.errors import InputError
from ionanalysis.executors import open_executor
from ionanalysis.io.mask import read_mask
from ionanalysis.options.calibration import (
    CalibrationFitOptions,
    CalibrationOptions,
    RecalibrationOptions,
)
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.plugin.ion_params import iso_date

FOLDER = "recalibration"
"""Below ``basecaller_results``, of what the training call leaves."""


def calibration_mode(context):
    """How the run is calibrated: ``standard`` (against a reference), ``blind`` or ``none``.

    Raises
    ------
    UsageError, InputError
        If a reference is asked for and not given, or is not there.
    """
    mode, has_reference = context.option(RecalibrationOptions).recalibration, bool(context.references)
    if context.option(CalibrationOptions).files():
        # Models are given: there is nothing to learn.
        return "none"
    if mode == "auto":
        return "standard" if has_reference else "none"
    # Without a reference, standard becomes blind (plugin.md 1.2).
    return "blind" if mode == "standard" and not has_reference else mode


def run_calibration_stage(context):
    """Learn ``basecaller_results/Calibration.json``; without a reference, and unless told otherwise, do nothing."""
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.basecaller.stage import run_basecaller
    from ionanalysis.calibration.learn import run_calibration

    folder, mode = context.basecaller_dir / FOLDER, calibration_mode(context)
    _clear(context)
    if mode == "none":
        context.progress(1, 1)
        return
    references, indexes = context.references, {}
    if mode == "standard":
        for fasta in {references.default, *references.by_barcode.values()} - {None}:
            indexes[fasta] = ReferenceIndex.of(fasta)
            # A file that is no reference must show up before the reads are called.
            _ = indexes[fasta].aligner
    inputs, options = basecaller_inputs(context), _training_options(context)
    with open_executor(context.executor, context.n_threads) as executor:
        result = run_basecaller(
            inputs,
            folder,
            options,
            executor=executor,
            command_line=context.request.command_line,
            progress=context.progress,
            note=context.note,
        )
    fit = replace(context.option(CalibrationFitOptions), blind_fit=mode == "blind")
    bams = [path for path in result.bams if not path.name.startswith(("rawtf", "nomatch"))]
    fastas = {path: references.of_prefix(path.name.removesuffix(".basecaller.bam")) for path in bams}
    if mode == "standard":
        bams = [path for path in bams if fastas[path]]
    try:
        run_calibration(
            bams,
            context.basecaller_dir,
            fit,
            offset=inputs.offset,
            size=read_mask(context.mask_path).shape,
            index={path: indexes[fastas[path]] for path in bams} if mode == "standard" else None,
            n_threads=context.n_threads,
            command_line=context.request.command_line,
            note=context.note,
        )
    except InputError as error:
        # A reference of another organism, or a chip with hardly any reads: they can be called all the same.
        context.note(f"no calibration is learned, reads are called without: {error}")


def basecaller_inputs(context):
    """What base calling reads, the same for the training call and the main one."""
    from ionanalysis.basecaller.inputs import BasecallerInputs

    facts = context.facts
    return BasecallerInputs(
        wells=context.sigproc_dir / "1.wells",
        mask=context.mask_path,
        run_id=facts.run_id,
        library_key=facts.library_key,
        tf_key=facts.tf_key,
        datasets=context.basecaller_dir / "datasets_pipeline.json",
        offset=block_offset(Path(facts.raw_dir).name) or (0, 0),
        run_date=iso_date(facts.log.get("start_time", ""), facts.log.get("experiment_name", "")),
    )


def basecaller_options(context):
    """`BasecallerOptions` as asked for, with phase and calibration of the training call, if there was one."""
    from ionanalysis.basecaller.stage import BasecallerOptions

    options = BasecallerOptions.from_classes(context.option)
    found = context.basecaller_dir / "Calibration.json"
    if calibration_mode(context) == "none" or not found.is_file():
        return options
    options = replace(options, calibration=replace(options.calibration, calibration_json=str(found)))
    phase = context.basecaller_dir / FOLDER / "BaseCaller.json"
    if options.phase.phase is None and options.phase.phase_file is None and phase.is_file():
        options = replace(options, phase=replace(options.phase, phase_file=str(phase)))
    return options


def calibration_files(context):
    """Files that the stage has left; none where it had nothing to do."""
    return [path for path in (context.basecaller_dir / "Calibration.json",) if path.is_file()]


def _training_options(context):
    from ionanalysis.basecaller.stage import BasecallerOptions

    options = BasecallerOptions.from_classes(context.option)
    stage = replace(
        options.stage,
        calibration_training=context.option(RecalibrationOptions).calibration_reads,
        downsample_size=0,
        downsample_fraction=1.0,
        only_process_unfiltered_set=False,
    )
    filters = replace(options.filters, qual_filter=False)
    return replace(options, stage=stage, filters=filters, flow_tags=FlowTagOptions())


def _clear(context):
    (context.basecaller_dir / "Calibration.json").unlink(missing_ok=True)
    shutil.rmtree(context.basecaller_dir / FOLDER, ignore_errors=True)
