"""Kernels of traces against their twins, and laws that must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis._core import kernel, variants
from ionanalysis._core import traces as kernels
from ionanalysis.reference import traces as twins
from ionanalysis.sigproc.flow_filter import take_in as take_in_any_width

LOW, HIGH = 40, 16340


@st.composite
def windows(draw, least_cols=1):
    """A window of an image, of wells that move by up to a few thousand counts, and a choice of them."""
    n_frames, n_rows, n_cols = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(least_cols, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    level = rng.integers(0, 16384, (n_rows, n_cols + 3))
    frames = np.clip(level + rng.integers(-2000, 2000, (n_frames, n_rows, n_cols + 3)), 0, 16383).astype(np.int16)
    return frames[:, :, 2 : n_cols + 2], rng.random(n_rows * n_cols) < 0.4, rng


def take_in(module, frames, vectors, chosen):
    n_wells = frames[0].size
    projections, pinned = np.empty((6, n_wells), np.float32), np.empty(n_wells, np.uint8)
    sums = np.empty(len(frames) + 1, np.int64)
    scratch = np.empty((len(frames), 16), np.int32)
    module.take_in(frames, vectors, LOW, HIGH, chosen.astype(np.uint8), scratch, projections, pinned, sums)
    return projections, pinned, sums


@given(windows(least_cols=16))
def test_what_is_taken_in_matches_its_twin(data):
    frames, chosen, rng = data
    vectors = rng.normal(size=(len(frames), 6)).astype(np.float32)
    projections, pinned, sums = take_in(kernels, frames, vectors, chosen)
    expected, expected_pinned, expected_sums = twins.take_in(frames, vectors, LOW, HIGH, chosen)
    assert_allclose(projections, expected, rtol=1e-4, atol=0.05)
    assert_array_equal(pinned, expected_pinned)
    assert_array_equal(sums, expected_sums)


@given(windows())
def test_windows_of_any_width_are_taken_in(data):
    frames, chosen, rng = data
    basis = rng.normal(size=(6, len(frames)))
    taken = take_in_any_width(frames, basis, LOW - 1, HIGH + 1, chosen)
    expected, pinned, sums = twins.take_in(frames, basis.T, LOW, HIGH, chosen)
    assert_allclose(taken.projections, expected, rtol=1e-4, atol=0.05)
    assert_array_equal(taken.pinned, pinned > 0)
    assert (taken.mean is None) == (sums[-1] == 0)
    if taken.mean is not None:
        assert_allclose(taken.mean, sums[:-1] / sums[-1])


@given(windows(least_cols=33), st.integers(16, 74))
def test_how_wells_are_cut_changes_no_byte(data, cut):
    frames, chosen, rng = data
    vectors = rng.normal(size=(len(frames), 6)).astype(np.float32)
    cut = min(cut, frames.shape[2] - 16)
    whole = take_in(kernels, frames, vectors, chosen)[0].reshape(6, *frames[0].shape)
    for part in (slice(0, max(cut, 16)), slice(cut, None)):
        inside = chosen.reshape(frames[0].shape)[:, part].ravel()
        found = take_in(kernels, frames[:, :, part], vectors, inside)[0]
        assert_array_equal(found.reshape(6, len(frames[0]), -1), whole[:, :, part])


def merge(module, frames, group, share):
    merged = np.empty((group[-1] + 1, frames[0].size), np.float32)
    pinned = np.empty(frames[0].size, np.uint8)
    module.merge_frames(frames, group, share, LOW, HIGH, merged, pinned)
    return merged, pinned


@given(windows())
def test_merged_frames_match_their_twin(data):
    frames, _, rng = data
    group = np.cumsum(np.append(0, rng.integers(0, 2, len(frames) - 1))).astype(np.int32)
    share = rng.random(len(frames)).astype(np.float32)
    for found, expected in zip(
        merge(kernels, frames, group, share), twins.merge_frames(frames, group, share, LOW, HIGH), strict=True
    ):
        assert_allclose(found, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("variant", variants("traces"))
def test_every_build_gives_the_same_bytes(variant):
    rng = np.random.default_rng(1)
    frames, chosen = rng.integers(0, 16384, (40, 9, 70)).astype(np.int16), rng.random(630) < 0.5
    vectors, share = rng.normal(size=(40, 6)).astype(np.float32), rng.random(40).astype(np.float32)
    group = (np.arange(40) // 3).astype(np.int32)
    module = kernel("traces", variant)
    projections = rng.normal(size=(6, 50)).astype(np.float32)

    def everything(one):
        taken, merged = take_in(one, frames, vectors, chosen), merge(one, frames, group, share)
        return [*taken, *merged, *combined(one, projections)]

    for found, expected in zip(everything(module), everything(kernels), strict=True):
        assert_array_equal(found, expected)


def places(n_wells):
    rng = np.random.default_rng(2)
    nodes = rng.integers(0, 3, n_wells).astype(np.int32), rng.integers(0, 4, n_wells).astype(np.int32)
    return *nodes, *rng.normal(size=(2, 4, n_wells)).astype(np.float32)


def table_of(n_values):
    return np.random.default_rng(3).normal(size=(6, 7, n_values)).astype(np.float32)


@pytest.mark.parametrize("n_values", [1, 5, 40])
@pytest.mark.parametrize("variant", variants("traces"))
def test_table_reading_matches_its_twin(variant, n_values):
    values = np.empty((50, n_values), np.float32)
    kernel("traces", variant).interpolate_table(table_of(n_values), *places(50), values)
    assert_allclose(values, twins.interpolate_table(table_of(n_values), *places(50)), rtol=1e-4, atol=1e-4)


def combined(module, projections):
    rng = np.random.default_rng(4)
    wells = rng.permutation(50)[:30].astype(np.int32)
    gain, place = rng.normal(size=(2, 30)).astype(np.float32)
    args = table_of(16), *places(30), projections, wells, gain, place, 0.03
    if module is twins:
        return [module.combine_projections(*args)]
    found = np.empty(30, np.float32)
    module.combine_projections(*args, found)
    return [found]


def test_combined_projections_match_their_twin():
    projections = np.random.default_rng(5).normal(0, 100, (6, 50)).astype(np.float32)
    assert_allclose(combined(kernels, projections)[0], combined(twins, projections)[0], rtol=1e-3, atol=0.05)
