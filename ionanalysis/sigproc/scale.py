"""A straight scale for homopolymers: where 2-mers, 3-mers ... really lie, learned from their peaks."""

from dataclasses import dataclass, field, replace

import numpy as np

LONGEST = 24

_LEAST_BEND, _MOST_BEND = -0.1, 0.3
_MOST_STEPS = 30

_SHIFT_SD = 0.03
"""How far homopolymers of each length may lie from the law, bases."""

_MOST_SHIFTED = 5

_EXPONENT_SD = 1.0
"""How much the curvature may depend on what sets wells apart, per unit of its logarithm."""


@dataclass(frozen=True)
class HomopolymerScale:
    """Signal of n bases in units of that of one, per nucleotide, and its inverse.

    Parameters
    ----------
    curvature : ndarray of shape (4,), float64
        For A, C, G, T: an n-mer gives ``n (1 - curvature (n - 1) / (1 + |curvature| (n - 1)))`` times a 1-mer.
    exponents : ndarray of shape (2,), float64
        How the curvature of a well grows with the logarithms of its size and of its time constant: beads with more
        templates use up more of the nucleotide.
    middle : ndarray of shape (2,), float64
        Both logarithms of a typical well.
    shift : ndarray of shape (n,), float64
        What the law makes of whole bases too much: of none, one (both 0), two ...
    """

    curvature: np.ndarray
    exponents: np.ndarray = field(default_factory=lambda: np.zeros(2))
    middle: np.ndarray = field(default_factory=lambda: np.zeros(2))
    shift: np.ndarray = field(default_factory=lambda: np.zeros(_MOST_SHIFTED + 1))

    def bends(self, log_size, log_tau):
        """Curvature of wells relative to that of a typical one."""
        place = np.stack(np.broadcast_arrays(log_size, log_tau), axis=-1) - self.middle
        return np.exp(np.clip(place @ self.exponents, -1.0, 1.0))

    def signal(self, length, nuc, bends=1.0):
        """Signal of `length` bases of nucleotide `nuc`, but for `shift`; straight up to 1."""
        return _bent(np.asarray(length, float), self.curvature[nuc] * bends)

    def length(self, signal, nuc, bends=1.0):
        """Bases that give `signal`: the inverse of `signal()` less `shift`, straight below 1 and beyond 24."""
        length = np.array(signal, np.float32)
        above = length > 1
        bend = np.broadcast_to(self.curvature[nuc] * bends, length.shape)[above]
        found = _straightened(np.asarray(signal, float)[above], bend)
        places = np.arange(len(self.shift)) + self.shift
        # Beyond the last known length the shift grows as the length does.
        beyond = np.maximum(found / places[-1], 1.0)
        length[above] = found - beyond * np.interp(found, places, self.shift)
        return length


def _bent(length, bend):
    """The law, with a curvature for every length."""
    beyond = np.maximum(length - 1, 0)
    return length * (1 - bend * beyond / (1 + abs(bend) * beyond))


def _straightened(signal, bend):
    """Inverse of `_bent` up to `LONGEST`, straight from there on."""
    last, nearly = _bent(np.float64(LONGEST), bend), _bent(np.float64(LONGEST - 0.5), bend)
    seen = np.clip(signal, 1.0, last)
    size = np.abs(bend)
    down = seen * (1 - size) / np.maximum(1 - seen * size, 1e-9)
    # For a negative curvature 2 c m^2 + (1 + 2 c - s c) m + 1 - s = 0 with m = n - 1.
    linear = 1 + (2 - seen) * size
    up = 1 + 2 * (seen - 1) / (linear + np.sqrt(linear**2 + 8 * size * (seen - 1)))
    inside = np.where(bend >= 0, down, up)
    beyond = np.where(signal > last, (signal - last) / (2 * np.maximum(last - nearly, 1e-6)), 0.0)
    return np.where(signal <= 1, signal, np.minimum(inside, LONGEST) + beyond)


def one_mer_peaks(signal, *, least_wells=20):
    """Where the 1-mers of each flow lie: (n_flows, n_wells) to (n_flows,), NaN where there are too few."""
    peaks = np.full(len(signal), np.nan)
    for flow, values in enumerate(np.sort(signal, axis=1)):
        peak = 1.0
        for _ in range(4):
            low, high = _between(values, peak - 0.3, peak + 0.3)
            if high - low < least_wells:
                peak = np.nan
                break
            peak = _middle(values, low, high)
        peaks[flow] = peak
    return peaks


def _between(ordered, least, most):
    """First and last index of the values from `least` to below `most`."""
    # Of the same type: else all values would be converted.
    return ordered.searchsorted(np.array((least, most), ordered.dtype)).tolist()


