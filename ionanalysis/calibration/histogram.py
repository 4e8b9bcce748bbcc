"""The histogram model: by how much boundaries between called lengths are moved (basecaller.md 10.4).

The reads are solved again with the linear model in force. Of each run between two lengths we know then on which side of
the boundary its signal lies, and on which its true length. A boundary moves where that corrects more calls than it
spoils, and by so many that it is not chance: the solver's lengths, which follow from the signals of many flows, need
little of it.
"""

import numpy as np

from ionanalysis.basecaller.polish import local_step, run_lengths, sizes_of
from ionanalysis.basecaller.solve import solve_runs
from ionanalysis.flows import NUCS
from ionanalysis.io.calibration import HistogramCalibration
from ionanalysis.options.basecaller import SolverOptions

_FARTHEST = 4
"""A boundary moves by no more than the bins of a length over this."""
_CHANCE = 4.0
"""Calls gained, in standard deviations of the calls moved, below which a move is chance."""


class HistogramFit:
    """Counts of right and wrong calls beside the boundaries, by region, window, nucleotide and length.

    Parameters
    ----------
    grid : Grid
    options : CalibrationFitOptions
    response : callable
        ``response(reads)`` gives what the reads are solved with.
    """

    def __init__(self, grid, options, response):
        self.grid, self.options, self.response = grid, options, response
        self.reach = options.histogram_num_bins // _FARTHEST
        # Of bins above (0) and below (1) the lower boundary of a length, counted away from it: calls that a boundary
        # moved beyond would correct (0) or spoil (1).
        self.counts = np.zeros((*grid.shape, len(NUCS), options.histogram_max_hp, 2, self.reach, 2), np.int64)

    def add(self, reads):
        """Solve `TrainingReads` again and count."""
        order, options = reads.flow_order, self.options
        response = self.response(reads)
        solved = solve_runs(reads.signal, order, reads.phase, SolverOptions(), response=response)
        called, n_bins = run_lengths(solved), options.histogram_num_bins
        signal, predicted, inphase = (solved[name].astype(np.float64) for name in ("signal", "predicted", "inphase"))
        step = inphase * local_step(called, signal > predicted, sizes_of(response, order, len(reads)))
        place = 0.5 + (signal - predicted) / np.maximum(step, 1e-6)
        bins = np.trunc(np.clip(place * n_bins, -1e6, 1e6)).astype(np.int64)
        flow = np.arange(len(order))
        used = (flow >= reads.first[:, None]) & (flow < reads.stop[:, None])
        used &= (inphase >= options.histogram_train_min_inphase) & (solved["n_runs"] >= 0)[:, None]
        used &= ~np.append(False, order.bases[1:] == order.bases[:-1])
        true = np.zeros(called.shape, np.int64)
        read = np.repeat(np.arange(len(reads)), np.diff(reads.run_start))
        true[read, reads.run_flow] = reads.run_length
        region = self.grid.region_of(reads.row, reads.col)
        window = self.grid.window_of(flow)
        for side in (0, 1):
            # The boundary that a call lies beside: its own lower one, or that of the next length.
            # One that moves at all changes the calls that were made against it, too.
            length, depth = called + side, np.maximum(bins if side == 0 else n_bins - 1 - bins, 0)
            corrected, kept = true == called + (2 * side - 1), true == called
            near = used & (depth < self.reach) & (corrected | kept)
            near &= (length >= (1 if options.histogram_train_zero_mers else 2)) & (length < options.histogram_max_hp)
            i, j = np.nonzero(near)
            places = (region[0][i], region[1][i], window[j], order.bases[j], length[i, j], side, depth[i, j])
            np.add.at(self.counts, (*places, kept[i, j].astype(np.intp)), 1)

    def model(self):
        """`HistogramCalibration` of the counts."""
        grid, options = self.grid, self.options
        boundaries = np.zeros((*grid.shape, len(NUCS), options.histogram_max_hp + 2), np.int16)
        # All together, then each nucleotide, then each cell: the finest that is beyond chance holds.
        for axes in ((0, 1, 2, 3), (0, 1, 2), ()):
            found, sure = self._boundaries(self.counts.sum(axis=axes, keepdims=True) if axes else self.counts)
            boundaries[..., :-2] = np.where(sure, found, boundaries[..., :-2])
        boundaries[..., 0] = 0
        return HistogramCalibration(
            offset=grid.offset,
            size=grid.size,
            n_bins=options.histogram_num_bins,
            window=grid.window_size,
            boundaries=boundaries,
        )

    def _boundaries(self, counts):
        """Shift of each lower boundary in bins, and whether it is beyond chance."""
        options = self.options
        gained = np.cumsum(counts[..., 0] - counts[..., 1], axis=-1)
        moved = np.cumsum(counts.sum(axis=-1), axis=-1)
        sure = (gained > _CHANCE * np.sqrt(np.maximum(moved, 1))) & (moved >= options.histogram_min_samples)
        gained = np.where(sure, gained, 0)
        best, most = gained.argmax(axis=-1), gained.max(axis=-1)
        shift = np.where(most > 0, best + 1, 0)
        up = most[..., 0] >= most[..., 1]
        return np.where(up, shift[..., 0], -shift[..., 1]), most.max(axis=-1) > 0
