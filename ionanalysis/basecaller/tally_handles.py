"""Counts of handles and end barcodes, per read group of the start barcode (basecaller.md 8.8, 7.4)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.basecaller.finish import Cause

_N_END_ERRORS = 4


@dataclass(eq=False)
class HandleTally:
    """Counts per read group; arrays of shape (n_groups, ...), without columns for what is not looked for.

    Attributes
    ----------
    start_lost, end_lost : (n_groups,)
        Reads that lost their barcode for want of a handle.
    start_errors, end_errors : (n_groups, cutoff + 1)
        Reads by flow errors in their handle.
    starts, ends : (n_groups, n_handles)
        Reads by handle.
    end_barcode_lost, end_adapter_lost, no_bead_adapter : (n_groups,)
        Reads that lost their barcode for the end barcode, its adapter, or want of a bead adapter.
    end_barcode_errors : (n_groups, 4)
        Reads by flow errors in their end barcode, the last bin open.
    pairs : (n_groups, n_end_barcodes)
        Reads by end barcode.
    """

    start_lost: np.ndarray
    end_lost: np.ndarray
    start_errors: np.ndarray
    end_errors: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    end_barcode_lost: np.ndarray
    end_adapter_lost: np.ndarray
    no_bead_adapter: np.ndarray
    end_barcode_errors: np.ndarray
    pairs: np.ndarray

    @classmethod
    def empty(cls, n_groups, plan):
        n_errors, n_handles = plan.barcodes.handle_cutoff + 1, len(plan.handles)
        sizes = {
            "start_errors": n_errors,
            "end_errors": n_errors,
            "starts": n_handles,
            "ends": n_handles,
            "end_barcode_errors": _N_END_ERRORS,
            "pairs": len(plan.end_barcodes) if plan.end_barcodes else 0,
        }
        return cls(
            **{
                name: np.zeros((n_groups, sizes[name]) if name in sizes else n_groups, np.int64)
                for name in cls.__dataclass_fields__
            }
        )

    def count(self, reads, which, plan):
        """Count the reads `which`, bool."""
        groups = reads.barcode_group
        for total, cause in (
            (self.start_lost, Cause.START_HANDLE),
            (self.end_lost, Cause.END_HANDLE),
            (self.end_barcode_lost, Cause.END_BARCODE),
            (self.end_adapter_lost, Cause.END_ADAPTER),
            (self.no_bead_adapter, Cause.NO_BEAD_ADAPTER),
        ):
            total += np.bincount(groups[which & (reads.cause == cause)], minlength=len(total))
        self._count_handles(reads.handles, groups, which, self.starts, self.start_errors)
        if reads.end_hits is None:
            return
        hits = reads.end_hits
        self._count_handles(hits.handles, groups, which, self.ends, self.end_errors)
        found = which & (hits.barcode >= 0) & reads.keeps_barcode
        np.add.at(self.pairs, (groups[found], hits.barcode[found]), 1)
        n_errors = np.minimum(hits.errors[found], _N_END_ERRORS - 1)
        np.add.at(self.end_barcode_errors, (groups[found], n_errors), 1)

    @staticmethod
    def _count_handles(hits, groups, which, totals, errors):
        if hits is None:
            return
        found = which & (hits.handle >= 0)
        np.add.at(totals, (groups[found], hits.handle[found]), 1)
        np.add.at(errors, (groups[found], np.minimum(hits.errors[found], errors.shape[1] - 1)), 1)

    def handle_json(self, group):
        """Section ``handle`` of a read group in ``datasets_basecaller.json``."""
        return {
            "bc_handle_filtered": self.start_lost[group],
            "bc_handle_errors_hist": self.start_errors[group],
            "bc_handle_distribution": self.starts[group],
            "end_handle_filtered": self.end_lost[group],
            "end_handle_errors_hist": self.end_errors[group],
            "end_handle_distribution": self.ends[group],
        }

    def end_barcode_json(self, group):
        """Counts in its section ``end_barcode``."""
        return {
            "adapter_filtered": self.end_adapter_lost[group],
            "barcode_errors_hist": self.end_barcode_errors[group],
            "barcode_filtered": self.end_barcode_lost[group],
            "no_bead_adapter": self.no_bead_adapter[group],
        }
