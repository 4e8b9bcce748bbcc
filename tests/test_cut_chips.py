"""Chips cut into blocks: what whole chips give, on every executor; bad blocks are survived."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_equal

from ionanalysis.cli.main import main
from ionanalysis.io.fit_parameters import read_fit_parameters
from ionanalysis.io.mask import NO_READ, WellFlag, read_barcode_mask, read_mask
from ionanalysis.wells import open_wells

# What dask and tornado warn of is not ours to mend.
needs_dask = pytest.mark.filterwarnings("ignore")

SIDE, HALF = 48, 24
OPTIONS = ["--region-size", str(HALF), "--to", "statistics"]
# Corrections that reach across regions: in a block they see its own wells only.
REGIONS_ALONE = ["--no-row-noise", "--no-comparator-noise", "--no-cross-talk"]
SAME_BYTES = """
    sigproc_results/1.wells sigproc_results/bfmask.bin sigproc_results/bfmask.stats sigproc_results/analysis.bfmask.bin
    sigproc_results/analysis.bfmask.stats sigproc_results/avgNukeTrace_TCAG.txt sigproc_results/pinsPerFlow.txt
    sigproc_results/processParameters.txt basecaller_results/basecaller.bfmask.bin basecaller_results/barcodeMask.bin
    basecaller_results/TFStats.json raw_peak_signal
"""
SAME_NUMBERS = """
    sigproc_results/sigproc.json basecaller_results/datasets_basecaller.json basecaller_results/datasets_tf.json
    basecaller_results/ionstats_basecaller.json basecaller_results/BaseCaller.json
