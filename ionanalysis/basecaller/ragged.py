"""Flat arrays of ragged reads as tables of one row per read, and texts of reads without text objects."""

from dataclasses import dataclass

import numpy as np


def as_rows(flat, starts, fill):
    """A table with the values of read i in row i, padded with `fill`.

    Parameters
    ----------
    flat : ndarray of shape (n_values,)
    starts : ndarray of shape (n_reads + 1,)
        Read i has the values [starts[i], starts[i + 1]).
    fill
        Value behind the end of a read.

    >>> as_rows(np.array([1, 2, 3]), np.array([0, 2, 3]), 0)
    array([[1, 2],
           [3, 0]])
    """
    lengths = np.diff(starts)
    rows = np.full((len(lengths), int(lengths.max(initial=0))), fill, flat.dtype)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = flat[starts[0] : starts[-1]]
    return rows


@dataclass(eq=False)
class TextRows:
    """A short text of each of n reads.

    `letters` is uint8 of shape (n, longest), ASCII, zero behind the end; `lengths` int64 of shape (n,).
    """

    letters: np.ndarray
    lengths: np.ndarray

    @classmethod
    def empty(cls, n_reads):
        return cls(np.zeros((n_reads, 0), np.uint8), np.zeros(n_reads, np.int64))

    @classmethod
    def from_spans(cls, flat, begin, end):
        """The letters [begin, end) of `flat`, one span per read; empty where `end` is not behind `begin`."""
        lengths = np.maximum(np.asarray(end) - begin, 0)
        column = np.arange(int(lengths.max(initial=0)))
        held = column < lengths[:, None]
        letters = np.zeros(held.shape, np.uint8)
        letters[held] = flat[(np.asarray(begin)[:, None] + column)[held]]
        return cls(letters, lengths)

    @classmethod
    def from_choice(cls, texts, choice):
        """``texts[choice]`` of each read, nothing where `choice` is negative."""
        width = max(map(len, texts), default=0)
        rows = np.zeros((len(texts) + 1, width), np.uint8)
        lengths = np.zeros(len(texts) + 1, np.int64)
        for number, text in enumerate(texts):
            rows[number, : len(text)] = np.frombuffer(text.encode("ascii"), np.uint8)
            lengths[number] = len(text)
        choice = np.where(np.asarray(choice) < 0, len(texts), choice)
        return cls(rows[choice], lengths[choice])

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, chosen):
        return TextRows(self.letters[chosen], self.lengths[chosen])

    def __add__(self, other):
        """Each text with that of `other` behind it."""
        lengths = self.lengths + other.lengths
        letters = np.zeros((len(self), int(lengths.max(initial=0))), np.uint8)
        column = np.arange(letters.shape[1])
        letters[column < self.lengths[:, None]] = self._flat()
        letters[(column >= self.lengths[:, None]) & (column < lengths[:, None])] = other._flat()
        return TextRows(letters, lengths)

    def _flat(self):
        return self.letters[np.arange(self.letters.shape[1]) < self.lengths[:, None]]

    def put(self, chosen, texts):
        """Give the `chosen` reads, numbers, these texts."""
        width = max(self.letters.shape[1], texts.letters.shape[1])
        if width > self.letters.shape[1]:
            self.letters = np.pad(self.letters, ((0, 0), (0, width - self.letters.shape[1])))
        self.letters[chosen] = 0
        self.letters[chosen, : texts.letters.shape[1]] = texts.letters
        self.lengths[chosen] = texts.lengths

    def clear(self, which):
        """Leave the reads `which`, bool, without text."""
        self.letters[which] = 0
        self.lengths[which] = 0

    def tolist(self):
        """Texts as a list of str, for people and tests."""
        return [row[:n].tobytes().decode("ascii") for row, n in zip(self.letters, self.lengths.tolist(), strict=True)]
