"""Histogram calibration: boundaries between called lengths moved after the solve (basecaller.md 10.4, `PolishRead`)."""

import numpy as np

from ionanalysis._core import phase as phase_kernels
from ionanalysis.basecaller.solve import ReadResponse, linear_response


def polish_runs(solved, polished, flow_order, phase_values, boundaries, n_bins, options, response=None):
    """Move signals and called lengths of solved reads as a histogram model says.

    Parameters
    ----------
    solved : dict of ndarray
        As `solve_runs` gives it; changed in place.
    polished : ndarray of shape (n,), bool
        Reads that the model is for.
    flow_order : FlowOrder
    phase_values : ndarray of shape (n, 3), float64
        CF, IE, DR of each read.
    boundaries : ndarray of shape (n, n_flows, n_lengths + 2), int16
        Of each read and flow : bins by which the lower boundary of a length is moved.
    n_bins : int
        Bins from one length to the next.
    options : CalibrationOptions
    response : ReadResponse or ndarray, optional
        With which the reads were solved.

    Notes
    -----
    A boundary changes calls on the side that it moves into. The original changes every call whose signal lies beyond a
    boundary, moved or not: where the solver has called against one flow's signal, it had the other flows' for it, and
    is right more often than not.

    The fraction in phase is multiplied by what one base more, or less, gives in the linear model, as the original
    does but for strands out of phase. A run whose length is changed against the solver's odds has no odds in its favour
    left; its qualities say so.
    """
    n, n_flows = solved["signal"].shape
    if not n or not n_flows:
        return
    lengths = run_lengths(solved)
    signal, predicted, inphase = (solved[name].astype(np.float64) for name in ("signal", "predicted", "inphase"))
    n_lengths = boundaries.shape[2] - 2
    held = np.minimum(lengths, n_lengths)
    step = inphase * local_step(lengths, signal > predicted, sizes_of(response, flow_order, n))
    place = (signal - predicted) / np.maximum(step, 1e-6)
    bins = np.trunc(np.clip((0.5 + place) * n_bins, -1e6, 1e6)).astype(np.int64)
    tap = np.append(False, flow_order.bases[1:] == flow_order.bases[:-1])
    applied = (lengths < n_lengths) & (inphase >= options.histogram_min_inphase) & ~tap & polished[:, None]
    former = former_flows(flow_order)
    # No run can be between a run and the next flow of its letter: such flows are left as they are.
    applied &= (lengths > 0) | (options.histogram_zero_mers & (former[None] < _last_taken(lengths)))
    lower, upper = (_at(boundaries, held + k) for k in (0, 1))
    shorter, longer = (lower > 0) & (bins < lower), (upper < 0) & (bins >= n_bins + upper)
    change = np.where(shorter, -1, np.where(longer, 1, 0)) * applied
    change[lengths == 0] = np.maximum(change[lengths == 0], 0)
    change = _possible(lengths, change, former, options.histogram_zero_mers)
    if options.histogram_modify_measured:
        new = np.minimum(lengths + change, n_lengths)
        moved = _stretched(
            bins, place, step, signal, predicted, change, _at(boundaries, new), _at(boundaries, new + 1), n_bins
        )
        solved["signal"][...] = np.where(applied, moved, signal)
    _rebuild(solved, lengths + change, np.flatnonzero(change.any(axis=1)), flow_order, phase_values, response)


def run_lengths(solved):
    """Called length in each flow, int64 (n, n_flows)."""
    lengths = np.zeros(solved["signal"].shape, np.int64)
    held = np.arange(lengths.shape[1]) < solved["n_runs"][:, None]
    lengths[np.nonzero(held)[0], solved["run_flow"][held]] = solved["run_length"][held]
    return lengths


def former_flows(flow_order):
    """Former flow of the same nucleotide, -2 where there is none, int64 (n_flows,)."""
    last = np.full(4, -2)
    former = np.empty(len(flow_order), np.int64)
    for flow, nuc in enumerate(flow_order.bases):
        former[flow], last[nuc] = last[nuc], flow
    return former


def _at(boundaries, length):
    return np.take_along_axis(boundaries, length[..., None], axis=2)[..., 0].astype(np.int64)


