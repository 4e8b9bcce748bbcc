"""Signals of several wells files: masks combined, signals added up, taps joined (basecaller.md 1.4, 1.6, 13.6)."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.inputs import combine_masks
from ionanalysis.basecaller.signals import SignalSource, join_taps
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.mask import Mask, WellFlag, read_mask, write_mask
from ionanalysis.options.basecaller import PhaseOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.simulate import simulate
from ionanalysis.wells import WellsWriter, open_wells

LIB = WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB
TF = WellFlag.BEAD | WellFlag.LIVE | WellFlag.TF
EMPTY = WellFlag.EMPTY
KEY, PPF, RESIDUAL = WellFlag.FILTERED_BAD_KEY, WellFlag.FILTERED_BAD_PPF, WellFlag.FILTERED_BAD_RESIDUAL


def combined(*flags, **about):
    """Flags and files of one well with these flags in the masks."""
    mask, files = combine_masks([Mask([[int(flag)]]) for flag in flags], **about)
    return WellFlag(int(mask.flags[0, 0])), int(files[0, 0])


@pytest.mark.parametrize(
    ("flags", "expected", "files"),
    [
        ((LIB, LIB), LIB, 0b11),
        ((EMPTY, LIB), LIB, 0b10),
        # A verdict stands only where no file has a usable signal.
        ((LIB | PPF, LIB), LIB, 0b10),
        ((LIB | PPF, LIB | KEY), LIB | PPF | KEY, 0),
        ((EMPTY, LIB | RESIDUAL), LIB | RESIDUAL, 0),
        # Filter bits of wells that are no reads mean nothing.
        ((EMPTY | PPF, LIB | RESIDUAL), LIB | RESIDUAL, 0),
        # Library here and test fragment there: neither.
        ((LIB, TF), WellFlag.BEAD | WellFlag.LIVE, 0),
        ((EMPTY, EMPTY), EMPTY, 0),
        ((TF, EMPTY, TF | KEY), TF, 0b001),
    ],
)
def test_masks_are_combined_well_by_well(flags, expected, files):
    assert combined(*flags) == (expected, files)


def test_washed_out_signals_count_unless_they_are_to_be_ignored():
    washed = LIB | WellFlag.WASHOUT
    assert combined(washed, LIB) == (washed, 0b11)
    assert combined(washed, LIB, ignore_washouts=True) == (LIB, 0b10)
    mask, files = combine_masks([Mask([[int(washed)]])] * 2, ignore_washouts=True)
    assert files[0, 0] == 0
    assert read_classes(mask, ignore_washouts=True).verdict[0, 0] == Verdict.NO_SIGNAL


def test_a_high_ppf_well_keeps_its_class_with_several_masks():
    # 13.6: with several masks the original marks such wells with bit 6, library, instead of the filter's bit.
    both = TF | RESIDUAL
    flags, _ = combined(both, both)
    assert flags == both
    classes = read_classes(Mask([[int(flags)]]))
    assert classes.tf[0, 0]
    assert not classes.library[0, 0]
    assert classes.verdict[0, 0] == Verdict.SIGNAL_HIGH_PPF


def test_a_single_mask_stays_as_it_is():
    mask = Mask(np.array([[LIB, TF | PPF, LIB | WellFlag.TF, EMPTY]], np.uint16))
    same, files = combine_masks([mask])
    assert same is mask
    assert_array_equal(files, [[1, 0, 0, 0]])


@pytest.fixture(scope="module")
def chips(tmp_path_factory):
    """Two folders with wells and mask whose signals add up to those of a third."""
    root = tmp_path_factory.mktemp("several")
    made = simulate(size=(20, 24), flows=100, seed=61, path=root / "run", polyclonal=0.0)
    (path,) = (root / "run").rglob("1.wells")
    whole, flags = open_wells(path), made.mask.flags
    signals = whole[...]
    share = np.float32(0.4)
    for name, part in (("whole", signals), ("one", share * signals), ("two", (1 - share) * signals)):
        write_chip(root / name, part, whole.flow_order, flags)
    return root


def write_chip(folder, signals, flow_order, flags, **about):
    folder.mkdir(exist_ok=True)
    with WellsWriter(folder / "1.wells", signals.shape[:2], flow_order, dtype="float32", **about) as writer:
        writer.write(Block(0, 0, *signals.shape[:2]), signals)
    write_mask(folder / "analysis.bfmask.bin", Mask(flags))


def called(folders, out, **stage):
    inputs = BasecallerInputs(
        wells=tuple(folder / "1.wells" for folder in folders),
        mask=tuple(folder / "analysis.bfmask.bin" for folder in folders),
        run_id="SUMMD",
        run_date="2026-11-23T20:45:48",
    )
    options = BasecallerOptions(
        stage=StageOptions(num_unfiltered=10, **stage), phase=PhaseOptions(phase=(0.006, 0.005, 0.001))
    )
    with ThreadPoolExecutor(1) as executor:
        return run_basecaller(inputs, out, options, executor=executor)


def bases_of(folder, name="rawlib"):
    with pysam.AlignmentFile(str(folder / f"{name}.basecaller.bam"), check_sq=False) as bam:
        return {read.query_name: read.query_sequence for read in bam}


def test_parts_add_up_to_the_whole(chips, tmp_path):
    called([chips / "whole"], tmp_path / "whole")
    result = called([chips / "one", chips / "two"], tmp_path / "sum")
    assert len(bases_of(tmp_path / "sum")) > 100
    for name in ("rawlib", "rawtf"):
        whole, summed = bases_of(tmp_path / "whole", name), bases_of(tmp_path / "sum", name)
        assert whole.keys() == summed.keys()
        # Sums of float32 are rounded once more.
        assert np.mean([whole[read] == summed[read] for read in whole]) > 0.97
    about = json.loads((tmp_path / "sum/BaseCaller.json").read_text())["BaseCaller"]
    assert about["filename_wells"] == [str(chips / name / "1.wells") for name in ("one", "two")]
    assert len(about["filename_mask"]) == len(about["input_dir"]) == 2
    assert result.tally.n_bad_values == 0


def test_files_without_a_usable_signal_are_left_out_of_the_sum(chips, tmp_path):
    source, flags = open_wells(chips / "whole/1.wells"), read_mask(chips / "whole/analysis.bfmask.bin").flags
    rubbish = np.random.default_rng(5).normal(0, 3, source.shape).astype(np.float32)
    filtered = flags | np.where(np.arange(flags.size).reshape(flags.shape) % 2, PPF, 0).astype(np.uint16)
    filtered[(filtered & np.uint16(PPF)) == 0] = EMPTY
    write_chip(tmp_path / "rubbish", rubbish, source.flow_order, filtered)
    called([chips / "whole"], tmp_path / "alone")
    called([tmp_path / "rubbish", chips / "whole"], tmp_path / "both")
    assert bases_of(tmp_path / "both") == bases_of(tmp_path / "alone")
    both, alone = (read_mask(tmp_path / name / "basecaller.bfmask.bin").flags for name in ("both", "alone"))
    reads = Mask(flags).matches(WellFlag.LIB | WellFlag.TF)
    assert_array_equal(both[reads], alone[reads])


def test_a_high_ppf_test_fragment_is_no_library_read_in_the_final_mask(chips, tmp_path):
    # 13.6, end to end.
    flags = read_mask(chips / "one/analysis.bfmask.bin").flags.copy()
    row, col = np.argwhere((flags & np.uint16(WellFlag.TF)) != 0)[0]
    flags[row, col] |= np.uint16(RESIDUAL)
    for name in ("one", "two"):
        source = open_wells(chips / name / "1.wells")
        write_chip(tmp_path / name, source[...], source.flow_order, flags)
    called([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    final = WellFlag(int(read_mask(tmp_path / "out/basecaller.bfmask.bin").flags[row, col]))
    # On the way out its verdict is the bit of positive flows, as with a single file (basecaller.md 6).
    assert final == TF | WellFlag.FILTERED_BAD_PPF
    details = json.loads((tmp_path / "out/BaseCaller.json").read_text())["Filtering"]["ReadDetails"]
    assert (details["tf"]["bkgmodel_high_ppf"], details["lib"]["bkgmodel_high_ppf"]) == (1, 0)


def test_files_of_other_flows_are_refused(chips, tmp_path):
    source, flags = open_wells(chips / "one/1.wells"), read_mask(chips / "one/analysis.bfmask.bin").flags
    write_chip(tmp_path / "other", source[...][:, :, :80], source.flow_order.limited(80), flags)
    with pytest.raises(InputError, match="cannot be added to"):
        called([chips / "one", tmp_path / "other"], tmp_path / "out")
    with pytest.raises(InputError, match="9 wells files"):
        called([chips / "one"] * 9, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_normalised_files_are_added_by_their_copies(tmp_path):
    order = FlowOrder("TACG", 40)
    base = order.flowgram("TCAG" + "ACGTTGCA" * 3).astype(np.float32)
    flags = np.full((1, 2), LIB, np.uint16)
    parts = []
    for name, gain, copies in (("one", 0.5, 2.0), ("two", 1.5, 3.0)):
        write_copies(tmp_path / name, np.tile(gain * base, (1, 2, 1)), order, flags, [[copies, 0.0]])
        parts.append(open_wells(tmp_path / name / "1.wells"))
    source = SignalSource(tuple(parts), order, "TCAG", "ATCG", normalisation="keyOnly")
    classes = read_classes(Mask(flags))
    files = np.full((1, 2), 3, np.uint8)
    signals, _ = source.read(Block(0, 0, 1, 2), classes, files)
    assert_allclose(signals[0, 0], 5 * base, atol=0.02)
    # No copies, no signal.
    assert_array_equal(signals[0, 1], np.zeros(40))
    plain, _ = SignalSource(tuple(parts), order, "TCAG", "ATCG").read(Block(0, 0, 1, 2), classes, files)
    assert_allclose(plain[0, 0], (0.5 * 2 + 1.5 * 3) * base, atol=0.02)
    assert_array_equal(plain[0, 1], np.zeros(40))


def write_copies(folder, signals, order, flags, copies):
    folder.mkdir()
    with WellsWriter(folder / "1.wells", signals.shape[:2], order, dtype="uint16", has_copies=True) as writer:
        writer.write(Block(0, 0, *signals.shape[:2]), signals, copies=np.float32(copies))
    write_mask(folder / "analysis.bfmask.bin", Mask(flags))


def test_sources_travel_to_other_processes(chips):
    parts = tuple(open_wells(chips / name / "1.wells") for name in ("one", "two"))
    source = SignalSource(parts, parts[0].flow_order.limited(60), "TCAG", "ATCG")
    again = pickle.loads(pickle.dumps(source))
    block = Block(3, 4, 5, 6)
    classes = read_classes(read_mask(chips / "one/analysis.bfmask.bin")).within(block)
    files = np.full((5, 6), 3, np.uint8)
    assert_array_equal(again.read(block, classes, files)[0], source.read(block, classes, files)[0])
    assert len(pickle.dumps(source)) < 5_000


@given(st.text("ACGT", min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_joined_taps_keep_the_sum_and_the_first_flow(cycle, n_flows, seed):
    order = FlowOrder(cycle, n_flows)
    signals = np.random.default_rng(seed).uniform(0, 2, (3, n_flows)).astype(np.float32)
    joined = join_taps(signals, order)
    expected = signals.astype(float).copy()
    for flow in range(n_flows - 1, 0, -1):
        if order.bases[flow] == order.bases[flow - 1]:
            expected[:, flow - 1] += expected[:, flow]
            expected[:, flow] = 0
    assert_allclose(joined, expected, atol=1e-4)


def test_reads_with_split_taps_are_called_when_taps_are_joined(chips, tmp_path):
    # A flow order that flushes every nucleotide twice, half of each run in each of both flows.
    source, flags = open_wells(chips / "whole/1.wells"), read_mask(chips / "whole/analysis.bfmask.bin").flags
    signals = source[...]
    letters = "".join(2 * letter for letter in source.flow_order.letters)
    split = np.repeat(signals / 2, 2, axis=2)
    write_chip(tmp_path / "taps", split, FlowOrder.from_letters(letters), flags)
    parts = (open_wells(tmp_path / "taps/1.wells"),)
    joined = SignalSource(parts, parts[0].flow_order, "TCAG", "ATCG", compress_multi_taps=True)
    block = Block(0, 0, *flags.shape)
    found, _ = joined.read(block, read_classes(Mask(flags)), np.ones(flags.shape, np.uint8))
    assert_allclose(found[:, :, ::2], signals, rtol=1e-6)
    assert (found[:, :, 1::2] == 0).all()
