"""The kernels of DAT files against their twins, on every instruction set."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ionanalysis import _core
from ionanalysis.reference import dat as twin

KERNELS = [_core.kernel("dat", variant) for variant in _core.variants("dat")]
every_variant = pytest.mark.parametrize("kernels", KERNELS, ids=_core.variants("dat"))

counts = st.integers(-(2**15), 2**15 - 1)
some_bytes = st.binary(max_size=200) | st.lists(
    st.sampled_from([b"\x7f\x33", b"\x7f\xbb", b"\x7f\x15", b"\x44\x99", b"\x44\xbb", b"\x7f", b"\x44", b"abc"]),
    max_size=40,
).map(b"".join)


def as_array(data):
    return np.frombuffer(data, np.uint8)


@st.composite
def frame_pairs(draw, multiple=1):
    """A frame and the one before it."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6)) * multiple
    widest = draw(st.sampled_from([3, 8, 100, 2**15 - 1]))
    previous = draw(arrays(np.int16, shape, elements=counts))
    deltas = draw(arrays(np.int16, shape, elements=st.integers(-widest, widest), fill=st.just(0)))
    return previous, (previous + deltas).astype(np.int16)


words = st.integers(0, 40) | st.sampled_from([0xDEADBEEF, 2**31, 2**32 - 1])
coded = st.tuples(words, st.integers(1, 3), st.integers(14, 40), words, words, st.sampled_from([0xDEADBEEF] * 3 + [7]))


@every_variant
@given(st.lists(coded | st.tuples(words, st.just(0)) | st.tuples(words), max_size=9), st.integers(0, 9))
def test_frames_are_located(kernels, chain, n_frames):
    """Chains of plain and coded frames, and of words that make no sense, cut anywhere."""
    pieces = []
    for frame in [(5, 0), *chain]:
        pieces.append(struct.pack(f">{len(frame)}I", *frame))
        pieces.append(bytes(12 if len(frame) == 2 else max(frame[2] - 16, 0) if len(frame) == 6 else 0))
    data = b"".join(pieces)
    found = np.empty((n_frames, 6), np.int64)
    n_sound = kernels.locate_frames(as_array(data), 0, 12, found)
    assert found[:n_sound].tolist() == [list(frame) for frame in twin.locate_frames(data, 0, 12, n_frames)]


@every_variant
@given(st.binary(max_size=300))
def test_byte_sum(kernels, data):
    assert kernels.byte_sum(as_array(data)) == twin.byte_sum(as_array(data)) == sum(data)


