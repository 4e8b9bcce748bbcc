"""Plain-NumPy twin of ionanalysis._core.solve: slow, meant to be read. It returns what the kernel fills."""

import numpy as np

from ionanalysis.reference.solve_search import FREE, MAX_BEAM, MAX_RUN, WORK_PER_FLOW, SearchedRead, Settings

LITTLE_DOUBT, NO_DOUBT = 8.0, 20.0


def solve_reads(flow_base, raw, phase, pinned, response, model, table, settings):
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
        units = response[model[row]][table]
        read = Read(flow_base, raw[row], phase[row], pinned[row], units, Settings(*settings))
        read.solve()
        n_runs[row] = len(read.runs)
        signal[row], predicted[row] = read.x, read.signal
        for k, (flow, length) in enumerate(read.runs):
            run_flow[row, k], run_length[row, k] = flow, length
            losses[row, k] = read.less[k], read.more[k], read.insert[k]
            since = read.runs[k - 1][0] + 1 if k else 0
            inphase[row, since:] = read.states[k].taken[flow]
    return signal, predicted, inphase, n_runs, run_flow, run_length, losses


class Read(SearchedRead):
    """One read as it is solved: searched, changed, scaled."""

    # --- single changes

    def lay_runs(self, since=0):
        self.states = self.states[:since]
        for flow, _ in self.runs[since:]:
            self.states.append(self.advance(self.states[-1] if self.states else self.start, flow))
        self.signal = sum(
            (self.unit(*run) * state.taken for run, state in zip(self.runs, self.states, strict=True)), np.zeros(self.n)
        )

    def loss(self, change):
        at = np.flatnonzero(change)
        return self.score(at, self.signal[at] + change[at]) - self.score(at, self.signal[at])

    def length_losses(self, run, doubt):
        """Score lost with one base less and one more; exact unless a parabola puts it beyond `doubt`."""
        taken, weight = self.states[run].taken, self.sd(slice(None), self.signal) ** -2.0
        linear, square = np.sum(weight * (self.x - self.signal) * taken), np.sum(weight * taken**2)
        flow, length = self.runs[run]

        def lost(other):
            if other > MAX_RUN or not self.allowed(flow, other):
                return np.inf
            step = self.unit(flow, other) - self.unit(flow, length)
            parabola = step * (0.5 * step * square - linear)
            return (parabola if parabola > doubt else self.loss(step * taken)) + self.set.prior * (other - length)

        return lost(length - 1), lost(length + 1)

    def structure_loss(self, run, flow=None):
        """Score lost by a new run of 1 in `flow` before `run`, or by taking out `run`, of length 1."""
        state = self.states[run - 1] if run else self.start
        if flow is None:
            change = -self.unit(*self.runs[run]) * self.states[run].taken
        else:
            state = self.advance(state, flow)
            change = self.unit(flow, 1) * state.taken
        for k in range(run + (flow is None), len(self.runs)):
            state = self.advance(state, self.runs[k][0])
            gap = state.taken - self.states[k].taken
            change += self.unit(*self.runs[k]) * gap
            if np.abs(gap).max() < 0.003 or k > run + 16:
                break
        return (-1 if flow is None else 1) * self.set.prior + self.loss(change)

    def improve_lengths(self, doubt):
        changed, self.less, self.more = False, [], []
        for run, (flow, length) in enumerate(self.runs):
            less, more = self.length_losses(run, doubt)
            step = 1 if more < -0.01 else -1 if less < -0.01 and length > 1 else 0
            if step:
                changed = True
                self.runs[run] = (flow, length + step)
                self.signal = (
                    self.signal + (self.unit(flow, length + step) - self.unit(flow, length)) * self.states[run].taken
                )
                less, more = self.length_losses(run, doubt)
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
                    self.lay_runs(run)
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
                self.lay_runs(run)
                changed = True
            run += 1
        return changed

    def refine(self):
        for _ in range(4):
            changed = self.improve_lengths(NO_DOUBT)
            if self.work > self.most_work and not changed:
                self.insert = [np.inf] * (len(self.runs) + 1)
                return
            if not (self.improve_structure(self.n) or changed):
                return

    # --- gain, offset, noise

    def robust_weight(self, limit, gain=1.0):
        flows = slice(0, limit)
        sd = self.sd(flows, self.signal[flows])
        return 2.5 / (sd**2 * np.maximum(np.abs(self.x[flows] - gain * self.signal[flows]) / sd, 2.5))

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
        scale = np.minimum((error / self.floor)[zero], 4.0).sum() / 0.798 + 60.0
        self.scale = scale / (zero.sum() + 60.0)
        sd = np.minimum(error[one], 4 * expected).sum() / 0.798 + 60.0 * expected
        floor = self.floor[one].sum() + 60.0 * self.set.noise
        self.per_base = max(0.2 * self.set.noise_per_base, (sd - self.scale * floor) / (one.sum() + 60.0))

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
            for _ in range(1 if first else 2):
                self.x = self.raw / total
                self.search(limit, min(self.beam, 2))
                self.lay_runs()
                bases = sum(length for _, length in self.runs)
                score = self.score(slice(0, limit), self.signal[:limit]) + self.set.prior * bases
                score += limit * np.log(total)
                gain = self.fit_gain(limit)
                total *= gain
                if score < best:
                    best, chosen = score, total
                if abs(gain - 1.0) < 0.02:
                    break
            self.x = self.x / gain
            if first and self.misfit(limit) < 1.2 * limit:
                break
        return chosen

    def is_stuck(self):
        """Signals after the last run that no run explains: every path that went on was lost."""
        after = self.last_flow() + 1
        return np.count_nonzero(self.x[after:] - self.signal[after:] > 0.5) > 2

    def last_flow(self):
        return self.runs[-1][0] if self.runs else -1

    def misfit(self, limit):
        """Sum of squared deviations of the first flows, in units of the noise, outliers cut at 3."""
        flows = slice(0, limit)
        z = (self.x[flows] - self.signal[flows]) / self.sd(flows, self.signal[flows])
        return np.minimum(z**2, 9.0).sum()

    def search_wider(self):
        """Where the paths were lost, and some way before, keep many: until the signals are explained to their end."""
        lost, reach, width = self.last_flow(), 64, 16
        self.most_work = self.work + WORK_PER_FLOW * self.n
        for _ in range(6):
            self.width[max(0, lost - reach) : lost + 48] = width
            self.search(self.n)
            self.lay_runs()
            if self.work > self.most_work or not self.is_stuck():
                break
            # Lost again in the same place: the wrong turn was earlier.
            again = self.last_flow() <= lost + 8
            reach, width = (2 * reach, MAX_BEAM) if again else (64, 16)
            lost = max(lost, self.last_flow())
        self.width[:] = 0

    def solve(self):
        total = self.start_gain(min(self.n, int(self.set.n_first)))
        self.x = self.raw / total
        self.search(self.n)
        self.lay_runs()
        if self.is_stuck() and self.misfit(self.last_flow() + 1) < 1.8 * (self.last_flow() + 1):
            self.search_wider()
        self.x = self.x / self.fit_gain(self.n)
        self.fit_noise()
        for _ in range(int(self.set.n_rounds)):
            self.improve_lengths(LITTLE_DOUBT)
            self.x = self.x / self.fit_gain(self.n)
            if self.set.gain_sd > 0:
                self.fit_locally()
            self.fit_noise()
        self.refine()
