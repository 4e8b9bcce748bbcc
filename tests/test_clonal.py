"""Base calling's own filter of polyclonal reads, from wells to counts, mask bits and tags."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest

from ionanalysis.basecaller.chip import open_chip
from ionanalysis.basecaller.clonal import train_on_wells
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller
from ionanalysis.blocks import Block
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.mask import Mask, WellFlag, read_mask, write_mask
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.filters import FilterOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.wells import WellsWriter

FLOWS = FlowOrder(DEFAULT_CYCLE, 120)
ROWS, COLS = 24, 25
MIXED, CROWDED, TF = slice(0, 60), slice(60, 66), slice(66, 76)
"""Wells with two templates, with a signal in every flow, and of a mixed test fragment; the others are clonal."""


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """A chip of clonal, mixed and impossible wells, in perfect phase."""
    folder, random = tmp_path_factory.mktemp("clonal"), np.random.default_rng(11)

    def flowgrams(n, key="TCAG"):
        return np.array([FLOWS.flowgram(key + "".join(random.choice(list("ACGT"), 90))) for _ in range(n)], float)

    signals = flowgrams(ROWS * COLS)
    signals[MIXED] = 0.55 * flowgrams(60) + 0.45 * flowgrams(60)
    signals[CROWDED, 8:] = 1.0
    signals[TF] = 0.5 * flowgrams(10, "ATCG") + 0.5 * flowgrams(10, "ATCG")
    signals += random.normal(0, 0.05, signals.shape)
    flags = np.full(ROWS * COLS, WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB, np.uint16)
    flags[TF] = WellFlag.BEAD | WellFlag.LIVE | WellFlag.TF
    block = Block(0, 0, ROWS, COLS)
    with WellsWriter(folder / "1.wells", (ROWS, COLS), FLOWS, dtype="float32") as writer:
        writer.write(block, signals.reshape(ROWS, COLS, -1).astype(np.float32))
    write_mask(folder / "analysis.bfmask.bin", Mask(flags.reshape(ROWS, COLS)))
    return folder


def called(chip, folder, filters=None, clonality=None):
    phase = PhaseEstimate(
        np.full((1, 1, 3), 1e-4), np.full((1, 1, 3), np.nan), np.zeros((1, 1), np.int32), (ROWS, COLS)
    )
    inputs = BasecallerInputs(wells=chip / "1.wells", mask=chip / "analysis.bfmask.bin", run_id="CLONE")
    options = BasecallerOptions(
        filters=FilterOptions(**filters or {}),
        clonality=ClonalityOptions(**clonality or {}),
        stage=StageOptions(region_rows=7),
    )
    with ThreadPoolExecutor(2) as executor:
        run_basecaller(inputs, folder, options, executor=executor, phase=phase)
    return json.loads((folder / "BaseCaller.json").read_text())


def test_polyclonal_reads_are_counted_marked_and_left_out(chip, tmp_path):
    content = called(chip, tmp_path, {"clonal_filter_solve": True})
    details = content["Filtering"]["ReadDetails"]["lib"]
    assert details["high_ppf"] == 6
    assert 54 <= details["polyclonal"] <= 62
    assert details["bkgmodel_polyclonal"] == 0
    report = content["Filtering"]["LibraryReport"]
    assert report["filtered_polyclonal"] == details["polyclonal"]
    assert report["filtered_low_quality"] >= 6
    beads = content["BeadSummary"]["lib"]
    assert (beads["polyclonal"], beads["highPPF"]) == (details["polyclonal"], 6)
    flags = read_mask(tmp_path / "basecaller.bfmask.bin").flags.ravel()
    assert ((flags & WellFlag.FILTERED_BAD_PPF) != 0).sum() == details["polyclonal"] + 6
    assert (flags[CROWDED] & WellFlag.BASECALLER == WellFlag.FILTERED_BAD_PPF).all()
    with pysam.AlignmentFile(str(tmp_path / "unfiltered.untrimmed/rawlib.basecaller.bam"), check_sq=False) as bam:
        history = np.array([read.get_tag("ZD") for read in bam])
    assert (history[:, 4] == 0).sum() == 6
    assert (history[:, 5] == 0).sum() == details["polyclonal"]
    assert (history[history[:, 5] == 0, 12] == 0).all()


def test_the_filter_is_off_unless_asked_for(chip, tmp_path):
    for number, filters in enumerate(({}, {"clonal_filter_solve": True, "disable_all_filters": True})):
        details = called(chip, tmp_path / str(number), filters)["Filtering"]["ReadDetails"]["lib"]
        assert (details["high_ppf"], details["polyclonal"]) == (0, 0)


def test_only_extreme_reads_may_be_filtered(chip, tmp_path):
    extreme = {"filter_extreme_ppf_only": True}
    details = called(chip, tmp_path, {"clonal_filter_solve": True}, extreme)["Filtering"]["ReadDetails"]["lib"]
    assert (details["high_ppf"], details["polyclonal"]) == (6, 0)


def test_test_fragments_have_a_switch_of_their_own(chip, tmp_path):
    content = called(chip, tmp_path, {"clonal_filter_tf": True})["Filtering"]["ReadDetails"]
    assert content["lib"]["polyclonal"] == 0
    assert content["tf"]["polyclonal"] >= 8


def test_what_the_filter_learned_from_can_be_written(chip, tmp_path):
    called(chip, tmp_path, {"clonal_filter_solve": True, "clonal_filter_debug": True})
    rows = np.loadtxt(tmp_path / "basecaller_ppf_ssq.txt")
    assert rows.shape[1] == 5
    assert 400 < len(rows) <= ROWS * COLS
    assert (rows[:, 4] > 0.8).all()


def test_training_needs_no_more_wells_than_asked_for(chip):
    inputs = BasecallerInputs(wells=chip / "1.wells", mask=chip / "analysis.bfmask.bin", run_id="TEST1")
    reads = open_chip(inputs, StageOptions()).reads()
    model = train_on_wells(reads, ClonalityOptions(clonal_filter_maxreads=150))
    whole = train_on_wells(reads, ClonalityOptions())
    assert whole.usable
    assert np.abs(model.means - whole.means)[0].max() < 0.3
    assert not np.array_equal(model.means, whole.means)
