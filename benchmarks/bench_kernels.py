"""Compiled kernels, each build of them, beside the plain NumPy twins that say what they compute."""

import numpy as np

from ionanalysis import _core
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.filters import P1_ADAPTER
from ionanalysis.reference import adapter as adapter_twin
from ionanalysis.reference import dat as dat_twin
from ionanalysis.reference import fits as fits_twin
from ionanalysis.reference import phase as phase_twin
from ionanalysis.reference import quality as quality_twin
from ionanalysis.reference import records as records_twin
from ionanalysis.reference import simulate as simulate_twin
from ionanalysis.reference import solve as solve_twin
from ionanalysis.reference import traces as traces_twin

TWIN = "reference"
FLOWS = FlowOrder(DEFAULT_CYCLE, 200)
PHASE = (0.006, 0.004, 0.0005)
CUTOFF = 1e-6


class Kernel:
    """One kernel on one thread, by build.

    `file` names the kernel file, `unit` what `n_items` counts. `prepare(n)` makes the inputs: the kernels get
    `n_fast` of what they work on, the twins `n_slow`, as they may be a thousand times slower.
    """

    param_names = ("build",)
    timeout = 300
    file = ""
    unit = ""
    n_fast = 1000
    n_slow = 2
    n_items: int

    def setup(self, build):
        self.is_twin = build == TWIN
        self.kernels = None if self.is_twin else _core.kernel(self.file, build)
        self.prepare(self.n_slow if self.is_twin else self.n_fast)

    def __init_subclass__(cls):
        # Not in the base class, which asv would take for a benchmark of its own.
        cls.time_kernel = cls._call

    def _call(self, build):
        if self.is_twin:
            self.run_twin()
        else:
            self.run_kernel()


def builds(file):
    """What a kernel file can be measured as on this processor: its builds, and the twin."""
    return ([*_core.variants(file), TWIN],)


def templates(n, n_bases=110):
    """Random sequences with the library key in front."""
    letters = np.random.default_rng(1).choice(list("ACGT"), (n, n_bases))
    return ["TCAG" + "".join(row) for row in letters]


def runs_of(sequences):
    """First run of each sequence, flow and length of each run."""
    grams = np.array([FLOWS.flowgram(sequence) for sequence in sequences])
    start = np.concatenate([[0], np.cumsum((grams > 0).sum(axis=1))]).astype(np.int64)
    flows = np.nonzero(grams)[1].astype(np.int32)
    return start, flows, grams[grams > 0].astype(np.float32)


