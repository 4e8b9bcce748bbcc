"""Time base of stored frames, and the linear operators that act on traces sampled in it.

A stored frame averages several base frames (sigproc.md 1.7). Shifts and filters act on the continuous
voltage, so each operator here is: stored frames to a fine grid, act, average again. All are plain
matrices of shape (n_frames, n_frames), made once per run.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ionanalysis._core import fits as kernels

FINE_STEPS = 4
"""Fine steps per base frame."""


@dataclass(frozen=True)
class FrameClock:
    """When the stored frames of a flow were taken.

    Parameters
    ----------
    counts : tuple of int
        Base frames averaged in each stored frame.
    base_s : float
        Duration of a base frame in seconds.
    """

    counts: tuple[int, ...]
    base_s: float

    @classmethod
    def of(cls, image):
        """Clock of an image, from its frame counts and the end of its last frame."""
        counts = tuple(int(count) for count in image.frame_counts)
        return cls(counts, float(image.end_times_ms[-1]) / 1000.0 / sum(counts))

    @property
    def n_frames(self):
        return len(self.counts)

    @cached_property
    def edges_s(self):
        """Start of each frame and end of the last, in seconds, float64 of shape (n_frames + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)]) * self.base_s

    @cached_property
    def mid_s(self):
        """Middle of each stored frame in seconds, float64 of shape (n_frames,)."""
        return (self.edges_s[1:] + self.edges_s[:-1]) / 2

    @property
    def step_s(self):
        """Spacing of the fine grid in seconds."""
        return self.base_s / FINE_STEPS

    def fine(self, trace, delays_s=(0.0,)):
        """A trace on the fine grid, once for each delay; its first value holds before it.

        The running integral is interpolated by a natural cubic spline and differentiated, so that
        averages over frames give the stored values back.

        Parameters
        ----------
        trace : array_like of shape (n_frames,) or (n_frames, n_traces)
        delays_s : sequence of float, seconds

        Returns
        -------
        ndarray of shape (n_fine, n_delays) or (n_fine, n_delays, n_traces), float64
        """
        trace = np.asarray(trace, float)
        rows = _rows_of_delays(self, tuple(float(delay) for delay in delays_s))
        if rows is None:
            return np.stack([_delay_operator(self, float(delay)) @ trace for delay in delays_s], axis=1)
        held = np.concatenate([trace[:1], _fine_operator(self) @ trace, trace[-1:]])
        return np.take(held, rows, axis=0)

    def averaged(self, fine):
        """Frame averages of traces on the fine grid (axis 0)."""
        starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]]) * FINE_STEPS
        sums = np.add.reduceat(fine, starts, axis=0)
        return sums / (np.array(self.counts) * FINE_STEPS).reshape(-1, *[1] * (fine.ndim - 1))

    def delayed(self, trace, delay_s):
        """The same trace `delay_s` later."""
        return self.averaged(self.fine(trace, [delay_s])[:, 0])

    def low_passed(self, fine, taus_s):
        """Frame averages of traces on the fine grid behind first-order low-passes.

        Exact for straight segments between samples; a constant equal to the first sample lies before it.

        Parameters
        ----------
        fine : ndarray of shape (n_fine, ...), float64
        taus_s : array_like of shape (n_taus,)
            Time constants, seconds.

        Returns
        -------
        ndarray of shape (n_taus, n_frames, ...), float64
        """
        taus_s = np.asarray(taus_s, float)
        decay = np.exp(-self.step_s / taus_s)
        flat = np.ascontiguousarray(fine).reshape(len(fine), -1)
        means = np.empty((len(taus_s), self.n_frames, flat.shape[1]))
        steps = np.array(self.counts, np.int32) * FINE_STEPS
        kernels.low_pass_means(flat, decay, taus_s / self.step_s * (1 - decay), steps, means)
        return means.reshape(*means.shape[:2], *fine.shape[1:])

    def buffered(self, trace, tau_s, tau_empty_s, delays_s=(0.0,)):
        """Trace of a well of time constant `tau_s` from that of an empty well, once for each delay.

        Both obey ``tau_empty E' + E = tau V' + V`` (first-order buffering), which solves to
        ``V = r E + (1 - r) lowpass(E)`` with ``r = tau_empty / tau``.

        Returns
        -------
        ndarray of shape (n_frames, n_delays) or (n_frames, n_delays, n_traces), float64
        """
        fine, ratio = self.fine(trace, delays_s), tau_empty_s / tau_s
        return ratio * self.averaged(fine) + (1 - ratio) * self.low_passed(fine, [tau_s])[0]

    def released(self, hydrogen, tau_s, delays_s=(0.0,)):
        """Trace of hydrogen released so far, in a well of time constant `tau_s`, once for each delay.

        The well loses what it buffers: ``V = h - lowpass(h)`` (sigproc.md 5.5, red response).
        """
        fine = self.fine(hydrogen, delays_s)
        return self.averaged(fine) - self.low_passed(fine, [tau_s])[0]


