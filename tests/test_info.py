"""`ionanalysis info`: every kind of golden file, by content; JSON; exit codes."""

import json
import shutil

import h5py
import numpy as np
import pytest

from ionanalysis.cli.main import main
from ionanalysis.io.mask import Mask, WellFlag, write_exclusion_mask


def info(capsys, *paths):
    assert main(["info", "--json", *map(str, paths)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "name, kind, facts",
    [
        ("calls-s60/1.wells", "wells", {"rows": 60, "cols": 60, "flows": 400, "chip": "530", "copies_apart": True}),
        ("real-314/1.wells", "wells", {"rows": 50, "cols": 50, "flows": 260, "stored_as": "legacy"}),
        ("real-314/bfmask.bin", "mask", {"rows": 50, "cols": 50, "inconsistencies": []}),
        ("real-314/acq_0003.dat", "raw image", {"version": 3, "interlace_type": 0, "rows": 50, "frames": 74}),
        ("real-521-dat/acq_0000.dat", "raw image", {"version": 4, "interlace_type": 5, "rows": 56, "frames": 105}),
        ("sff/greek.sff", "SFF", {"reads": 24, "flows": 800, "key": "TCAG", "bases_after_clips": 4612}),
        ("phred/phredTable.530.h5", "quality table", {"cuts": [12, 12, 7, 8, 12, 12], "qualities": [1, 44]}),
        ("calls-s60/peer/rawlib.basecaller.bam", "BAM", {"reads": 2902, "flows": [400], "references": 0}),
    ],
)
def test_golden_files(golden, capsys, tmp_path, name, kind, facts):
    # Under a name that says nothing: content decides.
    shutil.copy(golden / name, tmp_path / "x")
    [found] = info(capsys, tmp_path / "x")
    assert found["kind"] == kind and {key: found[key] for key in facts} == facts


def test_barcode_masks_are_told_by_name(golden, capsys):
    [found] = info(capsys, golden / "barcodes-s60/peer/barcodeMask.bin")
    assert found["kind"] == "barcode mask" and found["no_match"] == 69 and found["wells_without_read"] == 734
    assert found["reads"]["5"] == 528


def test_run_logs_and_mask_statistics(raw48, capsys):
    log, stats = info(capsys, raw48 / "explog.txt", raw48 / "peer/bfmask.stats")
    assert (log["kind"], log["Flows"]) == ("run log", "40")
    assert (stats["kind"], stats["Live Beads"]) == ("mask statistics", 1532)


def test_other_files_with_global_sections_are_no_mask_statistics(raw48, capsys):
    assert main(["info", str(raw48 / "peer/processParameters.txt")]) == 3
    assert "is of no known kind" in capsys.readouterr().err


def test_exclusion_masks_and_other_hdf5(capsys, tmp_path):
    write_exclusion_mask(tmp_path / "x.txt", Mask([[WellFlag.EXCLUDE, 0, 0]]))
    with h5py.File(tmp_path / "y", "w") as file:
        file["a/b"] = np.zeros((2, 3), np.int16)
    mask, other = info(capsys, tmp_path / "x.txt", tmp_path / "y")
    assert (mask["kind"], mask["cols"], mask["excluded"]) == ("exclusion mask", 3, 1)
    assert (other["kind"], other["datasets"]) == ("HDF5", {"a/b": "int16 2 x 3"})


def test_read_tags_of_a_bam_are_listed(golden, capsys):
    [found] = info(capsys, golden / "calls-s60/peer/rawtf.basecaller.bam")
    assert {"ZM", "ZP", "ZF"} <= set(found["tags"]) and found["reads_estimated"] is False


def test_large_bams_are_estimated(golden, capsys, monkeypatch):
    from ionanalysis.cli import _describe

    monkeypatch.setattr(_describe, "MAX_COUNTED", 0)
    monkeypatch.setattr(_describe, "N_SAMPLED", 1000)
    [found] = info(capsys, golden / "calls-s60/peer/rawlib.basecaller.bam")
    assert found["reads_estimated"] and found["reads"] == pytest.approx(2902, rel=0.15)


def test_the_table_is_for_people(golden, capsys):
    assert main(["info", str(golden / "real-314/bfmask.bin"), str(golden / "real-314/1.wells")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{golden}/real-314/bfmask.bin: mask" and lines[1].split() == ["rows", "50"]
    assert f"{golden}/real-314/1.wells: wells" in lines


def test_unreadable_files_end_with_3_and_do_not_hide_the_others(golden, capsys, tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "notes.txt").write_text("hello world\n")
    bad = [tmp_path / "none", tmp_path / "empty", tmp_path / "notes.txt", golden / "sff/invalid_paired_E3MFGYR02.sff"]
    assert main(["info", *map(str, bad[:2]), str(golden / "sff/greek.sff"), *map(str, bad[2:])]) == 3
    shown = capsys.readouterr()
    assert "greek.sff: SFF" in shown.out
    errors = shown.err.splitlines()
    assert len(errors) == 4 and all(f"{path}: " in line for path, line in zip(bad, errors, strict=True))
    assert "cannot be read" in errors[0] and "is empty" in errors[1]
    assert "no known kind" in errors[2] and "second SFF file" in errors[3]


def test_json_lists_errors_too(tmp_path, capsys):
    assert main(["info", "--json", str(tmp_path / "none")]) == 3
    [found] = json.loads(capsys.readouterr().out)
    assert found["path"] == str(tmp_path / "none") and "cannot be read" in found["error"]


@pytest.mark.parametrize("name", ["real-314/bfmask.bin", "sff/greek.sff", "calls-s60/1.wells", "real-314/acq_0000.dat"])
def test_cut_files_are_named_after_what_they_were(golden, capsys, tmp_path, name):
    path = tmp_path / name.rpartition("/")[2]
    path.write_bytes((golden / name).read_bytes()[:3000])
    assert main(["info", str(path)]) == 3
    assert "no known kind" not in capsys.readouterr().err
