"""How well beads are found and signals measured on synthetic raw chips: ``python -m benchmarks.signals``.

Every chip is made by the simulator, analysed from its images with default options and compared with the truth. Root
mean squares are in 1-mers after one gain per library well; the same figure of a plain window integral stands beside
them. Homopolymers are as long as chance makes them: one of 15 bases, where signals saturate, would rule the gain of its
well. The last table switches on one defect after the other on the plain chip.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.machine import add_output_dir, save_figures, yardstick_seconds
from benchmarks.tables import aligned
from ionanalysis.io.mask import WellFlag
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals
from ionanalysis.simulate import simulate
from ionanalysis.simulate.frames import frame_schedule
from ionanalysis.simulate.physics import STRANDS_PER_COPY, buffering, pulse_of, released_hydrogen, sensed

SEED = 70_001

DIFFICULT = (
    "background",
    "background_variation",
    "flow_jitter",
    "nucleotide_kinetics",
    "timing_spread",
    "buffering",
    "buffer_drift",
    "cross_talk",
    "row_noise",
    "offset_drift",
    "signal_decay",
)
"""Defects of the difficult chip: what real chips have and a plain generator lacks."""

_COMMON = {"long_homopolymers": 0.0}

CHIPS = {
    "plain": {"difficulty": "plain"},
    "quiet": {"difficulty": "plain", "white_noise": 1.2},
    "default": {},
    "difficult": {"difficulty": "plain", "defects": DIFFICULT},
}

ONE_BY_ONE = (
    "pinned_pixels",
    "gain_spread",
    "row_noise",
    "column_noise",
    "comparator_noise",
    "cross_talk",
    "variable_frame_times",
    *(name for name in DIFFICULT if name not in ("row_noise", "cross_talk")),
    "buffer_gradient",
    "slow_tail",
    "reagent_depletion",
    "noisy_wells",
    "half_loaded_beads",
    "polyclonal_beads",
    "bead_loss",
    "few_empties",
    "clustered_empties",
    "bubbles",
    "noise_growth",
    "gain_drift",
    "homopolymer_compression",
)
"""Defects that are made bad one at a time on the plain chip."""

_WINDOW_S = (0.0, 2.0)
"""Window of the plain integral, seconds after the onset of the bulk."""


@dataclass(frozen=True)
class Figures:
    """What was measured on a chip.

    Attributes
    ----------
    rms, plain_rms : float
        Of signals, and of a plain window integral, in library wells found, 1-mers after one gain per well.
    floor : float
        Least root mean square that white noise of the pixels leaves 0-mers of an average well; see `noise_floor`.
    bias : tuple of float
        Mean error of 3-mers and 4-mers, 1-mers.
    library, duds, test_fragments : float
        Shares of wells that are found for what they are.
    lost_beads : float
        Share of beads called empty.
    false_library : int
        Empty wells called library.
    cpu_us : tuple of float
        CPU time of bead finding and of signal fitting, microseconds per live well and flow.
    """

    rms: float
    floor: float
    plain_rms: float
    bias: tuple[float, ...]
    library: float
    duds: float
    test_fragments: float
    lost_beads: float
    false_library: int
    cpu_us: tuple[float, float]


def main(argv=None):
    args = _parser().parse_args(argv)
    started = datetime.now(UTC)
    chips = CHIPS | {
        f"plain + {name}": {"difficulty": "plain", "defects": (name,)}
        for name in (() if args.chips_only else ONE_BY_ONE)
    }
    wanted = {name: options for name, options in chips.items() if args.only in name or name == "plain"}
    results = {}
    for name, options in wanted.items():
        results[name] = judged_chip((args.side, args.side), args.flows, args.seed, options)
        print(name, file=sys.stderr, flush=True)
    print(*table(results), sep="\n")
    content = {
        "yardstick_s": yardstick_seconds(args.yardstick),
        "side": args.side,
        "flows": args.flows,
        "seed": args.seed,
        "chips": {name: vars(figures) for name, figures in results.items()},
    }
    save_figures(args.output_dir, "signals-", started, content)
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.signals", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--side", type=int, default=96, help="side of the square chips, wells [96]")
    parser.add_argument("--flows", type=int, default=60, help="[60]")
    parser.add_argument("--seed", type=int, default=SEED, help=f"[{SEED}]")
    parser.add_argument("--only", default="", help="only chips whose name holds this, and the plain one")
    parser.add_argument("--chips-only", action="store_true", help="no table of single defects")
    parser.add_argument("--yardstick", type=Path, help="C program that prints the CPU seconds of a fixed piece of work")
    return parser


HEADER = (
    "chip", "rms", "noise floor", "against plain", "window integral", "3-mers", "4-mers", "library %", "duds %", "TF %",
    "beads called empty %", "empties called library", "find us", "fit us",
)  # fmt: skip


def table(results):
    """Lines of the table of all chips."""
    plain = results["plain"].rms
    rows = [
        (
            name,
            f"{one.rms:.4f}",
            f"{one.floor:.4f}",
            f"{100 * (one.rms / plain - 1):+.0f} %",
            f"{one.plain_rms:.3f}",
            *(f"{bias:+.3f}" for bias in one.bias),
            *(f"{100 * share:.2f}" for share in (one.library, one.duds, one.test_fragments, one.lost_beads)),
            str(one.false_library),
            *(f"{spent:.2f}" for spent in one.cpu_us),
        )
        for name, one in results.items()
    ]
    return aligned(HEADER, rows)


def judged_chip(size, flows, seed, options):
    """Simulate a chip, analyse it and compare: `Figures`."""
    with tempfile.TemporaryDirectory() as folder:
        chip = simulate(size=size, flows=flows, seed=seed, level="dat", path=folder, **_COMMON, **options)
        run = open_run(folder)
        start = time.process_time()
        beads = find_beads(run, n_threads=1)
        found = time.process_time()
        signals = fit_signals(run, mask=beads, n_threads=1)
        spent = found - start, time.process_time() - found
        return judge(run, chip, signals, spent)


def judge(run, chip, signals, spent_s):
    """`Figures` of measured signals against the truth of a simulated chip."""
    truth = chip.truth
    kind, mask = truth.kind, signals.mask
    library, is_empty = kind == "library", kind == "empty"
    bead = np.isin(kind, ("library", "dud", "tf"))
    chosen = library & mask.matches(WellFlag.LIB)
    expected = truth.phased_signal[chosen].astype(float)
    measured = signals.amplitude[chosen].astype(float)
    error = with_gain(measured, expected) - expected
    near = [np.abs(expected - length) < 0.25 for length in (3, 4)]
    integral = window_integral(run, signals)[chosen]
    n_live = max(mask.count(WellFlag.LIVE), 1) * run.n_flows
    return Figures(
        rms=_rms(error),
        floor=noise_floor(chip.options),
        plain_rms=_rms(with_gain(integral, expected) - expected),
        bias=tuple(float(error[part].mean()) if part.any() else float("nan") for part in near),
        library=_share(mask.matches(WellFlag.LIB), library),
        duds=_share(mask.matches(WellFlag.DUD), kind == "dud"),
        test_fragments=_share(mask.matches(WellFlag.TF), kind == "tf"),
        lost_beads=_share(mask.matches(WellFlag.EMPTY), bead),
        false_library=int((mask.matches(WellFlag.LIB) & is_empty).sum()),
        cpu_us=(1e6 * spent_s[0] / n_live, 1e6 * spent_s[1] / n_live),
    )


def noise_floor(options):
    """Least root mean square error of a 0-mer, in 1-mers, whatever measures it (Cramer 1946).

    White noise and rounding of all frames, an average well, a known 1-mer trace, an unknown level; nothing else.
    """
    nucleotide, sensor = options.nucleotide, options.sensor
    schedule = frame_schedule(options.frames)
    time_frames = np.arange(schedule.n_base_frames, dtype=float)
    ratio, tau = buffering(sensor, np.array(sensor.ratio), 0)
    weight = np.array(schedule.counts, float)
    variance = options.image_noise.white_noise**2 / weight + 1 / 12
    variances = []
    for nuc in range(4):
        hydrogen = released_hydrogen(
            [1.0],
            STRANDS_PER_COPY * options.kinds.copies,
            nucleotide.rate[nuc],
            nucleotide.diffusion[nuc],
            0.0,
            pulse_of(nucleotide, nuc),
            time_frames,
            sensitivity=nucleotide.sensitivity,
        )
        trace = sensed(hydrogen, np.zeros_like(hydrogen), [[float(ratio), float(tau), 1.0]], time_frames)
        base = schedule.average(trace)[0].astype(float)
        base -= (base / variance).sum() / (1 / variance).sum()
        variances.append(1 / (base**2 / variance).sum())
    return float(np.sqrt(np.mean(variances)))


def with_gain(measured, expected):
    """`measured`, (n_wells, n_flows), times the one factor per well that brings it nearest to `expected`."""
    power = np.maximum((measured**2).sum(axis=1), 1e-12)
    return measured * ((measured * expected).sum(axis=1) / power)[:, None]


def window_integral(run, signals):
    """The simplest measure: trace minus the mean of empties, summed over a window, minus the well's own key 0-mers.

    Returns
    -------
    ndarray of shape (n_rows, n_cols, n_flows), float32
    """
    empty = signals.mask.matches(WellFlag.REFERENCE)
    key = run.flow_order.key_flowgram(run.library_key)[:-1]
    sums = np.empty((*empty.shape, run.n_flows), np.float32)
    onset = float(np.nanmedian(signals.beads.t0_s))
    for flow in range(run.n_flows):
        image = run.flow(flow)
        end_s = image.end_times_ms / 1000
        inside = (end_s > onset + _WINDOW_S[0]) & (end_s <= onset + _WINDOW_S[1])
        rising = image.frames.astype(np.float32) - image.frames[0]
        rising -= rising[:, empty].mean(axis=1)[:, None, None]
        sums[:, :, flow] = (rising[inside] * image.frame_counts[inside][:, None, None]).sum(axis=0)
    return sums - sums[:, :, : len(key)][:, :, key == 0].mean(axis=2, keepdims=True)


def _rms(error):
    return float(np.sqrt((error**2).mean())) if error.size else float("nan")


def _share(found, true):
    return float(found[true].mean()) if true.any() else float("nan")


if __name__ == "__main__":
    sys.exit(main())
