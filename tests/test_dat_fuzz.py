"""Damaged and hostile DAT files end in an error or in an image of the shape their header tells."""

import tracemalloc

import numpy as np
import pytest

from ionanalysis.errors import InputError
from ionanalysis.io.dat import read_dat, read_header, write_dat

SUMMED = (4, 5, 6)
SIZES = {0: (6, 10), 1: (6, 10), 2: (6, 12), 3: (6, 12), 4: (7, 9), 5: (7, 24), 6: (7, 24), 7: (7, 24)}
EDGES = np.array([0, 1, 7, 8, 0x7F, 0x80, 0xFF], np.uint8)


def written(path, kind, *, compress=None):
    """The bytes of a small file of one type."""
    rng = np.random.default_rng(kind)
    deltas = rng.normal(scale=20, size=(6, *SIZES[kind])).astype(int)
    deltas[2, 0, 0] = 2000
    times = 66 * np.cumsum([1, 1, 3, 1, 1, 4])
    frames = 8000 + deltas.cumsum(axis=0)
    write_dat(path, frames, times, interlace_type=kind, region_shape=(4, 16), compress=compress)
    return path.read_bytes()


def outcome(path, data, **options):
    """Image or InputError of a file with these bytes; whatever else it raises fails the test."""
    path.unlink(missing_ok=True)  # some file systems flush a file that is written over
    path.write_bytes(data)
    try:
        image = read_dat(path, **options)
    except InputError as error:
        assert str(path) in str(error)
        return error
    header = read_header(path)
    assert image.frames.shape == (header.n_frames, header.n_rows, header.n_cols)
    assert image.frame_counts.shape == image.end_times_ms.shape == (header.n_frames,)
    assert image.n_base_frames == image.frame_counts.sum() >= header.n_frames
    return image


def changed(data, rng, n_changes):
    """The bytes with `n_changes` of them replaced, more often in the headers than elsewhere."""
    data = np.frombuffer(data, np.uint8).copy()
    span = len(data) if rng.random() < 0.6 else min(len(data), 120)
    places = rng.choice(span, n_changes, replace=False)
    data[places] = np.where(rng.random(n_changes) < 0.5, rng.choice(EDGES, n_changes), rng.integers(0, 256, n_changes))
    return data.tobytes()


def rearranged(data, rng):
    """The bytes cut off, or with a piece left out, doubled or filled with one value."""
    first, last = sorted(rng.integers(0, len(data), 2).tolist())
    how = rng.integers(0, 4)
    fill = int(rng.choice(EDGES))
    middle = (b"", data[first:last] * 2, bytes([fill]) * (last - first))
    return data[:first] if how == 3 else data[:first] + middle[how] + data[last:]


def attack(path, kind, seed, n_files, **options):
    data = written(path, kind, **options)
    rng = np.random.default_rng(seed)
    for _ in range(n_files):
        damaged = rearranged(data, rng) if rng.random() < 0.3 else changed(data, rng, rng.integers(1, 5))
        outcome(path, damaged)
        outcome(path, damaged, check=False)


@pytest.mark.parametrize("kind", SIZES)
def test_damaged_files(tmp_path, kind):
    attack(tmp_path / "acq.dat", kind, seed=kind, n_files=300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SIZES)
def test_very_many_damaged_files(tmp_path, kind):
    attack(tmp_path / "acq.dat", kind, seed=100 + kind, n_files=20_000)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("kind", SUMMED)
def test_every_changed_byte_under_a_checksum_is_noticed(tmp_path, kind, compress):
    path = tmp_path / "acq.dat"
    data = written(path, kind, compress=compress)
    rng = np.random.default_rng(kind)
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= rng.integers(1, 256)
        assert isinstance(outcome(path, damaged), InputError), place


@pytest.mark.parametrize("kind", SIZES)
def test_every_cut_is_noticed(tmp_path, kind):
    path = tmp_path / "acq.dat"
    data = written(path, kind)
    without_sum = len(data) - 4 if kind in SUMMED else None
    for length in range(len(data)):
        if length != without_sum:
            assert isinstance(outcome(path, data[:length]), InputError), length


@pytest.mark.parametrize("name", ["real-521-dat/acq_0000.dat", "real-314/acq_0000.dat"])
def test_damaged_real_files(golden, tmp_path, name):
    data = (golden / name).read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(150):
        outcome(tmp_path / "acq.dat", rearranged(data, rng) if rng.random() < 0.3 else changed(data, rng, 2))


@pytest.mark.parametrize("kind", SIZES)
def test_a_header_that_promises_too_much_costs_no_memory(tmp_path, kind):
    data = bytearray(written(tmp_path / "acq.dat", kind))
    data[20:24] = b"\xff\xf8\xff\xf8"
    data[28:30] = b"\xff\xff"
    tracemalloc.start()
    try:
        assert isinstance(outcome(tmp_path / "acq.dat", data), InputError)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_repeats_of_a_real_image_stay_whole(golden, tmp_path):
    """A codec that only works on its own noise would fail here: real counts, written in every exact type."""
    image = read_dat(golden / "real-521-dat" / "acq_0000.dat")
    for kind in range(7):
        write_dat(tmp_path / "acq.dat", image.frames, image.end_times_ms, interlace_type=kind)
        np.testing.assert_array_equal(
            outcome(tmp_path / "acq.dat", (tmp_path / "acq.dat").read_bytes()).frames, image.frames
        )
