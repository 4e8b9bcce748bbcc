"""Reads of a BAM file as FASTQ or SFF, for plugins: ``python -m ionanalysis.plugin.conversion IN.bam OUT.fastq``."""

import sys
from pathlib import Path

from ionanalysis.errors import IonAnalysisError
from ionanalysis.export import write_fastq, write_sff


def main(arguments):
    """Convert to SFF if the second file ends so, else to FASTQ; return an exit code."""
    if len(arguments) != 2:
        print("usage: python -m ionanalysis.plugin.conversion IN.bam OUT.fastq|OUT.fastq.gz|OUT.sff", file=sys.stderr)
        return 2
    write = write_sff if Path(arguments[1]).suffix == ".sff" else write_fastq
    try:
        write(*arguments)
    except IonAnalysisError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
