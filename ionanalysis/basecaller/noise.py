"""Noise of a chip by signal, learned from the reads of the chip themselves."""

import numpy as np

LEVEL_STEP, N_LEVELS = 0.5, 13
"""Signals, in bases, at which the noise is told: 0, 0.5, 1 and so on; between them it is interpolated."""

_FIRST_FLOW = 8
_PRIOR_FLOWS = 30
_GREATEST = 1.0
"""Deviations beyond, in bases, are wrong calls and count as this."""

_SD_PER_DEVIATION = 1.253


def expected_noise(options):
    """Noise that a solver expects of strands in phase, by signal, float64 of shape (N_LEVELS,), in bases."""
    return options.noise + options.noise_per_base * LEVEL_STEP * np.arange(N_LEVELS)


def estimate_noise(solved, options):
    """Noise of a chip by signal, from deviations of measured from predicted signals.

    Parameters
    ----------
    solved : dict of ndarray
        As `solve.solve_runs` gives it, of reads from all over the chip.
    options : SolverOptions
        Of the solver.

    Returns
    -------
    noise : ndarray of shape (N_LEVELS,), float32
        Standard deviation in bases. Levels that few flows tell of follow the level below, by the ratio of its noise to
        what the solver expects.

    Notes
    -----
    From mean absolute deviations, as if they were normal. Calls follow the signals, so noise near half a base and
    more is told too low; qualities are trained with the same bias.
    """
    predicted, n_runs = solved["predicted"], solved["n_runs"]
    end = solved["run_flow"][np.arange(len(n_runs)), np.maximum(n_runs, 1) - 1]
    flow = np.arange(predicted.shape[1])
    counts = (flow >= _FIRST_FLOW) & (flow <= end[:, None]) & (n_runs > 0)[:, None]
    deviation = np.minimum(np.abs(solved["signal"] - predicted)[counts].astype(np.float64), _GREATEST)
    level = np.clip(np.rint(predicted[counts] / LEVEL_STEP), 0, N_LEVELS - 1).astype(np.intp)
    n_flows = np.bincount(level, minlength=N_LEVELS)
    total = np.bincount(level, _SD_PER_DEVIATION * deviation, N_LEVELS)
    noise, ratio = expected_noise(options), 1.0
    for k in range(N_LEVELS):
        found = (total[k] + _PRIOR_FLOWS * ratio * noise[k]) / (n_flows[k] + _PRIOR_FLOWS)
        ratio, noise[k] = found / noise[k], found
    return noise.astype(np.float32)
