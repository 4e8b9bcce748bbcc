"""Text files of calibration models that the original wrote before `Calibration.json` (basecaller.md 10.5, end)."""

from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import NUCS
from ionanalysis.io.calibration import LINEAR_MAGIC, HistogramCalibration, linear_calibration

_SIZES = ("flowStart", "flowEnd", "flowSpan", "xMin", "xMax", "xSpan", "yMin", "yMax", "ySpan")
_PLACE = ("flowStart", "flowEnd", "xMin", "xMax", "yMin", "yMax")
_BINS = 100
_ROWS_PER_LENGTH = _BINS - 1
_LONGEST = 23


def read_linear_text(path):
    """Linear model of a text file (option ``--model-file``).

    Returns
    -------
    LinearCalibration

    Raises
    ------
    InputError
        If the file cannot be read or a line is not as it must be.
    """
    sizes, longest, lines = _opened(path)
    cells = []
    for number, words in lines:
        _expect(len(words) == 10, path, number, "a nucleotide, six limits, a length, gain and offset")
        base, *limits, length, gain, offset = words
        _expect(base in NUCS, path, number, f"a nucleotide {', '.join(NUCS)} first")
        place = dict(zip(_PLACE, _numbers(limits, path, number, int), strict=True))
        (whole,), factors = _numbers([length], path, number, int), _numbers([gain, offset], path, number, float)
        cells.append({"flowBase": ord(base), **place, "refHP": whole, "paramA": factors[0], "paramB": factors[1]})
    least = min((cell["refHP"] for cell in cells), default=0)
    block = sizes | {"min_hp_calibrated": least, "max_hp_calibrated": longest, "modelParameters": cells}
    name = f"NORID.block_X{sizes['xMin']}_Y{sizes['yMin']}"
    return linear_calibration({"MagicCode": LINEAR_MAGIC, "MasterKey": name, name: block}, f"{path}")


def read_histogram_text(path):
    """Histogram model of a text file (option ``--calibration-file``).

    For each region, window, nucleotide and length the file lists what length a signal is called as that lies
    0.49 below to 0.49 above it. The boundaries are where that changes.

    Returns
    -------
    HistogramCalibration

    Raises
    ------
    InputError
        If the file cannot be read or a line is not as it must be.
    """
    sizes, longest, lines = _opened(path)
    _expect(0 < longest <= _LONGEST + 1, path, 2, f"a greatest length of 1 to {_LONGEST}")
    for name in ("flowSpan", "xSpan", "ySpan"):
        _expect(sizes[name] > 0, path, 2, f"a {name} above 0")
    spans = [(sizes[f"{axis}Min"], sizes[f"{axis}Max"] + 1, sizes[f"{axis}Span"]) for axis in "yx"]
    spans.append((sizes["flowStart"], sizes["flowEnd"] + 1, sizes["flowSpan"]))
    n_cells = [-(-(stop - first) // span) for first, stop, span in spans]
    _expect(all(0 < n <= 10_000 for n in n_cells) and np.prod(n_cells) < 1_000_000, path, 2, "sizes that fit a chip")
    boundaries = np.zeros((*n_cells, len(NUCS), longest + 2), np.int16)
    for start in range(0, len(lines), _ROWS_PER_LENGTH + 1):
        number, words = lines[start]
        rows = lines[start + 1 : start + 1 + _ROWS_PER_LENGTH]
        _expect(len(words) >= 8 and words[0] in NUCS, path, number, "a nucleotide, six limits and a length")
        _expect(len(rows) == _ROWS_PER_LENGTH, path, number, f"{_ROWS_PER_LENGTH} lines behind this one")
        first_flow, _, first_col, _, first_row, _, length = _numbers(words[1:8], path, number, int)
        at = tuple(
            (p - first) // span for p, (first, _, span) in zip((first_row, first_col, first_flow), spans, strict=True)
        )
        known = all(0 <= i < n for i, n in zip(at, n_cells, strict=True)) and 0 <= length < longest
        _expect(known, path, number, "a region and length that the second line knows")
        called = np.array([_called(words, path, number) for number, words in rows])
        own = boundaries[at][NUCS.index(words[0])]
        lower, raised = int((called < length).sum()), int((called > length).sum())
        if lower:
            own[length] = lower
        if raised:
            own[length + 1] = -raised
    boundaries[..., 0] = boundaries[..., -2:] = 0
    return HistogramCalibration(
        offset=(sizes["yMin"], sizes["xMin"]),
        size=(sizes["yMax"] - sizes["yMin"] + 1, sizes["xMax"] - sizes["xMin"] + 1),
        n_bins=_BINS,
        window=sizes["flowSpan"],
        boundaries=boundaries,
    )


def _opened(path):
    """Sizes of the second line, greatest length (exclusive), and the words of the further lines with their numbers."""
    try:
        text = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a calibration model ({error}).") from error
    _expect(len(text) > 2, path, len(text), "a comment, a line of sizes and lines of the model")
    words = text[1].split()
    _expect(len(words) == 10, path, 2, f"the ten numbers {' '.join(_SIZES)} maxHP")
    *sizes, longest = _numbers(words, path, 2, int)
    lines = [(number, line.split()) for number, line in enumerate(text[2:], 3) if line.strip()]
    _expect(len(lines) <= 8_000_000, path, 2, "fewer lines")
    return dict(zip(_SIZES, sizes, strict=True)), longest, lines


def _called(words, path, number):
    _expect(len(words) == 3, path, number, "a perturbation, a length and a change")
    return _numbers(words[1:2], path, number, int)[0]


def _numbers(words, path, number, kind):
    try:
        return [kind(word) for word in words]
    except ValueError:
        raise _error(path, number, f"numbers, not {' '.join(words)[:60]!r}") from None


def _expect(holds, path, number, what):
    if not holds:
        raise _error(path, number, what)


def _error(path, number, what):
    return InputError(
        f"{path}, line {number}: expected {what}; give a calibration model of the original, or make it anew."
    )
