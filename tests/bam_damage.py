"""Damage BAM files where it hurts: in their records, under the compression and its checksums."""

import gzip
import struct

from ionanalysis.bam.bgzf import BLOCK_SIZE, END_OF_FILE, compress_block

_WIDTH = {"A": 1, "c": 1, "C": 1, "s": 2, "S": 2, "i": 4, "I": 4, "f": 4}
_FIXED = 36


class BamBytes:
    """Header and first records of a BAM file, unpacked (SAM specification 4.2).

    Attributes
    ----------
    content : bytes
    first : int
        Where the records begin.
    structure : list of int
        Places of the bytes that tell how records are built: lengths, flags, names, CIGARs, names and types of tags.
    """

    def __init__(self, path, n_records=4):
        with gzip.open(path) as file:
            content = file.read(4_000_000)
        self.first = 8 + _number(content, 4)
        n_references, self.first = _number(content, self.first), self.first + 4
        for _ in range(n_references):
            self.first += 8 + _number(content, self.first)
        self.structure, at = [], self.first
        for _ in range(n_records):
            end = at + 4 + _number(content, at)
            self._note(content, at, end)
            at = end
        self.content = content[:at]

    def _note(self, content, at, end):
        tags = at + _FIXED + content[at + 12] + 4 * struct.unpack_from("<H", content, at + 16)[0]
        self.structure += range(at, tags)
        n_bases = _number(content, at + 20)
        tags += (n_bases + 1) // 2 + n_bases
        while tags < end:
            kind = chr(content[tags + 2])
            if kind in "ZH":
                size = content.index(0, tags + 3) + 1 - tags
                told = [0, 1, 2, size - 1]
            elif kind == "B":
                size = 8 + _WIDTH[chr(content[tags + 3])] * _number(content, tags + 4)
                told = range(8)
            else:
                size, told = 3 + _WIDTH[kind], range(3)
            self.structure += [tags + place for place in told]
            tags += size

    def damaged(self, random):
        """A packed file of these records, with one to three bytes changed."""
        content = bytearray(self.content)
        for _ in range(random.randrange(1, 4)):
            anywhere = range(self.first, len(content))
            at = random.choice(self.structure if random.random() < 0.8 else anywhere)
            changed = content[at] ^ (1 << random.randrange(8))
            content[at] = random.choice([random.randrange(256), changed, 0, 0x7F, 0xFF])
        return packed(content)


def packed(content):
    """`content` as a BAM file."""
    starts = range(0, len(content), BLOCK_SIZE)
    return b"".join(compress_block(bytes(content[at : at + BLOCK_SIZE]), 1) for at in starts) + END_OF_FILE


def _number(content, at):
    return struct.unpack_from("<i", content, at)[0]
