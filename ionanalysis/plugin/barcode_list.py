"""`barcodeList.txt`: the barcode set of a result (plugin.md 1.6)."""

from ionanalysis.io.barcode_set import Barcode, BarcodeSet


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


def parse_barcode_list(text):
    """The set that `barcode_list_text` wrote; lines of another shape are left out."""
    head, barcodes = {}, []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        fields = rest.split(",")
        if word != "barcode":
            head[word] = rest
        elif len(fields) >= 6 and fields[0].isdigit():
            index, name, sequence, adapter, annotation, kind = fields[:6]
            barcodes.append(
                Barcode(
                    name=name, index=int(index), sequence=sequence, adapter=adapter, annotation=annotation, type=kind
                )
            )
    return BarcodeSet(head.get("file_id", ""), tuple(barcodes))
