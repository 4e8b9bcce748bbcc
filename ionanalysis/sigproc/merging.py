"""Fewer and longer frames where traces change slowly: before a flow arrives, and when it has passed.

Averages of stored frames are frames again, so that all operators of `FrameClock` stay exact. Half of the frames go, and
with them half or more of what learning from traces costs; what measures amplitudes is spread over the stored frames
again.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ionanalysis._core import traces as kernels
from ionanalysis.sigproc.empties import WINDOW_S
from ionanalysis.sigproc.frames import FrameClock

_LATE_S = WINDOW_S - 0.6
_LONGEST = ((-np.inf, -0.4, 0.34), (-0.4, 1.6, 0.0), (1.6, _LATE_S, 0.2), (_LATE_S, np.inf, 1.0))
"""From and until when, in seconds after the onset, frames may be merged up to which duration, in seconds."""

_ONSET_STEP_S = 0.2
"""Onsets are rounded to this: few different clocks serve all regions of a chip."""


@dataclass(frozen=True)
class FrameMerging:
    """Which stored frames are taken together.

    Parameters
    ----------
    clock : FrameClock
        Of the stored frames.
    starts : tuple of int
        First stored frame of each merged one.
    """

    clock: FrameClock
    starts: tuple[int, ...]

    @classmethod
    def around(cls, clock, onset_s):
        """Merging for flows that reach a region at `onset_s`; all frames stay what they are where it is not known."""
        if not np.isfinite(onset_s):
            return cls(clock, tuple(range(clock.n_frames)))
        onset = round(float(onset_s) / _ONSET_STEP_S) * _ONSET_STEP_S
        starts = [0]
        for frame in range(1, clock.n_frames):
            middle = clock.mid_s[frame] - onset
            longest = min(longest for start, stop, longest in _LONGEST if start <= middle < stop)
            duration = clock.edges_s[frame + 1] - clock.edges_s[starts[-1]]
            # A frame that may be merged must not be taken into one of a stricter time before it.
            before = clock.mid_s[starts[-1]] - onset
            strictest = min(longest, *(limit for start, stop, limit in _LONGEST if start <= before < stop), np.inf)
            if duration > strictest + 1e-6:
                starts.append(frame)
        return cls(clock, tuple(starts))

    @cached_property
    def merged(self):
        """Clock of the merged frames."""
        counts = np.add.reduceat(np.array(self.clock.counts), self.starts)
        return FrameClock(tuple(counts.tolist()), self.clock.base_s)

    @cached_property
    def _group(self):
        return np.repeat(np.arange(len(self.starts)), np.diff([*self.starts, self.clock.n_frames]))

    @cached_property
    def share(self):
        """Part of each stored frame in its merged one: float64 of shape (n_frames,)."""
        return np.array(self.clock.counts) / np.array(self.merged.counts)[self._group]

    def spread(self, vectors):
        """Vectors that give with stored frames what `vectors`, (..., n_merged), give with merged ones."""
        return vectors[..., self._group] * self.share

    def merge(self, trace):
        """A trace of stored frames, (n_frames, ...), in merged ones."""
        return np.add.reduceat(trace * self.share.reshape(-1, *[1] * (np.ndim(trace) - 1)), self.starts, axis=0)

    def merge_weight(self, weight):
        """Weights of merged frames from those of stored ones: their sums."""
        return np.add.reduceat(weight, self.starts)

    def interpolated(self, trace):
        """A trace of merged frames, (..., n_merged), at the middles of the stored ones."""
        flat = np.reshape(trace, (-1, len(self.starts)))
        found = [np.interp(self.clock.mid_s, self.merged.mid_s, one) for one in flat]
        return np.reshape(found, (*np.shape(trace)[:-1], self.clock.n_frames))

    def take_in(self, frames, low, high):
        """Merged traces of a window of an image, and its wells beyond the limits of the converter.

        Parameters
        ----------
        frames : ndarray of shape (n_frames, n_rows, n_cols), int16
        low, high : int
            Counts; a pinned well has a frame at or below the one, or at or above the other.

        Returns
        -------
        traces : ndarray of shape (n_merged, n_wells), float32
            Counts above the first stored frame.
        pinned : ndarray of shape (n_wells,), bool
        """
        n_wells = frames.shape[1] * frames.shape[2]
        traces, pinned = np.empty((len(self.starts), n_wells), np.float32), np.empty(n_wells, np.uint8)
        group, share = self._group.astype(np.int32), self.share.astype(np.float32)
        kernels.merge_frames(frames, group, share, low + 1, high - 1, traces, pinned)
        return traces, pinned.astype(bool)
