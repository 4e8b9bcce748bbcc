"""Where randomness comes from: one independent stream per purpose, so that one choice does not reshuffle the others."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for. Numbers are part of the format: append, never renumber."""

    GENOME = 0
    KIND = 1
    INSERT = 2
    BARCODE = 3
    MOLECULAR_TAG = 4
    TEST_FRAGMENT = 5
    POLYCLONAL = 6
    PHASE = 7
    SIGNAL_GAIN = 8
    SIGNAL_NOISE = 9
    COPIES = 10
    BEAD_LOSS = 11
    PIXEL = 12
    BUFFER = 13
    TIMING = 14
    FLOW = 15
    IMAGE_NOISE = 16
    BUBBLES = 17
    GAIN_DRIFT = 18
    OUTLIERS = 19
    HALF_LOADED = 20


def stream(seed, purpose, *index):
    """Generator of random numbers for one purpose, and for one flow or band of rows where `index` names it.

    >>> stream(1, Purpose.KIND).integers(100) == stream(1, Purpose.KIND).integers(100)
    True
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *index)))
