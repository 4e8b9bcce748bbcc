"""Records put together by the kernels equal those of their twins."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ionanalysis import _core
from ionanalysis.bam.records import TURNED
from ionanalysis.reference import records as twin


@st.composite
def columns(draw):
    """Cells of two columns for each record, some empty, and the places where the first ones go."""
    sizes = np.array(draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=12)), np.int64)
    sizes = sizes.reshape(-1, 2)
    flat = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 16, 60).astype(np.uint8)
    first = np.array([draw(st.integers(0, 40)) for _ in sizes], np.int64)
    whole = sizes.sum(axis=1)
    return flat, first, sizes, np.cumsum(whole) - whole, int(whole.sum())


@given(columns())
def test_kernels_match_their_twins(drawn):
    flat, first, sizes, at, n_bytes = drawn
    expected, places = np.full(n_bytes, 255, np.uint8), at
    places, expected = twin.append_cells(flat, first, first + sizes[:, 0], places, expected)
    places, expected = twin.append_packed(flat, first, first + sizes[:, 1], places, expected)
    for variant in _core.variants("records"):
        kernels, out, here = _core.kernel("records", variant), np.full(n_bytes, 255, np.uint8), at.copy()
        kernels.append_cells(flat, first, first + sizes[:, 0], here, out)
        kernels.append_packed(flat, first, first + sizes[:, 1], here, out)
        assert_array_equal(here, places)
        assert_array_equal(out, expected)


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=8), st.integers(0, 2**32 - 1))
def test_bases_are_turned_and_unpacked_as_by_their_twins(reads, seed):
    n_bases, reverse = np.array([n for n, _ in reads], np.int64), np.array([back for _, back in reads], np.uint8)
    sizes = (n_bases + 1) // 2 + n_bases
    flat = np.random.default_rng(seed).integers(0, 256, sizes.sum() + 3).astype(np.uint8)
    at = np.cumsum(sizes) - sizes
    base_start = np.concatenate([[0], np.cumsum(n_bases)])
    letters = np.frombuffer(b"=ACMGRSVTWYHKDBN", np.uint8)
    expected = twin.append_turned(flat, at + 3, n_bases, reverse, TURNED, at, np.full(sizes.sum(), 255, np.uint8))
    for variant in _core.variants("records"):
        kernels, out, here = _core.kernel("records", variant), np.full(sizes.sum(), 255, np.uint8), at.copy()
        kernels.append_turned(flat, at + 3, n_bases, reverse, TURNED, here, out)
        assert_array_equal(here, expected[0])
        assert_array_equal(out, expected[1])
        found = np.zeros(base_start[-1], np.uint8)
        kernels.unpack_bases(flat, at + 3, base_start, letters, found)
        assert_array_equal(found, twin.unpack_bases(flat, at + 3, base_start, letters))
