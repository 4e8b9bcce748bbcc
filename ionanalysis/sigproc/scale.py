"""A straight scale for homopolymers: where 2-mers, 3-mers ... really lie, learned from their peaks."""

from dataclasses import dataclass

import numpy as np

LONGEST = 24

_LEAST_BEND, _MOST_BEND = -0.1, 0.3
_MOST_STEPS = 30


@dataclass(frozen=True)
class HomopolymerScale:
    """Signal of n bases in units of that of one, per nucleotide, and its inverse.

    Parameters
    ----------
    curvature : ndarray of shape (4,), float64
        For A, C, G, T: an n-mer gives ``n (1 - curvature (n - 1) / (1 + |curvature| (n - 1)))`` times a 1-mer.
    """

    curvature: np.ndarray

    def signal(self, length, nuc):
        """Signal of `length` bases of nucleotide `nuc`; straight up to 1."""
        beyond = np.maximum(np.asarray(length, float) - 1, 0)
        bend = self.curvature[nuc]
        return np.asarray(length, float) * (1 - bend * beyond / (1 + abs(bend) * beyond))

    def length(self, signal, nuc):
        """Bases that give `signal`: the inverse of `signal()`, straight below 1 and beyond 24."""
        signal = np.asarray(signal)
        nodes = np.concatenate([np.arange(1, 3, 0.125), np.arange(3, LONGEST + 0.5, 0.5)])
        seen = self.signal(nodes, nuc)
        slope = (nodes[-1] - nodes[-2]) / (seen[-1] - seen[-2])
        inside = np.interp(signal, seen, nodes)
        return np.where(
            signal <= 1, signal, np.where(signal > seen[-1], nodes[-1] + slope * (signal - seen[-1]), inside)
        ).astype(np.float32)


STRAIGHT = HomopolymerScale(np.zeros(4))


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


def learn_scale(signal, bases, first_flow, *, longest=5, least_wells=15):
    """Find the peaks of 2-mers to 5-mers and fit the scale.

    Parameters
    ----------
    signal : ndarray of shape (n_flows, n_wells)
        Key-normalised amplitudes of live wells.
    bases : ndarray of shape (n_flows,)
        Nucleotide codes of the flows.
    first_flow : int
        Flows before it belong to the key and hold no longer homopolymers.

    Returns
    -------
    HomopolymerScale
    """
    peaks = one_mer_peaks(signal)
    ratios: list = [[] for _ in range(4)]
    for flow in range(first_flow, len(signal)):
        if np.isfinite(peaks[flow]):
            ratios[bases[flow]].append(signal[flow] / peaks[flow])
    pooled = [np.concatenate(part) if part else np.empty(0) for part in ratios]
    common, _ = _fit_curvature(np.concatenate(pooled), 0.0, 0.0, longest, least_wells)
    # A nucleotide with few peaks stays close to all of them together.
    each = [_fit_curvature(values, common, 0.02, longest, least_wells)[0] for values in pooled]
    return HomopolymerScale(np.array(each))


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


def _bent(length, bend):
    """`HomopolymerScale.signal` of one length and curvature."""
    beyond = max(length - 1, 0)
    return length * (1 - bend * beyond / (1 + abs(bend) * beyond))


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