@lru_cache(maxsize=64)
def _rows_of_delays(clock, delays_s):
    """Row of a trace on the fine grid, held at both ends by a row more, that each delay shows: (n_fine, n_delays).

    None unless all delays are whole steps.
    """
    steps = np.array(delays_s) / clock.step_s
    if np.abs(steps - np.rint(steps)).max() > 1e-7:
        return None
    n_fine = sum(clock.counts) * FINE_STEPS
    return np.clip(np.arange(n_fine)[:, None] - np.rint(steps).astype(int), -1, n_fine) + 1


@lru_cache(maxsize=16)
def _fine_operator(clock):
    """Matrix from a trace to the fine grid, (n_fine, n_frames)."""
    return _spline_operator(clock, 0.0)


@lru_cache(maxsize=64)
def _delay_operator(clock, delay_s):
    """Matrix from a trace to its delayed copy on the fine grid, (n_fine, n_frames)."""
    return _spline_operator(clock, delay_s)


def _spline_operator(clock, delay_s):
    """See `FrameClock.fine`."""
    from scipy.interpolate import CubicSpline

    trace = np.eye(clock.n_frames)
    passed = np.cumsum(trace * np.diff(clock.edges_s)[:, None], axis=0)
    integral = np.concatenate([np.zeros((1, clock.n_frames)), passed])
    spline = CubicSpline(clock.edges_s, integral, bc_type="natural")
    # Averages over fine steps, not values at their middles: frame averages then come back exactly.
    times = np.arange(sum(clock.counts) * FINE_STEPS + 1) * clock.step_s - delay_s
    inside = np.clip(times, 0, clock.edges_s[-1])
    beyond = (times - inside)[:, None]
    ends = np.where(beyond < 0, trace[0], trace[-1])
    return np.diff(spline(inside) + beyond * ends, axis=0) / clock.step_s


BLUR_RANGE_S = 0.3
"""Delays that a mean trace may be blurred by, seconds."""


@lru_cache(maxsize=16)
def blur_operators(clock):
    """Matrices that delay a trace by whole steps of the fine grid, up to `BLUR_RANGE_S` either way.

    Returns
    -------
    ndarray of shape (n_delays, n_frames, n_frames), float64
        The middle one delays by nothing.
    """
    n_side = round(BLUR_RANGE_S / clock.step_s)
    delays = clock.step_s * np.arange(-n_side, n_side + 1)
    return np.array([clock.averaged(clock.fine(np.eye(clock.n_frames), [delay])[:, 0]) for delay in delays])


def ramp_operator(clock, onset_s):
    """Matrix from a trace to the straight line that it follows before `onset_s`, 0 in the first frame.

    Drift of all pixels during a flow is electrical, and passes by the buffers of the wells.

    Returns
    -------
    ndarray of shape (n_frames, n_frames), float64
        All 0 where fewer than three frames lie before `onset_s`.
    """
    before = clock.edges_s[1:] <= onset_s
    if np.count_nonzero(before) < 3:
        return np.zeros((clock.n_frames, clock.n_frames))
    weight = np.where(before, clock.counts, 0.0)
    centred_s = clock.mid_s - weight @ clock.mid_s / weight.sum()
    slope = weight * centred_s / (weight @ centred_s**2)
    return np.outer(clock.mid_s - clock.mid_s[0], slope)


def hinge_t0(trace, times_ms, base_ms, *, width, slopes, latest_ms=3000.0):
    """Onset of a change in a trace: where two straight lines meet (sigproc.md 4.1).

    Parameters
    ----------
    trace : array_like of shape (n_frames,)
        Mean trace in counts.
    times_ms : array_like of shape (n_frames,)
        Time of each point in milliseconds.
    base_ms : float
        Base frame interval in milliseconds, the unit of the slope limits.
    width : int
        Points of each line; the break point itself is left out.
    slopes : tuple of float
        Least and most slope before the break, least and most after it, in counts per base frame.
    latest_ms : float
        Latest break allowed.

    Returns
    -------
    float
        Time of the onset in milliseconds, NaN if no break point satisfies the limits.
    """
    trace = np.asarray(trace, float)
    times = np.asarray(times_ms, float)
    limits = np.asarray(slopes) / base_ms
    best, onset = 0.0, np.nan
    for point in range(width, len(trace) - width):
        if times[point] >= latest_ms:
            break
        before, after = slice(point - width, point), slice(point + 1, point + 1 + width)
        line1, ssq1 = _line(times[before], trace[before])
        line2, ssq2 = _line(times[after], trace[after])
        if not (limits[0] <= line1[0] <= limits[1] and limits[2] <= line2[0] <= limits[3]) or line1[0] == line2[0]:
            continue
        both = np.r_[before, after]
        gained = _line(times[both], trace[both])[1] - ssq1 - ssq2
        if gained > best:
            best, onset = gained, (line1[1] - line2[1]) / (line2[0] - line1[0])
    return float(onset)


def _line(x, y):
    """Slope and intercept of the least-squares line, and the sum of squares that it leaves."""
    along, across = x - x.mean(), y - y.mean()
    slope = along @ across / (along @ along)
    return (slope, y.mean() - slope * x.mean()), float(((across - slope * along) ** 2).sum())
