"""Which wells are empty, from how fast they follow the bulk; their mean trace and time constant."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.sigproc.family import DELAY_RANGE_S, DELAY_STEPS, LOG_TAU_STEP, TAU_RANGE_S, BackgroundFamily
from ionanalysis.sigproc.frames import blur_operators
from ionanalysis.sigproc.response import ResponseGrid, cubic_weights
from ionanalysis.sigproc.wellfit import Prior, WellFit, centred, fit_surface, fit_wells

NEAR_SHARE = 0.74
"""A search for the empties' time constant near another looks at most so far below it, and as far above."""

N_ROUNDS = 3
EARLY = {"n_rounds": 12}
"""How classes are found that only choose the empties of the next round."""

MOST_SORTED = 1600
"""Wells that all but the last round look at."""

MOST_SEARCHED = 300
"""Beads that the empties' time constant is searched with."""

MOST_JUDGED = 500
"""Wells that the weights of frames are told from."""

WINDOW_S = 5.0
"""Frames later than this after the onset of the bulk are not used: on real chips they hold the wash."""


@dataclass(frozen=True)
class Sorting:
    """Wells of a region sorted into fast (empty) and slow (bead) ones.

    Parameters
    ----------
    fit : WellFit
        Response of each well; its delays are the surface.
    tau_empty_s : float
        Time constant of empty wells, seconds.
    bead_probability : ndarray of shape (n_wells,), float64
        Probability that a well holds a bead, by its time constant alone; NaN for wells left out.
    separation : float
        Distance of the two classes in standard deviations (see `two_classes`); 0 if there is one class.
    noise : float
        Typical root mean square of the fits' residuals, counts.
    frame_weight : ndarray of shape (n_frames,), float64
        See `frame_weights`.
    """

    fit: WellFit
    tau_empty_s: float
    bead_probability: np.ndarray
    separation: float
    noise: float
    frame_weight: np.ndarray


