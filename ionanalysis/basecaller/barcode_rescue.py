"""Reads whose barcode has one wrong base: less, more or other (our own; the original loses most of them).

Flow errors of such a base are often 2 to 4, as many as lie between barcodes, so that distances in flow space do not
tell. In bases it is one error. A read is rescued if what follows its key is a barcode with one error and the
whole barcode adapter behind it, and that is at least two errors from any other barcode of the set. If it is just two,
a second error, of sequencing, could have made it, so that the bases must be good ones.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from ionanalysis.basecaller.filters import ERROR_PROBABILITY, starts_with

_CLOSE = 2
"""Errors from another barcode at which bases must be good; those with fewer are never taken."""

_MOST_ERRORS = 0.02
"""Greatest number of errors that good bases of barcode and adapter expect, by their qualities."""


def rescue(called, hits, templates):
    """`hits` with the barcodes of reads that have one wrong base in it.

    Parameters
    ----------
    called : CalledReads
        Of n reads; key first.
    hits : BarcodeHits
        Reads that keep their barcode, or whose bases fit it as they are, are left alone.
    templates : BarcodeTemplates

    Returns
    -------
    BarcodeHits
    """
    candidates = np.flatnonzero(~hits.kept & ~hits.ambiguous & starts_with(called, templates.key))
    if not len(candidates) or templates.ambiguous:
        return hits
    barcode, n_bases = _match(called, candidates, templates)
    found = candidates[barcode >= 0]
    changed = {name: getattr(hits, name).copy() for name in ("barcode", "errors", "adapter_failed", "rescued", "end")}
    changed["barcode"][found] = barcode[barcode >= 0]
    changed["errors"][found] = 1
    changed["adapter_failed"][found] = False
    changed["rescued"][found] = True
    changed["end"][found] = len(templates.key) + n_bases[barcode >= 0]
    return replace(hits, **changed)


def _match(called, candidates, templates):
    """Barcode of each candidate, -1 for none or several, and bases of barcode and adapter."""
    barcode = np.full(len(candidates), -1, np.int64)
    n_bases = np.zeros(len(candidates), np.int64)
    clash = np.zeros(len(candidates), bool)
    begin = called.base_start[candidates] + len(templates.key)
    n_there = called.n_bases[candidates] - len(templates.key)
    total = np.concatenate([[0.0], np.cumsum(ERROR_PROBABILITY[called.qualities])])
    for length, (texts, owners, near) in barcode_variants(templates.barcodes).items():
        enough = n_there >= length
        if not enough.any():
            continue
        at = np.where(enough, begin, 0)[:, None] + np.arange(length)
        seen = np.ascontiguousarray(called.bases[np.minimum(at, len(called.bases) - 1)]).view(f"S{length}")[:, 0]
        place = np.minimum(np.searchsorted(texts, seen), len(texts) - 1)
        expected = total[np.where(enough, begin + length, 0)] - total[np.where(enough, begin, 0)]
        match = enough & (texts[place] == seen) & (~near[place] | (expected < _MOST_ERRORS))
        owner = owners[place]
        clash |= match & (barcode >= 0) & (barcode != owner)
        new = match & (barcode < 0)
        barcode[new], n_bases[new] = owner[new], length
    barcode[clash] = -1
    return barcode, n_bases


@lru_cache(maxsize=8)
def barcode_variants(barcodes):
    """What barcodes with one wrong base look like, their adapter behind them.

    Parameters
    ----------
    barcodes : tuple of (str, str)
        Barcode and adapter of each.

    Returns
    -------
    dict
        By length in bases: sorted texts, ndarray of bytes, the number of the barcode of each, and whether they are but
        two errors from another barcode. Those of the barcodes' own lengths come first. Texts that are one error from
        another barcode of the set, too, are left out.
    """
    whole = [barcode + adapter for barcode, adapter in barcodes]
    owner_of: dict[str, int] = {}
    for number, (barcode, adapter) in enumerate(barcodes):
        for text in one_error(barcode):
            owner_of[text + adapter] = -1 if owner_of.get(text + adapter, number) != number else number
    for text in whole:
        owner_of.pop(text, None)
    texts = [text for text, owner in owner_of.items() if owner >= 0]
    owners = np.array([owner_of[text] for text in texts], np.int64)
    # A common end adds no errors.
    n_end = len(barcodes[0][1]) if len({adapter for _, adapter in barcodes}) == 1 else 0
    short, others = ([text[: len(text) - n_end] for text in part] for part in (texts, whole))
    distance = _from_others(short, others, owners)
    by_length: dict[int, list[tuple[str, int, bool]]] = {}
    for text, owner, far in zip(texts, owners.tolist(), distance.tolist(), strict=True):
        if far >= _CLOSE:
            by_length.setdefault(len(text), []).append((text, owner, far == _CLOSE))
    lengths = {len(text) for text in whole}
    order = sorted(by_length, key=lambda length: (length not in lengths, -length))
    tables = {}
    for length in order:
        rows = sorted(by_length[length])
        columns = list(zip(*rows, strict=True))
        tables[length] = (np.array([text.encode() for text in columns[0]]), *map(np.array, columns[1:]))
    return tables


def one_error(sequence):
    """All sequences with one base less, more or other than `sequence`, without itself.

    >>> len(one_error("ACC"))
    21
    """
    less = {sequence[:i] + sequence[i + 1 :] for i in range(len(sequence))}
    other = {sequence[:i] + base + sequence[i + 1 :] for i in range(len(sequence)) for base in "ACGT"}
    more = {sequence[:i] + base + sequence[i:] for i in range(len(sequence) + 1) for base in "ACGT"}
    return (less | other | more) - {sequence}


def _from_others(texts, whole, owners):
    """Errors of each text from the nearest barcode but its own, int64; more than `_CLOSE` if not less or equal."""
    least = np.full(len(texts), _CLOSE + 1)
    rows, all_texts = _letters(whole), _letters(texts)
    one, other = np.triu_indices(len(whole), 1)
    # Only barcodes that are themselves this near can be near a text with one error.
    near = edit_distances(_pick(rows, one), _pick(rows, other)) <= _CLOSE + 1
    pairs = np.concatenate([np.stack([one, other], 1)[near], np.stack([other, one], 1)[near]])
    mine = [np.flatnonzero(owners == own) for own in pairs[:, 0]]
    text = np.concatenate([*mine, np.zeros(0, np.int64)]).astype(np.int64)
    foreign = np.repeat(pairs[:, 1], [len(numbers) for numbers in mine])
    np.minimum.at(least, text, edit_distances(_pick(all_texts, text), _pick(rows, foreign)))
    return least


def _letters(texts):
    width = max(map(len, texts), default=0)
    letters = np.zeros((len(texts), width), np.uint8)
    for number, text in enumerate(texts):
        letters[number, : len(text)] = np.frombuffer(text.encode("ascii"), np.uint8)
    return letters, np.array([len(text) for text in texts], np.int64)


def _pick(rows, chosen):
    return rows[0][chosen], rows[1][chosen]


def edit_distances(one, other):
    """Least number of bases less, more and other between pairs of sequences, int64 of shape (n,).

    Parameters
    ----------
    one, other : (ndarray of shape (n, longest), uint8; ndarray of shape (n,), int64)
        Letters of the n sequences of each side, and how many they have.
    """
    (a, n_a), (b, n_b) = one, other
    # Pairs are the last axis, so that each step runs over memory in order.
    a, b, everyone = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), np.arange(len(n_a))
    row = np.repeat(np.arange(len(b) + 1, dtype=np.int16)[:, None], len(n_a), axis=1)
    result = np.where(n_a == 0, n_b, 0)
    for i in range(len(a)):
        above, row = row, np.empty_like(row)
        row[0] = i + 1
        for j in range(len(b)):
            np.minimum(above[j + 1], row[j], out=row[j + 1])
            row[j + 1] += 1
            np.minimum(row[j + 1], above[j] + (a[i] != b[j]), out=row[j + 1])
        result = np.where(n_a == i + 1, row[n_b, everyone], result)
    return result.astype(np.int64)