def sizes_of(response, flow_order, n):
    """Signal of runs by read, flow and length, as a function of the last: indexing (n, n_flows) lengths."""
    if not isinstance(response, ReadResponse):
        response = ReadResponse.same(linear_response() if response is None else response, flow_order, n)
    return lambda lengths: response.sizes[response.model[:, None], response.table[None], lengths]


def local_step(lengths, above, sizes):
    """Signal between the called length and the next one on the side of the measurement."""
    other = np.where(above, lengths + 1, np.maximum(lengths - 1, 0))
    # A 0-mer below its prediction has no length below: its step is that to 1.
    other = np.where(other == lengths, lengths + 1, other)
    return np.abs(sizes(other) - sizes(lengths))


def _possible(lengths, change, former, zero_mers):
    """Changes that leave a sequence, in the order of flows: earlier ones rule over what comes behind."""
    change = change.copy()
    for read in np.flatnonzero(change.any(axis=1)):
        taken = lengths[read] > 0
        for flow in np.flatnonzero(change[read]):
            before = _last(taken, flow)
            if lengths[read, flow] == 0:
                allowed = former[flow] < before
            elif change[read, flow] < 0 and lengths[read, flow] == 1:
                after = flow + 1 + np.argmax(taken[flow + 1 :]) if taken[flow + 1 :].any() else -1
                allowed = zero_mers and (after < 0 or former[after] < before)
            else:
                allowed = True
            if not allowed:
                change[read, flow] = 0
            taken[flow] = lengths[read, flow] + change[read, flow] > 0
    return change


def _last(taken, flow):
    found = np.flatnonzero(taken[:flow])
    return int(found[-1]) if len(found) else -1


def _last_taken(lengths):
    """Last flow before each with a run, -1 where there is none."""
    flows = np.where(lengths > 0, np.arange(lengths.shape[1]), -1)
    last = np.maximum.accumulate(flows, axis=1)
    return np.concatenate([np.full((len(last), 1), -1), last[:, :-1]], axis=1)


def _stretched(bins, place, step, signal, predicted, change, lower, upper, n_bins):
    """Signals stretched so that the moved boundaries lie half a base from the prediction."""
    beyond, width = bins - lower - n_bins * change, n_bins - lower + upper
    inside = signal + step * ((width - n_bins) * (change - place - 0.5) - lower) / width
    end = np.where(beyond < 0, -0.499, 0.499)
    # A call against its signal keeps it.
    outside = np.where(change == 0, signal, predicted + (change + end) * step)
    return np.where((beyond < 0) | (beyond >= width), outside, inside)


def _rebuild(solved, lengths, reads, flow_order, phase_values, response):
    """Runs, odds and predictions of reads whose lengths have changed."""
    if not len(reads):
        return
    sizes = sizes_of(response, flow_order, len(lengths))(lengths)
    starts, flows, units = [0], [], []
    for read in reads:
        n_old = solved["n_runs"][read]
        old = {int(flow): k for k, flow in enumerate(solved["run_flow"][read, :n_old])}
        losses, old_length = solved["losses"][read].copy(), solved["run_length"][read].copy()
        taken = np.flatnonzero(lengths[read])
        solved["n_runs"][read] = len(taken)
        solved["run_flow"][read, : len(taken)] = taken
        solved["run_length"][read, : len(taken)] = lengths[read, taken]
        for k, flow in enumerate(taken.tolist()):
            same = flow in old and old_length[old[flow]] == lengths[read, flow]
            # Nothing speaks for a length that the solver had not chosen.
            solved["losses"][read, k] = losses[old[flow]] if same else (0.0, 0.0, np.inf)
        starts.append(starts[-1] + len(taken))
        flows.append(taken)
        units.append(sizes[read, taken])
    predicted, inphase = np.empty((len(reads), len(flow_order))), np.empty((len(reads), len(flow_order)), np.float32)
    phase_kernels.predict_signal(
        flow_order.bases,
        np.array(starts, np.int64),
        np.concatenate(flows).astype(np.int32),
        np.concatenate(units).astype(np.float32),
        np.ascontiguousarray(phase_values[reads], np.float64),
        1e-6,
        predicted,
        inphase,
    )
    shift = response.offset[response.model[reads]] if isinstance(response, ReadResponse) else 0.0
    solved["predicted"][reads] = predicted + shift
    solved["inphase"][reads] = inphase
