"""The model of a read and the beam search of the solver's plain-NumPy twin (ionanalysis.reference.solve)."""

from dataclasses import dataclass, field

import numpy as np

from ionanalysis.reference.phase import transition_tables

MAX_RUN, MAX_BEAM, BLOCK, WORK_PER_FLOW, FREE = 23, 32, 8, 8, -1
MOST_NOISY = 8.0


@dataclass
class Settings:
    """What `SolverOptions.as_array` holds, in that order."""

    beam: float
    drop: float
    look_ahead: float
    prior: float
    cutoff: float
    huber: float
    noise: float
    noise_per_base: float
    gain_sd: float
    offset_sd: float
    kernel: float
    n_first: float
    n_rounds: float
    noise_out_of_phase: float


@dataclass
class State:
    """Fraction of strands that took the last run in each flow; 0 outside of the blocks of flows [begin, end)."""

    taken: np.ndarray
    begin: int
    end: int


@dataclass
class Path:
    state: State
    signal: np.ndarray
    runs: list = field(default_factory=list)
    settled: float = 0.0
    score: float = 0.0

    @property
    def flow(self):
        return self.runs[-1][0] if self.runs else -1


class SearchedRead:
    """One read and the beam search: its signals `x`, the answer `runs` (flow, length), and what they predict.

    `units` (n_flows, 25) is the signal of a run by its flow and length.
    """

    def __init__(self, flow_base, raw, phase, pinned, units, settings):
        self.raw, self.n, self.nuc = np.asarray(raw, float), len(raw), np.asarray(flow_base)
        self.extend, self.stay = (table[0] for table in transition_tables(flow_base, phase[None]))
        self.set, self.units = settings, units
        in_phase = np.exp(-0.4 * (phase[0] + phase[1]) * np.arange(self.n))
        self.floor = settings.noise + settings.noise_out_of_phase * (1.0 - in_phase)
        self.pinned = [*pinned, *[FREE] * (self.n - len(pinned))]
        self.beam = int(max(1, min(self.set.beam, MAX_BEAM)))
        self.former = [next((k for k in range(j - 1, -1, -1) if self.nuc[k] == self.nuc[j]), -2) for j in range(self.n)]
        self.x, self.signal = self.raw.copy(), np.zeros(self.n)
        start = np.zeros(self.n)
        start[0] = 1.0
        self.start, self.states = State(start, 0, BLOCK), []
        self.scale, self.per_base = 1.0, self.set.noise_per_base
        self.work, self.most_work, self.width = 0, WORK_PER_FLOW * self.n, np.zeros(self.n, int)

    def sd(self, flows, signal):
        """Noise of a slice of flows; its growth ends at 8 bases."""
        return self.scale * self.floor[flows] + self.per_base * np.minimum(signal, MOST_NOISY)

    def score(self, flows, signal):
        """Negative log-likelihood of a slice of flows, Gauss with Huber's flanks."""
        sd = self.sd(flows, signal)
        z = np.abs(self.x[flows] - signal) / sd
        inner = np.minimum(z, self.set.huber)
        return float(np.sum(inner * (z - 0.5 * inner) + np.log(sd)))

    def unit(self, flow, length):
        """Signal of a run of so many bases, all strands taking it."""
        return float(self.units[flow, length])

    def allowed(self, flow, length):
        """Whether what is known of a flow, if anything, lets a run of this length (or none, 0) be there."""
        pinned = self.pinned[flow]
        return pinned in (FREE, length) or (pinned < FREE and length >= -1 - pinned)

    def advance(self, state, flow):
        """State after one more run with in-phase flow `flow` (basecaller.md 4.2), in whole blocks of flows."""
        self.work += 1
        extend, stay = self.extend[self.nuc[flow]], self.stay[self.nuc[flow]]
        taken, w, j = np.zeros(self.n), 0.0, state.begin
        while j < state.end or (j < self.n and (w > self.set.cutoff or j <= flow)):
            for k in range(j, min(j + BLOCK, self.n)):
                w += state.taken[k]
                taken[k] = w * extend[k]
                w *= stay[k]
            j += BLOCK
        begin = state.begin
        while begin + BLOCK <= flow and (taken[begin : begin + BLOCK] < self.set.cutoff).all():
            taken[begin : begin + BLOCK] = 0.0
            begin += BLOCK
        return State(taken, begin, j)

    def nearest_length(self, flow, bases):
        """Length, 1 or more, whose signal is nearest to a measured number of bases."""
        length = int(np.clip(np.floor(np.clip(bases, 0, 100) + 0.5), 1, MAX_RUN))
        while length < MAX_RUN and 2 * bases > self.unit(flow, length) + self.unit(flow, length + 1):
            length += 1
        while length > 1 and 2 * bases < self.unit(flow, length) + self.unit(flow, length - 1):
            length -= 1
        known = self.pinned[flow]
        return known if known > 0 else max(length, -1 - known) if known < FREE else length

    def take_run(self, path, flow, best, drop):
        """Paths that take a run in `flow`, one for each length worth it; and the best score."""
        state = self.advance(path.state, flow)
        taken, begin = state.taken, state.begin
        made: list[Path] = []
        if taken[flow] < 0.01:
            return made, best
        nearest = self.nearest_length(flow, (self.x[flow] - path.signal[flow]) / taken[flow])
        here, left, window = slice(flow, flow + 1), slice(path.state.begin, begin), slice(begin, flow)
        for tried, step in enumerate((0, -1, 1, -2, 2)):
            length = nearest + step
            if not 1 <= length <= MAX_RUN or not self.allowed(flow, length):
                continue
            size = self.unit(flow, length)
            signal = path.signal + size * taken
            if tried and (self.x[flow] - signal[flow]) ** 2 > 20.25 * self.sd(flow, signal[flow]) ** 2:
                continue
            settled = path.settled + self.set.prior * length + self.score(left, signal[left])
            # Leading strands will take more in these flows, whatever comes next.
            ahead = signal + self.set.look_ahead * taken
            score = settled + self.score(window, ahead[window]) + self.score(here, signal[here])
            if score > best + drop:
                continue
            best = min(best, score)
            signal[:begin] = 0.0
            made.append(Path(state, signal, [*path.runs, (flow, length)], settled, score))
        return made, best

    def expected_run(self, path, flow):
        """Signal of a run of 1, before the work of simulating it: as many strands are in phase as in the last run."""
        return self.unit(flow, 1) * (path.state.taken[path.flow] if path.runs else 1.0)

    def walk(self, path, first, limit, drop):
        """Go on with the only path as long as each flow alone decides about its run; the flow that leaves a doubt."""
        for flow in range(first, limit):
            if self.width[flow]:
                return flow
            if self.former[flow] >= path.flow or self.pinned[flow] == 0:
                continue
            here, must = slice(flow, flow + 1), not self.allowed(flow, 0)
            base = path.signal[flow]
            expected, without = self.expected_run(path, flow), self.score(here, base)
            if not must and self.x[flow] < base + expected and self.score(here, base + expected) > without + drop + 1.0:
                continue
            state = self.advance(path.state, flow)
            inphase = state.taken[flow]
            if inphase < 0.01:
                continue

            def score(length, here=here, flow=flow, base=base, inphase=inphase):
                return self.score(here, base + self.unit(flow, length) * inphase) + self.set.prior * length

            length = self.nearest_length(flow, (self.x[flow] - base) / inphase)
            most = score(length) + drop + 1.0
            others = [n for n in (length - 1, length + 1) if 1 <= n <= MAX_RUN and self.allowed(flow, n)]
            if (not must and without < most) or any(score(other) < most for other in others):
                return flow
            path.signal = path.signal + self.unit(flow, length) * state.taken
            path.signal[: state.begin] = 0.0
            path.state, path.runs = state, [*path.runs, (flow, length)]
        return limit

    def search(self, limit, beam=None):
        """Best runs for the flows before `limit`."""
        usual = beam or self.beam, self.set.drop
        paths, flow = [Path(self.start, np.zeros(self.n))], 0
        while flow < limit:
            beam, drop = (self.width[flow], 30.0) if self.width[flow] else usual
            if self.work > self.most_work:
                beam, drop = 1, 4.0
            elif len(paths) == 1 and not self.width[flow]:
                path = paths[0]
                flow = self.walk(path, flow, limit, drop)
                window = slice(path.state.begin, flow)
                path.settled, path.score = 0.0, self.score(window, path.signal[window])
                if flow == limit:
                    break
            paths = self.step(paths, flow, beam, drop)
            flow += 1
        final = [
            path.settled + self.score(at, path.signal[at]) for path in paths for at in [slice(path.state.begin, limit)]
        ]
        self.runs = list(paths[int(np.argmin(final))].runs)

    def step(self, paths, flow, beam, drop):
        """One flow of all live paths; those that live on."""
        here = slice(flow, flow + 1)
        for path in paths:
            path.score += self.score(here, path.signal[here])
        must = not self.allowed(flow, 0)
        best = np.inf if must else min(path.score for path in paths)
        old = len(paths)
        for path in list(paths):
            if self.former[flow] >= path.flow or self.pinned[flow] == 0:
                continue
            taken = path.signal[here] + self.expected_run(path, flow)
            alone = path.score - self.score(here, path.signal[here]) + self.score(here, taken)
            if not must and self.x[flow] < taken[0] and alone > best + drop + 1.0:
                continue
            made, best = self.take_run(path, flow, best, drop)
            paths = paths + made
        if must and len(paths) > old:
            # Paths without the run that is known to be here are given up.
            paths = paths[old:]
        kept: list[Path] = []
        for path in sorted(paths, key=lambda path: path.score):
            if len(kept) == beam or path.score > best + drop:
                break
            if path.flow != flow or not any(self.alike(other, path, flow) for other in kept if other.flow == flow):
                kept.append(path)
        return kept

    def alike(self, a, b, flow):
        return (
            np.abs(a.state.taken - b.state.taken).max() <= 0.01
            and np.abs(a.signal - b.signal)[flow + 1 :].max(initial=0) <= 0.01
        )
