"""Kernels for called reads equal their twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ionanalysis import _core
from ionanalysis.bam import flow_units
from ionanalysis.reference import called as twin
from ionanalysis.reference import records as records_twin


@st.composite
def runs(draw):
    """Homopolymer runs of a few reads, some without any: numbers, flows and lengths as the solver gives them."""
    n_flows, n = draw(st.integers(1, 30)), draw(st.integers(0, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_runs = random.integers(-1, n_flows + 1, n).astype(np.int32)
    run_flow = np.sort(np.argsort(random.random((n, n_flows)), axis=1), axis=1).astype(np.int16)
    for read, number in enumerate(n_runs):
        own = np.sort(random.choice(n_flows, max(number, 0), replace=False))
        run_flow[read, : len(own)] = own
    return n_runs, run_flow, random.integers(1, 24, (n, n_flows)).astype(np.int8), random


def every(name):
    return [_core.kernel(name, variant) for variant in _core.variants(name)]


@given(runs())
def test_bases_of_runs_and_signals_without_droop(drawn):
    n_runs, run_flow, run_length, random = drawn
    n_bases = twin.count_bases(n_runs, run_length)
    base_flow = twin.expand_runs(n_runs, run_flow, run_length)
    start = np.concatenate([[0], np.cumsum(n_bases)])
    signal = random.normal(1, 1, run_flow.shape).astype(np.float32)
    droop = random.uniform(0, 0.2, len(n_runs)).astype(np.float32)
    expected = twin.undo_droop(signal, start, base_flow, droop)
    for kernels in every("called"):
        counted, expanded, out = np.empty_like(n_bases), np.empty_like(base_flow), np.empty_like(signal)
        kernels.count_bases(n_runs, run_length, counted)
        kernels.expand_runs(n_runs, run_flow, run_length, expanded)
        kernels.undo_droop(signal, start, base_flow, droop, out)
        assert_array_equal(counted, n_bases)
        assert_array_equal(expanded, base_flow)
        assert_array_equal(out, expected)


@given(
    st.lists(st.lists(st.integers(0, 40), max_size=25), max_size=6),
    st.integers(1, 12),
    st.floats(0.01, 45, allow_nan=False),
)
def test_windows_of_qualities(reads, size, cutoff):
    qualities = np.array([quality for read in reads for quality in read], np.uint8)
    start = np.cumsum([0, *map(len, reads)], dtype=np.int64)
    expected = twin.clip_windows(qualities, start, size, cutoff)
    for kernels in every("called"):
        clip = np.empty(len(reads), np.int64)
        kernels.clip_windows(qualities, start, size, cutoff, clip)
        assert_array_equal(clip, expected)


@given(st.lists(st.floats(width=32), max_size=70))
def test_flow_units_of_any_number(values):
    signal = np.array(values, np.float32)
    expected = records_twin.flow_units(signal)
    assert_array_equal(flow_units(signal), expected)
    for kernels in every("records"):
        out = np.empty(signal.shape, np.int16)
        kernels.flow_units(signal, out)
        assert_array_equal(out, expected)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (2, 3, 4)])
def test_flow_units_keep_the_shape(shape):
    assert flow_units(np.ones(shape)).shape == shape
