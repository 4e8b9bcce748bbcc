"""Plain-NumPy twins of ionanalysis._core.quality: slow, short, meant to be read."""

import numpy as np

_USUAL = 0.798
"""Mean absolute deviation of a Gauss, in sd."""


def quality_predictors(signal, predicted, inphase, n_runs, run_flow, run_length, losses, settings):
    least, greatest, keep, *noise_settings = settings
    lengths_of_runs = np.maximum(run_length, 1).astype(np.float64)
    run_flow, n_flows = run_flow.astype(np.intp), run_flow.shape[1]
    held = np.arange(n_flows) < n_runs[:, None]
    changes = np.where(held[:, :, None], losses.astype(np.float64), -least)
    less, more, missing = np.moveaxis(-np.clip(changes, -greatest, -least), 2, 0)
    any_change = np.clip(np.logaddexp(np.logaddexp(less, more), missing), least, greatest)
    any_change[~held] = least
    # Which base of a run is one too many, nobody can tell: each has an equal share.
    less = less - np.log(lengths_of_runs)
    more_before = np.pad(more, ((0, 0), (1, 0)), constant_values=least)[:, :-1]
    of_first = np.logaddexp(np.logaddexp(less, more_before), missing)
    length_before = np.pad(run_length, ((0, 0), (1, 0)))[:, :-1]
    padded = np.pad(any_change, ((0, 0), (2, 2)), constant_values=least)
    neighbour = np.max([padded[:, step : step + n_flows] for step in (0, 1, 3, 4)], axis=0)
    end = run_flow[np.arange(len(n_runs)), np.maximum(n_runs, 1) - 1]
    noise = np.take_along_axis(_noise(signal, predicted, end, *noise_settings), run_flow, axis=1)
    noise_before = np.pad(noise, ((0, 0), (1, 0)), constant_values=0.0)[:, :-1]
    per_run = np.stack(
        [
            of_first,
            neighbour,
            _trail(np.where(held, np.exp(np.minimum(any_change, 0.0)), 0.0), keep, least),
            np.maximum(noise, noise_before),
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
    predictors[further, 3] = np.repeat(noise[held], lengths)[further]
    predictors[further, 4] = 0
    return predictors.astype(np.float32)


def _trail(odds, keep, least):
    """Log of the sum of odds over the runs of each read but the run's own, each weighted down with its distance."""
    before, after = np.zeros_like(odds), np.zeros_like(odds)
    for run in range(1, odds.shape[1]):
        before[:, run] = keep * (before[:, run - 1] + odds[:, run - 1])
        after[:, -1 - run] = keep * (after[:, -run] + odds[:, -run])
    return np.log(np.maximum(before + after, np.exp(least)))


def _noise(signal, predicted, end, noise, noise_per_base, prior, near_flows, levels_per_base, *curve):
    """Noise of each flow in units of what the solver expects at its signal, (n, n_flows) float64.

    The chip's noise at its signal, times how much noisier than that the flows around it are; this is drawn towards
    1 by `prior` flows' worth. Flows behind the last run, at `end`, do not count.
    """
    predicted = predicted.astype(np.float64)
    of_chip = np.interp(predicted * levels_per_base, np.arange(len(curve)), curve)
    flow = np.arange(predicted.shape[1])
    deviation = np.where(flow <= end[:, None], np.minimum(np.abs(signal - predicted) / of_chip, 6.0), 0.0)
    total = np.pad(np.cumsum(deviation, axis=1), ((0, 0), (1, 0)))
    first = np.broadcast_to(np.maximum(flow - int(near_flows), 0), deviation.shape)
    last = np.minimum(flow + int(near_flows) + 1, end[:, None] + 1)
    near = np.take_along_axis(total, last, axis=1) - np.take_along_axis(total, first, axis=1)
    noisier = (near + prior * _USUAL) / ((np.maximum(last - first, 0) + prior) * _USUAL)
    return noisier * of_chip / (noise + noise_per_base * np.clip(predicted, 0.0, 8.0))


def look_up(predictors, cuts, cut_start, values):
    cell = np.zeros(len(predictors), np.int64)
    for axis in range(len(cut_start) - 1):
        own = cuts[cut_start[axis] : cut_start[axis + 1]]
        cell = cell * len(own) + np.minimum(np.searchsorted(own, predictors[:, axis]), len(own) - 1)
    return values[cell]
