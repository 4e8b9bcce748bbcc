"""What plugins use of the pipeline's own module of this name."""

import datetime
import shlex
import sys


def printtime(message, *args):
    """Print `message` with the time before it, and `args` behind it.

    The form is ``[ Wed 2026-11-25 13:09:25 UTC ] message``.
    """
    now = datetime.datetime.now().astimezone()
    print(f"[ {now:%a %Y-%m-%d %H:%M:%S %Z} ]", message, *args, flush=True)


def bam2fastq_command(BAMName, FASTQName):
    """Text of a shell command that writes the reads of a BAM file as FASTQ."""
    return shlex.join([sys.executable, "-m", "ionanalysis.plugin.conversion", str(BAMName), str(FASTQName)])
