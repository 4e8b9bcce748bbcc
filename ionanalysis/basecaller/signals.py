"""Signals of a rectangle of wells: files added up, normalised by each other, taps joined (basecaller.md 1.4, 1.5)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.basecaller.wells_normalisation import normalise_wells
from ionanalysis.flows import FlowOrder
from ionanalysis.wells import Wells


@dataclass(frozen=True, eq=False)
class SignalSource:
    """Wells files of a block and how their signals are made ready; picklable, without arrays or open files.

    Attributes
    ----------
    parts : tuple of Wells
        One file, or several whose signals are added up.
    flow_order : FlowOrder
        The flows to use.
    library_key, tf_key : str
    normalisation : str
        Mode of `normalise_wells`; "off" for none.
    compress_multi_taps : bool
        Add the signals of flows that repeat a nucleotide up in the first.
    """

    parts: tuple[Wells, ...]
    flow_order: FlowOrder
    library_key: str
    tf_key: str
    normalisation: str = "off"
    compress_multi_taps: bool = False

    @property
    def shape(self):
        """Rows, columns, flows."""
        return (*self.parts[0].shape[:2], len(self.flow_order))

    @property
    def chip(self):
        """Chip type, such as ``530``; empty where the files do not say."""
        return self.parts[0].chip

    def read(self, block, classes, files, flows=slice(None)):
        """Signals of a rectangle.

        Parameters
        ----------
        block : Block
        classes : ReadClasses
            Of the rectangle's wells.
        files : ndarray of shape (n_rows, n_cols), uint8
            Which files count for each well (`combine_masks`); a single file counts for all.
        flows : slice
            First flows to read; all of `flow_order` by default.

        Returns
        -------
        signals : ndarray of shape (n_rows, n_cols, n_flows), float32
        n_bad : int
            Values of wells that are reads which were no finite numbers, and are 0 now.
        """
        order = self.flow_order.limited(len(range(len(self.flow_order))[flows]))
        if len(self.parts) == 1:
            signals, n_bad = _read_finite(self.parts[0], block, order, classes.output)
            self._normalise(signals, classes, order)
        else:
            signals, n_bad = np.zeros((block.n_rows, block.n_cols, len(order)), np.float32), 0
            for number, part in enumerate(self.parts):
                counts = (files >> np.uint8(number)) & 1 > 0
                values, n_more = _read_finite(part, block, order, classes.output & counts)
                n_bad += n_more
                copies = part.copies_of(*block.slices)
                if copies is not None:
                    counts &= copies > 0
                if self.normalisation != "off":
                    self._normalise(values, classes.among(counts), order)
                    values *= 1 if copies is None else copies[:, :, None]
                signals[counts] += values[counts]
        if self.compress_multi_taps:
            signals = join_taps(signals, order)
        return signals, n_bad

    def _normalise(self, signals, classes, order):
        """Normalise in place; only reads are changed."""
        if self.normalisation == "off":
            return
        key_flowgrams = order.key_flowgram(self.library_key), order.key_flowgram(self.tf_key)
        output = classes.output
        if output.any():
            good = (classes.library & classes.valid)[output]
            signals[output] = normalise_wells(
                signals[output], order, self.normalisation, good, classes.tf[output], key_flowgrams
            )


def _read_finite(wells, block, order, counted):
    """Signals of a block; counts the values of wells `counted` that are no finite numbers."""
    flows = slice(len(order))
    if wells.form == "uint16":
        return wells[(*block.slices, flows)], 0
    # Other forms hold final signals, among them possibly NaN, which `Wells` itself would hide.
    signals = np.array(wells.stored(*block.slices, flows), np.float32)
    finite = np.isfinite(signals)
    n_bad = int(np.count_nonzero(~finite[counted]))
    signals[~finite] = 0
    return signals, n_bad


def join_taps(signals, flow_order):
    """Signals with each run of flows of one nucleotide added up in its first flow, 0 in the others.

    Parameters
    ----------
    signals : ndarray of shape (..., n_flows), float32
    flow_order : FlowOrder

    Examples
    --------
    >>> join_taps(np.float32([[1, 0.2, 0, 2, 0.5, 0.25]]), FlowOrder("TTACCC", 6))
    array([[1.2 , 0.  , 0.  , 2.75, 0.  , 0.  ]], dtype=float32)
    """
    bases = flow_order.bases
    first = np.flatnonzero(np.concatenate([[True], bases[1:] != bases[:-1]]))
    joined = np.zeros_like(signals)
    joined[..., first] = np.add.reduceat(signals, first, axis=-1)
    return joined
