"""The process in which a plugin's code answers a question (`questions.ask_code`): ``python -m … REQUEST ANSWER``."""

import hashlib
import importlib.util
import json
import os
import resource
import sys
import traceback
from pathlib import Path

from ionanalysis.plugin.base import REGISTRY

_MAX_FILE = 64 << 20
"""Bytes that the code may write to a file, its output included."""


def main(request_path, answer_path):
    request = json.loads(Path(request_path).read_text("utf-8"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE, _MAX_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (request["memory"], request["memory"]))
    script = Path(request["script"])
    try:
        text = json.dumps(QUESTIONS[request["question"]](script, request), default=_plain)
    except BaseException as error:
        # Also SystemExit: what the plugin raises is an answer, not the end of this process.
        text = json.dumps({"error": f"{_told(error, script)}."})
    Path(answer_path).write_text(text, encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the plugin has left running must not keep this process alive.
    os._exit(0)


def _describe(script, request):
    """The info object with more: what `inspection.inspect_plugin` makes a `PluginInfo` of."""
    from ionanalysis.plugin.info import Problem, info_object
    from ionanalysis.plugin.python2_syntax import python2_problems

    try:
        plugin_class = _plugin_class(script)
    except SyntaxError as error:
        return {"error": f"{_told_syntax(error, script)} Python 3 cannot run it; correct the plugin."}
    except _NoClassError as error:
        return {"error": str(error)}
    except BaseException as error:
        return {"error": f"cannot be imported: {_told(error, script)}."}
    try:
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
    except BaseException as error:
        return {"error": f"the class cannot be asked what it is: {_told(error, script)}."}


def _validate(script, request):
    plugin = _plugin_class(script)()
    return {"value": [str(issue) for issue in plugin.validate(request["config"], request["mode"]) or ()]}


def _rows(script, request):
    plugin = _plugin_class(script)()
    return {"value": plugin.barcodetable_data(request["rows"], request["planconfig"], request["globalconfig"])}


def _extend(script, request):
    path = script.with_name("extend.py")
    function = getattr(_load(path, path.parent.name), request["function"], None)
    if not callable(function):
        return {"missing": f"extend.py has no function {request['function']}."}
    return {"value": function(request["bucket"])}


QUESTIONS = {"describe": _describe, "validate": _validate, "rows": _rows, "extend": _extend}


class _NoClassError(Exception):
    """The file has no class of its own name."""


def _plugin_class(script):
    """The class of the plugin, from its file."""
    # Should the file call PluginCLI() without its guard, nothing is launched.
    sys.argv = [str(script), "--dry-run"]
    ending = ""
    try:
        _load(script, f"plugin_{hashlib.md5(str(script).encode(), usedforsecurity=False).hexdigest()}")
    except SystemExit as leave:
        # Its class may have been made before it left.
        ending = f"leaves with sys.exit({'' if leave.code is None else repr(leave.code)}) and "
    if script.stem not in REGISTRY:
        others = ", ".join(sorted({cls.__name__ for cls in REGISTRY.values()})) or "none"
        raise _NoClassError(
            f"{ending}defines no class {script.stem} that derives from IonPlugin (found: {others}); "
            "folder, file and class must have the same name."
        )
    return REGISTRY[script.stem]


def _load(path, name):
    """The module of a file, under a name that hides no other."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # The plugin's own folder takes the place that it has when the file is executed.
    sys.path[0] = str(path.parent)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _plain(value):
    """NumPy values as plain ones, sets as lists; `json` calls it for what it does not know."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{value!r} cannot be given back as JSON")


def _told_syntax(error, script):
    """What is wrong with a line that does not parse, in the plugin's file or in one that it imports."""
    from ionanalysis.plugin.python2_syntax import problems_of_source

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
