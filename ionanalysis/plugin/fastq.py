"""Reads of a BAM file as FASTQ: ``python -m ionanalysis.plugin.fastq IN.bam OUT.fastq``, behind `bam2fastq_command`."""

import sys

from ionanalysis.bam.source import open_alignments, qualities_of, reads_of
from ionanalysis.errors import IonAnalysisError
from ionanalysis.io.atomic import whole_file


def write_fastq(bam, path):
    """Write the reads of `bam` as sequenced, whole or not at all; secondary and supplementary records are left out.

    Parameters
    ----------
    bam : path
    path : path
        A name that ends in ``.gz`` is compressed.

    Returns
    -------
    n_reads : int
    """
    from isal import igzip

    n_reads = 0
    with open_alignments(bam) as alignments, whole_file(path) as temporary:
        opened = igzip.open(temporary, "wb") if str(path).endswith(".gz") else temporary.open("wb")
        with opened as file:
            for read in reads_of(alignments):
                if read.is_secondary or read.is_supplementary:
                    continue
                file.write(fastq_record(read).encode("ascii", "replace"))
                n_reads += 1
    return n_reads


def fastq_record(read):
    """The four lines of a read; missing qualities count as 0."""
    bases = read.get_forward_sequence() or ""
    qualities = qualities_of(read)
    letters = "!" * len(bases) if qualities is None else (qualities.clip(max=93) + 33).tobytes().decode("ascii")
    return f"@{read.query_name}\n{bases}\n+\n{letters}\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m ionanalysis.plugin.fastq IN.bam OUT.fastq")
    try:
        write_fastq(*sys.argv[1:])
    except IonAnalysisError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
