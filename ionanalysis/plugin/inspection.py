"""What a plugin is, found without letting its code into our process (plugin.md 2.7, 2.9, and 9, numbers 32 to 35)."""

import contextlib
import json
import keyword
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.plugin.base import UNKNOWN
from ionanalysis.plugin.constants import RunType
from ionanalysis.plugin.info import PluginInfo, Problem
from ionanalysis.plugin.interpreter import python_path

TIME_LIMIT_S = 30.0
RESERVED_NAMES = frozenset({"scratch", "implementations", "archive"})
"""Folders of a plugin root that are no plugins."""

_MAX_ANSWER = 4 << 20
"""Bytes of an answer: descriptions are short."""

_SHELL_VERSION = re.compile(r"""VERSION\s*=\s*["']?([\w.\-]+)""")


class PluginError(InputError):
    """A folder is no plugin, or its code cannot be loaded; the message says which and why."""


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
    answer = _ask(folder, script, time_limit_s, tier)
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


def _ask(folder, script, time_limit_s, tier):
    """The answer of the child process as an object."""
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(tier),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DIRNAME": str(folder),
        "PLUGIN_PATH": str(folder),
        "PLUGINNAME": folder.name,
    }
    with tempfile.TemporaryDirectory(prefix="ionanalysis-inspect-", ignore_cleanup_errors=True) as scratch:
        working_dir, answer_path = Path(scratch, "work"), Path(scratch, "answer.json")
        working_dir.mkdir()
        with Path(scratch, "output.txt").open("w+b") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "ionanalysis.plugin.inspection_child", str(script), str(answer_path)],
                cwd=working_dir,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                exit_code = child.wait(time_limit_s)
            except subprocess.TimeoutExpired:
                raise PluginError(
                    f"{script}: did not finish loading within {time_limit_s:g} s; code outside of functions must be "
                    "short, and PluginCLI() belongs under `if __name__ == '__main__':`."
                ) from None
            finally:
                # Whatever it has started lives in its session and ends with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            last_words = _last_line(output)
        answer = _read_answer(answer_path)
    if answer is None:
        raise PluginError(
            f"{script}: its process ended with code {exit_code} while it was loaded"
            f"{f' ({last_words})' if last_words else ''}; a plugin file must be importable."
        )
    if "error" in answer:
        raise PluginError(f"{script}: {answer['error']}")
    return answer


def _last_line(output):
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - 1000))
    lines = output.read().decode("utf-8", "replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def _read_answer(path):
    try:
        if path.stat().st_size > _MAX_ANSWER:
            return {"error": f"its description is longer than {_MAX_ANSWER >> 20} MiB; shorten it."}
        answer = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _python_plugin(folder, script, answer):
    """`PluginInfo` of an answer, which the plugin's code may have written: nothing in it is taken on trust."""
    try:
        return PluginInfo(
            name=folder.name,
            version=str(answer["version"]),
            path=folder,
            script=script,
            **{key: tuple(map(str, answer[key])) for key in ("runtypes", "runlevels", "features", "depends")},
            major_block=bool(answer["major_block"]),
            requires_configuration=bool(answer["requires_configuration"]),
            author=str(answer["author"]),
            docs=str(answer["docs"]),
            config=answer["config"],
            barcode_columns=tuple(dict(column) for column in answer["barcode_columns"]),
            problems=tuple(Problem(str(file), int(line), str(text)) for file, line, text in answer["problems"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PluginError(f"{script}: describes itself in a way that is not understood ({error!r}).") from None


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
