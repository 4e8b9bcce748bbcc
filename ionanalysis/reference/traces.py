"""Plain-NumPy twins of ionanalysis._core.traces."""

import numpy as np


def project_traces(frames, reference, vectors):
    values = (frames.astype(np.float32) - frames[0]) - reference[:, None]
    return (vectors @ values).astype(np.float32), (values**2).sum(axis=0)


def interpolate_table(table, tau_node, delay_node, tau_weight, delay_weight):
    taus = tau_node[:, None, None] + np.arange(4)[:, None]
    delays = delay_node[:, None, None] + np.arange(4)
    return np.einsum("iw,jw,wijv->wv", tau_weight, delay_weight, table[taus, delays]).astype(np.float32)


def pinned_wells(frames, low, high):
    return ((frames < low) | (frames > high)).any(axis=0).astype(np.uint8)
