"""The barcode table of a plugin on a result, as its page finds it (plugin.md 4.6)."""

from pathlib import Path

from ionanalysis.plugin.ask import barcode_rows
from ionanalysis.plugin.barcode_table import shown_rows, table_columns, table_rows
from ionanalysis.plugin.barcodes import barcodes_json
from ionanalysis.plugin.homes import reference_library
from ionanalysis.plugin.inputs import barcode_sources, report_facts


def launch_table(result_dir, record, plan_config=None):
    """Columns and rows; both empty if the plugin asks for none.

    Parameters
    ----------
    result_dir : Path
    record : PluginRecord
    plan_config : dict, optional
        The plugin's configuration in the run's plan.
    """
    if not record.info.barcode_columns:
        return [], []
    params = report_facts(result_dir).params
    entries = barcodes_json(barcode_sources(result_dir, params, reference_library=reference_library()))
    has_barcodes = "nonbarcoded" not in entries
    columns = table_columns(
        record.info.barcode_columns, has_barcodes=has_barcodes, options=_table_options(entries.values())
    )
    rows = table_rows(entries, columns)
    changed = barcode_rows(record, rows, plan_config or {}, record.config or {})
    return columns, shown_rows(changed, columns)


def _table_options(entries):
    """Choices of the known dropdowns: references of the library, and BED files that this result names."""
    names = {entry["reference"] for entry in entries if entry["reference"]}
    library = reference_library()
    if library.is_dir():
        names |= {path.stem for pattern in ("*.fasta", "*/*.fasta", "*/*/*.fasta") for path in library.glob(pattern)}
    options = {"reference": [{"display": f"{name} ({name})", "value": name} for name in sorted(names)]}
    for field in ("target_region_filepath", "hotspot_filepath"):
        named = sorted({(entry[field], entry["reference"]) for entry in entries if entry[field]})
        options[field] = [
            {"display": Path(path).name, "value": path, "reference": reference} for path, reference in named
        ]
    return options
