"""Raw traces to signals: bead finding and signal fitting."""

from ionanalysis.sigproc.beadfind import find_beads
from ionanalysis.sigproc.beadmap import BeadMap
from ionanalysis.sigproc.fit import fit_signals
from ionanalysis.sigproc.signals import Signals

__all__ = ["BeadMap", "Signals", "find_beads", "fit_signals"]
