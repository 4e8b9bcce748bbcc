"""Parts of a region that single flows reach late, behind a bubble: found, and set right.

What delays a well has always is told from all flows; here only single flows count that reach neighbouring wells later
than the other flows do, and later than they reach the rest of the region.
"""

import numpy as np
from scipy.ndimage import binary_dilation, convolve

CELL = 6
"""Side of the square cells whose mean traces are looked at, wells."""

LEAST_S = 0.1
"""Flows that are less late than this are left alone, seconds."""

MOST_S = 1.2

_VOTES = np.array([[1, 1, 1], [1, 4, 1], [1, 1, 1]])
"""How much a well and those around it say about whether it is late."""

_STEP_S = 0.04


def in_time(flows, clock, shape, usable):
    """The same flows with late wells' traces moved back.

    Parameters
    ----------
    flows : list of ndarray of shape (n_frames, n_wells), float32
        Counts above the first frame; at least three flows.
    clock : FrameClock
    shape : tuple of int
        Rows and columns.
    usable : ndarray of shape (n_wells,), bool

    Returns
    -------
    list of ndarray
        Flows without late wells are the very same arrays.
    """
    cell = _cells(shape)
    n_usable = np.bincount(cell[usable], minlength=cell.max() + 1)
    filled = n_usable > 0
    if len(flows) < 3 or np.count_nonzero(filled) < 4:
        return flows
    delays = _delay_steps()
    models = [_models(clock, flow[:, usable].mean(axis=1, dtype=float), delays) for flow in flows]
    likeness = [_likeness(flow, model, clock) for flow, model in zip(flows, models, strict=True)]
    seen = np.array([_cell_delays(one, delays, cell, usable, len(n_usable)) for one in likeness])
    own = np.median(seen - np.median(seen[:, filled], axis=1, keepdims=True), axis=0)
    repaired = list(flows)
    for number, flow in enumerate(flows):
        usual = own + np.median(seen[number][filled] - own[filled])
        late = filled & (seen[number] - usual > LEAST_S)
        if not late.any():
            continue
        lateness = float(np.median((seen[number] - usual)[late]))
        usually, late_by = (
            likeness[number][_nearest(delays, usual[cell] + extra), np.arange(len(cell))] for extra in (0.0, lateness)
        )
        # A base of its own may make a well look early or late: the wells around it decide with it.
        gain = convolve(np.where(usable, late_by - usually, 0.0).reshape(shape), _VOTES, mode="nearest").ravel()
        wells = np.flatnonzero((gain > 0) & _widened(late, shape)[cell] & usable)
        repaired[number] = flow.copy()
        back = clock.delayed(np.eye(clock.n_frames), -lateness).astype(np.float32)
        repaired[number][:, wells] = back @ flow[:, wells]
    return repaired


def _cells(shape):
    """Number of the cell of each well."""
    rows, cols = (np.arange(n) // CELL for n in shape)
    return (rows[:, None] * (cols[-1] + 1) + cols).ravel()


def _delay_steps():
    return np.arange(-round(0.2 / _STEP_S), round(MOST_S / _STEP_S) + 1) * _STEP_S


def _models(clock, mean, delays):
    """A mean trace at each delay, of mean 0 and norm 1, weighted by the frames' lengths: (n_delays, n_frames)."""
    weight = np.asarray(clock.counts, float)
    models = clock.averaged(clock.fine(mean, delays)).T
    models = (models - (models @ weight / weight.sum())[:, None]) * np.sqrt(weight)
    return models / np.maximum(np.linalg.norm(models, axis=1, keepdims=True), 1e-9)


def _likeness(traces, models, clock):
    """Products of traces, (n_frames, n), with each model: (n_delays, n)."""
    # Models have no offset, so that the traces' own does not matter.
    return (models * np.sqrt(np.asarray(clock.counts, float))) @ traces


def _cell_delays(likeness, delays, cell, usable, n_cells):
    """Delay of each cell at which its mean trace is most like the model, seconds; 0 for cells without wells."""
    sums = np.array([np.bincount(cell[usable], one[usable], n_cells) for one in likeness])
    best = np.clip(sums.argmax(axis=0), 1, len(delays) - 2)
    low, middle, high = (sums[best + step, np.arange(n_cells)] for step in (-1, 0, 1))
    bend = np.minimum(low - 2 * middle + high, -1e-9)
    return np.where(sums.any(axis=0), delays[best] + _STEP_S * np.clip((low - high) / (2 * bend), -1, 1), 0.0)


def _nearest(delays, values):
    return np.clip(np.rint((values - delays[0]) / _STEP_S).astype(int), 0, len(delays) - 1)


def _widened(late, shape):
    """Late cells and those around them."""
    grid = late.reshape(-1, -(-shape[1] // CELL))
    return binary_dilation(grid, np.ones((3, 3), bool)).ravel()
