"""The kernels of base qualities equal their twins, and their builds each other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis import _core
from ionanalysis.basecaller.noise import N_LEVELS
from ionanalysis.basecaller.quality import LEAST_RISK, predictor_settings
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.reference import quality as twin


@st.composite
def solved_reads(draw):
    """What a solver might give: any number of runs, and losses from hopeless to certain."""
    n, n_flows = draw(st.integers(1, 4)), draw(st.integers(1, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_runs = random.integers(-1, n_flows + 1, n).astype(np.int32)
    run_flow, run_length = np.zeros((n, n_flows), np.int16), np.zeros((n, n_flows), np.int8)
    for read, count in enumerate(np.maximum(n_runs, 0)):
        run_flow[read, :count] = np.sort(random.choice(n_flows, count, replace=False))
        run_length[read, :count] = random.integers(1, draw(st.sampled_from([2, 24])), count)
    losses = random.normal(5, draw(st.sampled_from([1, 30])), (n, n_flows, 3)).astype(np.float32)
    losses[random.random(losses.shape) < 0.05] = np.inf
    predicted = np.maximum(random.normal(0.5, 1, (n, n_flows)), -0.1).astype(np.float32)
    signal = predicted + random.normal(0, 0.3, (n, n_flows)).astype(np.float32)
    inphase = random.random((n, n_flows), np.float32)
    return signal, predicted, inphase, n_runs, run_flow, run_length, losses


@given(solved_reads(), st.sampled_from([None, np.linspace(0.05, 0.3, N_LEVELS)]))
def test_predictors_equal_those_of_the_twin(solved, noise):
    settings = predictor_settings(SolverOptions(), noise)
    expected = twin.quality_predictors(*solved, settings)
    bytes_of_builds = set()
    for variant in _core.variants("quality"):
        found = np.full(expected.shape, np.nan, np.float32)
        _core.kernel("quality", variant).quality_predictors(*solved, settings, found)
        assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        bytes_of_builds.add(found.tobytes())
    assert len(bytes_of_builds) == 1


def test_extreme_risks_are_exact():
    # One run, no doubt: every risk is the least there is, and there is no other run to lose the way at.
    flows = np.zeros((1, 1), np.float32)
    solved = (flows + 1, flows + 1, flows + 1, np.int32([1]), np.int16([[0]]), np.int8([[2]]), np.full((1, 1, 3), 1e9))
    found = np.empty((2, 6), np.float32)
    _core.quality.quality_predictors(
        *solved[:-1], solved[-1].astype(np.float32), predictor_settings(SolverOptions()), found
    )
    # Two bases share the odds that one of them is too many.
    assert found[:, 0] == pytest.approx([LEAST_RISK + np.log(2.5), LEAST_RISK - np.log(2)], abs=1e-5)
    assert_allclose(found[:, 1:3], LEAST_RISK, atol=1e-5)


@given(st.integers(0, 200), st.integers(0, 2**32 - 1), st.integers(1, 30), st.permutations(range(6)))
def test_tables_are_looked_up_as_the_twin_does(n, seed, most_cuts, order):
    random = np.random.default_rng(seed)
    # One axis may be long; all together would not fit.
    sizes = np.array([random.integers(1, most_cuts + 1), *random.integers(1, 7, 5)])[list(order)]
    axes = [np.unique(random.normal(0, 1, size).astype(np.float32)) for size in sizes]
    counts = [len(axis) for axis in axes]
    cuts, start = np.concatenate(axes), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = random.integers(0, 50, int(np.prod(counts))).astype(np.uint8)
    # Among them values that are cuts themselves, beyond the last, infinite and not a number.
    predictors = random.normal(0, 2, (n, 6)).astype(np.float32)
    known = random.random(predictors.shape) < 0.3
    predictors[known] = random.choice(np.append(cuts, np.float32([np.inf, -np.inf, np.nan])), known.sum())
    for variant in _core.variants("quality"):
        found = np.empty(n, np.uint8)
        _core.kernel("quality", variant).look_up(predictors, cuts, start, values, found)
        assert_array_equal(found, twin.look_up(predictors, cuts, start, values))
