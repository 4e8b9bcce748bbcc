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
    """Write `content` whole or not at all; NumPy values become plain ones, NaN becomes null."""
    write_whole(path, json.dumps(_plain(content), indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


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
