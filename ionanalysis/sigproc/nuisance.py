"""How much flows differ from what their region and wells predict: widths of the nuisance priors."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Nuisance:
    """Standard deviations, per well and flow, of what may vary besides the amplitude.

    Parameters
    ----------
    drift : float
        Straight drift, counts over the whole flow.
    gain : float
        Scale of the background.
    log_tau : float
        Logarithm of the time constant that the background passes.
    delay_s : float
        Delay of the background, seconds.
    """

    drift: float = 0.5
    gain: float = 0.002
    log_tau: float = 0.005
    delay_s: float = 0.001


WIDE = Nuisance(drift=3.0, gain=0.01, log_tau=0.03, delay_s=0.004)
"""Where learning starts: wider than any chip seen, as estimates shrink faster than they grow."""


def directions(background, log_tau_step, delay_step_s):
    """What one unit of each nuisance adds to a trace: (n_taus, n_delays, 4, n_frames), order as in `Nuisance`."""
    drift = np.broadcast_to(np.linspace(-0.5, 0.5, background.shape[2]), background.shape)
    return np.stack(
        [
            drift,
            background,
            np.gradient(background, log_tau_step, axis=0),
            np.gradient(background, delay_step_s, axis=1),
        ],
        axis=2,
    )


class NuisanceFit:
    """Gathers what known 0-mers leave, and finds the variances that explain it.

    Expectation-maximisation for variance components: each residual is nuisance directions times
    normal coefficients, plus white noise. What noise alone causes is not taken for nuisance.
    """

    def __init__(self, noise):
        self.noise = noise
        self.parts = []

    def add(self, left, vectors):
        """Add residuals (n_wells, n_frames) and the directions (4, n_frames), both root-weighted and centred."""
        if len(left):
            # A few odd wells (half empty, mixed, no 0-mers after all) must not widen the priors of all.
            energy = (left.astype(float) ** 2).sum(axis=1)
            left = left[energy <= 3 * np.median(energy)]
            projected = left.astype(float) @ vectors.T
            self.parts.append((len(left), vectors @ vectors.T, projected.T @ projected))

    def solve(self, *, n_rounds=60, freedom=4 / 3):
        """The widths.

        Parameters
        ----------
        n_rounds : int
        freedom : float
            Gain and time constant were fitted to few flows, the same that are looked at here: their
            variances are raised by this factor.

        Returns
        -------
        Nuisance
        """
        variance = np.array([WIDE.drift, WIDE.gain, WIDE.log_tau, WIDE.delay_s]) ** 2
        total = sum(count for count, _, _ in self.parts)
        if total < 30:
            return Nuisance()
        counts, normal, products = (np.array(part) for part in zip(*self.parts, strict=True))
        for _ in range(n_rounds):
            spread = np.linalg.inv(normal / self.noise**2 + np.diag(1 / variance))
            each = spread @ products @ spread / self.noise**4 + counts[:, None, None] * spread
            new = np.einsum("pii->i", each)
            variance = np.maximum(new / total, 1e-14)
        variance[1:3] *= freedom
        return Nuisance(*(float(width) for width in np.sqrt(variance)))
