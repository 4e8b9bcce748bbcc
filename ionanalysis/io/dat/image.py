"""One flow of a chip as an object, decoded when its frames are first asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from ionanalysis.io.dat.header import DatHeader


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """The frames of one flow, or of a window of it.

    ``image.frames`` is the whole array; ``image[:, 0:50, 0:50]`` decodes only that window as long as
    the whole has not been decoded. Both raise `InputError` or `ChecksumError` where the file is damaged.
    """

    header: DatHeader
    rows: slice
    """Rows of the file that the image shows, in wells."""
    cols: slice
    """Columns of the file that the image shows, in wells."""
    end_times_ms: np.ndarray
    """End of each frame, int32 of shape (n_frames,), in ms since the flow began."""
    frame_counts: np.ndarray
    """Base frames that each frame stands for (sigproc.md 1.7), int32 of shape (n_frames,)."""
    decode: Callable[[slice, slice], np.ndarray]
    """Gives the frames of a window of the file."""
    _decoded: list[np.ndarray] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @property
    def frames(self):
        """Counts of shape (n_frames, rows, cols), int16, 0 to 16383."""
        # Threads that share an image decode it once; those with other images go on meanwhile.
        with self._lock:
            if not self._decoded:
                self._decoded.append(self.decode(self.rows, self.cols))
        return self._decoded[0]

    @property
    def n_frames(self):
        return len(self.frame_counts)

    @property
    def n_base_frames(self):
        """Frames at the base rate: the sum of `frame_counts`."""
        return int(self.frame_counts.sum())

    @property
    def shape(self):
        """Frames, rows, columns."""
        return self.n_frames, self.rows.stop - self.rows.start, self.cols.stop - self.cols.start

    def __len__(self):
        return self.n_frames

    def __getitem__(self, key):
        """Counts, indexed as `frames` is."""
        parts = key if isinstance(key, tuple) else (key,)
        if self._decoded or len(parts) not in (2, 3) or not all(isinstance(p, slice) for p in parts[1:]):
            return self.frames[key]
        frames, rows, cols = (*parts, slice(None))[:3]
        rows, cols = _within(self.rows, rows), _within(self.cols, cols)
        # The first axis stays as it is: every frame is made from the one before.
        return self.frames[key] if None in (rows, cols) else self.decode(rows, cols)[frames]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.frames, dtype, copy=copy)

    def __reduce__(self):
        """Pickled undecoded, so that a task stays small; the other process reads the file."""
        fields = self.header, self.rows, self.cols, self.end_times_ms, self.frame_counts, self.decode
        return Image, fields

    def __repr__(self):
        _, n_rows, n_cols = self.shape
        seconds = self.end_times_ms[-1] / 1000
        return (
            f"<Image: {self.n_frames} frames ({self.n_base_frames} at base rate, {seconds:.1f} s) of "
            f"{n_rows} x {n_cols} wells, type {self.header.interlace_type}>"
        )


def _within(window, wanted):
    """`wanted` of a window as a slice of the file; None unless it is a run of wells."""
    start, stop, step = wanted.indices(window.stop - window.start)
    return slice(window.start + start, window.start + stop) if step == 1 and start < stop else None
