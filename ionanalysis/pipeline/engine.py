"""Runs stages in order, keeps `run.json`, skips what is done."""

import os
import shutil
import time
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from json import dumps
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.errors import InputError, InterruptedRunError, LateImageError, LostWorkerError, UsageError
from ionanalysis.executors import open_executor
from ionanalysis.io.jsonfile import read_json
from ionanalysis.options.plugins import AutomaticPluginOptions
from ionanalysis.pipeline.blocks import link_blocks
from ionanalysis.pipeline.prepare import make_folders, prepare_result
from ionanalysis.pipeline.record import RunRecord, checksum, checksums
from ionanalysis.pipeline.request import StageContext, stage_range
from ionanalysis.pipeline.run_plugins import RunPlugins
from ionanalysis.pipeline.sources import RAW_STAGES, find_barcode_set, find_source
from ionanalysis.pipeline.stages import PLUGINS, STAGES
from ionanalysis.pipeline.workers import Workers
from ionanalysis.plugin.plan import plan_configs
from ionanalysis.plugin.store import PluginStore
from ionanalysis.queue_workers import expect_queue, is_queue


@dataclass(frozen=True)
class PipelineResult:
    """What a call of the pipeline left."""

    result_dir: Path
    run_id: str
    ran: tuple[str, ...]
    """Stages that ran in this call."""
    skipped: tuple[str, ...]
    """Stages that a former call had finished."""
    seconds: dict
    """Time of each stage."""
    n_reads: int
    n_bases: int
    bam_paths: tuple[Path, ...]
    report_path: Path | None
    failed_blocks: tuple[tuple[str, str], ...] = ()
    """Name of each block without a result, and what is wrong with it."""


def run_pipeline(request, *, stages=STAGES, progress=None, note=None):
    """Run the stages that `request` asks for.

    Parameters
    ----------
    request : PipelineRequest
    stages : sequence of Stage
    progress : callable, optional
        ``progress(stage, done, total)``.
    note : callable, optional
        Gets a sentence where something is worth knowing.

    Returns
    -------
    PipelineResult

    Raises
    ------
    UsageError
        If the request contradicts itself, or would overwrite a finished result.
    InputError
        If the run directory lacks something.
    InterruptedRunError
        If a stage is interrupted (KeyboardInterrupt); `resume` finishes the run.
    """
    progress = progress or (lambda stage, done, total: None)
    note = note or (lambda text: None)
    by_name = {stage.name: stage for stage in stages}
    names = tuple(by_name)
    chosen = stage_range(names, request.first, request.last)
    _expect_room(request, stages)
    # A wrong word must not show up after the first stages have run; nor must a plugin that is not there.
    if is_queue(request.executor):
        expect_queue(request.executor)
    elif not request.executor.startswith("dask:"):
        with open_executor(request.executor, 1):
            pass
    asked = request.option(AutomaticPluginOptions)
    for name in asked.plugins:
        PluginStore().find(name)
    if asked.config:
        plan_configs(asked.config)
    barcode_set = find_barcode_set(request, note)
    source = find_source(request, note)
    if request.first in RAW_STAGES and not source.facts.log:
        flows = f"{source.facts.n_flows} flows of {source.facts.flow_order}"
        note(f"{request.run_dir}: has no run log; {flows}, key {source.facts.library_key} are assumed.")
    make_folders(request.result_dir)
    _sweep(request.result_dir)
    prepare_result(request, source.facts, barcode_set)
    if source.blocks:
        link_blocks(request.result_dir, source.blocks.blocks)
    sums = checksums(source.inputs, request.run_dir)
    plan = replace(source.blocks, checksums=sums) if source.blocks else None
    options = {name: values for stage in stages for name, values in _stage_options(stage, request).items()}
    record = RunRecord.begin(request, source.facts, sums, options)
    n_threads = request.n_threads or worker_count(request.executor)
    given = _fingerprint(record.content["inputs"], source.facts.run_id, barcode_set)
    ran: list[str] = []
    skipped: list[str] = []
    with Workers(request, note) as workers, RunPlugins(request, note) as plugins:
        for name in chosen:
            stage = by_name[name]
            key = {"ionanalysis": __version__, "inputs": given, "options": _stage_options(stage, request)}
            if request.resume and not ran and record.is_whole(name, key):
                skipped.append(name)
                note(f"{name}: was finished before.")
                continue
            # What later stages left rests on what is now made anew, also where they are not asked for in this call.
            record.forget(names[names.index(name) :])
            if PLUGINS in chosen:
                plugins.begin()
            context = StageContext(
                request,
                source.facts,
                barcode_set,
                n_threads,
                partial(progress, name),
                note,
                source.patience,
                plan,
                key["options"],
                workers.of(stage),
                plugins,
            )
            _run_stage(stage, context, record, key)
            ran.append(name)
            if source.patience and name == RAW_STAGES[-1]:
                # Only now are all images there: what was made of them is known by all of them.
                given = _take_stock(request, record, barcode_set)
    failed = _failed_blocks(plan)
    record.close("incomplete" if failed else "done")
    return _result(request, source.facts, record, tuple(ran), tuple(skipped), failed)


