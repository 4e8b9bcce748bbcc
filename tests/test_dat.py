"""DAT files: worked examples byte by byte, golden images, round trips."""

import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ionanalysis.errors import ChecksumError, InputError
from ionanalysis.io.dat import expand_to_base_rate, frame_counts_from_times, open_dat, read_dat, read_header, write_dat
from ionanalysis.io.dat.layout import DatFile, locate_coded

# sigproc.md A.1 and A.2.
TYPE_0 = """
    de ad be ef 00 00 00 03 00 00 00 28 00 00 00 28 00 00 00 00 00 02 00 04 00 04 00 00 00 02 00 02
    00 00 00 0f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 42 00 65 00 64
    00 67 00 66 00 c9 00 c8 00 cb 00 ca 00 00 00 85 00 6f 00 6e 00 71 00 70 00 d3 00 d2 3f ff 00 d4"""
TYPE_4 = """
    de ad be ef 00 00 00 03 00 00 00 28 00 00 00 00 00 00 00 00 00 02 00 04 00 04 00 04 00 03 00 03
    00 00 00 0f 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 42 00 00 00 00
    1f 40 1f 41 1f 42 1f 43 1f a4 1f a5 1f a6 1f a7 00 00 00 85 00 00 00 01 00 00 00 1f 00 00 00 03
    00 00 fc 70 de ad be ef 44 99 01 ff 02 00 0a 00 44 bb 00 c8 44 99 00 00 00 00 c8 00 00 00 01 00
    00 00 1a 00 00 00 01 00 00 fc 0a de ad be ef 44 99 00 00 01 00 00 00 00 99 00 00 18 ce"""
TYPE_5 = """
    de ad be ef 00 00 00 04 00 00 00 28 00 00 00 00 00 00 00 00 00 02 00 10 00 08 00 02 00 03 00 03
    00 00 00 0f 00 00 00 00 00 00 00 00 00 00 00 05 00 00 00 42 00 00 00 00 1f 40 1f 41 1f 42 1f 43
    1f 44 1f 45 1f 46 1f 47 1f 48 1f 49 1f 4a 1f 4b 1f 4c 1f 4d 1f 4e 1f 4f 1f 50 1f 51 1f 52 1f 53
    1f 54 1f 55 1f 56 1f 57 1f 58 1f 59 1f 5a 1f 5b 1f 5c 1f 5d 1f 5e 1f 5f 00 00 00 85 00 00 00 01
    00 00 00 2c 00 00 00 03 00 03 e9 f7 de ad be ef 00 00 00 18 00 00 00 23 7f 33 95 e5 cd 7f 44 d3
    88 99 aa 7f 33 92 49 24 92 49 24 00 00 00 00 c8 00 00 00 01 00 00 00 3c 00 00 00 04 00 03 f0 50
    de ad be ef 00 00 00 18 00 00 00 25 7f 66 f8 2a a0 82 08 20 7f 33 92 49 24 7f bb 00 c8 00 c8 00
    c8 00 c8 00 c8 00 c8 00 c8 00 c8 7f 33 bb dd ee 00 00 36 36"""
TYPE_7 = """
    de ad be ef 00 00 00 04 00 00 00 28 00 00 00 00 00 00 00 00 00 02 00 08 00 08 00 02 00 04 00 04
    00 00 00 0f 00 00 00 00 00 00 00 00 00 00 00 07 42 00 00 00 85 00 00 00 c8 00 00 00 4d 01 00 00
    ad eb 00 00 00 00 00 00 02 00 04 00 03 00 00 00 00 00 02 00 00 00 08 00 06 00 00 00 03 00 00 00
    00 00 00 46 00 0c 00 46 00 98 00 46 00 48 00 46 00 00 00 00 cd cc cc 3d cd cc 4c 3f 9a 99 19 3f
    00 00 00 00 00 00 00 bf 00 00 80 3e 00 00 40 3f 00 00 00 c2 00 00 80 c0 00 00 00 42 00 00 80 40
    eb 0e 30 b8 ec 12 97 10 16 54 66 69 cb 09 f2 a9 00 00 00 00 00 00 74 73"""
