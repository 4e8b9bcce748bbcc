"""How well and how fast bases are called on synthetic chips: ``python -m benchmarks.calling``.

Each chip has one thing that makes calling hard. The whole base caller runs on it in a process of its own, once with the
phase estimated and once with it given, and its BAM is compared with the truth. Chips are signals (level `wells`) with
seeds that no training chip has.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.calling_resources import called
from benchmarks.machine import add_output_dir, save_figures, yardstick_seconds
from benchmarks.tables import aligned
from ionanalysis.options.basecaller import TrainingOptions

SEED = 50_001
"""Training takes seeds from 90,001 and from 1,090,001 on; 40,000 chips would have to pass before they meet."""

_COMMON = {"noise_sd": 0.07, "noise_per_base": 0.04, "signal_decay": 0.0, "polyclonal": 0.0, "flows": 400}

CHIPS = {
    "400 flows": {},
    "260 flows, little noise": {"flows": 260, "noise_sd": 0.06, "noise_per_base": 0.03},
    "500 flows": {"flows": 500},
    "noise 0.10 + 0.05": {"noise_sd": 0.10, "noise_per_base": 0.05},
    "high phasing": {"cf": 0.010, "ie": 0.008, "dr": 0.002},
    "mixed beads": {"polyclonal": 0.25},
    "gain drift": {"signal_decay": 0.0015, "flow_gain_sd": 0.03},
    "offsets": {"offset_sd": 0.03, "nuc_offset_sd": 0.02},
    "spread of phase": {"phase_spread": 0.15, "phase_gradient": 0.3},
    "homopolymer compression": {"homopolymer_shortfall": (0.006, 0.045, 0.15, 0.46)},
    "gain drift per well": {"gain_trend_sd": 0.03, "gain_walk_sd": 0.03},
}
"""What each chip has that others have not."""

LEAST_EXPECTED_ERRORS = 100
"""Errors that the bases of a quality must be expected to have for the quality to be judged."""

_GAIN_FLOWS, _GAIN_TOLERANCE = 60, 0.15
_N_RESAMPLES = 2000


def main(argv=None):
    args = _parser().parse_args(argv)
    started = datetime.now(UTC)
    yardstick = yardstick_seconds(args.yardstick)
    chips = []
    for number, name in enumerate(CHIPS):
        if args.only in name:
            _say(name)
            chips.append(measure_chip(name, SEED + number, args.side, yardstick))
    if not chips:
        raise SystemExit(f"no chip's name holds {args.only!r}; there are {', '.join(CHIPS)}.")
    pooled = np.sum([chip["by_quality"] for chip in chips], axis=0)
    qualities = quality_bins(pooled)
    tables = (
        accuracy_table(chips),
        phase_table(chips),
        time_table(chips),
        quality_table(qualities),
        honesty_table(chips),
    )
    for table in tables:
        print(*table, "", sep="\n")
    figures = {"yardstick_s": yardstick, "side": args.side, "chips": chips, "qualities": qualities}
    save_figures(args.output_dir, "calling-", started, figures)
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="benchmarks.calling", description=__doc__)
    add_output_dir(parser)
    parser.add_argument("--side", type=int, default=60, help="rows and columns of each chip [60]")
    parser.add_argument("--only", default="", help="only chips whose name holds this")
    parser.add_argument("--yardstick", type=Path, help="C program that prints the CPU seconds of a fixed piece of work")
    return parser


def chip_options(name, seed, side):
    """Options of a chip of `CHIPS`, by name."""
    return {"size": (side, side), "seed": seed, "genome_length": 200_000, **_COMMON, **CHIPS[name]}


def measure_chip(name, seed, side, yardstick=None):
    """All figures of one chip, as plain values."""
    from ionanalysis.simulate import simulate

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        chip = simulate(path=folder / "run", **chip_options(name, seed, side))
        library = chip.truth.kind == "library"
        true = [float(getattr(chip.truth, rate)[library].mean()) for rate in ("cf", "ie", "dr")]
        estimated = called(folder / "run", folder / "estimated", 1)
        cpu, found = estimated["cpu_s"], estimated["phase"]
        cpu_given = called(folder / "run", folder / "given", 1, *true)["cpu_s"]
        scores = score_reads(folder / "estimated/rawlib.basecaller.bam", chip.truth)
    n_called = int(library.sum())
    return {
        "chip": name,
        "seed": seed,
        "options": dict(CHIPS[name]),
        **summary(scores, np.random.default_rng(seed)),
        "n_library": n_called,
        "phase": dict(zip(("cf", "ie", "dr"), found, strict=True)),
        "true_phase": dict(zip(("cf", "ie", "dr"), true, strict=True)),
        "cpu_ms_per_read": 1e3 * cpu / n_called,
        "cpu_ms_per_read_phase_given": 1e3 * cpu_given / n_called,
        "yardsticks_per_1000_reads": None if yardstick is None else 1e3 * cpu_given / n_called / yardstick,
        "by_quality": scores.by_quality.tolist(),
    }


@dataclass(frozen=True, eq=False)
class ReadScores:
    """Reads of a BAM file against the truth, one value per read.

    Attributes
    ----------
    errors, columns, bases : ndarray of shape (n_reads,), int64
        Wrong and all columns of the alignment to the insert; bases.
    wrong_gain : ndarray of shape (n_reads,), bool
        Reads whose first flows were scaled by another gain than the other reads', off by more than 15 %.
    n_lost, n_foreign : int
        Library wells without a read; reads of wells that hold no library bead, or a mixed one.
    by_quality : ndarray of shape (94, 3), int64
        Bases by predicted quality: all, wrong ones or ones too many, and right ones behind a missing base.
    """

    errors: np.ndarray
    columns: np.ndarray
    bases: np.ndarray
    wrong_gain: np.ndarray
    n_lost: int
    n_foreign: int
    by_quality: np.ndarray


def score_reads(bam, truth):
    """`ReadScores` of a BAM file of library reads of a simulated chip."""
    from ionanalysis.metrics.accuracy import calls_from_bam
    from ionanalysis.metrics.alignment import MATCH, align, base_errors

    calls = [call for call in calls_from_bam(bam) if call.bases]
    known = np.array([truth.kind[call.row, call.col] == "library" for call in calls], bool)
    wrong_gain = _wrong_gains(bam, truth)
    kept = [call for call, is_library in zip(calls, known, strict=True) if is_library]
    # A read may go on into the adapter: what is there is known, too.
    columns = align([call.bases for call in kept], [_behind_key(truth, call) for call in kept])
    n = len(kept)
    errors = base_errors(columns, 0.5)
    quality = np.minimum(np.concatenate([call.qualities for call in kept]), 93)
    by_quality = [np.bincount(quality[chosen], minlength=94) for chosen in (slice(None), errors == 1, errors == 0.5)]
    return ReadScores(
        errors=np.bincount(columns.read[columns.operation != MATCH], minlength=n),
        columns=np.bincount(columns.read, minlength=n),
        bases=np.array([len(call.bases) for call in kept]),
        wrong_gain=np.array([(call.row, call.col) in wrong_gain for call in kept], bool),
        n_lost=int((truth.kind == "library").sum()) - n,
        n_foreign=int((~known).sum()),
        by_quality=np.stack(by_quality, axis=1),
    )


def _behind_key(truth, call):
    return truth.sequence[call.row, call.col][len(call.key_sequence) :]


def _wrong_gains(bam, truth):
    """Wells, as (row, col), whose signals are scaled otherwise than those of most reads."""
    from ionanalysis.bam import flowgrams

    found = flowgrams(bam)
    measured = np.nan_to_num(found.signals[:, :_GAIN_FLOWS].astype(np.float64))
    expected = truth.phased_signal[found.row, found.col, :_GAIN_FLOWS].astype(np.float64)
    expected[found.n_flows[:, None] <= np.arange(measured.shape[1])] = 0
    gain = (measured * expected).sum(axis=1) / np.maximum((expected**2).sum(axis=1), 1e-9)
    off = np.abs(gain / np.median(gain) - 1) > _GAIN_TOLERANCE
    return set(zip(found.row[off].tolist(), found.col[off].tolist(), strict=True))


def summary(scores, random):
    """Figures of `ReadScores`: errors per 100 aligned bases with a 95 % interval, over all reads and without those
    of a wrong gain; the interval is that of `_N_RESAMPLES` bootstrap samples of reads."""
    right = ~scores.wrong_gain
    low, high = bootstrap(scores.errors, scores.columns, random)
    return {
        "n_reads": len(scores.errors),
        "n_bases": int(scores.bases.sum()),
        "n_lost": scores.n_lost,
        "n_foreign": scores.n_foreign,
        "n_wrong_gain": int(scores.wrong_gain.sum()),
        "error_rate": rate(scores.errors, scores.columns),
        "error_rate_low": low,
        "error_rate_high": high,
        "error_rate_right_gain": rate(scores.errors[right], scores.columns[right]),
        "perfect": float((scores.errors == 0).mean()) if len(scores.errors) else float("nan"),
    }


def rate(errors, columns):
    """Errors per 100 aligned bases."""
    return 100 * float(errors.sum()) / max(int(columns.sum()), 1)


def bootstrap(errors, columns, random, n_resamples=_N_RESAMPLES):
    """Least and greatest error rate of the middle 95 % of samples of the reads, drawn with replacement.

    >>> bootstrap(np.array([1, 1, 1]), np.array([100, 100, 100]), np.random.default_rng(1))
    (1.0, 1.0)
    """
    n = len(errors)
    if not n:
        return float("nan"), float("nan")
    rates = np.empty(n_resamples)
    for sample in range(n_resamples):
        chosen = random.integers(0, n, n)
        rates[sample] = rate(errors[chosen], columns[chosen])
    low, high = np.quantile(rates, (0.025, 0.975))
    return float(low), float(high)


def quality_bins(by_quality, least_expected=LEAST_EXPECTED_ERRORS, missing_base_share=None):
    """Predicted and observed quality where at least so many errors are expected.

    Parameters
    ----------
    by_quality : ndarray of shape (94, 3), int
        As in `ReadScores`.
    missing_base_share : float, optional
        How much of an error a missing base is for the base behind it; as in the training of qualities by default.

    Returns
    -------
    list of dict
        ``predicted``, ``observed`` (one error more counted than seen, so that it is finite), the same with missing
        bases counted in full (``with_missing``) and not at all (``without_missing``), ``n_bases``, ``n_wrong``,
        ``n_behind_missing``.

    Examples
    --------
    >>> counts = np.zeros((94, 3), int)
    >>> counts[20], counts[40] = (20_000, 149, 100), (20_000, 0, 0)
    >>> [(found["predicted"], round(found["observed"], 2)) for found in quality_bins(counts, missing_base_share=0.5)]
    [(20, 20.0)]
    """
    share = TrainingOptions().missing_base_share if missing_base_share is None else missing_base_share

    def observed(n_bases, n_wrong):
        return float(-10 * np.log10(min((n_wrong + 1) / n_bases, 1)))

    return [
        {
            "predicted": quality,
            "observed": observed(n_bases, n_wrong + share * n_behind),
            "with_missing": observed(n_bases, n_wrong + n_behind),
            "without_missing": observed(n_bases, n_wrong),
            "n_bases": int(n_bases),
            "n_wrong": int(n_wrong),
            "n_behind_missing": int(n_behind),
        }
        for quality, (n_bases, n_wrong, n_behind) in enumerate(np.asarray(by_quality))
        if n_bases * 10 ** (-quality / 10) >= least_expected
    ]


def accuracy_table(chips):
    header = (
        "chip",
        "errors/100",
        "95 %",
        "right gain",
        "perfect %",
        "reads",
        "lost",
        "wrong gain",
        "foreign",
        "bases",
    )
    rows = [
        (
            chip["chip"],
            f"{chip['error_rate']:.3f}",
            f"{chip['error_rate_low']:.3f}-{chip['error_rate_high']:.3f}",
            f"{chip['error_rate_right_gain']:.3f}",
            f"{100 * chip['perfect']:.1f}",
            str(chip["n_reads"]),
            str(chip["n_lost"]),
            str(chip["n_wrong_gain"]),
            str(chip["n_foreign"]),
            f"{chip['n_bases']:,}",
        )
        for chip in chips
    ]
    return aligned(header, rows)


def phase_table(chips):
    header = ("chip", "CF %", "true", "off by", "IE %", "true", "off by", "DR %", "true", "off by, %")
    rows = []
    for chip in chips:
        cells = [chip["chip"]]
        for name in ("cf", "ie", "dr"):
            found, true = chip["phase"][name], chip["true_phase"][name]
            off = f"{100 * (found / true - 1):+.0f}" if name == "dr" else f"{100 * (found - true):+.4f}"
            cells += [f"{100 * found:.4f}", f"{100 * true:.4f}", off]
        rows.append(tuple(cells))
    return aligned(header, rows)


def time_table(chips):
    header = ("chip", "CPU ms/read, all", "CPU ms/read, phase given", "yardsticks per 1000 reads, phase given")
    rows = [
        (
            chip["chip"],
            f"{chip['cpu_ms_per_read']:.2f}",
            f"{chip['cpu_ms_per_read_phase_given']:.2f}",
            "-" if chip["yardsticks_per_1000_reads"] is None else f"{chip['yardsticks_per_1000_reads']:.2f}",
        )
        for chip in chips
    ]
    return aligned(header, rows)


def quality_table(bins):
    rows = [
        (
            str(found["predicted"]),
            *(f"{found[name]:.2f}" for name in ("observed", "with_missing", "without_missing")),
            f"{found['observed'] - found['predicted']:+.2f}",
            *(f"{found[name]:,}" for name in ("n_bases", "n_wrong", "n_behind_missing")),
        )
        for found in bins
    ]
    header = ("quality", "observed", "missing in full", "not at all", "off by", "bases", "wrong", "behind missing")
    return aligned(header, rows)


def honesty_table(chips, best=35, worst=7):
    """How far observed are from predicted qualities, chip by chip."""
    rows = []
    for chip in chips:
        cells = [chip["chip"]]
        for name in ("observed", "with_missing", "without_missing"):
            off = [
                found[name] - found["predicted"]
                for found in quality_bins(chip["by_quality"])
                if worst <= found["predicted"] <= best
            ]
            cells += [f"{sum(abs(one) <= 1 for one in off)} of {len(off)}", f"{np.mean(off):+.2f}" if off else "-"]
        rows.append(tuple(cells))
    header = ("chip", "within 1", "mean off", "missing in full", "mean off", "not at all", "mean off")
    return aligned(header, rows)


def _say(what):
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
