"""Finished reads as BAM records: names, bases and tags (basecaller.md 8.3, 8.4)."""

import numpy as np

from ionanalysis.bam import ReadBatch, TagColumn
from ionanalysis.basecaller.ends import Step
from ionanalysis.basecaller.flow_tags import flow_signal_tags
from ionanalysis.basecaller.letters import well_names
from ionanalysis.basecaller.ragged import TextRows
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.options.flow_tags import FlowTagOptions

_FLOWS_BEHIND = 16
"""Flows of tag ZM behind the flow of the last kept base."""

_HISTORY = {
    1: Verdict.SIGNAL_HIGH_PPF,
    2: Verdict.SIGNAL_POLYCLONAL,
    3: Verdict.SIGNAL_KEYPASS,
    4: Verdict.HIGH_PPF,
    5: Verdict.POLYCLONAL,
    # Also the test of the signal, which comes before any step.
    7: Verdict.KEYPASS,
}
_HISTORY_STEPS = {
    6: Step.SHORT,
    7: Step.KEYPASS,
    8: Step.RESIDUAL,
    9: Step.QUALITY_FILTER,
    10: Step.ADAPTER,
    11: Step.QUALITY_TRIM,
}


def read_batch(
    reads,
    chosen,
    group_names,
    *,
    run_id,
    offset=(0, 0),
    end=None,
    signals=None,
    raw=None,
    measured=None,
    dummy=False,
    errors_tag=False,
    handles=(),
    more=(),
):
    """The records of some reads.

    Parameters
    ----------
    reads : FinishedReads
    chosen : ndarray of int
        Reads to write, in this order.
    group_names : list of str
        Read group of each of the `chosen`.
    run_id : str
    offset : (int, int)
        Row and column of the block on the chip.
    end : ndarray of int64, optional
        End of each of all reads; where they were cut by default.
    signals : FlowTagOptions, optional
        Which flow signals the records carry, and how; ZM alone by default.
    raw, measured : ndarray of shape (n_reads, n_flows), float32, optional
        Signals of all reads, key-normalised and as in the wells file, which some of them need.
    dummy : bool
        Write a FZ of one zero if no flow signals are asked for, as the unfiltered sets have it.
    handles : tuple of str
        Start handles, by the numbers that the reads have.
    errors_tag : bool
        Write tag XB.
    more : tuple of TagColumn
        Further tags of the `chosen`.

    Returns
    -------
    ReadBatch
    """
    called, ends = reads.called, reads.ends
    start = called.base_start[:-1]
    prefix = ends.prefix[chosen]
    stop = np.maximum((ends.end if end is None else end)[chosen], prefix)
    begin, finish = start[chosen] + prefix, start[chosen] + stop
    rows, cols = called.row[chosen] + offset[0], called.col[chosen] + offset[1]
    n_flows_kept = _flows_kept(reads, chosen)
    options = signals or FlowTagOptions()
    units = reads.signal_units if options.write_zm else None
    flow_tags = flow_signal_tags(called, chosen, n_flows_kept, options, raw, measured, dummy, units)
    return ReadBatch(
        names=well_names(run_id, rows, cols),
        bases=called.bases,
        qualities=called.qualities,
        begin=begin,
        end=finish,
        tags=(
            TagColumn("ZP", "B:f", called.phase[chosen]),
            *_barcode_tags(reads, chosen, errors_tag),
            *_text_tags(reads, chosen, handles),
            *_adapter_tags(reads, chosen),
            *flow_tags,
            TagColumn("ZF", "i", _first_flow(called, begin, prefix < called.n_bases[chosen])),
            *more,
            TagColumn("RG", "Z", group_names),
            TagColumn("PG", "Z", ["bc"] * len(chosen)),
        ),
    )


def filter_history(reads, chosen):
    """Tag ZD: bases left behind the prefix after each filter, -1 where it did nothing."""
    ends = reads.ends
    history = np.full((len(chosen), 13), -1, np.int64)
    prefix = ends.prefix[chosen]
    history[:, 0] = ends.n_bases[chosen] - prefix
    history[:, 12] = ends.n_kept[chosen]
    for column, step in _HISTORY_STEPS.items():
        reached = ends.reached[chosen, step]
        history[:, column] = np.where(reached < 0, -1, np.maximum(reached - prefix, 0))
    for column, verdict in _HISTORY.items():
        history[ends.verdict[chosen] == verdict, column] = 0
    return TagColumn("ZD", "B:s", history)


def _barcode_tags(reads, chosen, errors_tag):
    if reads.hits is None or not errors_tag:
        return []
    present = reads.keeps_barcode[chosen]
    return [TagColumn("XB", "i", reads.hits.errors[chosen], present=present)] if present.any() else []


def _text_tags(reads, chosen, handles):
    columns = []
    texts = {
        "ZT": reads.prefix_tag,
        "YT": reads.suffix_tag,
        "ZE": reads.extra_left,
        "YE": reads.extra_right,
        "ZO": reads.origin,
        "YK": reads.end_text,
    }
    if reads.handles is not None:
        texts["ZK"] = TextRows.from_choice(handles, np.where(reads.cause == 0, reads.handles.handle, -1))
    for name, rows in texts.items():
        own = rows[chosen]
        if own.lengths.any():
            columns.append(TagColumn(name, "Z", own.letters, own.lengths, present=own.lengths > 0))
    return columns


def _adapter_tags(reads, chosen):
    hits, called = reads.adapters, reads.called
    found = hits.found[chosen]
    if not found.any():
        return []
    start = hits.start_flow[chosen]
    insert = np.maximum(reads.insert_end - reads.ends.prefix, 0)[chosen]
    signature = np.zeros((len(chosen), 4), np.int64)
    signature[:, 0], signature[:, 3] = start, hits.index[chosen]
    there = found & (hits.start_base[chosen] > 0)
    first = called.base_start[:-1][chosen[there]]
    last = first + hits.start_base[chosen[there]] - 1
    signature[there, 1] = called.base_flow[last]
    signature[there, 2] = _run_up_to(called.bases, first, last)
    return [
        TagColumn("ZG", "i", start, present=found),
        TagColumn("ZB", "i", hits.matched[chosen], present=found),
        TagColumn("ZC", "B:i", signature, present=found),
        TagColumn("ZA", "i", insert, present=found),
    ]


def _run_up_to(bases, first, last):
    """Bases of the homopolymer that ends with base `last`, counted back to base `first` at most."""
    length = np.ones(len(last), np.int64)
    growing = np.arange(len(last))
    while len(growing):
        before = last[growing] - length[growing]
        growing = growing[(before >= first[growing]) & (bases[np.maximum(before, 0)] == bases[last[growing]])]
        length[growing] += 1
    return length


def _flows_kept(reads, chosen):
    """Flows of tag ZM if it is trimmed: 16 more than the last kept base's, or 16 without any."""
    called, ends = reads.called, reads.ends
    last = (called.base_start[:-1] + ends.end)[chosen] - 1
    kept = ends.n_kept[chosen] > 0
    flow = called.base_flow[np.where(kept, last, 0)].astype(np.int64) if len(called.base_flow) else 0
    return np.minimum(np.where(kept, flow, 0) + _FLOWS_BEHIND, called.n_flows)


def _first_flow(called, begin, there):
    if not len(called.base_flow):
        return np.zeros(len(begin), np.int64)
    return np.where(there, called.base_flow[np.where(there, begin, 0)], 0)
