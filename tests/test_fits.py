"""Kernels of fits to wells against their twins, and laws that must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis._core import fits as kernels
from ionanalysis._core import kernel, variants
from ionanalysis.reference import fits as twins

seeds = st.integers(0, 2**31)


def low_passed(module, fine, decay, ramp, steps):
    if module is twins:
        return module.low_pass_means(fine, decay, ramp, steps)
    means = np.empty((len(decay), len(steps), fine.shape[1]))
    module.low_pass_means(fine, decay, ramp, steps, means)
    return means


@given(seeds, st.integers(1, 130))
def test_low_passes_match_their_twin(seed, n_traces):
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 5, 6).astype(np.int32)
    fine, tau = rng.normal(size=(steps.sum(), n_traces)), rng.uniform(0.5, 20, 3)
    decay = np.exp(-1 / tau)
    args = fine, decay, tau * (1 - decay), steps
    assert_allclose(low_passed(kernels, *args), low_passed(twins, *args), rtol=1e-9, atol=1e-12)


def smooth_table(rng, n_taus=6, n_delays=7, n_values=32):
    """Models that change slowly from node to node, as those of wells do."""
    tau, delay = np.arange(n_taus)[:, None, None], np.arange(n_delays)[:, None]
    phase, rate = rng.uniform(0, 6, n_values), rng.uniform(0.05, 0.3, (2, n_values))
    table = 10 + 20 * np.sin(phase + rate[0] * tau + rate[1] * delay)
    table[:, :, n_values - 5 :] = 0
    return table.astype(np.float32)


@given(seeds)
def test_best_nodes_match_their_twin(seed):
    rng = np.random.default_rng(seed)
    nodes, traces = rng.normal(size=(9, 48)).astype(np.float32), rng.normal(size=(40, 9)).astype(np.float32)
    nodes[:, 40:] = 0
    weight = np.append(1 / (nodes[:, :40] ** 2).sum(axis=0), np.zeros(8)).astype(np.float32)
    best, gain = np.empty(40, np.int32), np.empty(40, np.float32)
    kernels.best_nodes(nodes, weight, traces, best, gain)
    expected, expected_gain = twins.best_nodes(nodes, weight, traces)
    # Where two nodes explain as much, either will do.
    explained = np.maximum(traces @ nodes, 0) ** 2 * weight
    wells = np.arange(40)
    assert_allclose(explained[wells, best], explained[wells, expected], rtol=1e-4)
    same = best == expected
    assert_allclose(gain[same], expected_gain[same], rtol=1e-4)


def test_without_a_positive_gain_the_first_node_is_taken():
    best, gain = np.empty(1, np.int32), np.empty(1, np.float32)
    kernels.best_nodes(np.ones((2, 16), np.float32), np.ones(16, np.float32), -np.ones((1, 2), np.float32), best, gain)
    assert (best[0], gain[0]) == (0, 0)


def fitted(module, table, traces, known, pull, values, n_rounds=4):
    grid = np.array([-1.0, 0.1, -0.09, 0.03])
    if module is twins:
        return module.fit_wells(table, grid, traces, known, pull, n_rounds, values)
    values, left = values.copy(), np.empty(len(traces))
    module.fit_wells(table, grid, traces, known, pull, n_rounds, values, left)
    return values, left


def problem(rng, n_wells=20):
    table = smooth_table(rng)
    start = np.stack([np.ones(n_wells), rng.uniform(-0.9, -0.6, n_wells), rng.uniform(-0.05, 0.08, n_wells)], axis=1)
    traces = (rng.uniform(0.8, 1.2, (n_wells, 1)) * table[3, 3] + rng.normal(0, 0.3, (n_wells, 32))).astype(np.float32)
    traces[:, 27:] = 0
    return table, traces, start


@given(seeds, st.sampled_from([(0.0, 0.0, 0.0), (1e2, 1e3, 1e6)]), st.integers(0, 1))
def test_fits_match_their_twin_step_by_step(seed, pull, n_rounds):
    rng = np.random.default_rng(seed)
    table, traces, start = problem(rng)
    args = table, traces, start + rng.normal(0, 0.01, start.shape), np.array(pull), start, n_rounds
    (found, left), (expected, expected_left) = fitted(kernels, *args), fitted(twins, *args)
    assert_allclose(found, expected, atol=2e-3)
    assert_allclose(left, expected_left, rtol=2e-2, atol=0.05)


def test_a_fit_returns_what_was_put_in():
    rng = np.random.default_rng(7)
    table, _, start = problem(rng)
    truth = np.tile([1.1, -0.7, 0.0], (20, 1))
    traces = (1.1 * table[3, 3]).astype(np.float32)[None].repeat(20, axis=0)
    found, left = fitted(kernels, table, traces, start, np.zeros(3), start, n_rounds=20)
    assert_allclose(found, truth, atol=5e-3)
    assert left.max() < 0.05


@pytest.mark.parametrize("variant", variants("fits"))
def test_every_build_gives_the_same_bytes(variant):
    rng = np.random.default_rng(1)
    table, traces, start = problem(rng)
    args = table, traces, start, np.array([1.0, 2.0, 3.0]), start
    fine = rng.normal(size=(40, 70))
    passed = fine, np.array([0.5, 0.9]), np.array([0.7, 0.95]), np.full(10, 4, np.int32)
    module = kernel("fits", variant)
    for found, expected in zip(fitted(module, *args), fitted(kernels, *args), strict=True):
        assert_array_equal(found, expected)
    assert_array_equal(low_passed(module, *passed), low_passed(kernels, *passed))
    nodes = np.ascontiguousarray(table.reshape(-1, 32)[:32].T)
    results = []
    for one in (module, kernels):
        best, gain = np.empty(len(traces), np.int32), np.empty(len(traces), np.float32)
        one.best_nodes(nodes, np.full(32, 0.01, np.float32), traces, best, gain)
        results.append((best, gain))
    assert_array_equal(results[0], results[1])