EXAMPLES = {0: TYPE_0, 4: TYPE_4, 5: TYPE_5, 7: TYPE_7}
FRAMES = {
    0: [[[100, 101, 102, 103], [200, 201, 202, 203]], [[110, 111, 112, 113], [210, 211, 212, 16383]]],
    4: [
        [[8000, 8001, 8002, 8003], [8100, 8101, 8102, 8103]],
        [[8001, 8000, 8004, 8003], [8110, 8101, 8302, 8103]],
        [[8001, 8000, 8005, 8003], [8110, 8101, 8302, 8000]],
    ],
    5: [
        np.arange(8000, 8032).reshape(2, 16),
        [
            [8000, 8002, 8001, 8005, 8002, 8008, 8003, 8008, *range(8008, 8016)],
            [8021, 8012, 8018, 8019, 8021, 8022, 8024, 8025, *range(8024, 8032)],
        ],
        [
            [8030, 7972, 8011, 8005, 8002, 8008, 8003, 8008, *range(8208, 8216)],
            [8021, 8012, 8018, 8019, 8021, 8022, 8024, 8025, 8025, 8027, 8029, 8028, 8030, 8032, 8031, 8033],
        ],
    ],
}
FRAMES[7] = np.reshape(
    [
        *([8192] * 5 + [0] + [8192] * 10),
        *(8194, 8193, 8192, 8195, 8194, 0, 8196, 8199, 8198, 8191, 8194, 8193, 8196, 8195, 8198, 8197),
        *(8206, 8212, 8218, 8223, 8229, 0, 8240, 8245, 8251, 8207, 8212, 8218, 8223, 8229, 8234, 8240),
        *(8190, 8196, 8202, 8204, 8210, 0, 8218, 8219, 8225, 8194, 8195, 8202, 8203, 8209, 8211, 8217),
    ],
    (4, 2, 8),
)
TIMES = {0: [66, 133], 4: [66, 133, 200], 5: [66, 133, 200], 7: [66, 133, 200, 333]}
COUNTS = {0: [1, 1], 4: [1, 1, 1], 5: [1, 1, 1], 7: [1, 1, 1, 2]}
WRITABLE = list(range(7))
STEPS = {0: (1, 2), 1: (2, 2), 2: (2, 4), 3: (2, 4), 4: (1, 1), 5: (1, 1), 6: (1, 1)}


def example(kind):
    return bytes.fromhex(EXAMPLES[kind])


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("padding", [0, 4000])
def test_worked_examples_are_read(tmp_path, kind, padding):
    (tmp_path / "acq.dat").write_bytes(example(kind) + bytes(padding))
    image = read_dat(tmp_path / "acq.dat")
    assert image.frames.dtype == np.int16
    np.testing.assert_array_equal(image.frames, FRAMES[kind])
    assert image.end_times_ms.tolist() == TIMES[kind]
    assert image.frame_counts.tolist() == COUNTS[kind]


@pytest.mark.parametrize("kind", [0, 4, 5])
def test_worked_examples_are_written(tmp_path, kind):
    path = tmp_path / "acq.dat"
    write_dat(path, np.array(FRAMES[kind]), TIMES[kind], interlace_type=kind, region_shape=(2, 8))
    written, expected = path.read_bytes(), example(kind)
    # The size of the data is told in bytes 12 to 15 (readers ignore it) and enters the checksum.
    trailer = 4 if kind >= 4 else 0
    assert int.from_bytes(written[12:16], "big") == len(expected) - read_header(path).n_bytes - trailer
    assert written[:12] == expected[:12]
    assert written[16 : len(expected) - trailer] == expected[16 : len(expected) - trailer]
    assert int.from_bytes(written[len(expected) - 4 :], "big") == sum(written[:-4]) or not trailer
    assert len(written) == len(expected)


@st.composite
def flows(draw, kinds=tuple(WRITABLE)):
    """A type and an image for it: odd sizes, quiet and jumping pixels."""
    kind = draw(st.sampled_from(kinds))
    step = STEPS[kind]
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 9)) * step[0], draw(st.integers(1, 12)) * step[1]
    widest = draw(st.sampled_from([0, 2, 9, 60, 300, 16383]))
    seed = draw(st.integers(0, 2**32 - 1))
    deltas = np.random.default_rng(seed).integers(-widest, widest, shape, endpoint=True)
    deltas *= np.random.default_rng(seed).random(shape) < draw(st.sampled_from([0.05, 1.0]))
    lengths = draw(arrays(np.int64, shape[0], elements=st.integers(1, 8)))
    return kind, np.clip(8000 + deltas.cumsum(axis=0), 0, 16383), np.cumsum(lengths * 66) + 66 - 66 * lengths[0]


