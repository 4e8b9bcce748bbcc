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
_SPREAD_OF_CURVE, _SPREAD_OF_NUC, _SPREAD_OF_CELL = 0.05, 0.03, 0.015
"""Spread of sizes, relative to length: of all from the blind curve, between nucleotides, and between the regions and
windows of one nucleotide."""
_OFFSET_SPREAD = 0.03
_BEND = 0.02
"""Spread of the second difference of corrections: so that they go on in lengths that hardly occur."""
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
    curve : ndarray of shape (4, MAX_RUN + 2)
        Response of runs by nucleotide and length as the reads alone tell it (`estimate_response`): what the fit starts
        from. Blind fits keep it but for a factor: their lengths, the called ones, would hide a shortfall.
    """

    def __init__(self, grid, options, curve):
        self.grid, self.options, self.curve = grid, options, curve
        self.blind = options.blind_fit
        # Of blind fits: the signal of one base, and the factor of what the curve gives more for longer runs.
        self.n_sizes = 2 if self.blind else LONGEST
        self.matrix = np.zeros((*grid.shape, len(NUCS), self.n_sizes + 1, self.n_sizes + 1))
        self.vector = np.zeros((*grid.shape, len(NUCS), self.n_sizes + 1))

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
        weight = np.where(good, 1 / self._noise(expected) ** 2, 0.0)
        self._accumulate(reads, parts, weight, region, window, nuc)
        return good.any(axis=1)

    def _parts(self, reads):
        """Strands that take a run of each length in each flow (n, n_flows, n_sizes), and the fraction in phase."""
        length = np.minimum(reads.run_length, LONGEST)
        shares = (
            [(length == h).astype(np.float32) for h in range(1, LONGEST + 1)]
            if not self.blind
            else [np.ones(len(length), np.float32), self._more(reads)]
        )
        if not self.blind:
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
        if self.blind:
            return parts.sum(axis=-1)
        own = self.curve[nuc, 1 : LONGEST + 1].astype(np.float32)
        return np.einsum("nfk,fk->nf", parts, own)

    def _more(self, reads):
        """What each run gives more than one base by the curve."""
        known = self.curve[reads.flow_order.bases[reads.run_flow], np.minimum(reads.run_length, MAX_RUN)]
        return (known - 1).astype(np.float32)

    @staticmethod
    def _noise(expected):
        return _NOISE + _NOISE_PER_BASE * np.clip(expected, 0.0, 8.0)

    def _accumulate(self, reads, parts, weight, region, window, nuc):
        signal = reads.signal
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

    def solve(self):
        """Sizes and offsets of all cells, drawn together where few runs speak.

        A cell is drawn to its nucleotide's values; those to the blind curve, corrected by what all nucleotides share.

        Returns
        -------
        sizes : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4, n_sizes), float64
            Signal of a run in bases by length; of blind fits, that of one base and the factor of the curve's rest.
        offset : ndarray of shape (n_region_rows, n_region_cols, n_windows, 4), float64
        """
        start = self._start()
        # What is left of the sums when the start of each nucleotide is taken out is how far all of them are from it.
        matrix, vector = self.matrix.sum((0, 1, 2)), self.vector.sum((0, 1, 2))
        left = vector - np.einsum("nij,nj->ni", matrix, start)
        shared = _solved(matrix.sum(0), left.sum(0), np.zeros(self.n_sizes + 1), self._tie(_SPREAD_OF_CURVE))
        by_nuc = np.stack(
            [_solved(matrix[n], vector[n], start[n] + shared, self._tie(_SPREAD_OF_NUC)) for n in range(len(NUCS))]
        )
        values = np.empty(self.vector.shape)
        for place in np.ndindex(self.vector.shape[:4]):
            values[place] = _solved(
                self.matrix[place], self.vector[place], by_nuc[place[3]], self._tie(_SPREAD_OF_CELL)
            )
        return _in_gauge(values[..., 1:], values[..., 0])

    def _start(self):
        """Offset and sizes of each nucleotide (4, n_sizes + 1) before anything is fitted."""
        sizes = np.ones((len(NUCS), 2)) if self.blind else self.curve[:, 1 : LONGEST + 1]
        return np.concatenate([np.zeros((len(NUCS), 1)), sizes], axis=1).astype(np.float64)

    def _tie(self, spread):
        """Inverse variance of what is fitted around what it is drawn to."""
        lengths = np.ones(2) if self.blind else np.arange(1.0, LONGEST + 1)
        offset = 0.5 * _OFFSET_SPREAD if spread == _SPREAD_OF_CELL else _OFFSET_SPREAD
        return np.diag(np.concatenate([[offset], spread * lengths]) ** -2.0) + self._bend()

    def _bend(self):
        """Inverse variance of bends, of the sizes' part of the values."""
        bend = np.zeros((self.n_sizes + 1,) * 2)
        if self.n_sizes > 2:
            second = np.diff(np.eye(self.n_sizes), 2, axis=0)
            bend[1:, 1:] = second.T @ second / _BEND**2
        return bend

    def model(self, sizes, offset, block):
        """`LinearCalibration` of what `solve` has found.

        Gains change by no more than ``model_calib_max_gain_shift`` from length to length. Lengths that hardly occur
        go on as the blind curve does: the original holds the gain of the last that occurs often.
        """
        options, grid = self.options, self.grid
        lengths = np.arange(1, LONGEST + 1)
        if self.blind:
            sizes = sizes[..., :1] + sizes[..., 1:] * (self.curve[:, 1 : LONGEST + 1] - 1)
        gain = sizes / lengths
        gains = np.ones((*offset.shape, MAX_RUN + 1))
        for length in range(1, MAX_RUN + 1):
            former = gains[..., length - 1]
            shift = options.model_calib_max_gain_shift
            new = gain[..., min(length, LONGEST) - 1]
            gains[..., length] = np.clip(np.clip(new, former - shift, former + shift), _LEAST_GAIN, _MOST_GAIN)
        rows, cols, n_windows = grid.shape
        least = min(options.model_calib_min_hp, LONGEST)
        gains[..., 1:least] = 1.0
        return LinearCalibration(
            block=block,
            n_flows=grid.n_flows,
            first_rows=grid.offset[0] + grid.spans[0] * np.arange(rows),
            first_cols=grid.offset[1] + grid.spans[1] * np.arange(cols),
            first_flows=grid.window_size * np.arange(n_windows),
            stop=tuple(first + size for first, size in zip(grid.offset, grid.size, strict=True)),
            lengths=(least, LONGEST + 1),
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
