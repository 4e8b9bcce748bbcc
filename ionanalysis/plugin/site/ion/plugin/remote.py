"""Starting other plugins."""

from ionanalysis.plugin.remote import call_launchPluginsXMLRPC, call_pluginStatus, get_serverProxy

__all__ = ["call_launchPluginsXMLRPC", "call_pluginStatus", "get_serverProxy"]
