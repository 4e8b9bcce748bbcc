"""Plain-NumPy twins of ionanalysis._core.records: slow, short, meant to be read. They give new `at` and `out`."""

import numpy as np


def append_cells(cells, first, last, at, out):
    at, out = at.copy(), out.copy()
    for i in range(len(at)):
        cell = cells[first[i] : last[i]]
        out[at[i] : at[i] + len(cell)] = cell
        at[i] += len(cell)
    return at, out


def append_packed(values, first, last, at, out):
    at, out = at.copy(), out.copy()
    for i in range(len(at)):
        cell = values[first[i] : last[i]]
        pairs = np.append(cell, np.zeros(len(cell) % 2, np.uint8)).reshape(-1, 2)
        out[at[i] : at[i] + len(pairs)] = pairs[:, 0] << 4 | pairs[:, 1]
        at[i] += len(pairs)
    return at, out
