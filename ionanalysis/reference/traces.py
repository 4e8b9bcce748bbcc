"""Plain-NumPy twins of ionanalysis._core.traces."""

import numpy as np

N_VECTORS = 6


def interpolate_table(table, tau_node, delay_node, tau_weight, delay_weight):
    taus = tau_node[:, None, None] + np.arange(4)[:, None]
    delays = delay_node[:, None, None] + np.arange(4)
    return np.einsum("iw,jw,wijv->wv", tau_weight, delay_weight, table[taus, delays]).astype(np.float32)


def merge_frames(frames, group, share, low, high):
    """Merged traces, and which wells are pinned."""
    merged = np.zeros((group[-1] + 1, frames[0].size), np.float32)
    np.add.at(merged, group, share[:, None] * _rising(frames))
    return merged, _pinned(frames, low, high)


def take_in(frames, vectors, low, high, chosen):
    """Projections, which wells are pinned, and sums over chosen wells, whose number stands last."""
    rising, pinned = _rising(frames), _pinned(frames, low, high)
    wells = (chosen > 0) & (pinned == 0)
    sums = np.append(rising[:, wells].sum(axis=1), wells.sum())
    return (vectors.T @ rising).astype(np.float32), pinned, sums.astype(np.int64)


def combine_projections(
    table, tau_node, delay_node, tau_weight, delay_weight, projections, wells, gain, place, delay_s
):
    values = interpolate_table(table, tau_node, delay_node, tau_weight, delay_weight)
    dark, dark_slope, delay_gain, level = values[:, N_VECTORS : N_VECTORS + 4].T
    found = (values[:, :N_VECTORS] * projections[:, wells].T).sum(axis=1)
    return (found - dark - place * dark_slope - gain * level) / np.clip(1 + delay_s * delay_gain, 0.5, 2)


def _rising(frames):
    flat = frames.reshape(len(frames), -1).astype(float)
    return flat - flat[0]


def _pinned(frames, low, high):
    return ((frames < low) | (frames > high)).any(axis=0).ravel().astype(np.uint8)
