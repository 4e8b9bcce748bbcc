"""What traces have beside background and signal: white noise, and a few shapes that vary from flow to flow.

No model of a real chip is complete: scale, timing and buffering of the background differ a little from what region and
well predict, baselines wander, and beads release hydrogen at their own pace. All of it shows in the residuals of
flows whose signal is known; their principal components are the directions that an amplitude must not be led by.
"""

from dataclasses import dataclass

import numpy as np

N_DIRECTIONS = 2
"""Most directions. The first ones are what the background leaves; later ones cost more signal than they hold noise."""

LEAST_TRACES = 30

_MOST_ENERGY = 15
"""Energies further above the median are odd: of a single normal direction it leaves out one in a hundred."""


@dataclass(frozen=True)
class Nuisance:
    """Covariance of residuals: white noise, and independent normal amounts of each direction.

    Parameters
    ----------
    white : float
        Standard deviation of a base frame of weight 1, counts.
    directions : ndarray of shape (n_directions, n_frames), float64
        One standard deviation of each, counts, whatever their offsets.
    """

    white: float
    directions: np.ndarray


class NuisanceFit:
    """Gathers residuals and splits their covariance into directions and white noise.

    Parameters
    ----------
    weight : ndarray of shape (n_frames,)
        Weights that the residuals' roots carry; frames of weight 0 do not count.
    """

    def __init__(self, weight):
        self.weight = weight
        self.covariances: list = [[], []]

    def add(self, left, *, kind=0):
        """Add residuals (n_wells, n_frames), root-weighted and `centred`; `kind` 0 of 0-mers, 1 of 1-mers."""
        if not len(left):
            return
        # A few odd wells (half empty, mixed, no 0-mers after all) must not tell what all are like.
        energy = np.einsum("wf,wf->w", left, left)
        left = left[energy <= _MOST_ENERGY * np.median(energy)]
        self.covariances[kind].append((len(left), (left.T @ left).astype(float)))

    def copy(self):
        """One that gathers more while this one stays as it is."""
        other = NuisanceFit(self.weight)
        other.covariances = [list(part) for part in self.covariances]
        return other

    def solve(self, white):
        """The `Nuisance`; `white` is the noise where there are too few residuals to tell."""
        known = [part for part in map(_mean_covariance, self.covariances) if part is not None]
        if not known:
            return Nuisance(white, np.zeros((0, len(self.weight))))
        power, vectors = np.linalg.eigh(np.mean(known, axis=0))
        # Frames without weight and the offset are no degrees of freedom.
        n_free = max(int(np.count_nonzero(self.weight > 0)) - 1, 1)
        floor = power[-n_free:-N_DIRECTIONS].mean() if n_free > N_DIRECTIONS else white**2
        chosen = slice(len(power) - N_DIRECTIONS, None)
        beyond = np.sqrt(np.maximum(power[chosen] - floor, 0.0))
        root = np.sqrt(np.where(self.weight > 0, self.weight, np.inf))
        return Nuisance(float(np.sqrt(floor)), beyond[:, None] * vectors[:, chosen].T / root)


def _mean_covariance(parts):
    count = sum(n for n, _ in parts)
    return sum(products for _, products in parts) / count if count >= LEAST_TRACES else None
