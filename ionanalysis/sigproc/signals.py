"""Signals of a chip or a rectangle of it: what signal processing hands to base calling."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.flows import FlowOrder
from ionanalysis.io.mask import Mask, WellFlag
from ionanalysis.sigproc.beadmap import BeadMap
from ionanalysis.wells import WellsWriter


@dataclass(frozen=True, eq=False, repr=False)
class Signals:
    """Signals of all flows.

    Attributes
    ----------
    beads : BeadMap
        Bead finding's result for the same wells: time constants, delays, key scores.
    flow_order : FlowOrder
    amplitude : ndarray of shape (rows, cols, n_flows), float32
        Key-normalised: one base gives about 1. 0 in wells that are not live, and from the flow on in which
        a well pinned.
    copies : ndarray of shape (rows, cols), float32
        Size of each live well's signal relative to a typical one of its region; -1 elsewhere.
    mask : Mask
        Bead mask with pinned wells added.
    chip : str
    first_pinned : ndarray of shape (rows, cols), int32
        First flow in which a well pinned; the number of flows where none.
    """

    beads: BeadMap
    flow_order: FlowOrder
    amplitude: np.ndarray
    copies: np.ndarray
    mask: Mask
    chip: str
    first_pinned: np.ndarray

    @property
    def shape(self):
        """Rows, columns, flows."""
        return self.amplitude.shape

    def __getitem__(self, place):
        """Usable signals, as `Wells` gives them: amplitude times copies in live wells, else -1."""
        copies = np.broadcast_to(self.copies[:, :, None], self.shape)[place]
        return np.where(copies > 0, self.amplitude[place] * copies, np.float32(-1))

    @property
    def t0_s(self):
        """Onset of the first flow at each well, seconds, float32 of shape (rows, cols)."""
        return self.beads.well_t0_s

    @property
    def time_constant_s(self):
        """Buffering time constant of each well, seconds, float32 of shape (rows, cols)."""
        return self.beads.time_constant_s

    def to_wells(self, path, info=None):
        """Write ``1.wells``: uint16 amplitudes with copies beside them (sigproc.md 6.1)."""
        rows, cols, _ = self.amplitude.shape
        info = {"ChipType": self.chip, **(info or {})}
        with WellsWriter(path, (rows, cols), self.flow_order, info, has_copies=True) as writer:
            writer.write(Block(0, 0, rows, cols), self.amplitude, self.copies)

    def __repr__(self):
        rows, cols, flows = self.amplitude.shape
        n_lib, n_tf = self.mask.count(WellFlag.LIB), self.mask.count(WellFlag.TF)
        return f"<Signals: {rows} x {cols} wells, {flows} flows; {n_lib} library wells, {n_tf} test fragments>"
