"""Where the files of a report lie, what they are called on the wire, and how much space they take.

Only `Results.folder`, which no request can set, leads to files. Names that requests can set (of plugins, say) never
lead out of that folder.
"""

import os
import re
from pathlib import Path

from ionanalysis.plugin.startplugin import DATA_KINDS
from ionanalysis.plugin.watch import folder_usage

SIGNAL_INPUT, CALLING_INPUT, OUTPUT, INTERMEDIATE = DATA_KINDS
"""The sets of files that the original keeps or disposes of separately."""

_MB = 2**20
_PAGE = (".html", ".php")


def report_folder(report):
    """The folder of a report's files, or None where it has none or it is gone.

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results

    Returns
    -------
    Path or None
    """
    if not report.folder:
        return None
    folder = Path(report.folder)
    return folder if folder.is_dir() else None


def shown_path(report):
    """The path that the API shows: of the files; for a report without, where its storage would have them."""
    if report.folder:
        return report.folder
    storage = report.reportstorage
    return storage.dirPath + report.reportLink.removeprefix(storage.webServerPath).rstrip("/")


def plugin_folder_name(result):
    """`NAME_out.NUMBER` of a plugin result."""
    return f"{result.plugin.name}_out.{result.number if result.number is not None else result.pk}"


def plugin_folder(result):
    """The folder of a plugin result's files, or None.

    Parameters
    ----------
    result : ionanalysis.rundb.models.PluginResult
    """
    folder = report_folder(result.result)
    return None if folder is None else child_folder(folder / "plugin_out", plugin_folder_name(result))


def child_folder(parent, name):
    """The folder called `name` right below `parent`; None if there is none, or a link in its place."""
    if not re.fullmatch(r"\w[\w.+-]*", name, re.ASCII):
        return None
    folder = parent / name
    return folder if folder.is_dir() and not folder.is_symlink() else None


def pages_in(folder):
    """Names of the pages that a plugin left at the top of its folder, sorted."""
    if folder is None:
        return []
    return sorted(name for name in os.listdir(folder) if name.endswith(_PAGE))  # noqa: PTH208 (names only)


def is_block(page):
    """Whether a page is to be shown in the report itself."""
    return page.endswith(tuple(f"_block{ending}" for ending in _PAGE))


def disk_space(folder, raw_dir):
    """Space of each set of a report's files, MB.

    Parameters
    ----------
    folder : Path
        Of the result.
    raw_dir : Path
        Of the images.

    Returns
    -------
    dict of str to float
    """
    signals = sum(_own_bytes(path) for path in folder.glob("sigproc_results/**/1.wells"))
    outputs = sum(_own_bytes(path) for pattern in _OUTPUTS for path in folder.glob(pattern))
    outputs += folder_usage(folder / "plugin_out")[0]
    all_bytes = folder_usage(folder)[0]
    if raw_dir.resolve() == folder.resolve() or not raw_dir.is_dir():
        raw = 0
    else:
        raw = sum(_own_bytes(path) for pattern in ("*.dat", "X*_Y*/*.dat") for path in raw_dir.glob(pattern))
    found = {
        SIGNAL_INPUT: raw,
        CALLING_INPUT: signals,
        OUTPUT: outputs,
        INTERMEDIATE: max(0, all_bytes - signals - outputs),
    }
    return {name: n_bytes / _MB for name, n_bytes in found.items()}


_OUTPUTS = ("*.bam", "*.bam.bai", "basecaller_results/*.bam", "basecaller_results/*.bam.bai")


def _own_bytes(path):
    """Bytes on disk of a file; a link counts as itself."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0
