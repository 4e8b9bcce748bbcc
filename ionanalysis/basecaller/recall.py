"""Bases again from the flow signals that a BAM file carries, for those who no longer have wells or images."""

from array import array
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import sched_getaffinity
from pathlib import Path

import numpy as np

from ionanalysis import __version__
from ionanalysis.bam.source import header_of, integers_of, open_alignments, primary_reads, qualities_of, tag_of
from ionanalysis.basecaller.calibration import linear_model_response
from ionanalysis.basecaller.solve import call_block
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.calibration import LinearCalibration, calibrations_of_comments
from ionanalysis.options.basecaller import SolverOptions

_BATCH_READS = 512
_UNITS = {"ZM": 256, "FZ": 100}
_OF_ALIGNMENT = ("MD", "NM", "AS", "XS", "XA", "XM", "SA", "NH", "HI", "MC", "MQ", "YS", "UQ", "OQ", "OC", "OP")
"""Tags that tell of an alignment, which does not hold for other bases."""
CUT_FROM_FRONT = ("ZK", "ZT", "ZE")
"""Tags with bases that were cut off behind key and barcode, in this order (basecaller.md 8.5)."""
_HARD_CLIP = 5


@dataclass
class RecallCounts:
    """What a recall did.

    Attributes
    ----------
    reads : int
        Reads written.
    changed : int
        Of these, reads with other bases than before.
    kept : int
        Reads left as they were: without bases, or whose signals gave none.
    bases : int
        Bases written.
    calibrated : int
        Reads that one of the models was applied to.
    calibrations : tuple of LinearCalibration
        Models that the header carries, applied to the reads of their blocks.
    """

    reads: int = 0
    changed: int = 0
    kept: int = 0
    bases: int = 0
    calibrated: int = 0
    calibrations: tuple[LinearCalibration, ...] = ()


