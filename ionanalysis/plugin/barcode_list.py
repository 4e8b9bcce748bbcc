"""`barcodeList.txt`: the barcode set of a result (plugin.md 1.6)."""

from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.barcode_set import Barcode, checked_set, make_barcode


def barcode_list_text(barcode_set):
    """Text of `barcodeList.txt`."""
    first = next(iter(barcode_set))
    lines = [
        f"file_id {barcode_set.name}",
        f"score_mode {first.score_mode}",
        f"score_cutoff {first.score_cutoff:g}",
    ]
    for barcode in barcode_set:
        fields = (
            barcode.index,
            barcode.name,
            barcode.sequence,
            barcode.adapter,
            barcode.annotation.replace(",", " "),
            barcode.type.replace(",", " "),
            len(barcode.sequence),
        )
        lines.append("barcode " + ",".join(map(str, fields)))
    return "\n".join(lines) + "\n"


_COLUMNS = ("index", "id_str", "sequence", "adapter", "annotation", "type")


def read_barcode_list(path, samples=None):
    """The set in a `barcodeList.txt`.

    Parameters
    ----------
    path : path
    samples : dict of str, optional
        Sample of each barcode's name; the file does not tell.

    Raises
    ------
    InputError
        Names the line that is wrong.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}).") from error
    head: dict[str, str] = {}
    barcodes: list[Barcode] = []
    for number, line in enumerate(lines, 1):
        word, _, rest = line.partition(" ")
        if word != "barcode":
            head[word] = rest.strip()
            continue
        row = dict(zip(_COLUMNS, rest.split(","), strict=False))
        row |= {"sample": (samples or {}).get(row.get("id_str"), "")}
        try:
            barcodes.append(make_barcode({"id_str": "", **head, **row}, len(barcodes) + 1))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}; run the analysis again with --barcodes.") from error
    return checked_set(path, head.get("file_id", ""), barcodes)
