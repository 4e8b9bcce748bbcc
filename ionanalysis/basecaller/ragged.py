"""Flat arrays of ragged reads as tables of one row per read."""

import numpy as np


def as_rows(flat, starts, fill):
    """A table with the values of read i in row i, padded with `fill`.

    Parameters
    ----------
    flat : ndarray of shape (n_values,)
    starts : ndarray of shape (n_reads + 1,)
        Read i has the values [starts[i], starts[i + 1]).
    fill
        Value behind the end of a read.

    >>> as_rows(np.array([1, 2, 3]), np.array([0, 2, 3]), 0)
    array([[1, 2],
           [3, 0]])
    """
    lengths = np.diff(starts)
    rows = np.full((len(lengths), int(lengths.max(initial=0))), fill, flat.dtype)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = flat[starts[0] : starts[-1]]
    return rows
