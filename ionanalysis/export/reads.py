"""Reads of BAM files as FASTQ or SFF."""

from array import array
from itertools import groupby, islice
from os import PathLike

import numpy as np

from ionanalysis.bam.source import header_of, integers_of, open_alignments, primary_reads, qualities_of, tag_of
from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY, FlowOrder
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.sff import SffRead, SffWriter

_BATCH_READS = 512
_CUT_FROM_FRONT = ("ZK", "ZT", "ZE")
"""Tags with bases that were cut off behind key and barcode, in this order (basecaller.md 8.5)."""


def write_fastq(bams, path):
    """Write the reads of `bams` in the order of sequencing; secondary and supplementary records are left out.

    Parameters
    ----------
    bams : path or sequence of path
    path : path
        Appears when it is whole. A name that ends in ``.gz`` is compressed.

    Returns
    -------
    n_reads : int

    Raises
    ------
    InputError
        If a file is no BAM or damaged.
    """
    from isal import igzip

    n_reads = 0
    with whole_file(path) as temporary:
        opened = igzip.open(temporary, "wb") if str(path).endswith(".gz") else temporary.open("wb")
        with opened as file:
            for bam in as_paths(bams):
                with open_alignments(bam) as alignments:
                    for read in primary_reads(alignments):
                        file.write(_fastq_record(read))
                        n_reads += 1
    return n_reads


def write_sff(bams, path):
    """Write the reads of `bams` with their flow signals, key and barcode in front of them and clipped.

    Signals of tag ZM hold what phasing does: written is the length of each called run plus the difference
    between signal and prediction. Those of tag FZ are written as they are. Bases that only the header and tags
    name have quality 0.

    Parameters
    ----------
    bams : path or sequence of path
        Their read groups must have one flow order.
    path : path
        Appears when it is whole.

    Returns
    -------
    n_reads : int

    Raises
    ------
    InputError
        If a file is no BAM, or a read has no flow signals or read group.
    """
    paths, n_reads = as_paths(bams), 0
    of_files = [_read_groups(bam) for bam in paths]
    letters = {group.get("FO", "") for groups in of_files for group in groups.values()}
    if len(letters) != 1 or "" in letters:
        names = ", ".join(map(str, paths))
        raise InputError(f"{names}: the read groups name no or several flow orders; SFF files hold one.")
    flow_order = FlowOrder.from_letters(letters.pop())
    key = _common_key({f"{number} {name}": group for number, one in enumerate(of_files) for name, group in one.items()})
    with SffWriter(path, flow_order.letters, key) as sff:
        for bam, groups in zip(paths, of_files, strict=True):
            with open_alignments(bam) as alignments:
                reads = primary_reads(alignments)
                while batch := list(islice(reads, _BATCH_READS)):
                    for read in _sff_reads(bam, batch, groups, flow_order):
                        sff.write(read)
                    n_reads += len(batch)
    return n_reads


def as_paths(bams):
    """One path or several as a list."""
    return [bams] if isinstance(bams, str | PathLike) else list(bams)


def _read_groups(bam):
    with open_alignments(bam) as alignments:
        return {group["ID"]: group for group in header_of(alignments).get("RG", [])}


def _fastq_record(read):
    """The four lines of a read; missing qualities count as 0."""
    bases = (read.get_forward_sequence() or "").encode("ascii", "replace")
    qualities = qualities_of(read)
    letters = b"!" * len(bases) if qualities is None else (qualities.clip(max=93) + 33).tobytes()
    return b"@%s\n%s\n+\n%s\n" % (read.query_name.encode("ascii", "replace"), bases, letters)


def _common_key(groups):
    """Bases with which all reads begin: the key, or more where there is one barcode."""
    keys = {group.get("KS") or LIBRARY_KEY for group in groups.values()}
    shortest = min(keys, key=len)
    sizes = (size for size in range(len(shortest), 0, -1) if all(key.startswith(shortest[:size]) for key in keys))
    return shortest[: min(next(sizes, 0), len(LIBRARY_KEY))]


def _sff_reads(bam, batch, groups, flow_order):
    from ionanalysis.metrics.read_flows import base_flows

    fronts = [_front(bam, read, groups) for read in batch]
    bases = [read.get_forward_sequence() or "" for read in batch]
    first_flow = np.array([tag_of(read, "ZF", int, 0) for read in batch], np.int64)
    front_flows = base_flows(fronts, np.zeros(len(batch), np.int64), flow_order)
    own_flows = base_flows(bases, first_flow.clip(0), flow_order)
    chosen = []
    for i, read in enumerate(batch):
        own = own_flows[i, : len(bases[i])]
        front = front_flows[i, : len(fronts[i])]
        # A front that does not end before the read begins is not that of this read.
        if len(front) and len(own) and not (front[-1] <= own[0] and front[-1] < len(flow_order)):
            fronts[i], front = "", front[:0]
        own = own[own < len(flow_order)]
        chosen.append((read, fronts[i] + bases[i][: len(own)], np.concatenate([front, own])))
    signals = _unphased(bam, chosen, flow_order)
    for (read, text, flows), signal, front in zip(chosen, signals, fronts, strict=True):
        stored = qualities_of(read)
        stored = np.zeros(len(text), np.uint8) if stored is None else stored
        qualities = np.concatenate([np.zeros(len(front), np.uint8), stored])[: len(text)]
        kept = (len(front) + 1, len(text)) if len(text) > len(front) else (0, 0)
        yield SffRead(read.query_name, text, qualities, flows.astype(np.int32), signal, clip_quality=kept)


def _front(bam, read, groups):
    group = groups.get(tag_of(read, "RG", str, ""))
    if group is None:
        raise InputError(f"{bam}: read {read.query_name} is of no read group of the header; SFF needs its key.")
    return group.get("KS", "") + "".join(tag_of(read, name, str, "") for name in _CUT_FROM_FRONT)


def _unphased(bam, chosen, flow_order):
    """Signals without phasing in hundredths of a base, uint16 of shape (n_flows,), read by read."""
    from ionanalysis.basecaller.phase import predict_signal

    runs = [[(flow, len(list(same))) for flow, same in groupby(flows.tolist())] for _, _, flows in chosen]
    phases = [tag_of(read, "ZP", array, array("f", [0, 0, 0])) for read, _, _ in chosen]
    # The signals of tag ZM are free of droop.
    phase = np.array([[*values[:2], 0.0] for values in phases], np.float64).reshape(-1, 3)
    starts = np.concatenate([[0], np.cumsum([len(of_read) for of_read in runs])])
    flat = np.array([run for of_read in runs for run in of_read], np.int64).reshape(-1, 2)
    predicted, _ = predict_signal(flow_order, starts, flat[:, 0], flat[:, 1], phase)
    for i, (read, _, flows) in enumerate(chosen):
        signal = np.zeros(len(flow_order))
        if read.has_tag("ZM"):
            units = np.asarray(integers_of(read, "ZM"))[: len(signal)]
            called = np.bincount(flows, minlength=len(signal))[: len(units)]
            signal[: len(units)] = called + units / 256 - predicted[i, : len(units)]
        elif read.has_tag("FZ"):
            units = np.asarray(integers_of(read, "FZ"))[: len(signal)]
            signal[: len(units)] = units / 100
        else:
            raise InputError(f"{bam}: read {read.query_name} has neither tag ZM nor FZ; SFF holds flow signals.")
        yield np.rint(100 * signal).clip(0, 0xFFFF).astype(np.uint16)
