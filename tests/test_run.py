"""Run directories as objects."""

import pickle

import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.io.dat import write_dat
from ionanalysis.io.explog import write_explog
from ionanalysis.run import open_run
from ionanalysis.wells import open_wells

TIMES = [66, 133, 200]


def write_flows(directory, numbers, n_rows=4, n_cols=8):
    directory.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        frames = np.full((3, n_rows, n_cols), 8000 + number)
        write_dat(directory / f"acq_{number:04d}.dat", frames, TIMES)


def test_run_with_a_log(raw48):
    run = open_run(raw48)
    assert (run.chip, run.n_rows, run.n_cols, run.n_flows) == ("530", 48, 48, 40)
    assert run.flow_order.cycle == "TACGTACGTCTGAGCATCGATCGATGTACAGC"
    assert (run.library_key, run.tf_key, run.offset) == ("TCAG", "ATCG", (0, 0))
    assert run.blocks == (Block(0, 0, 48, 48),)
    assert run.beadfind().frames.shape == (105, 48, 48)
    run.expect_flows()


def test_a_directory_in_the_place_of_an_image_is_a_missing_flow(tmp_path):
    write_flows(tmp_path, range(4))
    write_explog(tmp_path / "explog.txt", {"Flows": 5})
    (tmp_path / "acq_0004.dat").mkdir()
    with pytest.raises(InputError, match=r"1 flow has no image, the first is flow 4 \(acq_0004.dat\)"):
        open_run(tmp_path).expect_flows()


def test_run_without_a_log(golden):
    run = open_run(golden / "real-314")
    assert (run.n_rows, run.n_cols, run.n_flows, run.flow_order.letters) == (50, 50, 8, "TACGTACG")
    assert run.explog is None
    assert run.beadfind() is None
    assert run.flow(7, slice(0, 10), slice(40, 50)).frames.shape == (74, 10, 10)


def test_a_run_survives_pickling(raw48):
    run = open_run(raw48)
    assert pickle.loads(pickle.dumps(run)) == run


def test_run_id_comes_from_the_data_not_from_the_path(tmp_path):
    for name in ("one", "two"):
        write_flows(tmp_path / name, [0, 1])
    assert open_run(tmp_path / "one").run_id == open_run(tmp_path / "two").run_id
    write_flows(tmp_path / "two", [0], n_cols=16)
    assert open_run(tmp_path / "one").run_id != open_run(tmp_path / "two").run_id
    assert len(open_run(tmp_path / "one").run_id) == 5


def test_missing_flow_says_which_exist(tmp_path):
    write_flows(tmp_path, [0, 1, 3])
    write_explog(tmp_path / "explog.txt", {"Flows": 5, "Image Map": "TACG"})
    run = open_run(tmp_path)
    assert run.present_flows() == [0, 1, 3]
    with pytest.raises(InputError, match="flow 2 is missing; flows 0 to 1, 3 exist"):
        run.flow(2)
    with pytest.raises(InputError, match="2 flows have no image, the first is flow 2"):
        run.expect_flows()
    run.expect_flows(2)


def test_flow_beyond_the_run(tmp_path):
    write_flows(tmp_path, [0])
    with pytest.raises(InputError, match="flows 0 to 0"):
        open_run(tmp_path).flow(1)


def test_an_image_of_another_size_is_refused(tmp_path):
    write_flows(tmp_path, [0])
    write_flows(tmp_path, [1], n_rows=5)
    with pytest.raises(InputError, match="same size"):
        open_run(tmp_path).flow(1)


def test_wash_flows_are_skipped_in_file_names(tmp_path):
    write_flows(tmp_path, range(10))
    write_explog(tmp_path / "explog.txt", {"Flows": 8, "Image Map": "5 0 r4 1 r3 2 r2 3 r1 4 w"})
    run = open_run(tmp_path)
    assert [run.flow_path(flow).name[4:8] for flow in (0, 3, 4, 7)] == ["0000", "0003", "0005", "0008"]
    assert run.flow(4).frames[0, 0, 0] == 8005


