"""Plain-NumPy twins of ionanalysis._core.quality: slow, short, meant to be read."""

import numpy as np


def quality_predictors(signal, predicted, inphase, n_runs, run_flow, run_length, losses, settings):
    least, greatest, keep, *noise_settings = settings
    run_flow, n_flows = run_flow.astype(np.intp), run_flow.shape[1]
    held = np.arange(n_flows) < n_runs[:, None]
    changes = np.where(held[:, :, None], losses.astype(np.float64), -least)
    less, more, missing = np.moveaxis(-np.clip(changes, -greatest, -least), 2, 0)
    any_change = np.clip(np.logaddexp(np.logaddexp(less, more), missing), least, greatest)
    any_change[~held] = least
    more_before = np.pad(more, ((0, 0), (1, 0)), constant_values=least)[:, :-1]
    of_first = np.logaddexp(np.logaddexp(less, more_before), missing)
    length_before = np.pad(run_length, ((0, 0), (1, 0)))[:, :-1]
    padded = np.pad(any_change, ((0, 0), (2, 2)), constant_values=least)
    neighbour = np.max([padded[:, step : step + n_flows] for step in (0, 1, 3, 4)], axis=0)
    end = run_flow[np.arange(len(n_runs)), np.maximum(n_runs, 1) - 1]
    near_noise = _near_noise(signal, predicted, end, *noise_settings)
    per_run = np.stack(
        [
            of_first,
            neighbour,
            _trail(np.where(held, np.exp(np.minimum(any_change, 0.0)), 0.0), keep, least),
            np.take_along_axis(near_noise, run_flow, axis=1),
            length_before,
            1.0 - np.take_along_axis(inphase, run_flow, axis=1),
        ],
        axis=2,
    )
    lengths = run_length[held]
    predictors = np.repeat(per_run[held], lengths, axis=0)
    further = np.ones(len(predictors), bool)
    further[np.cumsum(lengths.astype(np.int64)) - lengths] = False
    predictors[further, 0] = np.repeat(less[held], lengths)[further]
    predictors[further, 4] = 0
    return predictors.astype(np.float32)


def _trail(odds, keep, least):
    """Log of the sum of odds over the runs of each read but the run's own, each weighted down with its distance."""
    before, after = np.zeros_like(odds), np.zeros_like(odds)
    for run in range(1, odds.shape[1]):
        before[:, run] = keep * (before[:, run - 1] + odds[:, run - 1])
        after[:, -1 - run] = keep * (after[:, -run] + odds[:, -run])
    return np.log(np.maximum(before + after, np.exp(least)))


def _near_noise(signal, predicted, end, least_signal, noise, noise_per_base, prior, usual_noise, near_flows):
    """Mean deviation of flows with signal around each flow, in units of the expected noise, (n, n_flows) float64.

    Drawn towards a common value by `prior` flows' worth. Flows behind the last run, at `end`, do not count.
    """
    predicted = predicted.astype(np.float64)
    expected = noise + noise_per_base * np.maximum(predicted, 0.0)
    deviation = np.minimum(np.abs(signal - predicted) / expected, 10.0)
    flow = np.arange(predicted.shape[1])
    counts = (predicted > least_signal) & (flow <= end[:, None])
    first = np.maximum(flow - int(near_flows), 0)
    last = np.minimum(flow + int(near_flows) + 1, len(flow))
    total, number = (
        np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))[:, [last, first]] for values in (counts * deviation, counts)
    )
    return (total[:, 0] - total[:, 1] + prior * usual_noise) / (number[:, 0] - number[:, 1] + prior)


def look_up(predictors, cuts, cut_start, values):
    cell = np.zeros(len(predictors), np.int64)
    for axis in range(len(cut_start) - 1):
        own = cuts[cut_start[axis] : cut_start[axis + 1]]
        cell = cell * len(own) + np.minimum(np.searchsorted(own, predictors[:, axis]), len(own) - 1)
    return values[cell]