def sort_wells(flows, clock, usable, shape, *, n_rounds=N_ROUNDS):
    """Sort wells by their response to flows in which nothing is incorporated.

    What wells share (time constant of empties, delays, weights of frames) is found from some of them, round after
    round; in the last round all are fitted.

    Parameters
    ----------
    flows : list of ndarray of shape (n_frames, n_wells)
        Traces of the bead-find image, or of flows that are 0-mers of every key.
    clock : FrameClock
    usable : ndarray of shape (n_wells,), bool
        Wells to learn from; the others are fitted too.
    shape : tuple of int
        Rows and columns of the region.

    Returns
    -------
    Sorting
    """
    counts = _frames_that_tell(flows, clock, usable)
    some = np.flatnonzero(usable)
    some = some[:: max(1, len(some) // MOST_SORTED)]
    part = _Part.of(some, flows, usable)
    weights, tau_empty = counts, 0.0
    fit: WellFit | None = None
    fast = _fastest(part.flows, clock, part.usable, weights)
    delay = np.zeros(len(some))
    for round_number in range(n_rounds):
        sharp = sharpener(blur_matrix(delay[fast], clock))
        means = [sharp @ flow[:, fast].mean(axis=1, dtype=np.float64) for flow in part.flows]
        slow = part.usable & ~fast
        searched = np.flatnonzero(slow if slow.any() else part.usable)
        searched = searched[:: max(1, len(searched) // MOST_SEARCHED)]
        # A search near what the round before found needs no more than times near it.
        bounds = (NEAR_SHARE * tau_empty, tau_empty / NEAR_SHARE) if tau_empty else TAU_RANGE_S
        family = BackgroundFamily.of(means, clock, weights, bounds)
        seen = family.seen(part.flows, weights)
        start = fit.at(searched) if fit else None
        tau_empty = find_tau_empty(family, seen.at(searched), tau_empty or None, start)
        grid, table = family.table(tau_empty)
        if round_number == n_rounds - 1:
            part, fit = _Part.of(np.arange(len(usable)), flows, usable), None
            seen = family.seen(part.flows, weights)
        # Later rounds begin near their ends.
        fit = fit_wells(grid, table, seen, start=fit, n_rounds=2 if fit else 4)
        if len(fast) != len(part.wells):
            fast = _classes(fit.log_tau, part.usable, **EARLY)[0]
        delay = _smooth_delays(fit.delay_s, fast, part, shape, has_classes=round_number > 0)
        fit = fit_wells(grid, table, seen, start=fit.with_delay(delay), prior=_held_delay(fit, delay), n_rounds=2)
        weights = frame_weights(grid, family.unfolded(table), part.flows, fit, part.usable, weights, counts)
        is_last = round_number == n_rounds - 1
        fast, probability, separation = _classes(fit.log_tau, part.usable, **({} if is_last else EARLY))
    assert fit is not None
    noise = float(np.median(fit.residual[usable]))
    return Sorting(fit, tau_empty, np.where(usable, probability, np.nan), separation, noise, weights)


@dataclass(frozen=True)
class _Part:
    """Some wells of a region, and their traces."""

    wells: np.ndarray
    flows: list
    usable: np.ndarray

    @classmethod
    def of(cls, wells, flows, usable):
        if len(wells) == len(usable):
            return cls(wells, flows, usable)
        return cls(wells, [np.take(flow, wells, axis=1) for flow in flows], usable[wells])


def _classes(log_tau, usable, **options):
    """Wells that serve as empties, bool; probability of a bead; separation of both classes (`two_classes`)."""
    probability, separation = two_classes(log_tau, usable, **options)
    found = usable & (probability < 0.5)
    if separation == 0 or found.sum() < 10:
        # One class only: the fastest wells have to do as references.
        found = usable & (log_tau <= np.quantile(log_tau[usable], 0.1))
    return found, probability, separation


def _smooth_delays(delay_s, fast, part, shape, *, has_classes):
    """Delays of wells from noisy single ones: a surface, 0 in the mean of empties, and one step for beads."""
    rows, cols = np.unravel_index(part.wells, shape)
    surface = fit_surface(rows, cols, delay_s, shape, keep=part.usable).ravel()[part.wells]
    slow = part.usable & ~fast
    step = 0.0
    if has_classes and slow.any() and fast.any():
        above = delay_s - surface
        step = float(np.median(above[slow]) - np.median(above[fast]))
        surface = fit_surface(rows, cols, delay_s - step * slow, shape, keep=part.usable).ravel()[part.wells]
    middle = surface[fast].mean() if fast.any() else 0.0
    return surface - middle + step * slow


def _held_delay(fit, surface):
    return Prior(fit.with_delay(surface), gain_sd=1e3, log_tau_sd=1e3, delay_sd_s=1e-6)


def stacked(flows, weights):
    """Traces of several flows side by side, `centred`: float32 of shape (n_wells, n_flows * n_frames)."""
    return np.concatenate([centred(flow.T.astype(np.float32), weights) for flow in flows], axis=1).astype(np.float32)


def wide_grid(clock, tau_empty_s):
    """Grid for wells of any kind: a little faster than empties, up to five times as slow."""
    middle = np.log(tau_empty_s)
    return ResponseGrid.covering(
        (middle - 0.3, middle + 1.6),
        (-DELAY_RANGE_S, DELAY_RANGE_S),
        log_tau_step=LOG_TAU_STEP,
        delay_step_s=DELAY_STEPS * clock.step_s,
    )


def blur_matrix(delay_s, clock):
    """What averaging over wells of these delays does to a trace: float64 of shape (n_frames, n_frames)."""
    operators = blur_operators(clock)
    middle = (len(operators) - 1) // 2
    place = np.clip(np.asarray(delay_s) / clock.step_s, 1.0 - middle, middle - 1.001) + middle
    node = place.astype(int)
    weights = cubic_weights(place - node)
    share = sum(np.bincount(node + i - 1, weights[i], len(operators)) for i in range(4))
    return np.tensordot(share / max(len(place), 1), operators, axes=1)


def sharpener(blur):
    """Matrix that undoes the blur of a mean trace, (n_frames, n_frames); in few rounds, that noise is not amplified."""
    one = np.eye(len(blur))
    lack, total = one - blur, one
    for _ in range(4):
        total = one + lack @ total
    return total


def find_tau_empty(family, traces, near=0.0, start=None, *, least_s=0.05, most_s=2.0):
    """Time constant of the empties with which sampled wells fit best (median residual), in seconds.

    Parameters
    ----------
    family : BackgroundFamily
    traces : Projected
        The sampled wells.
    near : float
        What an earlier round found, seconds: only times near it are looked at. 0: all are.
    start : WellFit, optional
        Where the fits begin.
    """
    fit = start

    def misfit(log_tau_empty):
        nonlocal fit
        grid, table = family.table(float(np.exp(log_tau_empty)))
        # What fitted with another time constant is a good start.
        fit = fit_wells(grid, table, traces, start=fit, n_rounds=3 if fit is None else 2)
        return float(np.partition(fit.residual, len(fit.residual) // 2)[len(fit.residual) // 2])

    least, most = np.log(least_s), np.log(most_s)
    places = np.linspace(least, most, 13)
    if near:
        places = np.clip(np.log(near) + np.log(NEAR_SHARE) * np.linspace(1, -1, 5), least, most)
    found = np.array([misfit(place) for place in places])
    for _ in range(0 if near else 2):
        # Half-way between the best place and its neighbours.
        best = int(np.argmin(found))
        added = [(places[best] + places[other]) / 2 for other in (best - 1, best + 1) if 0 <= other < len(places)]
        order = np.argsort([*places, *added], kind="stable")
        found = np.array([*found, *(misfit(place) for place in added)])[order]
        places = np.array([*places, *added])[order]
    return float(np.exp(_lowest(places, found)))


def _lowest(places, values):
    """Where a parabola through the least of some values and its two neighbours is lowest."""
    best = min(max(int(np.argmin(values)), 1), len(values) - 2)
    x, y = places[best - 1 : best + 2], np.asarray(values[best - 1 : best + 2])
    before, after = (y[1] - y[0]) / max(x[1] - x[0], 1e-9), (y[2] - y[1]) / max(x[2] - x[1], 1e-9)
    bend = (after - before) / max(x[2] - x[0], 1e-9)
    if bend <= 0:
        return places[int(np.argmin(values))]
    return min(max((x[0] + x[1]) / 2 - before / (2 * bend), x[0]), x[2])


def frame_weights(grid, table, flows, fit, usable, weights, counts):
    """Weights of frames: base frames averaged, less where the model fails (late frames of real chips).

    Parameters
    ----------
    grid, table, fit
        Backgrounds of the flows side by side, `centred` with `weights`, and how wells were fitted by them.
    flows : list of ndarray of shape (n_frames, n_wells)
    weights : ndarray of shape (n_frames,)
        Weights that `table` carries.
    counts : ndarray of shape (n_frames,)
        Base frames in each frame, 0 for frames that are left out.
    """
    some = np.flatnonzero(usable)
    # A few hundred wells tell their median.
    some = some[:: max(1, len(some) // MOST_JUDGED)]
    background = grid.place(fit.log_tau[some], fit.delay_s[some]).read(table).T
    left = stacked([flow[:, some] for flow in flows], weights) - fit.gain[some, None].astype(np.float32) * background
    left = left.reshape(len(some), -1, len(weights))
    power = np.median(np.mean(left**2, axis=1), axis=0) / np.maximum(weights, 1e-6) * counts
    return counts / np.maximum(1.0, power / (1.3 * np.quantile(power[counts > 0], 0.25) + 1e-9))


def _frames_that_tell(flows, clock, usable):
    """Base frames in each frame, 0 from `WINDOW_S` after the onset of the bulk: signals have died down."""
    mean = np.mean([flow[:, usable].mean(axis=1, dtype=float) for flow in flows], axis=0)
    onset = clock.mid_s[np.argmax(np.abs(mean - mean[0]) > 0.05 * np.ptp(mean))]
    return np.where(clock.mid_s < onset + WINDOW_S, clock.counts, 0.0)


def _fastest(flows, clock, usable, weights):
    """A first guess of the empties: a tenth of the wells, fastest to follow the mean, without extremes."""
    speed = np.zeros(flows[0].shape[1])
    for flow in flows:
        mean = flow[:, usable].mean(axis=1, dtype=np.float64)
        slow = clock.released(mean, 0.4)[:, 0]
        late = clock.delayed(mean, 0.02) - clock.delayed(mean, -0.02)
        design = np.stack([centred(column, weights) for column in (mean, slow, late)], axis=1)
        size, fast, _ = np.linalg.pinv(design) @ centred(flow.T, weights).T
        speed += fast / np.where(np.abs(size) > 1e-6, size, 1e-6) / len(flows)
    order = np.argsort(np.where(usable, -speed, np.inf), kind="stable")
    n_usable = int(usable.sum())
    chosen = np.zeros(len(speed), bool)
    chosen[order[int(0.01 * n_usable) : max(int(0.11 * n_usable), 1)]] = True
    return chosen & usable


_N_BINS = 400


def two_classes(values, usable, *, n_rounds=50):
    """Mixture of two normal classes on a line.

    Returns
    -------
    probability : ndarray of shape (n_wells,), float64
        Of the upper class.
    separation : float
        Distance of the class means in root mean square deviations (Ashman et al. 1994, D); 0 if it is
        below 2.2, where one skewed class looks the same.
    """
    seen = values[usable]
    if len(seen) < 20 or np.ptp(seen) == 0:
        return np.full(len(values), 0.5), 0.0
    split = _widest_split(seen)
    low, high = seen[seen <= split], seen[seen > split]
    mean = np.array([low.mean(), high.mean()])
    floor = 1e-3 + 0.02 * (mean[1] - mean[0])
    sd = np.maximum([low.std(), high.std()], floor)
    share = np.array([len(low), len(high)]) / len(seen)
    # A fine histogram stands for the wells: their number does not matter then.
    counts, edges = np.histogram(seen, bins=_N_BINS)
    binned = np.histogram(seen, bins=edges, weights=seen)[0][counts > 0] / counts[counts > 0]
    counts = counts[counts > 0]
    for _ in range(n_rounds):
        former = mean
        upper = _responsibility(binned, mean, sd, share) * counts
        weight = np.stack([counts - upper, upper])
        total = weight.sum(axis=1) + 1e-9
        share = total / total.sum()
        mean = weight @ binned / total
        sd = np.maximum(np.sqrt((weight * (binned - mean[:, None]) ** 2).sum(axis=1) / total), floor)
        if np.abs(mean - former).max() < 1e-4 * abs(mean[1] - mean[0]):
            break
    separation = (mean[1] - mean[0]) / np.sqrt((sd**2).mean())
    if separation < 2.2:
        return np.full(len(values), 0.5), 0.0
    # Beyond a mean there is no doubt, whatever the wider class's tails say.
    probability = _responsibility(np.clip(values, mean[0], mean[1]), mean, sd, share)
    return probability, float(separation)


def _widest_split(values):
    """Threshold with the largest variance between two classes (Otsu 1979)."""
    ordered = np.sort(values)
    n = np.arange(1, len(ordered))
    below = np.cumsum(ordered)[:-1]
    between = (below - n * ordered.mean()) ** 2 / (n * (len(ordered) - n))
    best = int(between.argmax())
    return (ordered[best] + ordered[best + 1]) / 2


def _responsibility(values, mean, sd, share):
    log = -0.5 * ((values - mean[:, None]) / sd[:, None]) ** 2 + np.log(share / sd)[:, None]
    return 1 / (1 + np.exp(np.clip(log[0] - log[1], -500, 500)))
