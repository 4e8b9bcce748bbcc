"""Learn how a region behaves from the first flows: dark matter, templates, noise, homopolymer scale."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.io.mask import WellFlag
from ionanalysis.sigproc.buffer_drift import (
    MOST_DRIFT,
    BufferDrift,
    BulkOperators,
    DriftFilter,
    background,
    quiet_wells,
)
from ionanalysis.sigproc.flow_filter import FlowDelay, FlowModel, PlacedWells, amplitudes_of_flows
from ionanalysis.sigproc.frames import FrameClock, ramp_operator
from ionanalysis.sigproc.keys import key_gain
from ionanalysis.sigproc.nuisance import LEAST_TRACES, NuisanceFit
from ionanalysis.sigproc.response import ResponseGrid
from ionanalysis.sigproc.scale import HomopolymerScale, learn_scale, one_mer_peaks
from ionanalysis.sigproc.templates import HydrogenFit
from ionanalysis.sigproc.wellfit import centred
from ionanalysis.sigproc.zero_level import ZeroLevel

LOG_TAU_STEP = 0.08

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
    frames : list of ndarray of shape (n_frames, n_sample), float32
        Counts above the first stored frame, one array per flow.
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
    grid : ResponseGrid
        Theirs.
    mean_log_tau : float
        Where the first of the dark traces holds.
    scale : HomopolymerScale
    onsets_s : ndarray of shape (4,)
        When each nucleotide reached the wells in the learning flows, seconds.
    flows : tuple of FlowModel
        What the plans were made from.
    """

    plans: tuple
    grid: ResponseGrid
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
        learner.learn_dark()
        learner.follow_drift(learner.measure())
        learner.learn_templates(learner.measure())
    learner.learn_nuisance(learner.measure())
    signal = learner.measure(levelled=True)
    live = learner.kind >= 0
    first_flow = max(key.n_flows for key in sample.keys) + 1
    places = np.stack([np.log(learner.size[live]), learner.fit.log_tau[live]], axis=1)
    scale = learn_scale(signal[:, live], sample.bases, first_flow, places)
    plans, flows = tuple(learner.plans()), tuple(learner.models)
    return RegionModel(plans, learner.grid, learner.mean_log_tau, scale, learner.onsets, flows)


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
            np.quantile(self.fit.log_tau, [0.002, 0.998]) + np.array([-MOST_DRIFT, MOST_DRIFT / 2]),
            np.quantile(self.fit.delay_s, [0.002, 0.998]),
            log_tau_step=LOG_TAU_STEP,
            delay_step_s=sample.clock.step_s,
        )
        self.size = np.where(self.kind >= 0, beads.key_signal[np.maximum(self.kind, 0), sample.wells], 0.0)
        self.height = float(np.median(self.size[self.kind >= 0]))
        self.size /= self.height
        self.empties = np.array(sample.empties)
        self.flows_of = [np.flatnonzero(sample.bases == nuc) for nuc in range(4)]
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
        wells = np.arange(len(sample.wells))
        self.placed = PlacedWells.of(wells, self.grid, self.fit, self.mean_log_tau)
        ramp = ramp_operator(sample.clock, self.onsets.min())
        self.bulk = BulkOperators.of(sample.clock, self.grid, ramp)
        self.flow_delays = [FlowDelay.of(sample.clock, self._mean_empty(nuc), self.weight, ramp) for nuc in range(4)]
        # Traces without the drift of all pixels.
        self.frames = np.array(sample.frames, np.float32)
        self.frames -= (self.empties @ ramp.T).astype(np.float32)[:, :, None]
        self.frames_of = [self.frames[flows] for flows in self.flows_of]
        self.zeros = self._known_zeros()
        self.leftover = self._leftover()
        self.zero_nuisance: NuisanceFit | None = None
        # Backgrounds of all flows at once, from nodes to wells only where they are needed.
        self._bulk, self._filtered = (
            (self.empties @ part.reshape(-1, n_frames).T).astype(np.float32).reshape(-1, *part.shape[:-1])
            for part in (self.bulk.delayed, self.bulk.filtered)
        )
        self.backgrounds = np.array([self._background(flow) for flow in range(len(sample.frames))])
        self._seen = self._centred_frames()
        self.left = np.array([self._residual(flow) for flow in range(len(sample.frames))])

    def _onset(self, nuc):
        """Time at which the bulk of a nucleotide's flows starts to move, less `EARLY_S`."""
        mean = self._mean_empty(nuc)
        first = int(np.argmax(np.abs(mean - mean[0]) > 0.02 * np.ptp(mean)))
        return self.sample.clock.mid_s[first] - EARLY_S

    def _mean_empty(self, nuc):
        """Mean empty trace of a nucleotide's flows; of all flows if it was not flown."""
        flows = self.flows_of[nuc]
        return (self.empties[flows] if len(flows) else self.empties).mean(axis=0)

    def _background(self, flow, drift=(0.0, 0.0)):
        """Background of a flow at the nodes, float32 (n_taus, n_delays, n_frames)."""
        return background(self.grid, self._bulk[flow], self._filtered[flow], self.models[0].tau_empty_s, drift)

    def _centred_frames(self):
        """Traces of all flows, root-weighted and `centred`: (n_flows, n_sample, n_frames), float32."""
        traces = np.ascontiguousarray(self.frames.swapaxes(1, 2))
        traces -= (traces @ (self.weight / max(self.weight.sum(), 1e-9)).astype(np.float32))[:, :, None]
        traces *= np.sqrt(self.weight).astype(np.float32)
        return traces

    def _residual(self, flow):
        """What a flow has beyond the background, root-weighted and `centred`: (n_sample, n_frames)."""
        table = centred(self.backgrounds[flow], self.weight.astype(np.float32))
        background = self.placed.places.read(table).T
        background *= self.placed.gain[:, None]
        return np.subtract(self._seen[flow], background, out=background)

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

    def _leftover(self):
        """What phasing typically leaves in known 0-mers, bases, (n_flows, n_sample)."""
        leftover = np.zeros(self.zeros.shape, np.float32)
        for index, key in enumerate(self.sample.keys):
            leftover[: key.n_flows, self.kind == index] = key.leftover[: len(leftover), None]
        return leftover

    def learn_dark(self):
        """Mean of what known 0-mers leave beside phasing, per nucleotide: constant, and along the time constant.

        It is taken off. Without templates nothing is known of phasing; called again, this adds what is left.
        """
        root = np.sqrt(np.maximum(self.weight, 1e-9))
        shape = np.stack([np.ones(len(self.kind)), self.fit.log_tau - self.mean_log_tau], axis=1).astype(np.float32)
        for nuc, flows in enumerate(self.flows_of):
            flow, well = np.nonzero(self.zeros[flows])
            if len(flow) < LEAST_TRACES:
                continue
            left, design = self.left[flows[flow], well], shape[well]
            expected = self.leftover[flows[flow], well] * self.size[well].astype(np.float32)
            template = centred(self.grid.released(self.sample.clock, self.models[nuc].hydrogen), self.weight)
            left = left - expected[:, None] * self.placed.places.read(template).T[well]
            normal = (design.T @ design).astype(float) + np.diag([0.0, 1.0])
            dark = np.linalg.solve(normal, (design.T @ left).astype(float)) / root
            self._change(nuc, dark=self.models[nuc].dark + dark)
            self.left[flows] -= shape @ (dark * np.sqrt(self.weight)).astype(np.float32)

    def _change(self, nuc, **changes):
        self.models[nuc] = replace(self.models[nuc], **changes)

    def learn_nuisance(self, signal=None):
        """What residuals have in common: of known 0-mers and, where `signal` is known, of 1-mers."""
        if self.zero_nuisance is None:
            # What 0-mers leave changes with the drift only.
            self.zero_nuisance = NuisanceFit(self.weight)
            for flows in self.flows_of:
                flow, well = np.nonzero(self.zeros[flows])
                self.zero_nuisance.add(self.left[flows[flow], well])
        fit = self.zero_nuisance.copy()
        if signal is not None:
            amplitude = self.one_mers(signal)
            for model, flows in zip(self.models, self.flows_of, strict=True):
                flow, well = np.nonzero(amplitude[flows])
                table = centred(self.grid.released(self.sample.clock, model.hydrogen), self.weight)
                template = self.placed.places.read(table).T[well]
                template *= amplitude[flows[flow], well][:, None]
                fit.add(self.left[flows[flow], well] - template, kind=1)
        found = fit.solve(self.noise)
        for nuc in range(4):
            self._change(nuc, nuisance=found)

    def one_mers(self, signal, peaks=None):
        """Amplitudes of the wells of the sample that take one base in a flow, 0 elsewhere: (n_flows, n_sample)."""
        peaks = one_mer_peaks(signal[:, self.kind >= 0]) if peaks is None else peaks
        # Flows whose 1-mers do not show have none: comparisons with NaN fail.
        near = (np.abs(signal / peaks[:, None].astype(np.float32) - 1) < 0.25) & (self.kind >= 0)
        return np.where(near, signal * self.size, 0).astype(np.float32)

    def learn_key_templates(self):
        """First hydrogen curves, from the keys' 1-mers; a nucleotide without any takes the others' mean."""
        amplitude = np.zeros(self.left.shape[:2], np.float32)
        for index, key in enumerate(self.sample.keys):
            chosen = self.kind == index
            for flow in key.ones:
                amplitude[flow, chosen] = self.size[chosen] * key.expected[flow]
        self._solve(amplitude, least_mass=10.0)

    def _solve(self, amplitude, least_mass):
        """Hydrogen curves behind what flows leave, by the amplitude of each flow and well."""
        curves = []
        for flows, onset in zip(self.flows_of, self.onsets, strict=True):
            fit = HydrogenFit(self.sample.clock, self.weight)
            product = np.einsum("fw,fwt->wt", amplitude[flows], self.left[flows])
            power = np.einsum("fw,fw->w", amplitude[flows], amplitude[flows])
            fit.add_sums(product, power, self.fit.log_tau, self.fit.delay_s)
            curves.append(fit.solve(self.noise, onset, self.height) if fit.mass >= least_mass else None)
        known = [curve for curve in curves if curve is not None]
        for nuc, curve in enumerate(curves):
            if curve is not None:
                self._change(nuc, hydrogen=curve)
            elif known and not self.models[nuc].hydrogen.any():
                self._change(nuc, hydrogen=np.mean(known, axis=0))

    def plans(self):
        """Filters of each nucleotide, with what is known so far."""
        return [
            model.plan(delay, self._mean_empty(nuc), self.bulk, self.mean_log_tau)
            for nuc, (delay, model) in enumerate(zip(self.flow_delays, self.models, strict=True))
        ]

    def follow_drift(self, signal):
        """Follow the drift of buffering through the learning flows; what flows leave is told beside it from here on."""
        filters = [
            DriftFilter.of(model, self._mean_empty(nuc), self.bulk, self.mean_log_tau)
            for nuc, model in enumerate(self.models)
        ]
        root, drift = np.sqrt(self.weight), BufferDrift()
        shape = np.stack([np.ones_like(self.placed.place), self.placed.place], axis=1)
        for flow, base in enumerate(self.sample.bases):
            empty, found = self.empties[flow], filters[base]
            self.backgrounds[flow] = self._background(flow, drift.state)
            self.left[flow] = self._residual(flow)
            dark = (self.models[base].dark * root).astype(np.float32)
            self.left[flow] -= shape @ dark
            quiet = quiet_wells(signal[flow], 1.0, self.zeros[flow] | (self.kind < 0))
            products = (found.vectors.astype(np.float32) @ self.frames[flow])[:, quiet]
            drift.follow(found.seen(products, empty, self.placed.at(quiet), drift.state, has_ramp=False))
        self.zero_nuisance = None

    def measure(self, *, levelled=False):
        """Key-normalised signal of the sample, (n_flows, n_sample); sizes of wells are updated.

        `levelled`: without what 0-mers show in each flow. Templates are learned with it, as traces have it.
        """
        found = np.empty((len(self.sample.frames), len(self.kind)), np.float32)
        parts = zip(self.models, self.flow_delays, self.flows_of, self.frames_of, strict=True)
        for model, flow_delay, flows, frames in parts:
            if len(flows):
                delays = [flow_delay.seconds(empty) for empty in self.empties[flows]]
                found[flows] = amplitudes_of_flows(
                    model.filters(), frames, self.backgrounds[flows], delays, self.placed
                )
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
            level.follow((amplitude - self.leftover[flow] * self.size)[silent], place[silent])
            amplitude -= level.at(place)

    def learn_templates(self, signal):
        """Hydrogen curves from all 1-mers, anchored so that 1-mers of every nucleotide are 1 at the start."""
        peaks = one_mer_peaks(signal[:, self.kind >= 0])
        self._solve(self.one_mers(signal, peaks), least_mass=30.0)
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
