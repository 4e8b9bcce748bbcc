"""Bead finding in one region: how each well responds, and which key it shows."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.io.mask import WellFlag
from ionanalysis.sigproc.empties import blur_matrix, sharpener, sort_wells, stacked, wide_grid
from ionanalysis.sigproc.family import BackgroundFamily
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.keys import common_zeros, score_key
from ionanalysis.sigproc.wellfit import Prior, WellFit, centred, fit_wells

DELAY_SD_S = 0.04
"""How far the delay of a single well may lie from the region's surface: on real chips it takes up part of what one
time constant does not describe."""


@dataclass(frozen=True)
class RegionTraces:
    """Traces of one region, as bead finding takes them.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the region.
    clock : FrameClock
        Frames of the flows.
    flows : list of ndarray of shape (n_frames, n_wells), float32
        First flows of the run, counts above the first frame.
    pinned : ndarray of shape (n_wells,), bool
        Wells out of the converter's range in any of the images.
    image : ndarray of shape (n_image_frames, n_wells), float32, optional
        Bead-find image, treated like `flows`.
    image_clock : FrameClock, optional
    """

    shape: tuple[int, int]
    clock: FrameClock
    flows: list
    pinned: np.ndarray
    image: np.ndarray | None = None
    image_clock: FrameClock | None = None


@dataclass(frozen=True)
class RegionBeads:
    """What bead finding tells about the wells of a region.

    Parameters
    ----------
    flags : ndarray of shape (n_wells,), uint16
        Bits of `WellFlag`.
    fit : WellFit
        Response of each well to nucleotide flows.
    tau_empty_s : float
        Time constant of empty wells in nucleotide flows, seconds.
    frame_weight : ndarray of shape (n_frames,), float64
        Weights of frames: base frames averaged, less where the model fails.
    bead_probability : ndarray of shape (n_wells,), float64
        By time constant alone.
    key_snr, key_signal : ndarray of shape (n_keys, n_wells), float64
        Scores of each key.
    noise : float
        Typical residual of a 0-mer, counts.
    key_traces : ndarray of shape (n_keys, n_flows, n_frames), float64
        Sum over the wells of each key of their background-subtracted traces of the first flows, counts.
    usual_delay_s : ndarray of shape (n_wells,), float64, or None
        How much later than others flows usually reach the cell of each well, seconds (`LatenessWatch`).
    """

    flags: np.ndarray
    fit: WellFit
    tau_empty_s: float
    frame_weight: np.ndarray
    bead_probability: np.ndarray
    key_snr: np.ndarray
    key_signal: np.ndarray
    noise: float
    key_traces: np.ndarray
    usual_delay_s: np.ndarray | None = None

    def with_stored_frames(self, merging):
        """The same for stored frames instead of merged ones (`FrameMerging`)."""
        weight, traces = merging.spread(self.frame_weight), merging.interpolated(self.key_traces)
        return replace(self, frame_weight=weight, key_traces=traces)

    def with_merged_frames(self, merging):
        """The same for merged frames, as far as signals need it."""
        return replace(self, frame_weight=merging.merge_weight(self.frame_weight))


def find_region_beads(traces, keys, options):
    """Find the beads of one region.

    Parameters
    ----------
    traces : RegionTraces
    keys : list of KeyFlows
        Library key first, then the test fragments'.
    options : BeadfindOptions

    Returns
    -------
    RegionBeads
    """
    usable = ~traces.pinned & _moving(traces)
    if usable.sum() < 4:
        return _nothing(traces, keys)
    zeros = common_zeros(keys)
    quiet = [traces.flows[flow] for flow in (zeros if len(zeros) else range(keys[0].n_flows))]
    sorting = sort_wells(quiet, traces.clock, usable, traces.shape)
    probability = sorting.bead_probability
    if traces.image is not None and options.use_beadfind_image:
        # Only which wells are slow is taken from it.
        image = sort_wells([traces.image], traces.image_clock, usable, traces.shape, n_rounds=2)
        if image.separation > 0:
            probability = image.bead_probability
    empty = _references(probability, sorting, usable)
    for _ in range(2):
        model = _Backgrounds(traces, empty, sorting)
        amplitudes, floor, template = _key_amplitudes(model, keys, sorting.fit, usable, empty)
        scores = [score_key(amplitudes, key, floor) for key in keys]
        signal, snr = np.array([s.signal for s in scores]), np.array([s.snr for s in scores])
        key_index = _winning_key(signal, snr, empty, usable, options)
        # Beads that follow the bulk as fast as empties do must not pass for them: their signal would be background.
        found = empty & (key_index < 0)
        if np.count_nonzero(empty & ~found) < 0.01 * np.count_nonzero(empty) or not found.any():
            break
        empty = found
    fit = _refit(model, keys, key_index, signal, template, sorting)
    flags = _flags(key_index, probability, usable, traces.pinned, fit, options)
    traces_by_key = np.array([model.sum_of(np.flatnonzero(key_index == index)) for index in range(len(keys))])
    return RegionBeads(
        flags, fit, sorting.tau_empty_s, sorting.frame_weight, probability, snr, signal, sorting.noise, traces_by_key
    )


def _moving(traces):
    """Wells whose traces move at all with the bulk: at least a tenth of the median swing in every image."""
    moving = np.ones(len(traces.pinned), bool)
    for flow in [*traces.flows, *([traces.image] if traces.image is not None else [])]:
        swing = np.ptp(flow, axis=0)
        moving &= swing > 0.1 * np.median(swing[~traces.pinned]) if (~traces.pinned).any() else False
    return moving


def _nothing(traces, keys):
    n_wells = len(traces.pinned)
    flags = np.where(traces.pinned, WellFlag.PINNED, WellFlag.IGNORE).astype(np.uint16)
    zero = np.zeros(n_wells)
    fit = WellFit(np.ones(n_wells), np.full(n_wells, np.log(0.5)), zero, zero)
    scores = np.zeros((len(keys), n_wells))
    weight = np.asarray(traces.clock.counts, float)
    nothing = np.zeros((len(keys), len(traces.flows), traces.clock.n_frames))
    return RegionBeads(flags, fit, 0.4, weight, np.full(n_wells, np.nan), scores, scores, 0.0, nothing)


def _references(probability, sorting, usable):
    """Usable wells without a bead; where there are none, the tenth that follows the bulk fastest."""
    empty = usable & (probability < 0.5)
    if not empty.any():
        log_tau = sorting.fit.log_tau
        return usable & (log_tau <= np.quantile(log_tau[usable], 0.1))
    return empty


MOST_LEARNED = 500
"""Wells that the first template of a region is learned from."""


class _Backgrounds:
    """Traces of the key flows beside what bulk alone would give."""

    def __init__(self, traces, empty, sorting):
        self.flows, self.clock, self.weight = traces.flows, traces.clock, sorting.frame_weight
        self.tau_empty_s = sorting.tau_empty_s
        self.grid = wide_grid(self.clock, self.tau_empty_s)
        self.fit = sorting.fit
        self.places = self.grid.place(self.fit.log_tau, self.fit.delay_s)
        sharp = sharpener(blur_matrix(self.fit.delay_s[empty], self.clock))
        self.means = [sharp @ flow[:, empty].mean(axis=1, dtype=np.float64) for flow in self.flows]
        self.tables = [self.grid.buffered(self.clock, mean, self.tau_empty_s) for mean in self.means]

    def residual(self, flow, wells):
        """What a flow has beyond its background in some wells, `centred`: float32 (n_wells, n_frames)."""
        background = self.places.at(wells).read(centred(self.tables[flow], self.weight)).T
        return (
            stacked([self.flows[flow][:, wells]], self.weight)
            - self.fit.gain[wells, None].astype(np.float32) * background
        )

    def along(self, flow, template):
        """Products of all wells' residuals with a template, `centred`: (n_wells,)."""
        root = np.sqrt(self.weight)
        # What `centred` takes off traces is taken off the template.
        vector = template * root - self.weight * (template @ root) / self.weight.sum()
        background = self.places.read((self.tables[flow] @ vector)[:, :, None])[0]
        return vector.astype(np.float32) @ self.flows[flow] - self.fit.gain * background

    def sum_of(self, wells):
        """Sum over wells of what each flow has beyond the background, from the level of the first frames."""
        share = self.places.at(wells).sums(self.fit.gain[wells], self.grid.shape)
        sums = []
        for flow, table in zip(self.flows, self.tables, strict=True):
            left = flow[:, wells].sum(axis=1, dtype=float) - np.tensordot(share, table, 2)
            sums.append(left - left[: max(1, len(left) // 20)].mean())
        return sums


def _key_amplitudes(model, keys, fit, usable, empty):
    """Amplitude of each key flow and well with a common template, in counts at its peak; its noise; the template."""
    n_flows = max(key.n_flows for key in keys)
    some = np.flatnonzero(usable)
    some = some[:: max(1, len(some) // MOST_LEARNED)]
    residuals = [model.residual(flow, some) for flow in range(n_flows)]
    template = first_template(model, fit, usable)
    for _ in range(2):
        amplitudes = np.array([left @ template for left in residuals]) / (template @ template)
        chosen = empty[some]
        floor = _scatter(amplitudes, chosen if chosen.sum() >= 10 else np.ones(len(some), bool))
        template = _learned_template(residuals, amplitudes, keys, floor, template, model.weight)
    amplitudes = np.array([model.along(flow, template) for flow in range(n_flows)]) / (template @ template)
    return amplitudes, _scatter(amplitudes, empty if empty.sum() >= 10 else usable), template


def first_template(model, fit, usable):
    """A 1-mer's trace before any was seen: hydrogen set free within 0.3 s of the onset of the flow."""
    mean = np.mean(model.means, axis=0)
    onset = model.clock.mid_s[np.argmax(np.abs(mean - mean[0]) > 0.05 * np.ptp(mean))]
    since = np.maximum(model.clock.mid_s - onset, 0)
    tau = float(np.exp(np.median(fit.log_tau[usable])))
    trace = model.clock.released(1 - np.exp(-since / 0.3), tau)[:, 0]
    return centred(trace / np.abs(trace).max(), model.weight)


def _scatter(amplitudes, wells):
    chosen = amplitudes[:, wells]
    return float(1.4826 * np.median(np.abs(chosen - np.median(chosen, axis=0))) + 1e-6)


def _learned_template(residuals, amplitudes, keys, floor, template, weight):
    total, mass = np.zeros(len(template)), 0.0
    for key in keys:
        score = score_key(amplitudes, key, floor)
        good = (score.snr > 5) & (score.signal > 5 * floor)
        if not good.any():
            continue
        good &= score.signal > 0.5 * np.quantile(score.signal[good], 0.9)
        ones = np.mean([residuals[flow][good].sum(axis=0) for flow in key.ones], axis=0, dtype=float)
        zeros = np.mean([residuals[flow][good].sum(axis=0) for flow in key.zeros], axis=0, dtype=float)
        total += ones - zeros
        mass += good.sum()
    if mass < 10:
        return template
    peak = np.abs(total / np.sqrt(np.maximum(weight, 1e-9))).max()
    return total / max(peak, 1e-9)


_KEY_SDS = 4.5
"""Key signal of a live well above what empties show, in standard deviations of theirs."""

_LEAST_KEY_FRACTION = 0.12
"""Least key signal of a live well relative to the median of its kind, however little empties scatter."""


def _winning_key(signal, snr, empty, usable, options):
    """Index of the key a well shows, -1 for none.

    Parameters
    ----------
    signal, snr : ndarray of shape (n_keys, n_wells)
    empty : ndarray of shape (n_wells,), bool
        Wells whose signal, noise and what leaks from neighbours, is none of theirs.
    usable : ndarray of shape (n_wells,), bool
    options : BeadfindOptions
    """
    least_snr = np.array([options.library_min_snr] + [options.tf_min_snr] * (len(snr) - 1))
    best = snr.argmax(axis=0)
    wells = np.arange(snr.shape[1])
    shows = usable & (snr[best, wells] >= least_snr[best])
    for index in range(len(snr)):
        sure = shows & (best == index) & (snr[index] >= 6)
        if sure.any():
            typical = np.median(signal[index][sure])
            least = options.min_key_fraction * typical
            if np.count_nonzero(empty) >= 10:
                level = np.median(signal[index][empty])
                spread = 1.4826 * np.median(np.abs(signal[index][empty] - level))
                least = min(least, max(level, 0.0) + max(_KEY_SDS * spread, _LEAST_KEY_FRACTION * typical))
            shows &= (best != index) | (signal[index] >= least)
    return np.where(shows, best, -1)


def _refit(model, keys, key_index, signal, template, sorting):
    """Response of each well from all flows in which its kind takes no base, less what phasing leaves in them."""
    n_flows = min(key.n_flows for key in keys)
    gain, log_tau = model.fit.gain.copy(), model.fit.log_tau.copy()
    residual, delay = model.fit.residual.copy(), model.fit.delay_s.copy()
    base = template / np.sqrt(np.where(model.weight > 0, model.weight, np.inf))
    for index in range(-1, len(keys)):
        wells = np.flatnonzero(key_index == index)
        zeros = keys[index].zeros if index >= 0 else np.arange(n_flows)
        if not len(wells) or not len(zeros):
            continue
        only = model.tau_empty_s, model.tau_empty_s
        family = BackgroundFamily.of([model.means[flow] for flow in zeros], model.clock, model.weight, only)
        grid, table = family.table(model.tau_empty_s)
        flows = [model.flows[flow][:, wells] for flow in zeros]
        if index >= 0:
            left = np.outer(base, signal[index, wells]).astype(np.float32)
            flows = [
                trace - np.float32(keys[index].leftover[flow]) * left for trace, flow in zip(flows, zeros, strict=True)
            ]
        seen = family.seen(flows, model.weight)
        prior = Prior(model.fit.at(wells), gain_sd=0.05, log_tau_sd=0.3, delay_sd_s=DELAY_SD_S)
        found = fit_wells(grid, table, seen, prior=prior, noise=max(sorting.noise, 1e-3))
        gain[wells], log_tau[wells], residual[wells], delay[wells] = (
            found.gain,
            found.log_tau,
            found.residual,
            found.delay_s,
        )
    return WellFit(gain, log_tau, delay, residual)


def _flags(key_index, probability, usable, pinned, fit, options):
    flags = np.zeros(len(usable), np.uint16)
    flags[key_index == 0] = WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB
    flags[key_index > 0] = WellFlag.BEAD | WellFlag.LIVE | WellFlag.TF
    silent = usable & (key_index < 0)
    typical = np.quantile(fit.residual[usable], [0.25, 0.5, 0.75])
    noisy = silent & (fit.residual > typical[2] + 6 * (typical[2] - typical[0]))
    slow = silent & ~noisy & (probability >= 0.5)
    fast = silent & ~noisy & (probability < 0.5)
    flags[slow] = WellFlag.BEAD | (WellFlag.LIVE | WellFlag.LIB if options.no_duds else WellFlag.DUD)
    flags[fast] = WellFlag.EMPTY
    flags[fast & (fit.residual <= typical[2] + 3 * (typical[2] - typical[0]))] |= np.uint16(WellFlag.REFERENCE)
    flags[noisy | ~usable] = WellFlag.IGNORE
    flags[pinned] = WellFlag.PINNED
    return flags
