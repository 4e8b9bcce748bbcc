"""Reads to learn a calibration from: their signals, and the sequence that the reference says they have."""

from array import array
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from ionanalysis.align.reads import align_reads, target_of
from ionanalysis.bam.source import header_of, integers_of, open_alignments, reads_of, tag_of
from ionanalysis.basecaller.recall import CUT_FROM_FRONT
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.metrics.aligned_reads import aligned_reads

UNITS_PER_BASE = 256
"""Of tag ZM."""

_BATCH_READS = 2000
_END_RUNS = 6
"""Runs at the end of what is known that are not learned from: leading strands are in what comes behind."""

_BASES_BEHIND = 16
"""Bases of the reference behind an alignment that are taken for the read's, unless it ends at an adapter."""

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
    index : ReferenceIndex, optional
        Reads that are not aligned are aligned to it.
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
        with open_alignments(path) as bam:
            groups = _groups(path, header_of(bam))
            records = (read for read in reads_of(bam) if not (read.is_secondary or read.is_supplementary))
            while batch := list(islice(records, _BATCH_READS)):
                counts.in_file += len(batch)
                found = _known(batch, groups, options, index, n_threads, counts)
                for order in {id(read.order): read.order for read in found}.values():
                    yield _stacked([read for read in found if read.order is order], order)
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
    order: FlowOrder
    row: int
    col: int
    units: np.ndarray
    phase: tuple
    flows: np.ndarray
    lengths: np.ndarray
    first: int
    stop: int


def _known(batch, groups, options, index, n_threads, counts):
    found = []
    most_flows = max(len(order) for order, _ in groups.values())
    least = options.min_align_length or min(_LEAST_BASES, most_flows // 3)
    for record, clipped, target in _targets(batch, options, least, index, n_threads, counts):
        read = _read(record, groups, clipped, target)
        if read is not None:
            found.append(read)
            counts.loaded += 1
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
    sequence = prefix + clipped + target
    base_flows = order.base_flows(sequence)
    base_flows = base_flows[base_flows < len(order)]
    n_known = len(prefix) + len(clipped)
    # The first base must be where the caller had it: else its prefix was called otherwise.
    if len(base_flows) <= n_known or base_flows[len(prefix)] != first_flow:
        return None
    flows, lengths = np.unique(base_flows, return_counts=True)
    last = flows[max(len(flows) - 1 - _END_RUNS, 0)]
    stop = min(int(last), len(units))
    first = int(base_flows[n_known]) + 1
    if stop <= first or lengths.max() > 127:
        return None
    padded = np.zeros(len(order), np.int16)
    padded[: len(units)] = np.clip(np.array(units, np.int64), -(1 << 15), (1 << 15) - 1)
    return _Read(order, place[0], place[1], padded, (rates[0], rates[1], 0.0), flows, lengths, first, stop)


def _well(name):
    try:
        row, col = (int(part) for part in (name or "").split(":")[-2:])
    except ValueError:
        return None
    return row, col


def _stacked(reads, order):
    return TrainingReads(
        flow_order=order,
        row=np.array([read.row for read in reads]),
        col=np.array([read.col for read in reads]),
        units=np.stack([read.units for read in reads]),
        phase=np.array([read.phase for read in reads], np.float64),
        run_start=np.concatenate([[0], np.cumsum([len(read.flows) for read in reads])]).astype(np.int64),
        run_flow=np.concatenate([read.flows for read in reads]).astype(np.int32),
        run_length=np.concatenate([read.lengths for read in reads]).astype(np.int8),
        first=np.array([read.first for read in reads]),
        stop=np.array([read.stop for read in reads]),
    )