"""
BAMS = (
    "rawlib.basecaller.bam",
    "rawtf.basecaller.bam",
    "unfiltered.trimmed/rawlib.basecaller.bam",
    "unfiltered.untrimmed/rawlib.basecaller.bam",
)


def simulated(folder, *options):
    assert main(["simulate", str(folder), "--size", f"{SIDE}x{SIDE}", "--flows", "40", "--seed", "3", *options]) == 0
    return folder


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def cut_run(tmp_path_factory):
    """The same chip with its images in four directories."""
    return simulated(tmp_path_factory.mktemp("cut") / "run", "--blocks", "2x2")


@pytest.fixture(scope="module")
def whole(whole_run, tmp_path_factory):
    """The result of the chip in one piece."""
    folder = tmp_path_factory.mktemp("result") / "whole"
    assert main(["run", str(whole_run), "-o", str(folder), *OPTIONS]) == 0
    return folder


def reads_of(result, name=BAMS[0]):
    """All reads with all tags, by name."""
    import pysam

    with pysam.AlignmentFile(str(result / "basecaller_results" / name), check_sq=False) as bam:
        reads = [read.to_string() for read in bam.fetch(until_eof=True)]
    assert len({read.split("\t")[0] for read in reads}) == len(reads)
    return sorted(reads)


def numbers_of(path):
    """Content of a JSON file without what tells when and where it was made."""
    content = json.loads(path.read_text())
    for key in ("BaseCaller", "meta"):
        content.pop(key, None)
    return content


def assert_close(one, two, place="top"):
    """The same but for the last digits of numbers."""
    if isinstance(one, dict):
        assert one.keys() == two.keys(), place
        for key in one:
            assert_close(one[key], two[key], f"{place}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(two), place
        for index, pair in enumerate(zip(one, two, strict=True)):
            assert_close(*pair, f"{place}[{index}]")
    else:
        assert one == (pytest.approx(two, rel=1e-9) if isinstance(one, float) else two), place


def assert_same_result(result, expected, *, but=()):
    different = [
        name
        for name in SAME_BYTES.split()
        if name not in but and (result / name).read_bytes() != (expected / name).read_bytes()
    ]
    assert different == []
    for name in SAME_NUMBERS.split():
        assert_close(numbers_of(result / name), numbers_of(expected / name), name)
    for name in BAMS:
        assert reads_of(result, name) == reads_of(expected, name), name
    one, other = (read_fit_parameters(folder / "sigproc_results/fit_parameters.h5") for folder in (result, expected))
    for group in ("wells", "regions", "flows"):
        assert_equal(getattr(one, group), getattr(other, group))


@pytest.mark.parametrize(("size", "executor"), [("24x24", "threads:2"), ("30x30", "processes:2")])
def test_windows_of_a_chip_give_the_result_of_directories(whole_run, cut, tmp_path, size, executor):
    result = tmp_path / "result"
    assert main(["run", str(whole_run), "-o", str(result), *OPTIONS, "--blocks", size, "--executor", executor]) == 0
    assert_same_result(result, cut)
    assert len(list(result.glob("block_X*_Y*/basecaller_results/rawlib.basecaller.bam"))) == 4


def test_where_regions_stand_alone_it_does_not_matter_how_a_chip_is_cut(whole_run, tmp_path):
    words = ["run", str(whole_run), *OPTIONS, *REGIONS_ALONE, "-o"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    assert main([*words, str(tmp_path / "cut"), "--blocks", "30x48"]) == 0
    assert_same_result(tmp_path / "cut", tmp_path / "whole")
    assert len(list((tmp_path / "cut").glob("block_X*_Y*"))) == 2


def test_what_reaches_across_regions_moves_signals_little(cut, whole):
    with open_wells(cut / "sigproc_results/1.wells") as one, open_wells(whole / "sigproc_results/1.wells") as other:
        live = read_mask(whole / "sigproc_results/analysis.bfmask.bin").matches(WellFlag.LIVE)
        difference = (one[...] - other[...])[live]
    # Noise of signals is above 0.02; blocks here have an edge of 24 wells, real ones of hundreds.
    assert np.sqrt((difference**2).mean()) < 0.02


@needs_dask
def test_blocks_on_a_cluster_give_the_same_result(whole_run, cut, dask_address, tmp_path):
    result = tmp_path / "result"
    words = ["run", str(whole_run), "-o", str(result), *OPTIONS, "--blocks", f"{HALF}x{HALF}"]
    assert main([*words, "--executor", f"dask:{dask_address}"]) == 0
    assert_same_result(result, cut)


@needs_dask
def test_a_whole_chip_is_called_alike_on_a_cluster(whole, dask_address, tmp_path):
    words = ["run", str(whole), "-o", str(tmp_path / "again"), "--from", "basecaller", "--to", "basecaller"]
    assert main([*words, "--executor", f"dask:{dask_address}"]) == 0
    for name in BAMS:
        assert reads_of(tmp_path / "again", name) == reads_of(whole, name)


@pytest.fixture(scope="module")
def cut(cut_run, tmp_path_factory):
    """The result of the chip whose images lie in four directories."""
    folder = tmp_path_factory.mktemp("result") / "cut"
    assert main(["run", str(cut_run), "-o", str(folder), *OPTIONS]) == 0
    return folder


def test_each_block_has_its_own_results(cut):
    for x in (0, HALF):
        for y in (0, HALF):
            folder = cut / f"block_X{x}_Y{y}"
            with open_wells(folder / "sigproc_results" / "1.wells") as wells:
                assert wells.shape[:2] == (HALF, HALF)
            places = [tuple(map(int, read.split("\t")[0].split(":")[1:])) for read in reads_of(folder)]
            assert places and all(y <= row < y + HALF and x <= col < x + HALF for row, col in places)
            stats = (folder / "sigproc_results" / "analysis.bfmask.stats").read_text()
            assert f"Start Row = {y}\nStart Column = {x}\n" in stats
            assert (folder / "blockstatus.txt").read_text().split() == ["Beadfind=0", "Analysis=0", "Basecaller=0"]
    assert (cut / "basecaller_results" / "composite_return_code.txt").read_text() == "0\n"


def test_a_cut_result_can_be_called_again(cut, tmp_path):
    again = tmp_path / "again"
    assert main(["run", str(cut), "-o", str(again), "--from", "basecaller", "--to", "basecaller"]) == 0
    assert reads_of(again) == reads_of(cut)
    shutil.copytree(cut, tmp_path / "copy", symlinks=True)
    (tmp_path / "copy" / "basecaller_results" / "rawlib.basecaller.bam").unlink()
    words = ["run", str(tmp_path / "copy"), "-o", str(tmp_path / "copy"), "--from", "basecaller", "--to", "basecaller"]
    assert main(words) == 0
    assert reads_of(tmp_path / "copy") == reads_of(cut)


def test_a_well_is_looked_at_in_its_block(cut_run, cut, tmp_path, capsys):
    row, col = np.argwhere(read_mask(cut / "sigproc_results/analysis.bfmask.bin").matches(WellFlag.LIB))[-1]
    page = tmp_path / "well.html"
    words = ["well", str(cut_run), str(row), str(col), "-o", str(page), "--flows", "8-9", "--region-size", str(HALF)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{page}\n"
    with open_wells(cut / "sigproc_results/1.wells") as wells:
        signal = wells.stored(slice(row, row + 1), slice(col, col + 1))[0, 0]
    text = page.read_text()
    assert min(row, col) >= HALF and f"<title>Well {row}:{col}</title>" in text and "rows 24 to 47" in text
    assert f"flow 8 T: {signal[8]:.2f} bases; flow 9 C: {signal[9]:.2f} bases" in text


def test_images_by_block_are_cut_already(cut_run, tmp_path, capsys):
    assert main(["run", str(cut_run), "-o", str(tmp_path / "result"), "--blocks", "24x24"]) == 2
    assert "has images by block" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["24", "0x24", "axb"])
def test_sizes_that_are_none_are_refused(whole_run, tmp_path, capsys, size):
    assert main(["run", str(whole_run), "-o", str(tmp_path / "result"), "--blocks", size]) == 2
    assert "is not rows x columns" in capsys.readouterr().err


@pytest.mark.parametrize("flow", [0, 21])
def test_a_block_with_a_bad_image_leaves_the_others_whole(cut_run, cut, tmp_path, capsys, flow):
    run, result = tmp_path / "run", tmp_path / "result"
    shutil.copytree(cut_run, run)
    bad = run / f"X{HALF}_Y0" / f"acq_{flow:04d}.dat"
    bad.write_bytes(bad.read_bytes()[:100])
    words = ["run", str(run), "-o", str(result), *OPTIONS]
    assert main([*words, "--json"]) == 3
    told = capsys.readouterr()
    assert list(json.loads(told.out)["failed_blocks"]) == [f"X{HALF}_Y0"]
    last = told.err.strip().splitlines()[-1]
    assert f"block X{HALF}_Y0 has no result, the other blocks are whole" in last and f"acq_{flow:04d}.dat" in last
    assert (result / "basecaller_results" / "composite_return_code.txt").read_text() == "1\n"
    place = (slice(0, HALF), slice(HALF, SIDE))
    mask, expected = (read_mask(folder / "sigproc_results" / "analysis.bfmask.bin").flags for folder in (result, cut))
    assert (mask[place] == WellFlag.EXCLUDE).all()
    others = np.ones((SIDE, SIDE), bool)
    others[place] = False
    np.testing.assert_array_equal(mask[others], expected[others])
    with open_wells(result / "sigproc_results/1.wells") as wells, open_wells(cut / "sigproc_results/1.wells") as same:
        np.testing.assert_array_equal(wells[...][others], same[...][others])
    assert (read_barcode_mask(result / "basecaller_results" / "barcodeMask.bin")[place] == NO_READ).all()
    fit, same = (read_fit_parameters(folder / "sigproc_results/fit_parameters.h5") for folder in (result, cut))
    assert len(fit.regions["t0_s"]) == len(fit.flows["zero_level"]) == 3
    for name, values in fit.wells.items():
        np.testing.assert_array_equal(values[others], same.wells[name][others])
        assert (values[place] == -1 if name == "copies" else np.isnan(values[place])).all()
    names, before = ({read.split("\t")[0] for read in reads_of(folder)} for folder in (result, cut))
    inside = {name for name in before if int(name.split(":")[1]) < HALF <= int(name.split(":")[2])}
    assert len(names ^ (before - inside)) <= 0.02 * len(before)
    assert main(words) == 2
    if flow == 0:
        return
    # Mended, the run goes on with that block alone.
    shutil.copyfile(cut_run / f"X{HALF}_Y0" / bad.name, bad)
    capsys.readouterr()
    assert main([*words, "--resume"]) == 0
    assert "beadfind: 3 of 4 blocks were finished before." in capsys.readouterr().err
    assert_same_result(result, cut)


def test_a_block_that_never_came_is_told(cut_run, tmp_path, capsys):
    run, result = tmp_path / "run", tmp_path / "result"
    shutil.copytree(cut_run, run)
    shutil.rmtree(run / f"X0_Y{HALF}")
    assert main(["run", str(run), "-o", str(result), *OPTIONS]) == 3
    assert f"block X0_Y{HALF} has no result, the other blocks are whole: has no images" in capsys.readouterr().err
    assert len(reads_of(result)) > 100


def test_without_any_good_block_there_is_no_result(cut_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(cut_run, run)
    for image in run.glob("X*/acq_0003.dat"):
        image.write_bytes(b"")
    assert main(["run", str(run), "-o", str(tmp_path / "result"), *OPTIONS]) == 3
    assert "none of the 4 blocks has a result" in capsys.readouterr().err


def resumed_after_kills(run, result, n_kills, seed, *options):
    """Start the pipeline again and again, kill it at random moments `n_kills` times, and let it finish."""
    command = [sys.executable, "-m", "ionanalysis.cli.main", "run", str(run), "-o", str(result), *OPTIONS, *options]
    moments = random.Random(seed)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    killed, longest = 0, 4.0
    while killed < n_kills:
        started = time.monotonic()
        process = subprocess.Popen([*command, "--resume"], env=environment, stderr=subprocess.DEVNULL)
        try:
            process.wait(moments.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            killed += 1
            # Kills that come late in a run are as likely as early ones, however fast the machine.
            longest *= 1.3
        else:
            assert process.returncode == 0
            longest = time.monotonic() - started
            shutil.rmtree(result)
        process.kill()
        process.wait()
    assert subprocess.run([*command, "--resume"], env=environment, stderr=subprocess.DEVNULL).returncode == 0


CUT = ("--blocks", f"{HALF}x{HALF}")


@pytest.mark.parametrize(("expected", "options"), [("whole", ()), ("cut", CUT)])
def test_resume_after_kills_gives_the_undisturbed_result(whole_run, expected, options, tmp_path, request):
    resumed_after_kills(whole_run, tmp_path / "result", 2, len(options), *options)
    assert_same_result(tmp_path / "result", request.getfixturevalue(expected))
    assert not list((tmp_path / "result").rglob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize(("expected", "options"), [("whole", ()), ("cut", CUT)])
def test_resume_after_twenty_kills_gives_the_undisturbed_result(whole_run, expected, options, tmp_path, request):
    resumed_after_kills(whole_run, tmp_path / "result", 20, 7 + len(options), *options)
    assert_same_result(tmp_path / "result", request.getfixturevalue(expected))
