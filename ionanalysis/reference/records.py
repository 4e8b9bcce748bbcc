"""Plain-NumPy twins of ionanalysis._core.records: slow, short, meant to be read. They return what kernels change."""

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


def flow_units(signal):
    with np.errstate(over="ignore"):
        scaled = np.clip(np.nan_to_num(signal) * np.float32(128), -16383, 16383)
    return (2 * scaled.astype(np.int16)).astype(np.int16)
