"""A full disk: HDF5 files end in one clear error, with nothing left behind."""

import errno
import os

import h5py
import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.errors import OutputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io import hdf5_writing
from ionanalysis.io.hdf5_writing import create_hdf5
from ionanalysis.io.phred import PhredTable, write_phred_table
from ionanalysis.io.wells_writer import WellsWriter


@pytest.fixture
def disk(monkeypatch):
    """Lets files of `create_hdf5` grow to a number of bytes; more is refused as on a full disk."""
    limit = {"bytes": 1 << 40}

    class Small:
        def __init__(self, path, mode, buffering):
            self._file = open(path, mode, buffering=buffering)  # noqa: PTH123, SIM115

        def write(self, content):
            if self._file.tell() + len(content) > limit["bytes"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(content)

        def __getattr__(self, name):
            return getattr(self._file, name)

    monkeypatch.setattr(hdf5_writing, "open", Small, raising=False)
    return limit


def write_wells(path, compression=0):
    with WellsWriter(path, (100, 100), FlowOrder(DEFAULT_CYCLE, 120), compression=compression) as writer:
        for block in Block(0, 0, 100, 100).tiles(50, 50):
            writer.write(block, np.random.default_rng(1).random((50, 50, 120)))


def test_files_can_be_read_back(tmp_path):
    with create_hdf5(tmp_path / "x.h5") as file:
        file["a"] = np.arange(1000)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["a"][...].tolist() == list(range(1000))


@pytest.mark.parametrize("compression", [0, 1])
@pytest.mark.parametrize("n_bytes", [0, 100, 5_000, 700_000, 1_500_000])
def test_wells_on_a_full_disk(disk, tmp_path, n_bytes, compression):
    disk["bytes"] = n_bytes
    with pytest.raises(OutputError, match=r"1\.wells: cannot be written \(No space left"):
        write_wells(tmp_path / "1.wells", compression)
    assert list(tmp_path.iterdir()) == []


def test_quality_tables_on_a_full_disk(disk, tmp_path):
    cuts = tuple(np.arange(1, 4, dtype=np.float32) for _ in range(6))
    table = PhredTable(cuts, np.zeros((3,) * 6, np.uint8), None)
    disk["bytes"] = 2000
    with pytest.raises(OutputError, match="No space left"):
        write_phred_table(tmp_path / "t.h5", table)
    assert list(tmp_path.iterdir()) == []
