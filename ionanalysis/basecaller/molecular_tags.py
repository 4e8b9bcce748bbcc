"""Molecular tags at the ends of inserts, and their repair by the fixed letters (basecaller.md 7.5)."""

import re

from ionanalysis.errors import InputError

_REPAIRS = (2, 1, -1, -2)
"""Changes of a run tried in turn: two bases missing in the read, one missing, one too many, two too many."""


_LEAST_RUN = 3
"""Bases that a repaired run must have, those accepted before the block included."""


def check_pattern(pattern):
    """Raise `InputError` unless `pattern` is letters A, C, G, T, N with at least one N, or empty."""
    if pattern and (set(pattern) - set("ACGTN") or "N" not in pattern):
        raise InputError(f"molecular tag {pattern!r} must be letters A, C, G, T and N, with at least one N.")


def read_tag(pattern, bases, *, strict=False, heal=True):
    """The molecular tag at the start of `bases`.

    Parameters
    ----------
    pattern : str
        Letters A, C, G, T that are fixed, and N.
    bases : str
        The read from where the tag should begin. A tag at the end of a read is looked for in the
        reversed read with the reversed pattern.
    strict : bool
        Whether the fixed letters must match.
    heal : bool
        Whether a wrong run length, told by the fixed letters behind it, is repaired.

    Returns
    -------
    tag : str or None
        The tag as it should read; None if it is missing, or wrong where `strict`.
    n_bases : int
        Bases to cut off.

    Examples
    --------
    >>> read_tag("NNNTAC", "CCCCCTACGG")
    ('CCCTAC', 8)
    """
    if len(bases) < len(pattern):
        return None, 0
    plain = bases[: len(pattern)]
    if fits(pattern, plain):
        return plain, len(pattern)
    if heal:
        tag, n_bases, healed = _healed(pattern, bases)
        if n_bases >= len(pattern) and (healed or not strict):
            return tag, n_bases
    return (None, 0) if strict else (plain, len(pattern))


def fits(pattern, bases):
    """Whether the fixed letters of `pattern` are in `bases`."""
    return len(pattern) == len(bases) and all(p in ("N", b) for p, b in zip(pattern, bases, strict=True))


def _healed(pattern, bases):
    """Tag, bases used, and whether every block fits, block by block of ``N... then fixed letters``."""
    tag, at, whole = "", 0, True
    for block in re.findall(r"N*[ACGT]+|N+$", pattern):
        text, used = _healed_block(block, bases, at)
        if text is None:
            text, used, whole = bases[at : at + len(block)], len(block), False
        tag, at = tag + text, at + used
    return tag, at, whole and len(tag) == len(pattern)


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
