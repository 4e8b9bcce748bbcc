"""Plain-NumPy twins of ionanalysis._core.fits."""

import numpy as np


def low_pass_means(fine, decay, ramp, steps):
    starts = np.concatenate([[0], np.cumsum(steps)[:-1]])
    passed = np.empty((len(decay), *fine.shape))
    passed[:, 0] = fine[0]
    for at in range(1, len(fine)):
        for tau, (keep, lag) in enumerate(zip(decay, ramp, strict=True)):
            passed[tau, at] = keep * passed[tau, at - 1] + (1 - lag) * fine[at] + (lag - keep) * fine[at - 1]
    return np.add.reduceat(passed, starts, axis=1) / steps[:, None]


def best_nodes(nodes, weight, traces):
    product = traces @ nodes
    explained = np.where(product > 0, product**2 * weight, 0)
    best = explained.argmax(axis=1)
    wells = np.arange(len(best))
    gain = np.where(product[wells, best] > 0, product[wells, best] * weight[best], 0)
    return best, gain


def fit_wells(table, grid, traces, known, pull, n_rounds, values):
    """Values found, and the sum of squares of what each fit leaves."""
    n_taus, n_delays, _ = table.shape
    least = np.array([0.2, grid[0] + grid[1], grid[2] + grid[3]])
    most = np.array([5.0, grid[0] + grid[1] * (n_taus - 2), grid[2] + grid[3] * (n_delays - 2)])
    farthest = np.array([np.inf, 0.5, 0.1])
    values = values.copy()
    for _ in range(n_rounds):
        model, by_tau, by_delay = _read_slopes(table, grid, values)
        slopes = np.stack([model, values[:, :1] * by_tau, values[:, :1] * by_delay], axis=1)
        normal = np.einsum("wiv,wjv->wij", slopes, slopes)
        right = np.einsum("wiv,wv->wi", slopes, traces - values[:, :1] * model) + pull * (known - values)
        diagonal = np.einsum("wii->wi", normal)
        diagonal += 1e-9 * diagonal + 1e-9 + pull
        step = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
        values = np.clip(values + np.clip(step, -farthest, farthest), least, most)
    model = _read_slopes(table, grid, values)[0]
    return values, ((traces - values[:, :1] * model) ** 2).sum(axis=1)


def _read_slopes(table, grid, values):
    """Model of unit gain of each well, and its derivatives by log tau and delay."""
    tau, by_tau, tau_node = _cubic(grid[:2], table.shape[0], values[:, 1])
    delay, by_delay, delay_node = _cubic(grid[2:], table.shape[1], values[:, 2])
    around = table[tau_node[:, :, None], delay_node[:, None, :]].astype(float)
    pairs = (tau, delay), (by_tau, delay), (tau, by_delay)
    return [np.einsum("wi,wj,wijv->wv", along, across, around) for along, across in pairs]


def _cubic(line, n_nodes, places):
    """Lagrange weights of four nodes around each place, their derivatives, and the nodes."""
    first, step = line
    place = (np.clip(places, first + step, first + step * (n_nodes - 2)) - first) / step
    second = np.clip(place.astype(int), 1, n_nodes - 3)
    points = np.arange(-1, 3)
    weights, slopes = np.empty((2, len(places), 4))
    for i, own in enumerate(points):
        others = points[points != own]
        polynomial = np.poly1d(others, r=True) / np.prod(own - others)
        weights[:, i], slopes[:, i] = polynomial(place - second), polynomial.deriv()(place - second) / step
    return weights, slopes, second[:, None] + points
