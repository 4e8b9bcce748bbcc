"""What plugins left on a report, as the page of a report lists it (plugin.md 6.5)."""

import os
import re

from ionanalysis.rundb.life.folders import (
    is_block,
    pages_in,
    plugin_folder,
    plugin_folder_name,
    report_folder,
    shown_path,
)
from ionanalysis.rundb.life.plugin_rows import is_running, state_of
from ionanalysis.rundb.protocol import RESOURCES


def url_of(report, folder_name):
    """Where the files of a plugin result are served."""
    return f"{report.reportLink.rstrip('/')}/plugin_out/{folder_name}/"


def plugin_listing(request, report, rows, *, is_major):
    """Entries of plugin results by name; of folders without a row, too, unless `is_major` asks for one kind.

    Parameters
    ----------
    request : django.http.HttpRequest
        Its session knows which plugins are to be shown.
    report : ionanalysis.rundb.models.Results
    rows : list of ionanalysis.rundb.models.PluginResult
    is_major : bool or None
        Only those of plugins with a block in the report itself, or without.
    """
    shown = request.session.get("shown_plugins", {})
    known = {plugin_folder_name(row) for row in rows}
    listed = [_listed(request, row, is_major, shown) for row in rows if is_major in (None, row.plugin.majorBlock)]
    listed += _unknown(report, known, shown) if is_major is None else []
    return sorted(listed, key=lambda one: one["Name"].lower())


def _listed(request, row, major, shown):
    pages = pages_in(plugin_folder(row))
    jobs = RESOURCES["PluginResultJob"]()
    name = plugin_folder_name(row)
    return {
        "Name": row.plugin.name,
        "Version": row.plugin.version,
        "Path": f"{shown_path(row.result)}/plugin_out/{name}",
        "URL": url_of(row.result, name),
        "Files": [page for page in pages if is_block(page)] if major else pages,
        "Links": [page for page in pages if not is_block(page)],
        "Major": row.plugin.majorBlock,
        "Size": row.size,
        "inodes": row.inodes,
        "id": row.pk,
        "show": bool(shown.get(row.plugin.name, True)),
        "can_terminate": is_running(row),
        "plugin_result_jobs": [jobs.shown(request, job, in_list=True) for job in row.plugin_result_jobs.all()],
        "State": state_of(row),
        "validation_errors": row.problems or [],
    }


def _unknown(report, known, shown):
    """Entries of plugin folders that no row stands for."""
    folder = report_folder(report)
    place = folder / "plugin_out" if folder else None
    if place is None or not place.is_dir():
        return []
    found = []
    for name in sorted(set(os.listdir(place)) - known):  # noqa: PTH208 (names only)
        plugin = re.fullmatch(r"(\w+)_out(\.\d+)?", name, re.ASCII)
        if not plugin or not (place / name).is_dir() or (place / name).is_symlink():
            continue
        pages = pages_in(place / name)
        found.append(
            {
                "Name": plugin[1],
                "Version": "",
                "Path": str(place / name),
                "URL": url_of(report, name),
                "Files": pages,
                "Links": [page for page in pages if not is_block(page)],
                "Major": False,
                "Size": -1,
                "inodes": -1,
                "id": None,
                "show": bool(shown.get(plugin[1], True)),
                "can_terminate": False,
                "plugin_result_jobs": [],
                "State": "Unknown",
                "validation_errors": [],
            }
        )
    return found
