"""How much signal a homopolymer run gives, by nucleotide and length, learned from the reads of a chip themselves."""

import numpy as np

from ionanalysis.basecaller.solve import linear_response, solve_runs
from ionanalysis.flows import MAX_RUN

LONGEST = 6
"""Longest runs that are learned from; for longer ones the curve goes on straight."""

_ROUNDS = 4
_READS_PER_PART = 64
_LEAST_INPHASE = 0.3
_FARTHEST = 0.75
"""Amplitudes farther from their length, in bases, tell of other things than of the response."""

_SPREAD = np.array([0.03, 0.03])
"""Spread between chips of the two coefficients of the shortfall: what few long runs leave open."""


def estimate_response(signals, flow_order, phase_values, options, *, pinned=None, map_parts=map):
    """Signal of homopolymer runs by nucleotide and length.

    Long runs read short on real chips: nucleotide runs out, polymerase lags, signal processing saturates. With
    called lengths taken as true the shortfall would hide itself, since a 4-mer that reads 3.4 is called a 3-mer; so
    each run counts for its length and the two next to it by their posterior odds, and the fit is repeated with what
    was found (expectation-maximisation, Dempster et al. 1977).

    Parameters
    ----------
    signals : ndarray of shape (n, n_flows), float32
        Key-normalised signals of reads from all over the chip.
    flow_order : FlowOrder
    phase_values : ndarray of shape (n, 3), float64
        CF, IE, DR of each read.
    options : SolverOptions
    pinned : ndarray of shape (n, n_known), int8, optional
        What is known of the first flows.
    map_parts : callable
        `map`, or that of an executor of threads; must keep the order.

    Returns
    -------
    response : ndarray of shape (4, MAX_RUN + 2), float32
        In bases; 0 for length 0, 1 for length 1, rising. The shortfall is ``a k + b k^2`` with k = length - 1 and
        the same a and b for all nucleotides, but for a part of a that is each one's own.
    solved : dict of ndarray or None
        The reads as they were called last, as `solve.solve_runs` gives them; None without reads.
    """
    response, solved = linear_response(), None
    coefficients = np.zeros(5)

    def measured(part):
        known = None if pinned is None else pinned[part]
        solved = solve_runs(signals[part], flow_order, phase_values[part], options, pinned=known, response=response)
        return solved, _amplitudes(solved, flow_order, response)

    parts = [slice(first, first + _READS_PER_PART) for first in range(0, len(signals), _READS_PER_PART)]
    for _ in range(_ROUNDS if parts else 0):
        found, amplitudes = zip(*map_parts(measured, parts), strict=True)
        solved = {name: np.concatenate([reads[name] for reads in found]) for name in found[0]}
        runs = [np.concatenate(values) for values in zip(*amplitudes, strict=True)]
        former, coefficients = coefficients, _fit_shortfall(*runs)
        response = _response(coefficients)
        if np.abs(coefficients - former).max() < 1e-3:
            break
    return response, solved


def _amplitudes(solved, flow_order, response):
    """Nucleotide, length, measured bases and weight of each run, once for each of the three lengths it may have."""
    run_flow, run_length = solved["run_flow"], solved["run_length"]
    held = np.arange(run_flow.shape[1]) < solved["n_runs"][:, None]
    read, run = np.nonzero(held)
    flow, length = run_flow[read, run].astype(np.intp), run_length[read, run].astype(np.intp)
    inphase = solved["inphase"][read, flow].astype(np.float64)
    good = (inphase > _LEAST_INPHASE) & (length <= LONGEST)
    read, run, flow, length, inphase = read[good], run[good], flow[good], length[good], inphase[good]
    nuc = flow_order.bases[flow].astype(np.intp)
    residual = solved["signal"][read, flow] - solved["predicted"][read, flow]
    amplitude = response[nuc, length] + residual / inphase
    losses = solved["losses"][read, run, :2].astype(np.float64)
    odds = np.exp(-np.clip(losses, 0.0, 50.0))
    odds[length == 1, 0] = 0.0
    share = 1.0 / (1.0 + odds.sum(axis=1))
    lengths = np.concatenate([length, length - 1, length + 1])
    weight = np.concatenate([share, share * odds[:, 0], share * odds[:, 1]]) * np.tile(inphase**2, 3)
    nuc, amplitude = np.tile(nuc, 3), np.tile(amplitude, 3)
    counts = (lengths >= 1) & (lengths <= LONGEST) & (np.abs(amplitude - response[nuc, lengths]) < _FARTHEST)
    return nuc[counts], lengths[counts], amplitude[counts], weight[counts]


def _fit_shortfall(nuc, length, amplitude, weight):
    """Coefficients a, b, and the parts of a that are A's, C's and G's own (T's is what makes their sum 0)."""
    k = length - 1.0
    # Noise grows with length, in about this way; runs of one base are 1 by definition.
    weight = weight / (0.1 + 0.03 * length) ** 2
    own = np.stack([(nuc == n) - (nuc == 3) * 1.0 for n in range(3)])
    terms = np.stack([k, k**2, *(own * k)])
    spread = np.array([*_SPREAD, 0.01, 0.01, 0.01])
    normal = (terms * weight) @ terms.T + np.diag(spread**-2.0)
    return np.linalg.solve(normal, (terms * weight) @ (length - amplitude))


def _response(coefficients):
    length = np.arange(MAX_RUN + 2, dtype=np.float64)
    k = np.clip(length - 1.0, 0.0, LONGEST - 1.0)
    a, b, *own = coefficients
    own = np.array([*own, -sum(own)])
    steep = (a + own)[:, None] + 2 * b * (LONGEST - 1.0)
    shortfall = (a + own)[:, None] * k + b * k**2 + steep * np.maximum(length - LONGEST, 0.0)
    response = length - shortfall
    # However short, one base more gives some signal more.
    steps = np.maximum(np.diff(response, axis=1), 0.3)
    return np.concatenate([np.zeros((4, 1)), np.cumsum(steps, axis=1)], axis=1).astype(np.float32)
