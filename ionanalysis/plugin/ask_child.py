"""The process in which a plugin's code answers a question: ``python -m … REQUEST.json ANSWER.json``."""

import contextlib
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
    try:
        answer = QUESTIONS[request["question"]](request)
        text = json.dumps(answer, default=_plain)
    except BaseException as error:
        # Also SystemExit: what the plugin raises is an answer, not the end of this process.
        text = json.dumps({"error": _told(error, Path(request["script"]).parent)})
    Path(answer_path).write_text(text, encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the plugin has left running must not keep this process alive.
    os._exit(0)


def _validate(request):
    plugin = _plugin(Path(request["script"]))
    return {"value": [str(issue) for issue in plugin.validate(request["config"], request["mode"]) or ()]}


def _rows(request):
    plugin = _plugin(Path(request["script"]))
    rows = plugin.barcodetable_data(request["rows"], request["planconfig"], request["globalconfig"])
    return {"value": rows}


def _extend(request):
    path = Path(request["script"]).with_name("extend.py")
    module = _load(path, path.parent.name)
    function = getattr(module, request["function"], None)
    if not callable(function):
        return {"missing": f"extend.py has no function {request['function']}."}
    return {"value": function(request["bucket"])}


QUESTIONS = {"validate": _validate, "rows": _rows, "extend": _extend}


def _plugin(script):
    """An instance of the plugin's class."""
    # Should the file call PluginCLI() without its guard, nothing is launched.
    sys.argv = [str(script), "--dry-run"]
    # Should it leave all the same, its class may have been made before.
    with contextlib.suppress(SystemExit):
        _load(script, f"plugin_{script.stem}")
    return REGISTRY[script.stem]()


def _load(path, name):
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


def _told(error, folder):
    """An exception in words, with the line of the plugin's own code that it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if folder in Path(frame.filename).parents]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = str(error).splitlines()[0][:300] if str(error) else ""
    return f"{type(error).__name__}: {text.rstrip('.')}{where}."


if __name__ == "__main__":
    main(*sys.argv[1:])
