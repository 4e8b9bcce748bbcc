"""From called reads to reads as they are written: every filter and trimmer, in order (basecaller.md 2.2, 17-26)."""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from ionanalysis.bam import flow_units
from ionanalysis.basecaller.adapter import AdapterHits, find_adapters
from ionanalysis.basecaller.barcodes import BarcodeHits, BarcodeTemplates, classify
from ionanalysis.basecaller.called import CalledReads
from ionanalysis.basecaller.datasets import Datasets
from ionanalysis.basecaller.end_barcodes import EndBarcodes, EndHits, find_end_barcodes
from ionanalysis.basecaller.ends import ReadEnds, Step
from ionanalysis.basecaller.filters import reject_high_residual, reject_low_quality, reject_short, starts_with
from ionanalysis.basecaller.handles import HandleHits, find_start_handles
from ionanalysis.basecaller.molecular_tags import cut_prefix_tags, cut_suffix_tags
from ionanalysis.basecaller.ragged import TextRows
from ionanalysis.basecaller.trim import trim_adapter, trim_extra_left, trim_extra_right, trim_quality
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.flows import FlowOrder
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions


class Cause(IntEnum):
    """Why a read with a barcode goes to the reads without (basecaller.md 7.7)."""

    NONE = 0
    START_BARCODE = 1
    START_ADAPTER = 2
    START_HANDLE = 3
    END_ADAPTER = 4
    END_HANDLE = 5
    END_BARCODE = 6
    NO_BEAD_ADAPTER = 7