def _take_stock(request, record, barcode_set):
    """Note the checksums of all images of a run that has been followed; its fingerprint."""
    source = find_source(replace(request, follow_limit_s=None))
    record.content["inputs"] = checksums(source.inputs, request.run_dir)
    given = _fingerprint(record.content["inputs"], source.facts.run_id, barcode_set)
    for name in RAW_STAGES:
        if name in record.stages:
            record.stages[name]["key"]["inputs"] = given
    record.save()
    return given


def worker_count(spec):
    """Workers on this machine that an executor's word stands for; all cores where it names no number."""
    kind, _, number = spec.partition(":")
    number = "" if is_queue(kind) else number
    return int(number) if number.isdigit() and int(number) else len(os.sched_getaffinity(0))


def _run_stage(stage, context, record, key):
    record.start(stage.name, key)
    started = time.monotonic()
    try:
        # Starts the stage's clock; how many parts it has is not known yet.
        context.progress(0, 0)
        stage.work(context)
        outputs = stage.outputs(context)
        missing = [path for path in outputs if not path.is_file()]
        if missing or not (outputs or stage.may_leave_nothing):
            raise InputError(f"stage {stage.name} left no {missing[0] if missing else 'result'}; see the log above.")
    except (LateImageError, LostWorkerError):
        record.stop(stage.name, "interrupted")
        raise
    except KeyboardInterrupt:
        record.stop(stage.name, "interrupted")
        raise InterruptedRunError(
            f"{context.result_dir}: interrupted in stage {stage.name}; the same command with --resume finishes it."
        ) from None
    except BaseException:
        record.stop(stage.name, "failed")
        raise
    record.finish(stage.name, time.monotonic() - started, outputs)
    for changed in stage.changes:
        record.refresh(changed)
    if failed := _failed_blocks(context.blocks):
        record.mark_incomplete(stage.name, failed)


def _stage_options(stage, request):
    """Options of a stage as plain values, as they will read when `run.json` is read again.

    Files that options name stand there with their checksums: `--resume` notices that one has changed.
    """
    return {cls.__name__: _with_files(request.option(cls)) for cls in stage.options}


def _with_files(options):
    sums = {f"{name}_checksum": checksum(path) for name, path in options.files().items()}
    return _plain(options.to_json()) | sums


def _plain(values):
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _fingerprint(inputs, run_id, barcode_set):
    """One number for all that a result depends on besides options."""
    barcodes = [vars(barcode) for barcode in barcode_set or ()]
    text = dumps([inputs, run_id, barcodes], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _expect_room(request, stages):
    """Refuse to write over raw data or over a finished result."""
    if request.result_dir.exists() and not request.result_dir.is_dir():
        raise UsageError(f"{request.result_dir}: is a file; name a directory for the result.")
    if request.first != stages[0].name:
        return
    if request.result_dir.exists() and request.run_dir.exists() and request.result_dir.samefile(request.run_dir):
        raise UsageError(f"{request.result_dir}: holds the raw data; name another directory for the result.")
    record = RunRecord.read(request.result_dir)
    if record and record.content.get("status") in ("done", "incomplete") and not (request.resume or request.remake):
        raise UsageError(
            f"{request.result_dir}: holds a finished result; use --resume to add to it, --from STAGE to make part "
            "of it again, or another directory."
        )


def _sweep(result_dir):
    """Delete what a killed call left half-written."""
    for path in result_dir.rglob(".*.part"):
        path.unlink(missing_ok=True)
    for path in result_dir.glob(".*.scratch"):
        shutil.rmtree(path, ignore_errors=True)


def _failed_blocks(plan):
    return {block.name: message for block, message in plan.failed.items()} if plan else {}


def _result(request, facts, record, ran, skipped, failed):
    result_dir = request.result_dir
    groups = _read_groups(result_dir / "basecaller_results" / "datasets_basecaller.json")
    report_path = result_dir / "report.html"
    return PipelineResult(
        result_dir=result_dir,
        run_id=facts.run_id,
        ran=ran,
        skipped=skipped,
        seconds={name: stage.get("seconds", 0.0) for name, stage in record.stages.items()},
        n_reads=sum(int(group.get("read_count", 0)) for group in groups),
        n_bases=sum(int(group.get("total_bases", 0)) for group in groups),
        bam_paths=tuple(sorted((result_dir / "basecaller_results").glob("*.basecaller.bam"))),
        report_path=report_path if report_path.exists() else None,
        failed_blocks=tuple(failed.items()),
    )


def _read_groups(path):
    return list(read_json(path).get("read_groups", {}).values()) if path.exists() else []
