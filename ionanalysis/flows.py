"""Flow orders and keys: which nucleotide is flushed when, and what a sequence looks like in flows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ionanalysis.errors import InputError

NUCS = "ACGT"

MAX_RUN = 23
"""Longest homopolymer that is called."""
"""Nucleotides in code order: A, C, G, T are 0, 1, 2, 3 wherever bases are numbers."""

DEFAULT_CYCLE = "TACGTACGTCTGAGCATCGATCGATGTACAGC"
"""The 32-flow order of most shipped kits (sigproc.md 1.2, basecaller.md 0)."""

LIBRARY_KEY = "TCAG"
TF_KEY = "ATCG"


def encode_bases(sequence):
    """Codes of a sequence of A, C, G, T (any case), int8; other letters become -1.

    >>> encode_bases("TCAG")
    array([3, 1, 0, 2], dtype=int8)
    """
    return CODES[np.frombuffer(sequence.encode("ascii"), np.uint8)]


def decode_bases(codes):
    """The sequence, as text, of base codes 0..3.

    >>> decode_bases(np.array([3, 1, 0, 2]))
    'TCAG'
    """
    return np.frombuffer(NUCS.encode(), np.uint8)[np.asarray(codes)].tobytes().decode("ascii")


CODES = np.full(256, -1, np.int8)
"""Base code of each ASCII letter, any case; -1 for letters other than A, C, G, T."""
for _code, _nuc in enumerate(NUCS):
    CODES[[ord(_nuc), ord(_nuc.lower())]] = _code


@dataclass(frozen=True)
class FlowOrder:
    """Nucleotides of the flows of a run: a cycle, repeated for `n_flows` flows.

    >>> FlowOrder("TACG", 6).letters
    'TACGTA'
    """

    cycle: str
    n_flows: int

    def __post_init__(self):
        if not self.cycle or set(self.cycle) - set(NUCS):
            raise InputError(f"flow order {self.cycle!r} must be letters A, C, G, T.")
        if self.n_flows < 0:
            raise InputError(f"a run cannot have {self.n_flows} flows.")

    @classmethod
    def from_letters(cls, letters, n_flows=None):
        """The order of a file that gives the letters of all flows, or of one cycle, reduced to its cycle.

        >>> FlowOrder.from_letters("TACGTACGTA")
        FlowOrder(cycle='TACG', n_flows=10)
        """
        periods = range(1, len(letters))
        period = next((n for n in periods if letters[n:] == letters[:-n]), len(letters))
        return cls(letters[:period], len(letters) if n_flows is None else n_flows)

    def __len__(self):
        return self.n_flows

    @cached_property
    def letters(self):
        """Nucleotide letter of each flow, as one string of `n_flows` letters."""
        return (self.cycle * (self.n_flows // len(self.cycle) + 1))[: self.n_flows]

    @cached_property
    def bases(self):
        """Nucleotide code of each flow, int8 of shape (n_flows,), read-only."""
        codes = encode_bases(self.letters)
        codes.flags.writeable = False
        return codes

    def limited(self, n_flows):
        """The same order with at most `n_flows` flows."""
        return FlowOrder(self.cycle, min(n_flows, self.n_flows))

    def flowgram(self, sequence):
        """Bases of `sequence` that perfect chemistry takes in each flow, int16 of shape (n_flows,).

        What does not fit into the flows is left out.

        >>> FlowOrder("TACG", 8).flowgram("TCAG")
        array([1, 0, 1, 0, 0, 1, 0, 1], dtype=int16)
        """
        counts = np.zeros(self.n_flows, np.int16)
        flows = self.base_flows(sequence)
        np.add.at(counts, flows[flows < self.n_flows], 1)
        return counts

    def base_flows(self, sequence):
        """In-phase flow of each base of `sequence` (int64); `n_flows` for bases beyond the last flow.

        >>> FlowOrder("TACG", 8).base_flows("TCAGG")
        array([0, 2, 5, 7, 7])
        """
        flows = np.full(len(sequence), self.n_flows)
        flow = 0
        for position, nuc in enumerate(sequence):
            flow = self.letters.find(nuc, flow)
            if flow < 0:
                break
            flows[position] = flow
        return flows

    def key_flowgram(self, key):
        """Flow values of a key up to the flow of its last base, int16 (basecaller.md 1.1 item 7).

        The last of them may merge with the insert: tests of the key use all but that one.

        >>> FlowOrder("TACG", 40).key_flowgram("TCAG")
        array([1, 0, 1, 0, 0, 1, 0, 1], dtype=int16)
        """
        last = int(self.base_flows(key)[-1]) if key else -1
        if last >= self.n_flows:
            raise InputError(f"key {key} does not fit into {self.n_flows} flows of {self.cycle}.")
        return self.flowgram(key)[: last + 1]