@every_variant
@given(st.binary(max_size=100).map(lambda data: data[: len(data) // 2 * 2]))
def test_unpack_stored(kernels, data):
    pixels = np.empty(len(data) // 2, np.int16)
    kernels.unpack_stored(as_array(data), pixels)
    np.testing.assert_array_equal(pixels, twin.unpack_stored(data))


def decode_delta(kernels, data, previous):
    pixels, found = np.zeros_like(previous), np.zeros(2, np.int64)
    status = kernels.decode_delta(as_array(data), previous, pixels, found)
    return status, pixels, *found.tolist()


@every_variant
@given(frame_pairs(), st.data())
def test_delta_codes(kernels, frames, data):
    previous, pixels = (frame.ravel() for frame in frames)
    coded, found = np.empty(4 * pixels.size, np.uint8), np.zeros(3, np.int64)
    kernels.encode_delta(previous, pixels, coded, found)
    payload, transitions, total = twin.encode_delta(previous, pixels)
    assert (coded[: found[2]].tobytes(), *found[:2].tolist()) == (payload, transitions, total)
    status, decoded, *sums = decode_delta(kernels, payload, previous)
    np.testing.assert_array_equal(decoded, pixels)
    assert (status, sums) == (0, [transitions, total])


@every_variant
@given(some_bytes, arrays(np.int16, st.integers(1, 30), elements=counts))
def test_hostile_delta_codes_end_like_the_twin(kernels, data, previous):
    status, pixels, *sums = decode_delta(kernels, data, previous)
    expected_status, expected, *expected_sums = twin.decode_delta(data, previous)
    assert (status, sums) == (expected_status, expected_sums)
    np.testing.assert_array_equal(pixels[: len(expected)], expected)


def decode_regions(kernels, data, mode, grid, previous, shape):
    pixels, coded, found = np.zeros_like(previous), np.zeros(shape, np.uint8), np.zeros(2, np.int64)
    status = kernels.decode_regions(as_array(data), mode, np.array(grid, np.int64), previous, pixels, coded, found)
    return status, pixels, coded, *found.tolist()


@every_variant
@given(frame_pairs(multiple=8), st.integers(1, 4), st.sampled_from([8, 16]), st.booleans())
def test_region_codes(kernels, frames, height, length, skip):
    previous, pixels = frames
    n_down, n_across = -(-pixels.shape[0] // height), -(-pixels.shape[1] // length)
    coded, found = np.empty(4 * n_down * n_across + 18 * pixels.size // 8 + 24, np.uint8), np.zeros(3, np.int64)
    kernels.encode_regions(np.array([height, length, skip]), previous, pixels, coded, found)
    payload, transitions, total = twin.encode_regions((height, length, skip), previous, pixels)
    assert (coded[: found[2]].tobytes(), *found[:2].tolist()) == (payload, transitions, total)
    grid = height, length, n_across, 0, 0
    status, decoded, _, *sums = decode_regions(kernels, payload, 1, grid, previous, (n_down, n_across))
    np.testing.assert_array_equal(decoded, pixels)
    assert (status, sums) == (0, [transitions, total])


@every_variant
@given(some_bytes, st.integers(1, 4), st.integers(16, 40), frame_pairs(multiple=8))
def test_hostile_region_codes_end_like_the_twin(kernels, data, mode, offset, frames):
    previous = frames[0]
    data = offset.to_bytes(4, "big") + data
    args = data, mode, (3, 16, -(-previous.shape[1] // 16), 0, 0), previous
    shape = -(-previous.shape[0] // 3), -(-previous.shape[1] // 16)
    status, pixels, coded, *sums = decode_regions(kernels, *args, shape)
    expected_status, expected, expected_coded, *expected_sums = twin.decode_regions(*args, shape)
    assert (status, sums) == (expected_status, expected_sums)
    np.testing.assert_array_equal(coded, expected_coded)
    if not status:
        np.testing.assert_array_equal(pixels, expected)


@st.composite
def component_blocks(draw):
    """A block of type 7: words, bits, least, step, mean, basis, and its shape."""
    n_vectors, n_frames = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    bits = draw(arrays(np.int32, n_vectors, elements=st.integers(1, 32)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    words = rng.integers(0, 2**64, -(-shape[0] * shape[1] * int(bits.sum()) // 64), np.uint64)
    words &= draw(st.sampled_from([2**64 - 1, 0xFF00FF00FF00FF00, 0]))
    floats = st.floats(-(2.0**20), 2.0**20, width=32)
    least, step = (draw(arrays(np.float32, n_vectors, elements=floats)) for _ in range(2))
    mean = draw(arrays(np.float32, n_frames, elements=floats))
    basis = draw(arrays(np.float32, (n_vectors, n_frames), elements=st.floats(-1, 1, width=32)))
    return (words, bits, least, step, mean, basis), shape


@every_variant
@given(component_blocks())
def test_components(kernels, block):
    args, shape = block
    pixels = np.empty((len(args[4]), *shape), np.int16)
    scratch = np.empty((len(args[1]) + 1, shape[1]), np.float32), np.empty(shape[1], np.uint8)
    kernels.unpack_components(*args, *scratch, pixels)
    np.testing.assert_array_equal(pixels, twin.unpack_components(*args, shape))


@every_variant
@pytest.mark.parametrize("mean", [np.nan, np.inf, -np.inf, 3e38, 40000.0, -40000.0, 0.5, 1.5, 2.5, -0.5, -1.5])
def test_components_are_rounded_to_even_and_held_in_16_bits(kernels, mean):
    one = np.ones(1, np.float32)
    pixels = np.empty((1, 1, 1), np.int16)
    args = np.full(1, 1 << 63, np.uint64), np.ones(1, np.int32), one * 0, one, np.full(1, mean, np.float32)
    kernels.unpack_components(*args, one.reshape(1, 1), np.empty((2, 1), np.float32), np.empty(1, np.uint8), pixels)
    assert pixels.item() == (-32768 if np.isnan(mean) else round(min(max(mean, -32768), 32767)))
