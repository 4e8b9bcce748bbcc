"""JSON files as the original and its plugins read and write them."""

import json
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole


def read_json(path):
    """The content of a JSON file. NaN and Infinity, which the original writes, are accepted.

    Raises
    ------
    InputError
        If the file is missing or not JSON; names the line.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); write it again.") from error


def write_json(path, content, *, indent=2):
    """Write `content` whole or not at all; NumPy values become plain ones, NaN becomes null.

    Lists of numbers and texts stand on one line: histograms of a line per bin made the original's files large.
    """
    write_whole(path, _text(_plain(content), indent, "\n") + "\n")


def _text(value, indent, newline):
    if isinstance(value, dict) and value:
        inner = newline + " " * indent
        items = (f"{_scalar(key)}: {_text(item, indent, inner)}" for key, item in value.items())
        return "{" + inner + f",{inner}".join(items) + newline + "}"
    if isinstance(value, list) and any(isinstance(item, dict | list) and item for item in value):
        inner = newline + " " * indent
        return "[" + inner + f",{inner}".join(_text(item, indent, inner) for item in value) + newline + "]"
    return _scalar(value)


def _scalar(value):
    """A value without objects or lists in it, or a list of such values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
