"""Which wells are called: rectangles, samples, unfiltered sets; what the files then hold (basecaller.md 2.1, 13.6)."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ionanalysis.basecaller.choice import choose_wells, tiles_within
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.signals import SignalSource
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller, run_phase_estimation
from ionanalysis.blocks import Block
from ionanalysis.errors import OutputError, UsageError
from ionanalysis.io.mask import NO_READ, Mask, WellFlag, read_barcode_mask, read_mask, write_mask
from ionanalysis.options.basecaller import PhaseOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.simulate import simulate

ROWS, COLS = (7, 19), (4, 21)
PHASE = (0.006, 0.005, 0.001)


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """Paths of wells and mask of 24 x 26 wells, some filtered by signal processing."""
    folder = tmp_path_factory.mktemp("choice")
    made = simulate(size=(24, 26), flows=100, seed=77, path=folder / "run", polyclonal=0.0)
    flags = made.mask.flags.copy()
    library = np.flatnonzero((flags & WellFlag.LIB) != 0)
    flags.flat[library[::9]] |= np.uint16(WellFlag.FILTERED_BAD_KEY)
    (wells,) = (folder / "run").rglob("1.wells")
    (mask,) = (folder / "run").rglob("analysis.bfmask.bin")
    write_mask(mask, Mask(flags))
    return wells, mask


def called(chip, folder, *, n_threads=1, **stage):
    options = BasecallerOptions(stage=StageOptions(**{"num_unfiltered": 40, **stage}), phase=PhaseOptions(phase=PHASE))
    inputs = BasecallerInputs(wells=chip[0], mask=chip[1], run_id="CHOSE", run_date="2026-11-23T20:45:48")
    with ThreadPoolExecutor(n_threads) as executor:
        run_basecaller(inputs, folder, options, executor=executor)
    return folder


def reads_of(path):
    """(row, col) and bases of the reads of a BAM, in its order."""
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return [(*map(int, read.query_name.split(":")[1:]), read.query_sequence) for read in bam]


def read_details(folder):
    return json.loads((folder / "BaseCaller.json").read_text())["Filtering"]["ReadDetails"]


@pytest.fixture(scope="module")
def whole(chip, tmp_path_factory):
    return called(chip, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def part(chip, tmp_path_factory):
    return called(chip, tmp_path_factory.mktemp("part"), rows=ROWS, cols=COLS, region_rows=5, region_cols=6)


def inside(row, col):
    return (ROWS[0] <= row) & (row < ROWS[1]) & (COLS[0] <= col) & (col < COLS[1])


def test_a_rectangle_gives_the_reads_of_the_whole_block_in_it(whole, part):
    expected = {read for read in reads_of(whole / "rawlib.basecaller.bam") if inside(*read[:2])}
    assert len(expected) > 50
    assert set(reads_of(part / "rawlib.basecaller.bam")) == expected


def test_files_of_a_rectangle_have_the_shape_of_the_block(chip, whole, part):
    # 13.6: in the original the array of verdicts has the rectangle's size, but is indexed by the block.
    before, final = read_mask(chip[1]), read_mask(part / "basecaller.bfmask.bin")
    assert final.shape == before.shape
    row, col = np.indices(final.shape)
    here = inside(row, col)
    complete = read_mask(whole / "basecaller.bfmask.bin").flags
    assert_array_equal(final.flags[here], complete[here])
    # Wells never visited keep none of the bits of base calling, and all others.
    assert_array_equal(final.flags[~here], before.flags[~here] & (~WellFlag.BASECALLER & 0xFFFF))
    barcodes = read_barcode_mask(part / "barcodeMask.bin")
    assert (barcodes[~here] == NO_READ).all()
    kept = final.matches(WellFlag.KEYPASS | WellFlag.FILTERED_SHORT) & final.matches(WellFlag.LIB)
    assert (barcodes[kept] == 0).all()
    kept = np.argwhere(final.matches(WellFlag.KEYPASS))
    names = [read[:2] for name in ("rawlib", "rawtf") for read in reads_of(part / f"{name}.basecaller.bam")]
    assert sorted(map(tuple, kept.tolist())) == sorted(names)


def test_counts_of_a_rectangle_add_up(chip, part):
    mask = read_mask(chip[1])
    row, col = np.indices(mask.shape)
    for kind, flag in (("lib", WellFlag.LIB), ("tf", WellFlag.TF)):
        assert sum(read_details(part)[kind].values()) == (mask.matches(flag) & inside(row, col)).sum()
    about = json.loads((part / "BaseCaller.json").read_text())["BaseCaller"]
    assert (about["block_row_size"], about["block_col_size"]) == mask.shape


def test_the_unfiltered_sample_of_a_rectangle_lies_in_it(part):
    lines = (part / "unfiltered.trimmed/filterStatus.txt").read_text().splitlines()[1:]
    places = [tuple(map(int, line.split("\t")))[:2] for line in lines]
    assert len(places) == 40
    assert all(inside(row, col) for col, row in places)
    final = read_mask(part / "basecaller.bfmask.bin").matches(WellFlag.KEYPASS)
    assert [int(line.split("\t")[3]) for line in lines] == [int(final[row, col]) for col, row in places]


def test_a_rectangle_outside_of_the_block_is_refused(chip, tmp_path):
    with pytest.raises(UsageError, match="--rows 30-40 lies outside of the block, which has 24 rows"):
        called(chip, tmp_path / "out", rows=(30, 40))
    assert not (tmp_path / "out").exists()
    # One that reaches out of it ends with it.
    assert len(reads_of(called(chip, tmp_path / "end", rows=(20, 99)) / "rawlib.basecaller.bam")) > 20


def test_a_smaller_sample_is_the_same_for_any_threads_and_regions(chip, whole, tmp_path):
    one = called(chip, tmp_path / "1", downsample_size=60)
    two = called(chip, tmp_path / "2", downsample_size=60, n_threads=2, region_rows=7, region_cols=9)
    chosen = {name: sorted(reads_of(one / f"{name}.basecaller.bam")) for name in ("rawlib", "rawtf")}
    assert chosen == {name: sorted(reads_of(two / f"{name}.basecaller.bam")) for name in chosen}
    assert set(chosen["rawlib"]) <= set(reads_of(whole / "rawlib.basecaller.bam"))
    assert 40 < sum(map(len, chosen.values())) <= 60
    details = read_details(one)
    # Wells that signal processing filtered are still counted.
    removed = details["lib"]["bkgmodel_keypass"]
    assert removed == read_details(whole)["lib"]["bkgmodel_keypass"] > 20
    assert sum(details["lib"].values()) + sum(details["tf"].values()) - removed == 60


def test_a_fraction_of_the_usable_wells_is_called(chip, tmp_path):
    usable = int(read_classes(read_mask(chip[1])).valid.sum())
    details = read_details(called(chip, tmp_path, downsample_fraction=0.25))
    counted = sum(sum(details[kind].values()) for kind in ("lib", "tf"))
    assert counted - details["lib"]["bkgmodel_keypass"] == usable // 4


def test_only_the_unfiltered_set_is_called(chip, whole, tmp_path):
    folder = called(chip, tmp_path, only_process_unfiltered_set=True)
    for name in ("unfiltered.trimmed", "unfiltered.untrimmed"):
        assert reads_of(folder / name / "rawlib.basecaller.bam") == reads_of(whole / name / "rawlib.basecaller.bam")
    sampled = {read[:2] for read in reads_of(folder / "unfiltered.untrimmed/rawlib.basecaller.bam")}
    assert {read[:2] for read in reads_of(folder / "rawlib.basecaller.bam")} <= sampled
    assert sum(read_details(folder)["lib"].values()) == 40
    assert sum(read_details(folder)["tf"].values()) == 0
    assert not (folder / "rawtf.basecaller.bam").exists()


def test_just_phase_estimation_writes_its_file_and_nothing_else(chip, tmp_path):
    inputs = BasecallerInputs(wells=chip[0], mask=chip[1], run_id="PHASE", offset=(100, 200))
    options = BasecallerOptions(stage=StageOptions(rows=(0, 20)))
    phase = run_phase_estimation(inputs, tmp_path / "out", options, command_line="test")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["PhaseEstimates.json"]
    content = json.loads((tmp_path / "out/PhaseEstimates.json").read_text())
    assert set(content) == {"BaseCaller", "Phasing", "TrainSubset"}
    assert content["BaseCaller"]["block_col_offset"] == 200
    again = PhaseEstimate.read(tmp_path / "out/PhaseEstimates.json", (24, 26))
    assert_array_equal(again.at([3, 4], [9, 9]), phase.at([3, 4], [9, 9]))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        run_phase_estimation(inputs, tmp_path / "file/out", options)


def test_a_saved_estimate_gives_the_same_reads(chip, tmp_path):
    inputs = BasecallerInputs(wells=chip[0], mask=chip[1], run_id="AGAIN", run_date="2026-11-23T20:45:48")
    with ThreadPoolExecutor(1) as executor:
        run_basecaller(inputs, tmp_path / "one", executor=executor)
        saved = BasecallerOptions(phase=PhaseOptions(phase_file=str(tmp_path / "one/BaseCaller.json")))
        run_basecaller(inputs, tmp_path / "two", saved, executor=executor)
    one, two = (tmp_path / name / "rawlib.basecaller.bam" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    for section in ("Phasing", "TrainSubset", "Filtering"):
        first, second = (json.loads((tmp_path / name / "BaseCaller.json").read_text()) for name in ("one", "two"))
        assert first[section] == second[section]


def test_no_more_than_a_region_is_read_at_a_time(chip, tmp_path, monkeypatch):
    sizes = []
    read = SignalSource.read

    def noted(source, block, *about):
        sizes.append(block.n_wells)
        return read(source, block, *about)

    monkeypatch.setattr(SignalSource, "read", noted)
    called(chip, tmp_path, region_rows=6, region_cols=5)
    assert len(sizes) == 4 * 6
    assert max(sizes) == 30


def test_options_contradict_themselves():
    with pytest.raises(UsageError, match="by size and by fraction"):
        StageOptions(downsample_size=5, downsample_fraction=0.5)
    with pytest.raises(UsageError, match="rows 9,9"):
        StageOptions(rows=(9, 9))
    with pytest.raises(UsageError, match="cols 9"):
        StageOptions(cols=(9,))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12), st.data())
def test_tiles_cover_the_rectangle_once_and_keep_the_blocks_cuts(n_rows, n_cols, height, width, data):
    row, col = data.draw(st.integers(0, n_rows - 1)), data.draw(st.integers(0, n_cols - 1))
    area = Block(row, col, data.draw(st.integers(1, n_rows - row)), data.draw(st.integers(1, n_cols - col)))
    covered = np.zeros((n_rows, n_cols), int)
    for tile in tiles_within(area, (n_rows, n_cols), height, width):
        covered[tile.slices] += 1
        assert tile.row // height == (tile.row + tile.n_rows - 1) // height
        assert tile.col // width == (tile.col + tile.n_cols - 1) // width
    expected = np.zeros_like(covered)
    expected[area.slices] = 1
    assert_array_equal(covered, expected)


def test_samples_are_random_but_fixed():
    mask = Mask(np.full((50, 50), WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB, np.uint16))
    classes = read_classes(mask)
    first, again = (choose_wells(classes, StageOptions(downsample_size=500, num_unfiltered=100)) for _ in range(2))
    assert_array_equal(first.called, again.called)
    assert_array_equal(first.sampled, again.sampled)
    assert (first.called.sum(), first.sampled.sum()) == (500, 100)
    assert not (first.sampled & ~first.called).any()
    # All over the block, not its first rows.
    assert (first.called.sum(axis=1) > 0).all()
