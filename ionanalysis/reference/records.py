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


def append_turned(records, bases_at, n_bases, reverse, turned, at, out):
    at, out = at.copy(), out.copy()
    for i, n in enumerate(n_bases):
        n_bytes = (n + 1) // 2
        packed, qualities = records[bases_at[i] :][:n_bytes], records[bases_at[i] + n_bytes :][:n]
        codes = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[:n]
        if reverse[i]:
            # Of one base alone in the low half of a byte, the complement is in the high half.
            codes, qualities = turned[codes[::-1]] >> 4, qualities[::-1]
        place = at[i : i + 1]
        place, out = append_packed(codes, np.array([0]), np.array([n]), place, out)
        at[i : i + 1], out = append_cells(qualities, np.array([0]), np.array([n]), place, out)
    return at, out


def unpack_bases(records, bases_at, base_start, of_code):
    letters = [np.zeros(0, np.uint8)]
    for i, n in enumerate(np.diff(base_start)):
        packed = records[bases_at[i] :][: (n + 1) // 2]
        letters.append(of_code[np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[:n]])
    return np.concatenate(letters)


def flow_units(signal):
    with np.errstate(over="ignore"):
        scaled = np.clip(np.nan_to_num(signal) * np.float32(128), -16383, 16383)
    return (2 * scaled.astype(np.int16)).astype(np.int16)
