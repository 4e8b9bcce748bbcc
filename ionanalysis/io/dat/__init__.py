"""Raw images: DAT files of Ion Torrent sequencers, one per flow (sigproc.md 1.3-1.8)."""

from ionanalysis.io.dat.header import DatHeader, read_header
from ionanalysis.io.dat.image import Image
from ionanalysis.io.dat.reading import open_dat, read_dat
from ionanalysis.io.dat.timebase import expand_to_base_rate, frame_counts_from_times
from ionanalysis.io.dat.writing import write_dat

__all__ = [
    "DatHeader",
    "Image",
    "expand_to_base_rate",
    "frame_counts_from_times",
    "open_dat",
    "read_dat",
    "read_header",
    "write_dat",
]
