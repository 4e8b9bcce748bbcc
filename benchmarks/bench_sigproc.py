"""Signal processing: raw images to beads and signals."""

from benchmarks.chips import chip
from benchmarks.stage import Stage
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals


class FindBeads(Stage):
    """Find beads and their keys in the first flows."""

    order = 20

    def setup(self, size, threads):
        self.run = open_run(chip(size, "dat"))

    def time_stage(self, size, threads):
        find_beads(self.run, n_threads=threads)


class FitSignals(Stage):
    """Measure the signals of all flows, beads being known."""

    order = 30

    def setup(self, size, threads):
        self.run = open_run(chip(size, "dat"))
        self.beads = find_beads(self.run)

    def time_stage(self, size, threads):
        fit_signals(self.run, mask=self.beads, n_threads=threads)
