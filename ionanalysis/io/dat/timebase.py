"""The time base of images with a variable frame rate (sigproc.md 1.7)."""

import numpy as np

from ionanalysis.errors import InputError


def frame_counts_from_times(end_times_ms, n_base_frames=None):
    """Base frames that each stored frame stands for.

    Parameters
    ----------
    end_times_ms : array_like of shape (n_frames,), int
        End of each stored frame, in ms, increasing; the first one is the length of a base frame.
    n_base_frames : int, optional
        What the counts must add up to. Where the exact rule gives another sum, the length of a base
        frame is taken from the last time and the counts are rounded.

    Returns
    -------
    frame_counts : ndarray of shape (n_frames,), int32
        All 1 or more.

    Raises
    ------
    InputError
        If the times do not increase, or do not fit `n_base_frames`.

    Examples
    --------
    >>> frame_counts_from_times([66, 600, 866, 933])
    array([1, 8, 4, 1], dtype=int32)
    """
    times = np.asarray(end_times_ms, np.int64)
    lengths = np.diff(times, prepend=0)
    if times.ndim != 1 or not len(times) or lengths.min() <= 0:
        raise InputError("frame end times must be positive and increase from frame to frame.")
    counts = (lengths + 2) // times[0]
    if counts.min() > 0 and n_base_frames in (None, counts.sum()):
        return counts.astype(np.int32)
    if n_base_frames:
        # Clocks jitter by a few ms, which the floor above does not forgive in long frames.
        rounded = np.rint(lengths * (n_base_frames / times[-1])).astype(np.int32)
        if rounded.min() > 0 and rounded.sum() == n_base_frames:
            return rounded
    raise InputError(
        f"frame end times say {counts.sum()} base frames of {times[0]} ms, at least 1 per frame"
        + (f"; expected {n_base_frames}." if n_base_frames else ".")
    )


def expand_to_base_rate(values, frame_counts):
    """Traces at the base rate, by linear interpolation between stored frames (sigproc.md 1.7).

    The value of a stored frame is that of the first base frame it covers; the last one repeats the
    interval before it, as the original does.

    Parameters
    ----------
    values : array_like of shape (n_frames, ...)
        Stored frames, in counts.
    frame_counts : array_like of shape (n_frames,), int
        Base frames that each stored frame stands for.

    Returns
    -------
    traces : ndarray of shape (sum of frame_counts, ...), float32

    Examples
    --------
    >>> expand_to_base_rate([100, 110, 130, 150], [1, 2, 4, 1])
    array([100., 110., 120., 130., 135., 140., 145., 130.], dtype=float32)
    """
    values = np.asarray(values, np.float32)
    counts = np.asarray(frame_counts)
    if counts.shape != values.shape[:1] or not counts.size or counts.min() < 1:
        raise InputError(f"{counts.size} frame counts for {len(values)} frames; one count of 1 or more per frame.")
    stored = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(stored)) - np.repeat(np.cumsum(counts) - counts, counts)
    after = np.minimum(stored + 1, len(counts) - 1)
    before = np.maximum(after - 1, 0)
    share = ((counts[stored] - step) / counts[stored]).astype(np.float32)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return values[after] + (values[before] - values[after]) * share
