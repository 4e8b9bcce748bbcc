"""A straight scale for homopolymers: where 2-mers, 3-mers ... really lie, learned from their peaks."""

from dataclasses import dataclass

import numpy as np

LONGEST = 24


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
    for flow, values in enumerate(signal):
        peak = 1.0
        for _ in range(4):
            near = values[np.abs(values - peak) < 0.3]
            if len(near) < least_wells:
                peak = np.nan
                break
            peak = float(np.median(near))
        peaks[flow] = peak
    return peaks


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
    for reach in range(2, longest + 1):
        for _ in range(4):
            scale = HomopolymerScale(np.full(4, bend))
            lengths, found, weights = [], [], []
            for n in range(2, reach + 1):
                peak = _peak(values, scale, n, least_wells)
                if peak:
                    lengths.append(n)
                    found.append(peak[0])
                    weights.append(peak[1])
            if not lengths:
                break
            bend = _solve_bend(np.array(lengths), np.array(found), np.array(weights), start, prior_sd)
        if len(lengths) < reach - 1:
            break
        used = reach
    return bend, used


def _peak(values, scale, n, least_wells):
    """Median of the values nearest to n, and its weight (inverse variance); None if there are too few."""
    middle = float(scale.signal(n, 0))
    low = (middle + float(scale.signal(n - 1, 0))) / 2
    high = (middle + float(scale.signal(n + 1, 0))) / 2
    half = 0.8 * min(middle - low, high - middle)
    for _ in range(3):
        near = values[np.abs(values - middle) < half]
        if len(near) < least_wells:
            return None
        middle = float(np.clip(np.median(near), low + 0.2 * half, high - 0.2 * half))
    return middle, len(near) / (near.var() + 1e-6)


def _solve_bend(lengths, found, weights, start, prior_sd):
    from scipy.optimize import minimize_scalar

    def misfit(bend):
        expected = HomopolymerScale(np.full(4, bend)).signal(lengths, 0)
        pull = ((bend - start) / prior_sd) ** 2 if prior_sd else 0.0
        return float((weights * (found - expected) ** 2).sum() + pull)

    return float(minimize_scalar(misfit, bounds=(-0.1, 0.3), method="bounded", options={"xatol": 1e-5}).x)
