"""Plots of accuracy, where the true sequences are known."""

import numpy as np

from ionanalysis.report.style import BLUE, GREEN, INK, ORANGE, RED, as_plot, drawing

KINDS = (("substitution", GREEN), ("insertion", ORANGE), ("deletion", BLUE))


def errors_by_position(by_position):
    """Errors per 100 bases by position in the read; `by_position` as in `Accuracy`."""
    depth = by_position.sum(axis=1)
    covered = int((depth >= max(1, 0.05 * depth.max())).argmin()) or len(depth)
    width = -(-covered // 40)
    starts = np.arange(0, covered - covered % width or covered, width)
    sums = np.add.reduceat(by_position[:covered], starts, axis=0)
    rates = 100 * sums[:, 1:] / sums.sum(axis=1, keepdims=True)
    with drawing(6.2, 3.4) as (figure, axes):
        middle = starts + width / 2
        axes.stackplot(
            middle, rates.T, labels=[name for name, _ in KINDS], colors=[colour for _, colour in KINDS], alpha=0.9
        )
        axes.set(
            xlabel="position in the read (bases)", ylabel="errors per 100 bases", xlim=(0, covered), ylim=(0, None)
        )
        axes.legend(loc="upper left")
        total = rates.sum(axis=1)
        alt = f"Errors by position: {total[0]:.2f} per 100 bases at the start, {total[-1]:.2f} at the end."
        caption = f"Mean of {width} positions each." if width > 1 else ""
        return as_plot(figure, alt, caption)


def predicted_against_observed(by_quality):
    """Observed quality of the bases of each predicted quality, with 95 % intervals; the line is perfect prediction."""
    n_bases, n_wrong = by_quality.T
    shown = np.flatnonzero(n_bases >= 50)
    lower, upper = wilson_interval(n_wrong[shown], n_bases[shown])
    with drawing(6.2, 4.0) as (figure, axes):
        top = max(10, int(shown.max()) + 5) if len(shown) else 45
        axes.plot([0, top], [0, top], color=INK, linewidth=1, label="prediction holds")
        seen = n_wrong[shown] > 0
        observed = -10 * np.log10(np.where(seen, n_wrong[shown], 1) / n_bases[shown])
        axes.vlines(shown, -10 * np.log10(upper), -10 * np.log10(np.maximum(lower, 1e-7)), color=BLUE, alpha=0.5)
        sizes = 12 + 90 * n_bases[shown] / max(n_bases.max(), 1)
        axes.scatter(shown[seen], observed[seen], s=sizes[seen], color=BLUE, label="observed", zorder=3)
        axes.scatter(
            shown[~seen],
            -10 * np.log10(upper[~seen]),
            marker="^",
            color=ORANGE,
            label="no error seen: at least",
            zorder=3,
        )
        axes.set(
            xlabel="predicted quality (Phred)", ylabel="observed quality (Phred)", xlim=(0, top), ylim=(0, top + 10)
        )
        # Points lie along the line, bars go up from them.
        axes.legend(loc="lower right")
        worst = np.abs(observed[seen] - shown[seen]).max() if seen.any() else float("nan")
        return as_plot(
            figure,
            f"Observed against predicted quality; the largest difference is {worst:.1f}.",
            "Area of a point: how many bases have that prediction. Bars: 95 % intervals. "
            "A deletion counts against the base behind it.",
        )


def homopolymer_errors(confusion):
    """Share of miscalled runs by true length, split into too long and too short."""
    lengths = np.arange(1, len(confusion))
    runs = confusion[1:].sum(axis=1)
    shown = lengths[runs >= 10]
    if not len(shown):
        shown = lengths[runs > 0]
    short = np.array([confusion[n, :n].sum() for n in shown])
    long = np.array([confusion[n, n + 1 :].sum() for n in shown])
    with drawing(6.2, 3.4) as (figure, axes):
        total = runs[shown - 1]
        axes.bar(shown - 0.2, 100 * short / total, 0.38, color=BLUE, label="called too short")
        axes.bar(shown + 0.2, 100 * long / total, 0.38, color=ORANGE, label="called too long")
        axes.set(xlabel="true length (bases), and how many runs have it", ylabel="homopolymers called wrong (%)")
        axes.set_xticks(shown, [f"{n}\n{_short(count)}" for n, count in zip(shown, total, strict=True)])
        axes.margins(y=0.12)
        axes.legend(loc="upper left")
        told = ", ".join(
            f"{n}: {100 * (s + g) / t:.2f} %" for n, s, g, t in zip(shown, short, long, total, strict=True)
        )
        return as_plot(figure, f"Homopolymers called wrong by true length: {told}.")


def accurate_lengths(counts):
    """How many reads are accurate at least so far, at AQ17, AQ20 and perfect."""
    with drawing(6.2, 3.4) as (figure, axes):
        for (aq, values), colour in zip(counts.items(), (GREEN, BLUE, RED), strict=True):
            name = "perfect (AQ47)" if aq == 47 else f"AQ{aq}, errors up to {100 * 10 ** (-aq / 10):.3g} %"
            reaching = 100 * values[::-1].cumsum()[::-1] / max(values.sum(), 1)
            axes.plot(reaching, color=colour, label=name)
        axes.set(xlabel="accurate length (bases)", ylabel="reads at least so long (%)", ylim=(0, 103), xlim=(0, None))
        axes.legend()
        return as_plot(figure, "Share of reads by the length to which they are accurate, at three levels.")


def _short(count):
    """A count in at most five letters, as they stand side by side.

    >>> [_short(n) for n in (43, 6362, 94_400, 3_210_000)]
    ['43', '6.4k', '94k', '3.2M']
    """
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}" if count < 10 * size else f"{count / size:.0f}{unit}"
    return f"{count}"


def wilson_interval(n_wrong, n):
    """95 % interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22:209), two float64 arrays."""
    z2 = 1.959964**2
    share = n_wrong / n
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return middle - half, middle + half
