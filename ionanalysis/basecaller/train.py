"""Making of quality tables: predictors and truth of many bases in, a table of Phred values out."""

import numpy as np

from ionanalysis.basecaller.quality import PREDICTORS
from ionanalysis.errors import InputError
from ionanalysis.io.phred import PhredTable

N_CUTS = {"risk": 20, "neighbour_risk": 8, "trail_risk": 10, "noise": 8, "run_at_stake": 7, "out_of_phase": 8}
"""Cells along each axis of the table, at most."""

TERMS = (
    ("risk", "noise"),
    ("risk", "run_at_stake"),
    ("risk", "neighbour_risk"),
    ("risk", "trail_risk"),
    ("risk", "out_of_phase"),
    ("neighbour_risk", "trail_risk"),
    ("trail_risk", "noise"),
    ("trail_risk", "out_of_phase"),
    ("run_at_stake", "out_of_phase"),
    ("run_at_stake", "noise"),
)
"""Axes that the model of error rates knows alone and in pairs: risk means less the noisier the read."""

_RIDGE = 2.0

LEAST_BASES = 3000
"""Bases that a quality value rests on, at least."""

BEST, WORST = 45, 2


_SAMPLE_STEP = 7
"""Of the bases, every so many-th is looked at to choose cuts."""


MOST_ERRORS = 1500
"""Errors that a chip speaks with at most; those of chips with more have less weight, its right bases too."""


def train_table(parts):
    """Quality table of several chips.

    Parameters
    ----------
    parts : list of (predictors, wrong)
        Of each chip, as `BaseTally.add` takes them.

    Returns
    -------
    table : PhredTable

    Notes
    -----
    Chips with many errors must not speak for all others: one with forty times the errors of an ordinary chip, most of
    them in reads that lost their way, had made qualities of ordinary chips 1 unit too modest.
    """
    sample = [(predictors[::_SAMPLE_STEP], wrong[::_SAMPLE_STEP]) for predictors, wrong in parts]
    predictors, wrong = map(np.concatenate, zip(*sample, strict=True))
    tally = BaseTally(predictors, wrong)
    for predictors, wrong in parts:
        tally.add(predictors, wrong, weight=min(1.0, MOST_ERRORS / max(float(wrong.sum()), 1.0)))
    return tally.table()


class BaseTally:
    """Bases counted by cell of the table's grid, so that training can go through many chips.

    Parameters
    ----------
    predictors : ndarray of shape (n_bases, 6), float32
        Those of a first sample, from which the cuts are chosen.
    wrong : ndarray of shape (n_bases,), float32 or bool
        How much of an error each base of the sample is, 0 to 1.
    """

    def __init__(self, predictors, wrong):
        if len(predictors) < LEAST_BASES or not np.any(wrong):
            raise InputError(
                f"{len(predictors)} bases with {int(np.sum(wrong > 0))} errors are too few to choose a table's cuts; "
                "simulate more or larger chips."
            )
        self.cuts = tuple(
            _cuts(predictors[:, axis], wrong > 0, N_CUTS[name], whole=name == "run_at_stake")
            for axis, name in enumerate(PREDICTORS)
        )
        self.shape = tuple(map(len, self.cuts))
        self.counts = np.zeros((2, int(np.prod(self.shape))))
        self._grid = PhredTable(self.cuts, np.zeros(self.shape, np.uint8))

    def add(self, predictors, wrong, weight=1.0):
        """Count bases and errors, each as `weight`."""
        cells = np.ravel_multi_index(tuple(self._grid.cell_indices(predictors).T), self.shape)
        n_cells = self.counts.shape[1]
        self.counts[0] += weight * np.bincount(cells, minlength=n_cells)
        self.counts[1] += weight * np.bincount(cells, wrong.astype(np.float64), n_cells)

    def table(self):
        """Fit the table.

        Returns
        -------
        table : PhredTable

        Notes
        -----
        First a logistic model, one term per cell of the axes and pairs of axes in `TERMS`, orders all cells of the
        grid, also those that hold few bases. Then isotonic regression over that order gives error rates; a rate
        rests on at least `LEAST_BASES` bases and counts one error more than was seen, so that no quality claims
        what was not observed.
        """
        bases, errors = self.counts
        seen = np.flatnonzero(bases)
        score = _model_scores(self.shape, seen, bases[seen], errors[seen])
        order = seen[np.argsort(score[seen], kind="stable")]
        edges, rates = _isotonic(score[order], bases[order], errors[order])
        rate = rates[np.minimum(np.searchsorted(edges, score), len(rates) - 1)]
        quality = np.clip(np.rint(-10 * np.log10(rate)), WORST, BEST).astype(np.uint8)
        return PhredTable(self.cuts, quality.reshape(self.shape))


