"""How the Python of a plugin process is set up (plugin.md 8.1)."""

import os
from pathlib import Path

TIERS = ("native", "compat", "legacy")
"""native: this Python with package `ion`; compat: with the compatibility layer, too; legacy: as compat, and programs
that the plugin starts find a Python 2.7."""

ION_PATH = Path(__file__).parent / "site"
"""Folder that holds the package `ion`."""

LAYER_PATH = Path(__file__).parent / "layer"
"""Folder that holds the `sitecustomize` of the compatibility layer."""


def python_path(tier="compat", inherited=None):
    """Value of PYTHONPATH for a plugin process.

    Parameters
    ----------
    tier : {"native", "compat", "legacy"}
    inherited : str, optional
        PYTHONPATH of the calling process, kept behind ours and made absolute; from the environment by default.
    """
    inherited = os.environ.get("PYTHONPATH", "") if inherited is None else inherited
    ours = [str(ION_PATH)] if tier == "native" else [str(LAYER_PATH), str(ION_PATH)]
    kept = [str(Path(part).absolute()) for part in inherited.split(os.pathsep) if part]
    kept = [part for part in kept if part not in ours]
    return os.pathsep.join([*ours, *kept])
