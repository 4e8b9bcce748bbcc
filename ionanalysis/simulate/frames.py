"""Which base frames a stored frame holds, and when it ends (sigproc.md 1.7, A.3)."""

from dataclasses import dataclass

import numpy as np

VARIABLE = (1, 8, 4, *(1,) * 52, *(4,) * 12, *(8,) * 8)
"""Base frames of each stored frame, as instruments store them."""


@dataclass(frozen=True)
class FrameSchedule:
    """Base frames of each stored frame."""

    counts: tuple[int, ...]

    @property
    def n_base_frames(self):
        """Frames at the base rate of 15 per second."""
        return sum(self.counts)

    @property
    def end_times_ms(self):
        """End of each stored frame in ms, int64, rounded down as readers expect.

        >>> FrameSchedule((1, 8, 4, 1)).end_times_ms.tolist()
        [66, 600, 866, 933]
        """
        return 1000 * np.cumsum(self.counts) // 15

    def average(self, traces):
        """Mean over the base frames of each stored frame, (n_wells, n_stored) from (n_wells, n_base_frames)."""
        starts = np.cumsum((0, *self.counts[:-1]))
        return np.add.reduceat(traces, starts, axis=1) / np.array(self.counts, np.float32)


def frame_schedule(options):
    """The `FrameSchedule` that `FrameOptions` ask for."""
    return FrameSchedule(VARIABLE if options.frames == "variable" else (1,) * options.n_frames)