@given(flows(), st.booleans(), st.sampled_from([(64, 64), (2, 8), (3, 16)]))
def test_written_images_are_read_back(tmp_path_factory, flow, checksum, region_shape):
    kind, frames, times = flow
    path = tmp_path_factory.mktemp("dat") / "acq.dat"
    write_dat(path, frames, times, interlace_type=kind, checksum=checksum, region_shape=region_shape)
    image = read_dat(path)
    np.testing.assert_array_equal(image.frames, frames)
    np.testing.assert_array_equal(image.end_times_ms, times)
    np.testing.assert_array_equal(image.frame_counts, np.diff(times, prepend=0) // 66)
    assert image.header.interlace_type == kind


@given(flows(), st.data())
def test_a_window_holds_that_part_of_the_image(tmp_path_factory, flow, data):
    kind, frames, times = flow
    path = tmp_path_factory.mktemp("dat") / "acq.dat"
    write_dat(path, frames, times, interlace_type=kind, region_shape=(4, 8))
    corners = [sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2))) for n in frames.shape[1:]]
    rows, cols = (slice(*corner) for corner in corners)
    np.testing.assert_array_equal(read_dat(path, rows, cols).frames, frames[:, rows, cols])


def test_real_compressed_image_passes_all_its_checks(golden):
    image = read_dat(golden / "real-521-dat" / "acq_0000.dat")
    assert image.frames.shape == (105, 56, 56)
    assert image.n_base_frames == 105


def test_real_compressed_image_has_a_check_in_every_frame_but_the_first(golden):
    path = golden / "real-521-dat" / "acq_0000.dat"
    data = np.fromfile(path, np.uint8)
    stored = locate_coded(DatFile(path, data, read_header(path)))
    assert sum(frame.mode == 2 and frame.transitions > 0 for frame in stored) == 104
    sums = read_dat(path).frames.sum(axis=(1, 2), dtype=np.int64)
    assert [frame.pixel_sum for frame in stored[1:]] == sums[1:].tolist()


def test_real_plain_image_of_variable_rate(golden):
    image = read_dat(golden / "real-314" / "acq_0000.dat")
    assert image.frames.shape == (74, 50, 50)
    assert image.end_times_ms[:4].tolist() == [68, 610, 882, 950]
    assert image.frame_counts.tolist() == [1, 8, 4] + [1] * 52 + [4] * 12 + [8] * 7
    assert image.n_base_frames == 169


def test_synthetic_images_of_a_run_are_read(raw48):
    for path in sorted(raw48.glob("*.dat")):
        assert read_dat(path).frames.shape == (105, 48, 48)


def test_columns_of_type_0_are_swapped_in_pairs_once(golden):
    """Pixel (r, c) lies in raw column c ^ 1."""
    path = golden / "real-314" / "acq_0003.dat"
    raw = np.frombuffer(path.read_bytes()[60 : 60 + 5000], ">u2").reshape(50, 50) & 0x3FFF
    frame = read_dat(path).frames[0]
    np.testing.assert_array_equal(frame[:, 0::2], raw[:, 1::2])
    np.testing.assert_array_equal(frame[:, 1::2], raw[:, 0::2])


def test_timestamps_of_the_usual_schedule():
    schedule = [1, 8, 4] + [1] * 52 + [4] * 12 + [8] * 8
    times = 1000 * np.cumsum(schedule) // 15
    assert len(times) == 75
    assert times[:6].tolist() == [66, 600, 866, 933, 1000, 1066]
    assert times[-3:].tolist() == [10733, 11266, 11800]
    assert frame_counts_from_times(times, 177).tolist() == schedule


def test_rounded_timestamps_need_the_number_of_base_frames():
    schedule = [1, 8, 4] + [1] * 52
    times = np.rint(1000 * np.cumsum(schedule) / 15).astype(int)
    assert frame_counts_from_times(times)[1] == 7
    assert frame_counts_from_times(times, sum(schedule)).tolist() == schedule


def test_traces_at_base_rate():
    traces = expand_to_base_rate([100, 110, 130, 150], [1, 2, 4, 1])
    assert traces.tolist() == [100, 110, 120, 130, 135, 140, 145, 130]


@pytest.mark.parametrize("kind", [4, 5])
def test_every_changed_byte_of_a_summed_file_is_noticed(tmp_path, kind):
    data, path = example(kind), tmp_path / "acq.dat"
    for place in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            path.unlink(missing_ok=True)  # some file systems flush a file that is written over
            path.write_bytes(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])
            with pytest.raises(InputError):
                read_dat(path)


def test_checks_can_be_ignored(tmp_path):
    path = tmp_path / "acq.dat"
    path.write_bytes(example(5)[:-1] + b"\x00")
    with pytest.raises(ChecksumError, match=re.escape(str(path))):
        read_dat(path)
    np.testing.assert_array_equal(read_dat(path, check=False).frames, FRAMES[5])


