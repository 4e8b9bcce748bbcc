"""Plugins that are installed, and that plans have chosen.

Which files belong to a row is what the plugin store says, whatever requests wrote into the row.
"""

from contextlib import suppress

from ionanalysis.errors import IonAnalysisError
from ionanalysis.plugin.store import PluginStore
from ionanalysis.plugin.web.frames import ACTIONS
from ionanalysis.rundb.protocol import RESOURCES


def plugins():
    """Rows of the plugins that are installed, by name, as the API lists them."""
    return RESOURCES["plugin"]().rows().filter(active=True).order_by("name", "-pk")


def record_of(plugin):
    """The store's record of a row.

    Raises
    ------
    PluginError
        If it is not installed.
    """
    return PluginStore().find(plugin.name)


def folder_of(name):
    """The folder of an installed plugin; None if it is not installed."""
    with suppress(IonAnalysisError):
        return PluginStore().find(name).info.path
    return None


def pages_of(plugin):
    """Which of its four pages a plugin has."""
    folder = folder_of(plugin.name)
    return [action for action, name in ACTIONS.items() if folder is not None and (folder / name).is_file()]


def selection(plugin):
    """How a plan names a plugin that is to run (plugin.md 4.1)."""
    settings = plugin.pluginsettings if isinstance(plugin.pluginsettings, dict) else {}
    features = settings.get("features", [])
    return {"id": plugin.pk, "name": plugin.name, "version": plugin.version, "features": features, "userInput": ""}


def chosen_plugins(plan):
    """What a plan holds of plugins, by their names."""
    chosen = plan.latestEAS.selectedPlugins if plan.latestEAS else {}
    return {name: one for name, one in chosen.items() if isinstance(one, dict)} if isinstance(chosen, dict) else {}
