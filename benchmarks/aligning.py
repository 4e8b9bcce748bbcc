"""Reads aligned per second of one core, beside what the aligner alone does: ``python -m benchmarks.aligning``."""

import time
from array import array
from pathlib import Path
from tempfile import TemporaryDirectory

import mappy
import numpy as np
import pysam

from ionanalysis.align import ReferenceIndex
from ionanalysis.alignment import align_bam
from ionanalysis.alignment.stage import reference_sequences
from ionanalysis.io.fasta import write_fasta

GENOME_BASES, N_READS, READ_BASES, N_FLOWS, N_ROUNDS = 5_000_000, 20_000, 200, 400, 7
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


def main():
    rng = np.random.default_rng(1)
    genome = "".join(rng.choice(list("ACGT"), GENOME_BASES))
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_fasta(folder / "genome.fasta", {"genome": genome})
        _write_reads(folder / "reads.bam", genome, rng)
        index = ReferenceIndex.of(folder / "genome.fasta", folder / "indexes")
        sequences = reference_sequences(index)
        with pysam.AlignmentFile(str(folder / "reads.bam"), check_sq=False) as bam:
            reads = [read.query_sequence.encode() for read in bam.fetch(until_eof=True)]
        alone, whole = [], []
        for _ in range(N_ROUNDS):
            buffer, started = mappy.ThreadBuffer(), time.process_time()
            for read in reads:
                for _ in index.aligner.map(read, buf=buffer):
                    pass
            alone.append(time.process_time() - started)
            started = time.process_time()
            counts = align_bam(folder / "reads.bam", folder / "out.bam", index, n_threads=1, references=sequences)
            whole.append(time.process_time() - started)
    print(f"{N_READS} reads of {READ_BASES} bases, genome of {GENOME_BASES} bases, one core, best of {N_ROUNDS} rounds")
    print(f"aligner alone:                  {N_READS / min(alone):8.0f} reads/s")
    print(f"from BAM to sorted, indexed BAM: {N_READS / min(whole):7.0f} reads/s, {counts.mapped} aligned")


def _write_reads(path, genome, rng):
    """Reads of both strands with one base missing in every second."""
    header = {"RG": [{"ID": "RUN", "FO": "TACG" * (N_FLOWS // 4), "KS": "TCAG"}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for number in range(N_READS):
            at = int(rng.integers(0, len(genome) - READ_BASES - 1))
            bases = genome[at : at + READ_BASES + 1]
            bases = bases[:100] + bases[101:] if number % 2 else bases[:READ_BASES]
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag = f"RUN:{number // 1000:05d}:{number % 1000:05d}", 4
            read.query_sequence = bases.translate(_COMPLEMENT)[::-1] if number % 3 else bases
            read.query_qualities = array("B", rng.integers(10, 35, READ_BASES).tolist())
            read.set_tag("RG", "RUN")
            read.set_tag("ZM", array("h", rng.integers(-50, 600, N_FLOWS).tolist()))
            bam.write(read)


if __name__ == "__main__":
    main()