def test_an_opened_image_is_decoded_on_first_use_and_by_window(tmp_path):
    path = tmp_path / "acq.dat"
    path.write_bytes(example(5)[:-1] + b"\x00")
    image = pickle.loads(pickle.dumps(open_dat(path)))
    assert (image.shape, len(image), image.n_base_frames) == ((3, 2, 16), 3, 3)
    with pytest.raises(ChecksumError):
        image.frames  # noqa: B018
    path.write_bytes(example(5))
    expected = np.array(FRAMES[5])
    for key in (
        np.s_[:, :1, 3:9],
        np.s_[1, 1:],
        np.s_[1:, 0:2, -3:],
        np.s_[2],
        np.s_[..., 4],
        np.s_[:, ::-1],
        np.s_[0, 1, 2],
    ):
        np.testing.assert_array_equal(open_dat(path)[key], expected[key])
        np.testing.assert_array_equal(open_dat(path, cols=slice(3, 12))[key], expected[:, :, 3:12][key])
    np.testing.assert_array_equal(np.asarray(open_dat(path)), expected)


def test_threads_that_share_an_image_decode_it_once(tmp_path):
    path = tmp_path / "acq.dat"
    path.write_bytes(example(5))
    image = open_dat(path)
    with ThreadPoolExecutor(4) as pool:
        arrays = list(pool.map(lambda _: image.frames, range(8)))
    assert len({id(array) for array in arrays}) == 1


def test_windows_are_checked_too(tmp_path):
    path = tmp_path / "acq.dat"
    path.write_bytes(example(5)[:-1] + b"\x00")
    for _ in range(2):
        with pytest.raises(ChecksumError, match="checksum"):
            read_dat(path, cols=slice(0, 8))


def test_missing_file_names_itself(tmp_path):
    with pytest.raises(InputError, match=r"acq_0001\.dat"):
        read_dat(tmp_path / "acq_0001.dat")


