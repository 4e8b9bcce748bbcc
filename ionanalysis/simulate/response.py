"""How the signals of wells stray from their bases: homopolymer compression, drift of gain, growing noise, outliers."""

import numpy as np

from ionanalysis.simulate.seeds import Purpose, stream

WALK_FLOWS = 20
"""Flows between two steps of the walk of a gain, which runs straight in between. Part of the format."""


class WellResponse:
    """Response of the wells of a chip, the same at both levels.

    Parameters
    ----------
    options : SimulateOptions
        Its groups `chip` and `response` are used.
    shape : (int, int)
        Rows and columns.
    n_flows : int

    Attributes
    ----------
    flow_gain : ndarray of shape (n_flows,), float32
        Gain of each flow: 1 but in outlier flows.
    noise_factor : ndarray of shape (n_flows,), float32
        Noise over that of the first flow.
    drifts, has_outliers : bool
        Whether `gain` differs from 1, and `outliers` from 0, anywhere.
    """

    def __init__(self, options, shape, n_flows):
        self._options, self._seed, self._shape = options.response, options.chip.seed, shape
        self.drifts = self._options.gain_trend_sd > 0 or self._options.gain_walk_sd > 0
        self.has_outliers = self._options.outlier_signals > 0
        self.noise_factor = (1 + self._options.noise_growth * np.arange(n_flows) / n_flows).astype(np.float32)
        self.flow_gain = self._draw_flow_gain(n_flows)
        self._log_gain = self._draw_log_gain(n_flows) if self.drifts else np.zeros((*shape, 0), np.float32)

    def compressed(self, signal):
        """What the wells show of `signal` bases, in bases; parts of a base lie on a line between whole ones."""
        shortfall = self._options.homopolymer_shortfall
        if not shortfall:
            return signal
        shown = np.array([0, 1, *(bases - missing for bases, missing in enumerate(shortfall, 2))])
        longest = len(shown) - 1
        beyond = (shown[-1] - shown[-2]) * np.maximum(signal - longest, 0)
        return (np.interp(signal, np.arange(longest + 1), shown) + beyond).astype(np.float32)

    def gain(self, rows, flows):
        """Gain of wells over that in flow 0, float32 of shape (n_rows, n_cols) or (n_rows, n_cols, n_flows).

        Only to be asked for where gains drift (`drifts`).

        Parameters
        ----------
        rows : slice
        flows : int or ndarray of int
        """
        step, part = np.divmod(flows, WALK_FLOWS)
        part = np.float32(1 / WALK_FLOWS) * np.asarray(part, np.float32)
        log_gain = self._log_gain[rows]
        return np.exp((1 - part) * log_gain[..., step] + part * log_gain[..., step + 1])

    def outliers(self, flow):
        """What is added to the signal of each well in a flow, bases, (n_rows, n_cols) float32; 0 in most."""
        random = stream(self._seed, Purpose.OUTLIERS, 1, flow)
        far_off = random.random(self._shape) < self._options.outlier_signals
        added = np.zeros(self._shape, np.float32)
        added[far_off] = self._options.outlier_signal_sd * random.standard_normal(int(far_off.sum()))
        return added

    def _draw_flow_gain(self, n_flows):
        random = stream(self._seed, Purpose.OUTLIERS, 0)
        far_off = random.random(n_flows) < self._options.outlier_flows
        gain = np.maximum(1 + self._options.outlier_flow_sd * random.standard_normal(n_flows), 0)
        return np.where(far_off, gain, 1).astype(np.float32)

    def _draw_log_gain(self, n_flows):
        """Logarithm of the gain at every `WALK_FLOWS`-th flow, (n_rows, n_cols, n_steps + 1) float32."""
        n_steps = -(-n_flows // WALK_FLOWS)
        per_step = WALK_FLOWS / 100
        trend = stream(self._seed, Purpose.GAIN_DRIFT, 0).standard_normal((*self._shape, 1), np.float32)
        steps = stream(self._seed, Purpose.GAIN_DRIFT, 1).standard_normal((*self._shape, n_steps), np.float32)
        steps *= np.float32(self._options.gain_walk_sd * per_step**0.5)
        steps += np.float32(self._options.gain_trend_sd * per_step) * trend
        log_gain = np.zeros((*self._shape, n_steps + 1), np.float32)
        np.cumsum(steps, axis=-1, out=log_gain[..., 1:])
        return log_gain
