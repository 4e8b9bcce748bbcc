"""The genome that inserts come from: read from a FASTA file or made up."""

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import decode_bases, encode_bases
from ionanalysis.io.fasta import read_fasta
from ionanalysis.simulate.seeds import Purpose, stream


def open_genome(options, seed):
    """Sequences by name: those of ``options.reference``, or one random one, ``chr1``."""
    if options.reference is not None:
        genome = read_fasta(options.reference)
        if not any(len(sequence) >= 1 for sequence in genome.values()):
            raise InputError(f"{options.reference}: holds no bases to draw inserts from.")
        return genome
    return {"chr1": random_genome(options, stream(seed, Purpose.GENOME))}


def random_genome(options, random):
    """Independent bases, with some homopolymers stretched, as a text of ``options.genome_length`` letters."""
    length, gc = options.genome_length, options.genome_gc
    share = np.array([1 - gc, gc, gc, 1 - gc]) / 2
    codes = random.choice(4, length, p=share).astype(np.int8)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    stretch = np.where(random.random(len(starts)) < options.long_homopolymers, random.geometric(0.35, len(starts)), 0)
    repeats = np.ones(length, np.int64)
    repeats[starts] += stretch
    return decode_bases(np.repeat(codes, repeats)[:length])


class InsertSource:
    """Draws pieces of a genome; pieces with other letters than A, C, G, T are drawn elsewhere."""

    def __init__(self, genome):
        self.names = list(genome)
        # A letter between the sequences keeps pieces from spanning two of them.
        self.text = "N".join(genome.values())
        self.offsets = np.cumsum([0] + [len(genome[name]) + 1 for name in self.names])
        good = encode_bases(self.text) >= 0
        bad_at = np.where(good, len(good), np.arange(len(good)))
        self._next_bad = np.minimum.accumulate(bad_at[::-1])[::-1]
        if not good.any():
            raise InputError("the reference holds no letters A, C, G, T to draw inserts from.")

    def draw(self, random, lengths):
        """Positions in `text` where pieces of `lengths` bases begin, and the lengths that fit there."""
        where = random.integers(0, len(self.text), len(lengths))
        room = self._next_bad[where] - where
        for _ in range(100):
            tight = np.flatnonzero(room < lengths)
            if not len(tight):
                break
            where[tight] = random.integers(0, len(self.text), len(tight))
            room[tight] = self._next_bad[where[tight]] - where[tight]
        return where, np.minimum(lengths, room)

    def place(self, positions):
        """Number of the sequence, and position in it, of each of an array of positions in `text`."""
        number = np.searchsorted(self.offsets, positions, "right") - 1
        return number, positions - self.offsets[number]
