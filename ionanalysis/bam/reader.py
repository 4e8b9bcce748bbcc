"""Flow signals of BAM files as arrays."""

from array import array
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ionanalysis.bam.source import header_of, integers_of, open_alignments, reads_of, tag_of
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder

_UNITS = {"ZM": 256, "FZ": 100}


@dataclass(frozen=True, eq=False)
class Flowgrams:
    """Flow signals of the reads of a BAM file, in file order.

    Attributes
    ----------
    names : list of str
    row, col : ndarray of shape (n_reads,), int32
        From names ``run:row:col``; -1 where a name has another form.
    signals : ndarray of shape (n_reads, n_flows), float32
        In bases; NaN beyond the flows a read carries.
    n_flows : ndarray of shape (n_reads,), int32
        Flows that each read carries.
    first_flow : ndarray of shape (n_reads,), int32
        In-phase flow of the first base of the read (tag ZF); -1 without.
    phase : ndarray of shape (n_reads, 3), float32
        Carry-forward, incomplete extension, droop per flow (tag ZP); NaN without.
    flow_order : FlowOrder
    key_sequences : list of str
        Bases before the first base of each read, of its read group (key, barcode, barcode adapter).
    tag : str
        ``ZM`` (holds phasing, droop taken out) or ``FZ`` (older files: corrected for phasing).

    Notes
    -----
    Reads are chosen with slices, masks or index arrays, as `CalledReads` are: ``flows[flows.row < 50]``.
    """

    names: list[str]
    row: np.ndarray
    col: np.ndarray
    signals: np.ndarray
    n_flows: np.ndarray
    first_flow: np.ndarray
    phase: np.ndarray
    flow_order: FlowOrder
    key_sequences: list[str]
    tag: str

    def __len__(self):
        return len(self.names)

    def __getitem__(self, chosen):
        """Reads given by a slice, a mask or an array of read numbers, in that order."""
        numbers = np.atleast_1d(np.arange(len(self))[chosen])
        of_reads = ("row", "col", "signals", "n_flows", "first_flow", "phase")
        return replace(
            self,
            **{name: getattr(self, name)[numbers] for name in of_reads},
            names=[self.names[number] for number in numbers],
            key_sequences=[self.key_sequences[number] for number in numbers],
        )

    def __repr__(self):
        return f"Flowgrams({len(self)} reads, {len(self.flow_order)} flows of {self.flow_order.cycle}, tag {self.tag})"


def flowgrams(path, *, start=0, limit=None):
    """Flow signals of a BAM file, from tag ZM (256 units a base) or FZ (100 units a base).

    Parameters
    ----------
    path : str or Path
        Unaligned or aligned BAM.
    start, limit : int, optional
        Leave out the first `start` reads; read at most `limit`.

    Returns
    -------
    Flowgrams

    Raises
    ------
    InputError
        If the file is no BAM, a read has neither tag or belongs to no read group, or its read groups
        have different flow orders.

    Notes
    -----
    Simulate reads of tag ZM with droop 0 (field.md 1). Source: basecaller.md 8.5.
    """
    path = Path(path)
    with open_alignments(path) as bam:
        groups = header_of(bam).get("RG", [])
        chosen = islice(reads_of(bam), start, None if limit is None else start + limit)
        reads = [_read_fields(path, read) for read in chosen]
    return _gather(path, groups, reads)


def gather_flowgrams(path, groups, reads):
    """`Flowgrams` of pysam reads that are already in memory.

    Parameters
    ----------
    path : path
        Named in errors.
    groups : list of dict
        Read groups of the file's header.
    reads : list of pysam.AlignedSegment

    Raises
    ------
    InputError
        As `flowgrams`.
    """
    return _gather(path, groups, [_read_fields(path, read) for read in reads])


def _read_fields(path, read):
    # The unfiltered sets carry a dummy FZ of one value beside ZM.
    tag = next((name for name in _UNITS if read.has_tag(name)), None)
    if tag is None:
        raise InputError(f"{path}: read {read.query_name} has neither tag ZM nor FZ; give a BAM that kept its flows.")
    group, first_flow, rates = tag_of(read, "RG", str, ""), tag_of(read, "ZF", int, -1), tag_of(read, "ZP", array)
    return read.query_name, group, tag, integers_of(read, tag), first_flow, rates


def _gather(path, groups, reads):
    flow_orders = {group.get("FO", "") for group in groups}
    if len(flow_orders) != 1 or "" in flow_orders:
        raise InputError(
            f"{path}: its {len(groups)} read groups name {len(flow_orders - {''})} flow orders (FO); expected one."
        )
    letters = flow_orders.pop()
    if len({read[2] for read in reads}) > 1:
        raise InputError(f"{path}: some reads carry tag ZM and others FZ; expected one of them throughout.")
    tag = reads[0][2] if reads else "ZM"
    n_reads, n_flows = len(reads), len(letters)
    signals = np.full((n_reads, n_flows), np.nan, np.float32)
    lengths = np.zeros(n_reads, np.int32)
    phase = np.full((n_reads, 3), np.nan, np.float32)
    for i, (name, _, _, units, _, rates) in enumerate(reads):
        if len(units) > n_flows:
            raise InputError(f"{path}: read {name} has {len(units)} flows, its read group {n_flows}.")
        lengths[i] = len(units)
        signals[i, : len(units)] = np.frombuffer(units, units.typecode) / np.float32(_UNITS[tag])
        if rates is not None and len(rates) == 3:
            phase[i] = rates
    keys = {group["ID"]: group.get("KS", "") for group in groups}
    wells = np.array([well_of(read[0]) for read in reads], np.int32).reshape(n_reads, 2)
    return Flowgrams(
        names=[read[0] for read in reads],
        row=wells[:, 0],
        col=wells[:, 1],
        signals=signals,
        n_flows=lengths,
        first_flow=np.array([read[4] for read in reads], np.int32),
        phase=phase,
        flow_order=FlowOrder(_cycle(letters), n_flows),
        key_sequences=[_key_of(path, keys, read) for read in reads],
        tag=tag,
    )


def _key_of(path, keys, read):
    if read[1] not in keys:
        raise InputError(f"{path}: read {read[0]} is of read group {read[1]!r}, which the header does not list.")
    return keys[read[1]]


def well_of(name):
    """Row and column told by a read name ``run:row:col``, or (-1, -1)."""
    parts = name.split(":")
    if len(parts) < 3 or not (parts[-2].isdigit() and parts[-1].isdigit()):
        return -1, -1
    return int(parts[-2]), int(parts[-1])


def _cycle(letters):
    """Shortest cycle that repeats to `letters`."""
    for size in range(1, len(letters) + 1):
        if letters.startswith(letters[size:]):
            return letters[:size]
    return letters
