"""Counts of a run: per verdict, base, read group, barcode and adapter; those of blocks add up."""

from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np

from ionanalysis.basecaller.finish import Cause
from ionanalysis.basecaller.tally_handles import HandleTally
from ionanalysis.basecaller.verdicts import Verdict

N_QUALITIES = 50
_DISTANCE_BIN, _N_DISTANCES, _N_ERRORS = 0.2, 5, 3


@dataclass(eq=False)
class GroupTally:
    """Reads and bases written to a set of files, per read group; arrays of shape (n_groups, ...).

    `records` counts all records, `reads` those with bases; the histograms count the
    reads whose barcode stands, `barcodes`, of shape (n_groups,), those of them that `bias_sum` is made of.
    """

    records: np.ndarray
    reads: np.ndarray
    bases: np.ndarray
    q20_bases: np.ndarray
    barcodes: np.ndarray
    distances: np.ndarray
    errors: np.ndarray
    bias_sum: np.ndarray

    @classmethod
    def empty(cls, n_groups, n_barcode_flows=0):
        def zeros(*more):
            return np.zeros((n_groups, *more), np.int64)

        return cls(
            records=zeros(),
            reads=zeros(),
            bases=zeros(),
            q20_bases=zeros(),
            barcodes=zeros(),
            distances=zeros(_N_DISTANCES),
            errors=zeros(_N_ERRORS),
            bias_sum=np.zeros((n_groups, n_barcode_flows)),
        )

    def count_records(self, reads, chosen, groups, begin, end):
        """Count records of the `chosen` reads with the bases [begin, end) of each read."""
        called = reads.called
        n_groups = len(self.records)
        sizes = np.maximum(end - begin, 0)[chosen]
        good = reads.n_q20_before
        first = called.base_start[:-1][chosen]
        q20 = np.where(sizes > 0, good[first + end[chosen]] - good[first + begin[chosen]], 0)
        self.records += np.bincount(groups, minlength=n_groups)
        self.reads += np.bincount(groups[sizes > 0], minlength=n_groups)
        self.bases += np.bincount(groups, sizes, minlength=n_groups).astype(np.int64)
        self.q20_bases += np.bincount(groups, q20, minlength=n_groups).astype(np.int64)

    def count_barcodes(self, reads, chosen, plan):
        """Count the barcodes of the `chosen` reads."""
        hits = reads.hits
        chosen = chosen[reads.keeps_barcode[chosen]]
        groups = reads.group[chosen]
        bins = np.minimum((hits.distance[chosen] / _DISTANCE_BIN).astype(np.int64), _N_DISTANCES - 1)
        np.add.at(self.distances, (groups, bins), 1)
        np.add.at(self.errors, (groups, np.minimum(hits.errors[chosen], _N_ERRORS - 1)), 1)
        # A base less or more moves all later flows of the barcode: such reads tell nothing of the others' bias.
        chosen = chosen[~hits.rescued[chosen]]
        groups, number = reads.group[chosen], hits.barcode[chosen]
        np.add.at(self.barcodes, groups, 1)
        first, n_flows = plan.templates.first_flow, self.bias_sum.shape[1]
        flows = slice(first, first + n_flows)
        measured = np.maximum(reads.called.signal[chosen, flows], 0)
        np.add.at(self.bias_sum, groups, (measured - plan.template_signals[number, flows]).astype(np.float64))


