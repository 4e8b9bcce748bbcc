"""Which genome the reads of each barcode come from."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from ionanalysis.errors import InputError

_COLUMNS = ("barcode", "reference")
_ENDING = "_rawlib"


@dataclass(frozen=True)
class RunReferences:
    """FASTA files of a run.

    Attributes
    ----------
    default : str or None
        For all reads without one of their own.
    by_barcode : dict of str to str
    """

    default: str | None = None
    by_barcode: dict[str, str] = field(default_factory=dict)

    def of_prefix(self, prefix):
        """FASTA file of a dataset, None without: `prefix` is that of its files, as ``IonXpress_001_rawlib``."""
        barcode = prefix.removesuffix(_ENDING) if prefix.endswith(_ENDING) else ""
        return self.by_barcode.get(barcode, self.default)

    def __bool__(self):
        return bool(self.default or self.by_barcode)

    @classmethod
    def of_options(cls, options):
        """Those that `ReferenceOptions` name.

        Raises
        ------
        InputError
            If the table of barcodes is none, or names a file that is not there.
        """
        table = options.barcode_references
        return cls(options.reference, _read_table(Path(table)) if table else {})


def _read_table(path):
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not set(_COLUMNS) <= set(rows.fieldnames or ()):
                raise InputError(f"{path}: has no columns barcode and reference; name them in the first line.")
            found: dict[str, str] = {}
            for row in rows:
                barcode, reference = ((row[name] or "").strip() for name in _COLUMNS)
                if not barcode or not reference or barcode in found:
                    what = f"gives {barcode} twice" if barcode in found else "lacks a barcode or its reference"
                    raise InputError(f"{path}: line {rows.line_num} {what}; give each barcode one line.")
                # Paths are told from where the table lies.
                found[barcode] = str(path.absolute().parent / reference)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}); check the file.") from error
    for barcode, reference in found.items():
        if not Path(reference).is_file():
            raise InputError(f"{path}: the reference of {barcode}, {reference}, is not there; check its path.")
    return found
