"""Base qualities: what speaks against each called base, and a trained table that turns it into Phred values."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np

from ionanalysis.io.phred import read_phred_table

PREDICTORS = ("risk", "neighbour_risk", "trail_risk", "near_noise", "run_at_stake", "out_of_phase")
"""Predictors of a base in the order of the table's axes; smaller is better for all.

A missing base is blamed on the base behind it, as `metrics.alignment.wrong_bases` does; so the first base of a run
answers for the run before, too.

risk: log of the odds, by the solver's scores, that the base is one too many or, if it is the first of its run, that
the run before has a base more or that a run is missing between them. neighbour_risk: the greatest risk of a wrong
length or a missing run, of the two runs before and the two after. trail_risk: log of the sum of such odds along
the read, each halved in 10 runs: where it is high the read may have lost its way. near_noise: mean deviation of
measured from predicted signal, of the flows with signal up to 40 before and behind the run's, in units of the
expected noise.
run_at_stake: bases of the run before the first base of a run, 0 for its other bases. out_of_phase: fraction of
strands that are not in phase or no longer alive.
"""

LEAST_RISK, GREATEST_RISK = -40.0, 5.0
_NEAR_FLOWS = 40
_LEAST_SIGNAL, _NOISE_PRIOR, _USUAL_NOISE = 0.4, 2, 0.6
_TRAIL_RUNS = 10
_TABLE = "phredTable.simulated.h5"


def quality_predictors(solved, options):
    """Predictors of every called base.

    Parameters
    ----------
    solved : dict of ndarray
        As `solve.solve_runs` gives it.
    options : SolverOptions
        Of the solver: its expected noise is the unit of noise.

    Returns
    -------
    predictors : ndarray of shape (n_bases, 6), float32
        In the order of `PREDICTORS`, bases in the order of reads.
    """
    n_runs, run_flow = solved["n_runs"], solved["run_flow"].astype(np.intp)
    lengths = solved["run_length"]
    n_flows = run_flow.shape[1]
    held = np.arange(n_flows) < n_runs[:, None]
    losses = np.where(held[:, :, None], solved["losses"].astype(np.float64), -LEAST_RISK)
    less, more, missing = np.moveaxis(-np.clip(losses, -GREATEST_RISK, -LEAST_RISK), 2, 0)
    any_change = np.clip(np.logaddexp(np.logaddexp(less, more), missing), LEAST_RISK, GREATEST_RISK)
    more_before = np.pad(more, ((0, 0), (1, 0)), constant_values=LEAST_RISK)[:, :-1]
    of_first = np.logaddexp(np.logaddexp(less, more_before), missing)
    length_before = np.pad(lengths, ((0, 0), (1, 0)))[:, :-1]
    padded = np.pad(any_change, ((0, 0), (2, 2)), constant_values=LEAST_RISK)
    neighbour = np.max([padded[:, step : step + n_flows] for step in (0, 1, 3, 4)], axis=0)
    per_run = np.stack(
        [
            of_first,
            neighbour,
            _trail(np.where(held, any_change, LEAST_RISK)),
            np.take_along_axis(_near_noise(solved, options), run_flow, axis=1),
            length_before,
            1.0 - np.take_along_axis(solved["inphase"], run_flow, axis=1),
        ],
        axis=2,
    )
    predictors = np.repeat(per_run[held], lengths[held], axis=0)
    start = np.cumsum(lengths[held].astype(np.int64)) - lengths[held]
    further = np.ones(len(predictors), bool)
    further[start] = False
    predictors[further, 0] = np.repeat(less[held], lengths[held])[further]
    predictors[further, 4] = 0
    return predictors.astype(np.float32)


def _trail(risk):
    """Log of the sum of odds over the runs of each read, weighted down by half in `_TRAIL_RUNS` runs on each side."""
    odds = np.exp(np.minimum(risk, 0.0))
    keep = 0.5 ** (1.0 / _TRAIL_RUNS)
    before, after = np.zeros_like(odds), np.zeros_like(odds)
    for run in range(1, odds.shape[1]):
        before[:, run] = keep * (before[:, run - 1] + odds[:, run - 1])
        after[:, -1 - run] = keep * (after[:, -run] + odds[:, -run])
    return np.log(np.maximum(before + after, np.exp(LEAST_RISK)))


def _near_noise(solved, options):
    """Mean deviation of flows with signal around each flow, in units of the expected noise, (n, n_flows) float64.

    Drawn towards a common value by `_NOISE_PRIOR` flows' worth. Flows behind the last run do not count.
    """
    predicted = solved["predicted"].astype(np.float64)
    expected = options.noise + options.noise_per_base * np.maximum(predicted, 0.0)
    deviation = np.minimum(np.abs(solved["signal"] - predicted) / expected, 10.0)
    n_runs = solved["n_runs"]
    flow = np.arange(predicted.shape[1])
    end = solved["run_flow"][np.arange(len(n_runs)), np.maximum(n_runs, 1) - 1]
    counts = (predicted > _LEAST_SIGNAL) & (flow <= end[:, None])
    first, last = np.maximum(flow - _NEAR_FLOWS, 0), np.minimum(flow + _NEAR_FLOWS + 1, len(flow))
    total, number = (
        np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))[:, [last, first]] for values in (counts * deviation, counts)
    )
    return (total[:, 0] - total[:, 1] + _NOISE_PRIOR * _USUAL_NOISE) / (number[:, 0] - number[:, 1] + _NOISE_PRIOR)


@cache
def shipped_table():
    """The quality table of the package, made by ``ionanalysis train-qualities``."""
    with as_file(files("ionanalysis.basecaller") / _TABLE) as path:
        return read_phred_table(path)


def base_qualities(solved, options, table=None):
    """Phred quality of every called base, uint8 of shape (n_bases,).

    Parameters
    ----------
    solved, options
        As for `quality_predictors`.
    table : PhredTable, optional
        With the axes of `PREDICTORS`; the package's own by default. Tables of the original have other
        predictors and do not fit.
    """
    return (table or shipped_table()).lookup(quality_predictors(solved, options))
