"""Tags of many BAM records at once, found in their bytes."""

import numpy as np

from ionanalysis.bam.source import DamagedRecordError

_TAG_SIZES = np.zeros(256, np.int64)
for _kinds, _size in (("AcC", 1), ("sS", 2), ("iIf", 4)):
    _TAG_SIZES[[ord(_kind) for _kind in _kinds]] = _size


_INTEGERS = {"c": "i1", "C": "u1", "s": "<i2", "S": "<u2", "i": "<i4", "I": "<u4"}
_TEXTS = (ord("Z"), ord("A"))


def integer_array_tag(parts, name, n_values):
    """Values of a tag of kind ``B:i``.

    Returns
    -------
    values : int32 (n, n_values)
        0 where a read lacks the tag.
    has_tag : bool (n,)
        False also where the tag is of another kind, or holds fewer values.
    """
    at = tag_places(parts, (name,))[name]
    found, data = np.flatnonzero(at >= 0), parts.records.data
    found = found[(data[at[found] + 2] == ord("B")) & (data[at[found] + 3] == ord("i"))]
    values, has_tag = np.zeros((len(at), n_values), np.int32), np.zeros(len(at), bool)
    found, taken = _array_heads(parts, at, found, n_values, "<i4")
    values[found], has_tag[found] = taken, True
    return values, has_tag


def integer_heads(parts, at, n_values):
    """First values of a tag that holds whole numbers of any size, as in `integer_array_tag`.

    Parameters
    ----------
    parts : RecordParts
    at : int64 (n,)
        Of `tag_places`.
    n_values : int

    Raises
    ------
    DamagedRecordError
        If the tag of a read holds anything else.
    """
    data = parts.records.data
    found = np.flatnonzero(at >= 0)
    kind = data[at[found] + 3]
    is_array = data[at[found] + 2] == ord("B")
    values, has_tag = np.zeros((len(at), n_values), np.int64), np.zeros(len(at), bool)
    n_known = 0
    for letter, dtype in _INTEGERS.items():
        of_kind = found[is_array & (kind == ord(letter))]
        n_known += len(of_kind)
        held, taken = _array_heads(parts, at, of_kind, n_values, dtype)
        values[held], has_tag[held] = taken, True
    if n_known < len(found):
        wrong = found[~(is_array & np.isin(kind, [ord(letter) for letter in _INTEGERS]))]
        raise _unexpected(parts, at, wrong[0], "whole numbers")
    return values, has_tag


def _array_heads(parts, at, reads, n_values, dtype):
    """Those of `reads` whose arrays hold `n_values`, and these values."""
    data, size = parts.records.data, np.dtype(dtype).itemsize
    inside = reads[at[reads] + 8 + n_values * size <= parts.end[reads]]
    held = inside[_numbers(data, at[inside] + 4) >= n_values]
    rows = data[at[held, None] + 8 + np.arange(n_values * size)]
    return held, np.ascontiguousarray(rows).view(dtype).reshape(len(held), n_values)


def integer_tag(parts, at, missing):
    """Value of a tag that holds a whole number, int64 (n,); `missing` where a read lacks it.

    Raises
    ------
    DamagedRecordError
        If the tag of a read holds anything else.
    """
    data = parts.records.data
    found = np.flatnonzero(at >= 0)
    kind = data[at[found] + 2]
    values = np.full(len(at), missing, np.int64)
    n_known = 0
    for letter, dtype in _INTEGERS.items():
        of_kind = found[kind == ord(letter)]
        size = np.dtype(dtype).itemsize
        of_kind = of_kind[at[of_kind] + 3 + size <= parts.end[of_kind]]
        n_known += len(of_kind)
        rows = data[at[of_kind, None] + 3 + np.arange(size)]
        values[of_kind] = np.ascontiguousarray(rows).view(dtype).reshape(-1)
    if n_known < len(found):
        wrong = found[~np.isin(kind, [ord(letter) for letter in _INTEGERS])]
        raise _unexpected(parts, at, wrong[0] if len(wrong) else found[0], "a whole number")
    return values


def text_spans(parts, at):
    """First byte of each read's text in a tag of kind ``Z``, and the byte behind it; the same without the tag.

    Raises
    ------
    DamagedRecordError
        If the tag of a read holds anything else.
    """
    data = parts.records.data
    found = np.flatnonzero(at >= 0)
    kind = data[at[found] + 2]
    wrong = found[~np.isin(kind, _TEXTS)]
    if len(wrong):
        raise _unexpected(parts, at, wrong[0], "text")
    begin, end = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    begin[found] = at[found] + 3
    zeros = parts.ends_of_text
    end[found] = np.where(kind == ord("A"), begin[found] + 1, zeros[np.searchsorted(zeros, begin[found])])
    too_long = found[end[found] > parts.end[found]]
    if len(too_long):
        raise _unexpected(parts, at, too_long[0], "text")
    return begin, end


def _unexpected(parts, at, read, expected):
    name = parts.records.data[at[read] : at[read] + 2].tobytes().decode("ascii", "replace")
    return DamagedRecordError(f"tag {name} of read {parts.name_of(read)} does not hold {expected}")


def tag_places(parts, names):
    """First byte of tags in each record, int64 (n,) by name, -1 without; all records advance by one tag at a time."""
    data, at, end = parts.records.data, parts.tags_at.copy(), parts.end
    found = {name: np.full(len(at), -1, np.int64) for name in names}
    letters = {name: name.encode("ascii") for name in names}
    walking = np.flatnonzero(at + 4 <= end)
    while len(walking):
        place = at[walking]
        first, second = data[place], data[place + 1]
        for name, (one, two) in letters.items():
            hit = (first == one) & (second == two)
            # Of a tag that comes twice, the first one counts.
            hit &= found[name][walking] < 0
            found[name][walking[hit]] = place[hit]
        size = _value_sizes(data, place + 2, parts.ends_of_text)
        at[walking] = place + 3 + size
        # A kind that there is not: nothing behind it can be told.
        walking = walking[(size > 0) & (at[walking] + 4 <= end[walking])]
    return found


def _value_sizes(data, kind_at, ends_of_text):
    """Bytes of values whose kinds stand at `kind_at`; 0 for kinds that there are not."""
    kind = data[kind_at]
    size = _TAG_SIZES[kind]
    is_text = (kind == ord("Z")) | (kind == ord("H"))
    text_at = kind_at[is_text] + 1
    next_end = np.searchsorted(ends_of_text, text_at)
    size[is_text] = ends_of_text[next_end] - text_at + 1
    is_array = (kind == ord("B")) & (kind_at + 6 <= len(data))
    array_at = kind_at[is_array] + 1
    size[is_array] = 5 + _numbers(data, array_at + 1).clip(0) * _TAG_SIZES[data[array_at]]
    return size


def _numbers(data, at):
    """Little-endian int32 at each place, as int64."""
    rows = data[np.asarray(at)[:, None] + np.arange(4)]
    return np.ascontiguousarray(rows).view("<i4").reshape(-1).astype(np.int64)
