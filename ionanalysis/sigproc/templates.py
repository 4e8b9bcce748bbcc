"""What one base looks like: hydrogen set free over time, learned per nucleotide from many wells."""

from functools import lru_cache

import numpy as np

from ionanalysis.sigproc.wellfit import centred

LOG_TAU_STEP = 0.12
_MOST_NODES = 1 << 16


@lru_cache(maxsize=4096)
def release_operator(clock, tau_node, delay_node):
    """Matrix from released hydrogen to the trace of a well, at a node of a fixed grid."""
    eye = np.eye(clock.n_frames)
    operator = clock.released(eye, float(np.exp(tau_node * LOG_TAU_STEP)), [delay_node * clock.step_s])
    return operator[:, 0, :].astype(np.float32)


class HydrogenFit:
    """Gathers traces of 1-mers and solves for the hydrogen curve behind them.

    Wells differ in time constant and delay; each trace is compared with the curve as this well would
    show it, so that the curve comes out sharper than any average of traces.
    """

    def __init__(self, clock, weight):
        self.clock, self.weight = clock, weight
        self.sums = {}

    def add(self, residual, amplitude, log_tau, delay_s):
        """Add traces: residual (n_wells, n_frames) in counts, amplitude, log_tau and delay_s (n_wells,)."""
        self.add_sums(np.asarray(amplitude)[:, None] * residual, np.asarray(amplitude) ** 2, log_tau, delay_s)

    def add_sums(self, product, power, log_tau, delay_s):
        """Add what several flows of a well give: sums of amplitude times residual, and of squares of amplitudes."""
        wells = np.flatnonzero(power)
        taus = np.rint(log_tau[wells] / LOG_TAU_STEP).astype(int)
        delays = np.rint(delay_s[wells] / self.clock.step_s).astype(int)
        codes, node = np.unique(taus * _MOST_NODES + delays, return_inverse=True)
        member = np.zeros((len(codes), len(node)), np.float32)
        member[node, np.arange(len(node))] = 1
        products, powers = member @ product[wells].astype(np.float32), np.bincount(node, power[wells], len(codes))
        for code, one, mass in zip(codes.tolist(), products.astype(float), powers.tolist(), strict=True):
            delay = (code + _MOST_NODES // 2) % _MOST_NODES - _MOST_NODES // 2
            place = (code - delay) // _MOST_NODES, delay
            former, former_mass = self.sums.get(place, (0.0, 0.0))
            self.sums[place] = former + one, former_mass + mass

    @property
    def mass(self):
        """Sum of squared amplitudes gathered."""
        return sum(power for _, power in self.sums.values())

    def solve(self, noise, onset_s, height):
        """Hydrogen curve of amplitude 1, float64 of shape (n_frames,), 0 before `onset_s`.

        Smooth in the sense of a Gaussian prior on second differences: a fortieth of `height`, counts.
        """
        n_frames = self.clock.n_frames
        places = sorted(self.sums)
        operators = np.array([release_operator(self.clock, *place).T for place in places])
        operators = np.swapaxes(centred(operators, self.weight), 1, 2).reshape(-1, n_frames)
        power = np.repeat([self.sums[place][1] for place in places], n_frames)
        normal = operators.T @ (power[:, None] * operators)
        right = operators.T @ np.concatenate([self.sums[place][0] for place in places])
        bend = np.diff(np.eye(n_frames), n=2, axis=0) / np.gradient(self.clock.mid_s)[1:-1, None] * self.clock.base_s
        normal += (noise / (height / 40)) ** 2 * bend.T @ bend
        before = self.clock.mid_s < onset_s
        normal[before, before] += 1e6 * np.trace(normal) / n_frames
        normal[np.diag_indices(n_frames)] += 1e-6 * np.trace(normal[~before][:, ~before]) / n_frames
        return np.where(before, 0.0, np.linalg.solve(normal, right))
