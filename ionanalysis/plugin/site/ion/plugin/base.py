"""Names of `ionanalysis.plugin.base` where plugins look for them."""

from ionanalysis.plugin.base import IonPlugin

__all__ = ["IonPlugin"]
