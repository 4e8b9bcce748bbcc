"""Molecular tags at the ends of inserts, and their repair by the fixed letters (basecaller.md 7.5)."""

import re

import numpy as np

from ionanalysis._core import tags as kernels
from ionanalysis.basecaller.ends import Step
from ionanalysis.basecaller.ragged import TextRows
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.errors import InputError


def check_pattern(pattern):
    """Raise `InputError` unless `pattern` is letters A, C, G, T, N with at least one N, or empty."""
    if pattern and (set(pattern) - set("ACGTN") or "N" not in pattern):
        raise InputError(f"molecular tag {pattern!r} must be letters A, C, G, T and N, with at least one N.")


def read_tags(called, chosen, begin, n_there, pattern, *, backwards=False, strict=False, heal=True):
    """The molecular tags of reads.

    Parameters
    ----------
    called : CalledReads
    chosen : ndarray of shape (n,), int64
        Reads to look at.
    begin : ndarray of shape (n,), int64
        Base of each of them with which the tag begins, counted from its first called one; the tag's last base
        if `backwards`.
    n_there : ndarray of shape (n,), int64
        Bases from there on, or back to there.
    pattern : str
        Letters A, C, G, T that are fixed, and N, as they stand in the read.
    backwards : bool
        Whether the tag is at the end of the insert, and is read from behind.
    strict : bool
        Whether the fixed letters must match.
    heal : bool
        Whether a wrong run length, told by the fixed letters behind it, is repaired.

    Returns
    -------
    tags : TextRows
        As they should read, in read direction; empty if missing, or wrong where `strict`.
    n_bases : ndarray of shape (n,), int32
        Bases to cut off; -1 without a tag.

    Notes
    -----
    Twin: `ionanalysis.reference.tags.read_tags`. Source: basecaller.md 7.5, examples in 12.9.
    """
    letters = pattern[::-1] if backwards else pattern
    text = np.zeros((len(chosen), len(pattern)), np.uint8)
    n_bases = np.full(len(chosen), -1, np.int32)
    sizes = [len(block) for block in re.findall(r"N*[ACGT]+|N+$", letters)]
    there = np.maximum(n_there, 0).astype(np.int64)
    kernels.read_tags(
        called.bases,
        called.base_start[chosen] + begin,
        there,
        -1 if backwards else 1,
        np.frombuffer(letters.encode("ascii"), np.uint8),
        np.cumsum([0, *sizes]).astype(np.int32),
        strict,
        heal,
        np.zeros(int(there.max(initial=0)) + 1, np.uint8),
        text,
        n_bases,
    )
    text[n_bases < 0] = 0
    lengths = np.where(n_bases < 0, 0, len(pattern)).astype(np.int64)
    return TextRows(np.ascontiguousarray(text[:, ::-1]) if backwards else text, lengths), n_bases


def tag_patterns(plan, end):
    """Pattern of the tag at the ``prefix`` or ``suffix`` of the reads of each read group, empty without."""
    options = plan.barcodes
    if options.suppress_mol_tags or not plan.trims.trim_barcodes:
        return [""] * len(plan.library.groups)
    of_all = getattr(options, f"{end}_mol_tag")
    # Reads without a barcode are no sample's reads, so that they have no tags either.
    return [
        "" if plan.templates is not None and not group.barcode else of_all or group.text(f"mol_tag_{end}")
        for group in plan.library.groups
    ]


def cut_prefix_tags(reads, library, plan):
    """Cut molecular tags off the front of library reads; reject reads without one where it is needed."""
    ends, missing = reads.ends, np.zeros(len(reads), bool)
    n_cut = np.zeros(len(reads), np.int64)
    for pattern, chosen in _by_pattern(reads, library & (ends.n_bases > 0), plan, "prefix"):
        n_there = (ends.n_bases - ends.prefix)[chosen]
        tags, n_bases = read_tags(reads.called, chosen, ends.prefix[chosen], n_there, pattern, **_how(plan))
        reads.prefix_tag.put(chosen, tags)
        n_cut[chosen], missing[chosen] = np.maximum(n_bases, 0), n_bases < 0
    ends.cut_front(library, ends.prefix + n_cut)
    ends.tag = ends.prefix.copy()
    needed = plan.barcodes.tag_filter_method in ("need-all", "need-prefix")
    ends.reject(missing & needed, Step.TAG, Verdict.TAG_TRIM)


def cut_suffix_tags(reads, library, plan):
    """The same at the end of the insert, which only reads with a bead adapter show."""
    ends, missing = reads.ends, np.zeros(len(reads), bool)
    cut, position = np.zeros(len(reads), bool), reads.insert_end.copy()
    for pattern, chosen in _by_pattern(reads, library & ends.alive, plan, "suffix"):
        n_there = np.where(reads.adapters.found[chosen], (reads.insert_end - ends.prefix)[chosen], 0)
        last = reads.insert_end[chosen] - 1
        tags, n_bases = read_tags(reads.called, chosen, last, n_there, pattern, backwards=True, **_how(plan))
        reads.suffix_tag.put(chosen, tags)
        position[chosen] -= np.maximum(n_bases, 0)
        cut[chosen], missing[chosen] = n_bases > 0, n_bases < 0
    reads.insert_end = position
    needed = plan.barcodes.tag_filter_method in ("need-all", "need-suffix")
    ends.reject(missing & needed, Step.TAG, Verdict.TAG_TRIM)
    ends.reject(cut & (position - ends.prefix < plan.filters.least_kept), Step.TAG, Verdict.TAG_TRIM)
    ends.cut_end(cut, Step.TAG, position)


def _by_pattern(reads, which, plan, end):
    """Each pattern and the numbers of the reads `which` whose group has it."""
    patterns = tag_patterns(plan, end)
    for pattern in sorted({*patterns} - {""}):
        of_group = np.array([other == pattern for other in patterns])
        chosen = np.flatnonzero(which & of_group[reads.group])
        if len(chosen):
            yield pattern, chosen


def _how(plan):
    return {"strict": plan.barcodes.tag_trim_method == "strict-trim", "heal": plan.barcodes.heal_tag_hp_indel}
