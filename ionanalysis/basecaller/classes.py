"""Which wells are read, and what signal processing already said of them (basecaller.md 1.6, 2.2)."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.io.mask import WellFlag


@dataclass(frozen=True, eq=False)
class ReadClasses:
    """Class and verdict so far of each well of a block.

    `library` and `tf` are bool of shape (n_rows, n_cols); `verdict` is int8 of that shape, a `Verdict`
    of signal processing or PASSED, and means nothing where a well is neither library nor tf.
    """

    library: np.ndarray
    tf: np.ndarray
    verdict: np.ndarray

    @property
    def output(self):
        """Wells that end up in a read group, kept or not."""
        return self.library | self.tf

    @property
    def valid(self):
        """Wells worth calling."""
        return self.output & (self.verdict == Verdict.PASSED)

    def among(self, chosen):
        """The same with only the `chosen` wells, bool of the same shape, as reads."""
        return replace(self, library=self.library & chosen, tf=self.tf & chosen)

    def within(self, block):
        """The classes of a rectangle."""
        return ReadClasses(self.library[block.slices], self.tf[block.slices], self.verdict[block.slices])


def read_classes(mask, *, ignore_washouts=False):
    """Read classes of the wells of a bead mask.

    Parameters
    ----------
    mask : Mask
        Bead mask.
    ignore_washouts : bool
        Count washed-out wells as without signal.

    Notes
    -----
    Beware the crossing of names: bit 15, poor fit, of the *input* mask is what base calling counts as
    "high PPF", and bit 14, PPF, as "polyclonal" (basecaller.md 1.6). A well that is library and TF at
    once breaks the mask's rules and is left out.
    """
    live = mask.matches(WellFlag.LIVE)
    library, tf = live & mask.matches(WellFlag.LIB), live & mask.matches(WellFlag.TF)
    both = library & tf
    verdict = np.full(mask.shape, Verdict.PASSED, np.int8)
    if ignore_washouts:
        verdict[mask.matches(WellFlag.WASHOUT)] = Verdict.NO_SIGNAL
    # The first of these that applies counts: later lines overwrite earlier ones.
    verdict[mask.matches(WellFlag.FILTERED_BAD_PPF)] = Verdict.SIGNAL_POLYCLONAL
    verdict[mask.matches(WellFlag.FILTERED_BAD_RESIDUAL)] = Verdict.SIGNAL_HIGH_PPF
    verdict[mask.matches(WellFlag.FILTERED_BAD_KEY)] = Verdict.SIGNAL_KEYPASS
    return ReadClasses(library & ~both, tf & ~both, verdict)
