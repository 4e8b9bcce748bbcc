"""Start barcodes: templates in flow space, and which of them each read shows (basecaller.md 7.2)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ionanalysis.basecaller.barcode_rescue import rescue
from ionanalysis.basecaller.filters import starts_with
from ionanalysis.basecaller.letters import CODES, is_plain
from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.errors import InputError

EXACT, _FLOW_ERRORS = 0, 1
_SQUARED, _RELATIVE = (2, 4), (4, 5)
_SOFTENING = 0.5
"""Added to both signals before their ratio is taken, bases: modes 4 and 5."""


@dataclass(frozen=True, eq=False)
class BarcodeTemplates:
    """Key, barcode and barcode adapter of each barcode, laid out in flows.

    Attributes
    ----------
    sequences : tuple of str
        Key, barcode and adapter, one after the other.
    flowgrams : ndarray of shape (n_barcodes, n_flows), int16
        Run lengths up to the longest template's last flow.
    first_flow : int
        First barcode flow: behind the key, or the key's last one if a barcode begins with its last base.
    adapter_start : ndarray of shape (n_barcodes,)
        First flow with bases of the adapter only; distances are summed over [first_flow, adapter_start).
    last_flow : ndarray of shape (n_barcodes,)
        Flow of the last base of the adapter.
    key : str
    barcodes : tuple of (str, str)
        Barcode and adapter of each.
    ignored : (int, int)
        Flows [a, b) that do not count in distances.

    Notes
    -----
    Sequences with IUPAC codes for several bases have no flowgrams: rows of theirs are laid out with the first base of
    each code, to know how long they are, and count in no distance.
    """

    sequences: tuple[str, ...]
    flowgrams: np.ndarray
    first_flow: int
    adapter_start: np.ndarray
    last_flow: np.ndarray
    key: str
    barcodes: tuple[tuple[str, str], ...]
    ignored: tuple[int, int] = (0, 0)

    def __len__(self):
        return len(self.sequences)

    @property
    def n_flows(self):
        return self.flowgrams.shape[1]

    @property
    def n_distance_flows(self):
        """Flows from `first_flow` to the last one that counts for any barcode."""
        return int(self.adapter_start.max()) - self.first_flow

    @property
    def ambiguous(self):
        """Whether any sequence has codes for several bases, so that only exact matching (mode 0) will do."""
        return not all(map(is_plain, self.sequences))

    @property
    def synchronised(self):
        """Whether all barcodes span the same flows."""
        return len(set(self.adapter_start.tolist())) <= 1

    @cached_property
    def in_distance(self):
        """Flows of each barcode that count in distances, bool of shape (n_barcodes, n_flows)."""
        flows = np.arange(self.n_flows)
        counted = (flows < self.ignored[0]) | (flows >= self.ignored[1])
        plain = np.array([is_plain(sequence) for sequence in self.sequences])
        return counted & plain[:, None] & (flows >= self.first_flow) & (flows < self.adapter_start[:, None])

    def distances_from(self, number, others=slice(None)):
        """Flow errors that make barcode `number` each of the others, over the flows that count for both, int64."""
        common = self.in_distance[number] & self.in_distance[others]
        return (np.abs(self.flowgrams[others] - self.flowgrams[number]) * common).sum(axis=1)

    @property
    def least_distance(self):
        """Least number of flow errors that makes one barcode another; None for fewer than two, or with IUPAC codes."""
        if self.ambiguous or len(self) < 2:
            return None
        return min(int(self.distances_from(i, slice(i + 1, None)).min()) for i in range(len(self) - 1))


def barcode_templates(key, barcodes, flow_order, *, ignored=(0, 0)):
    """Lay out barcodes in flows.

    Parameters
    ----------
    key : str
    barcodes : sequence of (str, str)
        Barcode and adapter of each; the adapter may be empty.
    flow_order : FlowOrder
    ignored : (int, int)
        Flows [a, b) that do not count in distances.

    Raises
    ------
    InputError
        If a barcode does not fit into the flows, or two are the same.
    """
    templates = lay_out_barcodes(key, barcodes, flow_order, ignored=ignored)
    if templates.least_distance == 0:
        raise InputError("two barcodes of the set give the same flows; remove one of them from the set.")
    return templates


def lay_out_barcodes(key, barcodes, flow_order, *, ignored=(0, 0)):
    """The same as `barcode_templates`, for sets that may hold barcodes of the same flows, to be looked at."""
    sequences = tuple(key + barcode + adapter for barcode, adapter in barcodes)
    adapter_start, last_flow, first_flows = [], [], []
    laid_out = ["".join(CODES[letter][0] for letter in sequence) for sequence in sequences]
    for sequence, (barcode, adapter) in zip(laid_out, barcodes, strict=True):
        flows = flow_order.base_flows(sequence)
        if not barcode or flows[-1] >= len(flow_order):
            raise InputError(f"barcode {barcode!r} with adapter {adapter!r} does not fit into {len(flow_order)} flows.")
        n_front = len(key) + len(barcode)
        end_flow = flows[n_front - 1]
        behind = flows[n_front:][flows[n_front:] > end_flow]
        adapter_start.append(behind[0] if len(behind) else end_flow + 1)
        last_flow.append(flows[-1])
        key_end = flows[len(key) - 1] if key else -1
        first_flows.append(key_end if flows[len(key)] == key_end else key_end + 1)
    return BarcodeTemplates(
        sequences=sequences,
        flowgrams=np.array([flow_order.flowgram(s)[: max(last_flow) + 1] for s in laid_out], np.int16),
        first_flow=int(min(first_flows)),
        adapter_start=np.array(adapter_start, np.int64),
        last_flow=np.array(last_flow, np.int64),
        key=key,
        barcodes=tuple(map(tuple, barcodes)),
        ignored=tuple(ignored),
    )


def template_signals(templates, flow_order, cf, ie, dr=0.0):
    """Signals of templates without noise, out of phase by `cf` and `ie` per flow; droop is left out by default.

    Returns
    -------
    ndarray of shape (n_barcodes, n_template_flows), float32
        In bases (basecaller.md 7.2).
    """
    rows, flows = np.nonzero(templates.flowgrams)
    starts = np.searchsorted(rows, np.arange(len(templates) + 1))
    rates = np.tile([cf, ie, dr], (len(templates), 1))
    limited = flow_order.limited(templates.n_flows)
    return predict_signal(limited, starts, flows, templates.flowgrams[rows, flows], rates)[0].astype(np.float32)


def classifier_limits(least_distance, options):
    """Cutoff and separation that suit a set whose barcodes differ by at least `least_distance` flow errors.

    Returns
    -------
    cutoff, separation : float

    Notes
    -----
    Values out of range are replaced, as in the original (basecaller.md 7.2).
    """
    cutoff, separation = options.barcode_cutoff, options.barcode_separation
    if least_distance is None or not (options.barcode_check_limits and options.barcode_compute_dmin):
        return cutoff, separation
    if options.barcode_mode == _FLOW_ERRORS:
        most = float((least_distance - 1) // 2)
        return (cutoff if cutoff <= most and not options.barcode_auto_config else most), separation
    least, best, most = (share * least_distance for share in (0.25, 0.5, 0.75))
    fits = least <= separation <= most and not options.barcode_auto_config
    return (cutoff if cutoff >= 0.5 else 1.0), (separation if fits else best)


@dataclass(frozen=True, eq=False)
class BarcodeHits:
    """Barcodes of n reads.

    Attributes
    ----------
    barcode : ndarray of shape (n,), int32
        Number of the barcode, -1 for none.
    distance : ndarray of shape (n,), float32
        Distance to it.
    errors : ndarray of shape (n,), int32
        Flow errors of the read's bases in the barcode; 1 for those in `rescued`.
    ambiguous, adapter_failed : ndarray of shape (n,), bool
        Reads with a barcode that they must not keep: another one is as near though the bases fit
        (`ambiguous`), or the barcode adapter does not follow.
    rescued : ndarray of shape (n,), bool
        Reads that got their barcode because one base less, more or other makes it fit.
    end : ndarray of shape (n,), int64
        Bases of each read that belong to key, barcode and barcode adapter; 0 without a barcode.
    """

    barcode: np.ndarray
    distance: np.ndarray
    errors: np.ndarray
    ambiguous: np.ndarray
    adapter_failed: np.ndarray
    rescued: np.ndarray
    end: np.ndarray

    @property
    def kept(self):
        """Reads that keep their barcode."""
        return (self.barcode >= 0) & ~self.ambiguous & ~self.adapter_failed


def classify(called, templates, template_signals, options):
    """Find the barcode of each read.

    Parameters
    ----------
    called : CalledReads
        Of n reads; key first.
    templates : BarcodeTemplates
    template_signals : ndarray of shape (n_barcodes, n_template_flows), float32
        Signals of the templates with the chip's phasing.
    options : BarcodeOptions

    Returns
    -------
    BarcodeHits

    Raises
    ------
    InputError
        If the set has codes for several bases and the mode is not 0.

    Notes
    -----
    Source: basecaller.md 7.2; the rescue of reads with one wrong base is our own (`barcode_rescue`).
    """
    if templates.ambiguous and options.barcode_mode != EXACT:
        raise InputError("a barcode has codes for several bases; use --barcode-mode 0, which compares bases.")
    n_flows = min(templates.n_flows, called.n_flows)
    measured = np.maximum(called.signal[:, :n_flows], 0)
    if options.barcode_clip_measurements:
        measured = np.minimum(measured, templates.flowgrams.max())
    cutoff, separation = classifier_limits(templates.least_distance, options)
    ambiguous = np.zeros(len(called), bool)
    if options.barcode_mode == EXACT:
        barcode, distance, errors = _exact(called, templates)
    elif options.barcode_mode == _FLOW_ERRORS:
        barcode, distance, errors = _by_flow_errors(called, templates, n_flows, cutoff)
    else:
        distances = _distances(measured, templates, template_signals[:, :n_flows], options.barcode_mode)
        barcode, distance, ambiguous = _nearest(distances, cutoff, separation)
        errors = _hard_errors(called, barcode, templates, template_signals[:, :n_flows])
        # Another barcode is near. Reads whose bases fit without an error are remembered by their barcode.
        barcode = np.where(ambiguous & (errors > 0), -1, barcode).astype(np.int32)
    failed = np.zeros(len(called), bool)
    if options.barcode_mode != EXACT and options.barcode_adapter_check > 0:
        failed = _adapter_fails(measured, barcode, templates, template_signals, options.barcode_adapter_check)
    there = barcode >= 0
    found = BarcodeHits(
        barcode=barcode,
        distance=distance,
        errors=np.where(there, errors, 0),
        ambiguous=ambiguous & there,
        adapter_failed=failed & ~ambiguous & there,
        rescued=np.zeros(len(called), bool),
        end=_barcode_end(called, barcode, templates),
    )
    return rescue(called, found, templates) if options.barcode_rescue and options.barcode_mode != EXACT else found


def _barcode_end(called, barcode, templates):
    """All bases before the template's last flow, and in that flow no more than the template has there."""
    if templates.ambiguous:
        size = np.array([len(sequence) for sequence in templates.sequences])
        return np.where(barcode >= 0, size[barcode], 0)
    runs = run_lengths(called, templates.n_flows).astype(np.int64)
    last = templates.last_flow[barcode]
    before = np.where(np.arange(templates.n_flows) < last[:, None], runs, 0).sum(axis=1)
    in_last = np.minimum(runs[np.arange(len(called)), last], templates.flowgrams[barcode, last])
    return np.where(barcode >= 0, before + in_last, 0)