@dataclass(eq=False)
class Tally:
    """All counts of a block or a run.

    Attributes
    ----------
    verdicts : ndarray of shape (2, n_verdicts)
        Library reads and test fragments by `Verdict`.
    base_parts : dict of int
        Library bases by what removed them (`ReadEnds.bases_by_step`).
    qualities : ndarray of shape (50,)
        Library bases written, by quality.
    library, tf, trimmed, untrimmed : GroupTally
        The main files and the unfiltered sets.
    ambiguous, adapter_failed : ndarray of shape (n_groups,)
        Reads that lost their barcode.
    adapter_reads, adapter_decisions : ndarray of shape (n_adapters,)
        Kept library reads with each bead adapter; those for which another adapter competed.
    adapter_scores, adapter_leads : ndarray of shape (n_adapters,)
        Sums over those.
    handles : HandleTally
        Handles and end barcodes.
    n_without_adapter, n_values, n_bad_values : int
        Kept library reads without adapter; signals looked at for numbers that are not finite; those found.
    """

    verdicts: np.ndarray
    qualities: np.ndarray
    library: GroupTally
    tf: GroupTally
    trimmed: GroupTally
    untrimmed: GroupTally
    ambiguous: np.ndarray
    adapter_failed: np.ndarray
    adapter_reads: np.ndarray
    adapter_decisions: np.ndarray
    adapter_scores: np.ndarray
    adapter_leads: np.ndarray
    handles: HandleTally
    n_without_adapter: int = 0
    n_values: int = 0
    n_bad_values: int = 0
    base_parts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls, plan):
        n_groups, n_adapters = len(plan.library.groups), len(plan.trims.trim_adapter)
        n_flows = plan.templates.n_distance_flows if plan.templates else 0
        return cls(
            verdicts=np.zeros((2, len(Verdict)), np.int64),
            qualities=np.zeros(N_QUALITIES, np.int64),
            library=GroupTally.empty(n_groups, n_flows),
            tf=GroupTally.empty(1),
            trimmed=GroupTally.empty(n_groups, n_flows),
            untrimmed=GroupTally.empty(n_groups, n_flows),
            ambiguous=np.zeros(n_groups, np.int64),
            adapter_failed=np.zeros(n_groups, np.int64),
            adapter_reads=np.zeros(n_adapters, np.int64),
            adapter_decisions=np.zeros(n_adapters, np.int64),
            adapter_scores=np.zeros(n_adapters),
            adapter_leads=np.zeros(n_adapters),
            handles=HandleTally.empty(n_groups, plan),
        )

    def add(self, other):
        """Add the counts of another block."""
        _add(self, other)

    def count_finished(self, reads, was_alive, plan):
        """Count bases, lost barcodes and adapters of finished reads.

        Bases count where a read was alive when it was called; the others were called for the sample only.
        """
        library = was_alive & ~reads.tf
        for name, parts in reads.ends.bases_by_step().items():
            self.base_parts[name] = self.base_parts.get(name, 0) + int(parts[library].sum())
        if reads.hits is not None:
            barcoded = np.asarray(plan.library.barcoded)
            for total, lost in (
                (self.ambiguous, reads.cause == Cause.START_BARCODE),
                (self.adapter_failed, reads.cause == Cause.START_ADAPTER),
            ):
                np.add.at(total, barcoded[reads.hits.barcode[library & lost]], 1)
        self.handles.count(reads, library, plan)
        self._count_adapters(reads.adapters, library & reads.ends.alive)

    def count_verdicts(self, verdicts, classes):
        """Count the verdicts of all wells of a region."""
        for row, which in enumerate((classes.library, classes.tf)):
            self.verdicts[row] += np.bincount(verdicts[which], minlength=len(Verdict))

    def _count_adapters(self, hits, kept):
        found = kept & hits.found
        number, competed = hits.index[found], hits.n_competing[found] > 1
        np.add.at(self.adapter_reads, number, 1)
        np.add.at(self.adapter_scores, number, hits.score[found].astype(np.float64))
        np.add.at(self.adapter_decisions, number[competed], 1)
        np.add.at(self.adapter_leads, number[competed], hits.separation[found][competed].astype(np.float64))
        self.n_without_adapter += int((kept & ~hits.found).sum())

    def count_qualities(self, called, begin, end, chosen):
        """Add the qualities of the bases [begin, end) of the `chosen` reads."""
        depth = np.zeros(len(called.bases) + 1, np.int64)
        first = called.base_start[:-1][chosen]
        np.add.at(depth, first + begin[chosen], 1)
        np.add.at(depth, first + end[chosen], -1)
        written = np.cumsum(depth[:-1]) > 0
        top = np.minimum(called.qualities[written], N_QUALITIES - 1)
        self.qualities += np.bincount(top, minlength=N_QUALITIES)


def _add(total, part):
    for item in fields(total):
        here, there = getattr(total, item.name), getattr(part, item.name)
        if is_dataclass(here):
            _add(here, there)
        elif isinstance(here, dict):
            for name, count in there.items():
                here[name] = here.get(name, 0) + count
        else:
            setattr(total, item.name, here + there)
