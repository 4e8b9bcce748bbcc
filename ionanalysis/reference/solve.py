"""Plain-NumPy twin of ionanalysis._core.solve: slow, meant to be read. It returns what the kernel fills."""

from dataclasses import dataclass, field

import numpy as np

from ionanalysis.reference.phase import transition_tables

MAX_RUN, PER_UNIT, N_NOISE, SMALL, FREE = 23, 32, 26 * 32, 0.01, -1


def solve_reads(flow_base, raw, phase, pinned, settings):
    """Signal, prediction, in-phase fraction, n_runs, run_flow, run_length, losses, as the kernel's last arguments."""
    n, n_flows = raw.shape
    signal, predicted = np.zeros((2, n, n_flows), np.float32)
    inphase = np.ones((n, n_flows), np.float32)
    n_runs, run_flow, run_length = np.zeros(n, int), np.zeros((n, n_flows), int), np.zeros((n, n_flows), int)
    losses = np.zeros((n, n_flows, 3), np.float32)
    for row in range(n):
        if not np.isfinite(raw[row]).all():
            n_runs[row] = -1
            continue
        read = Read(flow_base, raw[row], phase[row], pinned[row], Settings(*settings))
        read.solve()
        n_runs[row] = len(read.runs)
        signal[row], predicted[row] = read.x, read.signal
        for k, (flow, length) in enumerate(read.runs):
            run_flow[row, k], run_length[row, k] = flow, length
            losses[row, k] = read.less[k], read.more[k], read.insert[k]
            since = read.runs[k - 1][0] + 1 if k else 0
            inphase[row, since:] = read.states[k].taken[flow]
    return signal, predicted, inphase, n_runs, run_flow, run_length, losses


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


@dataclass
class State:
    """Fraction of strands that took the last run in each flow; 0 outside of [begin, end)."""

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


