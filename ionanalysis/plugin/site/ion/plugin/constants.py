"""Names of `ionanalysis.plugin.constants` where plugins look for them."""

from ionanalysis.plugin.constants import Feature, RunLevel, RunType, lookupEnum, runLevelsList

__all__ = ["Feature", "RunLevel", "RunType", "lookupEnum", "runLevelsList"]
