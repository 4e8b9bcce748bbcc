"""Starting other plugins from a plugin: ``ion.plugin.remote`` (plugin.md 7).

The original asked a daemon over XML-RPC. Here the same functions ask the REST API, with the key of the plugin that
calls, which is in its ``startplugin.json``. Without a server they say so in their answer.
"""

import json
import logging
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ionanalysis.plugin.rest import get_object

TIMEOUT_S = 30

log = logging.getLogger("ion.plugin.remote")


def call_launchPluginsXMLRPC(  # noqa: N802 (a name of the contract)
    result_pk, plugins, net_location, username, runlevel="default", params=None, conn=None
):
    """Launch plugins on a result.

    Parameters
    ----------
    result_pk : int
    plugins : dict
        By name; of each its `pluginconfig`, if any.
    net_location : str
        ``http://host``.
    username, runlevel, conn
        Accepted; the server takes the user from the key, launches at all levels of the plugin, and needs no connection.
    params : dict, optional
        Configuration of plugins that have none of their own.

    Returns
    -------
    plugins : dict
    message : str
        Empty if all were launched, else why not.
    """
    problems = []
    url = f"{net_location.rstrip('/')}/rundb/api/v1/results/{result_pk}/plugin/?{_key()}"
    for name, settings in plugins.items():
        settings = settings if isinstance(settings, dict) else {}
        body = {"plugin": name, "pluginconfig": settings.get("pluginconfig") or params or {}}
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            problems.append(f"{name}: the server answers {error.code} {error.reason}")
            error.close()
        except (OSError, ValueError) as error:
            problems.append(f"{name}: no server answers at {net_location} ({getattr(error, 'reason', error)})")
    return plugins, "; ".join(problems)


def call_pluginStatus(jobid, conn=None):  # noqa: N802 (a name of the contract)
    """State of a job, such as ``Started`` or ``Completed``; ``Unknown`` where nobody knows it."""
    info = _startplugin().get("runinfo", {})
    if not info.get("api_url"):
        return "Unknown"
    params = {"grid_engine_jobid": jobid, **_key_params(info)}
    url = f"{info['api_url'].rstrip('/')}/v1/PluginResultJob/"
    found = get_object(url, params, timeout=TIMEOUT_S, attempts=1, log=log)
    jobs = found.get("objects", []) if isinstance(found, dict) else []
    return jobs[0].get("state", "Unknown") if jobs else "Unknown"


def get_serverProxy():  # noqa: N802 (a name of the contract)
    """There is no daemon: raises, and says what takes its place."""
    raise NotImplementedError("There is no plugin daemon; call_launchPluginsXMLRPC asks the REST API instead.")


def _startplugin():
    path = Path("startplugin.json")
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _key_params(info):
    return {key: info[key] for key in ("pluginresult", "api_key") if key in info}


def _key():
    return urllib.parse.urlencode(_key_params(_startplugin().get("runinfo", {})))