_Q20 = 20
_SUFFIX = ("", ".SB", ".SA", ".SH", ".EA", ".EH", ".EB", "")


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
    handles: tuple[str, ...] = ()
    end_barcodes: EndBarcodes | None = None


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
    barcode_group : ndarray of int64
        The same, before reads lost their barcode.
    hits : BarcodeHits or None
        Numbers of barcodes are positions in ``plan.library.barcoded``.
    handles : HandleHits or None
        Handles behind the barcode.
    end_hits : EndHits or None
        Barcodes at the 3' end.
    cause : ndarray of int8
        `Cause` for which a read lost its barcode.
    origin : TextRows
        Read group and cause (tag ZO) of those reads.
    prefix_tag, suffix_tag : TextRows
        Molecular tags.
    extra_left, extra_right : TextRows
        Extra bases that were cut.
    end_text : TextRows
        Handle, and end adapter and barcode where reads of a group may differ in them (tag YK).
    """

    called: CalledReads
    tf: np.ndarray
    ends: ReadEnds
    adapters: AdapterHits
    insert_end: np.ndarray
    group: np.ndarray
    barcode_group: np.ndarray
    cause: np.ndarray
    origin: TextRows
    prefix_tag: TextRows
    suffix_tag: TextRows
    extra_left: TextRows
    extra_right: TextRows
    end_text: TextRows
    hits: BarcodeHits | None = None
    handles: HandleHits | None = None
    end_hits: EndHits | None = None

    def __len__(self):
        return len(self.called)

    @property
    def keeps_barcode(self):
        """Reads that keep the barcode they have, bool."""
        return np.zeros(len(self), bool) if self.hits is None else (self.hits.barcode >= 0) & (self.cause == Cause.NONE)

    @cached_property
    def n_q20_before(self):
        """Bases of quality 20 or better before each called base of all reads, and at last all: int64 (n_bases + 1,)."""
        return np.concatenate([[0], np.cumsum(self.called.qualities >= _Q20)])

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
    texts = ("origin", "prefix_tag", "suffix_tag", "extra_left", "extra_right", "end_text")
    reads = FinishedReads(
        called=called,
        tf=np.asarray(tf, bool),
        ends=ReadEnds(called.n_bases, verdict),
        adapters=_adapters(called, tf, plan),
        insert_end=called.n_bases,
        group=np.zeros(n_reads, np.int64),
        barcode_group=np.zeros(n_reads, np.int64),
        cause=np.zeros(n_reads, np.int8),
        **{name: TextRows.empty(n_reads) for name in texts},
    )
    library = ~reads.tf
    has_key = _cut_key(reads, plan)
    _assign_barcodes(reads, library, plan)
    _cut_handles(reads, library, plan)
    cut_prefix_tags(reads, library, plan)
    _cut_extra_left(reads, library, plan)
    _filter(reads, has_key, library, plan)
    reads.insert_end = np.where(reads.adapters.found, reads.adapters.start_base, called.n_bases)
    trim_adapter(reads.ends, reads.adapters, plan.filters)
    _cut_end_barcodes(reads, library, plan)
    cut_suffix_tags(reads, library, plan)
    _cut_extra_right(reads, library, plan)
    if not plan.filters.disable_all_filters:
        trim_quality(reads.ends, called, library, plan.filters, plan.trims)
    _push_to_no_match(reads, plan)
    return reads


def adapters_of(plan):
    """Bead adapters of library reads and of test fragments, as they are looked for."""
    trims = plan.trims
    if trims.trim_adapter_cutoff == 0 or plan.filters.disable_all_filters:
        return (), ()
    of_library, of_tf = _named(trims.trim_adapter), _named(trims.trim_adapter_tf)
    # The original's guard: without library adapters, test fragments are not trimmed either.
    return of_library, of_tf if of_library else ()


def _adapters(called, tf, plan):
    """Library and test-fragment adapters; a list of its own for each class."""
    trims = plan.trims
    lists = adapters_of(plan)
    about = {
        "cutoff": trims.trim_adapter_cutoff,
        "min_match": trims.trim_adapter_min_match,
        "separation": trims.trim_adapter_separation,
        "mode": trims.trim_adapter_mode,
    }
    of_library = find_adapters(called, plan.flow_order, lists[0], **about)
    if not np.any(tf):
        return of_library
    of_tf = find_adapters(called[tf], plan.flow_order, lists[1], **about)
    for name, values in vars(of_library).items():
        values[tf] = getattr(of_tf, name)
    return of_library


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
    reads.barcode_group = reads.group.copy()
    reads.cause[there & hits.ambiguous] = Cause.START_BARCODE
    reads.cause[there & hits.adapter_failed] = Cause.START_ADAPTER
    if plan.trims.trim_barcodes:
        reads.ends.cut_front(there, hits.end)
        reads.ends.barcode = reads.ends.tag = reads.ends.prefix.copy()


def _cut_handles(reads, library, plan):
    """Handles belong to what is cut with the barcode; reads without any lose theirs."""
    if not plan.handles or reads.hits is None:
        return
    which = library & (reads.hits.barcode >= 0)
    reads.handles = find_start_handles(
        reads.called, reads.hits.end, which, plan.flow_order, plan.handles, plan.barcodes
    )
    found = reads.handles.handle >= 0
    reads.cause[which & ~found & (reads.cause == Cause.NONE)] = Cause.START_HANDLE
    if plan.trims.trim_barcodes:
        reads.ends.cut_front(found, reads.handles.position)
        reads.ends.barcode = reads.ends.tag = reads.ends.prefix.copy()


def _cut_extra_left(reads, library, plan):
    n_extra = plan.trims.extra_trim_left
    if not n_extra or not plan.trims.trim_barcodes:
        return
    before = reads.ends.prefix.copy()
    trim_extra_left(reads.ends, library, n_extra)
    start = reads.called.base_start[:-1]
    reads.extra_left = TextRows.from_spans(reads.called.bases, start + before, start + reads.ends.prefix)


def _cut_extra_right(reads, library, plan):
    n_extra = plan.trims.extra_trim_right
    if not n_extra:
        return
    before = reads.insert_end
    trim_extra_right(reads.ends, reads.adapters, library, n_extra, plan.filters)
    which = library & reads.adapters.found
    reads.insert_end = np.where(which, np.maximum(before - n_extra, reads.ends.prefix), before)
    start = reads.called.base_start[:-1]
    reads.extra_right = TextRows.from_spans(reads.called.bases, start + reads.insert_end, start + before)


def _cut_end_barcodes(reads, library, plan):
    """Cut what lies between insert and bead adapter; reads without it, or with another's, lose their barcode."""
    wanted, ends = plan.end_barcodes, reads.ends
    if wanted is None or reads.hits is None:
        return
    which = library & ends.alive & reads.keeps_barcode & wanted.looked_for(reads.group)
    bead_adapters = adapters_of(plan)[0]
    hits = reads.end_hits = find_end_barcodes(
        reads.called,
        which,
        reads.adapters,
        bead_adapters,
        wanted,
        plan.handles,
        plan.flow_order,
        plan.barcodes,
    )
    no_handle = np.zeros(len(reads), bool) if hits.handles is None else hits.handles.handle < 0
    failures = (
        (hits.barcode < 0, Cause.END_BARCODE),
        (hits.adapter_failed, Cause.END_ADAPTER),
        (no_handle, Cause.END_HANDLE),
    )
    failed = np.zeros(len(reads), np.int8)
    failed[which & ~reads.adapters.found] = Cause.NO_BEAD_ADAPTER
    for bad, cause in failures:
        failed[which & bad & (failed == Cause.NONE)] = cause
    complete = which & (failed == Cause.NONE)
    other = complete & (hits.barcode != wanted.expected[reads.group]) & (not wanted.listed)
    # Samples analysed as with one barcode keep reads without the second, not those with another sample's.
    lost = which & (failed != Cause.NONE) & ~(wanted.single[reads.group] & (not wanted.listed))
    reads.cause[lost] = failed[lost]
    reads.cause[other] = Cause.END_BARCODE
    _cut_before_adapter(reads, complete & ~other, plan)


