"""How well the barcodes of a set can be told apart: distances in flow space and what they mean for reads."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.basecaller.barcodes import classifier_limits, lay_out_barcodes, template_signals
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.options.barcodes import BarcodeCheckOptions, BarcodeOptions

_FLOW_ERRORS, _SQUARED = 1, 2


@dataclass(frozen=True)
class BarcodePair:
    """Two barcodes, as numbers in the set, and how easily one is taken for the other.

    Attributes
    ----------
    first, second : int
    flow_errors : int
        Bases too many or too few, over all flows, that make one the other.
    signal_distance : float
        Squared distance of their signals, in bases squared, phasing included.
    undecided, swapped : float
        Share of the reads of one that end between both, and as the other, with the suggested separation; of both
        directions the worse.
    """

    first: int
    second: int
    flow_errors: int
    signal_distance: float
    undecided: float
    swapped: float

    @property
    def meaning(self):
        """What errors in flows do to reads of the pair, in a phrase."""
        if self.flow_errors == 0:
            return "the same flows: cannot be told apart"
        if self.flow_errors == 1:
            return "one flow error makes one the other"
        if self.flow_errors == 2:
            return "one flow error leaves a read between them"
        n_corrected = (self.flow_errors - 1) // 2
        return f"{n_corrected} flow error{'s' if n_corrected > 1 else ''} corrected"


@dataclass(frozen=True, eq=False)
class BarcodeDistances:
    """Distances within a barcode set.

    Attributes
    ----------
    names, sequences, adapters : tuple of str
        Of the n barcodes.
    flow_errors : ndarray of shape (n, n), int64
        Flow errors that make one barcode another.
    signal_distance : ndarray of shape (n, n), float32
        Squared distance of their signals, in bases squared.
    last_flow : ndarray of shape (n,), int64
        Flow of the last base of each adapter.
    first_flow : int
        First flow that counts in distances.
    synchronised : bool
        Whether all barcodes span the same flows.
    flow_cutoff : float
        Suggested greatest number of flow errors, for classifier mode 1.
    cutoff, separation : float
        Suggested for classifier mode 2.
    nearest : tuple of BarcodePair
        Each barcode with the one nearest to it; empty for a set of one.
    confused : tuple of BarcodePair
        Pairs that differ by too few flow errors, or between which too many reads stay, nearest first.
    """

    names: tuple[str, ...]
    sequences: tuple[str, ...]
    adapters: tuple[str, ...]
    flow_errors: np.ndarray
    signal_distance: np.ndarray
    last_flow: np.ndarray
    first_flow: int
    synchronised: bool
    flow_cutoff: float
    cutoff: float
    separation: float
    nearest: tuple[BarcodePair, ...]
    confused: tuple[BarcodePair, ...]

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        least = self.least_distance
        return (
            f"BarcodeDistances({len(self)} barcodes, least distance {'none' if least is None else least} flow errors, "
            f"{len(self.confused)} pairs confused)"
        )

    @property
    def least_distance(self):
        """Least number of flow errors between two barcodes; None for fewer than two."""
        return min((pair.flow_errors for pair in self.nearest), default=None)


def barcode_distances(barcodes, options=None):
    """Compare every barcode of a set with every other.

    Parameters
    ----------
    barcodes : iterable of Barcode
        Such as a `BarcodeSet`.
    options : BarcodeCheckOptions, optional
        Key, flow order, phasing and noise of the run, and what is listed.

    Returns
    -------
    BarcodeDistances

    Raises
    ------
    InputError
        If a barcode does not fit into the flows of the run.

    Notes
    -----
    Flow errors are the distance of basecaller.md 7.2: the difference of run lengths, summed over the flows from the
    barcode to the adapter. In mode 2 a read of barcode a with signal m is left undecided between a and b if
    ``|Σ(b - m)² - Σ(a - m)²|`` is below the separation. With noise of sd σ(f) in flow f that difference is normal
    around D = Σ(b - a)² with variance 4 Σ(b - a)² σ²; σ is `noise` + `noise_per_base` times the signal a.

    Examples
    --------
    >>> from ionanalysis.io.barcode_set import Barcode
    >>> pair = (("a", "CTAAGGTAAC"), ("b", "TAAGGAGAAC"))
    >>> barcode_distances(
    ...     [Barcode(name=name, index=i, sequence=bases, adapter="GAT") for i, (name, bases) in enumerate(pair)]
    ... )
    BarcodeDistances(2 barcodes, least distance 6 flow errors, 0 pairs confused)
    """
    options = options or BarcodeCheckOptions()
    barcodes = tuple(barcodes)
    if not barcodes:
        raise InputError("there are no barcodes to compare; give a set with at least one.")
    order = FlowOrder(options.flow_order, options.flows)
    templates = lay_out_barcodes(options.key, [(b.sequence, b.adapter) for b in barcodes], order)
    signals = template_signals(templates, order, options.cf, options.ie).astype(np.float64)
    flow_errors = np.array([templates.distances_from(i) for i in range(len(templates))])
    spread = np.array([_squared_distances(signals, templates.in_distance, i, options) for i in range(len(templates))])
    distance, deviation = spread[:, 0], spread[:, 1]
    least = templates.least_distance
    cutoff, separation = _suggested(least, _SQUARED)
    undecided, swapped = _shares(distance, deviation, separation)

    def pair(i, j):
        return BarcodePair(
            i, j, int(flow_errors[i, j]), float(distance[i, j]), float(undecided[i, j]), float(swapped[i, j])
        )

    listed = (flow_errors < options.least_errors) | (undecided + swapped > options.most_undecided)
    confused = [pair(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(listed, 1)), strict=True)]
    return BarcodeDistances(
        names=tuple(b.name for b in barcodes),
        sequences=tuple(b.sequence for b in barcodes),
        adapters=tuple(b.adapter for b in barcodes),
        flow_errors=flow_errors,
        signal_distance=distance.astype(np.float32),
        last_flow=templates.last_flow,
        first_flow=templates.first_flow,
        synchronised=templates.synchronised,
        flow_cutoff=_suggested(least, _FLOW_ERRORS)[0],
        cutoff=cutoff,
        separation=separation,
        nearest=tuple(pair(i, j) for i, j in enumerate(_nearest(flow_errors, distance))) if len(barcodes) > 1 else (),
        confused=tuple(sorted(confused, key=lambda pair: (pair.flow_errors, pair.signal_distance))),
    )


def _squared_distances(signals, in_distance, number, options):
    """Squared distance of barcode `number` to all, and the sd that noise gives to a read's lead: two rows of n."""
    square = np.where(in_distance[number] & in_distance, (signals - signals[number]) ** 2, 0.0)
    noise = options.noise + options.noise_per_base * np.maximum(signals[number], 0)
    return np.stack([square.sum(axis=1), 2 * np.sqrt((square * noise**2).sum(axis=1))])


def _suggested(least, mode):
    return classifier_limits(least, BarcodeOptions(barcode_mode=mode, barcode_auto_config=True))


def _shares(distance, deviation, separation):
    """Shares of reads undecided and swapped between each pair, the worse of both directions, (n, n) each."""
    from scipy.special import ndtr

    deviation = np.maximum(deviation, 1e-12)
    swapped = ndtr((-separation - distance) / deviation)
    undecided = ndtr((separation - distance) / deviation) - swapped
    return np.maximum(undecided, undecided.T), np.maximum(swapped, swapped.T)


def _nearest(flow_errors, distance):
    """Number of the barcode nearest to each: fewest flow errors, then least distance of signals."""
    n = len(flow_errors)
    for i in range(n):
        others = np.arange(n) != i
        order = np.lexsort((distance[i][others], flow_errors[i][others]))
        yield int(np.flatnonzero(others)[order[0]])
