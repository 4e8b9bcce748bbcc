"""Trimming of the low-quality end, of the bead adapter and of extra bases (basecaller.md 6.6-6.8)."""

import numpy as np

from ionanalysis._core import called as kernels
from ionanalysis.basecaller.ends import Step
from ionanalysis.basecaller.filters import error_bound, expected_errors
from ionanalysis.basecaller.verdicts import Verdict

_WINDOW_MODES = ("sliding-window", "all", "max-information")
_ERROR_MODES = ("expected-errors", "all", "max-information")


def quality_clip(called, options):
    """Bases of each read before its quality falls, int64 of shape (n_reads,).

    Parameters
    ----------
    called : CalledReads
    options : TrimOptions
        `trim_qual_mode` and what belongs to it.

    Notes
    -----
    ``sliding-window`` clips in the middle of the first window whose mean is below the cutoff; it keeps
    all bases if the window reaches the last base. ``expected-errors`` keeps as many bases as stay below
    a bound of expected errors; ``all`` takes the lesser of both, and so does ``max-information`` in base space.
    Source: basecaller.md 6.7.
    """
    clip = called.n_bases
    if options.trim_qual_mode in _WINDOW_MODES and 0 < options.trim_qual_cutoff < 100:
        clip = np.minimum(clip, _window_clip(called, options.trim_qual_window_size, options.trim_qual_cutoff))
    if options.trim_qual_mode in _ERROR_MODES:
        clip = np.minimum(clip, _error_clip(called, options))
    return clip


def _window_clip(called, size, cutoff):
    clip = np.empty(len(called), np.int64)
    kernels.clip_windows(called.qualities, called.base_start, size, cutoff, clip)
    return clip


def _error_clip(called, options):
    within = expected_errors(called) < error_bound(called, options, "trim_qual")
    within &= np.arange(within.shape[1]) < called.n_bases[:, None]
    return np.max(np.where(within, np.arange(within.shape[1]) + 1, 0), axis=1, initial=0)


def trim_quality(ends, called, which, filters, options):
    """Cut the low-quality end of the library reads `which`; reject those of which too little is left."""
    clip = quality_clip(called, options)
    shorter = which & (clip < ends.end)
    ends.reject(shorter & (clip - ends.prefix < filters.least_kept), Step.QUALITY_TRIM, Verdict.QUALITY_TRIM)
    ends.cut_end(shorter, Step.QUALITY_TRIM, clip)


def trim_adapter(ends, hits, filters):
    """Cut reads at their bead adapter; reject those with too little before it ("primer dimers")."""
    start = hits.start_base.astype(np.int64)
    dimer = hits.found & (start - ends.prefix < filters.least_kept)
    ends.reject(dimer, Step.ADAPTER, Verdict.ADAPTER_TRIM)
    ends.cut_end(hits.found, Step.ADAPTER, start)


def trim_extra_left(ends, which, n_bases):
    """Cut `n_bases` more off the front."""
    ends.cut_front(which, ends.prefix + n_bases)


def trim_extra_right(ends, hits, which, n_bases, filters):
    """Cut `n_bases` before the bead adapter of reads that have one."""
    which = which & hits.found
    position = np.maximum(ends.end - n_bases, ends.prefix)
    ends.reject(which & (position - ends.prefix < filters.least_kept), Step.EXTRA, Verdict.EXTRA_TRIM)
    ends.cut_end(which, Step.EXTRA, position)