def _cut_before_adapter(reads, which, plan):
    hits, ends, wanted = reads.end_hits, reads.ends, plan.end_barcodes
    if plan.barcodes.handle_filter and hits.handles is not None and reads.handles is not None:
        same = which & (reads.handles.handle == hits.handles.handle) & (reads.handles.handle >= 0)
        ends.reject(same, Step.BARCODE, Verdict.BARCODE_TRIM)
    if not plan.trims.trim_barcodes:
        return
    reads.insert_end = np.where(which, np.maximum(hits.position, ends.prefix), reads.insert_end)
    ends.reject(which & (hits.position - ends.prefix < plan.filters.least_kept), Step.BARCODE, Verdict.BARCODE_TRIM)
    ends.cut_end(which, Step.BARCODE, reads.insert_end)
    if hits.handles is not None:
        reads.end_text = TextRows.from_choice(plan.handles, np.where(which, hits.handles.handle, -1))
    apart = which & (wanted.single[reads.group] | wanted.listed)
    whole = [adapter + barcode for barcode, adapter in wanted.barcodes]
    reads.end_text = reads.end_text + TextRows.from_choice(whole, np.where(apart, hits.barcode, -1))


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


def _push_to_no_match(reads, plan):
    """Give reads that must not keep their barcode their barcode and tag back (basecaller.md 7.7)."""
    pushed = reads.cause != Cause.NONE
    if not pushed.any():
        return
    ends = reads.ends
    codes, choice = np.unique(reads.group * len(_SUFFIX) + reads.cause, return_inverse=True)
    names = [plan.library.groups[code // len(_SUFFIX)].name + _SUFFIX[code % len(_SUFFIX)] for code in codes]
    reads.origin = TextRows.from_choice(names, np.where(pushed, choice, -1))
    for texts in (reads.prefix_tag, reads.suffix_tag, reads.extra_left, reads.extra_right, reads.end_text):
        texts.clear(pushed)
    for name in ("barcode", "tag", "prefix"):
        setattr(ends, name, np.where(pushed, ends.key, getattr(ends, name)))
    undone = ends.reached[:, [Step.BARCODE, Step.TAG, Step.EXTRA]]
    # Steps that rejected a read (0) stand.
    ends.reached[:, [Step.BARCODE, Step.TAG, Step.EXTRA]] = np.where(pushed[:, None] & (undone > 0), -1, undone)
    reached = ends.reached[:, [Step.ADAPTER, Step.QUALITY_TRIM]]
    restored = np.where(reached < 0, ends.n_bases[:, None], reached).min(axis=1)
    ends.end = np.where(pushed & ends.alive, restored, ends.end)
    adapter_start = np.where(reads.adapters.found, reads.adapters.start_base, ends.n_bases)
    reads.insert_end = np.where(pushed, adapter_start, reads.insert_end)
    reads.group = np.where(pushed, plan.library.no_match, reads.group)
