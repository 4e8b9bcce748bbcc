"""What a plugin's own code says of a configuration, of the barcode table, and at its REST endpoints."""

from ionanalysis.plugin.questions import TIME_LIMIT_S, PluginError, ask_code, one_line

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
    answer = _ask(plugin, "validate", {"config": config, "mode": mode})
    if not isinstance(answer, list):
        raise PluginError(f"{plugin.name}: its answer (validate) is no list of texts.")
    return [one_line(issue) for issue in answer]


def barcode_rows(plugin, rows, plan_config, global_config):
    """Rows of the barcode table as the plugin changes them (`IonPlugin.barcodetable_data`)."""
    return _ask(plugin, "rows", {"rows": rows, "planconfig": plan_config, "globalconfig": global_config})


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
    return _ask(plugin, "extend", question, time_limit_s)


def _ask(plugin, question, arguments, time_limit_s=TIME_LIMIT_S):
    """The value that a plugin's code answers with."""
    answer = ask_code(
        plugin.info.script,
        question,
        arguments,
        subject=plugin.name,
        tier=plugin.tier,
        time_limit_s=time_limit_s,
        answer_limit=ANSWER_LIMIT,
    )
    if answer.get("missing"):
        raise NoSuchFunctionError(f"{plugin.name}: {one_line(answer['missing'])}")
    return answer.get("value")
