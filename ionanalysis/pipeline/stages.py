"""The stages, in order: what each runs, which options it has, which files it leaves."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from ionanalysis.errors import NoLiveBeadsError
from ionanalysis.executors import open_executor
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.mask import WellFlag, read_mask
from ionanalysis.metrics.peak_signal import raw_peak_signal
from ionanalysis.options.alignment import AlignmentOptions
from ionanalysis.options.base import Options
from ionanalysis.options.calibration import (
    CalibrationFitOptions,
    RecalibrationOptions,
    ReferenceOptions,
)
from ionanalysis.options.calling import BasecallerOptions
from ionanalysis.options.plugins import AutomaticPluginOptions, PluginOptions
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions
from ionanalysis.pipeline.aligning import (
    alignment_files,
    run_alignment_stage,
    statistics_of_alignment,
    write_aligned_fragments,
    write_alignment_metrics,
)
from ionanalysis.pipeline.block_stages import beadfind_blocks, call_blocks, signal_blocks
from ionanalysis.pipeline.calibrate import (
    basecaller_inputs,
    basecaller_options,
    calibration_files,
    run_calibration_stage,
)
from ionanalysis.pipeline.request import StageContext
from ionanalysis.plugin.downloads import link_downloads
from ionanalysis.plugin.inputs import write_plugin_inputs
from ionanalysis.run import open_run


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline."""

    name: str
    work: Callable[[StageContext], None]
    outputs: Callable[[StageContext], list[Path]]
    """Files that a finished stage has left; `--resume` checks them."""
    options: tuple[type[Options], ...] = ()
    may_leave_nothing: bool = False
    """Whether a stage may have had nothing to do."""
    changes: tuple[str, ...] = ()
    """Earlier stages whose outputs this one adds to."""
    has_blocks: bool = False
    """Whether it hands out work to the workers of an executor."""


def _beadfind(context):
    if context.blocks:
        beadfind_blocks(context)
        return
    from ionanalysis.sigproc.stage import run_beadfind

    run_beadfind(
        _open_run(context),
        context.sigproc_dir,
        context.option(BeadfindOptions),
        n_threads=context.n_threads,
        progress=context.progress,
    )


def _signals(context):
    if context.blocks:
        signal_blocks(context)
        return
    from ionanalysis.sigproc.stage import run_signals

    run_signals(
        _open_run(context),
        context.sigproc_dir,
        context.option(SignalOptions),
        n_threads=context.n_threads,
        progress=context.progress,
    )


def _open_run(context):
    return replace(open_run(context.request.run_dir, run_id=context.facts.run_id), patience=context.patience)


def _basecaller(context):
    from ionanalysis.basecaller.stage import run_basecaller

    _expect_library(context.mask_path)
    # Files are named after barcodes: those of another set would stay beside the new ones.
    for pattern in ("*.bam", "unfiltered.*/*.bam", "*_rawlib.ionstats_basecaller.json"):
        for old in context.basecaller_dir.glob(pattern):
            old.unlink()
    if context.blocks:
        call_blocks(context)
        return
    with open_executor(context.executor, context.n_threads) as executor:
        run_basecaller(
            basecaller_inputs(context),
            context.basecaller_dir,
            basecaller_options(context),
            executor=executor,
            command_line=context.request.command_line,
            progress=context.progress,
            note=context.note,
        )


def _calibration(context):
    _expect_library(context.mask_path)
    run_calibration_stage(context)


def _expect_library(mask_path):
    """Without library wells there would be an empty result that looks like a good one."""
    mask = read_mask(mask_path)
    library = mask.matches_all(WellFlag.LIVE | WellFlag.LIB)
    if not (library & ~mask.matches(WellFlag.TF)).any():
        raise NoLiveBeadsError(
            f"{mask_path}: none of its {library.size} wells is a live library bead; check the library key, the flow "
            "order and that the chip was loaded, or take the mask of these wells."
        )


def _statistics(context):
    from ionanalysis.metrics.ionstats_basecaller import write_ionstats
    from ionanalysis.metrics.tf_stats import write_tf_stats

    facts = context.facts
    write_ionstats(context.basecaller_dir, key=facts.library_key, progress=context.progress)
    write_alignment_metrics(context)
    fragments = _test_fragments(context)
    write_tf_stats(context.basecaller_dir, fragments, key=facts.tf_key)
    write_aligned_fragments(context, fragments)
    write_whole(
        context.result_dir / "raw_peak_signal", raw_peak_signal(context.sigproc_dir, facts.library_key, facts.tf_key)
    )


def _test_fragments(context):
    """Sequences of the run's test fragments: its own file, else those that the package ships."""
    places = (context.request.run_dir, Path(context.facts.raw_dir))
    own = (place / "DefaultTFs.fasta" for place in places)
    return next((path for path in own if path.is_file()), files("ionanalysis.io") / "test_fragments.fasta")


def _report(context):
    from ionanalysis.report import write_report

    # Simulated runs have their truth beside the images.
    truth = context.request.run_dir / "truth.h5"
    write_report(context.result_dir, truth=truth if truth.is_file() else None)
    context.progress(1, 1)


def _plugins(context):
    link_downloads(context.result_dir)
    write_plugin_inputs(context.result_dir)
    context.plugins.finish(context.blocks)
    context.progress(1, 1)


def _files(folder, *names):
    return lambda context: [context.result_dir / folder / name for name in names]


def _basecaller_files(context):
    bams = sorted(context.basecaller_dir.glob("*.basecaller.bam"))
    return [context.basecaller_dir / name for name in ("BaseCaller.json", "datasets_basecaller.json")] + bams


_statistics_files = _files(
    "", "basecaller_results/ionstats_basecaller.json", "basecaller_results/TFStats.json", "raw_peak_signal"
)

PLUGINS = "plugins"
"""The stage in which all plugins end."""

_CALLING = tuple(BasecallerOptions.classes().values())

STAGES = (
    Stage(
        "beadfind",
        _beadfind,
        _files("sigproc_results", "bfmask.bin", "bfmask.stats"),
        (BeadfindOptions,),
        has_blocks=True,
    ),
    Stage(
        "sigproc",
        _signals,
        _files("sigproc_results", "1.wells", "analysis.bfmask.bin", "analysis.bfmask.stats"),
        (SignalOptions,),
        has_blocks=True,
    ),
    Stage(
        "calibration",
        _calibration,
        calibration_files,
        (*_CALLING, RecalibrationOptions, ReferenceOptions, CalibrationFitOptions),
        may_leave_nothing=True,
        has_blocks=True,
    ),
    Stage(
        "basecaller",
        _basecaller,
        _basecaller_files,
        (*_CALLING, RecalibrationOptions),
        has_blocks=True,
    ),
    Stage(
        "alignment",
        run_alignment_stage,
        alignment_files,
        (ReferenceOptions, AlignmentOptions),
        may_leave_nothing=True,
    ),
    Stage(
        "statistics",
        _statistics,
        lambda context: _statistics_files(context) + statistics_of_alignment(context),
    ),
    Stage("report", _report, _files("", "report.html")),
    Stage(
        PLUGINS,
        _plugins,
        _files("", "startplugin.json", "barcodes.json"),
        (AutomaticPluginOptions, PluginOptions),
        changes=("report",),
    ),
)

STAGE_NAMES = tuple(stage.name for stage in STAGES)


def option_classes():
    """Option classes of all stages, each once, in the order of the stages."""
    return tuple(dict.fromkeys(cls for stage in STAGES for cls in stage.options))
