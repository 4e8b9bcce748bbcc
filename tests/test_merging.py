"""Results of blocks put together: counts, masks and BAM files against those of the whole."""

import json
import struct
import warnings
from dataclasses import replace

import numpy as np
import pysam
import pytest

from ionanalysis.bam import BamHeader, BamWriter, ReadGroup
from ionanalysis.bam.bgzf import END_OF_FILE
from ionanalysis.bam.joining import join_bams
from ionanalysis.basecaller.blocks import SharedByBlocks, load_tally, save_tally
from ionanalysis.basecaller.chip import open_chip
from ionanalysis.basecaller.merging import merge_blocks
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.io.mask import read_mask, write_mask
from ionanalysis.options.filters import FilterOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.wells import WellsWriter, open_wells


def reads_of(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return sorted(read.to_string() for read in bam.fetch(until_eof=True))


def without_times(path):
    content = json.loads(path.read_text())
    content.pop("BaseCaller", None)
    content.pop("meta", None)
    return content


def assert_close(one, two):
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_close(one[key], two[key])
    elif isinstance(one, list):
        assert len(one) == len(two)
        for pair in zip(one, two, strict=True):
            assert_close(*pair)
    else:
        assert one == (pytest.approx(two, rel=1e-9, abs=1e-12) if isinstance(one, float) else two)


@pytest.mark.golden
def test_barcoded_blocks_give_the_files_of_the_whole_chip(golden, tmp_path):
    source = golden / "barcodes-s60"
    inputs = BasecallerInputs(
        wells=source / "1.wells",
        mask=source / "analysis.bfmask.bin",
        run_id="GOLD2",
        datasets=source / "datasets_pipeline.json",
        run_date="2026-11-23T20:45:48",
    )
    # Polyclonal reads are told by a model of the whole chip, and the sample is drawn from all of it.
    options = BasecallerOptions(
        stage=StageOptions(num_unfiltered=100, region_rows=13), filters=FilterOptions(clonal_filter_solve=True)
    )
    whole = tmp_path / "whole"
    run_basecaller(inputs, whole, options)
    shared = SharedByBlocks.of_chip(open_chip(inputs, options.stage), options, tmp_path)
    mask, folders = read_mask(inputs.mask), {}
    with open_wells(inputs.wells) as wells:
        for block in Block(0, 0, *mask.shape).tiles(35, 23):
            place = tmp_path / block.name
            place.mkdir()
            write_mask(place / "mask.bin", mask.cut(block))
            size = (block.n_rows, block.n_cols)
            with WellsWriter(place / "1.wells", size, wells.flow_order, wells.info, dtype="float32") as writer:
                writer.write(Block(0, 0, *size), wells[block.slices])
            own = replace(inputs, wells=place / "1.wells", mask=place / "mask.bin", offset=(block.row, block.col))
            folders[block] = place / "called"
            run_basecaller(own, folders[block], options, shared=shared.of_block(block))
    merged = tmp_path / "merged"
    merge_blocks(inputs, folders, merged, options, shared)
    names = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    assert names == {path.relative_to(merged) for path in merged.rglob("*") if path.is_file()}
    assert sum(name.suffix == ".bam" for name in names) > 8
    for name in names:
        if name.suffix == ".bam":
            assert reads_of(merged / name) == reads_of(whole / name), name
        elif name.suffix == ".json":
            assert_close(without_times(merged / name), without_times(whole / name))
        else:
            assert (merged / name).read_bytes() == (whole / name).read_bytes(), name


def test_phase_seen_from_a_block_is_that_of_its_wells():
    random = np.random.default_rng(1)
    grids = [
        PhaseEstimate(values, np.full(values.shape, np.nan), np.ones((3, 4), np.int32), (90, 101))
        for values in random.uniform(0, 0.01, (2, 3, 4, 3))
    ]
    whole = PhaseEstimate.crossed(*grids)
    row, col = random.integers(0, 30, 50), random.integers(0, 40, 50)
    seen = whole.seen_from(20, 11).seen_from(31, 40)
    np.testing.assert_array_equal(seen.at(row, col), whole.at(row + 51, col + 51))


def bam(path, n_reads, *, groups=("A",), comment=None, first=0):
    """A BAM file with incompressible reads."""
    from ionanalysis.bam import ReadBatch

    random = np.random.default_rng(first)
    sizes = random.integers(50, 400, n_reads)
    ends = np.cumsum(sizes)
    bases = random.choice(np.frombuffer(b"ACGT", np.uint8), int(ends[-1]) if n_reads else 0)
    header = BamHeader(tuple(ReadGroup(name) for name in groups), comments=({"c": comment},) if comment else ())
    with BamWriter(path, header) as writer:
        if n_reads:
            names = [f"r{first + number}" for number in range(n_reads)]
            qualities = random.integers(0, 40, len(bases)).astype(np.uint8)
            writer.write(ReadBatch(names, bases, qualities, ends - sizes, ends, ()))
    return path


@pytest.mark.parametrize("counts", [(3, 0, 5), (0, 0), (2000, 1, 1500)])
def test_joined_files_hold_all_reads_in_order(tmp_path, counts):
    paths = [
        bam(tmp_path / f"{number}.bam", count, comment=f"{min(number, 1)}", first=10_000 * number)
        for number, count in enumerate(counts)
    ]
    join_bams(paths, tmp_path / "all.bam")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pysam.AlignmentFile(str(tmp_path / "all.bam"), check_sq=False) as joined:
            header, reads = joined.header.to_dict(), [read.to_string() for read in joined.fetch(until_eof=True)]
    expected = []
    for path in paths:
        with pysam.AlignmentFile(str(path), check_sq=False) as part:
            expected += [read.to_string() for read in part.fetch(until_eof=True)]
    assert reads == expected and len(reads) == sum(counts)
    assert header["CO"] == ['{"c":"0"}', '{"c":"1"}']
    assert (tmp_path / "all.bam").read_bytes().count(END_OF_FILE) == 1


def test_a_header_longer_than_a_block_is_joined(tmp_path):
    groups = tuple(f"group{number:05d}" for number in range(6000))
    paths = [bam(tmp_path / f"{number}.bam", 20, groups=groups, first=100 * number) for number in range(2)]
    join_bams(paths, tmp_path / "all.bam")
    with pysam.AlignmentFile(str(tmp_path / "all.bam"), check_sq=False) as joined:
        assert len(joined.header.to_dict()["RG"]) == 6000
        assert len(list(joined.fetch(until_eof=True))) == 40


def cut_short(content):
    return content[:-40]


def not_bam(content):
    return b"x" * 100


def half_a_header(content):
    return content[:30]


def wrong_size(content):
    (size,) = struct.unpack_from("<H", content, 16)
    return content[: size - 3] + b"\1\1\1\1" + content[size + 1 :]


@pytest.mark.parametrize("damage", [cut_short, not_bam, half_a_header, wrong_size])
def test_damaged_files_are_not_joined(tmp_path, damage):
    paths = [bam(tmp_path / f"{number}.bam", 9, first=10 * number) for number in range(2)]
    paths[1].write_bytes(damage(paths[1].read_bytes()))
    with pytest.raises(InputError, match=r"1\.bam: "):
        join_bams(paths, tmp_path / "all.bam")
    assert not (tmp_path / "all.bam").exists()


def test_files_of_other_read_groups_are_not_joined(tmp_path):
    paths = [bam(tmp_path / f"{name}.bam", 2, groups=(name,)) for name in "AB"]
    with pytest.raises(InputError, match=r"B\.bam: has other read groups"):
        join_bams(paths, tmp_path / "all.bam")


@pytest.mark.golden
def test_counts_survive_being_written(golden, tmp_path):
    source = golden / "calls-s60"
    inputs = BasecallerInputs(wells=source / "1.wells", mask=source / "analysis.bfmask.bin", run_id="GOLD1")
    options = BasecallerOptions(stage=StageOptions(rows=(0, 10), num_unfiltered=10))
    tally = run_basecaller(inputs, tmp_path, options).tally
    save_tally(tmp_path / "tally.h5", tally)
    empty = replace(tally, qualities=tally.qualities * 0, base_parts={}, n_values=0)
    again = load_tally(tmp_path / "tally.h5", empty)
    np.testing.assert_array_equal(again.qualities, tally.qualities)
    assert (again.base_parts, again.n_values) == (tally.base_parts, tally.n_values)
    np.testing.assert_array_equal(again.library.reads, tally.library.reads)
    with pytest.raises(InputError, match="counts of other options"):
        load_tally(tmp_path / "tally.h5", replace(tally, qualities=np.zeros(7, np.int64)))
    with pytest.raises(InputError, match=r"none\.h5"):
        load_tally(tmp_path / "none.h5", tally)
