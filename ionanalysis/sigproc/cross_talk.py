"""Hydrogen that reaches the neighbours of a well: how much, learned from 0-mers and 1-mers, and taken off again.

What all wells of a region receive alike is part of the empties' mean trace already; so only what differs from the
mean is learned and removed. Silent wells do not tell: empties follow the bulk faster than beads, and duds are few.
"""

import numpy as np

from ionanalysis.sigproc.keys import key_gain
from ionanalysis.sigproc.scale import one_mer_peaks

MOST = 0.1
"""Largest part of a well's signal that each of its four neighbours may show."""

FLOWS_BEYOND_KEY = 8
"""Flows after those of the key that it is learned from."""

_NEAR = 0.25


def neighbour_sum(values):
    """Sum over the four nearest wells, shape (n_rows, n_cols) as `values`; what lies outside counts as 0."""
    total = np.zeros_like(values)
    total[1:] += values[:-1]
    total[:-1] += values[1:]
    total[:, 1:] += values[:, :-1]
    total[:, :-1] += values[:, 1:]
    return total


def learn_cross_talk(amplitude, live, library, key):
    """Part of a well's signal that shows in each of its four neighbours.

    Between flows the neighbours of a well differ in what they release: where a well is known to take no base or one,
    its signal must not follow them.

    Parameters
    ----------
    amplitude : ndarray of shape (n_flows, n_rows, n_cols), float32
        Signals of the key's flows and of some flows after them, not yet normalised.
    live, library : ndarray of shape (n_rows, n_cols), bool
        Wells that show a key, and those that show the library's.
    key : KeyFlows
        The library's.

    Returns
    -------
    float
        0 where it does not stand out from its uncertainty. Negative where the background filter overcompensates.
    """
    received = np.array([neighbour_sum(np.where(live, values, 0))[library] for values in amplitude], float)
    shown = amplitude[:, library].astype(float)
    size = np.maximum(key_gain(shown, key), 0.05)
    signal, received = shown / size, received / size
    # A well's size has the neighbours' part of the key's flows in it.
    in_size = key_gain(received, key)
    peaks = one_mer_peaks(signal)
    product = power = left = 0.0
    count = 0
    for flow in range(key.n_flows, len(amplitude)):
        for length in (0, 1):
            level = length * peaks[flow]
            near = np.abs(signal[flow] - level) < _NEAR
            if np.count_nonzero(near) < 20:
                continue
            # Level and scale of the flow, and a constant in counts, are not the neighbours'.
            common = np.stack([np.ones(np.count_nonzero(near)), 1 / size[near]], axis=1)
            pair = np.stack([signal[flow][near], received[flow][near] - level * in_size[near]], axis=1)
            y, x = (pair - common @ np.linalg.lstsq(common, pair, rcond=None)[0]).T
            product, power, left, count = product + x @ y, power + x @ x, left + y @ y, count + len(y)
    if power <= 0:
        return 0.0
    found = product / power
    uncertainty = np.sqrt(max(left - found * product, 1e-12) / count / power)
    return float(np.clip(found, -MOST, MOST)) if abs(found) > 3 * uncertainty else 0.0


def without_cross_talk(amplitude, live, share, tiles):
    """Signals of a flow, (n_rows, n_cols), less what live neighbours add beyond the mean of their region."""
    received = neighbour_sum(np.where(live, amplitude, 0))
    for tile in tiles:
        inside = received[tile.slices]
        chosen = live[tile.slices]
        if chosen.any():
            inside -= inside[chosen].mean(dtype=float)
    return amplitude - np.float32(share) * received
