"""Plain twins of ionanalysis._core.tags: slow, short, meant to be read."""

import re

import numpy as np

_REPAIRS = (2, 1, -1, -2)
"""Changes of a run tried in turn: two bases missing in the read, one missing, one too many, two too many."""

_LEAST_RUN = 3
"""Bases that a repaired run must have, those accepted before the block included."""


def read_tags(bases, begin, n_there, step, pattern, strict, heal):
    text = np.zeros((len(begin), len(pattern)), np.uint8)
    n_cut = np.full(len(begin), -1, np.int32)
    for read, (first, n) in enumerate(zip(begin, n_there, strict=True)):
        letters = bytes(bases[first + step * i] for i in range(n)).decode()
        tag, used = read_tag(pattern, letters, strict=strict, heal=heal)
        if tag is not None:
            text[read], n_cut[read] = np.frombuffer(tag.encode(), np.uint8), used
    return text, n_cut


def read_tag(pattern, bases, *, strict=False, heal=True):
    """Tag at the start of `bases` as it should read, or None, and the bases that it takes.

    >>> read_tag("NNNTAC", "CCCCCTACGG")
    ('CCCTAC', 8)
    """
    if len(bases) < len(pattern):
        return None, 0
    plain = bases[: len(pattern)]
    if fits(pattern, plain):
        return plain, len(pattern)
    if heal:
        tag, n_bases, whole = _healed(pattern, bases)
        if len(pattern) <= n_bases <= len(bases) and len(tag) == len(pattern) and (whole or not strict):
            return tag, n_bases
    return (None, 0) if strict else (plain, len(pattern))


def fits(pattern, bases):
    """Whether the fixed letters of `pattern` are in `bases`."""
    return len(pattern) == len(bases) and all(p in ("N", b) for p, b in zip(pattern, bases, strict=True))


def blocks(pattern):
    """The pattern in parts of N... and the fixed letters behind them."""
    return re.findall(r"N*[ACGT]+|N+$", pattern)


def _healed(pattern, bases):
    """Tag, bases used, and whether every block fits."""
    tag, at, whole = "", 0, True
    for block in blocks(pattern):
        text, used = _healed_block(block, bases, at)
        if text is None:
            text, used, whole = bases[at : at + len(block)], len(block), False
        tag, at = tag + text, at + used
    return tag, at, whole


def _healed_block(block, bases, at):
    raw = bases[at : at + len(block)]
    if fits(block, raw):
        return raw, len(block)
    runs = [(match.end() - match.start(), match.start()) for match in re.finditer(r"A+|C+|G+|T+", raw)]
    anchor = len(bases[:at]) - len(bases[:at].rstrip(raw[:1])) if raw else 0
    runs = [(length + (anchor if start == 0 else 0), start) for length, start in runs]
    longest = max(runs, default=(0, 0))
    if longest[0] < 2 or [length for length, _ in runs].count(longest[0]) > 1:
        return None, 0
    total, start = longest
    own = total - (anchor if start == 0 else 0)
    for change in _REPAIRS:
        if total + change < _LEAST_RUN or own + change < 0:
            continue
        healed = raw[:start] + raw[start] * (own + change) + bases[at + start + own :]
        if fits(block, healed[: len(block)]):
            return healed[: len(block)], len(block) - change
    return None, 0