@pytest.mark.parametrize(
    ("frames", "kind", "problem"),
    [
        (np.full((1, 2, 2), 16384), 5, "16384"),
        (np.full((1, 2, 2), -1), 5, "-1"),
        (np.zeros((1, 2, 3), int), 0, "groups of"),
        (np.zeros((1, 2, 2)), 5, "float64"),
        (np.zeros((2, 2), int), 5, "shape"),
        (np.zeros((1, 2, 2), int), 8, "interlace type 8"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_and_nothing_written(tmp_path, frames, kind, problem):
    with pytest.raises(InputError, match=problem):
        write_dat(tmp_path / "acq.dat", frames, np.arange(1, len(frames) + 1) * 66, interlace_type=kind)
    assert not list(tmp_path.iterdir())


def test_components_keep_what_few_traces_explain(tmp_path):
    rng = np.random.default_rng(3)
    traces = rng.normal(size=(4, 12)).cumsum(axis=1)
    frames = 8000 + np.einsum("kf,kyx->fyx", traces, rng.normal(scale=100, size=(4, 20, 24))).astype(int)
    frames[:, 3, 5] = 16383
    write_dat(tmp_path / "acq.dat", frames, np.arange(1, 13) * 66, interlace_type=7, region_shape=(8, 16))
    read = read_dat(tmp_path / "acq.dat").frames
    assert (read[:, 3, 5] == 0).all()
    read[:, 3, 5] = 16383
    assert np.abs(read - frames).max() <= 2
    window = read_dat(tmp_path / "acq.dat", slice(5, 17), slice(7, 23)).frames
    np.testing.assert_array_equal(window, read[:, 5:17, 7:23])


def late_region_file(path, later, *, n_rows=2, first=4):
    """Frames of 2 regions of 8 columns, 8000 at first; the second one is left out before frame `first`."""
    frames = np.full((first + len(later), n_rows, 16), 8000)
    for frame, value in enumerate(later, first):
        frames[frame, :, 8:] = value
    frames[1:, :, :8] += np.arange(1, len(frames))[:, None, None]
    times = 66 * np.arange(1, len(frames) + 1)
    write_dat(path, frames, times, interlace_type=6, region_shape=(n_rows, 8), checksum=False)
    # Our writer codes every region in frame 1; take that of the second region out.
    data = bytearray(path.read_bytes())
    start = 48 + 8 + frames[0].size * 2
    row_codes = int.from_bytes(data[start + 24 + 4 : start + 28 + 4], "big") - 16
    removed = len(data[start + 24 + row_codes : start + 8 + int.from_bytes(data[start + 8 : start + 12], "big")])
    assert data[start + 24 + row_codes :][:2] == b"\x7f\x33"
    data[start + 28 : start + 32] = b"\xff" * 4
    del data[start + 24 + row_codes : start + 24 + row_codes + removed]
    data[start + 8 : start + 12] = (16 + row_codes).to_bytes(4, "big")
    data[start + 12 : start + 16] = (1).to_bytes(4, "big")
    data[start + 16 : start + 20] = int(frames[1, :, :8].sum()).to_bytes(4, "big")
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([8040, 8080, 8120], [8000, 8020, 8040, 8060, 8080, 8080, 8120]),
        ([8040, 8080], [8000, 8020, 8040, 8053, 8066, 8080]),
        ([8040], [8000, 8020, 8040, 8040, 8040]),
    ],
)
def test_regions_that_come_late_are_interpolated(tmp_path, later, expected):
    """The first case is that of sigproc.md A.2; in the others the frames to aim at are missing."""
    late_region_file(tmp_path / "acq.dat", later)
    frames = read_dat(tmp_path / "acq.dat").frames
    assert frames[:, 1, 9].tolist() == expected
    np.testing.assert_array_equal(frames[:, 0, 0], 8000 + np.arange(len(expected)))
    np.testing.assert_array_equal(read_dat(tmp_path / "acq.dat", cols=slice(9, 12)).frames, frames[:, :, 9:12])


def region_frame_file(path, mode, codes, *, pixel_sum, transitions):
    """Two frames of 1 x 8 pixels, 8000 at first; the second one is coded."""
    data = bytes.fromhex("deadbeef 00000004 00000028 00000000 00000000 0001 0008 0008 0001 0002 0002 0000000f")
    data += bytes(8) + bytes.fromhex("0000 0005 00000042 00000000") + b"\x1f\x40" * 8
    payload = bytes.fromhex("00000014") + codes
    words = (133, mode, 16 + len(payload), transitions, pixel_sum, 0xDEADBEEF)
    data += b"".join(word.to_bytes(4, "big") for word in words) + payload
    path.write_bytes(data + sum(data).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("mode", "codes", "expected"),
    [
        (1, "7f 93 05 39 77", [7996, 7997, 7998, 7999, 8000, 8001, 8002, 8003]),
        (2, "7f 23 05 39 77", [7984, 7988, 7992, 7996, 8000, 8004, 8008, 8012]),
        (3, "ff f0 7f 03 05 39 77", [7980, 7981, 7982, 7983, 7984, 7985, 7986, 7987]),
        (3, "00 10 7f 1b" + " ff ff" * 8, [8014] * 8),
    ],
    ids=["shift ignored", "shift", "region average", "shift and average of 16 bits"],
)
def test_shifts_and_region_averages(tmp_path, mode, codes, expected):
    region_frame_file(tmp_path / "a.dat", mode, bytes.fromhex(codes), pixel_sum=sum(expected), transitions=1)
    assert read_dat(tmp_path / "a.dat").frames[1, 0].tolist() == expected


@pytest.mark.parametrize("wrong", [{"transitions": 2}, {"pixel_sum": 1}])
def test_wrong_counts_of_a_frame_are_noticed_though_the_file_adds_up(tmp_path, wrong):
    told = {"pixel_sum": sum(range(7996, 8004)), "transitions": 1} | wrong
    region_frame_file(tmp_path / "a.dat", 1, bytes.fromhex("7f 33 05 39 77"), **told)
    with pytest.raises(ChecksumError, match="frame 1"):
        read_dat(tmp_path / "a.dat")
    assert read_dat(tmp_path / "a.dat", check=False).frames[1, 0, 0] == 7996


@pytest.mark.parametrize("told", [12, 0xFFFF])
def test_a_number_of_base_frames_that_the_original_does_not_believe_is_passed_over(tmp_path, told):
    data = bytearray(example(0))
    data[30:32] = told.to_bytes(2, "big")
    (tmp_path / "acq.dat").write_bytes(data)
    assert read_dat(tmp_path / "acq.dat").frame_counts.tolist() == [1, 1]


def test_impossible_times_are_refused_or_held_in_range(tmp_path):
    path = tmp_path / "acq.dat"
    data = bytearray(example(7))
    data[52:56] = (-(2**31) + 4).to_bytes(4, "little", signed=True)
    path.write_bytes(data)
    with pytest.raises(InputError, match="times"):
        read_dat(path)
    image = read_dat(path, check=False)
    assert image.end_times_ms.tolist() == [66, 0, 200, 333]
    assert image.frame_counts.tolist() == [1, 1, 3, 2]