def run_lengths(called, n_flows, begin=None):
    """Bases called in each of the first `n_flows` flows, int64 of shape (n_reads, n_flows).

    `begin`, int64 of shape (n_reads,), leaves out the bases of each read before it.
    """
    early = called.base_flow < n_flows
    if begin is not None:
        place = np.arange(len(called.bases)) - np.repeat(called.base_start[:-1], called.n_bases)
        early &= place >= np.repeat(begin, called.n_bases)
    read = np.repeat(np.arange(len(called)), called.n_bases)[early]
    counts = np.bincount(read * n_flows + called.base_flow[early], minlength=len(called) * n_flows)
    return counts.reshape(len(called), n_flows)


def _exact(called, templates):
    barcode = np.full(len(called), -1, np.int32)
    # From the last to the first: the first match wins.
    for number in range(len(templates) - 1, -1, -1):
        barcode[starts_with(called, templates.sequences[number])] = number
    return barcode, np.zeros(len(called), np.float32), np.zeros(len(called), np.int64)


def _by_flow_errors(called, templates, n_flows, cutoff):
    runs = run_lengths(called, n_flows)
    errors = np.empty((len(called), len(templates)), np.int64)
    for number, within in enumerate(templates.in_distance[:, :n_flows]):
        off = np.abs(_surplus(runs, templates.flowgrams[number, :n_flows], templates.last_flow[number]))
        errors[:, number] = (off * within).sum(axis=1)
    best = errors.argmin(axis=1)
    least = errors.min(axis=1)
    unique = (errors == least[:, None]).sum(axis=1) == 1
    return np.where(unique & (least <= cutoff), best, -1).astype(np.int32), least.astype(np.float32), least


