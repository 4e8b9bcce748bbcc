"""Files of a new plugin: what `ionanalysis plugin new` writes."""

import shutil
import tempfile
from pathlib import Path

from ionanalysis.errors import OutputError
from ionanalysis.plugin.inspection import check_name
from ionanalysis.plugin.questions import PluginError

_FILES = Path(__file__).parent / "template_files"
_NAME = "BarcodesExample"
"""Stands for the plugin's name in the files."""


def write_template(name, target):
    """Write the folder of a new plugin, whole or not at all.

    Parameters
    ----------
    name : str
    target : path
        Folder in which ``name/`` is made.

    Returns
    -------
    folder : Path

    Raises
    ------
    PluginError
        If the name cannot be that of a plugin, or the folder is there already.
    OutputError
        If it cannot be written.
    """
    check_name(name)
    folder = Path(target) / name
    if folder.exists():
        raise PluginError(f"{folder}: is there already; choose another name or place.")
    try:
        Path(target).mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target))
        try:
            for source in sorted(_FILES.iterdir()):
                text = source.read_text("utf-8").replace(_NAME, name)
                (staging / source.name.replace(_NAME, name).removesuffix(".txt")).write_text(text, "utf-8")
            staging.chmod(0o755)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another place.") from error
    return folder
