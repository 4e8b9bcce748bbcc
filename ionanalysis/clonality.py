"""Clonal and polyclonal wells, told apart by two numbers per well (basecaller.md 6.3, sigproc.md 5.11).

A well with two templates is positive in more flows than one with a single template, and its signals lie
farther from whole numbers. A mixture of two normal distributions of these two numbers is fitted to the chip.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ionanalysis.errors import InputError

POSITIVE_SIGNAL = 0.25
"""Signal, in bases, above which a flow is positive."""

MAX_POSITIVE = 0.84
"""Share of positive flows that no single template reaches."""

MAX_TRAINING_SIGNAL = 100.0
_START_MEANS = ((0.48811, 1.61692), (0.693371, 4.397405))
_START_COVARIANCE = ((0.004836, 0.032828), (0.032828, 0.548305))
_LEAST_DENSITY, _LEAST_WEIGHT, _SETTLED = 1e-256, 0.5, 1e-4
_COMMON, _SAME_SIZE_AND_SHAPE, _SAME_SIZE = 0, 7, 8


class Clonality(IntEnum):
    """What a well is taken for."""

    CLONAL = 0
    HIGH_PPF = 1
    POLYCLONAL = 2


@dataclass(frozen=True, eq=False)
class ClonalModel:
    """Two normal distributions of (share of positive flows, squared distance to whole numbers).

    Attributes
    ----------
    means : ndarray of shape (2, 2), float64
        Of clonal and of mixed wells.
    covariances : ndarray of shape (2, 2, 2), float64
    n_turns : int
        Turns of the fit; 0 for the start values.
    converged : bool
    """

    means: np.ndarray
    covariances: np.ndarray
    n_turns: int = 0
    converged: bool = False

    @classmethod
    def start(cls):
        """The values that fits start from."""
        return cls(np.array(_START_MEANS), np.array([_START_COVARIANCE] * 2))

    def __repr__(self):
        clonal, mixed = ("({:.3f}, {:.3f})".format(*mean) for mean in self.means)
        return f"ClonalModel(clonal {clonal}, mixed {mixed}; {self.n_turns} turns)"

    @property
    def usable(self):
        """Whether all values are finite and the covariances positive definite."""
        finite = np.isfinite(self.means).all() and np.isfinite(self.covariances).all()
        return bool(finite and (np.linalg.det(self.covariances) > 0).all() and (self.covariances[:, 0, 0] > 0).all())

    def densities(self, features):
        """Densities, float64 of shape (n, 2), of the clonal and the mixed distribution at `features`, (n, 2).

        The original has the normaliser inside the exponent, so that its scores are no densities
        (basecaller.md 13.6); these are.
        """
        off = np.asarray(features, np.float64)[:, None] - self.means
        inverse = np.linalg.inv(self.covariances)
        distance = np.einsum("nki,kij,nkj->nk", off, inverse, off)
        return np.exp(-0.5 * distance) / (2 * np.pi * np.sqrt(np.linalg.det(self.covariances)))

    def clonal_share(self, features):
        """Clonal density as a share of both, float64 of shape (n,); 1 where the mixed density vanishes."""
        clonal, mixed = self.densities(features).T
        vanishes = mixed < _LEAST_DENSITY
        return np.where(vanishes, 1.0, clonal / np.where(vanishes, 1.0, clonal + mixed))


def clonality_features(signals, options):
    """The two numbers that tell polyclonal wells.

    Parameters
    ----------
    signals : ndarray of shape (n, n_flows), float32
        Key-normalised.
    options : ClonalityOptions
        The flows [mixed_first_flow, mixed_last_flow) are used.

    Returns
    -------
    ndarray of shape (n, 2), float64
        Share of flows with a signal above 0.25 bases; sum of squared distances to whole numbers, bases squared.

    Raises
    ------
    InputError
        If the run ends before `mixed_last_flow`.
    """
    first, last = options.mixed_first_flow, options.mixed_last_flow
    if not first < last <= signals.shape[1]:
        raise InputError(
            f"clonality needs the flows {first} to {last}; there are {signals.shape[1]}. "
            "Set mixed_first_flow and mixed_last_flow to flows of the run, or switch the filter off."
        )
    signals = np.asarray(signals[:, first:last], np.float64)
    positive = (signals > POSITIVE_SIGNAL).mean(axis=1)
    return np.stack([positive, ((signals - np.rint(signals)) ** 2).sum(axis=1)], axis=1)


def shows_whole_key(signals, key_flowgram):
    """Whether every flow of the key, its last included, rounds to the key's run length; bool of shape (n,).

    Wells to learn from must pass this. The last key base may merge with the insert, so these are fewer
    than those that pass base calling's own test.
    """
    n_key = len(key_flowgram)
    return (np.floor(signals[:, :n_key] + np.float32(0.5)) == np.asarray(key_flowgram)).all(axis=1)


def train_clonal_model(features, options):
    """Fit the two distributions by expectation and maximisation.

    Parameters
    ----------
    features : ndarray of shape (n, 2)
        Of wells with the right key (`clonality_features`); those with more positive flows than `MAX_POSITIVE`
        or numbers that are not finite are left out.
    options : ClonalityOptions

    Returns
    -------
    ClonalModel
        The start values where no usable fit was found.

    Notes
    -----
    The start means stand in as two wells more, and each weight sum starts at 0.5, so that few wells do no harm.
    Spreads: basecaller.md 6.3; those with the same size, or the same size and shape, by Celeux and Govaert
    1995, Pattern Recognition 28:781. The fit settles when no value moves by 1e-4; the original stops when none
    *rises* by that much.
    """
    features = np.asarray(features, np.float64)
    features = features[np.isfinite(features).all(axis=1) & (features[:, 0] <= MAX_POSITIVE)]
    points = np.concatenate([features, _START_MEANS])
    model, priors = ClonalModel.start(), np.full(2, 0.5)
    for turn in range(1, options.max_iterations + 1):
        shares = model.densities(points) * priors
        total = shares.sum(axis=1, keepdims=True)
        # Points so far out that both densities vanish belong to neither.
        shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        weights = _LEAST_WEIGHT + shares.sum(axis=0)
        means = (shares.T @ points) / weights[:, None]
        covariances = _covariances(points, shares, weights, model, options.mixed_model_option)
        fitted = ClonalModel(means, covariances, turn)
        if not fitted.usable:
            return ClonalModel.start()
        fitted_priors = weights / len(points)
        before = np.concatenate([model.means.ravel(), model.covariances.ravel(), priors])
        after = np.concatenate([means.ravel(), covariances.ravel(), fitted_priors])
        model, priors = fitted, fitted_priors
        if np.abs(after - before).max() < _SETTLED:
            return ClonalModel(means, covariances, turn, converged=True)
    return model if options.clonal_filter_use_last_iter_params else ClonalModel.start()


def _covariances(points, shares, weights, model, kind):
    """New covariances, around the old means."""
    off = points[:, None] - model.means
    scatter = np.einsum("nk,nki,nkj->kij", shares, off, off)
    if kind == _COMMON:
        return np.array([scatter[0] / weights[0]] * 2)
    if kind == _SAME_SIZE:
        roots = np.sqrt(np.maximum(np.linalg.det(scatter), 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            return scatter / roots[:, None, None] * roots.sum() / weights.sum()
    if kind == _SAME_SIZE_AND_SHAPE:
        lengths, axes = np.linalg.eigh(scatter)
        return axes @ (np.diag(lengths.sum(axis=0)) / weights.sum()) @ axes.transpose(0, 2, 1)
    return scatter / weights[:, None, None]


def stringency_threshold(stringency):
    """Clonal share that a well must exceed, of a stringency 0..1: flat near 0.5, steep at both ends.

    >>> [round(stringency_threshold(value), 6) for value in (0, 0.25, 0.5, 0.9, 1)]
    [0.0, 0.129819, 0.5, 0.956907, 1.0]
    """
    above = 0.5 * float(np.log10(18 * abs(stringency - 0.5) + 1))
    return 0.5 + above if stringency > 0.5 else 0.5 - above


def judge_clonality(features, model, options):
    """What each well is taken for.

    Parameters
    ----------
    features : ndarray of shape (n, 2)
        As `clonality_features` gives them.
    model : ClonalModel
    options : ClonalityOptions

    Returns
    -------
    ndarray of shape (n,), int8
        A `Clonality` each.
    """
    extreme = ~(features[:, 0] <= MAX_POSITIVE)
    if options.filter_extreme_ppf_only:
        return np.where(extreme, Clonality.HIGH_PPF, Clonality.CLONAL).astype(np.int8)
    clonal = model.clonal_share(features) > stringency_threshold(options.mixed_stringency)
    of_others = np.where(clonal, Clonality.CLONAL, Clonality.POLYCLONAL)
    return np.where(extreme, Clonality.HIGH_PPF, of_others).astype(np.int8)
