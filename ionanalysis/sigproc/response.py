"""Traces of wells as a function of time constant and delay: tabulated once, interpolated per well.

Everything that a well does to a flow depends on two numbers, its buffering time constant and its delay.
Models are computed on a grid of both and read off between the nodes by cubic interpolation.
"""

from dataclasses import dataclass

import numpy as np

from ionanalysis._core import traces as kernels


@dataclass(frozen=True)
class ResponseGrid:
    """Nodes of the table.

    Parameters
    ----------
    log_taus : ndarray of shape (n_taus,), float64
        Evenly spaced logarithms of time constants in seconds; at least four.
    delays_s : ndarray of shape (n_delays,), float64
        Evenly spaced delays in seconds; at least four.
    """

    log_taus: np.ndarray
    delays_s: np.ndarray

    @classmethod
    def covering(cls, log_tau_range, delay_range, *, log_tau_step=0.08, delay_step_s=0.02):
        """Grid over both ranges with a margin of one node on each side; delays are whole steps."""
        middle = round(sum(delay_range) / 2 / delay_step_s) * delay_step_s
        half = max(delay_range[1] - middle, middle - delay_range[0])
        return cls(_nodes(log_tau_range, log_tau_step), _nodes((middle - half, middle + half), delay_step_s))

    @property
    def shape(self):
        return len(self.log_taus), len(self.delays_s)

    @property
    def lines(self):
        """First log tau and its step, first delay and its step: float64 of shape (4,)."""
        taus, delays = self.log_taus, self.delays_s
        return np.array([taus[0], taus[1] - taus[0], delays[0], delays[1] - delays[0]])

    def low_passed(self, clock, trace):
        """A trace at each delay, (n_delays, n_frames), and low-passed at each node, (n_taus, n_delays, n_frames)."""
        fine = clock.fine(trace, self.delays_s)
        return clock.averaged(fine).swapaxes(0, 1), clock.low_passed(fine, np.exp(self.log_taus)).swapaxes(1, 2)

    def buffered(self, clock, empty, tau_empty_s):
        """Background of a well at each node, from the empty trace: float64 (n_taus, n_delays, n_frames).

        With the unit matrix in place of the trace: the operators that do so, with one axis more.
        """
        plain, filtered = self.low_passed(clock, empty)
        ratio = (tau_empty_s / np.exp(self.log_taus)).reshape(-1, *[1] * plain.ndim)
        return ratio * plain + (1 - ratio) * filtered

    def released(self, clock, hydrogen):
        """Trace at each node of hydrogen released so far, shaped as `buffered`."""
        plain, filtered = self.low_passed(clock, hydrogen)
        return plain - filtered

    def place(self, log_tau, delay_s):
        """Where wells lie in the grid; wells outside are moved to its border."""
        tau_node, tau_step = _cell(self.log_taus, log_tau)
        delay_node, delay_step = _cell(self.delays_s, delay_s)
        return Places(tau_node, delay_node, cubic_weights(tau_step), cubic_weights(delay_step))


@dataclass(frozen=True)
class Places:
    """Positions of wells in a grid.

    Parameters
    ----------
    tau_node, delay_node : ndarray of shape (n_wells,), int32
        First of four nodes.
    tau_weight, delay_weight : ndarray of shape (4, n_wells), float32
        Weights of the four nodes.
    """

    tau_node: np.ndarray
    delay_node: np.ndarray
    tau_weight: np.ndarray
    delay_weight: np.ndarray

    def read(self, table):
        """Values of every well, float32 of shape (n_values, n_wells), from (n_taus, n_delays, n_values).

        Those of a well lie side by side in memory.
        """
        out = np.empty((len(self.tau_node), table.shape[2]), np.float32)
        table = np.ascontiguousarray(table, np.float32)
        kernels.interpolate_table(table, self.tau_node, self.delay_node, self.tau_weight, self.delay_weight, out)
        return out.T

    def sums(self, amounts, shape):
        """How much of each node all wells together read, by `amounts` of each: float64 of `shape`."""
        total = np.zeros(shape[0] * shape[1])
        for i, along in enumerate(self.tau_weight):
            for j, across in enumerate(self.delay_weight):
                node = (self.tau_node + i) * shape[1] + self.delay_node + j
                total += np.bincount(node, amounts * along * across, len(total))
        return total.reshape(shape)

    def at(self, wells):
        """The same for a selection of wells."""
        weights = (np.ascontiguousarray(part[:, wells]) for part in (self.tau_weight, self.delay_weight))
        return Places(self.tau_node[wells], self.delay_node[wells], *weights)


def _nodes(bounds, step):
    least, most = bounds
    middle = (least + most) / 2
    n_side = max(2, int(np.ceil((most - least) / 2 / step)) + 1)
    return middle + step * np.arange(-n_side, n_side + 1)


def _cell(nodes, values):
    position = (np.clip(values, nodes[1], nodes[-2]) - nodes[0]) / (nodes[1] - nodes[0])
    second = np.clip(position.astype(np.int32), 1, len(nodes) - 3)
    return second - 1, (position - second)


def cubic_weights(step):
    """Weights of four evenly spaced nodes for points `step` after the second: Lagrange, exact for cubics; float32."""
    s = np.asarray(step)
    return np.array(
        [
            -s * (s - 1) * (s - 2) / 6,
            (s + 1) * (s - 1) * (s - 2) / 2,
            -(s + 1) * s * (s - 2) / 2,
            (s + 1) * s * (s - 1) / 6,
        ],
        np.float32,
    )