def _cuts(values, wrong, n_cuts, whole):
    """Rising cuts of which half follow all bases and half the wrong ones, where the ordering matters."""
    if whole:
        return np.append(np.arange(n_cuts - 1), 23).astype(np.float32)
    shares = (np.arange(n_cuts // 2) + 1) / (n_cuts // 2 + 1)
    cuts = np.concatenate([np.quantile(values, shares), np.quantile(values[wrong], shares), [values.max()]])
    return np.unique(cuts.astype(np.float32))


def _model_scores(shape, seen, bases, errors):
    """Log odds of an error for every cell of the grid, from a logistic model with the terms of `TERMS`."""
    cells = np.arange(int(np.prod(shape)))
    axes = dict(zip(PREDICTORS, np.unravel_index(cells, shape), strict=True))
    sizes = dict(zip(PREDICTORS, shape, strict=True))
    columns, n_terms = [], 0
    for names in TERMS:
        places = np.ravel_multi_index([axes[name] for name in names], [sizes[name] for name in names])
        columns.append(places + n_terms)
        n_terms += int(np.prod([sizes[name] for name in names]))
    of_cell = np.stack(columns, axis=1)
    of_seen = of_cell[seen]
    # Drawn towards no effect, by the information of a few errors; the mean is left free.
    terms, mean = np.zeros(n_terms), np.log(errors.sum() / bases.sum())
    for _ in range(60):
        rate = 1 / (1 + np.exp(-_log_odds(mean, terms, of_seen)))
        weight, missing = bases * rate * (1 - rate), errors - bases * rate
        gradient, curvature = np.zeros(n_terms), np.zeros((n_terms, n_terms))
        for a in range(of_seen.shape[1]):
            gradient += np.bincount(of_seen[:, a], missing, n_terms)
            for b in range(of_seen.shape[1]):
                place = of_seen[:, a] * n_terms + of_seen[:, b]
                curvature += np.bincount(place, weight, n_terms * n_terms).reshape(n_terms, n_terms)
        step = np.linalg.solve(curvature + _RIDGE * np.eye(n_terms), gradient - _RIDGE * terms)
        loss = _penalised_loss(mean, terms, of_seen, bases, errors)
        while np.abs(step).max() > 1e-3 and _penalised_loss(mean, terms + step, of_seen, bases, errors) > loss:
            step /= 2
        terms += step
        if np.abs(step).max() < 1e-3:
            break
    return terms[of_cell].sum(axis=1)


def _log_odds(mean, terms, of_cell):
    return np.clip(mean + terms[of_cell].sum(axis=1), -30, 30)


def _penalised_loss(mean, terms, of_cell, bases, errors):
    odds = _log_odds(mean, terms, of_cell)
    return float(bases @ np.logaddexp(0, odds) - errors @ odds + 0.5 * _RIDGE * terms @ terms)


def _isotonic(score, bases, errors):
    """Upper score edges and error rates, rising, of blocks of cells in the order of their score."""
    blocks: list[list[float]] = []
    for edge, n, wrong in zip(score, bases, errors, strict=True):
        blocks.append([edge, float(n), float(wrong)])
        while len(blocks) > 1 and (blocks[-2][1] < LEAST_BASES or _rate(blocks[-2]) >= _rate(blocks[-1])):
            last = blocks.pop()
            blocks[-1] = [last[0], blocks[-1][1] + last[1], blocks[-1][2] + last[2]]
    return np.array([block[0] for block in blocks]), np.array([_rate(block) for block in blocks])


def _rate(block):
    return (block[2] + 1) / (block[1] + 2)
