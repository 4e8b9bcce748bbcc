"""Old flags: what each is called, what its value is, and what it does here."""

import difflib
import re
from dataclasses import dataclass

from ionanalysis.errors import UsageError

TRUE = ("on", "true", "1")
FALSE = ("off", "false", "0")


@dataclass(frozen=True)
class Flag:
    """One option of an original program.

    `effect` is ``Class.field`` (the option it sets), ``@name what it is`` (an argument of the program itself, such as
    a path) or ``! reason`` (accepted, without effect here).
    """

    names: tuple[str, ...]
    kind: str
    effect: str

    @property
    def name(self):
        return self.names[0]

    @property
    def argument(self):
        """Name of the argument that it gives the program; empty if it gives none."""
        return self.effect[1:].split(" ", 1)[0] if self.effect.startswith("@") else ""

    @property
    def reason(self):
        """Why it has no effect here; empty if it has one."""
        return self.effect[1:].strip() if self.effect.startswith("!") else ""


class FlagTable:
    """All flags of a program.

    Parameters
    ----------
    rows : iterable of (names, kind, effect)
        `names` are separated by blanks, the long one first; a single letter is a short option. `kind` is one of
        `flag`, `bool`, `int`, `float`, `text`, `ints`, `floats`, `texts`, `range`; a number behind it fixes how many.
    any_case : bool
        Long names are compared without regard to case.
    """

    def __init__(self, rows, *, any_case=False):
        self.flags = tuple(Flag(tuple(names.split()), kind, effect) for names, kind, effect in rows)
        self.any_case = any_case
        self._by_name = {self._folded(name): flag for flag in self.flags for name in flag.names}

    def find(self, name):
        """The flag called `name` (without dashes; ``-`` and ``_`` are the same), or None."""
        return self._by_name.get(self._folded(name))

    def _folded(self, name):
        name = name.replace("_", "-")
        return name.lower() if self.any_case and len(name) > 1 else name

    def parse(self, argv):
        """Values by flag name, and the words that belong to no option.

        Raises
        ------
        UsageError
            On an unknown option or a value that is not of its kind.
        """
        values, words = {}, []
        waiting = list(reversed(argv))
        while waiting:
            word = waiting.pop()
            if not word.startswith("-") or word == "-" or _is_number(word):
                words.append(word)
                continue
            dashes = "--" if word.startswith("--") else "-"
            name, equals, text = word[len(dashes) :].partition("=")
            flag = self.find(name)
            if flag is None or (len(name) == 1) != (dashes == "-"):
                raise UsageError(self._unknown(word))
            if not equals:
                text = _next_value(flag, waiting, dashes + name)
            values[flag.name] = convert(flag.kind, text, dashes + name)
        return values, words

    def _unknown(self, word):
        name = self._folded(word.lstrip("-").partition("=")[0])
        near = difflib.get_close_matches(name, self._by_name, n=1)
        hint = f"; did you mean --{near[0]}?" if near else "; --help lists the options."
        return f"option {word} is unknown{hint}"


def _next_value(flag, waiting, shown):
    """The value in the next word. A boolean may stand alone."""
    if flag.kind == "flag":
        return "true"
    if flag.kind == "bool":
        return waiting.pop() if waiting and waiting[-1].lower() in TRUE + FALSE else "true"
    if not waiting:
        raise UsageError(f"option {shown} needs a value ({flag.kind}).")
    return waiting.pop()


def convert(kind, text, shown):
    """Value of `text`, which stands behind the option `shown`.

    Raises
    ------
    UsageError
        If it is not of the kind.
    """
    word = kind.rstrip("0123456789")
    count = kind[len(word) :]
    try:
        value = _CONVERTERS[word](text)
    except (ValueError, OverflowError):
        raise UsageError(f"option {shown}: {text!r} is not {_SAID[word]}.") from None
    if count and len(value) != int(count):
        raise UsageError(f"option {shown}: {text!r} has {len(value)} values; expected {count}.")
    return value


def value_word(kind):
    """What stands for a value of this kind in help.

    >>> [value_word(kind) for kind in ("flag", "bool", "int", "floats3", "texts")]
    ['', 'on|off', 'INT', 'FLOAT,FLOAT,FLOAT', 'TEXT,...']
    """
    word = kind.rstrip("0123456789")
    count = kind[len(word) :]
    if word in _VALUE_WORDS:
        return _VALUE_WORDS[word]
    single = word.removesuffix("s").upper()
    if count:
        return ",".join([single] * int(count))
    return f"{single},..." if word.endswith("s") else single


_VALUE_WORDS = {"flag": "", "bool": "on|off", "range": "FIRST-LAST"}


def _boolean(text):
    if text.lower() not in TRUE + FALSE:
        raise ValueError
    return text.lower() in TRUE


def _listed(single):
    return lambda text: tuple(single(item.strip()) for item in text.split(",") if item.strip())


def _range(text):
    first, last = text.split("-")
    if not 0 <= int(first) < int(last):
        raise ValueError
    return int(first), int(last)


_CONVERTERS = {
    "flag": _boolean,
    "bool": _boolean,
    "int": int,
    "float": float,
    "text": str,
    "ints": _listed(int),
    "floats": _listed(float),
    "texts": _listed(str),
    "range": _range,
}
_SAID = {
    "flag": "on, off, true or false",
    "bool": "on, off, true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "a text",
    "ints": "a comma-separated list of whole numbers",
    "floats": "a comma-separated list of numbers",
    "texts": "a comma-separated list",
    "range": "a range first-last with first below last, last not included",
}


def _is_number(word):
    return bool(re.fullmatch(r"-\d+(\.\d*)?([eE][-+]?\d+)?", word))
