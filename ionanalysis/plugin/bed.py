"""BED files as plugins read and write them: ``ion.plugin.bedParser`` (plugin.md 7).

Names and columns are those of the original, with two of its defects left out: `InTarget` compares the
target's chromosome with the position's, and the writer writes the values of lists.
"""

import re
from pathlib import Path

from ionanalysis.errors import InputError

BED_COLUMNS = (
    "chrom",
    "chromStart",
    "chromEnd",
    "name",
    "score",
    "strand",
    "thickStart",
    "thickEnd",
    "itemRgb",
    "blockCount",
    "blockSizes",
    "blockStarts",
)
DETAIL_COLUMNS = ("id", "info")
"""The last two columns of files whose track line says ``type=bedDetail``."""

_INTEGERS = {"chromStart", "chromEnd", "score", "thickStart", "thickEnd", "blockCount"}
_LISTS = {"itemRgb", "blockSizes", "blockStarts"}


class IonBedHeader:
    """What stands before the targets.

    Attributes
    ----------
    track, browser : list of dict
        One per ``track`` line (its ``key=value`` pairs) and ``browser`` line (``{"browser": rest}``).
    type : str
        ``bed`` or ``bedDetail``.
    columns : list of str
        Names of the columns, known from the first target.
    """

    def __init__(self):
        self.track = []
        self.browser = []
        self.type = "bed"
        self.columns = []

    def add_line(self, line):
        """Take in a ``track`` or ``browser`` line; return whether it was one."""
        word, _, rest = line.partition(" ")
        if word == "browser":
            self.browser.append({"browser": rest.strip()})
        elif word == "track":
            pairs = dict(part.split("=", 1) for part in _words(rest) if "=" in part)
            self.track.append(pairs)
            self.type = pairs.get("type", self.type)
        else:
            return False
        return True

    def name_columns(self, n_columns):
        """Set `columns` for lines of `n_columns`."""
        details = DETAIL_COLUMNS if self.type == "bedDetail" else ()
        self.columns = [*BED_COLUMNS[: n_columns - len(details)], *details]


class IonBedReader:
    """Targets of a BED file, line by line (`readline`), as columns (`load`), or in a ``for`` loop.

    Parameters
    ----------
    file : text file, optional
    filename : path, optional
        Opened if there is no `file`.
    """

    def __init__(self, file=None, filename=None):
        self.header = IonBedHeader()
        self.chromOrder = []
        self._name = str(filename or getattr(file, "name", "BED file"))
        self._file = file if file is not None else Path(filename).open(encoding="utf-8")  # noqa: SIM115 (closed by close)
        self._line_number = 0
        self._first = self._next_line()
        while self._first and self.header.add_line(self._first):
            self._first = self._next_line()
        if self._first:
            self.header.name_columns(len(self._first.split("\t")))

    def __iter__(self):
        while target := self.readline():
            yield target

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def readline(self):
        """The next target as a dict by column name; empty at the end.

        Raises
        ------
        InputError
            If a line has too few columns or a text where a number belongs; names the line.
        """
        line, self._first = self._first or self._next_line(), ""
        if not line:
            return {}
        fields = line.split("\t")
        if len(fields) < 3:
            raise InputError(
                f"{self._name}, line {self._line_number}: has {len(fields)} columns; expected at least "
                "chromosome, start and end, separated by tabs."
            )
        target = {}
        for column, text in zip(self.header.columns, fields, strict=False):
            try:
                target[column] = _value(column, text)
            except ValueError:
                raise InputError(
                    f"{self._name}, line {self._line_number}: {column} is {text!r}; expected a number."
                ) from None
        if target["chrom"] not in self.chromOrder:
            self.chromOrder.append(target["chrom"])
        return target

    def load(self):
        """All targets that are left, as a dict of lists."""
        targets: dict[str, list] = {column: [] for column in self.header.columns}
        for target in self:
            for column, values in targets.items():
                values.append(target.get(column))
        return targets

    def InTarget(self, target, chrom, pos):  # noqa: N802 (a name of the contract)
        """-1 if a position (from 0) lies before `target`, 0 if inside, 1 if behind it, in the file's order."""
        if chrom != target["chrom"]:
            places = [
                self.chromOrder.index(name) if name in self.chromOrder else len(self.chromOrder)
                for name in (chrom, target["chrom"])
            ]
            return -1 if places[0] < places[1] else 1
        if pos < target["chromStart"]:
            return -1
        return 0 if pos < target["chromEnd"] else 1

    def close(self):
        self._file.close()

    def _next_line(self):
        for line in self._file:
            self._line_number += 1
            line = line.rstrip("\r\n")
            if line.strip() and not line.startswith("#"):
                return line
        return ""


class IonBedWriter:
    """Writes a BED file: header lines, then targets.

    Parameters
    ----------
    file : text file, optional
    filename : path, optional
        Opened for writing if there is no `file`.
    header : IonBedHeader, optional
        Of a reader, to keep its columns.
    """

    def __init__(self, file=None, filename=None, header=None):
        self.header = header or IonBedHeader()
        self._file = file if file is not None else Path(filename).open("w", encoding="utf-8")  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def WriteHeader(self):  # noqa: N802 (a name of the contract)
        """Write the ``browser`` and ``track`` lines."""
        for line in self.header.browser:
            self._file.write(f"browser {line['browser']}\n")
        for pairs in self.header.track:
            quoted = (f'{key}="{text}"' if re.search(r"\s", text) else f"{key}={text}" for key, text in pairs.items())
            self._file.write(f"track {' '.join(quoted)}\n")

    def writeline(self, target):
        """Write one target, a dict by column name."""
        if not self.header.columns:
            self.header.columns = [name for name in (*BED_COLUMNS, *DETAIL_COLUMNS) if name in target]
        self._file.write("\t".join(_text(target.get(column)) for column in self.header.columns) + "\n")

    def write(self, targets):
        """Write many targets, a dict of lists as `IonBedReader.load` gives it."""
        for values in zip(*targets.values(), strict=True):
            self.writeline(dict(zip(targets, values, strict=True)))

    def close(self):
        self._file.close()


def _words(text):
    # Only headers need it: each plugin process loads this module.
    import shlex

    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _value(column, text):
    if column in _INTEGERS:
        return None if text == "." else int(text)
    if column in _LISTS:
        return [] if text in (".", "") else [int(part) for part in text.split(",") if part]
    return _info(text) if column == "info" else text


def _info(text):
    """``GENE_ID=EGFR;Pool=1,2;HOTSPOTS_ONLY`` as lists by key."""
    pairs = (part.partition("=") for part in text.split(";") if part and part != ".")
    return {key.strip(): value.split(",") if equals else [] for key, equals, value in pairs}


def _text(value):
    if value is None or value == [] or value == {}:
        return "."
    if isinstance(value, dict):
        return ";".join(f"{key}={','.join(map(str, values))}" if values else key for key, values in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
