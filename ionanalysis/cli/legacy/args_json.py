"""Argument files of `Analysis` and `justBeadFind`, and our own presets for each chip (sigproc.md 7.1, 1.10)."""

import re
from functools import lru_cache
from importlib.resources import files
from json import loads
from pathlib import Path

from ionanalysis.cli.legacy.flags import convert
from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.jsonfile import read_json

GROUPS = (
    "BeadfindControlOpts",
    "BkgModelControlOpts",
    "DebugMe",
    "FlowContext",
    "GlobalDefaultsForBkgModel",
    "GpuControlOpts",
    "ImageControlOpts",
    "KeyContext",
    "LocalSigProcControl",
    "ModuleControlOpts",
    "ObsoleteOpts",
    "SignalProcessingBlockControl",
    "SpatialContext",
    "SystemContext",
    "ThumbnailControl",
    "TraceControl",
)
"""Groups of an argument file. Only `ThumbnailControl` means more than a heading."""


def load_arguments(path, note):
    """Groups of the argument file at `path`, or of our preset for the chip that its name tells.

    Parameters
    ----------
    path : path
        Value of ``--args-json`` or ``--args-beadfind-json``.
    note : callable
        Gets a sentence when the preset is used.

    Raises
    ------
    InputError
        If there is no such file and its name is none of a preset, or it is no argument file.
    """
    path = Path(path)
    if path.exists():
        content = read_json(path)
        if not isinstance(content, dict):
            raise InputError(f"{path}: must hold an object of groups such as SpatialContext; check the file.")
        return content
    named = re.fullmatch(r"args_(.+?)(_thumbnail)?_(analysis|beadfind)\.json", path.name)
    if not named:
        raise InputError(f"{path}: there is no such file; give an argument file, or leave the option out.")
    groups = preset(named[1])
    note(f"{path} is not there; our preset for chip {named[1]} is used.")
    return groups


@lru_cache
def _chips():
    return loads(files("ionanalysis.cli.legacy").joinpath("chips.json").read_text("ascii"))


def preset(chip):
    """Our argument groups for a chip, in the shape of an argument file.

    Raises
    ------
    UsageError
        If the chip is none of ours.
    """
    table = _chips()
    known = []
    for family in table["families"].values():
        known += family["chips"]
        if chip.lower() in family["chips"]:
            groups = {group: {key: family[key] for key in keys} for group, keys in table["groups"].items()}
            return {
                "chipType": chip,
                **groups,
                "ThumbnailControl": {
                    "region-size": family["thumbnail-region-size"],
                    "beadfind-mesh-step": [100, 100],
                },
            }
    raise UsageError(f"there is no preset for chip {chip!r}; give --args-json FILE or use one of {', '.join(known)}.")


def flattened(groups, thumbnail):
    """Values of an argument file by name (``-`` for ``_``); `ThumbnailControl` wins if `thumbnail`."""
    values: dict = {}
    overrides: dict = {}
    for group, content in groups.items():
        if not isinstance(content, dict):
            continue
        target = overrides if group == "ThumbnailControl" else values
        target.update({key.replace("_", "-").lower(): value for key, value in content.items()})
    return values | (overrides if thumbnail else {})


def flag_values(table, values, path):
    """Values by flag name of those entries that `table` knows, and the names of the others.

    Raises
    ------
    UsageError
        If a value is not of its flag's kind.
    """
    known, unknown = {}, []
    for name, value in values.items():
        flag = table.find(name)
        if flag is None:
            unknown.append(name)
        else:
            known[flag.name] = convert(flag.kind, _as_text(value), f"{name} in {path}")
    return known, unknown


def _as_text(value):
    """A JSON value as it would stand on the command line."""
    if isinstance(value, list):
        return ",".join(map(_as_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