def _middle(ordered, low, high):
    """Median of ordered[low:high]."""
    half = low + high
    return float((ordered[(half - 1) // 2] + ordered[half // 2]) / 2)


def learn_scale(signal, bases, first_flow, places=None, *, longest=5, least_wells=15):
    """Find the peaks of 2-mers to 5-mers and fit the scale.

    Parameters
    ----------
    signal : ndarray of shape (n_flows, n_wells)
        Key-normalised amplitudes of live wells.
    bases : ndarray of shape (n_flows,)
        Nucleotide codes of the flows.
    first_flow : int
        Flows before it belong to the key and hold no longer homopolymers.
    places : ndarray of shape (n_wells, 2), optional
        Logarithms of the wells' sizes and time constants; without, all wells bend alike.

    Returns
    -------
    HomopolymerScale
    """
    peaks = one_mer_peaks(signal)
    flows = np.array([flow for flow in range(first_flow, len(signal)) if np.isfinite(peaks[flow])], int)
    ratios = signal[flows] / peaks[flows, None]
    pooled = [ratios[bases[flows] == nuc].ravel() for nuc in range(4)]
    common, _ = _fit_curvature(ratios.ravel(), 0.0, 0.0, longest, least_wells)
    # A nucleotide with few peaks stays close to all of them together.
    each = [_fit_curvature(values, common, 0.02, longest, least_wells)[0] for values in pooled]
    scale = HomopolymerScale(np.array(each))
    nuc = np.broadcast_to(bases[flows, None], ratios.shape).ravel()
    bends = np.ones(ratios.shape).ravel()
    if places is not None and ratios.size:
        scale = replace(
            scale, exponents=_fit_exponents(scale, ratios, bases[flows], places), middle=np.median(places, axis=0)
        )
        bends = np.broadcast_to(scale.bends(*places.T), ratios.shape).ravel()
    return replace(scale, shift=_shifts(scale.length(ratios.ravel(), nuc, bends), least_wells))


def _fit_exponents(scale, ratios, bases, places):
    """How curvature depends on the wells' places, by least squares on 1-mers to 4-mers.

    A size that is off by noise makes all signals of its well too small or too large by one factor, which must not pass
    for curvature: that factor is fitted, too.
    """
    place = places - np.median(places, axis=0)
    exponents = np.zeros(2)
    for _ in range(4):
        bends = np.exp(np.clip(place @ exponents, -1.0, 1.0))
        normal, right = np.zeros((4, 4)), np.zeros(4)
        for nuc in np.unique(bases):
            part = ratios[bases == nuc]
            length = np.rint(_straightened(part, scale.curvature[nuc] * bends))
            bend = scale.curvature[nuc] * bends
            expected = _bent(length, bend)
            moved = (_bent(length, 1.01 * bend + 1e-9) - expected) / 0.01
            left = part - expected
            chosen = (length >= 1) & (length <= 4) & (np.abs(left) < 0.35)
            for n in range(1, 5):
                near = chosen & (length == n)
                if np.count_nonzero(near) < 20:
                    continue
                well = np.nonzero(near)[1]
                # Where the middle of the class lies is not the wells' doing.
                columns = np.concatenate(
                    [moved[near][:, None] * place[well], expected[near][:, None] * place[well]], axis=1
                )
                columns, rest = columns - columns.mean(axis=0), left[near] - left[near].mean()
                noise = rest.var() + 1e-6
                normal += columns.T @ columns / noise
                right += columns.T @ rest / noise
        normal[np.diag_indices(4)] += np.array([1, 1, 1, 1]) / _EXPONENT_SD**2
        right[:2] -= exponents / _EXPONENT_SD**2
        exponents = exponents + np.clip(np.linalg.solve(normal, right)[:2], -0.5, 0.5)
    return exponents


def _shifts(lengths, least_wells):
    """Where whole bases come to lie beyond themselves, by the middle of those near; shrunk where few tell."""
    shift = np.zeros(_MOST_SHIFTED + 1)
    for n in range(2, len(shift)):
        near = lengths[np.abs(lengths - n) < 0.3] - n
        if len(near) >= least_wells:
            noise = near.var() / len(near)
            shift[n] = np.median(near) * _SHIFT_SD**2 / (_SHIFT_SD**2 + noise)
        else:
            shift[n] = shift[n - 1] * n / (n - 1)
    return shift


def _fit_curvature(values, start, prior_sd, longest, least_wells):
    bend = start
    used = 0
    values = np.sort(values)
    for reach in range(2, longest + 1):
        for _ in range(4):
            lengths, found, weights = [], [], []
            for n in range(2, reach + 1):
                peak = _peak(values, bend, n, least_wells)
                if peak:
                    lengths.append(n)
                    found.append(peak[0])
                    weights.append(peak[1])
            if not lengths:
                break
            bend = _solve_bend(lengths, found, weights, start, prior_sd)
        if len(lengths) < reach - 1:
            break
        used = reach
    return bend, used


def _peak(ordered, bend, n, least_wells):
    """Median of the values nearest to n, and its weight (inverse variance); None if there are too few."""
    below, middle, above = (_bent(length, bend) for length in (n - 1, n, n + 1))
    low, high = (middle + below) / 2, (middle + above) / 2
    half = 0.8 * min(middle - low, high - middle)
    for _ in range(3):
        first, stop = _between(ordered, middle - half, middle + half)
        if stop - first < least_wells:
            return None
        middle = min(max(_middle(ordered, first, stop), low + 0.2 * half), high - 0.2 * half)
    return middle, (stop - first) / (float(ordered[first:stop].var()) + 1e-6)


def _solve_bend(lengths, found, weights, start, prior_sd):
    """Curvature with which peaks fit best, by Gauss-Newton steps; near `start` unless `prior_sd` is 0."""
    bend, pull = start, 1 / prior_sd**2 if prior_sd else 0.0
    for _ in range(_MOST_STEPS):
        normal, right = pull + 1e-12, pull * (start - bend)
        for n, peak, weight in zip(lengths, found, weights, strict=True):
            slope = -n * (n - 1) / (1 + abs(bend) * (n - 1)) ** 2
            normal += weight * slope**2
            right += weight * slope * (peak - _bent(n, bend))
        step = min(max(bend + right / normal, _LEAST_BEND), _MOST_BEND) - bend
        bend += step
        if abs(step) < 1e-6:
            break
    return bend
