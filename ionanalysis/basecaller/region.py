"""One region of a block: its wells called, finished, counted and encoded."""

from dataclasses import dataclass, field

import numpy as np

from ionanalysis.bam import encode_records
from ionanalysis.basecaller.calibration import CallCalibration
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.clonal import judge_reads
from ionanalysis.basecaller.finish import FinishPlan, finish_reads
from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.records import filter_history, read_batch
from ionanalysis.basecaller.signals import SignalSource
from ionanalysis.basecaller.solve import call_block
from ionanalysis.basecaller.tally import Tally
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.blocks import Block
from ionanalysis.clonality import ClonalModel
from ionanalysis.io.mask import NO_READ, Mask
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.options.stage import StageOptions

LIBRARY, TF, TRIMMED, UNTRIMMED = "library", "tf", "trimmed", "untrimmed"
"""Families of BAM files: the main ones, and the two unfiltered sets."""

NOT_READ = -1
"""Verdict of wells that are neither library nor test fragment."""


@dataclass(frozen=True, eq=False)
class CallJob:
    """What calling any region of a block needs; picklable, without open files or arrays of the chip's size.

    `clonal_model` is None where polyclonal reads are not filtered, `calibration` where there is no model to apply.
    """

    source: SignalSource
    plan: FinishPlan
    phase: PhaseEstimate
    solver: SolverOptions
    stage: StageOptions
    run_id: str
    offset: tuple[int, int]
    clonality: ClonalityOptions = field(default_factory=ClonalityOptions)
    clonal_model: ClonalModel | None = None
    flow_tags: FlowTagOptions = field(default_factory=FlowTagOptions)
    calibration: CallCalibration | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """A rectangle of wells and its part of what is known of the block.

    Arrays have shape (n_rows, n_cols): `flags` of the mask, uint16; which wells are `called` and in the unfiltered
    sample (`sampled`), bool; which wells files count for each (`files`), uint8.
    """

    block: Block
    flags: np.ndarray
    called: np.ndarray
    sampled: np.ndarray
    files: np.ndarray


@dataclass(eq=False)
class CalledRegion:
    """What a region gave.

    Attributes
    ----------
    block : Block
    tally : Tally
    verdicts : ndarray of shape (n_rows, n_cols), int8
        `Verdict`, or -1 for wells that are no reads.
    barcodes : ndarray of shape (n_rows, n_cols), uint16
        Index of the read group, 0 without barcode, 65535 for wells that were not called.
    records : dict
        Encoded BAM records by family and number of the dataset.
    """

    block: Block
    tally: Tally
    verdicts: np.ndarray
    barcodes: np.ndarray
    records: dict = field(default_factory=dict)


def call_region(job, region):
    """Call all reads of a region; the work that runs in parallel.

    Parameters
    ----------
    job : CallJob
    region : Region

    Returns
    -------
    CalledRegion
    """
    everyone = read_classes(Mask(region.flags), ignore_washouts=job.stage.ignore_washouts)
    classes = everyone.among(region.called)
    result = CalledRegion(
        region.block,
        Tally.empty(job.plan),
        np.where(classes.output, classes.verdict, NOT_READ).astype(np.int8),
        np.full(region.flags.shape, NO_READ, np.uint16),
    )
    wanted = classes.output & ((classes.verdict == Verdict.PASSED) | region.sampled)
    if wanted.any():
        rows, cols = np.nonzero(wanted)
        # All wells of the region take part in their normalisation, also those that are not called.
        signals, n_bad = job.source.read(region.block, everyone, region.files)
        result.tally.n_values = int(everyone.output.sum()) * signals.shape[2]
        result.tally.n_bad_values, signals = n_bad, signals[rows, cols]
        tf, verdict = classes.tf[wanted], classes.verdict[wanted]
        normalised = _normalise(job, signals, tf)
        verdict = judge_reads(job, normalised, tf, verdict)
        verdict = _test_keys(job, normalised, tf, verdict)
        result.verdicts[wanted] = verdict
        chosen = (verdict == Verdict.PASSED) | region.sampled[wanted]
        rows, cols, tf, verdict = rows[chosen], cols[chosen], tf[chosen], verdict[chosen]
        reads = _call(job, region.block, normalised[chosen], rows, cols, tf, verdict)
        result.verdicts[rows, cols] = reads.ends.verdict
        _count(job, reads, verdict == Verdict.PASSED, result)
        _encode(job, reads, region.sampled[rows, cols] & ~tf, normalised[chosen], signals[chosen], result)
        _fill_barcodes(job, reads, rows, cols, result)
    result.tally.count_verdicts(result.verdicts, classes)
    return result