def recall_bam(
    source: str | Path,
    target: str | Path,
    options: SolverOptions | None = None,
    *,
    names: Container[str] | None = None,
    n_threads: int | None = None,
    command_line: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> RecallCounts:
    """Call the bases of a BAM file again and write them, unaligned, to another.

    Each read keeps its place: it begins behind the bases that were cut off its front and ends in the flow in
    which it ended. Names, read groups and tags are kept, but for those of an alignment; secondary and supplementary
    records are left out. Reads of which an aligner cut bases off for good (hard clips) keep their bases.

    Parameters
    ----------
    source : path
        BAM, SAM or CRAM, aligned or not.
    target : path
        BAM file; appears when it is whole.
    options : SolverOptions, optional
    names : set of str, optional
        Names of the reads wanted; the others are left out.
    n_threads : int, optional
        All cores by default. The result does not depend on it.
    command_line : str
        For the line @PG.
    progress : callable, optional
        Called with (reads done, 0): how many there are is not known before the end.

    Returns
    -------
    RecallCounts

    Raises
    ------
    InputError
        If the file is none of these or damaged, or a read lacks its flow signals, phase or flow order.
    UsageError
        If `target` is named as SAM or CRAM.

    Notes
    -----
    Signals of tag ZM hold phasing, but droop was taken out: they are solved with the CF and IE of tag ZP and DR = 0.
    Those of FZ (older files) were corrected for phasing, too (field.md 1; basecaller.md 8.5).
    """
    import pysam

    options, counts = options or SolverOptions(), RecallCounts()
    if Path(target).suffix.lower() in (".sam", ".cram"):
        raise UsageError(f"{target}: recall writes BAM; give the file a name that ends in .bam.")
    with (
        open_alignments(source) as bam,
        whole_file(target) as temporary,
        ThreadPoolExecutor(n_threads or len(sched_getaffinity(0))) as pool,
    ):
        old_header = header_of(bam)
        header, groups = _new_header(source, old_header, command_line)
        counts.calibrations = tuple(calibrations_of_comments(old_header.get("CO", []), source))
        _check_models(source, counts.calibrations, groups)
        with pysam.AlignmentFile(str(temporary), "wb", header=header) as out:
            for batch in _batches(bam, names):
                reads = [_known(source, groups, read, counts.calibrations) for read in batch]
                size = max(1, len(reads) // 8)
                parts = [reads[first : first + size] for first in range(0, len(reads), size)]
                called = [call for part in pool.map(lambda part: _call(part, options), parts) for call in part]
                for record, read, bases in zip(batch, reads, called, strict=True):
                    _rewrite(record, bases, counts)
                    counts.calibrated += read.model is not None and bases is not None
                    out.write(record)
                if progress:
                    progress(counts.reads, 0)
    return counts


def _new_header(path, header, command_line):
    groups = {group.get("ID"): group for group in header.get("RG", [])}
    program = {"ID": "recall", "PN": "ionanalysis", "VN": __version__, "CL": command_line}
    programs = header.get("PG", [])
    taken = {entry.get("ID") for entry in programs}
    number = 1
    while program["ID"] in taken:
        number += 1
        program["ID"] = f"recall.{number}"
    if programs:
        program["PP"] = programs[-1]["ID"]
    kept = {name: lines for name, lines in header.items() if name not in ("HD", "SQ", "PG")}
    program = {name: value for name, value in program.items() if value}
    orders = {}
    for name, group in groups.items():
        if not group.get("FO"):
            raise InputError(f"{path}: read group {name} has no flow order (FO); expected a BAM of an Ion Torrent run.")
        try:
            orders[name] = FlowOrder.from_letters(group["FO"]), group.get("KS", "")
        except InputError as error:
            raise InputError(f"{path}: read group {name}: {error}") from None
    return {"HD": {"VN": "1.4", "SO": "unsorted"}, **kept, "PG": [*programs, program]}, orders


def _check_models(path, models, groups):
    """Refuse models for other flows than the reads have."""
    most = max((len(order) for order, _ in groups.values()), default=0)
    for model in models:
        if model.n_flows != most:
            raise InputError(
                f"{path}: its header has the calibration of {model.block} for {model.n_flows} flows, its reads have "
                f"{most}; take the comment line out of the header, or give the file as BaseCaller wrote it."
            )


def _batches(bam, names):
    reads = (read for read in primary_reads(bam) if names is None or read.query_name in names)
    while batch := list(islice(reads, _BATCH_READS)):
        yield batch


@dataclass(frozen=True, eq=False)
class _KnownRead:
    """What a record says of a read: its flows, signals in bases, phase, bases, the flow of the first (or -1), its well
    and the calibration it was called with."""

    order: FlowOrder
    prefix: str
    signal: np.ndarray
    phase: tuple
    bases: str
    first_flow: int
    well: tuple[int, int] = (0, 0)
    model: LinearCalibration | None = None


def _known(path, groups, record, models=()):
    name, group = record.query_name, tag_of(record, "RG", str)
    if group not in groups:
        raise InputError(f"{path}: read {name} is of read group {group!r}, which the header does not list.")
    order, prefix = groups[group]
    # The unfiltered sets carry a dummy FZ of one value beside ZM.
    tag = next((tag for tag in _UNITS if record.has_tag(tag)), None)
    if tag is None:
        raise InputError(f"{path}: read {name} has neither tag ZM nor FZ; give a BAM that kept its flow signals.")
    signal, first_flow = integers_of(record, tag), tag_of(record, "ZF", int, -1)
    rates = tag_of(record, "ZP", array, array("f"))
    if tag == "ZM" and not (len(rates) >= 2 and all(0 <= rate < 1 for rate in rates)):
        raise InputError(f"{path}: read {name} has signals (ZM) but no phase (ZP); give a BAM that kept both.")
    if len(signal) > len(order):
        raise InputError(f"{path}: read {name} has {len(signal)} flows, its read group {len(order)}.")
    prefix += "".join(tag_of(record, cut, str, "") for cut in CUT_FROM_FRONT)
    return _KnownRead(
        order.limited(len(signal)),
        prefix,
        np.array(signal, np.float64) / _UNITS[tag],
        (rates[0], rates[1], 0.0) if tag == "ZM" else (0.0, 0.0, 0.0),
        "" if _is_hard_clipped(record) else record.get_forward_sequence() or "",
        # Without called bases the original writes 0: then the prefix must tell.
        first_flow if first_flow > 0 or not prefix else -1,
        *_model_of(name, models if tag == "ZM" else ()),
    )


def _model_of(name, models):
    """Well that a read is named after, and the model of its block."""
    try:
        row, col = (int(part) for part in (name or "").split(":")[-2:])
    except ValueError:
        return (0, 0), None
    return (row, col), next((model for model in models if model.contains(row, col)), None)


def _is_hard_clipped(record):
    return any(operation == _HARD_CLIP for operation, _ in record.cigartuples or ())


def _call(reads, options):
    """Bases and qualities of each read, None where there are none."""
    called: list = [None] * len(reads)
    kinds = {(read.order.cycle, len(read.order), id(read.model)): (read.order, read.model) for read in reads}
    for order, model in kinds.values():
        same = [i for i, read in enumerate(reads) if read.order == order and read.model is model and read.bases]
        if not same or not len(order):
            continue
        wells = np.array([reads[i].well for i in same])
        response = (
            None if model is None else linear_model_response(model, model.region_of(wells[:, 0], wells[:, 1]), order)
        )
        solved = call_block(
            np.stack([reads[i].signal for i in same]),
            np.zeros(len(same), int),
            np.arange(len(same)),
            order,
            np.array([reads[i].phase for i in same], np.float64),
            options,
            response=response,
        )
        for number, i in enumerate(same):
            called[i] = _insert(reads[i], solved, number)
    return called


def _insert(read, called, number):
    """The called bases that take the place of the read's."""
    span = called.bases_of(number)
    flow = called.base_flow[span]
    shared = 0
    if read.first_flow >= 0:
        # Of the run in the first flow, the bases that end the prefix are not the read's.
        shared = int((read.order.base_flows(read.prefix) == read.first_flow).sum())
        begin = int(np.searchsorted(flow, read.first_flow)) + shared
        start_flow = read.first_flow
    elif called.sequence(number).startswith(read.prefix):
        begin, start_flow = len(read.prefix), int(read.order.base_flows(read.prefix)[-1]) if read.prefix else 0
    else:
        return None
    last, n_last = _end(read.order.letters, read.bases, start_flow)
    n_last += shared if last == start_flow else 0
    end = int(np.searchsorted(flow, last)) + min(n_last, int(np.count_nonzero(flow == last)))
    if end <= begin:
        return None
    chosen = slice(span.start + begin, span.start + end)
    return called.bases[chosen].tobytes().decode("ascii"), called.qualities[chosen]


def _end(letters, bases, flow):
    """In-phase flow of the last of `bases`, the first being in or behind `flow`, and how many of them are in it."""
    n_last, former = 0, -1
    for base in bases:
        found = letters.find(base, flow)
        if found < 0:
            return len(letters), 0
        n_last = n_last + 1 if found == former else 1
        flow = former = found
    return former, n_last


def _rewrite(record, called, counts):
    """Put new bases into a record, as an unaligned one."""
    before, qualities = record.get_forward_sequence() or "", qualities_of(record)
    bases = before if called is None else called[0]
    if called is not None:
        qualities = called[1]
    record.flag = 4 | (record.flag & 0x200)
    record.reference_id = record.next_reference_id = -1
    record.reference_start = record.next_reference_start = -1
    record.mapping_quality, record.template_length = 0, 0
    record.cigartuples = None
    record.query_sequence = bases or None
    if bases and qualities is not None:
        record.query_qualities = [int(quality) for quality in qualities]
    for tag in _OF_ALIGNMENT:
        record.set_tag(tag, None)
    counts.reads += 1
    counts.bases += len(bases)
    counts.changed += bases != before
    counts.kept += called is None
