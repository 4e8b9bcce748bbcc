"""Aligned reads as BAM, SAM or CRAM, to a file or a stream."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ionanalysis.alignment.stage import align_bam
from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.atomic import whole_file

FORMATS = {"bam": "-b", "sam": "-h", "cram": "-C"}


def align_to(path, output, index, *, kind=None, stream=None, **more):
    """As `align_bam`, to a file of any of `FORMATS`, or to `stream`.

    Parameters
    ----------
    path : path
    output : path or None
        File to make; None with `stream`.
    index : ReferenceIndex
    kind : str, optional
        One of `FORMATS`; by default told by the ending of `output`, BAM for streams.
    stream : binary file, optional
        What gets the reads instead of a file.
    more
        Further arguments of `align_bam`.

    Returns
    -------
    AlignmentCounts

    Raises
    ------
    UsageError
        If the ending of the output tells no format.
    """
    kind = kind or ("bam" if output is None else Path(output).suffix.lstrip(".").lower())
    if kind not in FORMATS:
        raise UsageError(f"{output}: ends in none of .bam, .sam, .cram; choose one, or give --format.")
    if kind == "bam" and output is not None:
        return align_bam(path, output, index, **more)
    place = None if output is None else Path(output).absolute().parent
    with TemporaryDirectory(dir=place, prefix=".align-", suffix=".scratch") as scratch:
        bam = Path(scratch) / "aligned.bam"
        counts = align_bam(path, bam, index, **more)
        if stream is None:
            with whole_file(output) as temporary:
                _convert(bam, temporary, kind, index.fasta)
        else:
            made = Path(scratch) / f"converted.{kind}"
            if kind == "bam":
                made = bam
            else:
                _convert(bam, made, kind, index.fasta)
            with made.open("rb") as file:
                shutil.copyfileobj(file, stream, 1 << 20)
    return counts


def _convert(bam, output, kind, fasta):
    import pysam

    reference = ("-T", str(fasta)) if kind == "cram" else ()
    try:
        pysam.view("--no-PG", FORMATS[kind], *reference, "-o", str(output), str(bam), catch_stdout=False)
    except pysam.SamtoolsError as error:
        raise InputError(
            f"{fasta}: reads cannot be written as {kind.upper()} ({error}); for CRAM give plain or bgzip FASTA."
        ) from error
