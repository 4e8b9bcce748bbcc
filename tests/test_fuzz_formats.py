"""Damaged files of every format are read or refused with one sentence: no crash, no hang, no wrong shape."""

import json
import os
import subprocess
import sys
from array import array
from pathlib import Path

import numpy as np
import pysam
import pytest

from ionanalysis.blocks import Block
from ionanalysis.flows import FlowOrder
from ionanalysis.io.fit_parameters import DATASETS, FitParameters
from ionanalysis.io.mask import Mask, write_mask
from ionanalysis.io.phred import PhredTable, read_phred_table, write_phred_table
from ionanalysis.io.wells_legacy import write_legacy_wells
from ionanalysis.wells import WellsWriter

ROOT = Path(__file__).parents[1]


def fuzz(reader, path, n_cases, *, n_header, seed=1):
    """Counts of versions read and refused."""
    program = [sys.executable, str(ROOT / "tests/fuzz_reader.py"), reader, str(path), str(n_cases)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*program, str(seed), str(n_header)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and not done.stderr, done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == n_cases and counts["refused"] > 0
    return counts


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small file of each form that we write."""
    folder = tmp_path_factory.mktemp("fuzz")
    random, flow_order = np.random.default_rng(1), FlowOrder("TACG", 9)
    signal = random.normal(size=(7, 6, 9)).astype(np.float32)
    for name, options in (("plain.wells", {}), ("packed.wells", {"compression": 3, "has_copies": True})):
        with WellsWriter(folder / name, (7, 6), flow_order, {"ChipType": "530"}, **options) as writer:
            writer.write(Block(0, 0, 7, 6), signal, np.ones((7, 6)) if "has_copies" in options else None)
    rows, cols = np.divmod(np.arange(42), 6)
    write_legacy_wells(folder / "legacy.wells", signal.reshape(42, 9), flow_order, rows=rows, cols=cols)
    write_mask(folder / "bfmask.bin", Mask(np.full((7, 6), 0x46)))
    values: dict = {"wells": {}, "regions": {}, "flows": {}}
    for place in DATASETS:
        group, key = place.split("/")
        values[group][key] = np.ones((7, 6), np.float32)
    FitParameters(**values).write(folder / "fit_parameters.h5")
    table = PhredTable((np.array([1, 2]),) * 6, np.arange(64) % 40)
    for name in ("table.h5", "table.binary", "table.txt"):
        write_phred_table(folder / name, table)
    return folder


FORMS = [
    ("wells", "plain.wells", 18_000),
    ("wells", "packed.wells", 18_000),
    ("wells", "legacy.wells", 40),
    ("mask", "bfmask.bin", 8),
    ("fit parameters", "fit_parameters.h5", 18_000),
    ("phred", "table.h5", 2000),
    ("phred", "table.binary", 40),
    ("phred", "table.txt", 60),
]


@pytest.mark.parametrize("reader, name, n_header", FORMS)
def test_damaged_files_are_read_or_refused(small, reader, name, n_header):
    fuzz(reader, small / name, 150, n_header=n_header)


def test_damaged_sff_files_are_read_or_refused(golden):
    fuzz("sff", golden / "sff/E3MFGYR02_index_in_middle.sff", 300, n_header=500)


@pytest.mark.parametrize("name", ["packed.wells", "table.h5", "legacy.wells", "table.txt"])
def test_info_survives_damaged_files(small, name):
    fuzz("info", small / name, 100, n_header=4000)


def test_info_survives_damaged_bam_files(golden):
    fuzz("info", golden / "calls-s60/peer/rawtf.basecaller.bam", 100, n_header=1000)


def aligned_bam(path, n_reads=4, qualities="5" * 16):
    """Write a BAM file of aligned reads with the tags of an aligner and of the base caller."""
    bases = "ACGATACGGTATTGCA"
    header = {
        "HD": {"VN": "1.4"},
        "SQ": [{"SN": "chr1", "LN": 1000}],
        "RG": [{"ID": "R", "FO": "TACG" * 15, "KS": "TCAG"}],
    }
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for number in range(n_reads):
            read = pysam.AlignedSegment(out.header)
            read.query_name, read.query_sequence, read.reference_id = f"RUN:{number}:3", bases, 0
            read.reference_start, read.mapping_quality, read.flag = 10 * number, 40, 16 * (number % 2)
            read.cigarstring = "2S4M1D3M1I4M2S"
            read.query_qualities = pysam.qualitystring_to_array(qualities)
            read.set_tags([("RG", "R"), ("MD", "1T2^C7"), ("NM", 3), ("ZF", 8), ("ZA", 16)])
            read.set_tag("ZM", array("h", [256, 0, 260, 3] * 15))
            read.set_tag("ZP", array("f", [0.006, 0.005, 0.001]))
            out.write(read)
    return path


OF_BAM = ["info", "flowgrams", "calls", "read statistics", "report", "recall"]


@pytest.mark.parametrize("reader", OF_BAM)
def test_damaged_bam_records_are_read_or_refused(golden, reader):
    fuzz(reader, golden / "calls-s60/peer/rawtf.basecaller.bam", 300, n_header="records")


@pytest.mark.parametrize("reader", [*OF_BAM, "alignment statistics"])
def test_damaged_aligned_records_are_read_or_refused(tmp_path, reader):
    fuzz(reader, aligned_bam(tmp_path / "aligned.bam"), 400, n_header="records")


def test_aligned_records_are_read_where_nothing_is_damaged(tmp_path):
    from ionanalysis.metrics.ionstats_alignment import alignment_statistics

    found = alignment_statistics(aligned_bam(tmp_path / "aligned.bam"))
    assert found["aligned"]["num_reads"] == 4
    assert sum(found["by_base"]["ins"]) == sum(found["by_base"]["del"]) == 4


@pytest.mark.parametrize("qualities", [None, "0123456789ABCDEF"])
def test_qualities_come_in_the_order_of_sequencing_or_not_at_all(tmp_path, qualities):
    from ionanalysis.metrics.accuracy import calls_from_bam

    plain, reverse, *_ = calls_from_bam(aligned_bam(tmp_path / "aligned.bam", qualities=qualities))
    if qualities is None:
        assert plain.qualities is None and reverse.qualities is None
    else:
        assert (
            plain.qualities.tolist()
            == reverse.qualities[::-1].tolist()
            == list(pysam.qualitystring_to_array(qualities))
        )


def test_tags_are_asked_for_one_by_one():
    # get_tags() of pysam runs beyond a record with damaged lengths.
    sources = {path: path.read_text("utf-8") for path in (ROOT / "ionanalysis").rglob("*.py")}
    assert [path.name for path, text in sources.items() if "get_tags(" in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("reader, name, n_header", FORMS)
def test_thousands_of_damaged_files(small, reader, name, n_header):
    fuzz(reader, small / name, 3000, n_header=n_header, seed=2)


GOLDEN = [
    ("wells", "calls-s60/1.wells", 12_000, 1500),
    ("wells", "real-314/1.wells", 300, 1500),
    ("mask", "real-314/bfmask.bin", 8, 5000),
    ("phred", "phred/phredTable.530.h5", 4000, 1500),
    ("sff", "sff/E3MFGYR02_index_in_middle.sff", 500, 5000),
    ("sff", "sff/greek.sff", 900, 3000),
    ("info", "barcodes-s60/peer/nomatch_rawlib.basecaller.bam", 1000, 3000),
    ("info", "real-521-dat/acq_0000.dat", 200, 1000),
]


@pytest.mark.slow
@pytest.mark.parametrize("reader, name, n_header, n_cases", GOLDEN)
def test_thousands_of_damaged_golden_files(golden, reader, name, n_header, n_cases):
    fuzz(reader, golden / name, n_cases, n_header=n_header, seed=3)


def test_an_undamaged_file_is_read(small):
    assert read_phred_table(small / "table.txt") == read_phred_table(small / "table.h5")
