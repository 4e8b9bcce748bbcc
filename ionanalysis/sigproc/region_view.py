"""A look into one region: the reference traces of its empties, and traces, backgrounds and fits of single wells."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, NoLiveBeadsError
from ionanalysis.io.mask import WellFlag
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions
from ionanalysis.run import Run
from ionanalysis.sigproc.beadfind import PINNED_HIGH, PINNED_LOW, find_beads, read_image, region_tiles
from ionanalysis.sigproc.empties import blur_matrix, sharpener
from ionanalysis.sigproc.fit import SignalFitter
from ionanalysis.sigproc.fit_values import at_frames
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.region_model import RegionModel
from ionanalysis.sigproc.signals import Signals


@dataclass(frozen=True, eq=False, repr=False)
class WellTraces:
    """All flows of one well. Traces are float64 of shape (n_flows, n_frames), counts above the first frame.

    Attributes
    ----------
    row, col : int
        In the run.
    kind : WellFlag
    trace : ndarray
        As measured.
    background : ndarray
        What the well would show in a flow without a base.
    fit : ndarray
        Background, an offset, and as much of what a base adds as fits best: `height`. NaN in late frames, which are
        not looked at.
    height : ndarray of shape (n_flows,), float64
        1 is one base in a typical well of the region. What `signal` is made of, before neighbours, noise that wells
        share and the well's size are taken into account, and homopolymers put on a straight scale.
    signal : ndarray of shape (n_flows,), float32
        Key-normalised; 0 in wells that are not live.
    facts : dict of str to float
        What was fitted to the well: ``t0_s``, ``time_constant_s``, ``gain``, ``copies``, ``residual_counts``.
    """

    row: int
    col: int
    kind: WellFlag
    trace: np.ndarray
    background: np.ndarray
    fit: np.ndarray
    height: np.ndarray
    signal: np.ndarray
    facts: dict

    @property
    def residual_rms(self):
        """Root mean square of trace less fit in each flow, counts, (n_flows,)."""
        return np.sqrt(np.nanmean((self.trace - self.fit) ** 2, axis=1))


@dataclass(frozen=True, eq=False, repr=False)
class RegionView:
    """One region of a run, fitted on its own.

    Attributes
    ----------
    run : Run
    block : Block
        The region, in rows and columns of the run.
    clock : FrameClock
    signals : Signals
        Of the region's wells.
    empties : ndarray of shape (n_flows, n_frames), float64
        Mean trace of the region's reference wells in each flow, counts above the first frame.
    model : RegionModel
        What the fit learned of the region.
    """

    run: Run
    block: Block
    clock: FrameClock
    signals: Signals
    empties: np.ndarray
    model: RegionModel

    def well(self, row, col):
        """Traces of a well, as `WellTraces`; row and column are those of the run."""
        place = row - self.block.row, col - self.block.col
        if not (0 <= place[0] < self.block.n_rows and 0 <= place[1] < self.block.n_cols):
            raise InputError(f"well {row}:{col} is not in the region {self.block}.")
        beads = self.signals.beads
        tau, delay, gain = (float(values[place]) for values in (beads.time_constant_s, beads.delay_s, beads.gain))
        rows, cols = slice(row, row + 1), slice(col, col + 1)
        frames = np.array(
            [_frames(self.run, flow, beads.conditioning, rows, cols)[:, 0] for flow in range(self.run.n_flows)], float
        )
        trace = frames - frames[:, :1]
        bulk = self.clock.buffered(self.empties.T, tau, float(beads.tau_empty_s[0]), [delay])[:, 0].T
        dark, released = self._shapes(tau, delay)
        bases = self.run.flow_order.bases
        background = gain * bulk + dark[bases]
        signal = self.signals.amplitude[place]
        weight = beads.frame_weight[0].astype(float)
        height, added = _fitted(trace - background, released[bases], weight)
        fit = np.where(weight > 0, background + added, np.nan)
        facts = {
            "t0_s": float(beads.well_t0_s[place]),
            "time_constant_s": tau,
            "gain": gain,
            "copies": float(self.signals.copies[place]),
            "residual_counts": float(beads.residual[place]),
        }
        kind = WellFlag(int(self.signals.mask.flags[place]))
        return WellTraces(row, col, kind, trace, background, fit, height, signal, facts)

    def _shapes(self, tau_s, delay_s):
        """Dark trace and trace of one base of each nucleotide, (4, n_frames), at a time constant and delay."""
        dark, released = [], []
        beyond = np.log(tau_s) - self.model.mean_log_tau
        for flow in self.model.flows:
            at_mean, slope, hydrogen = at_frames([*flow.dark, flow.hydrogen], flow.clock, self.clock)
            dark.append(at_mean + beyond * slope)
            released.append(self.clock.released(hydrogen, tau_s, [delay_s])[:, 0])
        return np.array(dark), np.array(released)


def view_region(run, row, col, *, beadfind=None, options=None, n_threads=None, progress=None):
    """Fit the region of a well on its own, to look at it closely.

    The region is one of those that the whole chip is cut into. Signals are those of the whole chip, but for what is
    learned across regions: cross-talk, and noise of rows and comparators.

    Parameters
    ----------
    run : Run
        Not cut into blocks; `Run.open_block` gives such a run of a block.
    row, col : int
        A well.
    beadfind : BeadfindOptions, optional
    options : SignalOptions, optional
    n_threads : int, optional
    progress : callable, optional
        Called with (done, total) flows.

    Returns
    -------
    RegionView

    Raises
    ------
    InputError
        If the well is not on the chip, or images are missing.
    NoLiveBeadsError
        If too few wells of the region are live to learn from.
    """
    beadfind = beadfind or BeadfindOptions()
    if not (0 <= row < run.n_rows and 0 <= col < run.n_cols):
        raise InputError(f"well {row}:{col} is not on the chip, which has {run.n_rows} rows and {run.n_cols} columns.")
    tiles = region_tiles(Block(0, 0, run.n_rows, run.n_cols), beadfind.region_size)
    (block,) = (t for t in tiles if t.row <= row < t.row + t.n_rows and t.col <= col < t.col + t.n_cols)
    # One region, however the rectangle would be cut on its own.
    alone = replace(beadfind, region_size=max(block.n_rows, block.n_cols))
    beads = find_beads(run, block, alone, n_threads=n_threads)
    amplitude = np.zeros((block.n_rows, block.n_cols, run.n_flows), np.float32)
    with SignalFitter(run, beads, options or SignalOptions(), n_threads) as fitter:
        fitter.learn()
        for flow, values in fitter.flows():
            amplitude[:, :, flow] = values
            if progress:
                progress(flow + 1, run.n_flows)
        signals, (model,), clock = fitter.signals(amplitude), fitter.models, fitter.clock
    if model is None:
        raise NoLiveBeadsError(f"{run.path}: the region {block} has too few live or empty wells to learn from.")
    chosen = beads.mask.matches(WellFlag.REFERENCE).ravel()
    sharpen = sharpener(blur_matrix(beads.delay_s.ravel()[chosen], clock))
    empties = np.array(
        [
            _empty_trace(_frames(run, flow, beads.conditioning, *block.slices), chosen, sharpen)
            for flow in range(run.n_flows)
        ]
    )
    return RegionView(run, block, clock, signals, empties, model)


def _fitted(traces, templates, weight):
    """Heights of templates that fit traces best beside an offset, weighted; and what they and the offsets make."""
    share = weight / weight.sum()
    middle, offset = ((values @ share)[:, None] for values in (templates, traces))
    height = ((traces - offset) * (templates - middle)) @ share / ((templates - middle) ** 2 @ share)
    return height, offset + height[:, None] * (templates - middle)


def _empty_trace(frames, chosen, sharpen):
    """Mean trace of chosen wells in a flow, counts above the first frame; 0 where all of them are pinned."""
    seen = chosen & ~((frames <= PINNED_LOW) | (frames >= PINNED_HIGH)).any(axis=0)
    if not seen.any():
        return np.zeros(len(frames))
    return sharpen @ (frames - frames[:1])[:, seen].mean(axis=1, dtype=np.float64)


def _frames(run, flow, conditioning, rows, cols):
    """Corrected frames of a window, wells side by side: int16 of shape (n_frames, n_wells)."""
    image = read_image(run, flow, conditioning, rows, cols)
    return image.frames.reshape(image.n_frames, -1)