def test_blocks_of_a_chip(tmp_path):
    for col, row in ((0, 0), (8, 0), (0, 4), (8, 4)):
        write_flows(tmp_path / f"X{col}_Y{row}", [0, 1])
    (tmp_path / "thumbnail").mkdir()
    write_explog(tmp_path / "explog.txt", {"Flows": 2, "ChipType": "541"})
    run = open_run(tmp_path)
    assert run.blocks == (Block(0, 0, 4, 8), Block(0, 8, 4, 8), Block(4, 0, 4, 8), Block(4, 8, 4, 8))
    assert (run.n_rows, run.n_cols) == (8, 16)
    with pytest.raises(InputError, match="open_block"):
        run.flow(0)
    block = run.open_block(run.blocks[3])
    assert (block.offset, block.n_rows, block.run_id) == ((4, 8), 4, run.run_id)
    assert block.flow(1).frames[0, 0, 0] == 8001


def test_blocks_that_were_not_copied_are_named(tmp_path):
    write_flows(tmp_path / "X0_Y0", [0])
    entries = [(f"block_00{i}", f"X{8 * i}, Y0, W8, H4, AutoAnalyze:{int(i < 2)}") for i in range(3)]
    write_explog(tmp_path / "explog.txt", [*entries, ("Rows", "4"), ("Columns", "24"), ("Flows", "1")])
    run = open_run(tmp_path)
    assert (run.n_rows, run.n_cols, run.blocks) == (4, 24, (Block(0, 0, 4, 8),))
    assert run.missing_blocks() == (Block(0, 8, 4, 8),)


def test_a_given_flow_order_does_not_move_wash_flows(tmp_path):
    write_flows(tmp_path, range(10))
    write_explog(tmp_path / "explog.txt", {"Flows": 8, "Image Map": "5 0 r4 1 r3 2 r2 3 r1 4 w"})
    assert open_run(tmp_path, flow_order="TACGTACG").flow_path(4).name == "acq_0005.dat"


def test_a_block_opened_alone_finds_the_log_of_its_chip(tmp_path):
    write_flows(tmp_path / "X8_Y4", [0, 1])
    write_explog(tmp_path / "explog.txt", {"Flows": 2, "ChipType": "541"})
    run = open_run(tmp_path / "X8_Y4")
    assert (run.chip, run.offset, run.run_id) == ("541", (4, 8), open_run(tmp_path).run_id)


def test_names_of_images_can_differ(tmp_path):
    write_dat(tmp_path / "img_0000.raw", np.zeros((3, 4, 8), int), TIMES)
    run = open_run(tmp_path, prefix="img_", suffix=".raw", flow_order="TCAG")
    assert (run.n_flows, run.flow_order.letters) == (1, "T")


def test_a_flow_is_complete_when_the_next_one_or_the_end_of_the_run_exists(tmp_path):
    write_flows(tmp_path, [0, 1])
    run = open_run(tmp_path)
    assert (run.is_complete(0), run.is_complete(1)) == (True, False)
    (tmp_path / "explog_final.txt").touch()
    assert run.is_complete(1)


@pytest.mark.parametrize("made", [False, True])
def test_no_run_there(tmp_path, made):
    path = tmp_path / "run"
    if made:
        path.mkdir()
    with pytest.raises(InputError, match=r"acq_0000\.dat"):
        open_run(path)


def test_repr_tells_what_matters(raw48):
    assert "chip 530, 48 x 48 wells, 40 flows of TACG" in repr(open_run(raw48))


def test_images_and_wells_of_a_real_chip_lie_alike(golden):
    """The key flow G of real-314 rises where its wells file says so; with columns swapped once more it does not."""
    frames = open_run(golden / "real-314").flow(7).frames.astype(np.float32)
    rise = frames - frames[0]
    rise -= np.median(rise, axis=(1, 2), keepdims=True)
    rise = rise[8:40].mean(axis=0)
    signal = open_wells(golden / "real-314" / "1.wells")[:, :, 7:8][..., 0]
    swapped = rise.reshape(50, 25, 2)[:, :, ::-1].reshape(50, 50)
    assert np.corrcoef(rise.ravel(), signal.ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(swapped.ravel(), signal.ravel())[0, 1]) < 0.1
