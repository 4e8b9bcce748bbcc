"""Files: raw images in, reads out."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.chips import chip, flow_order
from benchmarks.stage import Stage
from ionanalysis.bam import BamHeader, BamWriter, ReadBatch, ReadGroup, TagColumn, encode_records, flow_units
from ionanalysis.executors import map_blocks, open_executor
from ionanalysis.run import open_run
from ionanalysis.wells import open_wells

_READS_PER_BATCH = 500


class ReadImages(Stage):
    """Decode all flows of a run, as signal processing does."""

    order = 10

    def setup(self, size, threads):
        self.run = open_run(chip(size, "dat"))

    def time_stage(self, size, threads):
        with open_executor("threads", threads) as executor:
            for _ in map_blocks(executor, self._decode, range(self.run.n_flows)):
                pass

    def _decode(self, flow):
        return self.run.flow(flow).frames.shape


class WriteBam(Stage):
    """Encode and compress reads, with their flow signals, into an unaligned BAM."""

    level = "wells"
    order = 60

    def setup(self, size, threads):
        path = chip(size, "wells")
        wells = open_wells(path / "1.wells")
        signals = wells[:, :, :].reshape(-1, wells.shape[2])
        self.batches = [
            _reads(signals[first : first + _READS_PER_BATCH], first)
            for first in range(0, len(signals), _READS_PER_BATCH)
        ]
        self.header = BamHeader((ReadGroup("BENCH", flows=flow_order("wells").letters, key_sequence="TCAG"),))

    def time_stage(self, size, threads):
        with (
            tempfile.TemporaryDirectory() as folder,
            open_executor("threads", threads) as executor,
            BamWriter(Path(folder) / "reads.bam", self.header) as bam,
        ):
            for records in map_blocks(executor, encode_records, self.batches):
                bam.write_records(records)


def _reads(signals, first):
    """A read of half as many bases as flows for each signal."""
    n, n_flows = signals.shape
    random = np.random.default_rng(first)
    starts = np.arange(n) * (n_flows // 2)
    return ReadBatch(
        names=[f"BENCH:00000:{first + read:05d}" for read in range(n)],
        bases=random.choice(np.frombuffer(b"ACGT", np.uint8), n * (n_flows // 2)),
        qualities=random.integers(10, 36, n * (n_flows // 2)).astype(np.uint8),
        begin=starts,
        end=starts + n_flows // 2,
        tags=(TagColumn("ZM", "B:s", flow_units(signals)), TagColumn("RG", "Z", ["BENCH"] * n)),
    )
