"""Results in the formats of other tools: FASTQ, SFF, NumPy, Zarr, Parquet."""

from ionanalysis.export.choice import export_files
from ionanalysis.export.reads import write_fastq, write_sff

__all__ = ["export_files", "write_fastq", "write_sff"]
