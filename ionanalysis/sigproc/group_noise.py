"""Noise that wells share through their electronics: of rows, and of the comparators of a column (sigproc.md 2.5, 2.6).

An amplitude is linear in its trace, so what a row or a comparator adds to all its traces adds the same to all its
amplitudes. That is one number per group and flow instead of a trace, and what wells take in does not pass for noise:
only wells that show no base or one are looked at, beside the level that all such wells show. Group means are
shrunk by the share of their variance that groups have in common (Henderson 1975), so that where no such noise is
nothing is taken off.
"""

import numpy as np

N_COMPARATORS = 4
"""Groups of wells in a column, by row modulo 4."""

_NEAR = 0.3
_LEAST_WELLS = 50


def row_groups(shape):
    """Number of the row of each well: int32 of shape `shape`."""
    return np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None], shape)


def comparator_groups(shape, first_row=0):
    """Number of the comparator of each well: int32 of shape `shape`; rows count from `first_row`."""
    rows = (np.arange(shape[0], dtype=np.int32) + first_row) % N_COMPARATORS
    return N_COMPARATORS * np.arange(shape[1], dtype=np.int32) + rows[:, None]


def without_group_noise(amplitude, size, usable, groups, *, n_rounds=2):
    """Amplitudes of a flow without the noise of groups.

    Parameters
    ----------
    amplitude : ndarray of shape (n_rows, n_cols), float32
        Signals in 1-mers of a typical well, on the level of 0-mers.
    size : ndarray of shape (n_rows, n_cols)
        1-mer of each well.
    usable : ndarray of shape (n_rows, n_cols), bool
        Wells that are measured; others stay what they are.
    groups : sequence of ndarray of shape (n_rows, n_cols), int
        For each kind of noise the number of each well's group.

    Returns
    -------
    ndarray of shape (n_rows, n_cols), float32
    """
    wells = np.flatnonzero(usable)
    shown, own = amplitude.ravel()[wells], size.ravel()[wells]
    signal = shown / own
    known, left = [], []
    for length in (0, 1):
        near = np.flatnonzero(np.abs(signal - np.float32(length)) < _NEAR)
        if len(near) >= _LEAST_WELLS:
            known.append(wells[near])
            left.append(shown[near] - np.median(signal[near]) * own[near])
    if not known:
        return amplitude
    chosen = np.concatenate(known)
    values = np.concatenate(left).astype(float)
    values -= values.mean()
    members = [np.ascontiguousarray(group).ravel()[chosen] for group in groups]
    counts = [
        np.bincount(member, minlength=int(group.max()) + 1) for member, group in zip(members, groups, strict=True)
    ]
    shifts = [np.zeros(len(count)) for count in counts]
    for _ in range(n_rounds):
        for shift, member, count in zip(shifts, members, counts, strict=True):
            values += shift[member]
            shift[:] = _shrunk_means(values, member, count)
            values -= shift[member]
    noise = sum(shift[group] for shift, group in zip(shifts, groups, strict=True))
    return np.where(usable, amplitude - noise, amplitude).astype(np.float32)


def _shrunk_means(values, member, count):
    """Best linear prediction of what each group adds, by its number of members; 0 for groups without any."""
    total = np.bincount(member, values, len(count))
    mean = total / np.maximum(count, 1)
    n_free = len(values) - np.count_nonzero(count)
    if n_free < _LEAST_WELLS:
        return np.zeros(len(count))
    within = (values @ values - total @ mean) / n_free
    # Method of moments: group means vary by what groups add, and by the noise of their members.
    between = max((count @ mean**2 - np.count_nonzero(count) * within) / len(values), 0.0)
    return mean * between / (between + within / np.maximum(count, 1) + 1e-30)
