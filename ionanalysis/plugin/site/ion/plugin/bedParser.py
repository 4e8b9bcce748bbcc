"""BED files (plugin.md 7)."""

from ionanalysis.plugin.bed import IonBedHeader, IonBedReader, IonBedWriter

__all__ = ["IonBedHeader", "IonBedReader", "IonBedWriter"]
