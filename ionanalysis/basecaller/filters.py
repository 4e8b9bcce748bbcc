"""Filters of called reads: key, length, fit and expected errors (basecaller.md 6.1, 6.2, 6.4, 6.5)."""

import numpy as np

from ionanalysis.basecaller.ends import Step
from ionanalysis.basecaller.letters import matches_at
from ionanalysis.basecaller.ragged import as_rows
from ionanalysis.basecaller.verdicts import Verdict

_RESIDUAL_FLOWS = 60
ERROR_PROBABILITY = 10.0 ** (-np.arange(256) / 10)
"""Probability of an error of each Phred value."""


def starts_with(called, sequence):
    """Whether the bases of each read start with `sequence`, bool of shape (n_reads,); IUPAC letters."""
    return matches_at(called, sequence, np.zeros(len(called), np.int64))


def reject_short(ends, options):
    """Reject reads without bases, of too few bases, or with too few left behind their front."""
    ends.reject(ends.n_bases == 0, Step.SHORT, Verdict.ZERO_BASES)
    short = (ends.n_bases < options.min_read_length) | (ends.end - ends.prefix < options.least_kept)
    ends.reject(short, Step.SHORT, Verdict.SHORT)


def reject_high_residual(ends, called, which, options):
    """Reject reads whose median absolute residual over the first flows is too great."""
    n_flows = min(_RESIDUAL_FLOWS, called.signal.shape[1])
    if n_flows == 0:
        return
    misfit = np.abs(called.signal[:, :n_flows] - called.predicted[:, :n_flows])
    bad = ~(np.median(misfit, axis=1) <= options.cr_filter_max_value)
    ends.reject(bad & which, Step.RESIDUAL, Verdict.HIGH_RESIDUAL)


def reject_low_quality(ends, called, options):
    """Reject reads that expect more errors, anywhere, than a bound that grows with the bases so far."""
    expected, bound = expected_errors(called), error_bound(called, options, "qual_filter")
    over = (expected > bound) & (np.arange(expected.shape[1]) < called.n_bases[:, None])
    ends.reject(over.any(axis=1), Step.QUALITY_FILTER, Verdict.QUALITY_FILTER)


def expected_errors(called):
    """Errors expected up to and with each base, float64 of shape (n_reads, longest read)."""
    rows = as_rows(called.qualities, called.base_start, 0)
    return np.cumsum(ERROR_PROBABILITY[rows], axis=1)


def error_bound(called, options, prefix):
    """Bound of `expected_errors` per base: offset + slope * (b + 1) + quadr * (0 + 1 + ... + b)."""
    base = np.arange(int(called.n_bases.max(initial=0)))
    offset, slope, quadr = (getattr(options, f"{prefix}_{part}") for part in ("offset", "slope", "quadr"))
    return offset + slope * (base + 1) + quadr * np.cumsum(base)
