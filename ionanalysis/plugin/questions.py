"""Asks a plugin's own code something without letting it into our process: each question has a process of its own.

What comes back was written by foreign code: it is an object of JSON, and nothing else about it is sure.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.plugin.environment import proxy_variables, without_secrets
from ionanalysis.plugin.interpreter import python_path
from ionanalysis.plugin.watch import kill_strays

TIME_LIMIT_S = 30.0
MEMORY_LIMIT = 4 << 30
"""Bytes of address space."""

_MARKER = "IONANALYSIS_PLUGIN_QUESTION"


class PluginError(InputError):
    """A folder is no plugin, or its code cannot be loaded or asked; the message says which and why."""


def ask_code(script, question, arguments=None, *, subject, tier, time_limit_s=TIME_LIMIT_S, answer_limit=4 << 20):
    """The answer of a plugin's code to a question of `ionanalysis.plugin.questions_child`.

    The code runs in an empty working directory, with limits of memory and of what it may write, without variables
    that sound like secrets, and is killed with all that it started when it has answered or its time is over.

    Parameters
    ----------
    script : Path
        ``NAME.py``.
    question : str
        A key of `questions_child.QUESTIONS`.
    arguments : dict, optional
        Plain JSON.
    subject : str
        What an error's message begins with.
    tier : {"native", "compat", "legacy"}
        How Python is set up (`ionanalysis.plugin.interpreter`).
    time_limit_s : float
        Seconds for loading and answering together.
    answer_limit : int
        Bytes of the answer as JSON text.

    Returns
    -------
    answer : dict

    Raises
    ------
    PluginError
        If there is no answer within the limits, or it is an error.
    """
    request = {"question": question, "script": str(script), "memory": MEMORY_LIMIT, **(arguments or {})}
    marker = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="ionanalysis-ask-", ignore_cleanup_errors=True) as scratch:
        working_dir, answer_path = Path(scratch, "work"), Path(scratch, "answer.json")
        working_dir.mkdir()
        request_path = Path(scratch, "request.json")
        request_path.write_text(json.dumps(request), encoding="utf-8")
        with Path(scratch, "output.txt").open("w+b") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "ionanalysis.plugin.questions_child", str(request_path), str(answer_path)],
                cwd=working_dir,
                env={**_environment(script, tier), _MARKER: marker},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                exit_code = child.wait(time_limit_s)
            except subprocess.TimeoutExpired:
                raise PluginError(
                    f"{subject}: did not answer ({question}) within {time_limit_s:g} s; code outside of functions "
                    "must be short, and PluginCLI() belongs under `if __name__ == '__main__':`."
                ) from None
            finally:
                # Whatever it has started lives in its session or carries its mark, and ends with it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                kill_strays(f"{_MARKER}={marker}")
            last_words = _last_line(output)
        answer = _read_answer(answer_path, answer_limit)
    if answer is None:
        raise PluginError(
            f"{subject}: its process ended with code {exit_code} before it had answered ({question})"
            f"{f' ({last_words})' if last_words else ''}; a plugin file must be importable."
        )
    if "error" in answer:
        raise PluginError(f"{subject}: {one_line(answer['error'])}")
    return answer


def one_line(text, longest=2000):
    """A text of a plugin as it may be shown: on one line, without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:longest])


def _environment(script, tier):
    variables = without_secrets(os.environ)
    folder = str(Path(script).parent)
    return {
        **variables,
        **proxy_variables(variables),
        "PYTHONPATH": python_path(tier),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
        # Each thread of a numeric library reserves address space, of which there is a limit.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "DIRNAME": folder,
        "PLUGIN_PATH": folder,
        "PLUGINNAME": Path(script).parent.name,
    }


def _last_line(output):
    output.seek(0, os.SEEK_END)
    output.seek(max(0, output.tell() - 1000))
    lines = output.read().decode("utf-8", "replace").split("\n")
    return next((one_line(line.strip(), 200) for line in reversed(lines) if line.strip()), "")


def _read_answer(path, limit):
    """The answer, which the plugin's code may have written: any object, or None."""
    try:
        if path.is_symlink():
            return None
        if path.stat().st_size > limit:
            return {"error": f"its answer is larger than {limit >> 20} MiB; shorten it."}
        answer = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
