"""Reads to learn a calibration from: their signals, and the sequence that the reference says they have."""

from array import array
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ionanalysis.align.reads import align_reads, target_of
from ionanalysis.bam.source import header_of, integers_of, open_alignments, primary_reads, tag_of
from ionanalysis.basecaller.recall import CUT_FROM_FRONT
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.metrics.aligned_reads import aligned_reads
from ionanalysis.metrics.read_flows import base_flows

UNITS_PER_BASE = 256
"""Of tag ZM."""

_BATCH_READS = 2000
_END_RUNS = 6
"""Runs at the end of what is known that are not learned from: leading strands are in what comes behind."""

_BASES_BEHIND = 16
"""Bases of the reference behind an alignment that are taken for the read's, unless it ends at an adapter."""

_LONGEST_RUN = 127

_LEAST_BASES = 30
"""Aligned bases that a read must have, or a third of the flows where reads are that short."""


@dataclass(frozen=True, eq=False)
class TrainingReads:
    """n reads of one flow order with known sequences.

    Attributes
    ----------
    flow_order : FlowOrder
    row, col : ndarray of shape (n,), int64
        Wells, chip coordinates.
    units : ndarray of shape (n, n_flows), int16
        Signals, 256 to a base, without droop; 0 behind their end.
    phase : ndarray of shape (n, 3), float64
        CF, IE, and 0 for DR.
    run_start : ndarray of shape (n + 1,), int64
        Read i has the runs ``[run_start[i], run_start[i + 1])`` of the next two.
    run_flow : ndarray of int32
    run_length : ndarray of int8
        Runs of the true sequence, prefix first.
    first, stop : ndarray of shape (n,), int64
        Flows ``[first, stop)`` to learn from.
    """

    flow_order: FlowOrder
    row: np.ndarray
    col: np.ndarray
    units: np.ndarray
    phase: np.ndarray
    run_start: np.ndarray
    run_flow: np.ndarray
    run_length: np.ndarray
    first: np.ndarray
    stop: np.ndarray

    def __len__(self):
        return len(self.row)

    @property
    def signal(self):
        """Signals in bases, float32."""
        return self.units * np.float32(1 / UNITS_PER_BASE)


@dataclass
class TrainingCounts:
    """What became of the reads of the input."""

    in_file: int = 0
    mapped: int = 0
    loaded: int = 0
    run_ids: set = field(default_factory=set)


def read_training(paths, options, counts, *, index=None, n_threads=None, progress=None):
    """Yield `TrainingReads` of BAM files.

    Parameters
    ----------
    paths : list of path
        BAM files with tags ZM, ZP, ZF and RG; aligned with MD, or not aligned and `index` given, or to be taken as
        called (``options.blind_fit``).
    options : CalibrationFitOptions
    counts : TrainingCounts
        Filled on the way.
    index : ReferenceIndex, or dict of path to ReferenceIndex, optional
        Reads that are not aligned are aligned to it, those of each file to its own.
    n_threads : int, optional
        Of the aligner.
    progress : callable, optional
        Called with (reads so far, 0).

    Raises
    ------
    InputError
        If a file cannot be read, or lacks flow orders.
    """
    for path in paths:
        own = index.get(path) if isinstance(index, dict) else index
        with open_alignments(path) as bam:
            groups = _groups(path, header_of(bam))
            records = primary_reads(bam)
            while batch := list(islice(records, _BATCH_READS)):
                counts.in_file += len(batch)
                found = _known(batch, groups, options, own, n_threads, counts)
                for order in {id(read.order): read.order for read in found}.values():
                    reads = _stacked([read for read in found if read.order is order], order)
                    counts.loaded += len(reads)
                    if len(reads):
                        yield reads
                if progress:
                    progress(counts.in_file, 0)


def _groups(path, header):
    groups = {}
    for group in header.get("RG", []):
        if not group.get("FO"):
            name = group.get("ID")
            raise InputError(
                f"{path}: read group {name} has no flow order (FO); give a BAM file of an Ion Torrent run."
            )
        groups[group.get("ID")] = FlowOrder.from_letters(group["FO"]), group.get("KS", "")
    if not groups:
        raise InputError(f"{path}: has no read groups, so no flow order; give a BAM file of an Ion Torrent run.")
    # The same order is the same object, whichever the group.
    same: dict = {}
    return {name: (same.setdefault((order.cycle, len(order)), order), key) for name, (order, key) in groups.items()}


@dataclass(frozen=True, eq=False)
class _Read:
    """What a record and the reference say of a read; places of bases count from the first of `sequence`, key first."""

    order: FlowOrder
    row: int
    col: int
    units: np.ndarray
    n_units: int
    phase: tuple
    sequence: str
    first_base: int
    first_flow: int
    first_target: int


