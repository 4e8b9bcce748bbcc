"""Damaged files of every format are read or refused with one sentence: no crash, no hang, no wrong shape."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.flows import FlowOrder
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
    table = PhredTable((np.array([1, 2]),) * 6, np.arange(64) % 40)
    for name in ("table.h5", "table.binary", "table.txt"):
        write_phred_table(folder / name, table)
    return folder


FORMS = [
    ("wells", "plain.wells", 18_000),
    ("wells", "packed.wells", 18_000),
    ("wells", "legacy.wells", 40),
    ("mask", "bfmask.bin", 8),
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
