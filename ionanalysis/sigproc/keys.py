"""Which wells show a key: incorporation in the flows where the key has bases, none in the others."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TYPICAL_CF, TYPICAL_IE = 0.008, 0.0065
"""Carry-forward and incomplete extension that 0-mers of a key are corrected for: between good and bad runs'."""


@dataclass(frozen=True)
class KeyFlows:
    """What a key predicts in the first flows of a run.

    Parameters
    ----------
    sequence : str
        Bases of the key.
    expected : ndarray of shape (n_key_flows,), int16
        Bases per flow up to the flow before that of the last base, which may merge with the insert.
    leftover : ndarray of shape (n_key_flows,), float64
        What phasing typically leaves in flows that take no base, in bases; 0 in the others.
    """

    sequence: str
    expected: np.ndarray
    leftover: np.ndarray

    @classmethod
    def of(cls, flow_order, sequence):
        """Flows of a key; one of a single base is expected in that flow alone.

        >>> from ionanalysis.flows import FlowOrder
        >>> KeyFlows.of(FlowOrder("TACG", 40), "TCAG").expected
        array([1, 0, 1, 0, 0, 1, 0], dtype=int16)
        """
        expected = flow_order.key_flowgram(sequence)[:-1]
        phased = _phased(sequence, flow_order.letters[: len(expected)])
        return cls(sequence, expected, np.where(expected == 0, phased, 0.0))

    @property
    def n_flows(self):
        return len(self.expected)

    @cached_property
    def zeros(self):
        """Flows in which the key takes no base."""
        return np.flatnonzero(self.expected == 0)

    @cached_property
    def ones(self):
        """Flows in which it takes some."""
        return np.flatnonzero(self.expected > 0)


def _phased(sequence, letters):
    """Signal of a sequence in each flow under typical phasing (basecaller.md 4.1), without what follows it."""
    strands = np.zeros(len(sequence) + 1)
    strands[0] = 1.0
    present = dict.fromkeys(sequence, 0.0)
    signal = np.zeros(len(letters))
    for flow, letter in enumerate(letters):
        present = {nuc: TYPICAL_CF * share for nuc, share in present.items()} | {letter: 1.0}
        for base, nuc in enumerate(sequence):
            taken = strands[base] * present[nuc] * (1 - TYPICAL_IE)
            strands[base] -= taken
            strands[base + 1] += taken
            signal[flow] += taken
    return signal


def common_zeros(keys):
    """Flows in which no key takes a base, as far as all keys reach."""
    n_flows = min(key.n_flows for key in keys)
    return np.flatnonzero(sum(key.expected[:n_flows] for key in keys) == 0)


@dataclass(frozen=True)
class KeyScores:
    """How well wells fit one key; arrays float64 of shape (n_wells,).

    Parameters
    ----------
    signal : ndarray
        Signal per base of the key, in units of the template (counts at its peak).
    snr : ndarray
        Signal over the scatter of the key's flows about it.
    """

    signal: np.ndarray
    snr: np.ndarray


def score_key(amplitudes, key, floor):
    """Score wells against one key.

    Parameters
    ----------
    amplitudes : ndarray of shape (n_flows, n_wells)
        Signal of the first flows, in counts at the template's peak. A constant added to all is harmless.
    key : KeyFlows
    floor : float
        Scatter of an amplitude that noise alone causes; three flows' worth of it steady the estimate.

    Returns
    -------
    KeyScores
    """
    flows = amplitudes[: key.n_flows].astype(float)
    # Signal and level by least squares; what is left is scatter.
    design = np.stack([key.expected.astype(float), np.ones(key.n_flows)], axis=1)
    (signal, level), *_ = np.linalg.lstsq(design, flows, rcond=None)
    left = flows - design @ np.stack([signal, level])
    n_free = key.n_flows - 2
    scatter = np.sqrt(((left**2).sum(axis=0) + 3 * floor**2) / (n_free + 3))
    return KeyScores(signal, signal / np.maximum(scatter, 1e-9))


def key_gain(signal, key):
    """Signal of one base from the flows of a key: least squares, steadied (sigproc.md 5.11).

    Parameters
    ----------
    signal : ndarray of shape (n_flows, n_wells)
    key : KeyFlows

    Returns
    -------
    ndarray of shape (n_wells,)

    >>> from ionanalysis.flows import FlowOrder
    >>> key = KeyFlows.of(FlowOrder("TACG", 40), "TCAG")
    >>> observed = np.array([0.9, 0.1, 1.1, -0.05, 0.02, 1.2, 0.3])
    >>> float(key_gain(observed[:, None], key)[0].round(6))
    1.066664
    """
    expected = key.expected.astype(float)
    observed = expected @ signal[: key.n_flows]
    return (observed + 1e-4) / (expected @ expected + 1e-4)