def _distances(measured, templates, signals, mode):
    distances = np.empty((len(measured), len(templates)), np.float32)
    for number, within in enumerate(templates.in_distance[:, : signals.shape[1]]):
        off = _surplus(measured, signals[number], templates.last_flow[number])[:, within]
        if mode in _RELATIVE:
            off = off / (signals[number, within] + np.float32(_SOFTENING))
        distances[:, number] = (off * off if mode in _SQUARED else np.abs(off)).sum(axis=1)
    return distances


def _surplus(measured, expected, last_flow):
    """Measured minus expected; in the template's last flow the insert may add to the run."""
    surplus = measured - expected
    if last_flow < surplus.shape[1]:
        surplus[:, last_flow] = np.minimum(surplus[:, last_flow], 0)
    return surplus


def _nearest(distances, cutoff, separation):
    limit = np.float32(cutoff + separation)
    best = distances.argmin(axis=1)
    least = distances.min(axis=1)
    rest = distances.copy()
    rest[np.arange(len(rest)), best] = np.inf
    lead = np.minimum(rest.min(axis=1, initial=np.inf), limit) - least
    inside = least < limit
    return np.where(inside, best, -1).astype(np.int32), least, inside & (lead < separation)


def _hard_errors(called, barcode, templates, signals):
    predicted = called.predicted[:, : signals.shape[1]]
    off = np.floor(np.abs(signals[barcode] - predicted) + 0.5)
    return (off * templates.in_distance[barcode][:, : signals.shape[1]]).sum(axis=1).astype(np.int64)


def _adapter_fails(measured, barcode, templates, signals, most_per_flow):
    n_flows = measured.shape[1]
    flows = np.arange(n_flows)
    start, last = templates.adapter_start[barcode][:, None], templates.last_flow[barcode][:, None]
    surplus = measured - signals[barcode][:, :n_flows]
    inner = np.where((flows >= start) & (flows < last), surplus, 0)
    at_last = np.where((flows == last) & (flows >= start), np.minimum(surplus, 0), 0)
    misfit = (inner * inner).sum(axis=1) + (at_last * at_last).sum(axis=1)
    n_adapter_flows = np.maximum(last - start + 1, 0)[:, 0]
    return misfit > most_per_flow * n_adapter_flows
