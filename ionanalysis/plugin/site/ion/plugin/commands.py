"""Names of `ionanalysis.plugin.commands` where plugins look for them."""

from ionanalysis.plugin.commands import PluginCLI

__all__ = ["PluginCLI"]
