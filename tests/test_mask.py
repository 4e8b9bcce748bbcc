"""Masks: golden facts, the worked bytes of basecaller.md 12.3, round trips, error paths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.io.mask import (
    Mask,
    WellFlag,
    inconsistencies,
    read_barcode_mask,
    read_exclusion_mask,
    read_mask,
    write_barcode_mask,
    write_exclusion_mask,
    write_mask,
)
from ionanalysis.io.mask_stats import mask_stats, read_mask_stats, write_mask_stats

F = WellFlag
LIB = F.BEAD | F.LIVE | F.LIB
WORKED = Mask(
    [[F.EMPTY, LIB, F.EXCLUDE], [F.BEAD | F.LIVE | F.TF, F.BEAD | F.DUD, LIB | F.KEYPASS]]  # type: ignore[arg-type]
)
WORKED_BYTES = bytes.fromhex("02 00 00 00 03 00 00 00 01 00 46 00 00 04 26 00 0A 00 46 08")

masks = arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12)).map(Mask)


def test_worked_mask_has_the_bytes_of_the_spec(tmp_path):
    write_mask(tmp_path / "m", WORKED)
    assert (tmp_path / "m").read_bytes() == WORKED_BYTES
    assert read_mask(tmp_path / "m") == WORKED


@pytest.mark.parametrize(
    "flags, value",
    [
        (LIB, 0x0046),
        (F.BEAD | F.LIVE | F.TF, 0x0026),
        (F.BEAD | F.DUD, 0x000A),
        (LIB | F.KEYPASS, 0x0846),
        (LIB | F.FILTERED_BAD_KEY, 0x1046),
        (LIB | F.FILTERED_BAD_PPF, 0x4046),
        (LIB | F.FILTERED_BAD_RESIDUAL, 0x8046),
        (F.FILTERED, 0xD000),
        (F.BASECALLER, 0xF800),
    ],
)
def test_combinations_have_the_values_of_the_spec(flags, value):
    assert flags == value


@given(masks)
def test_masks_survive_writing_and_reading(tmp_path_factory, mask):
    path = tmp_path_factory.getbasetemp() / "mask.bin"
    write_mask(path, mask)
    assert read_mask(path) == mask


@given(masks, st.integers(0, 0xFFFF))
def test_setting_and_clearing_flags(mask, flags):
    assert mask.with_flags(flags).matches_all(flags).all()
    assert not mask.without_flags(flags).matches(flags).any()
    assert mask.with_flags(flags, mask.matches(flags)).matches(flags).sum() == mask.matches(flags).sum()


def test_flags_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="read-only"):
        WORKED.flags[0, 0] = 0


def test_a_block_is_cut_out_and_may_not_reach_beyond():
    assert WORKED.cut(Block(0, 1, 2, 2)).flags.tolist() == [[0x46, 0x400], [0x0A, 0x846]]
    with pytest.raises(InputError, match="reaches beyond"):
        WORKED.cut(Block(0, 2, 2, 2))


def test_consistent_masks_have_nothing_to_report():
    assert inconsistencies(WORKED) == []


@pytest.mark.parametrize(
    "flags, rule",
    [
        (F.BEAD | F.EMPTY, "both BEAD and EMPTY"),
        (F.BEAD | F.EXCLUDE, "both BEAD and EXCLUDE"),
        (F.EMPTY | F.EXCLUDE, "both EMPTY and EXCLUDE"),
        (F.BEAD | F.LIVE | F.DUD, "both LIVE and DUD"),
        (LIB | F.TF, "both TF and LIB"),
        (F.LIVE, "LIVE without BEAD"),
        (F.DUD, "DUD without BEAD"),
        (F.BEAD | F.LIB, "LIB without LIVE"),
        (F.BEAD | F.TF, "TF without LIVE"),
    ],
)
def test_broken_rules_are_named(flags, rule):
    assert any(rule in sentence for sentence in inconsistencies(Mask([[flags, F.EMPTY]])))


@given(st.binary(max_size=40) | st.integers(0, 19).map(lambda n: WORKED_BYTES[:n]))
def test_other_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bad.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.bin: holds"):
        read_mask(path)


def test_huge_sizes_in_the_header_are_refused_without_allocating(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"\xff" * 8 + WORKED_BYTES[8:])
    with pytest.raises(InputError, match="4294967295 x 4294967295"):
        read_mask(path)


def test_a_missing_mask_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_mask(tmp_path / "none")


def test_barcode_numbers_survive(tmp_path):
    numbers = np.arange(6).reshape(2, 3) * 13_000
    write_barcode_mask(tmp_path / "b", numbers)
    assert (read_barcode_mask(tmp_path / "b") == numbers).all()
    with pytest.raises(InputError, match=r"0\.\.65535"):
        write_barcode_mask(tmp_path / "b", numbers + 10_000)


def test_golden_barcode_mask_counts_reads_of_each_barcode(golden):
    numbers = read_barcode_mask(golden / "barcodes-s60/peer/barcodeMask.bin")
    assert numbers.shape == (60, 60)
    assert set(np.unique(numbers)) == {*range(9), 65535}
    # 001..008 of the README, plus reads that a later filter took out.
    assert (np.bincount(numbers.ravel(), minlength=9)[1:9] >= [278, 148, 74, 313, 512, 204, 1059, 144]).all()


def test_golden_masks_are_consistent(golden, raw48):
    paths = [golden / "calls-s60/analysis.bfmask.bin", golden / "real-314/bfmask.bin", raw48 / "peer/bfmask.bin"]
    assert [inconsistencies(read_mask(path)) for path in paths] == [[], [], []]


def test_golden_library_reads_are_all_kept(golden):
    before = read_mask(golden / "calls-s60/analysis.bfmask.bin")
    after = read_mask(golden / "calls-s60/peer/basecaller.bfmask.bin")
    assert before.count(F.LIB) == 2902 and after.count(F.LIB | F.KEYPASS) == 2902


def test_stats_of_the_golden_mask_have_the_bytes_of_the_original(raw48, tmp_path):
    theirs = raw48 / "peer/analysis.bfmask.stats"
    stats = mask_stats(read_mask(raw48 / "peer/analysis.bfmask.bin"))
    write_mask_stats(tmp_path / "s", stats)
    assert (tmp_path / "s").read_bytes() == theirs.read_bytes()
    assert read_mask_stats(theirs) == stats


def test_stats_without_beads_say_na_and_washouts_only_when_asked(tmp_path):
    stats = mask_stats(Mask([[F.EMPTY, F.EMPTY | F.WASHOUT]]), start_row=3, start_col=4, show_washouts=True)
    write_mask_stats(tmp_path / "s", stats)
    assert "Library Beads = NA\nWashout Wells = 1\n" in (tmp_path / "s").read_text()
    assert read_mask_stats(tmp_path / "s") == stats
    assert "Washout Wells" not in mask_stats(WORKED)


@pytest.mark.parametrize("text", ["", "Width = 3", "[global]\nWidth = wide\n", "[other]\na = 1\n", "[global\n"])
def test_stats_of_another_form_are_refused(tmp_path, text):
    (tmp_path / "s").write_text(text)
    with pytest.raises(InputError, match="no file of mask counts"):
        read_mask_stats(tmp_path / "s")


def test_text_exclusion_masks_give_the_usable_columns(tmp_path):
    (tmp_path / "x.txt").write_text("5\t3\n0\t0\n1\t4\n0\t5\n")
    excluded = read_exclusion_mask(tmp_path / "x.txt").matches(F.EXCLUDE)
    assert excluded.astype(int).tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


def test_binary_exclusion_masks_keep_only_exclude(tmp_path):
    write_mask(tmp_path / "x.bin", WORKED)
    assert read_exclusion_mask(tmp_path / "x.bin").flags.tolist() == [[0, 0, F.EXCLUDE], [0, 0, 0]]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted), min_size=1, max_size=9))
def test_exclusion_masks_survive_as_text(tmp_path_factory, ranges):
    path = tmp_path_factory.getbasetemp() / "exclusion.txt"
    columns = np.arange(9)
    mask = Mask(np.array([np.where((columns >= a) & (columns < b), 0, F.EXCLUDE) for a, b in ranges], np.uint16))
    write_exclusion_mask(path, mask)
    assert read_exclusion_mask(path) == mask


def test_gaps_cannot_be_written_as_text(tmp_path):
    with pytest.raises(InputError, match="row 1 has gaps"):
        write_exclusion_mask(tmp_path / "x", Mask([[0, 0, 0], [0, F.EXCLUDE, 0]]))


@pytest.mark.parametrize(
    "text",
    ["", "5 3\n", "5 2\n0 0\n1 6\n", "5 1\n3 2\n", "5 1\n-1 2\n", "5 1\n1\n", "a b\n", "99999999999999999999 1\n0 1"],
)
def test_damaged_exclusion_masks_are_refused(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(InputError, match=r"x\.txt"):
        read_exclusion_mask(tmp_path / "x.txt")
