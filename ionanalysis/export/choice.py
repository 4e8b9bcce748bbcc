"""Which writer makes which file: told by what the input holds and how the output's name ends."""

from pathlib import Path

from ionanalysis.errors import UsageError
from ionanalysis.export.columns import mask_columns, read_columns, wells_columns
from ionanalysis.export.reads import write_fastq, write_sff
from ionanalysis.export.stores import write_npy, write_npz, write_parquet, write_zarr

_STORES = {".npz": write_npz, ".zarr": write_zarr, ".parquet": write_parquet}
_READS = {".fastq": write_fastq, ".fq": write_fastq, ".sff": write_sff}
_COLUMNS = {"BAM": read_columns, "wells": wells_columns, "mask": mask_columns}
ENDINGS = (".fastq", ".fastq.gz", ".fq", ".fq.gz", ".sff", ".npy", ".npz", ".zarr", ".parquet")


def export_files(paths, kinds, output):
    """Write what files hold in the format that the name of `output` tells.

    Parameters
    ----------
    paths : list of path
        Several only of reads; they follow each other in the output.
    kinds : list of {"BAM", "wells", "mask"}
        What each holds.
    output : path
        Ends in one of `ENDINGS`. `.fastq` and `.sff` are for reads, `.npy` for wells and masks.

    Raises
    ------
    UsageError
        If the output tells no format, or one that cannot hold the input.
    InputError
        If a file is damaged, or the package that writes the format is not installed.
    """
    output = Path(output)
    if len({*kinds}) != 1 or kinds[0] not in _COLUMNS:
        raise UsageError(f"{', '.join(map(str, paths))}: give reads (BAM), or one file of wells or a mask.")
    kind = kinds[0]
    ending = "".join(output.suffixes[-2:]) if output.suffix == ".gz" else output.suffix
    ending = ending.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{output}: ends in none of {', '.join(ENDINGS)}.")
    if kind != "BAM" and len(paths) > 1:
        raise UsageError(f"{paths[1]}: several files can be exported together only of reads.")
    if ending.removesuffix(".gz") in _READS:
        if kind != "BAM":
            raise UsageError(f"{output}: can hold reads only; {paths[0]} holds {kind}.")
        return _READS[ending.removesuffix(".gz")](paths, output)
    if ending == ".npy":
        if kind == "BAM":
            raise UsageError(f"{output}: holds one array; reads have several, name a .npz file.")
        return write_npy(paths[0], kind, output)
    return _STORES[ending](_COLUMNS[kind](paths), output)
