"""How far flow signals lie from what the phase model predicts for the bases that were called."""

import numpy as np

_BATCH_READS = 500


class Residuals:
    """Sums of residuals by flow, added up over reads.

    Base callers differ in whether the signals they store are corrected for droop: the original's are, so
    they are predicted with DR = 0 (field notes, 1). Both are tried; the one that fits all reads better counts.
    """

    def __init__(self):
        self._pending = []
        self._moments = {with_droop: np.zeros((0, 3)) for with_droop in (False, True)}

    @property
    def moments(self):
        """Reads, sum and sum of squares of signal minus prediction, float64 (n_flows, 3)."""
        return min(self._moments.values(), key=lambda moments: moments[:, 2].sum())

    def add(self, flow_order, called, signal, phase):
        """Add a read: called length of each flow up to the last called one, signals in bases, CF, IE, DR."""
        if len(phase) != 3 or not ((phase >= 0) & (phase < 1)).all():
            return
        if self._pending and self._pending[0][0] != flow_order:
            self.finish()
        self._pending.append((flow_order, called, signal, phase))
        if len(self._pending) >= _BATCH_READS:
            self.finish()

    def finish(self):
        """Work off the reads that were added last."""
        if not self._pending:
            return
        orders, called, signals, phases = zip(*self._pending, strict=True)
        self._pending = []
        for with_droop in self._moments:
            values = np.array(phases) * (1, 1, with_droop)
            found = _moments(orders[0], called, signals, values)
            self._moments[with_droop] = _sum_padded(self._moments[with_droop], found)


def _moments(flow_order, called, signals, phases):
    from ionanalysis.basecaller.phase import predict_signal

    runs = [np.flatnonzero(lengths) for lengths in called]
    start = np.concatenate([[0], np.cumsum([len(flows) for flows in runs])])
    lengths = np.concatenate([lengths[flows] for lengths, flows in zip(called, runs, strict=True)])
    predicted, _ = predict_signal(flow_order, start, np.concatenate(runs), lengths, phases)
    # Signals near the last called flow already hold what follows it.
    ends = np.array([max(len(lengths) - 1, 0) for lengths in called])
    n_flows = int(ends.max())
    inside = np.arange(n_flows) < ends[:, None]
    residual = np.zeros(inside.shape)
    for row, (signal, end) in enumerate(zip(signals, ends, strict=True)):
        residual[row, :end] = signal[:end] - predicted[row, :end]
    return np.stack([inside.sum(axis=0), residual.sum(axis=0), (residual**2).sum(axis=0)], axis=1)


def _sum_padded(a, b):
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total
