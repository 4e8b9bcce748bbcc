"""Runs that are followed while they are written."""

import json
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from ionanalysis.cli.main import main
from ionanalysis.errors import LateImageError
from ionanalysis.io.dat import write_dat
from ionanalysis.io.explog import write_explog
from ionanalysis.pipeline.following import wait_for_run
from ionanalysis.run import Patience, open_run

OPTIONS = ["--to", "basecaller"]


def copy_slowly(source, target, pause_s, *, ended=True):
    """Copy a run as an instrument writes it: log, images in order (those of all blocks side by side), final log."""
    target.mkdir()
    images = sorted(source.rglob("*.dat"), key=lambda path: (path.name.startswith("acq"), path.name, path))
    shutil.copyfile(source / "explog.txt", target / "explog.txt")
    for image in images:
        place = target / image.relative_to(source)
        place.parent.mkdir(exist_ok=True)
        content = image.read_bytes()
        # Half an image is there before the whole is.
        with place.open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            time.sleep(pause_s / 2)
            file.write(content[len(content) // 2 :])
        time.sleep(pause_s / 2)
    if ended:
        shutil.copyfile(source / "explog_final.txt", target / "explog_final.txt")


def reads_of(result):
    import pysam

    with pysam.AlignmentFile(str(result / "basecaller_results/rawlib.basecaller.bam"), check_sq=False) as bam:
        return [read.to_string() for read in bam.fetch(until_eof=True)]


@pytest.mark.parametrize("blocks", ["1x1", "1x2"])
def test_a_growing_run_gives_what_the_whole_one_gives(tmp_path, blocks, capsys):
    source, growing = tmp_path / "source", tmp_path / "growing"
    size = ["--size", "32x64", "--flows", "40", "--seed", "4", "--blocks", blocks]
    assert main(["simulate", str(source), *size]) == 0
    writer = threading.Thread(target=copy_slowly, args=(source, growing, 0.05))
    followed = ["run", str(growing), "-o", str(tmp_path / "followed"), *OPTIONS]
    writer.start()
    assert main([*followed, "--follow", "--follow-limit", "60"]) == 0
    writer.join()
    assert "is waited for" in capsys.readouterr().err
    assert main(["run", str(source), "-o", str(tmp_path / "whole"), *OPTIONS]) == 0
    for name in ("1.wells", "analysis.bfmask.bin"):
        one, two = (tmp_path / result / "sigproc_results" / name for result in ("followed", "whole"))
        assert one.read_bytes() == two.read_bytes(), name
    assert reads_of(tmp_path / "followed") == reads_of(tmp_path / "whole") != []
    records = [json.loads((tmp_path / result / "run.json").read_text()) for result in ("followed", "whole")]
    assert records[0]["inputs"] == records[1]["inputs"]
    capsys.readouterr()
    assert main([*followed, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ran"] == []


def small_run(folder, flows, n_flows=6):
    """Images of some flows, and a log that tells of more."""
    folder.mkdir(exist_ok=True)
    for flow in flows:
        write_dat(folder / f"acq_{flow:04d}.dat", np.full((3, 8, 8), 8000 + flow), [66, 133, 200])
    write_explog(folder / "explog.txt", {"Experiment Name": "R_one", "Flows": n_flows, "Image Map": "TACG"})
    return folder


def test_a_run_that_stops_growing_can_be_resumed(tmp_path, capsys):
    source, growing = tmp_path / "source", tmp_path / "growing"
    assert main(["simulate", str(source), "--size", "32x32", "--flows", "40", "--seed", "4"]) == 0
    shutil.copytree(source, growing, ignore=shutil.ignore_patterns("acq_003*.dat", "explog_final*"))
    words = ["run", str(growing), "-o", str(tmp_path / "result"), *OPTIONS]
    assert main([*words, "--follow", "--follow-limit", "0.5"]) == 4
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "acq_0029.dat: is not there or not complete after 0.5 s" in said and "--resume" in said
    assert json.loads((tmp_path / "result" / "run.json").read_text())["status"] == "interrupted"
    for late in source.glob("*"):
        shutil.copyfile(late, growing / late.name)
    assert main([*words, "--follow", "--resume"]) == 0
    assert reads_of(tmp_path / "result")


def test_a_run_that_never_begins_is_given_up(tmp_path, capsys):
    words = ["run", str(tmp_path / "run"), "-o", str(tmp_path / "result"), "--follow", "--follow-limit", "0.1"]
    assert main(words) == 4
    assert "has no run log with a first image after 0.1 s" in capsys.readouterr().err
    assert not (tmp_path / "result").exists()


def test_wells_cannot_be_followed(tmp_path, capsys):
    words = ["run", str(tmp_path), "-o", str(tmp_path / "result"), "--follow", "--from", "basecaller"]
    assert main(words) == 2
    assert "--follow goes with raw images" in capsys.readouterr().err


def test_flows_are_given_as_their_images_are_complete(tmp_path):
    run = open_run(small_run(tmp_path / "run", range(4)))
    patient = Patience(limit_s=0.1, poll_s=0.02)
    with pytest.raises(LateImageError, match=r"acq_0003\.dat"):
        list(waited_for(run, patient).awaited(range(6)))
    assert list(run.awaited(range(6))) == list(range(6))
    threading.Timer(0.1, small_run, (run.path, [4])).start()
    awaited = waited_for(run, Patience(limit_s=20, poll_s=0.02)).awaited(range(4))
    assert list(awaited) == [0, 1, 2, 3]


def waited_for(run, patience):
    return replace(run, patience=patience)


def test_a_last_image_that_has_settled_is_complete(tmp_path):
    run = open_run(small_run(tmp_path / "run", range(6)))
    settled = waited_for(run, Patience(limit_s=0.1, poll_s=0.02, settle_s=-1.0))
    assert list(settled.awaited(range(6))) == list(range(6))
    with pytest.raises(LateImageError, match=r"acq_0005\.dat"):
        list(waited_for(run, Patience(limit_s=0.1, poll_s=0.02)).awaited(range(6)))


def test_an_ended_run_is_not_waited_for(tmp_path):
    run = open_run(small_run(tmp_path / "run", range(3)))
    (run.path / "explog_final.txt").write_text("")
    assert list(waited_for(run, Patience(limit_s=1e6)).awaited(range(6))) == list(range(6))


def test_a_first_image_that_is_cut_is_waited_for(tmp_path):
    folder = small_run(tmp_path / "run", range(2))
    whole = (folder / "acq_0000.dat").read_bytes()
    (folder / "acq_0000.dat").write_bytes(whole[:20])
    notes = []
    threading.Timer(0.3, (folder / "acq_0000.dat").write_bytes, (whole,)).start()
    assert wait_for_run(folder, 30, notes.append).limit_s == 30
    assert len(notes) == 1
