"""Learn how a region behaves from the first flows: dark matter, templates, noise, homopolymer scale."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.io.mask import WellFlag
from ionanalysis.sigproc.flow_filter import FlowModel
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.keys import key_gain
from ionanalysis.sigproc.nuisance import LEAST_TRACES, NuisanceFit
from ionanalysis.sigproc.response import ResponseGrid
from ionanalysis.sigproc.scale import HomopolymerScale, learn_scale, one_mer_peaks
from ionanalysis.sigproc.templates import HydrogenFit
from ionanalysis.sigproc.wellfit import centred
from ionanalysis.sigproc.zero_level import ZeroLevel

EARLY_S = 0.25
"""How long before the empties move visibly hydrogen may be set free, seconds: beads meet the nucleotide's front,
and empties lag behind the bulk by their own time constant."""


@dataclass(frozen=True)
class RegionSample:
    """The first flows of a region, for some of its wells.

    Parameters
    ----------
    clock : FrameClock
    wells : ndarray of shape (n_sample,), int
        Indices in the region: live wells and duds.
    frames : list of ndarray of shape (n_frames, n_sample), int16
        As stored, one array per flow.
    empties : list of ndarray of shape (n_frames,), float64
        Mean empty trace of each flow, counts above its first frame.
    bases : ndarray of shape (n_flows,), int8
        Nucleotide codes.
    keys : tuple of KeyFlows
    """

    clock: FrameClock
    wells: np.ndarray
    frames: list
    empties: list
    bases: np.ndarray
    keys: tuple


@dataclass(frozen=True)
class RegionModel:
    """What is needed to measure any flow of a region.

    Parameters
    ----------
    plans : tuple of FilterPlan
        For A, C, G, T.
    mean_log_tau : float
        Where the first of the dark traces holds.
    scale : HomopolymerScale
    onsets_s : ndarray of shape (4,)
        When each nucleotide reached the wells in the learning flows, seconds.
    flows : tuple of FlowModel
        What the plans were made from.
    """

    plans: tuple
    mean_log_tau: float
    scale: HomopolymerScale
    onsets_s: np.ndarray
    flows: tuple


def learn_region(sample, beads):
    """Learn a `RegionModel` from the first flows and what bead finding told (`RegionBeads`).

    Source: the amplitude is anchored by the key (1-mer = 1); time constants stay those of bead finding;
    the scale comes last.
    """
    learner = _Learner(sample, beads)
    learner.learn_dark()
    learner.learn_nuisance()
    learner.learn_key_templates()
    for _ in range(2):
        learner.learn_templates(learner.measure())
        learner.learn_nuisance(learner.measure())
    signal = learner.measure(levelled=True)
    live = signal[:, learner.kind >= 0]
    first_flow = max(key.n_flows for key in sample.keys) + 1
    scale = learn_scale(live, sample.bases, first_flow)
    return RegionModel(tuple(learner.plans()), learner.mean_log_tau, scale, learner.onsets, tuple(learner.models))


class _Learner:
    def __init__(self, sample, beads):
        self.sample = sample
        self.fit = beads.fit.at(sample.wells)
        self.weight = beads.frame_weight
        self.noise = max(beads.noise, 1e-3)
        flags = beads.flags[sample.wells]
        # 0, 1 ...: shows this key; -1: dud.
        self.kind = np.where(flags & WellFlag.LIB, 0, np.where(flags & WellFlag.TF, 1, -1))
        self.mean_log_tau = float(np.median(self.fit.log_tau))
        self.grid = ResponseGrid.covering(
            np.quantile(self.fit.log_tau, [0.002, 0.998]), (self.fit.delay_s.min(), self.fit.delay_s.max())
        )
        self.size = np.where(self.kind >= 0, beads.key_signal[np.maximum(self.kind, 0), sample.wells], 0.0)
        self.height = float(np.median(self.size[self.kind >= 0]))
        self.size /= self.height
        self.onsets = np.array([self._onset(nuc) for nuc in range(4)])
        n_frames = sample.clock.n_frames
        self.models = [
            FlowModel(
                sample.clock,
                self.grid,
                beads.tau_empty_s,
                self.weight,
                NuisanceFit(self.weight).solve(self.noise),
                np.zeros(n_frames),
                np.zeros((2, n_frames)),
            )
            for _ in range(4)
        ]
        self.operator = self.grid.buffered(sample.clock, np.eye(n_frames), beads.tau_empty_s)
        self.zeros = self._known_zeros()
        self.left = [self._residual(flow) for flow in range(len(sample.frames))]

    def _onset(self, nuc):
        """Time at which the bulk of a nucleotide's flows starts to move, less `EARLY_S`."""
        mean = self._mean_empty(nuc)
        first = int(np.argmax(np.abs(mean - mean[0]) > 0.02 * np.ptp(mean)))
        return self.sample.clock.mid_s[first] - EARLY_S

    def _mean_empty(self, nuc):
        """Mean empty trace of a nucleotide's flows; of all flows if it was not flown."""
        flows = np.flatnonzero(self.sample.bases == nuc)
        flows = flows if len(flows) else np.arange(len(self.sample.bases))
        return np.mean([self.sample.empties[flow] for flow in flows], axis=0)

    def _residual(self, flow):
        """What a flow has beyond the background, root-weighted and `centred`: (n_sample, n_frames)."""
        table = centred(self.operator @ self.sample.empties[flow], self.weight)
        background = self.grid.place(self.fit.log_tau, self.fit.delay_s).read(table).T
        frames = self.sample.frames[flow]
        traces = centred((frames - frames[:1]).T.astype(np.float32), self.weight)
        return (traces - self.fit.gain[:, None] * background).astype(np.float32)

    def _known_zeros(self):
        """For each flow, the sampled wells that take no base in it: bool of shape (n_flows, n_sample).

        Live wells, by their key; and duds for nucleotides of which no key tells, as on real chips some duds hold a
        little of everything.
        """
        zeros = np.zeros((len(self.sample.frames), len(self.kind)), bool)
        for index, key in enumerate(self.sample.keys):
            for flow in key.zeros:
                zeros[flow] |= self.kind == index
        for nuc in range(4):
            flows = self.sample.bases == nuc
            if np.count_nonzero(zeros[flows]) < LEAST_TRACES:
                zeros[flows] |= self.kind < 0
        return zeros

    def learn_dark(self):
        """Mean of what known 0-mers leave, per nucleotide: constant, and along the time constant."""
        root = np.sqrt(np.maximum(self.weight, 1e-9))
        for nuc in range(4):
            rows, places = [], []
            for flow in np.flatnonzero(self.sample.bases == nuc):
                zero = self.zeros[flow]
                rows.append(self.left[flow][zero])
                places.append(self.fit.log_tau[zero] - self.mean_log_tau)
            if sum(map(len, rows)) < LEAST_TRACES:
                continue
            left, place = np.concatenate(rows), np.concatenate(places)
            design = np.stack([np.ones(len(place)), place], axis=1)
            normal = design.T @ design + np.diag([0.0, 1.0])
            dark = np.linalg.solve(normal, design.T @ left) / root
            self._change(nuc, dark=dark)

    def _change(self, nuc, **changes):
        self.models[nuc] = replace(self.models[nuc], **changes)

    def without_dark(self, flow):
        """Residuals of a flow without the dark traces."""
        dark = self.models[self.sample.bases[flow]].dark
        root = np.sqrt(self.weight)
        place = (self.fit.log_tau - self.mean_log_tau)[:, None]
        return self.left[flow] - (dark[0] + place * dark[1]) * root

    def learn_nuisance(self, signal=None):
        """What residuals have in common: of known 0-mers and, where `signal` is known, of 1-mers."""
        fit = NuisanceFit(self.weight)
        for flow, zero in enumerate(self.zeros):
            fit.add(self.without_dark(flow)[zero])
        if signal is not None:
            tables = self._template_tables()
            for flow, chosen in self.one_mers(signal):
                amplitude = signal[flow, chosen] * self.size[chosen]
                places = self.grid.place(self.fit.log_tau[chosen], self.fit.delay_s[chosen])
                template = places.read(tables[self.sample.bases[flow]]).T
                fit.add(self.without_dark(flow)[chosen] - amplitude[:, None] * template, kind=1)
        found = fit.solve(self.noise)
        for nuc in range(4):
            self._change(nuc, nuisance=found)

    def _template_tables(self):
        """Trace of one base of each nucleotide, root-weighted and `centred`, at each node of the grid."""
        return [centred(self.grid.released(self.sample.clock, model.hydrogen), self.weight) for model in self.models]

    def one_mers(self, signal):
        """Yield each flow whose 1-mers show, and the live wells of the sample that take one base in it."""
        live = np.flatnonzero(self.kind >= 0)
        peaks = one_mer_peaks(signal[:, live])
        for flow in np.flatnonzero(np.isfinite(peaks)):
            yield flow, live[np.abs(signal[flow, live] / peaks[flow] - 1) < 0.25]

    def learn_key_templates(self):
        """First hydrogen curves, from the keys' 1-mers; a nucleotide without any takes the others' mean."""
        fits = [HydrogenFit(self.sample.clock, self.weight) for _ in range(4)]
        for index, key in enumerate(self.sample.keys):
            chosen = np.flatnonzero(self.kind == index)
            for flow in key.ones if len(chosen) else ():
                amplitude = self.size[chosen] * key.expected[flow]
                fits[self.sample.bases[flow]].add(
                    self.without_dark(flow)[chosen], amplitude, self.fit.log_tau[chosen], self.fit.delay_s[chosen]
                )
        self._solve(fits, least_mass=10.0)

    def _solve(self, fits, least_mass):
        curves = [
            fit.solve(self.noise, onset, self.height) if fit.mass >= least_mass else None
            for fit, onset in zip(fits, self.onsets, strict=True)
        ]
        known = [curve for curve in curves if curve is not None]
        for nuc, curve in enumerate(curves):
            if curve is not None:
                self._change(nuc, hydrogen=curve)
            elif known and not self.models[nuc].hydrogen.any():
                self._change(nuc, hydrogen=np.mean(known, axis=0))

    def plans(self):
        """Filters of each nucleotide, with what is known so far."""
        return [model.plan(self._mean_empty(nuc), self.operator) for nuc, model in enumerate(self.models)]

    def measure(self, *, levelled=False):
        """Key-normalised signal of the sample, (n_flows, n_sample); sizes of wells are updated.

        `levelled`: without what 0-mers show in each flow. Templates are learned with it, as traces have it.
        """
        plans = self.plans()
        found = np.empty((len(self.sample.frames), len(self.kind)), np.float32)
        for flow, base in enumerate(self.sample.bases):
            frames, empty = self.sample.frames[flow], self.sample.empties[flow]
            found[flow] = plans[base].amplitudes(frames, empty, self.fit, self.mean_log_tau)
        if levelled:
            self._take_level_off(found)
        for index, key in enumerate(self.sample.keys):
            chosen = self.kind == index
            self.size[chosen] = np.maximum(key_gain(found[:, chosen], key), 0.05)
        return found / np.where(self.kind >= 0, self.size, 1.0)

    def _take_level_off(self, found):
        level, place = ZeroLevel(), self.fit.log_tau - self.mean_log_tau
        for flow, amplitude in enumerate(found):
            silent = self.zeros[flow] | (self.kind < 0)
            level.follow(amplitude[silent], place[silent])
            amplitude -= level.at(place)

    def learn_templates(self, signal):
        """Hydrogen curves from all 1-mers, anchored so that 1-mers of every nucleotide are 1 at the start."""
        live = np.flatnonzero(self.kind >= 0)
        peaks = one_mer_peaks(signal[:, live])
        fits = [HydrogenFit(self.sample.clock, self.weight) for _ in range(4)]
        for flow, chosen in self.one_mers(signal):
            amplitude = signal[flow, chosen] * self.size[chosen]
            fits[self.sample.bases[flow]].add(
                self.without_dark(flow)[chosen], amplitude, self.fit.log_tau[chosen], self.fit.delay_s[chosen]
            )
        self._solve(fits, least_mass=30.0)
        level = self._levels(peaks)
        for nuc in range(4):
            self._change(nuc, hydrogen=self.models[nuc].hydrogen * level[nuc])

    def _levels(self, peaks):
        """1-mer of each nucleotide at flow 0, from a common decay of the peaks; 1 where unknown."""
        flows = np.flatnonzero(np.isfinite(peaks))
        bases = self.sample.bases[flows]
        level = np.ones(4)
        if len(flows) < 3:
            return level
        design = np.concatenate([np.eye(4)[bases], -flows[:, None]], axis=1)
        normal = design.T @ design + np.diag([1e-3] * 4 + [1e-1])
        solved = np.linalg.solve(normal, design.T @ np.log(peaks[flows]))
        present = np.isin(np.arange(4), bases)
        level[present] = np.exp(solved[:4][present])
        return level