def _normalise(job, signals, tf):
    """Key-normalised signals, by the key of each read."""
    plan = job.plan
    library, other = (plan.flow_order.key_flowgram(key) for key in (plan.library_key, plan.tf_key))
    normalised = normalise_key(signals, library, job.solver.key_normalisation)
    if tf.any():
        normalised[tf] = normalise_key(signals[tf], other, job.solver.key_normalisation)
    return normalised


def _test_keys(job, normalised, tf, verdict):
    """Verdicts with those of reads that do not show their key."""
    plan = job.plan
    if not plan.filters.keypass_filter or plan.filters.disable_all_filters:
        return verdict
    verdict = verdict.copy()
    for which, key in ((~tf, plan.library_key), (tf, plan.tf_key)):
        failed = which & ~shows_key(normalised, plan.flow_order.key_flowgram(key))
        verdict[failed & (verdict == Verdict.PASSED)] = Verdict.KEYPASS
    return verdict


def _call(job, block, signals, rows, cols, tf, verdict):
    row, col = rows + block.row, cols + block.col
    plan = job.plan
    flowgrams = [plan.flow_order.key_flowgram(key) for key in (plan.library_key, plan.tf_key)]
    pinned = pinned_flows(signals, flowgrams, tf.astype(np.intp))
    phase_values, models = job.phase.at(row, col), {"response": job.phase.response}
    if job.calibration is not None:
        models = job.calibration.of_reads(row, col, plan.flow_order, phase_values, ~tf, job.phase.response)
    called = call_block(
        signals,
        row,
        col,
        plan.flow_order,
        phase_values,
        job.solver,
        pinned=pinned,
        **models,
        noise=job.phase.noise,
    )
    return finish_reads(called, tf, verdict, plan)


def _count(job, reads, was_alive, result):
    plan, tally, ends = job.plan, result.tally, reads.ends
    tally.count_finished(reads, was_alive, plan)
    library, tf = np.flatnonzero(~reads.tf & ends.alive), np.flatnonzero(reads.tf & ends.alive)
    tally.library.count_records(reads, library, reads.group[library], ends.prefix, ends.end)
    tally.tf.count_records(reads, tf, np.zeros(len(tf), np.int64), ends.prefix, ends.end)
    tally.count_qualities(reads.called, ends.prefix, ends.end, library)
    if plan.templates is not None:
        tally.library.count_barcodes(reads, library, plan)


def _encode(job, reads, sampled, normalised, measured, result):
    plan, ends, tally = job.plan, reads.ends, result.tally
    about = {
        "run_id": job.run_id,
        "offset": job.offset,
        "signals": job.flow_tags,
        "raw": normalised,
        "measured": measured,
        "handles": plan.handles,
        "errors_tag": plan.barcodes.barcode_bam_tag,
    }
    names = [group.name for group in plan.library.groups]
    library, tf = np.flatnonzero(~reads.tf & ends.alive), np.flatnonzero(reads.tf & ends.alive)
    batch = read_batch(reads, library, [names[group] for group in reads.group[library]], **about)
    _sort_records(result, LIBRARY, encode_records(batch), reads.group[library], plan.library)
    batch = read_batch(reads, tf, [job.run_id] * len(tf), **about)
    result.records[TF, 0] = encode_records(batch)
    chosen = np.flatnonzero(sampled)
    groups = reads.group[chosen]
    group_names = [names[group] for group in groups]
    whole = np.maximum(ends.n_bases, ends.prefix)
    sets = ((TRIMMED, np.maximum(ends.end, ends.prefix), ()), (UNTRIMMED, whole, (filter_history(reads, chosen),)))
    for family, end, tags in sets:
        batch = read_batch(reads, chosen, group_names, end=end, dummy=True, more=tags, **about)
        _sort_records(result, family, encode_records(batch), groups, plan.library)
        counts = tally.trimmed if family == TRIMMED else tally.untrimmed
        counts.count_records(reads, chosen, groups, ends.prefix, end)
        if plan.templates is not None:
            counts.count_barcodes(reads, chosen, plan)


def _sort_records(result, family, records, groups, datasets):
    owner = np.asarray(datasets.dataset_of)[groups]
    for dataset in np.unique(owner).tolist():
        result.records[family, dataset] = records[owner == dataset]


def _fill_barcodes(job, reads, rows, cols, result):
    index = np.zeros(len(reads), np.uint16)
    if reads.hits is not None:
        kept = reads.keeps_barcode
        groups = np.asarray(job.plan.library.barcoded)[reads.hits.barcode[kept]]
        index[kept] = np.array([group.index for group in job.plan.library.groups])[groups]
    library = ~reads.tf
    result.barcodes[rows[library], cols[library]] = index[library]
