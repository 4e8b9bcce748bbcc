"""Which well holds what."""

import numpy as np

from ionanalysis.simulate.seeds import Purpose, stream


def draw_kinds(options, shape, seed):
    """Kind of each well, one of `ionanalysis.io.truth.KINDS`, as an array of str of `shape` (rows, columns)."""
    rank = _ranks(options, shape, seed)
    split = stream(seed, Purpose.POLYCLONAL).random(shape)
    bounds = np.cumsum([options.empty, options.pinned, options.dud, options.tf])
    names = np.array(["empty", "pinned", "dud", "tf", "library"])
    kind = names[np.searchsorted(bounds, rank, "right")].astype("U10")
    kind[(kind == "library") & (split < options.polyclonal)] = "polyclonal"
    return kind


def _ranks(options, shape, seed):
    """A uniform number per well; with clustering, low ones (the empties) lie together."""
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtr, ndtri

    random = stream(seed, Purpose.KIND)
    rank = random.random(shape)
    if not options.clustering:
        return rank
    patches = gaussian_filter(random.standard_normal(shape), 4, mode="wrap")
    mixed = np.sqrt(1 - options.clustering) * ndtri(rank) + np.sqrt(options.clustering) * patches / patches.std()
    return ndtr(mixed)


def draw_loss(options, kind, n_flows, seed):
    """Flow before which the bead of each well leaves, int32; `n_flows` where it stays."""
    random = stream(seed, Purpose.BEAD_LOSS)
    lost = random.random(kind.shape) < options.bead_loss
    when = random.integers(1, n_flows + 1, kind.shape)
    beads = ~np.isin(kind, ("empty", "pinned"))
    return np.where(lost & beads, when, n_flows).astype(np.int32)


def draw_half_loaded(options, kind, seed):
    """Whether the bead of each well has only half its templates, bool; never in wells without bead."""
    half = stream(seed, Purpose.HALF_LOADED).random(kind.shape) < options.half_loaded
    return half & ~np.isin(kind, ("empty", "pinned"))
