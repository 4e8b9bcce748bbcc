"""``from ion.plugin import *``: all that a plugin file needs (plugin.md 2.4)."""

from ion.plugin.bedParser import IonBedHeader, IonBedReader, IonBedWriter
from ionanalysis.plugin.base import IonPlugin
from ionanalysis.plugin.commands import PluginCLI
from ionanalysis.plugin.constants import Feature, RunLevel, RunType, lookupEnum, runLevelsList

cli = PluginCLI

__all__ = [
    "Feature",
    "IonBedHeader",
    "IonBedReader",
    "IonBedWriter",
    "IonPlugin",
    "PluginCLI",
    "RunLevel",
    "RunType",
    "cli",
    "lookupEnum",
    "runLevelsList",
]
