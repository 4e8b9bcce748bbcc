"""What a plugin is, found without letting its code into our process (plugin.md 2.7, 2.9, and 9, numbers 32 to 35)."""

import json
import keyword
import re
from pathlib import Path

from ionanalysis.plugin.base import UNKNOWN
from ionanalysis.plugin.constants import RunType
from ionanalysis.plugin.info import PluginInfo, Problem
from ionanalysis.plugin.questions import TIME_LIMIT_S, PluginError, ask_code, one_line

RESERVED_NAMES = frozenset({"scratch", "implementations", "archive"})
"""Folders of a plugin root that are no plugins."""

_LONGEST_VERSION = 100
_SHELL_VERSION = re.compile(r"""VERSION\s*=\s*["']?([\w.\-]+)""")


def inspect_plugin(folder, *, time_limit_s=TIME_LIMIT_S, tier="compat"):
    """What the plugin in `folder` is.

    ``NAME/NAME.py`` is imported in a process of its own, in an empty working directory, and killed with all
    that it started when the time is over. ``NAME/launch.sh`` counts where there is no ``NAME.py``; it is only read.

    Parameters
    ----------
    folder : path
    time_limit_s : float
        Seconds for import and questions together.
    tier : {"native", "compat", "legacy"}
        How Python is set up (`ionanalysis.plugin.interpreter`).

    Returns
    -------
    PluginInfo

    Raises
    ------
    PluginError
        If the name is not usable, there is no script, or the class cannot be loaded in time.
    """
    folder = Path(folder).absolute()
    script = plugin_script(folder)
    if script.name == "launch.sh":
        return _shell_plugin(folder, script)
    answer = ask_code(script, "describe", subject=str(script), tier=tier, time_limit_s=time_limit_s)
    return _python_plugin(folder, script, answer)


def plugin_script(folder):
    """``NAME.py``, else ``launch.sh``, of a plugin folder.

    Raises
    ------
    PluginError
        If there is neither, or the folder's name is no plugin name.
    """
    folder = Path(folder)
    check_name(folder.name)
    for name in (f"{folder.name}.py", "launch.sh"):
        if (folder / name).is_file():
            return folder / name
    raise PluginError(f"{folder}: is no plugin; expected {folder.name}.py (or launch.sh) in it.")


def check_name(name):
    """Raise `PluginError` unless `name` can be that of a plugin: folder, file and class are called so."""
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        raise PluginError(
            f"{name!r}: is no plugin name; folder, file and class share it, so it must be letters, digits and "
            "underscores, no digit first."
        )
    if name in RESERVED_NAMES:
        raise PluginError(f"{name}: is reserved for the plugin system; choose another name.")


def _python_plugin(folder, script, answer):
    """`PluginInfo` of an answer, which the plugin's code may have written: nothing in it is taken on trust."""
    try:
        return PluginInfo(
            name=folder.name,
            version=_version(script, answer["version"]),
            path=folder,
            script=script,
            **{key: tuple(map(str, answer[key])) for key in ("runtypes", "runlevels", "features", "depends")},
            major_block=bool(answer["major_block"]),
            requires_configuration=bool(answer["requires_configuration"]),
            author=one_line(answer["author"]),
            docs=str(answer["docs"]),
            config=answer["config"],
            barcode_columns=tuple(dict(column) for column in answer["barcode_columns"]),
            problems=tuple(
                Problem(one_line(file), int(line), one_line(text)) for file, line, text in answer["problems"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PluginError(f"{script}: describes itself in a way that is not understood ({error!r}).") from None


def _version(script, version):
    """A version, which stands in lists, in a script and in a folder's name."""
    text = str(version)
    if not text.isprintable() or len(text) > _LONGEST_VERSION:
        raise PluginError(f"{script}: its version is no short text on one line ({one_line(text, 40)}); correct it.")
    return text


def _shell_plugin(folder, script):
    """A legacy plugin. Lists missing from ``pluginsettings.json`` are empty; without the file it takes two types."""
    text = script.read_text(encoding="utf-8", errors="replace")
    found = next((match for line in text.splitlines() if (match := _SHELL_VERSION.search(line))), None)
    path = folder / "pluginsettings.json"
    settings = {"runtypes": [RunType.FULLCHIP, RunType.THUMB]}
    if path.is_file():
        try:
            settings = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise PluginError(f"{path}: is not valid JSON ({error}); correct it.") from None
        if not isinstance(settings, dict):
            raise PluginError(f"{path}: must hold an object of lists.")
    return PluginInfo(
        name=folder.name,
        version=found[1] if found else "0",
        path=folder,
        script=script,
        **{key: _setting(path, settings, key) for key in ("runtypes", "runlevels", "features", "depends")},
        major_block=re.search(r"^#MAJOR_?BLOCK", text, re.M) is not None,
        author=UNKNOWN,
    )


def _setting(path, settings, plural):
    """A list in either spelling."""
    value = settings.get(plural, settings.get(plural.removesuffix("s"), []))
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PluginError(f"{path}: {plural} must be a list of texts.")
    return tuple(value)
