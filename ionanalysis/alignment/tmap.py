"""The original's aligner, where a user has it: an external program (plugin.md 1.2, step 8)."""

import shlex
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ionanalysis.errors import InputError, UsageError

_ALTERNATIVES = "XA"
"""Tag that tells tmap's stage; other tools take it for bwa's list of further hits."""


@contextmanager
def aligned_by_tmap(bam, fasta, options, n_threads, folder, is_asked):
    """Give the path of a BAM file of `bam`'s reads aligned by tmap; `bam` itself if it is not asked for.

    Raises
    ------
    UsageError
        If there is no tmap.
    InputError
        If tmap fails; its last line tells why.
    """
    if not is_asked:
        yield Path(bam)
        return
    program = shutil.which("tmap")
    if program is None:
        raise UsageError("--aligner tmap: there is no program tmap; install it, or leave the option out.")
    with TemporaryDirectory(dir=folder, prefix=".tmap-", suffix=".scratch") as scratch:
        raw, clean = Path(scratch) / "raw.bam", Path(scratch) / "clean.bam"
        given = ["-n", str(n_threads), "-f", str(fasta), "-r", str(bam), "-i", "bam"]
        fixed = ["-v", "-Y", "-u", "--prefix-exclude", "5", "-o", "2"]
        with raw.open("wb") as file:
            done = subprocess.run(
                [program, "mapall", *given, *fixed, *shlex.split(options.tmap_arguments)],
                stdout=file,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        if done.returncode:
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["without a word"]
            raise InputError(f"tmap failed on {bam} (exit code {done.returncode}): {told[0]}")
        _copy_without(raw, clean, _ALTERNATIVES)
        yield clean


def _copy_without(path, output, tag):
    import pysam

    from ionanalysis.bam.source import open_alignments, reads_of

    with (
        open_alignments(path) as alignments,
        pysam.AlignmentFile(str(output), "wb0", template=alignments) as file,
    ):
        for read in reads_of(alignments):
            read.set_tag(tag, None)
            file.write(read)
