"""Where reads of known origin are placed: ``python -m benchmarks.placing [SETTING=VALUE ...]``.

Settings are those of the aligner (`bw=66`, `max_chain_skip=25`), instead of the ones in use.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import mappy
import numpy as np

from ionanalysis.align import index as settings
from ionanalysis.io.fasta import write_fasta

GENOME_BASES = 5_000_000
N_READS = {"usual": 60_000, "many errors": 20_000, "short": 20_000, "long indels": 20_000}
ERRORS = {"usual": 0.008, "many errors": 0.04, "short": 0.008, "long indels": 0.006}
"""Chance that a homopolymer of one base is read wrongly; it grows with the square of the length."""

INDELS = ((5, 20), (21, 50), (51, 100))
_LETTERS = np.array(list("ACGT"))
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Read(NamedTuple):
    bases: str
    start: int
    end: int
    reverse: bool
    indel: int
    """Bases that the genome of this read has more or less than the reference, in one place."""


def main(changes):
    changes = {name: int(value) for name, value in (change.split("=") for change in changes)}
    rng = np.random.default_rng(7)
    genome = _genome(rng)
    with TemporaryDirectory() as folder:
        write_fasta(Path(folder) / "genome.fasta", {"genome": genome})
        aligner = mappy.Aligner(
            str(Path(folder) / "genome.fasta"),
            scoring=list(settings.SCORING),
            **settings.seeding_for(Path(folder) / "genome.fasta"),
            **(settings.CHAINING | changes),
        )
    ranges = ", ".join(f"{first}-{last}" for first, last in INDELS)
    print(f"kind of reads    reads  lost  wrong  of them sure  bases aligned  µs/read  indels found of {ranges} bases")
    for kind, n_reads in N_READS.items():
        _report(kind, [_read(rng, genome, kind) for _ in range(n_reads)], aligner)


def _report(kind, reads, aligner):
    buffer, started = mappy.ThreadBuffer(), time.process_time()
    hits = [next(aligner.map(read.bases, buf=buffer), None) for read in reads]
    seconds = time.process_time() - started
    pairs = [(read, hit) for read, hit in zip(reads, hits, strict=True) if hit is not None]
    right = [_is_right(read, hit) for read, hit in pairs]
    sure = sum(hit.mapq >= 10 for (_, hit), well in zip(pairs, right, strict=True) if not well)
    aligned = sum(hit.q_en - hit.q_st for _, hit in pairs) / sum(len(read.bases) for read in reads)
    n_lost, n_wrong, time_us = len(reads) - len(pairs), len(right) - sum(right), seconds / len(reads) * 1e6
    print(f"{kind:14s} {len(reads):7d} {n_lost:5d} {n_wrong:6d} {sure:13d} {aligned:14.3%} {time_us:8.1f}", end="")
    if kind == "long indels":
        for first, last in INDELS:
            asked = sum(first <= read.indel <= last for read in reads)
            found = sum(_holds_indel(read, hit) for read, hit in pairs if first <= read.indel <= last)
            print(f"  {found}/{asked}", end="")
    print(flush=True)


def _is_right(read, hit):
    return (hit.strand < 0) == read.reverse and hit.r_st < read.end and hit.r_en > read.start


def _holds_indel(read, hit):
    near = max(2, read.indel // 10)
    return any(code in (1, 2) and abs(length - read.indel) <= near for length, code in hit.cigar)


def _genome(rng):
    """Random bases with families of repeats, up to 15 % apart, and tandem repeats."""
    genome = rng.choice(_LETTERS, GENOME_BASES)
    for _ in range(40):
        first, apart = rng.choice(_LETTERS, rng.integers(300, 5000)), rng.choice([0.005, 0.02, 0.05, 0.15])
        for _ in range(rng.integers(2, 12)):
            copy = np.where(rng.random(len(first)) < apart, rng.choice(_LETTERS, len(first)), first)
            if rng.random() < 0.5:
                copy = np.array(list(_turned("".join(copy))))
            at = rng.integers(0, GENOME_BASES - len(copy))
            genome[at : at + len(copy)] = copy
    for _ in range(600):
        repeat = np.tile(rng.choice(_LETTERS, rng.integers(1, 30)), rng.integers(3, 20))
        at = rng.integers(0, GENOME_BASES - len(repeat))
        genome[at : at + len(repeat)] = repeat
    return "".join(genome)


def _read(rng, genome, kind):
    mean, spread = (45, 12) if kind == "short" else (200, 60)
    n_bases = int(np.clip(rng.normal(mean, spread), 25, 400))
    start, indel = int(rng.integers(0, GENOME_BASES - n_bases - 200)), 0
    end = start + n_bases
    bases = genome[start:end]
    if kind == "long indels":
        indel, cut = int(rng.integers(INDELS[0][0], INDELS[-1][1] + 1)), int(rng.integers(40, max(n_bases - 40, 41)))
        if rng.random() < 0.5:
            end += indel
            bases = genome[start : start + cut] + genome[start + cut + indel : end]
        else:
            bases = bases[:cut] + "".join(rng.choice(_LETTERS, indel)) + bases[cut:]
    bases, reverse = _with_errors(rng, bases, ERRORS[kind]), rng.random() < 0.5
    return Read(_turned(bases) if reverse else bases, start, end, reverse, indel)


def _with_errors(rng, bases, rate):
    """Homopolymers one base longer or shorter, and a tenth as many wrong bases."""
    codes = np.frombuffer(bases.encode(), np.uint8)
    first = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))
    lengths = np.diff(np.append(first, len(codes)))
    wrong = rng.random(len(first)) < rate * (0.35 + 0.65 * lengths**2 / 2)
    lengths = lengths + wrong * np.where(rng.random(len(first)) < 0.45, 1, -1)
    read = np.repeat(codes[first], lengths)
    changed = np.flatnonzero(rng.random(len(read)) < rate / 10)
    read[changed] = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, len(changed))]
    return read.tobytes().decode()


def _turned(bases):
    return bases.translate(_COMPLEMENT)[::-1]


if __name__ == "__main__":
    main(sys.argv[1:])
