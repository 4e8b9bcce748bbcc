"""Parts of a region that single flows reach late, behind a bubble: found, and set right.

What delays a well has always is told from all flows; here only single flows count that reach neighbouring wells later
than the other flows do, and later than they reach the rest of the region.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.ndimage import binary_dilation, convolve

from ionanalysis.sigproc.frames import FrameClock

CELL = 6
"""Side of the square cells whose mean traces are looked at, wells."""

LEAST_S = 0.15
"""Flows that are less late than this are left alone, seconds."""

MOST_S = 1.2
_LEAST_CELLS = 4

_VOTES = np.array([[1, 1, 1], [1, 4, 1], [1, 1, 1]])
"""How much a well and those around it say about whether it is late."""

_EARLIEST_S = -0.2
_FINE_STEPS = 2
"""Steps of the fine grid between delays that are tried: whole ones cost least."""


@dataclass(frozen=True)
class LatenessWatch:
    """Looks for late parts of a region.

    Parameters
    ----------
    clock : FrameClock
    shape : tuple of int
        Rows and columns of the region.
    usable : ndarray of shape (n_wells,), bool
        Wells whose traces may be moved.
    judged : ndarray of shape (n_wells,), bool
        Those of them that tell what is late: all alike, best, as empties follow the bulk faster than beads.
    own_s : ndarray of shape (n_cells,)
        How much later than others flows usually reach each cell, seconds.
    """

    clock: FrameClock
    shape: tuple[int, int]
    usable: np.ndarray
    judged: np.ndarray
    own_s: np.ndarray

    @classmethod
    def by_flows(cls, clock, shape, usable, flows):
        """With the usual delays as most of some flows show them, each (n_frames, n_wells)."""
        new = cls(clock, shape, usable, usable, np.zeros(len(_starts(shape[0])) * len(_starts(shape[1]))))
        seen = np.array([new._cell_delays(flow)[0] for flow in flows])
        middle = np.median(seen[:, new._filled], axis=1, keepdims=True) if new._filled.any() else 0.0
        return cls(clock, shape, usable, usable, np.median(seen - middle, axis=0))

    @classmethod
    def by_wells(cls, clock, shape, usable, judged, usual_s):
        """With what `usual_s` told of each well."""
        _, first = np.unique(_cells(shape), return_index=True)
        return cls(clock, shape, usable, judged, usual_s[first])

    def usual_s(self):
        """Usual delay of the cell of each well, seconds: (n_wells,)."""
        return self.own_s[_cells(self.shape)]

    @cached_property
    def _mask(self):
        return self.judged.astype(np.float32)

    @cached_property
    def _filled(self):
        """Cells with enough wells, that their bases average out."""
        return self._counts >= CELL**2 / 2

    @cached_property
    def _counts(self):
        return _cell_sums(self.judged[None].astype(float), self.shape)[0]

    def set_right(self, flow):
        """A flow, (n_frames, n_wells), with the traces of late wells moved back; itself if there are none."""
        filled = self._filled
        if np.count_nonzero(filled) < _LEAST_CELLS:
            return flow
        seen, sums, models = self._cell_delays(flow)
        usual = self.own_s + np.median((seen - self.own_s)[filled])
        late = filled & (seen - usual > LEAST_S)
        for number in np.flatnonzero(late):
            late[number] = self._is_still(sums, number, usual[number], seen[number])
        if not late.any():
            return flow
        cell, delays = _cells(self.shape), _delays(self.clock)
        likeness = self._likeness(flow, models)
        usually, late_by = (
            likeness[_nearest(usual[cell] + extra, delays), np.arange(len(cell))]
            for extra in (0.0, float(np.median((seen - usual)[late])))
        )
        # A base of its own may make a well look early or late: the wells around it decide with it.
        gain = np.where(self.usable, late_by - usually, 0.0).reshape(self.shape)
        chosen = convolve(gain, _VOTES, mode="nearest").ravel() > 0
        wells = np.flatnonzero(chosen & _widened(late, self.shape)[cell] & self.usable)
        if not len(wells):
            return flow
        # Cells at the edge are late in part; the wells themselves tell by how much they are.
        lateness = _best_delays(likeness[:, wells].sum(axis=1, keepdims=True), delays)[0] - usual[cell[wells]].mean()
        back = self.clock.delayed(np.eye(self.clock.n_frames), -lateness).astype(np.float32)
        repaired = flow.copy()
        repaired[:, wells] = back @ flow[:, wells]
        return repaired

    def _cell_delays(self, flow):
        """Delay of each cell at which its mean trace is most like the region's; cells' sums; the region's models."""
        sums = _cell_sums(flow * self._mask, self.shape)
        models = self._models(sums.sum(axis=1, dtype=float) / max(np.count_nonzero(self.judged), 1))
        found = _best_delays(self._likeness(sums, models), _delays(self.clock))
        return np.where(self._filled, found, 0.0), sums, models

    def _is_still(self, sums, number, usual_s, seen_s):
        """Whether a cell shows little while the flow reaches others: a base, or its absence, is no lateness."""
        counts = self._counts
        mean = sums.sum(axis=1, dtype=float) / counts.sum()
        delays = _delays(self.clock)
        both = delays[_nearest(np.array([usual_s, seen_s]), delays)]
        expected, late = self.clock.averaged(self.clock.fine(mean, both)).T
        size = np.ptp(expected)
        before = np.abs(expected - expected[0]) < 0.02 * size
        before &= np.cumsum(~before) == 0
        early = (
            ~before & (np.abs(late - late[0]) < 0.15 * size) & (np.cumsum(np.abs(late - late[0]) >= 0.15 * size) == 0)
        )
        weight = np.where(early, (expected - late) * self.clock.counts, 0.0)
        shown, on_time, behind = (
            weight @ (trace - trace[before].mean()) for trace in (sums[:, number] / counts[number], expected, late)
        )
        return bool(before.any() and shown < behind + 0.25 * (on_time - behind))

    def _models(self, mean):
        """A mean trace at each delay, of mean 0 and norm 1, weighted by the frames' lengths: (n_delays, n_frames)."""
        weight = np.asarray(self.clock.counts, float)
        models = self.clock.averaged(self.clock.fine(mean, _delays(self.clock))).T
        models = (models - (models @ weight / weight.sum())[:, None]) * np.sqrt(weight)
        return models / np.maximum(np.linalg.norm(models, axis=1, keepdims=True), 1e-9)

    def _likeness(self, traces, models):
        """Products of traces, (n_frames, n), with each model: (n_delays, n)."""
        # Models have no offset, so that the traces' own does not matter.
        return (models * np.sqrt(np.asarray(self.clock.counts, float))).astype(np.float32) @ traces


