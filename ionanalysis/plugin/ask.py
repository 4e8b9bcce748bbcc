"""Asks a plugin's own code something, without letting it into our process: each question has a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ionanalysis.plugin.environment import proxy_variables, without_secrets
from ionanalysis.plugin.inspection import PluginError
from ionanalysis.plugin.interpreter import python_path

TIME_LIMIT_S = 30.0
MEMORY_LIMIT = 2 << 30
ANSWER_LIMIT = 32 << 20
"""Bytes of an answer, as JSON text."""


class NoSuchFunctionError(PluginError):
    """A plugin has no `extend.py`, or no such function in it."""


def validate_plugin(plugin, config, mode):
    """What a plugin finds wrong with a configuration (`IonPlugin.validate`), a list of texts.

    Parameters
    ----------
    plugin : PluginRecord
    config : dict
    mode : {"manual", "pipeline"}

    Raises
    ------
    PluginError
        If its code cannot be asked.
    """
    if plugin.info.is_shell:
        needed = plugin.info.requires_configuration and not config
        return [f"{plugin.name} needs a configuration before it can run."] if needed else []
    answer = ask_plugin(plugin, "validate", {"config": config, "mode": mode})
    return [str(issue) for issue in answer]


def barcode_rows(plugin, rows, plan_config, global_config):
    """Rows of the barcode table as the plugin changes them (`IonPlugin.barcodetable_data`)."""
    return ask_plugin(plugin, "rows", {"rows": rows, "planconfig": plan_config, "globalconfig": global_config})


def call_extension(plugin, function, bucket, *, time_limit_s=TIME_LIMIT_S):
    """The value of ``function(bucket)`` in the plugin's `extend.py` (plugin.md 6.7).

    Parameters
    ----------
    plugin : PluginRecord
    function : str
        A name without leading underscore.
    bucket : dict
        What the function gets: request_get, request_post, user, request_method, name, version, config.
    time_limit_s : float

    Raises
    ------
    NoSuchFunctionError
        If there is no such file or function.
    PluginError
        If the function fails, answers something that is no JSON, or takes too long.
    """
    if not function.isidentifier() or function.startswith("_"):
        raise NoSuchFunctionError(f"{plugin.name}: {function!r} is no name of an endpoint.")
    if not (plugin.info.path / "extend.py").is_file():
        raise NoSuchFunctionError(f"{plugin.name}: has no extend.py.")
    question = {"function": function, "bucket": bucket}
    return ask_plugin(plugin, "extend", question, time_limit_s=time_limit_s)


def ask_plugin(plugin, question, arguments, *, time_limit_s=TIME_LIMIT_S, memory=MEMORY_LIMIT):
    """The answer of a plugin's code to a question of `ionanalysis.plugin.ask_child`.

    Parameters
    ----------
    plugin : PluginRecord
    question : str
    arguments : dict
        Plain JSON.
    time_limit_s : float
    memory : int
        Bytes.

    Raises
    ------
    PluginError
        If the code cannot be loaded, fails, or goes over a limit.
    """
    name = plugin.name
    request = {"question": question, "script": str(plugin.info.script), "memory": memory, **arguments}
    with tempfile.TemporaryDirectory(prefix="ionanalysis-ask-", ignore_cleanup_errors=True) as scratch:
        working_dir, answer_path = Path(scratch, "work"), Path(scratch, "answer.json")
        working_dir.mkdir()
        request_path = Path(scratch, "request.json")
        request_path.write_text(json.dumps(request), encoding="utf-8")
        with Path(scratch, "output.txt").open("w+b") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "ionanalysis.plugin.ask_child", str(request_path), str(answer_path)],
                cwd=working_dir,
                env=_environment(plugin),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = child.wait(time_limit_s)
            except subprocess.TimeoutExpired:
                raise PluginError(f"{name}: did not answer ({question}) within {time_limit_s:g} s.") from None
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        answer = _read_answer(name, question, answer_path, code)
    if answer.get("missing"):
        raise NoSuchFunctionError(f"{name}: {answer['missing']}")
    if "error" in answer:
        raise PluginError(f"{name}: {answer['error']}")
    return answer.get("value")


def _read_answer(name, question, path, code):
    """The answer, which the plugin's code may have written: any object."""
    try:
        if path.stat().st_size > ANSWER_LIMIT:
            raise PluginError(f"{name}: its answer ({question}) is larger than {ANSWER_LIMIT >> 20} MiB.")
        answer = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise PluginError(f"{name}: its process ended with code {code} before it had answered ({question}).")
    return answer


def _environment(plugin):
    variables = without_secrets(os.environ)
    folder = str(plugin.info.path)
    return {
        **variables,
        **proxy_variables(variables),
        "PYTHONPATH": python_path(plugin.tier),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
        "DIRNAME": folder,
        "PLUGIN_PATH": folder,
        "PLUGINNAME": plugin.name,
    }
