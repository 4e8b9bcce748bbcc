"""Base calling: signals to phase and bases."""

import tempfile

from benchmarks.chips import chip, flow_order
from benchmarks.stage import Stage
from ionanalysis.basecaller import call_bases, estimate_phase
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.stage import BasecallerInputs, run_basecaller
from ionanalysis.basecaller.wells_normalisation import normalise_wells
from ionanalysis.blocks import Block
from ionanalysis.executors import open_executor
from ionanalysis.flows import LIBRARY_KEY, TF_KEY
from ionanalysis.io.mask import read_mask
from ionanalysis.wells import open_wells


class EstimatePhase(Stage):
    """Carry-forward, incomplete extension and droop of a chip."""

    level = "wells"
    order = 40

    def setup(self, size, threads):
        self.wells, self.mask = _opened(size)

    def time_stage(self, size, threads):
        estimate_phase(self.wells, self.mask, n_threads=threads)


class NormaliseWells(Stage):
    """Normalisation of wells by each other (`--wells-normalization`), in regions of 50 rows; one thread."""

    level = "wells"
    order = 45

    def setup(self, size, threads):
        self.wells, mask = _opened(size)
        self.classes = read_classes(mask)
        self.keys = [self.wells.flow_order.key_flowgram(key) for key in (LIBRARY_KEY, TF_KEY)]

    def time_stage(self, size, threads):
        n_rows, n_cols = self.wells.shape[:2]
        for block in Block(0, 0, n_rows, n_cols).tiles(50, n_cols):
            classes = self.classes.within(block)
            output = classes.output
            signals = self.wells[(*block.slices, slice(None))][output]
            good = (classes.library & classes.valid)[output]
            normalise_wells(signals, self.wells.flow_order, "fix01", good, classes.tf[output], self.keys)


class CallBases(Stage):
    """Bases of all library and test-fragment wells, the phase being known."""

    level = "wells"
    order = 50

    def setup(self, size, threads):
        self.wells, self.mask = _opened(size)
        self.phase = estimate_phase(self.wells, self.mask)

    def time_stage(self, size, threads):
        call_bases(self.wells, self.phase, self.mask, n_threads=threads)


class RunBasecaller(Stage):
    """All of base calling: phase, bases, qualities, filters, trimming, and the files."""

    level = "wells"
    order = 70

    def setup(self, size, threads):
        path = chip(size, "wells")
        self.inputs = BasecallerInputs(
            wells=path / "1.wells",
            mask=path / "analysis.bfmask.bin",
            run_id="BENCH",
            flow_cycle=flow_order("wells").cycle,
        )

    def time_stage(self, size, threads):
        with tempfile.TemporaryDirectory() as folder, open_executor("threads", threads) as executor:
            run_basecaller(self.inputs, folder, executor=executor)


def _opened(size):
    path = chip(size, "wells")
    return open_wells(path / "1.wells"), read_mask(path / "analysis.bfmask.bin")
