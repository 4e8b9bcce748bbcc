"""Versions of plugins, compared loosely (plugin.md 2.8)."""

import functools
import re


@functools.total_ordering
class LooseVersion:
    """A version of numbers and words; numbers sort before words, a shorter version before its extension.

    >>> LooseVersion("5.4.0.0") < LooseVersion("5.10.0.0")
    True
    >>> LooseVersion("3.6.0") < LooseVersion("3.6.0-r57238")
    True
    """

    def __init__(self, text=""):
        self.vstring = str(text)
        parts = re.findall(r"\d+|[A-Za-z]+", self.vstring)
        self.version = [int(part) if part.isdigit() else part for part in parts]

    @property
    def _key(self):
        return [(isinstance(part, str), part) for part in self.version]

    def __eq__(self, other):
        return self._key == _loose(other)._key

    def __lt__(self, other):
        return self._key < _loose(other)._key

    def __hash__(self):
        return hash(tuple(self._key))

    def __str__(self):
        return self.vstring

    def __repr__(self):
        return f"LooseVersion({self.vstring!r})"


def _loose(value):
    return value if isinstance(value, LooseVersion) else LooseVersion(value)
