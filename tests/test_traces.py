"""Kernels of traces against their twins, and laws that must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis._core import kernel, variants
from ionanalysis._core import traces as kernels
from ionanalysis.reference import traces as twins


@st.composite
def stacks(draw):
    """Frames of up to 300 wells, a reference and vectors."""
    n_frames, n_wells, n_vectors = draw(st.integers(1, 9)), draw(st.integers(1, 300)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    frames = rng.integers(0, 16384, (n_frames, n_wells)).astype(np.int16)
    reference = rng.normal(0, 100, n_frames).astype(np.float32)
    vectors = rng.normal(0, 1, (n_vectors, n_frames)).astype(np.float32)
    return frames, reference, vectors


def project(module, frames, reference, vectors):
    projections = np.empty((len(vectors), frames.shape[1]), np.float32)
    energy = np.empty(frames.shape[1], np.float32)
    module.project_traces(frames, reference, vectors, projections, energy)
    return projections, energy


@given(stacks())
def test_projection_matches_its_twin(data):
    projections, energy = project(kernels, *data)
    expected, expected_energy = twins.project_traces(*data)
    assert_allclose(projections, expected, rtol=1e-4, atol=0.5)
    assert_allclose(energy, expected_energy, rtol=1e-4)


@given(stacks(), st.integers(0, 300))
def test_how_wells_are_cut_changes_no_byte(data, cut):
    frames, reference, vectors = data
    cut = min(cut, frames.shape[1] - 1)
    whole = project(kernels, frames, reference, vectors)[0]
    parts = [project(kernels, np.ascontiguousarray(part), reference, vectors)[0]
             for part in (frames[:, :cut], frames[:, cut:]) if part.shape[1]]  # fmt: skip
    assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("variant", variants("traces"))
def test_every_build_projects_to_the_same_bytes(variant):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 16384, (40, 500)).astype(np.int16)
    data = frames, rng.normal(0, 100, 40).astype(np.float32), rng.normal(0, 1, (6, 40)).astype(np.float32)
    for found, expected in zip(project(kernel("traces", variant), *data), project(kernels, *data), strict=True):
        assert_array_equal(found, expected)


@pytest.mark.parametrize("variant", variants("traces"))
def test_table_reading_matches_its_twin(variant):
    rng = np.random.default_rng(2)
    table = rng.normal(size=(6, 7, 5)).astype(np.float32)
    tau_node, delay_node = rng.integers(0, 3, 50).astype(np.int32), rng.integers(0, 4, 50).astype(np.int32)
    tau_weight, delay_weight = rng.normal(size=(2, 4, 50)).astype(np.float32)
    values = np.empty((50, 5), np.float32)
    args = table, tau_node, delay_node, tau_weight, delay_weight
    kernel("traces", variant).interpolate_table(*args, values)
    assert_allclose(values, twins.interpolate_table(*args), rtol=1e-4, atol=1e-4)


@given(arrays(np.int16, st.tuples(st.integers(1, 6), st.integers(1, 70)), elements=st.integers(0, 16383)))
def test_pinned_wells_match_their_twin(frames):
    pinned = np.empty(frames.shape[1], np.uint8)
    kernels.pinned_wells(frames, 1, 16379, pinned)
    assert_array_equal(pinned, twins.pinned_wells(frames, 1, 16379))
