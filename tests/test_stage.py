"""The base-calling stage on golden chips: the original's files, counts and reads, and what must always hold."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pysam
import pytest

from ionanalysis.basecaller.run_files import filtered_barcodes
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, OutputError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.mask import Mask, WellFlag, read_barcode_mask, read_mask, write_mask
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.wells import WellsWriter, open_wells

UNFILTERED = ("unfiltered.trimmed", "unfiltered.untrimmed")
JSON_FILES = ("BaseCaller.json", "datasets_basecaller.json", "datasets_tf.json", "progress_basecaller.json")


@pytest.fixture(scope="module")
def calls(golden, tmp_path_factory):
    """Result directory of `calls-s60`."""
    return called(golden / "calls-s60", tmp_path_factory.mktemp("calls"), run_id="GOLD1")


@pytest.fixture(scope="module")
def barcodes(golden, tmp_path_factory):
    """Result directory of `barcodes-s60`."""
    source = golden / "barcodes-s60"
    about = {"run_id": "GOLD2", "datasets": source / "datasets_pipeline.json"}
    return called(source, tmp_path_factory.mktemp("barcodes"), **about)


def called(source, folder, *, n_threads=2, stage=None, filters=None, phase=None, **about):
    inputs = BasecallerInputs(
        wells=source / "1.wells", mask=source / "analysis.bfmask.bin", run_date="2026-11-23T20:45:48", **about
    )
    options = BasecallerOptions(
        stage=stage or StageOptions(num_unfiltered=200),
        filters=filters or FilterOptions(),
        barcodes=BarcodeOptions(barcode_bam_tag=True),
    )
    with ThreadPoolExecutor(n_threads) as executor:
        run_basecaller(inputs, folder, options, executor=executor, command_line="test", phase=phase)
    return folder


def records(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return bam.header.to_dict(), list(bam)


def content(path):
    return json.loads(Path(path).read_text())


def key_paths(value, path=""):
    """Every key of nested JSON objects, with the keys above it."""
    if isinstance(value, list):
        return set().union(*(key_paths(item, f"{path}[]") for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    return {f"{path}/{key}" for key in value}.union(*(key_paths(item, f"{path}/{key}") for key, item in value.items()))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["calls", "barcodes"])
def test_files_have_the_originals_shapes(golden, request, name):
    ours, theirs = request.getfixturevalue(name), golden / f"{name}-s60/peer"
    # Ours adds standard errors and numbers of reads to estimates of phase.
    phase = ("/Phasing", "/TrainSubset")
    for file in JSON_FILES:
        wanted, found = key_paths(content(theirs / file)), key_paths(content(ours / file))
        assert found >= wanted, file
        assert all(key.startswith(phase) for key in found - wanted), file
    written = {str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file()}
    expected = {str(path.relative_to(theirs)) for path in theirs.rglob("*") if path.is_file()}
    assert {path for path in expected if not path.startswith("unfiltered")} == {
        path for path in written if not path.startswith("unfiltered")
    }


@pytest.mark.golden
@pytest.mark.parametrize("name", ["calls", "barcodes"])
def test_bam_headers_and_tags_are_the_originals(golden, request, name):
    ours, theirs = request.getfixturevalue(name), golden / f"{name}-s60/peer"
    for path in sorted(theirs.glob("*.bam")):
        (header, reads), (their_header, their_reads) = records(ours / path.name), records(path)
        assert header["HD"] == their_header["HD"]
        assert [group | {"DT": ""} for group in header["RG"]] == [group | {"DT": ""} for group in their_header["RG"]]
        assert header["CO"] == their_header["CO"]
        kinds = ({(t, k) for read in part for t, _, k in as_stored(read)} for part in (reads, their_reads))
        assert next(kinds) == next(kinds), path.name


def as_stored(read):
    """Tags, without the size of whole numbers: readers do not care."""
    tags = read.get_tags(with_value_type=True)
    return [(name, value, "i" if kind in "cCsSiI" else kind) for name, value, kind in tags]


@pytest.mark.golden
def test_reads_are_as_many_and_better_than_the_originals(golden, calls, calls_s60_truth):
    inserts, kinds = calls_s60_truth
    theirs = content(golden / "calls-s60/peer/BaseCaller.json")["Filtering"]
    ours = content(calls / "BaseCaller.json")["Filtering"]
    assert ours["LibraryReport"]["final_library_reads"] >= 0.97 * theirs["LibraryReport"]["final_library_reads"]
    assert ours["BaseDetails"]["final"] >= 0.97 * theirs["BaseDetails"]["final"]
    accuracy = score_calls(calls_from_bam(calls / "rawlib.basecaller.bam"), inserts, kinds)
    assert not accuracy.wrong_wells
    assert accuracy.error_rate <= 0.5
    assert accuracy.n_ends_met >= 0.65 * accuracy.n_reads


@pytest.fixture(scope="module")
def barcode_truth(golden):
    with gzip.open(golden / "barcodes-s60/truth.json.gz", "rt") as file:
        return {tuple(map(int, name.split(":"))): well for name, well in json.load(file)["wells"].items()}


@pytest.mark.golden
def test_no_read_gets_a_wrong_barcode(golden, barcodes, barcode_truth):
    n_reads = {}
    for path in sorted(barcodes.glob("*_rawlib.basecaller.bam")):
        name = path.name.removesuffix("_rawlib.basecaller.bam")
        reads = list(calls_from_bam(path))
        n_reads[name] = len(reads)
        true = {barcode_truth[read.row, read.col]["barcode"] for read in reads}
        if name == "nomatch":
            misplaced = [read for read in reads if barcode_truth[read.row, read.col]["barcode"]]
            assert len(misplaced) <= 5
        else:
            assert true == {name}
    lines = (golden / "barcodes-s60/peer/barcodeFilter.txt").read_text().splitlines()[1:]
    for name, _, count, _ in (line.split(",") for line in lines):
        assert abs(n_reads.get(name, 0) - int(count)) <= max(2, 0.01 * int(count)), name
    assert [line.split(",")[::3] for line in (barcodes / "barcodeFilter.txt").read_text().splitlines()[1:]] == [
        line.split(",")[::3] for line in lines
    ]


@pytest.mark.golden
def test_molecular_tags_are_read_and_cut(barcodes, barcode_truth):
    right = 0
    for number in (7, 8):
        _, reads = records(barcodes / f"IonXpress_00{number}_rawlib.basecaller.bam")
        for read in reads:
            row, col = map(int, read.query_name.split(":")[1:])
            right += read.get_tag("ZT") == barcode_truth[row, col].get("umt")
    # The original: 1192.
    assert right >= 1192


@pytest.mark.golden
def test_reads_with_one_wrong_barcode_base_are_rescued(barcodes, barcode_truth):
    wrong = {place: well["barcode"] for place, well in barcode_truth.items() if well.get("barcode_error")}
    found = {}
    for path in barcodes.glob("IonXpress_*_rawlib.basecaller.bam"):
        name = path.name.removesuffix("_rawlib.basecaller.bam")
        found |= {place: name for read in calls_from_bam(path) if (place := (read.row, read.col)) in wrong}
    # The original places two of these five; no read may be in a wrong file.
    assert all(wrong[place] == name for place, name in found.items())
    assert len(found) >= 4


@pytest.mark.golden
def test_the_barcode_mask_agrees_with_the_originals(golden, barcodes):
    ours = read_barcode_mask(barcodes / "barcodeMask.bin")
    theirs = read_barcode_mask(golden / "barcodes-s60/peer/barcodeMask.bin")
    assert np.count_nonzero(ours != theirs) <= 5


@pytest.mark.golden
@pytest.mark.parametrize("name", ["calls", "barcodes"])
def test_reads_and_bases_add_up(golden, request, name):
    folder = request.getfixturevalue(name)
    mask = read_mask(golden / f"{name}-s60/analysis.bfmask.bin")
    filtering = content(folder / "BaseCaller.json")["Filtering"]
    for kind, flag in (("lib", WellFlag.LIB), ("tf", WellFlag.TF)):
        assert sum(filtering["ReadDetails"][kind].values()) == mask.count(flag)
    bases = filtering["BaseDetails"]
    assert bases["initial"] == sum(count for part, count in bases.items() if part != "initial")
    reads = [read for path in folder.glob("*rawlib.basecaller.bam") for read in records(path)[1]]
    assert sum(read.query_length for read in reads) == bases["final"] == sum(filtering["qv_histogram"])
    assert len(reads) == filtering["ReadDetails"]["lib"]["valid"]
    adapters = filtering["BeadAdapters"]
    assert adapters["Adapter_0"]["read_count"] + adapters["no_match"]["read_count"] == len(reads)
    assert sum(read.has_tag("ZA") for read in reads) == adapters["Adapter_0"]["read_count"]
    groups = content(folder / "datasets_basecaller.json")["read_groups"].values()
    assert sum(group["total_bases"] for group in groups) == bases["final"]
    good = sum(int((np.array(read.query_qualities) >= 20).sum()) for read in reads)
    assert sum(group["Q20_bases"] for group in groups) == good
    keypass = read_mask(folder / "basecaller.bfmask.bin").matches(WellFlag.KEYPASS)
    assert keypass.sum() == len(reads) + filtering["ReadDetails"]["tf"]["valid"]


@pytest.mark.golden
@pytest.mark.parametrize("name", ["calls", "barcodes"])
def test_tags_tell_where_reads_lie_in_the_flows(request, name):
    # basecaller.md 8.5, 12.12
    for path in sorted(request.getfixturevalue(name).glob("*rawlib.basecaller.bam")):
        header, reads = records(path)
        flows = {group["ID"]: FlowOrder(group["FO"], len(group["FO"])) for group in header["RG"]}
        keys = {group["ID"]: group["KS"] for group in header["RG"]}
        wrong = 0
        for read in reads:
            group = read.get_tag("RG")
            tags = dict(read.get_tags())
            front = keys[group] + tags.get("ZT", "")
            order, first = flows[group], tags["ZF"]
            wrong += order.base_flows(front + read.query_sequence[0])[-1] != first
            rest = FlowOrder(order.letters[first:], len(order) - first)
            walk = rest.base_flows(read.query_sequence)
            assert walk[0] == 0
            assert first + walk[-1] < len(order)
            assert len(tags["ZM"]) >= min(tags["ZF"] + 16, len(flows[group]))
        # Barcodes and tags that were read with an error begin elsewhere than their header says.
        assert wrong <= 0.01 * len(reads)


@pytest.mark.golden
def test_unfiltered_sets_hold_the_same_sample_twice(barcodes):
    lines = [(barcodes / name / "filterStatus.txt").read_text().splitlines() for name in UNFILTERED]
    assert lines[0] == lines[1]
    sample = [tuple(map(int, line.split("\t"))) for line in lines[0][1:]]
    assert len(sample) == 200
    trimmed, untrimmed = (
        {read.query_name: read for path in (barcodes / name).glob("*.bam") for read in records(path)[1]}
        for name in UNFILTERED
    )
    assert trimmed.keys() == untrimmed.keys()
    assert {f"GOLD2:{row:05d}:{col:05d}" for col, row, _, _ in sample} == trimmed.keys()
    valid = {f"GOLD2:{row:05d}:{col:05d}": bool(ok) for col, row, _, ok in sample}
    for name, read in untrimmed.items():
        history = list(read.get_tag("ZD"))
        assert history[0] == read.query_length
        assert history[12] == trimmed[name].query_length
        assert (read.query_sequence or "").startswith(trimmed[name].query_sequence or "")
        assert (history[12] > 0) == valid[name]
    counts = content(barcodes / UNFILTERED[0] / "datasets_basecaller.json")
    assert sum(dataset["read_count"] for dataset in counts["datasets"]) == 200
    assert sum(group["read_count"] for group in counts["read_groups"].values()) == sum(valid.values())


@pytest.fixture(scope="module")
def small(golden, tmp_path_factory):
    """A 16 x 20 corner of `barcodes-s60` as a chip of its own, with float32 signals."""
    folder = tmp_path_factory.mktemp("small")
    source = open_wells(golden / "barcodes-s60/1.wells")
    mask = read_mask(golden / "barcodes-s60/analysis.bfmask.bin")
    write_chip(folder, source[:16, :20, :], source.flow_order, mask.flags[:16, :20])
    return folder


def write_chip(folder, signals, flow_order, flags):
    folder.mkdir(exist_ok=True)
    with WellsWriter(folder / "1.wells", signals.shape[:2], flow_order, dtype="float32") as writer:
        writer.write(Block(0, 0, *signals.shape[:2]), signals)
    write_mask(folder / "analysis.bfmask.bin", Mask(flags))


@pytest.mark.golden
def test_threads_change_no_byte(golden, small, tmp_path):
    about = {
        "run_id": "SMALL",
        "datasets": golden / "barcodes-s60/datasets_pipeline.json",
        "stage": StageOptions(num_unfiltered=30, region_rows=5, region_cols=7),
    }
    one, many = (called(small, tmp_path / str(n), n_threads=n, **about) for n in (1, 4))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(many) for path in many.rglob("*") if path.is_file())
    for path in files:
        if path.suffix != ".json":
            assert (one / path).read_bytes() == (many / path).read_bytes(), path
    for section in ("Filtering", "BeadSummary", "Phasing"):
        assert content(one / "BaseCaller.json")[section] == content(many / "BaseCaller.json")[section]


@pytest.mark.golden
def test_records_follow_regions_and_wells(small, tmp_path):
    folder = called(small, tmp_path, run_id="SMALL", offset=(100, 200), stage=StageOptions(region_rows=8))
    _, reads = records(folder / "rawlib.basecaller.bam")
    places = [tuple(map(int, read.query_name.split(":")[1:])) for read in reads]
    assert places == sorted(places)
    assert places[0][0] >= 100
    assert places[0][1] >= 200


@pytest.mark.golden
def test_a_chip_without_library_reads_gives_no_reads(small, tmp_path):
    source = open_wells(small / "1.wells")
    write_chip(tmp_path / "chip", source[...], source.flow_order, np.ones((16, 20), np.uint16))
    folder = called(tmp_path / "chip", tmp_path / "out", run_id="EMPTY")
    assert not list(folder.rglob("*.bam"))
    assert content(folder / "BaseCaller.json")["Filtering"]["LibraryReport"]["final_library_reads"] == 0
    assert content(folder / "datasets_basecaller.json")["datasets"][0]["read_count"] == 0


@pytest.mark.golden
def test_a_flow_order_of_the_user_replaces_that_of_the_file(small, tmp_path):
    source, flags = open_wells(small / "1.wells"), read_mask(small / "analysis.bfmask.bin").flags
    wrong = FlowOrder("TACG", source.shape[2])
    write_chip(tmp_path / "chip", source[...], wrong, flags)
    right = source.flow_order.cycle
    folder = called(tmp_path / "chip", tmp_path / "out", run_id="SMALL", flow_cycle=right)
    plain = called(small, tmp_path / "plain", run_id="SMALL")
    for name in ("rawlib", "rawtf"):
        path = f"{name}.basecaller.bam"
        assert [r.query_sequence for r in records(folder / path)[1]] == [
            r.query_sequence for r in records(plain / path)[1]
        ]


@pytest.mark.golden
def test_reads_may_all_be_filtered(small, tmp_path):
    folder = called(small, tmp_path, run_id="SHORT", filters=FilterOptions(min_read_length=1000))
    details = content(folder / "BaseCaller.json")["Filtering"]["ReadDetails"]["lib"]
    assert details["valid"] == 0
    assert details["short"] > 0
    assert [path.parent.name for path in sorted(folder.rglob("*.bam"))] == list(UNFILTERED)


@pytest.mark.golden
def test_verdicts_of_signal_processing_stand_but_the_sample_is_called(small, tmp_path):
    source, mask = open_wells(small / "1.wells"), read_mask(small / "analysis.bfmask.bin")
    flags, signals = mask.flags.copy(), source[...].copy()
    wells = np.argwhere(mask.matches(WellFlag.LIB))[:4]
    (poly, fit, key, broken) = map(tuple, wells)
    flags[poly] |= WellFlag.FILTERED_BAD_PPF
    flags[fit] |= WellFlag.FILTERED_BAD_RESIDUAL
    flags[key] |= WellFlag.FILTERED_BAD_KEY
    # The key reads 0 0 1 ...: its T is missing.
    signals[broken][0] = 0
    write_chip(tmp_path / "chip", signals, source.flow_order, flags)
    folder = called(tmp_path / "chip", tmp_path / "out", run_id="V", stage=StageOptions())
    details = content(folder / "BaseCaller.json")["Filtering"]["ReadDetails"]["lib"]
    removed = ("bkgmodel_polyclonal", "bkgmodel_high_ppf", "bkgmodel_keypass", "failed_keypass")
    assert [details[name] for name in removed] == [1, 1, 1, 1]
    assert details["valid"] == mask.count(WellFlag.LIB) - sum(details[name] for name in details if name != "valid")
    final = read_mask(folder / "basecaller.bfmask.bin").flags & WellFlag.BASECALLER
    assert [int(final[well]) for well in (poly, fit, key, broken)] == [
        # The crossing of names on the way in makes both of them BadPPF on the way out (basecaller.md 1.6, 6).
        WellFlag.FILTERED_BAD_PPF,
        WellFlag.FILTERED_BAD_PPF,
        WellFlag.FILTERED_BAD_KEY,
        WellFlag.FILTERED_BAD_KEY,
    ]
    _, reads = records(folder / "unfiltered.untrimmed/rawlib.basecaller.bam")
    history = {read.query_name: list(read.get_tag("ZD")) for read in reads}
    for column, (row, col) in ((2, poly), (1, fit), (3, key), (7, broken)):
        assert history[f"V:{row:05d}:{col:05d}"][column] == 0
        assert history[f"V:{row:05d}:{col:05d}"][12] == 0
    _, kept = records(folder / "rawlib.basecaller.bam")
    assert len(kept) == details["valid"]


@pytest.mark.golden
def test_signals_that_are_no_numbers_read_as_zero_and_are_counted(small, tmp_path):
    source, mask = open_wells(small / "1.wells"), read_mask(small / "analysis.bfmask.bin")
    write_chip(tmp_path / "chip", source[...], source.flow_order, mask.flags)
    row, col = np.argwhere(mask.matches(WellFlag.LIB))[0]
    with h5py.File(tmp_path / "chip/1.wells", "r+") as file:
        file["wells"][row, col, 100:103] = np.nan
    inputs = BasecallerInputs(wells=tmp_path / "chip/1.wells", mask=tmp_path / "chip/analysis.bfmask.bin", run_id="N")
    with ThreadPoolExecutor(1) as executor:
        result = run_basecaller(inputs, tmp_path / "out", executor=executor)
    assert result.tally.n_bad_values == 3
    _, reads = records(tmp_path / "out/rawlib.basecaller.bam")
    assert any(read.query_name == f"N:{row:05d}:{col:05d}" for read in reads)


@pytest.mark.golden
def test_inputs_that_do_not_fit_are_explained(small, tmp_path):
    write_mask(tmp_path / "analysis.bfmask.bin", Mask(np.zeros((3, 3), np.uint16)))
    wrong = BasecallerInputs(wells=small / "1.wells", mask=tmp_path / "analysis.bfmask.bin", run_id="X")
    with pytest.raises(InputError, match="3 x 3"):
        run_basecaller(wrong, tmp_path / "out")
    inputs = BasecallerInputs(wells=small / "1.wells", mask=small / "analysis.bfmask.bin", run_id="X")
    few = BasecallerOptions(stage=StageOptions(flowlimit=5))
    with pytest.raises(InputError, match="does not fit into 5 flows"):
        run_basecaller(inputs, tmp_path / "out", few)
    adapter = BasecallerOptions(trims=TrimOptions(trim_adapter=("ACGN",)))
    with pytest.raises(InputError, match="bead adapter 'ACGN'"):
        run_basecaller(inputs, tmp_path / "out", adapter)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        run_basecaller(inputs, tmp_path / "file/out")


def test_barcodes_with_few_reads_are_filtered():
    # basecaller.md 12.9
    counts, errors, none = [1_000_000, 12_000, 9_000, 15], np.zeros((4, 3), int), np.zeros(4, int)
    may = np.ones(4, bool)
    options = BarcodeOptions(barcode_filter_minreads=20)
    assert filtered_barcodes(counts, errors, none, may, options).tolist() == [False, False, True, True]
    block = BarcodeOptions(barcode_filter_minreads=20, barcode_filter_postpone=1)
    assert filtered_barcodes(counts, errors, none, may, block).tolist() == [False, False, False, True]
    named = np.array([True, True, False, True])
    assert not filtered_barcodes(counts, errors, none, named, options)[2]
    contaminated = np.array([200_001, 0, 0, 0])
    assert filtered_barcodes(counts, errors, contaminated, may, options)[0]