class DecodeRegions(Kernel):
    """`decode_regions`: one frame of a compressed image (DAT type 5) from the frame before."""

    file, params, unit = "dat", builds("dat"), "pixels"
    n_fast, n_slow = 512, 32

    def prepare(self, n):
        random = np.random.default_rng(1)
        previous = random.integers(4000, 9000, (n, n)).astype(np.int16)
        frame = (previous + random.integers(-12, 13, (n, n))).astype(np.int16)
        payload, _, _ = (self._encoded if self.kernels else dat_twin.encode_regions)((16, 16, 0), previous, frame)
        n_regions = -(-n // 16)
        self.data = np.frombuffer(payload, np.uint8)
        self.grid = np.array([16, 16, n_regions, 0, 0], np.int64)
        self.previous, self.coded_shape = previous, (n_regions, n_regions)
        self.n_items = frame.size

    def _encoded(self, grid, previous, frame):
        data, found = np.empty(4 * frame.size + 64, np.uint8), np.zeros(3, np.int64)
        self.kernels.encode_regions(np.array(grid, np.int64), previous, frame, data, found)
        return data[: found[2]].tobytes(), found[0], found[1]

    def run_kernel(self):
        pixels, coded = np.zeros_like(self.previous), np.zeros(self.coded_shape, np.uint8)
        self.kernels.decode_regions(self.data, 1, self.grid, self.previous, pixels, coded, np.zeros(2, np.int64))

    def run_twin(self):
        dat_twin.decode_regions(self.data, 1, self.grid, self.previous, self.coded_shape)


class TakeIn(Kernel):
    """`take_in`: traces of an image onto a few shapes, pinned wells and the sum of the empties, in one pass."""

    file, params, unit = "traces", builds("traces"), "wells·flows"
    n_fast, n_slow = 100, 100

    def prepare(self, n):
        random = np.random.default_rng(1)
        self.frames = random.integers(4000, 9000, (105, n, 100)).astype(np.int16)
        self.vectors = random.random((105, 6), np.float32)
        self.chosen = (random.random(100 * n) < 0.2).astype(np.uint8)
        self.n_items = 100 * n

    def run_kernel(self):
        n_wells = self.frames[0].size
        out = np.zeros((6, n_wells), np.float32), np.zeros(n_wells, np.uint8), np.zeros(106, np.int64)
        self.kernels.take_in(self.frames, self.vectors, 1, 16379, self.chosen, np.zeros((105, 16), np.int32), *out)

    def run_twin(self):
        traces_twin.take_in(self.frames, self.vectors, 1, 16379, self.chosen)


class FitWells(Kernel):
    """`fit_wells`: four Gauss-Newton steps for gain, time constant and delay."""

    file, params, unit = "fits", builds("fits"), "wells"
    n_fast, n_slow = 2000, 200

    def prepare(self, n):
        random = np.random.default_rng(1)
        phase = random.uniform(0, 6, 16)
        self.table = np.sin(phase + 0.1 * np.arange(24)[:, None, None] + 0.2 * np.arange(13)[:, None]).astype(
            np.float32
        )
        self.traces = random.normal(self.table[12, 6], 0.1, (n, 16)).astype(np.float32)
        self.start = np.tile([1.0, -0.85, -0.02], (n, 1))
        self.n_items = n

    def run_kernel(self):
        values, left = self.start.copy(), np.zeros(len(self.start))
        self.kernels.fit_wells(self.table, _LINES, self.traces, self.start, np.zeros(3), 4, values, left)

    def run_twin(self):
        fits_twin.fit_wells(self.table, _LINES, self.traces, self.start, np.zeros(3), 4, self.start)


_LINES = np.array([-2.0, 0.1, -0.2, 0.033])


class PredictSignal(Kernel):
    """`predict_signal`: phased signals of sequences that are known."""

    file, params, unit = "phase", builds("phase"), "wells·flows"

    def prepare(self, n):
        self.args = FLOWS.bases, *runs_of(templates(n)), np.tile(PHASE, (n, 1)), CUTOFF
        self.shape = n, len(FLOWS)
        self.n_items = n * len(FLOWS)

    def run_kernel(self):
        self.kernels.predict_signal(*self.args, np.zeros(self.shape), np.ones(self.shape, np.float32))

    def run_twin(self):
        phase_twin.predict_signal(*self.args)


class FitSums(Kernel):
    """`fit_sums`: normal equations of the phase, from reads with known runs."""

    file, params, unit = "phase", builds("phase"), "wells·flows"
    n_slow = 5

    def prepare(self, n):
        runs, phase = runs_of(templates(n)), np.tile(PHASE, (n, 1))
        clean, _ = phase_twin.predict_signal(FLOWS.bases, *runs, phase, CUTOFF)
        measured = (clean + np.random.default_rng(2).normal(0, 0.07, clean.shape)).astype(np.float32)
        end = np.full(n, len(FLOWS), np.int32)
        self.args = FLOWS.bases, *runs, np.array(PHASE), 1e-5, measured, 8, end, np.array([0.1, 0.03, 2.5])
        self.n_items = measured.size

    def run_kernel(self):
        n = len(self.args[-2])
        outs = np.empty((n, 3)), np.empty((n, 3, 3)), np.empty((len(FLOWS), 3)), np.empty((3, 3))
        self.kernels.fit_sums(*self.args, *outs)

    def run_twin(self):
        phase_twin.fit_sums(*self.args)


class SolveReads(Kernel):
    """`solve_reads`: the bases of noisy signals."""

    file, params, unit = "solve", builds("solve"), "wells·flows"
    n_fast, n_slow = 100, 1

    def prepare(self, n):
        from ionanalysis.basecaller.solve import ReadResponse, linear_response
        from ionanalysis.options.basecaller import SolverOptions

        phase = np.tile(PHASE, (n, 1))
        clean, _ = phase_twin.predict_signal(FLOWS.bases, *runs_of(templates(n)), phase, CUTOFF)
        self.signals = (clean + np.random.default_rng(2).normal(0, 0.07, clean.shape)).astype(np.float32)
        same = ReadResponse.same(linear_response(), FLOWS, n)
        self.phase, self.settings = phase, (same.sizes, same.model, same.table, SolverOptions().as_array())
        self.pinned = np.zeros((n, 0), np.int8)
        self.n_items = self.signals.size

    def run_kernel(self):
        shape = self.signals.shape
        out = (
            *np.zeros((3, *shape), np.float32),
            np.zeros(shape[0], np.int32),
            np.zeros(shape, np.int16),
            np.zeros(shape, np.int8),
            np.zeros((*shape, 3), np.float32),
        )
        self.kernels.solve_reads(FLOWS.bases, self.signals, self.phase, self.pinned, *self.settings, *out)

    def run_twin(self):
        solve_twin.solve_reads(FLOWS.bases, self.signals, self.phase, self.pinned, *self.settings)


class QualityPredictors(Kernel):
    """`quality_predictors`: what speaks against each base of reads with a run in every other flow."""

    file, params, unit = "quality", builds("quality"), "wells·flows"
    n_slow = 100

    def prepare(self, n):
        from ionanalysis.basecaller.quality import predictor_settings
        from ionanalysis.options.basecaller import SolverOptions

        random, shape = np.random.default_rng(4), (n, len(FLOWS))
        n_runs = len(FLOWS) // 2
        run_flow, run_length = np.zeros(shape, np.int16), np.zeros(shape, np.int8)
        run_flow[:, :n_runs] = np.arange(n_runs) * 2
        run_length[:, :n_runs] = random.integers(1, 3, (n, n_runs))
        self.args = (
            *random.random((3, *shape), np.float32),
            np.full(n, n_runs, np.int32),
            run_flow,
            run_length,
            random.normal(10, 5, (*shape, 3)).astype(np.float32),
            predictor_settings(SolverOptions()),
        )
        self.n_bases, self.n_items = int(run_length.sum()), n * len(FLOWS)

    def run_kernel(self):
        self.kernels.quality_predictors(*self.args, np.empty((self.n_bases, 6), np.float32))

    def run_twin(self):
        quality_twin.quality_predictors(*self.args)


class LookUp(Kernel):
    """`look_up`: qualities from the shipped table."""

    file, params, unit = "quality", builds("quality"), "bases"
    n_fast, n_slow = 100_000, 10_000

    def prepare(self, n):
        from ionanalysis.basecaller.quality import shipped_table

        table, random = shipped_table(), np.random.default_rng(5)
        predictors = np.stack([random.choice(cut, n) for cut in table.cuts], axis=1)
        start = np.concatenate([[0], np.cumsum([cut.size for cut in table.cuts])]).astype(np.int64)
        self.args, self.n_items = (predictors, np.concatenate(table.cuts), start, table.values.reshape(-1)), n

    def run_kernel(self):
        self.kernels.look_up(*self.args, np.empty(self.n_items, np.uint8))

    def run_twin(self):
        quality_twin.look_up(*self.args)


class AppendCells(Kernel):
    """`append_cells`: the flow signals of reads of 400 flows, into their records."""

    file, params, unit = "records", builds("records"), "records"
    n_fast, n_slow = 5000, 500
    size, work = 800, "append_cells"

    def prepare(self, n):
        self.cells = np.random.default_rng(6).integers(0, 16, n * self.size).astype(np.uint8)
        self.first, self.n_items = np.arange(n, dtype=np.int64) * self.size, n

    def _args(self):
        return self.cells, self.first, self.first + self.size, self.first.copy(), np.zeros(len(self.cells), np.uint8)

    def run_kernel(self):
        getattr(self.kernels, self.work)(*self._args())

    def run_twin(self):
        getattr(records_twin, self.work)(*self._args())


class AppendPacked(AppendCells):
    """`append_packed`: the bases of reads, two a byte."""

    size, work = 200, "append_packed"


class FindAdapter(Kernel):
    """`find_adapter`: where the bead adapter begins in called reads."""

    file, params, unit = "adapter", builds("adapter"), "wells·flows"
    n_slow = 5

    def prepare(self, n):
        sequences = [template[:60] + P1_ADAPTER for template in templates(n)]
        flows = np.concatenate([FLOWS.base_flows(sequence) for sequence in sequences]).astype(np.int16)
        residual = np.random.default_rng(3).normal(0, 0.1, (n, len(FLOWS))).astype(np.float32)
        self.args = (
            np.frombuffer("".join(sequences).encode(), np.uint8),
            flows,
            np.arange(n + 1, dtype=np.int64) * len(sequences[0]),
            residual,
            np.frombuffer(FLOWS.letters.encode(), np.uint8),
            np.frombuffer(P1_ADAPTER.encode(), np.uint8),
            16.0,
            6,
        )
        self.n_items = residual.size

    def run_kernel(self):
        n = len(self.args[3])
        self.kernels.find_adapter(*self.args, np.full((n, 3), -1, np.int32), np.full((n, 1), -1e10, np.float32))

    def run_twin(self):
        adapter_twin.find_adapter(*self.args)


class PhaseRuns(Kernel):
    """`phase_runs`: the simulator's own phasing of templates."""

    file, params, unit = "simulate", builds("simulate"), "wells·flows"
    n_slow = 5

    def prepare(self, n):
        from ionanalysis.simulate.phasing import runs_of

        self.runs, self.phase = runs_of(templates(n)), np.tile(PHASE, (n, 1))
        self.n_items = n * len(FLOWS)

    def run_kernel(self):
        n_flows = len(FLOWS)
        out = np.empty((4, n_flows)), np.empty(n_flows), np.empty((len(self.phase), n_flows), np.float32)
        self.kernels.phase_runs(*self.runs, FLOWS.bases, self.phase, CUTOFF, *out)

    def run_twin(self):
        simulate_twin.phase_runs(*self.runs, FLOWS.bases, self.phase)
