"""Base letters and the IUPAC codes for several of them (IUPAC-IUB 1970, Biochemistry 9:4022)."""

import numpy as np

CODES = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
    "B": "CGT",
    "D": "AGT",
    "H": "ACT",
    "V": "ACG",
    "N": "ACGT",
}
"""Bases that each letter stands for."""

_BITS = np.zeros(256, np.uint8)
for _code, _bases in CODES.items():
    _BITS[ord(_code)] = sum(1 << "ACGT".index(base) for base in _bases)

_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


def reverse_complement(sequence):
    """
    >>> reverse_complement("AACN")
    'NGTT'
    """
    return sequence.translate(_COMPLEMENT)[::-1]


def is_plain(sequence):
    """Whether all letters are A, C, G or T."""
    return not set(sequence) - set("ACGT")


def is_sequence(sequence):
    """Whether all letters are IUPAC codes."""
    return not set(sequence) - set(CODES)


def matches_at(called, sequence, begin):
    """Whether the bases of each read from `begin` on are `sequence`, bool of shape (n_reads,).

    Parameters
    ----------
    called : CalledReads
        Of n reads.
    sequence : str
        IUPAC letters.
    begin : ndarray of shape (n_reads,), int64
        First base to compare, counted from the first called one; a sequence that would begin before the read or
        end behind it does not match.
    """
    wanted = _BITS[np.frombuffer(sequence.encode("ascii"), np.uint8)]
    inside = (begin >= 0) & (begin + len(wanted) <= called.n_bases)
    if not len(called.bases):
        return inside
    at = np.where(inside, called.base_start[:-1] + begin, 0)[:, None] + np.arange(len(wanted))
    seen = _BITS[called.bases[np.minimum(at, len(called.bases) - 1)]]
    return inside & ((seen & wanted) != 0).all(axis=1)


def well_names(run_id, rows, cols):
    """Names of reads, ``run:row:col`` with five digits or more, for `bam.ReadBatch`.

    Parameters
    ----------
    run_id : str
    rows, cols : ndarray of shape (n,), int
        Chip coordinates.

    Returns
    -------
    ndarray of shape (n, n_letters), uint8; or a list of str where numbers have more than five digits

    >>> well_names("RUN1", np.array([7]), np.array([12345])).tobytes()
    b'RUN1:00007:12345'
    """
    if max(rows.max(initial=0), cols.max(initial=0)) >= 100_000:
        return [f"{run_id}:{row:05d}:{col:05d}" for row, col in zip(rows.tolist(), cols.tolist(), strict=True)]
    head = np.frombuffer(f"{run_id}:".encode("ascii"), np.uint8)
    names = np.full((len(rows), len(head) + 11), ord(":"), np.uint8)
    names[:, : len(head)] = head
    for at, numbers in ((len(head), rows), (len(head) + 6, cols)):
        names[:, at : at + 5] = ord("0") + numbers[:, None] // 10 ** np.arange(4, -1, -1) % 10
    return names
