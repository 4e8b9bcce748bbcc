"""Plain-NumPy twins of ionanalysis._core.called: slow, short, meant to be read. They return what kernels fill."""

import numpy as np


def count_bases(n_runs, run_length):
    """Number of bases of each read, int64 (n,)."""
    return np.where(_held(n_runs, run_length), run_length, 0).sum(axis=1, dtype=np.int64)


def expand_runs(n_runs, run_flow, run_length):
    """Flow of each base, int16, in the order of reads."""
    held = _held(n_runs, run_length)
    return np.repeat(run_flow[held], run_length[held])


def _held(n_runs, run_length):
    return np.arange(run_length.shape[1]) < n_runs[:, None]


def undo_droop(signal, base_start, base_flow, droop):
    """Signals divided by the strands left after the runs called up to each flow, float32 (n, n_flows)."""
    left = np.ones(signal.shape)
    read = np.repeat(np.arange(len(signal)), np.diff(base_start))
    left[read, base_flow] = 1.0 - droop[read].astype(np.float64)
    return (signal / np.cumprod(left, axis=1)).astype(np.float32)


def clip_windows(qualities, base_start, size, cutoff):
    """Bases that remain of each read, int64 (n,), by the mean quality of sliding windows."""
    clip = np.diff(base_start)
    for read, n_bases in enumerate(clip.tolist()):
        own = qualities[base_start[read] : base_start[read + 1]].astype(np.int64)
        width = min(size, n_bases)
        # A window at the last position ends the search whatever its sum, unless it is the first one.
        for start in range(max(n_bases - width, 1) if n_bases else 0):
            if own[start : start + width].sum() < np.floor(width * cutoff):
                clip[read] = start + width // 2 if start else 0
                break
    return clip
