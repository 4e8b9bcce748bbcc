"""From called reads to reads as they are written: every filter and trimmer, in order (basecaller.md 2.2, 17-26)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ionanalysis.bam import flow_units
from ionanalysis.basecaller.adapter import AdapterHits, find_adapters
from ionanalysis.basecaller.barcodes import BarcodeHits, BarcodeTemplates, barcode_end, classify
from ionanalysis.basecaller.called import CalledReads
from ionanalysis.basecaller.datasets import Datasets
from ionanalysis.basecaller.ends import ReadEnds, Step
from ionanalysis.basecaller.filters import reject_high_residual, reject_low_quality, reject_short, starts_with
from ionanalysis.basecaller.molecular_tags import read_tag
from ionanalysis.basecaller.trim import trim_adapter, trim_extra_left, trim_extra_right, trim_quality
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.flows import FlowOrder
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions


@dataclass(frozen=True, eq=False)
class FinishPlan:
    """What finishing reads needs to know of the run; small, and the same for all blocks."""

    flow_order: FlowOrder
    library_key: str
    tf_key: str
    library: Datasets
    templates: BarcodeTemplates | None
    template_signals: np.ndarray | None
    filters: FilterOptions
    trims: TrimOptions
    barcodes: BarcodeOptions


@dataclass(eq=False)
class FinishedReads:
    """Called reads with all that was decided about them; arrays have one value per read.

    Attributes
    ----------
    called : CalledReads
    tf : ndarray of bool
        Test fragments; all others are library reads.
    ends : ReadEnds
    adapters : AdapterHits
    insert_end : ndarray of int64
        End of the insert of reads with a bead adapter, in bases from the first called one.
    group : ndarray of int64
        Read group of library reads, a number in ``plan.library.groups``; 0 for test fragments.
    hits : BarcodeHits or None
        Numbers of barcodes are positions in ``plan.library.barcoded``.
    origin : list of str
        Read group and cause (tag ZO) of reads that had a barcode and lost it, else empty.
    prefix_tag, suffix_tag : list of str
        Molecular tags, empty without.
    extra_left, extra_right : list of str
        Extra bases that were cut.
    """

    called: CalledReads
    tf: np.ndarray
    ends: ReadEnds
    adapters: AdapterHits
    insert_end: np.ndarray
    group: np.ndarray
    hits: BarcodeHits | None
    origin: list[str]
    prefix_tag: list[str]
    suffix_tag: list[str]
    extra_left: list[str]
    extra_right: list[str]

    def __len__(self):
        return len(self.called)

    @cached_property
    def signal_units(self):
        """Tag ZM of all reads, int16 of shape (n, n_flows): several sets of files carry it."""
        return flow_units(self.called.signal_without_droop())


def finish_reads(called, tf, verdict, plan):
    """Trim and filter called reads.

    Parameters
    ----------
    called : CalledReads
        Of n reads, key first.
    tf : ndarray of shape (n,), bool
        Test fragments.
    verdict : ndarray of shape (n,), int8
        `Verdict` so far; reads rejected before calling are trimmed, too, but stay rejected.
    plan : FinishPlan

    Returns
    -------
    FinishedReads
    """
    n_reads = len(called)
    reads = FinishedReads(
        called=called,
        tf=np.asarray(tf, bool),
        ends=ReadEnds(called.n_bases, verdict),
        adapters=_adapters(called, tf, plan),
        insert_end=called.n_bases,
        group=np.zeros(n_reads, np.int64),
        hits=None,
        origin=[""] * n_reads,
        prefix_tag=[""] * n_reads,
        suffix_tag=[""] * n_reads,
        extra_left=[""] * n_reads,
        extra_right=[""] * n_reads,
    )
    library = ~reads.tf
    has_key = _cut_key(reads, plan)
    _assign_barcodes(reads, library, plan)
    _cut_prefix_tags(reads, library, plan)
    _cut_extra_left(reads, library, plan)
    _filter(reads, has_key, library, plan)
    reads.insert_end = np.where(reads.adapters.found, reads.adapters.start_base, called.n_bases)
    trim_adapter(reads.ends, reads.adapters, plan.filters)
    _cut_suffix_tags(reads, library, plan)
    _cut_extra_right(reads, library, plan)
    if not plan.filters.disable_all_filters:
        trim_quality(reads.ends, called, library, plan.filters, plan.trims)
    _push_to_no_match(reads, library, plan)
    return reads


def _adapters(called, tf, plan):
    """Library and test-fragment adapters; a list of its own for each class."""
    trims = plan.trims
    off = trims.trim_adapter_cutoff == 0 or plan.filters.disable_all_filters
    # The original's guard: without library adapters, test fragments are not trimmed either.
    lists = [() if off else _named(trims.trim_adapter), () if off else _named(trims.trim_adapter_tf)]
    if not lists[0]:
        lists[1] = ()
    about = {
        "cutoff": trims.trim_adapter_cutoff,
        "min_match": trims.trim_adapter_min_match,
        "separation": trims.trim_adapter_separation,
        "with_residuals": trims.trim_adapter_mode == 1,
    }
    of_library = find_adapters(called, plan.flow_order, lists[0], **about)
    if not np.any(tf):
        return of_library
    of_tf = find_adapters(called, plan.flow_order, lists[1], **about)
    fields = {name: np.where(tf, getattr(of_tf, name), value) for name, value in vars(of_library).items()}
    return AdapterHits(**fields)


def _named(adapters):
    return () if adapters == ("off",) else tuple(sequence.upper() for sequence in adapters)


def _cut_key(reads, plan):
    """Cut the key; whether each read shows it."""
    called, ends = reads.called, reads.ends
    size = np.where(reads.tf, len(plan.tf_key), len(plan.library_key))
    has_key = np.where(reads.tf, starts_with(called, plan.tf_key), starts_with(called, plan.library_key))
    ends.cut_front(np.ones(len(reads), bool), size)
    ends.key = ends.barcode = ends.tag = ends.prefix.copy()
    return has_key.astype(bool)


def _assign_barcodes(reads, library, plan):
    reads.group[library] = plan.library.no_match
    if plan.templates is None:
        return
    hits = classify(reads.called, plan.templates, plan.template_signals, plan.barcodes)
    hits.barcode[~library] = -1
    reads.hits = hits
    there = hits.barcode >= 0
    reads.group[there] = np.asarray(plan.library.barcoded)[hits.barcode[there]]
    if plan.trims.trim_barcodes:
        reads.ends.cut_front(there, barcode_end(reads.called, hits, plan.templates))
        reads.ends.barcode = reads.ends.tag = reads.ends.prefix.copy()


def _tag_pattern(reads, read, end, plan):
    """Pattern of the tag at one end of a read, empty without."""
    group = plan.library.groups[reads.group[read]]
    if plan.barcodes.suppress_mol_tags or not plan.trims.trim_barcodes or (plan.templates and not group.barcode):
        return ""
    return getattr(plan.barcodes, f"{end}_mol_tag") or group.text(f"mol_tag_{end}")


def _may_have_tags(plan, end):
    named = getattr(plan.barcodes, f"{end}_mol_tag")
    return bool(named) or any(group.text(f"mol_tag_{end}") for group in plan.library.groups)


def _cut_prefix_tags(reads, library, plan):
    if not _may_have_tags(plan, "prefix"):
        return
    needed = plan.barcodes.tag_filter_method in ("need-all", "need-prefix")
    ends, n_cut, missing = reads.ends, np.zeros(len(reads), np.int64), np.zeros(len(reads), bool)
    for read in np.flatnonzero(library & (ends.n_bases > 0)):
        pattern = _tag_pattern(reads, read, "prefix", plan)
        if pattern:
            tag, n_cut[read] = _tag(pattern, reads.called.sequence(read)[ends.prefix[read] :], plan)
            reads.prefix_tag[read] = tag or ""
            missing[read] = tag is None
    ends.cut_front(library, ends.prefix + n_cut)
    ends.tag = ends.prefix.copy()
    ends.reject(missing & needed, Step.TAG, Verdict.TAG_TRIM)


def _cut_suffix_tags(reads, library, plan):
    if not _may_have_tags(plan, "suffix"):
        return
    needed = plan.barcodes.tag_filter_method in ("need-all", "need-suffix")
    ends, position, missing = reads.ends, reads.insert_end.copy(), np.zeros(len(reads), bool)
    for read in np.flatnonzero(library & ends.alive):
        pattern = _tag_pattern(reads, read, "suffix", plan)
        if not pattern:
            continue
        insert = reads.called.sequence(read)[ends.prefix[read] : reads.insert_end[read]]
        tag, n_cut = (None, 0) if not reads.adapters.found[read] else _tag(pattern[::-1], insert[::-1], plan)
        reads.suffix_tag[read] = (tag or "")[::-1]
        missing[read] = tag is None
        position[read] -= n_cut
    reads.insert_end = position
    ends.reject(missing & needed, Step.TAG, Verdict.TAG_TRIM)
    cut = np.array([bool(tag) for tag in reads.suffix_tag], bool)
    ends.reject(cut & (position - ends.prefix < plan.filters.least_kept), Step.TAG, Verdict.TAG_TRIM)
    ends.cut_end(cut, Step.TAG, position)


def _tag(pattern, bases, plan):
    options = plan.barcodes
    return read_tag(pattern, bases, strict=options.tag_trim_method == "strict-trim", heal=options.heal_tag_hp_indel)


def _cut_extra_left(reads, library, plan):
    n_extra = plan.trims.extra_trim_left
    if not n_extra or not plan.trims.trim_barcodes:
        return
    before = reads.ends.prefix.copy()
    trim_extra_left(reads.ends, library, n_extra)
    for read in np.flatnonzero(library):
        reads.extra_left[read] = reads.called.sequence(read)[before[read] : reads.ends.prefix[read]]


def _cut_extra_right(reads, library, plan):
    n_extra = plan.trims.extra_trim_right
    if not n_extra:
        return
    before = reads.insert_end
    trim_extra_right(reads.ends, reads.adapters, library, n_extra, plan.filters)
    which = library & reads.adapters.found
    reads.insert_end = np.where(which, np.maximum(before - n_extra, reads.ends.prefix), before)
    for read in np.flatnonzero(which):
        reads.extra_right[read] = reads.called.sequence(read)[reads.insert_end[read] : before[read]]


def _filter(reads, has_key, library, plan):
    filters, ends, called = plan.filters, reads.ends, reads.called
    reject_short(ends, filters)
    if filters.disable_all_filters:
        return
    if filters.keypass_filter:
        ends.reject(~has_key, Step.KEYPASS, Verdict.KEYPASS)
    which = (library & filters.cr_filter) | (reads.tf & filters.cr_filter_tf)
    if which.any():
        reject_high_residual(ends, called, which, filters)
    if filters.qual_filter:
        reject_low_quality(ends, called, filters)


def _push_to_no_match(reads, library, plan):
    """Give reads that must not keep their barcode their barcode and tag back (basecaller.md 7.7)."""
    if reads.hits is None:
        return
    ends, hits = reads.ends, reads.hits
    pushed = library & (hits.barcode >= 0) & ~hits.kept
    for read in np.flatnonzero(pushed):
        cause = "SB" if hits.ambiguous[read] else "SA"
        reads.origin[read] = f"{plan.library.groups[reads.group[read]].name}.{cause}"
        reads.prefix_tag[read] = reads.suffix_tag[read] = ""
        reads.extra_left[read] = reads.extra_right[read] = ""
    for name in ("barcode", "tag", "prefix"):
        setattr(ends, name, np.where(pushed, ends.key, getattr(ends, name)))
    ends.reached[np.ix_(pushed, [Step.TAG, Step.EXTRA])] = -1
    reached = ends.reached[:, [Step.ADAPTER, Step.QUALITY_TRIM]]
    restored = np.where(reached < 0, ends.n_bases[:, None], reached).min(axis=1)
    ends.end = np.where(pushed & ends.alive, restored, ends.end)
    adapter_start = np.where(reads.adapters.found, reads.adapters.start_base, ends.n_bases)
    reads.insert_end = np.where(pushed, adapter_start, reads.insert_end)
    reads.group = np.where(pushed, plan.library.no_match, reads.group)
