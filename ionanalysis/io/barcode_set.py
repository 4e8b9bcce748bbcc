"""Sets of barcodes: those of the kits, shipped by name, and CSV files of users."""

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from ionanalysis.errors import InputError, UsageError

MAX_BARCODES = 100_000
"""More rows than any set has; a larger file is something else."""


@dataclass(frozen=True, kw_only=True)
class Barcode:
    """One barcode: `sequence` follows the key, `adapter` follows the barcode (basecaller.md 7.1)."""

    name: str
    index: int
    sequence: str
    adapter: str = ""
    type: str = ""
    annotation: str = ""
    score_mode: int = 1
    score_cutoff: float = 2.0
    sample: str = ""


@dataclass(frozen=True)
class BarcodeSet:
    """A named set of barcodes in the order of their index."""

    name: str
    barcodes: tuple[Barcode, ...]

    def __len__(self):
        return len(self.barcodes)

    def __iter__(self):
        return iter(self.barcodes)

    @property
    def by_name(self):
        """Barcode of each name."""
        return {barcode.name: barcode for barcode in self.barcodes}


def open_barcode_set(name_or_path):
    """The set that `--barcodes` means: the name of a shipped set, or the path of a CSV file.

    Raises
    ------
    UsageError
        If it is neither.
    InputError
        If the file is not a barcode set.
    """
    shipped = shipped_sets()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        raise UsageError(
            f"barcodes {name_or_path}: is neither a file nor a shipped set; choose a CSV file or one of "
            f"{', '.join(shipped)}."
        )
    return read_barcode_csv(path)


@lru_cache
def shipped_sets():
    """The kits' sets by name."""
    groups: dict[str, list[Barcode]] = {}
    with files("ionanalysis.io").joinpath("barcode_sets.csv").open(encoding="ascii") as table:
        for row in csv.DictReader(table):
            groups.setdefault(row["set"], []).append(make_barcode(row, len(groups)))
    return {name: BarcodeSet(name, tuple(barcodes)) for name, barcodes in groups.items()}


def read_barcode_csv(path):
    """A set from a CSV file with a header line.

    Columns `id_str` (also `barcode` or `name`) and `sequence` are needed; `index`, `adapter`, `type`, `annotation`,
    `score_mode`, `score_cutoff` and `sample` are used when there; others are left alone. Without `index`, barcodes
    count from 1 in the order of the file. The set is named after the file.

    Raises
    ------
    InputError
        Names the line that is wrong.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}).") from error
    if len(lines) > MAX_BARCODES:
        raise InputError(f"{path}: has {len(lines)} lines; a barcode set has at most {MAX_BARCODES}.")
    reader = csv.DictReader(lines)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = ["id_str" if name in ("barcode", "name") else name for name in columns]
    if not {"id_str", "sequence"} <= set(reader.fieldnames):
        raise InputError(f"{path}: the first line must name the columns id_str and sequence; it has {columns}.")
    barcodes: list[Barcode] = []
    for row in reader:
        try:
            barcodes.append(make_barcode(row, len(barcodes) + 1))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, line {reader.line_num}: {error}.") from error
    return checked_set(path, path.stem, barcodes)


def make_barcode(row, position):
    """A barcode from the texts of a row, by column name; `position` is its index if the row has none.

    Raises
    ------
    ValueError
        Says what is wrong with the row.
    """
    text = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
    for column in ("sequence", "adapter"):
        text[column] = text.get(column, "").upper()
        if set(text[column]) - set("ACGT"):
            raise ValueError(f"{column} {text[column]!r} must be letters A, C, G, T")
    if not text["sequence"]:
        raise ValueError("the sequence is empty")
    # The name becomes part of file names.
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", text["id_str"]):
        raise ValueError(f"the name {text['id_str']!r} must be letters, digits, _, -, + or . only")
    return Barcode(
        name=text["id_str"],
        index=int(text.get("index") or position),
        sequence=text["sequence"],
        adapter=text["adapter"],
        type=text.get("type", ""),
        annotation=text.get("annotation", ""),
        score_mode=int(text.get("score_mode") or 1),
        score_cutoff=float(text.get("score_cutoff") or 2.0),
        sample=text.get("sample", ""),
    )


def checked_set(path, name, barcodes):
    """The set called `name` of the barcodes in the file `path`.

    Raises
    ------
    InputError
        If there are none, or two are the same.
    """
    for what in ("name", "index", "sequence"):
        seen = set()
        for barcode in barcodes:
            value = getattr(barcode, what)
            if value in seen:
                raise InputError(f"{path}: {what} {value} occurs twice; each barcode needs its own.")
            seen.add(value)
    if not barcodes:
        raise InputError(f"{path}: holds no barcodes.")
    return BarcodeSet(name, tuple(sorted(barcodes, key=lambda barcode: barcode.index)))
