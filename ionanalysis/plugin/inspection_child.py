"""The process in which `inspect_plugin` imports a plugin: ``python -m … NAME.py ANSWER.json``."""

import hashlib
import importlib.util
import json
import os
import resource
import sys
import traceback
from pathlib import Path

from ionanalysis.plugin.base import REGISTRY
from ionanalysis.plugin.info import Problem, info_object
from ionanalysis.plugin.python2_syntax import problems_of_source, python2_problems

_MAX_FILE = 64 << 20
"""Bytes that the plugin may write to a file while it is inspected, its output included."""


def main(script, answer_path):
    script = Path(script)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE, _MAX_FILE))
    answer = describe(script)
    with Path(answer_path).open("w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the plugin has left running must not keep this process alive.
    os._exit(0)


def describe(script):
    """The info object with more, or ``{"error": one sentence without the file's name}``."""
    try:
        ending = _import(script)
    except SyntaxError as error:
        return {"error": f"{_told_syntax(error, script)} Python 3 cannot run it; correct the plugin."}
    except BaseException as error:
        return {"error": f"cannot be imported: {_told(error, script)}."}
    plugin_class = REGISTRY.get(script.stem)
    if plugin_class is None:
        others = ", ".join(sorted({cls.__name__ for cls in REGISTRY.values()})) or "none"
        return {
            "error": f"{ending}defines no class {script.stem} that derives from IonPlugin (found: {others}); "
            "folder, file and class must have the same name."
        }
    try:
        return _answers(plugin_class, script)
    except BaseException as error:
        return {"error": f"the class cannot be asked what it is: {_told(error, script)}."}


def _import(script):
    """Import the file under a private name; return words for how it ended."""
    name = f"plugin_{hashlib.md5(str(script).encode(), usedforsecurity=False).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # The plugin's own folder takes the place that it has when the file is executed.
    before, sys.path[0] = sys.path[0], str(script.parent)
    # Should the file call PluginCLI() without its guard, nothing is launched.
    sys.argv = [str(script), "--dry-run"]
    try:
        spec.loader.exec_module(module)
    except SystemExit as leave:
        return f"leaves with sys.exit({'' if leave.code is None else repr(leave.code)}) and "
    finally:
        if str(script.parent) in sys.path:
            sys.path[sys.path.index(str(script.parent))] = before
    return ""


def _answers(plugin_class, script):
    plugin = plugin_class()
    answer = info_object(plugin)
    answer["config"] = json.loads(json.dumps(answer["config"]))
    answer["author"] = str(getattr(plugin, "author", ""))
    problems = python2_problems(script.parent)
    try:
        answer["barcode_columns"] = list(plugin.barcodetable_columns() or [])
    except Exception as error:
        # Asked before there is a run: a table that needs one is no reason to refuse the plugin.
        answer["barcode_columns"] = []
        problems.append(Problem(script.name, 1, f"barcodetable_columns: {_told(error, script)}"))
    answer["problems"] = [(problem.file, problem.line, problem.message) for problem in problems]
    json.dumps(answer)
    return answer


def _told_syntax(error, script):
    """What is wrong with a line that does not parse, in the plugin's file or in one that it imports."""
    broken = Path(error.filename or script)
    name = str(broken.relative_to(script.parent)) if broken.is_relative_to(script.parent) else str(broken)
    if broken.is_file():
        problems = [
            problem for problem in problems_of_source(broken.read_bytes(), name) if problem.line == error.lineno
        ]
        if problems:
            return f"{problems[0]}."
    return f"{name}, line {error.lineno}: {error.msg}."


def _told(error, script):
    """An exception in words, with the line of the plugin's own code that it came from."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if script.parent in Path(frame.filename).parents
    ]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}{': ' if text else ''}{text[:300].rstrip('.')}{where}"


if __name__ == "__main__":
    main(*sys.argv[1:])
