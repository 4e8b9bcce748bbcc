"""Wells files: golden facts, worked numbers, round trips, what old readers see, error paths."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, OutputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.mask import Mask, WellFlag, read_mask
from ionanalysis.io.wells_hdf5 import quantise, step_values
from ionanalysis.io.wells_legacy import write_legacy_wells
from ionanalysis.wells import WellsWriter, open_wells


def random_chip(shape=(120, 70, 100), seed=1):
    """Signals within the range of uint16 files, and copies, some of them not above 0."""
    random = np.random.default_rng(seed)
    return random.normal(1, 1, shape).astype(np.float32), random.normal(1, 1, shape[:2]).astype(np.float32)


def write(path, values, copies=None, *, tiles=None, **options):
    n_rows, n_cols, n_flows = values.shape
    with WellsWriter(path, (n_rows, n_cols), FlowOrder("TACG", n_flows), has_copies=copies is not None, **options) as w:
        for block in Block(0, 0, n_rows, n_cols).tiles(*(tiles or (n_rows, n_cols))):
            w.write(block, values[block.slices], copies=None if copies is None else copies[block.slices])
    return open_wells(path)


def usable(values, copies):
    return np.where(copies[:, :, None] > 0, values * copies[:, :, None], -1)


# ---- worked numbers


@pytest.mark.parametrize(
    "step, value",
    [
        *((0, -5.0), (9730, -0.100481), (9929, -0.000275), (10922, 0.499748), (11915, 0.999771)),
        *((14586, 2.344747), (14894, 2.49984), (29788, 9.99968), (65535, 28.0)),
    ],
)
def test_steps_read_as_in_the_spec(step, value):
    assert round(float(step_values()[step]), 6) == pytest.approx(value, abs=1e-9)


@given(st.floats(-5, 28))
def test_quantised_signals_are_the_nearest_step(value):
    assert abs(step_values()[quantise(value)] - value) <= 33 / 65535 / 2 + 1e-6


@pytest.mark.parametrize("value, step", [(-6, 0), (-np.inf, 0), (28, 65535), (30, 65535), (np.inf, 65535), (1, 11915)])
def test_signals_beyond_the_range_are_clipped(value, step):
    assert quantise(value) == step


def test_nan_is_stored_as_no_signal():
    assert quantise(np.nan) == quantise(0.0) == 9930


# ---- golden files


def test_golden_uint16_wells_apply_copies(golden):
    wells = open_wells(golden / "calls-s60/1.wells", golden / "calls-s60/analysis.bfmask.bin")
    assert wells.shape == (60, 60, 400) and wells.chip == "530" and wells.form == "uint16"
    assert wells.flow_order == FlowOrder(DEFAULT_CYCLE, 400)
    with h5py.File(wells.path) as file:
        expected = usable(file["wells"][:] * (33 / 65535) - 5, file["wells_copies"][:])
    assert_allclose(wells[:], expected, atol=1e-6)


def test_golden_wells_of_the_original_hold_copies_of_live_wells(raw48):
    wells = open_wells(raw48 / "peer/1.wells", raw48 / "peer/analysis.bfmask.bin")
    live = wells.mask.matches(WellFlag.LIVE)
    assert_array_equal(wells.present, live)
    assert (wells[~live] == -1).all()
    assert wells.info["Experiment Name"] == "PEER_SYN" and wells.flow_order.n_flows == 40


def test_golden_signals_of_the_original_follow_the_truth(raw48):
    ours, truth = open_wells(raw48 / "peer/1.wells"), open_wells(raw48 / "truth/1.wells")
    both = ours.present & read_mask(raw48 / "truth/analysis.bfmask.bin").matches(WellFlag.LIB)
    assert both.sum() == 1494
    assert np.corrcoef(ours[both].ravel(), truth[both].ravel())[0, 1] == pytest.approx(0.9857, abs=5e-4)


def test_golden_legacy_wells(golden):
    wells = open_wells(golden / "real-314/1.wells", golden / "real-314/bfmask.bin")
    assert wells.shape == (50, 50, 260) and wells.form == "legacy" and wells.present.all()
    assert wells.flow_order.letters.startswith("TACGTACGTCTGAGCATCGATCG")
    record = np.frombuffer((golden / "real-314/1.wells").read_bytes(), "<f4,<f4,260<f4", offset=266)
    assert record.shape == (2500,)
    assert np.isfinite(wells[:]).all()


# ---- indexing


@st.composite
def axis_indices(draw, length):
    kind = draw(st.sampled_from(["int", "slice", "array"]))
    if kind == "int":
        return draw(st.integers(-length, length - 1))
    if kind == "slice":
        return draw(st.slices(length))
    return np.array(draw(st.lists(st.integers(-length, length - 1), max_size=4)), int)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    values, copies = random_chip((60, 52, 70), seed=3)
    wells = write(tmp_path_factory.mktemp("small") / "1.wells", values, copies, compression=1)
    return wells, wells[...]


@given(st.data())
@settings(max_examples=200)
def test_indexing_is_that_of_numpy(small, data):
    wells, whole = small
    index = tuple(data.draw(axis_indices(n)) for n in wells.shape[: data.draw(st.integers(1, 3))])
    if sum(isinstance(part, np.ndarray) for part in index) == 1 or all(not isinstance(p, np.ndarray) for p in index):
        expected = whole
        for axis in range(len(index) - 1, -1, -1):
            expected = expected[(slice(None),) * axis + (index[axis],)]
        assert_array_equal(wells[index], expected)


@given(st.lists(st.tuples(st.integers(-60, 59), st.integers(-52, 51)), min_size=1, max_size=30))
def test_pairs_of_rows_and_columns_pick_wells(small, pairs):
    wells, whole = small
    rows, cols = np.array(pairs).T
    assert_array_equal(wells[rows, cols], whole[rows, cols])
    assert_array_equal(wells[rows, cols, 5:60:7], whole[rows, cols, 5:60:7])


def test_a_bool_array_picks_wells(small):
    wells, whole = small
    assert_array_equal(wells[wells.present], whole[wells.present])
    assert_array_equal(wells[..., 3], whole[..., 3])


@pytest.mark.parametrize("index", [60, (0, -53), (0, 0, 70), (0, 0, 0, 0), ([60], [0]), (np.zeros((2, 2), bool),)])
def test_indices_outside_are_index_errors(small, index):
    with pytest.raises(IndexError):
        small[0][index]


def test_wells_travel_to_other_processes(small):
    wells, whole = small
    assert_array_equal(pickle.loads(pickle.dumps(wells))[:10], whole[:10])


def test_a_mask_given_by_its_path_travels_as_the_path(golden):
    wells = open_wells(golden / "calls-s60/1.wells", golden / "calls-s60/analysis.bfmask.bin")
    sent = pickle.dumps(wells)
    assert len(sent) < 1000 and pickle.loads(sent).mask == wells.mask


def test_threads_share_wells(small):
    wells, whole = small
    blocks = Block(0, 0, 60, 52).tiles(13, 17)
    with ThreadPoolExecutor(4) as pool:
        for block, signal in zip(blocks, pool.map(lambda block: wells[block.slices], blocks), strict=True):
            assert_array_equal(signal, whole[block.slices])


def test_closed_wells_open_again(small):
    wells, whole = small
    with wells:
        pass
    assert_array_equal(wells[1, 2], whole[1, 2])


def test_repr_says_what_the_file_holds(small):
    assert repr(small[0]) == "Wells(1.wells: 60 x 52 wells, 70 flows, uint16 with copies)"


# ---- writing


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("has_copies", [False, True])
@pytest.mark.parametrize("compression", [0, 3])
def test_what_was_written_is_read(tmp_path, dtype, has_copies, compression):
    values, copies = random_chip()
    wells = write(tmp_path / "w", values, copies if has_copies else None, dtype=dtype, compression=compression)
    tolerance = (copies.max() if has_copies else 1) * 33 / 65535 / 2 + 1e-5 if dtype == "uint16" else 1e-6
    assert_allclose(wells[:], usable(values, copies) if has_copies else values, atol=tolerance)
    if has_copies and dtype == "uint16":
        assert_array_equal(wells.copies, copies)


@pytest.mark.parametrize("compression", [0, 3])
def test_bytes_do_not_depend_on_how_the_chip_is_cut(tmp_path, compression):
    values, copies = random_chip()
    write(tmp_path / "whole", values, copies, compression=compression)
    write(tmp_path / "tiles", values, copies, tiles=(33, 50), compression=compression)
    options = {"has_copies": True, "compression": compression}
    with WellsWriter(tmp_path / "flows", (120, 70), FlowOrder("TACG", 100), **options) as writer:
        for block in reversed(Block(0, 0, 120, 70).tiles(50, 50)):
            for flows in (slice(60, 100), slice(0, 60)):
                writer.write(block, values[block.slices][..., flows], copies[block.slices], flows)
    whole = (tmp_path / "whole").read_bytes()
    assert whole == (tmp_path / "tiles").read_bytes() == (tmp_path / "flows").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "tiles", "flows"}


def test_plain_hdf5_readers_find_the_layout_of_the_original(tmp_path):
    values, copies = random_chip()
    write(tmp_path / "w", values, copies, info={"ChipType": "540", "Sample": "müll"}, compression=3)
    with h5py.File(tmp_path / "w") as file:
        assert set(file) == {"wells", "ranks", "info_keys", "info_values", "wells_copies"}
        assert file["wells"].chunks == (50, 50, 60) and file["wells"].compression_opts == 3
        assert file["ranks"].dtype == np.int32 and not file["ranks"][:].any()
        assert file["wells"].attrs["convert_low"].tolist() == [-5] and file["wells"].attrs["convert_high"] == [28]
        info = dict(zip(file["info_keys"][:], file["info_values"][:], strict=True))
        assert_array_equal(file["wells"][:], quantise(values))
    assert info[b"RAWWELLS_VERSION"] == b"2" and info[b"FLOW_ORDER"] == b"TACG" * 25
    assert info[b"ChipType"] == b"540" and info[b"Sample"].decode() == "müll"


def test_copies_given_once_hold_for_later_flows(tmp_path):
    with WellsWriter(tmp_path / "w", (1, 2), FlowOrder("TA", 2), dtype="float32", has_copies=True) as writer:
        writer.write(Block(0, 0, 1, 2), [[[1], [1]]], [[2, 0]], slice(0, 1))
        writer.write(Block(0, 0, 1, 2), [[[3], [1]]], flows=slice(1, 2))
    assert open_wells(tmp_path / "w")[0].tolist() == [[2, 6], [-1, -1]]


def test_wells_never_written_hold_no_signal(tmp_path):
    with WellsWriter(tmp_path / "w", (3, 2), FlowOrder("TACG", 4)) as writer:
        writer.write(Block(0, 0, 1, 1), [[[1, 2, 3, 4]]])
    assert_allclose(open_wells(tmp_path / "w")[1:], 0, atol=3e-4)


def test_an_error_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError), WellsWriter(tmp_path / "w", (3, 2), FlowOrder("TACG", 4), compression=1):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", [0, 3])
def test_what_a_kill_would_leave_has_the_name_that_resume_sweeps(tmp_path, compression):
    with WellsWriter(tmp_path / "w", (3, 2), FlowOrder("TACG", 4), compression=compression):
        found = list(tmp_path.iterdir())
    assert found and all(path.name.startswith(".w.") and path.suffix == ".part" for path in found)


def test_a_missing_directory_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        WellsWriter(tmp_path / "none" / "w", (3, 2), FlowOrder("TACG", 4))


@pytest.mark.parametrize(
    "block, shape, flows",
    [
        ((0, 0, 3, 2), (3, 2, 3), slice(None)),
        ((1, 0, 3, 2), (3, 2, 4), slice(None)),
        ((0, 0, 3, 2), (3, 2, 2), slice(0, 4, 2)),
    ],
)
def test_signals_that_do_not_fit_are_refused(tmp_path, block, shape, flows):
    with pytest.raises(InputError), WellsWriter(tmp_path / "w", (3, 2), FlowOrder("TACG", 4)) as writer:
        writer.write(Block(*block), np.zeros(shape), flows=flows)


def test_nan_reads_as_no_signal_and_stays_in_what_is_stored(tmp_path):
    values = np.full((2, 2, 4), np.nan, np.float32)
    values[1, 1] = [1, np.inf, -np.inf, 2]
    wells = write(tmp_path / "w", values, dtype="float32")
    assert wells[1, 1].tolist() == [1, 0, 0, 2] and not wells[0].any()
    assert_array_equal(wells.stored(), values)


def test_damaged_copies_give_no_signal(tmp_path):
    wells = write(tmp_path / "w", np.full((1, 4, 2), 20.0), np.array([[3e38, np.inf, np.nan, 2]], np.float32))
    assert_allclose(wells[0, :, 0], [0, 0, -1, 40], rtol=1e-3)


# ---- other writers' files


def edited(tmp_path, edit):
    """A small wells file after `edit(file)`."""
    values, copies = random_chip((4, 5, 8))
    write(tmp_path / "w", values, copies)
    with h5py.File(tmp_path / "w", "r+") as file:
        edit(file)
    return tmp_path / "w"


def replaced(name, **new):
    def edit(file):
        del file[name]
        if new:
            file.create_dataset(name, **new)

    return edit


@pytest.mark.parametrize(
    "edit, message",
    [
        (replaced("wells"), "no dataset wells"),
        (replaced("wells", data=np.zeros((4, 5), np.float32)), "expected 3 axes"),
        (replaced("wells", shape=(4, 5, 0), dtype="f4"), "none of them empty"),
        (replaced("wells", data=np.zeros((4, 5, 8), np.uint16)), "convert_low"),
        (replaced("wells", shape=(50_000, 50_000, 1000), dtype="f4", chunks=(50, 50, 60)), "most are missing"),
        (replaced("wells", shape=(50_000, 50_000, 1000), dtype="f4", chunks=(5000, 5000, 100)), "can hold"),
        (replaced("info_keys"), "no dataset info_keys"),
        (replaced("info_keys", data=[b"FLOW_ORDER"]), "1 info keys and 2 values"),
        (replaced("info_values", data=[b"2", b""]), "FLOW_ORDER"),
        (replaced("info_values", data=[b"2", b"TAXG"]), "flow order 'TAXG'"),
        (replaced("info_values", data=[2, 3]), "expected a list of texts"),
        (lambda file: file["wells"].attrs.__setitem__("convert_low", [30.0]), "rising range"),
    ],
)
def test_wells_of_another_form_are_refused(tmp_path, edit, message):
    with pytest.raises(InputError, match=message):
        open_wells(edited(tmp_path, edit))


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b"X"), (8, b"\xff" * 8), (16, b"\xcb"), (24, b"\xff" * 8), (24, bytes(8)), (16, b"\0")],
    ids=["signature", "size", "number", "endless text", "empty text", "free space"],
)
def test_damaged_heaps_of_texts_are_refused(tmp_path, place, value):
    """HDF5 itself never comes back from some of these."""
    write(tmp_path / "w", random_chip((4, 5, 8))[0])
    content = bytearray((tmp_path / "w").read_bytes())
    heap = content.index(b"GCOL") + place
    content[heap : heap + len(value)] = value
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(InputError, match=r"of texts at byte|is not in its heap"):
        open_wells(tmp_path / "w")


def test_info_texts_of_other_writers_are_read(tmp_path):
    texts = {"FLOW_ORDER": "TACG", "note": "", "long": "x" * 9000, "name": "Gr\u00fcn"}
    for layout in ({"chunks": (3,)}, {"chunks": (3,), "compression": "gzip"}, {}):

        def edit(file, layout=layout):
            for name, content in (("info_keys", texts.keys()), ("info_values", texts.values())):
                del file[name]
                file.create_dataset(name, data=list(content), dtype=h5py.string_dtype(), **layout)

        assert open_wells(edited(tmp_path, edit)).info == texts


@pytest.mark.parametrize("name", ["wells", "info_keys", "ranks"])
def test_types_that_numpy_does_not_know_are_refused(tmp_path, name):
    def edit(file):
        space = file[name].id.get_space()
        del file[name]
        h5py.h5d.create(file.id, name.encode(), h5py.h5t.UNIX_D32LE, space)

    with pytest.raises(InputError, match="cannot be read as HDF5"):
        open_wells(edited(tmp_path, edit))


@pytest.mark.parametrize("name", ["ranks", "wells_copies"])
def test_optional_datasets_may_be_missing_or_of_another_shape(tmp_path, name):
    assert open_wells(edited(tmp_path, replaced(name))).shape == (4, 5, 8)
    wells = open_wells(edited(tmp_path, replaced(name, data=np.ones((2, 2), np.float32))))
    assert not wells.ranks.any() and wells[0, 0].shape == (8,)


@pytest.mark.parametrize(
    "storage", [{}, {"chunks": (2, 5, 3), "shuffle": True, "compression": "gzip"}, {"chunks": (3, 2, 7)}]
)
def test_other_storage_layouts_are_read(tmp_path, storage):
    values = random_chip((4, 5, 8))[0]
    wells = open_wells(edited(tmp_path, replaced("wells", data=values, **storage)))
    assert_array_equal(wells[1:, ::2, 3:], values[1:, ::2, 3:])


def test_chunks_that_were_never_stored_read_as_the_fill_value(tmp_path):
    def edit(file):
        del file["wells"]
        wells = file.create_dataset("wells", (4, 5, 8), "f4", chunks=(2, 5, 8), fillvalue=-1)
        wells[:2] = 3

    assert open_wells(edited(tmp_path, edit))[:, 0, 0].tolist() == [3, 3, -1, -1]


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"x" * 500, b"text\n" * 100])
def test_files_that_are_no_wells_are_refused(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(InputError, match="w: "):
        open_wells(tmp_path / "w")


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        open_wells(tmp_path / "w")


def test_the_mask_must_have_the_same_shape(golden):
    with pytest.raises(InputError, match="the mask has 50 x 50"):
        open_wells(golden / "calls-s60/1.wells", golden / "real-314/bfmask.bin")


# ---- legacy files


@given(st.sets(st.tuples(st.integers(0, 8), st.integers(0, 7)), min_size=1), st.randoms())
def test_legacy_records_come_in_any_order(tmp_path_factory, places, random):
    path = tmp_path_factory.getbasetemp() / "legacy.wells"
    places = sorted(places)
    random.shuffle(places)
    rows, cols = np.array(places).T
    signal = np.random.default_rng(len(places)).normal(size=(len(places), 6)).astype(np.float32)
    write_legacy_wells(path, signal, FlowOrder("TACG", 6), rows=rows, cols=cols, ranks=rows + 7)
    wells = open_wells(path, Mask(np.zeros((9, 8))))
    assert wells.shape == (9, 8, 6) and wells.flow_order == FlowOrder("TACG", 6)
    assert_array_equal(wells[rows, cols], signal)
    assert_array_equal(wells.ranks[rows, cols], rows + 7)
    assert wells.present.sum() == len(places) and not wells[~wells.present].any()


def legacy(path, rows, cols):
    signal = np.ones((len(rows), 4), np.float32)
    write_legacy_wells(path, signal, FlowOrder("TACG", 4), rows=rows, cols=cols)
    return path


def test_legacy_chips_end_at_the_greatest_coordinates(tmp_path):
    assert open_wells(legacy(tmp_path / "w", [4, 0], [2, 6])).shape == (5, 7, 4)


def test_legacy_wells_that_come_twice_are_refused(tmp_path):
    with pytest.raises(InputError, match="row 4, column 2 comes twice"):
        open_wells(legacy(tmp_path / "w", [4, 0, 4], [2, 6, 2]))


def test_legacy_wells_outside_the_mask_are_refused(tmp_path):
    with pytest.raises(InputError, match="5 x 7 wells; the mask has 5 x 6"):
        open_wells(legacy(tmp_path / "w", [4, 0], [2, 6]), Mask(np.zeros((5, 6))))


def test_legacy_coordinates_no_chip_has_are_refused(tmp_path):
    with pytest.raises(InputError, match="no chip of that time"):
        open_wells(legacy(tmp_path / "w", [65_535], [65_535]))


@pytest.mark.parametrize("n_bytes", [0, 5, 6, 9, 10, 50, -1])
def test_cut_legacy_wells_are_refused(tmp_path, n_bytes):
    path = legacy(tmp_path / "w", [4, 0], [2, 6])
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(InputError, match="w: "):
        open_wells(path)


def test_copies_of_a_rectangle_are_those_of_the_whole(golden):
    wells = open_wells(golden / "calls-s60/1.wells")
    assert_array_equal(wells.copies_of(slice(3, 9), slice(-20, None)), wells.copies[3:9, -20:])