def uneven(amplitude, live, shape):
    """Whether the signals of a flow differ from cell to cell as no library does: something may be late."""
    sums = _cell_sums(np.stack([np.where(live, amplitude, 0), live]).astype(np.float32), shape)
    means = sums[0][sums[1] >= CELL] / sums[1][sums[1] >= CELL]
    if len(means) < _LEAST_CELLS:
        return False
    off = np.abs(means - np.median(means))
    return bool(off.max() > max(_UNEVEN, 7 * np.median(off)))


_UNEVEN = 0.6
"""Least difference of mean signals of cells that is looked into, 1-mers."""


def _starts(length):
    return np.arange(0, length, CELL)


def _cell_sums(values, shape):
    """Sums over cells of values (n, n_wells): (n, n_cells)."""
    rows, cols = (_members(length, values.dtype) for length in shape)
    return (rows @ values.reshape(len(values), *shape) @ cols.T).reshape(len(values), -1)


@lru_cache(maxsize=64)
def _members(length, dtype):
    """Which rows, or columns, belong to which row or column of cells: 1 or 0, (n_cells, length)."""
    return (np.arange(length) // CELL == np.arange(len(_starts(length)))[:, None]).astype(dtype)


def _cells(shape):
    """Number of the cell of each well."""
    rows, cols = (np.arange(n) // CELL for n in shape)
    return (rows[:, None] * (cols[-1] + 1) + cols).ravel()


def _delays(clock):
    """Delays that are tried, seconds."""
    step_s = _FINE_STEPS * clock.step_s
    return np.arange(round(_EARLIEST_S / step_s), round(MOST_S / step_s) + 1) * step_s


def _best_delays(likeness, delays):
    """Delay of the highest likeness, (n_delays, n), between the steps of delays: (n,)."""
    best = np.clip(likeness.argmax(axis=0), 1, len(delays) - 2)
    low, middle, high = (likeness[best + step, np.arange(likeness.shape[1])] for step in (-1, 0, 1))
    bend = np.minimum(low - 2 * middle + high, -1e-9)
    return delays[best] + (delays[1] - delays[0]) * np.clip((low - high) / (2 * bend), -1, 1)


def _nearest(values, delays):
    return np.clip(np.rint((values - delays[0]) / (delays[1] - delays[0])).astype(int), 0, len(delays) - 1)


def _widened(late, shape):
    """Late cells and those around them."""
    grid = late.reshape(len(_starts(shape[0])), -1)
    return binary_dilation(grid, np.ones((3, 3), bool)).ravel()
