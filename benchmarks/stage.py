"""What all benchmarks of stages share."""

from benchmarks.chips import SIZES, n_well_flows

THREADS = (1, 2)


class Stage:
    """A stage over chip sizes and threads; one call of `time_stage` does all its work.

    `level` says which chips it runs on, `order` where it stands in the printed table.
    """

    params = (list(SIZES), list(THREADS))
    param_names = ("chip", "threads")
    timeout = 600
    # A stage takes seconds, and its caches are warm only once in real life: one run says enough.
    number = 1
    level = "dat"
    order = 0

    def n_well_flows(self, size):
        return n_well_flows(size, self.level)