class Read:
    """One read: its signals `x`, the answer `runs` (flow, length), and what they predict."""

    def __init__(self, flow_base, raw, phase, pinned, settings):
        self.raw, self.n, self.nuc = raw, len(raw), np.asarray(flow_base)
        self.extend, self.stay = (table[0] for table in transition_tables(flow_base, phase[None]))
        self.set = settings
        self.pinned = [*pinned, *[FREE] * (self.n - len(pinned))]
        self.beam = int(max(1, min(self.set.beam, 32)))
        self.former = [next((k for k in range(j - 1, -1, -1) if self.nuc[k] == self.nuc[j]), -2) for j in range(self.n)]
        self.x, self.signal = np.array(raw), np.zeros(self.n)
        start = np.zeros(self.n)
        start[0] = 1.0
        self.start = State(start, 0, 1)
        self.fill_noise(self.set.noise, self.set.noise_per_base)

    def fill_noise(self, noise, per_base):
        sd = noise + per_base * np.minimum((np.arange(N_NOISE) + 0.5) / PER_UNIT, 8.0)
        self.weight, self.log_sd = 1.0 / sd**2, np.log(sd)

    def score(self, flows, signal):
        """Negative log-likelihood of a slice of flows, Gauss with Huber's flanks."""
        index = np.clip(signal * PER_UNIT, 0, N_NOISE - 1).astype(int)
        z2 = (self.x[flows] - signal) ** 2 * self.weight[index]
        h = self.set.huber
        return float(np.sum(0.5 * np.where(z2 > h * h, 2 * h * np.sqrt(z2) - h * h, z2) + self.log_sd[index]))

    def allowed(self, flow, length):
        """Whether what is known of a flow, if anything, lets a run of this length (or none, 0) be there."""
        pinned = self.pinned[flow]
        return pinned in (FREE, length) or (pinned < FREE and length >= -1 - pinned)

    def advance(self, state, flow):
        """State after one more run with in-phase flow `flow` (basecaller.md 4.2)."""
        extend, stay = self.extend[self.nuc[flow]], self.stay[self.nuc[flow]]
        taken, w, first, j = np.zeros(self.n), 0.0, state.begin, state.begin
        while j < state.end or (j < self.n and (w > self.set.cutoff or j <= flow)):
            w += state.taken[j] if j < state.end else 0.0
            taken[j] = w * extend[j]
            w *= stay[j]
            if j < state.end and j == first and taken[j] < self.set.cutoff and first < flow:
                first += 1
            j += 1
        taken[:first] = 0.0
        return State(taken, first, j)

    # --- search

    def take_run(self, path, flow, best, drop):
        """Paths that take a run in `flow`, one for each length worth it; and the best score."""
        # Strands that fall out of the window on its left still count for their last time.
        whole = self.advance(path.state, flow)
        taken, begin = self._with_left_edge(path.state, flow, whole), whole.begin
        made: list[Path] = []
        if taken[flow] < 0.01:
            return made, best
        base = path.signal[flow]
        nearest = int(np.floor(np.clip((self.x[flow] - base) / taken[flow], 0, 100) + 0.5))
        nearest = max(1, min(nearest, MAX_RUN))
        known = self.pinned[flow]
        nearest = known if known > 0 else max(nearest, -1 - known) if known < FREE else nearest
        for tried, step in enumerate((0, -1, 1, -2, 2)):
            length = nearest + step
            if not 1 <= length <= MAX_RUN or not self.allowed(flow, length):
                continue
            signal = path.signal + length * taken
            at = int(np.clip(signal[flow] * PER_UNIT, 0, N_NOISE - 1))
            if tried and (self.x[flow] - signal[flow]) ** 2 * self.weight[at] > 20.25:
                continue
            left = slice(path.state.begin, begin)
            settled = path.settled + self.set.prior * length + self.score(left, signal[left])
            ahead = signal + np.where(np.arange(self.n) < flow, self.set.look_ahead * taken, 0.0)
            window = slice(begin, flow + 1)
            score = settled + self.score(window, ahead[window])
            if score > best + drop:
                continue
            best = min(best, score)
            made.append(Path(whole, signal, [*path.runs, (flow, length)], settled, score))
        return made, best

    def _with_left_edge(self, state, flow, whole):
        extend, stay = self.extend[self.nuc[flow]], self.stay[self.nuc[flow]]
        taken, w = whole.taken.copy(), 0.0
        for j in range(state.begin, whole.begin):
            w += state.taken[j]
            taken[j] = w * extend[j]
            w *= stay[j]
        return taken

    def search(self, limit, beam=None, drop=None):
        """Best runs for the flows before `limit`; returns their score."""
        beam, drop = beam or self.beam, drop or self.set.drop
        paths = [Path(self.start, np.zeros(self.n))]
        for flow in range(limit):
            here = slice(flow, flow + 1)
            for path in paths:
                path.score += self.score(here, path.signal[here])
            must = not self.allowed(flow, 0)
            best = np.inf if must else min(path.score for path in paths)
            old = len(paths)
            for path in list(paths):
                if self.former[flow] >= path.flow or self.pinned[flow] == 0:
                    continue
                expected = path.state.taken[path.flow] if path.runs else 1.0
                taken = path.signal[here] + expected
                alone = path.score - self.score(here, path.signal[here]) + self.score(here, taken)
                if not must and self.x[flow] < taken[0] and alone > best + drop + 6.0:
                    continue
                made, best = self.take_run(path, flow, best, drop)
                paths += made
            if must and len(paths) > old:
                # Paths without the run that is known to be here are given up.
                paths = paths[old:]
            kept: list[Path] = []
            for path in sorted(paths, key=lambda path: path.score):
                if len(kept) == beam or path.score > best + drop:
                    break
                if path.flow != flow or not any(self.alike(other, path, flow) for other in kept if other.flow == flow):
                    kept.append(path)
            paths = kept
        final = [
            path.settled + self.score(at, path.signal[at]) for path in paths for at in [slice(path.state.begin, limit)]
        ]
        self.runs = list(paths[int(np.argmin(final))].runs)
        return min(final)

    def alike(self, a, b, flow):
        return (
            np.abs(a.state.taken - b.state.taken).max() <= 0.01
            and np.abs(a.signal - b.signal)[flow + 1 :].max(initial=0) <= 0.01
        )

    # --- single changes

    def lay_runs(self):
        self.states, state, self.signal = [], self.start, np.zeros(self.n)
        for flow, length in self.runs:
            state = self.advance(state, flow)
            self.states.append(state)
            self.signal += length * state.taken

    def loss(self, change):
        at = np.flatnonzero(change)
        return self.score(at, self.signal[at] + change[at]) - self.score(at, self.signal[at])

    def length_losses(self, run):
        """Score lost with one base less and one more. Where hardly a strand is, the score is taken as straight."""
        taken, h = self.states[run].taken, self.set.huber
        small = taken < SMALL
        weight = self.weight[np.clip(self.signal * PER_UNIT, 0, N_NOISE - 1).astype(int)]
        z = (self.x - self.signal) * np.sqrt(weight)
        straight = np.sum((taken * -np.clip(z, -h, h) * np.sqrt(weight))[small])
        large = np.where(small, 0.0, taken)
        less = self.loss(-large) - self.set.prior - straight
        more = self.loss(large) + self.set.prior + straight
        flow, length = self.runs[run]
        return (
            less if self.allowed(flow, length - 1) else np.inf,
            more if self.allowed(flow, length + 1) and length < MAX_RUN else np.inf,
        )

    def structure_loss(self, run, flow=None):
        """Score lost by a new run of 1 in `flow` before `run`, or by taking out `run`, of length 1."""
        state = self.states[run - 1] if run else self.start
        if flow is None:
            change = -self.states[run].taken
        else:
            state = self.advance(state, flow)
            change = state.taken.copy()
        for k in range(run + (flow is None), len(self.runs)):
            state = self.advance(state, self.runs[k][0])
            gap = state.taken - self.states[k].taken
            change += self.runs[k][1] * gap
            if np.abs(gap).max() < 0.003 or k > run + 16:
                break
        return (-1 if flow is None else 1) * self.set.prior + self.loss(change)

    def improve_lengths(self):
        changed, self.less, self.more = False, [], []
        for run, (flow, length) in enumerate(self.runs):
            less, more = self.length_losses(run)
            step = 1 if more < -0.01 else -1 if less < -0.01 and length > 1 else 0
            if step:
                changed = True
                self.runs[run] = (flow, length + step)
                self.signal = self.signal + step * self.states[run].taken
                less, more = self.length_losses(run)
            self.less.append(less)
            self.more.append(more)
        return changed

    def improve_structure(self, limit):
        changed, run = False, 0
        while run < len(self.runs):
            before = self.runs[run - 1][0] if run else -1
            fits = run + 1 == len(self.runs) or self.former[self.runs[run + 1][0]] < before
            if self.runs[run][1] == 1 and self.less[run] < 12.0 and fits:
                self.less[run] = self.structure_loss(run)
                if self.less[run] < -0.1:
                    del self.runs[run]
                    self.lay_runs()
                    changed = True
                    continue
            run += 1
        self.insert, run = [], 0
        while run <= len(self.runs):
            before = self.runs[run - 1][0] if run else -1
            after = self.runs[run][0] if run < len(self.runs) else limit
            expected = self.states[run - 1].taken[before] if run else 1.0
            least, best_flow = np.inf, None
            for flow in range(before + 1, after):
                if (
                    self.former[flow] >= before
                    or self.pinned[flow] != FREE
                    or self.x[flow] - self.signal[flow] < 0.25 * expected
                ):
                    continue
                loss = self.structure_loss(run, flow)
                if loss < least:
                    least, best_flow = loss, flow
            self.insert.append(least)
            if least < -0.1:
                self.runs.insert(run, (best_flow, 1))
                self.lay_runs()
                changed = True
            run += 1
        return changed

    def refine(self):
        for _ in range(4):
            changed = self.improve_lengths()
            if not (self.improve_structure(self.n) or changed):
                return

    # --- gain, offset, noise

    def robust_weight(self, limit, gain=1.0):
        weight = self.weight[np.clip(self.signal[:limit] * PER_UNIT, 0, N_NOISE - 1).astype(int)]
        z = np.abs(self.x[:limit] - gain * self.signal[:limit]) * np.sqrt(weight)
        return weight * np.where(z > 2.5, 2.5 / np.maximum(z, 1e-300), 1.0)

    def fit_gain(self, limit):
        gain, p = 1.0, self.signal[:limit]
        for _ in range(2):
            w = self.robust_weight(limit, gain)
            gain = (400.0 + np.sum(w * self.x[:limit] * p)) / (400.0 + np.sum(w * p * p))
        return float(np.clip(gain, 0.5, 2.0))

    def fit_noise(self):
        expected = self.set.noise + self.set.noise_per_base
        error = np.abs(self.x - self.signal)
        zero, one = self.signal < 0.3, (self.signal > 0.6) & (self.signal < 1.4)
        sd0 = np.minimum(error[zero], 4 * self.set.noise).sum() / 0.798 + 60.0 * self.set.noise
        sd1 = np.minimum(error[one], 4 * expected).sum() / 0.798 + 60.0 * expected
        sd0, sd1 = sd0 / (zero.sum() + 60.0), sd1 / (one.sum() + 60.0)
        self.fill_noise(sd0, max(0.2 * self.set.noise_per_base, sd1 - sd0))

    def fit_locally(self):
        """Gain and offset that drift along the flows: least squares in a two-sided exponential window, with a ridge."""
        p, w = self.signal, self.robust_weight(self.n)
        flows = np.arange(self.n)
        near = (1.0 - 1.0 / self.set.kernel) ** np.abs(flows[:, None] - flows)
        e = self.x - p
        a, b, c, d, g = (near @ term for term in (w * p * p, w * p, w, w * p * e, w * e))
        a, c = a + 1.0 / self.set.gain_sd**2, c + 1.0 / self.set.offset_sd**2
        gain = 1.0 + (d * c - g * b) / (a * c - b * b)
        self.x = (self.x - (a * g - b * d) / (a * c - b * b)) / np.clip(gain, 0.5, 2.0)

    # --- the whole

    def start_gain(self, limit):
        """Gain of the start that explains the first flows best."""
        best, chosen = np.inf, 1.0
        for total in (1.0, 0.8, 1.25):
            first = total == 1.0
            for _ in range(2):
                self.x = self.raw / total
                score = self.search(limit) + limit * np.log(total)
                self.lay_runs()
                gain = self.fit_gain(limit)
                total *= gain
                if score < best:
                    best, chosen = score, total
                if abs(gain - 1.0) < 0.02:
                    break
            index = np.clip(self.signal[:limit] * PER_UNIT, 0, N_NOISE - 1).astype(int)
            misfit = np.minimum((self.x - self.signal)[:limit] ** 2 * self.weight[index], 9.0).sum()
            if first and misfit < 1.2 * limit:
                break
        return chosen

    def is_stuck(self):
        """Signals after the last run that no run explains: every path that went on was lost."""
        after = self.runs[-1][0] + 1 if self.runs else 0
        return np.count_nonzero(self.x[after:] - self.signal[after:] > 0.5) > 2

    def solve(self):
        first = int(self.set.n_first)
        total, limit = self.start_gain(min(self.n, first)), 5 * first // 2
        if limit < self.n:
            self.x = self.raw / total
            self.search(limit)
            self.lay_runs()
            total *= self.fit_gain(limit)
        self.x = self.raw / total
        self.search(self.n)
        self.lay_runs()
        if self.is_stuck():
            self.search(self.n, 4 * self.beam, 40.0)
            self.lay_runs()
        self.x = self.x / self.fit_gain(self.n)
        self.fit_noise()
        self.refine()
        for _ in range(2):
            self.x = self.x / self.fit_gain(self.n)
            if self.set.gain_sd > 0:
                self.fit_locally()
            self.fit_noise()
            self.refine()
