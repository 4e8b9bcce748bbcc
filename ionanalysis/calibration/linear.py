"""The linear model: signal of homopolymers by region, flow window, nucleotide and length, fitted to known sequences.

With the phase known, a read's signal is linear in what is sought: in flow f of nucleotide n,

    m_f = offset_n + sum over lengths h of size_{n,h} * taken_{h,f},

``taken_{h,f}`` being the strands that take a run of h bases in that flow, in phase or not. So the sizes come from
normal equations, as the solver uses them (basecaller.md 10.3 fits one flow's signal at a time and leaves lagging
strands uncalibrated).
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.flows import MAX_RUN, NUCS
from ionanalysis.io.calibration import LinearCalibration

LONGEST = 12
"""Longest runs that are fitted; the gain of the longest holds for longer ones."""

_NOISE, _NOISE_PER_BASE = 0.08, 0.05
_SPREAD_OF_NUC, _SPREAD_OF_CELL = 0.03, 0.015
"""Spread, relative to length, of sizes between nucleotides, and between regions and windows of one nucleotide."""
_OFFSET_SPREAD = 0.03
_BEND = 0.02
"""Spread of the second difference of sizes: what lengths that hardly occur are drawn by, so that the curve goes on."""
_LEAST_GAIN, _MOST_GAIN = 0.3, 2.0


@dataclass(frozen=True)
class Grid:
    """Regions and flow windows of a model.

    Attributes
    ----------
    offset, size : (int, int)
        First row and column of the block on the chip, and its rows and columns.
    n_regions : (int, int)
        Rows and columns of regions.
    n_flows : int
    window : int
        Least flows of a window.
    """

    offset: tuple[int, int]
    size: tuple[int, int]
    n_regions: tuple[int, int]
    n_flows: int
    window: int

    @property
    def spans(self):
        """Rows and columns of a region."""
        return tuple(-(-size // n) for size, n in zip(self.size, self.n_regions, strict=True))

    @property
    def shape(self):
        """Rows and columns of regions that have wells, and windows."""
        rows, cols = (-(-size // span) for size, span in zip(self.size, self.spans, strict=True))
        return rows, cols, -(-self.n_flows // self.window_size)

    @property
    def window_size(self):
        """Flows of a window: all equal but the last (basecaller.md 10.2)."""
        return -(-self.n_flows // max(1, self.n_flows // self.window))

    def region_of(self, row, col):
        """Row and column of the region of wells, the nearest for wells outside."""
        places = zip((row, col), self.offset, self.spans, self.shape[:2], strict=True)
        return tuple(np.clip((np.asarray(at) - first) // span, 0, n - 1) for at, first, span, n in places)

    def window_of(self, flows):
        return np.asarray(flows) // self.window_size


class LinearFit:
    """Normal equations of a linear model, filled batch by batch; the order of batches does not matter much.

    Parameters
    ----------
    grid : Grid
    options : CalibrationFitOptions
    curve : ndarray of shape (4, MAX_RUN + 2), optional
        Response of runs by length that is taken as known but for a factor: of blind fits, whose lengths, the called
        ones, would hide a shortfall. Without it each length has its own size.
    """

    def __init__(self, grid, options, curve=None):
        self.grid, self.options, self.curve = grid, options, curve
        self.n_sizes = LONGEST if curve is None else 1
        self.matrix = np.zeros((*grid.shape, len(NUCS), self.n_sizes + 1, self.n_sizes + 1))
        self.vector = np.zeros((*grid.shape, len(NUCS), self.n_sizes + 1))
        self.n_runs = np.zeros((*grid.shape, len(NUCS), LONGEST + 1), np.int64)
        self.n_flows_used = 0
        self.n_flows_off = 0

    def add(self, reads, sizes=None, offset=None):
        """Add `TrainingReads`; flows far from what `sizes` and `offset` (a former fit) predict are left out.

        Returns
        -------
        used : ndarray of shape (n,), bool
            Reads that counted.
        """
        order = reads.flow_order
        parts, inphase = self._parts(reads)
        region = self.grid.region_of(reads.row, reads.col)
        window, nuc, flow = self.grid.window_of(np.arange(len(order))), order.bases, np.arange(len(order))
        if sizes is None:
            expected = self._straight(parts, nuc)
        else:
            own = sizes[region][:, window, nuc]
            expected = np.einsum("nfk,nfk->nf", parts, own) + offset[region][:, window, nuc]
        off = reads.signal - expected
        inside = (flow >= reads.first[:, None]) & (flow < reads.stop[:, None])
        inside &= inphase >= self.options.model_calib_min_inphase
        if sizes is None:
            limit = self.options.model_calib_max_residual * inphase
        else:
            limit = np.maximum(0.45, 4 * self._noise(expected))
        good = inside & (np.abs(off) <= limit)
        # A read with many flows far off is not the sequence that it was aligned to.
        lost = (inside & ~good).sum(axis=1) > 0.1 * inside.sum(axis=1)
        good[lost] = False
        self.n_flows_used += int(good.sum())
        self.n_flows_off += int((inside & ~good).sum())
        weight = np.where(good, 1 / self._noise(expected) ** 2, 0.0)
        self._accumulate(reads, parts, weight, good, region, window, nuc)
        return good.any(axis=1)

    def _parts(self, reads):
        """Strands that take a run of each length in each flow (n, n_flows, n_sizes), and the fraction in phase."""
        length = np.minimum(reads.run_length, LONGEST)
        shares = (
            [(length == h).astype(np.float32) for h in range(1, LONGEST + 1)]
            if self.curve is None
            else [self.curve[reads.flow_order.bases[reads.run_flow], np.minimum(reads.run_length, MAX_RUN)]]
        )
        if self.curve is None:
            # The rare run beyond the longest counts for as many times its signal.
            shares[-1] = np.where(length == LONGEST, reads.run_length / LONGEST, 0.0)
        parts, inphase = [], None
        for share in shares:
            signal, inphase = predict_signal(
                reads.flow_order, reads.run_start, reads.run_flow, share, reads.phase, cutoff=1e-4
            )
            parts.append(signal.astype(np.float32))
        return np.stack(parts, axis=-1), inphase

    def _straight(self, parts, nuc):
        return parts[..., 0] if self.curve is not None else parts @ np.arange(1, LONGEST + 1, dtype=np.float32)

    @staticmethod
    def _noise(expected):
        return _NOISE + _NOISE_PER_BASE * np.clip(expected, 0.0, 8.0)

    def _accumulate(self, reads, parts, weight, good, region, window, nuc):
        signal = reads.signal
        taken = np.zeros(signal.shape, np.int64)
        read = np.repeat(np.arange(len(reads)), np.diff(reads.run_start))
        taken[read, reads.run_flow] = np.minimum(reads.run_length, LONGEST)
        for row, col in set(zip(*(part.tolist() for part in region), strict=True)):
            here = (region[0] == row) & (region[1] == col)
            for which in range(self.grid.shape[2]):
                for code in range(len(NUCS)):
                    flows = np.flatnonzero((window == which) & (nuc == code))
                    w = weight[np.ix_(here, flows)].ravel()
                    terms = parts[np.ix_(here, flows)].reshape(len(w), -1)
                    terms = np.concatenate([np.ones((len(w), 1), np.float32), terms], axis=1).astype(np.float64)
                    place = row, col, which, code
                    self.matrix[place] += (terms * w[:, None]).T @ terms
                    self.vector[place] += (w * signal[np.ix_(here, flows)].ravel()) @ terms
                    kept = taken[np.ix_(here, flows)][good[np.ix_(here, flows)]]
                    self.n_runs[place] += np.bincount(kept, minlength=LONGEST + 1)

    def solve(self):
        """Sizes and offsets of all cells, drawn together where few runs speak.

        A cell is drawn to its nucleotide's values, those to the values of all nucleotides, those to a curve without
        bends.

        Returns
        -------
        sizes : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4, n_sizes), float64
            Signal of a run in bases; factors of the curve where there is one.
        offset : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4), float64
        """
        start, loose = self._start()
        bend = self._bend()
        everyone = _solved(self.matrix.sum((0, 1, 2, 3)), self.vector.sum((0, 1, 2, 3)), start, loose + bend)
        by_nuc = np.stack(
            [
                _solved(
                    self.matrix.sum((0, 1, 2))[n], self.vector.sum((0, 1, 2))[n], everyone, self._tie(_SPREAD_OF_NUC)
                )
                for n in range(len(NUCS))
            ]
        )
        values = np.empty(self.vector.shape)
        for place in np.ndindex(self.vector.shape[:4]):
            values[place] = _solved(
                self.matrix[place], self.vector[place], by_nuc[place[3]], self._tie(_SPREAD_OF_CELL)
            )
        return _in_gauge(values[..., 1:], values[..., 0])

    def _start(self):
        lengths = np.arange(1.0, self.n_sizes + 1)
        return np.concatenate([[0.0], lengths]), np.diag(np.concatenate([[_OFFSET_SPREAD], 0.3 * lengths]) ** -2.0)

    def _tie(self, spread):
        lengths = np.arange(1.0, self.n_sizes + 1)
        offset = _OFFSET_SPREAD if spread == _SPREAD_OF_NUC else 0.5 * _OFFSET_SPREAD
        smooth = self._bend() if spread == _SPREAD_OF_NUC else 0.0
        return np.diag(np.concatenate([[offset], spread * lengths]) ** -2.0) + smooth

    def _bend(self):
        bend = np.zeros((self.n_sizes + 1,) * 2)
        if self.n_sizes > 2:
            second = np.diff(np.eye(self.n_sizes), 2, axis=0)
            bend[1:, 1:] = second.T @ second / _BEND**2
        return bend

    def model(self, sizes, offset, block):
        """`LinearCalibration` of what `solve` has found.

        Lengths with too few runs on the whole chip (``model_calib_min_samples``) end the model; gains change by no
        more than ``model_calib_max_gain_shift`` from length to length.
        """
        options, grid = self.options, self.grid
        if self.curve is None:
            counts = self.n_runs.sum((0, 1, 2)).max(axis=0)
            enough = np.flatnonzero(counts[1:] >= options.model_calib_min_samples)
            longest = int(enough[-1]) + 1 if len(enough) else 0
            gain = sizes[..., :longest] / np.arange(1, longest + 1)
        else:
            longest = LONGEST
            lengths = np.arange(1, longest + 1)
            gain = sizes * (self.curve[:, 1 : longest + 1] / lengths)
        gains = np.ones((*offset.shape, MAX_RUN + 1))
        for length in range(1, MAX_RUN + 1):
            former = gains[..., length - 1]
            shift = options.model_calib_max_gain_shift
            new = gain[..., length - 1] if length <= longest else former
            gains[..., length] = np.clip(np.clip(new, former - shift, former + shift), _LEAST_GAIN, _MOST_GAIN)
        rows, cols, n_windows = grid.shape
        least = min(options.model_calib_min_hp, longest)
        gains[..., 1:least] = 1.0
        return LinearCalibration(
            block=block,
            n_flows=grid.n_flows,
            first_rows=grid.offset[0] + grid.spans[0] * np.arange(rows),
            first_cols=grid.offset[1] + grid.spans[1] * np.arange(cols),
            first_flows=grid.window_size * np.arange(n_windows),
            stop=tuple(first + size for first, size in zip(grid.offset, grid.size, strict=True)),
            lengths=(least, longest + 1),
            gain=gains.astype(np.float32),
            offset=np.broadcast_to(offset[..., None], gains.shape).astype(np.float32),
        )


def _solved(matrix, vector, start, tie):
    return np.linalg.solve(matrix + tie, vector + tie @ start)


def _in_gauge(sizes, offset):
    """Sizes and offsets on the scale on which most nucleotides have 1-mers of 1 and no offset.

    Each read is scaled to its own signals: a gain or offset that all nucleotides share is the reads', not theirs, and
    what one nucleotide has, the scaling has spread over all. The median of the four takes that back.
    """
    shared = np.median(sizes[..., 0], axis=-1)[..., None]
    return sizes / shared[..., None], (offset - np.median(offset, axis=-1)[..., None]) / shared
