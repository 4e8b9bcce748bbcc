"""Base qualities: what speaks against each called base, and a trained table that turns it into Phred values."""

from functools import cache
from importlib.resources import as_file, files

import numpy as np

from ionanalysis._core import quality as kernels
from ionanalysis.basecaller.noise import LEVEL_STEP, expected_noise
from ionanalysis.io.phred import read_phred_table

PREDICTORS = ("risk", "neighbour_risk", "trail_risk", "noise", "run_at_stake", "out_of_phase")
"""Predictors of a base in the order of the table's axes; smaller is better for all.

A missing base is blamed on the base behind it, as `metrics.alignment.wrong_bases` does; so the first base of a run
answers for the run before, too.

risk: log of the odds, by the solver's scores, that the base is one too many (an equal share of its run's odds) or, if
it is the first of its run, that the run before has a base more or that a run is missing between them. neighbour_risk:
the greatest risk of a wrong length or a missing run, of the two runs before and the two after. trail_risk: log of
the sum of such odds along the read, each halved in 10 runs: where it is high the read may have lost its way. noise:
of the run, or of the run before if that is greater and the base the first of its run: what the chip shows at that
signal (`noise.estimate_noise`), times how much more the flows up to 40 before and behind show, in units of the
noise that the solver expects there. Chips differ most in it, and long runs differ from short ones.
run_at_stake: bases of the run before the first base of a run, 0 for its other bases. out_of_phase: fraction of
strands that are not in phase or no longer alive.
"""

LEAST_RISK, GREATEST_RISK = -40.0, 5.0
_NEAR_FLOWS = 40
_NOISE_PRIOR = 20
"""Flows whose worth draws the noise near a run to the chip's."""

_TRAIL_RUNS = 10
_SOLVED = ("signal", "predicted", "inphase", "n_runs", "run_flow", "run_length", "losses")
_TABLE = "phredTable.simulated.h5"


def quality_predictors(solved, options, noise=None):
    """Predictors of every called base.

    Parameters
    ----------
    solved : dict of ndarray
        As `solve.solve_runs` gives it.
    options : SolverOptions
        Of the solver: its expected noise is the unit of noise.
    noise : ndarray of shape (noise.N_LEVELS,), float32, optional
        Noise of the chip by signal (`PhaseEstimate.noise`); what the solver expects by default.

    Returns
    -------
    predictors : ndarray of shape (n_bases, 6), float32
        In the order of `PREDICTORS`, bases in the order of reads.
    """
    held = np.arange(solved["run_length"].shape[1]) < solved["n_runs"][:, None]
    n_bases = int(np.sum(solved["run_length"], dtype=np.int64, where=held))
    predictors = np.empty((n_bases, len(PREDICTORS)), np.float32)
    inputs = {name: solved[name] for name in _SOLVED}
    kernels.quality_predictors(**inputs, settings=predictor_settings(options, noise), out=predictors)
    return predictors


def predictor_settings(options, noise=None):
    """What the kernel of `quality_predictors` needs to know, float64, in its order."""
    keep = 0.5 ** (1.0 / _TRAIL_RUNS)
    curve = expected_noise(options) if noise is None else noise
    about = (options.noise, options.noise_per_base, _NOISE_PRIOR, _NEAR_FLOWS, 1 / LEVEL_STEP)
    return np.array([LEAST_RISK, GREATEST_RISK, keep, *about, *curve], np.float64)


@cache
def shipped_table():
    """The quality table of the package, made by ``ionanalysis train-qualities``."""
    with as_file(files("ionanalysis.basecaller") / _TABLE) as path:
        return read_phred_table(path)


def base_qualities(solved, options, table=None, noise=None):
    """Phred quality of every called base, uint8 of shape (n_bases,).

    Parameters
    ----------
    solved, options, noise
        As for `quality_predictors`.
    table : PhredTable, optional
        With the axes of `PREDICTORS`; the package's own by default. Tables of the original have other
        predictors and do not fit.
    """
    return (table or shipped_table()).lookup(quality_predictors(solved, options, noise))
