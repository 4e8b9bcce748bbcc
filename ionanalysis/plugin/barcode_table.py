"""The barcode table that plugins show above their page when launched by hand (plugin.md 4.6)."""

from ionanalysis.errors import InputError

CUSTOM = "custom_"

NUCLEOTIDES = tuple({"display": name, "value": name} for name in ("DNA", "RNA"))


def _column(field, title, kind, width, description, *, editable=True):
    return {
        "field": field,
        "title": title,
        "type": kind,
        "editable": editable,
        "width": width,
        "description": description,
    }


COLUMNS = {
    column["field"]: column
    for column in (
        _column("selected", "Selected", "checkbox", "60px", "Whether the barcode takes part"),
        _column("barcode_name", "Barcode", "string", "100px", "Name of the barcode", editable=False),
        _column("sample", "Sample", "string", "150px", "Name of the sample", editable=False),
        _column("files_BAM", "Select BAM", "checkbox", "50px", "Whether the BAM file is chosen"),
        _column("files_VCF", "Select VCF", "checkbox", "50px", "Whether the VCF file is chosen"),
        _column("reference", "Reference", "dropdown", "200px", "Short name of the reference"),
        _column("target_region_filepath", "Target Regions BED File", "dropdown", "200px", "Path of the target BED"),
        _column("hotspot_filepath", "Hotspot Regions BED File", "dropdown", "200px", "Path of the hotspot BED"),
        _column("nucleotide_type", "DNA/RNA", "dropdown", "80px", "DNA or RNA"),
    )
}
"""Columns that the framework knows."""

CUSTOM_COLUMNS = {
    f"{CUSTOM}{kind}": _column(f"my_{kind}", f"my_{kind}", f"{CUSTOM}{kind}", width, meaning)
    for kind, width, meaning in (
        ("checkbox", "80px", "A tick of the plugin's own"),
        ("input", "150px", "A text of the plugin's own"),
        ("dropdown", "150px", "A choice of the plugin's own; options is a list of {display, value}"),
    )
}


def available_columns():
    """What ``--bctable-columns`` prints: the known columns by field, then the three custom ones whole."""
    known = [{key: COLUMNS[field][key] for key in ("field", "description", "editable")} for field in sorted(COLUMNS)]
    custom = [dict(column) for column in CUSTOM_COLUMNS.values()]
    custom[-1]["options"] = [{"display": "Option 1", "value": "option_1"}]
    return known + custom


def table_columns(requests, *, has_barcodes=True, options=None):
    """Descriptors of the columns that a plugin asks for, in its order.

    Parameters
    ----------
    requests : list of dict
        What `IonPlugin.barcodetable_columns` returned.
    has_barcodes : bool
        Without, the column `barcode_name` is left out.
    options : dict, optional
        Options of the known dropdowns by field: lists of ``{"display", "value"}``, of BED files with ``reference``.

    Raises
    ------
    InputError
        If a field is neither known nor custom, or a request is no object with a field.
    """
    options = {"nucleotide_type": list(NUCLEOTIDES), **(options or {})}
    columns = []
    for request in requests:
        if not isinstance(request, dict) or not isinstance(request.get("field"), str):
            raise InputError(f"barcodetable_columns: {request!r} is no object with a text `field`; correct the plugin.")
        field = request["field"]
        if field in COLUMNS:
            column = dict(COLUMNS[field])
            column["editable"] = column["editable"] and bool(request.get("editable", True))
            if column["type"] == "dropdown":
                column["options"] = options.get(field, [])
        elif request.get("type") in CUSTOM_COLUMNS:
            kind = request["type"]
            defaults = {**CUSTOM_COLUMNS[kind], "title": field, "description": "", "options": None}
            column = {**defaults, **request, "type": kind.removeprefix(CUSTOM)}
        else:
            raise InputError(
                f"barcodetable_columns: field {field!r} is not known and has no custom type; known are "
                f"{', '.join(COLUMNS)}; types are {', '.join(CUSTOM_COLUMNS)}."
            )
        if has_barcodes or field != "barcode_name":
            columns.append(column)
    return columns


def table_rows(barcodes, columns):
    """Rows as a plugin's `barcodetable_data` gets them: the entries of barcodes.json by index.

    Each has `selected` (whether there is a sample), and an empty value in every column that it lacks.
    """
    rows = [{**entry, "selected": bool(entry.get("sample"))} for entry in barcodes.values()]
    for row in rows:
        for column in columns:
            row.setdefault(column["field"], False if column["type"] == "checkbox" else "")
    return sorted(rows, key=lambda row: row.get("barcode_index", 0))


def shown_rows(rows, columns):
    """What a plugin's `barcodetable_data` returned, reduced to the fields of `columns`.

    Raises
    ------
    InputError
        If nothing is left, or what is there is no list of objects.
    """
    if not rows or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("barcodetable_data: must return a list of objects, one per row; correct the plugin.")
    fields = [column["field"] for column in columns]
    return [{field: row[field] for field in fields if field in row} for row in rows]