def _known(batch, groups, options, index, n_threads, counts):
    found = []
    most_flows = max(len(order) for order, _ in groups.values())
    least = options.min_align_length or min(_LEAST_BASES, most_flows // 3)
    for record, clipped, target in _targets(batch, options, least, index, n_threads, counts):
        read = _read(record, groups, clipped, target)
        if read is not None:
            found.append(read)
            counts.run_ids.add(record.query_name.split(":")[0])
    return found


def _targets(batch, options, least, index, n_threads, counts):
    """Yield records with the called bases before the alignment and the true letters, in the order of sequencing."""
    if options.blind_fit:
        counts.mapped += sum(not record.is_unmapped for record in batch)
        yield from ((r, "", r.get_forward_sequence()) for r in batch if _is_long(r.get_forward_sequence(), least))
        return
    mapped = [record for record in batch if not record.is_unmapped and record.has_tag("MD")]
    counts.mapped += len(mapped)
    good = [record for record in mapped if record.mapping_quality >= options.min_mapping_qv]
    if good:
        columns = aligned_reads(good)
        letters, starts = columns.columns.target.tobytes().decode("ascii"), columns.columns.target_start
        for number, record in enumerate(good):
            target = letters[starts[number] : starts[number + 1]].upper()
            if _is_long(target, least):
                yield record, record.get_forward_sequence()[: columns.first[number]], target
    free = [record for record in batch if record.is_unmapped and record.query_sequence]
    if index is None or not free:
        return
    sequences = [record.get_forward_sequence() for record in free]
    for record, bases, hit in zip(free, sequences, align_reads(index, sequences, n_threads=n_threads), strict=True):
        if hit is None:
            continue
        counts.mapped += 1
        if hit.mapping_quality >= options.min_mapping_qv:
            n_more = 0 if record.has_tag("ZA") else _BASES_BEHIND
            target = target_of(index, hit, n_more).upper()
            if _is_long(target, least) and hit.end - hit.start >= least:
                yield record, bases[: hit.first], target


def _is_long(target, least):
    return target is not None and len(target) >= least and not set(target) - set("ACGT")


def _read(record, groups, clipped, target):
    """The read, or None where its tags do not tell enough (basecaller.md 10.2)."""
    group, units = tag_of(record, "RG", str), integers_of(record, "ZM")
    rates, first_flow = tag_of(record, "ZP", array), tag_of(record, "ZF", int, 0)
    place = _well(record.query_name)
    if group not in groups or units is None or rates is None or first_flow <= 0 or place is None:
        return None
    order, key = groups[group]
    if len(rates) < 2 or not all(0 <= rate < 1 for rate in rates) or len(units) > len(order):
        return None
    prefix = key + "".join(tag_of(record, cut, str, "") for cut in CUT_FROM_FRONT)
    padded = np.zeros(len(order), np.int16)
    padded[: len(units)] = np.frombuffer(units, np.dtype(units.typecode)).clip(-(1 << 15), (1 << 15) - 1)
    return _Read(
        order,
        row=place[0],
        col=place[1],
        units=padded,
        n_units=len(units),
        phase=(rates[0], rates[1], 0.0),
        sequence=prefix + clipped + target,
        first_base=len(prefix),
        first_flow=first_flow,
        first_target=len(prefix) + len(clipped),
    )


def _well(name):
    try:
        row, col = (int(part) for part in (name or "").split(":")[-2:])
    except ValueError:
        return None
    return row, col


def _stacked(reads, order):
    """`TrainingReads` of those reads whose first base is where the caller had it, with flows enough to learn from."""
    n_flows = len(order)
    flows = base_flows([read.sequence for read in reads], np.zeros(len(reads), np.int64), order)
    # Flows of runs in the order of reads; bases behind the last flow have none.
    begins = flows < n_flows
    begins[:, 1:] &= flows[:, 1:] != flows[:, :-1]
    every = np.arange(len(reads))
    first_base, first_target = (
        np.array([getattr(read, name) for read in reads]) for name in ("first_base", "first_target")
    )
    first = flows[every, first_target] + 1
    n_runs = begins.sum(axis=1)
    # The last runs are left out, with the flow of the first of them.
    rank = np.cumsum(begins, axis=1)
    last = np.argmax(rank >= np.maximum(n_runs - _END_RUNS, 1)[:, None], axis=1)
    stop = np.minimum(flows[every, last], [read.n_units for read in reads])
    good = (flows[every, first_base] == [read.first_flow for read in reads]) & (first < stop)
    count = np.bincount((every[:, None] * (n_flows + 1) + flows).ravel(), minlength=len(reads) * (n_flows + 1))
    lengths = count.reshape(len(reads), n_flows + 1)[:, :n_flows]
    good &= lengths.max(axis=1) <= _LONGEST_RUN
    kept = np.flatnonzero(good)
    read, flow = np.nonzero(lengths[kept])
    return TrainingReads(
        flow_order=order,
        row=np.array([read.row for read in reads], np.int64)[kept],
        col=np.array([read.col for read in reads], np.int64)[kept],
        units=np.stack([read.units for read in reads])[kept],
        phase=np.array([read.phase for read in reads], np.float64)[kept],
        run_start=np.searchsorted(read, np.arange(len(kept) + 1)).astype(np.int64),
        run_flow=flow.astype(np.int32),
        run_length=lengths[kept][read, flow].astype(np.int8),
        first=first[kept],
        stop=stop[kept],
    )
