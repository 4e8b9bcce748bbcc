"""The run log with typed values: ``ion.utils.explogparser`` (plugin.md 7 and 1.6)."""

import re
from pathlib import Path

from ionanalysis.io.explog import entries_of_text, normal_key

_INTEGERS = frozenset(["flows", "cycles", "rows", "columns", "datacollect_version", "liveview_version", "oversample"])
_FLOATS = frozenset(["gain", "dac", "frame_time"])
_YES_OR_NO = frozenset(["autoanalyze", "prebeadfind", "use_synchdacs"])
_BLOCK = re.compile(r"block_\d+|blockstatus|thumbnail_\d+")


def parse_log(text):
    """A dict of the log's entries by key (`ionanalysis.io.explog.normal_key`), blocks and thumbnails apart.

    Parameters
    ----------
    text : str
        Content of ``explog.txt`` or ``explog_final.txt``.

    Returns
    -------
    values : dict
        Texts; ``int`` for `flows`, `cycles` and other counts, ``float`` for `gain`, `dac` and `frame_time`, ``bool``
        for `autoanalyze` and `prebeadfind`; a value that is not what its key says stays text. Lists `blocks` and
        `thumbnails` hold the texts of their lines.
    """
    values: dict = {"blocks": [], "thumbnails": []}
    for key, text_value in entries_of_text(text):
        key = normal_key(key)
        if not key:
            continue
        if _BLOCK.fullmatch(key):
            values["thumbnails" if _is_thumbnail(key, text_value) else "blocks"].append(text_value)
        elif key not in values:
            values[key] = _typed(key, text_value)
    return values


def load_log_path(path):
    """`parse_log` of a file."""
    return parse_log(Path(path).read_text(encoding="utf-8", errors="replace"))


def load_log(folder, name="explog.txt"):
    """`parse_log` of a log in a folder, or None if it is not there."""
    path = Path(folder) / name
    return load_log_path(path) if path.is_file() else None


def _is_thumbnail(key, line):
    return "thumbnail" in f"{key} {line}".lower() or re.search(r"\bW0\b.*\bH0\b", line) is not None


def _typed(key, text):
    try:
        if key in _INTEGERS:
            return int(text)
        if key in _FLOATS:
            return float(text)
    except ValueError:
        return text
    if key in _YES_OR_NO and text.lower() in ("yes", "no", "true", "false", "1", "0"):
        return text.lower() in ("yes", "true", "1")
    return text
