"""Blocked gzip, the container of BAM files (SAM specification 4.1)."""

import struct
import zlib

BLOCK_SIZE = 0xFF00
"""Uncompressed bytes per block: what htslib puts into one, so that a block never outgrows 64 KiB."""

END_OF_FILE = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_HEAD = struct.Struct("<4BI2BH2BHH")


def compress_block(content, level):
    """One block that holds `content`, at most `BLOCK_SIZE` bytes."""
    body = _deflate(content, level)
    if len(body) > BLOCK_SIZE:
        body = _deflate(content, 0)
    head = _HEAD.pack(31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + _HEAD.size + 8 - 1)
    return b"".join((head, body, struct.pack("<II", zlib.crc32(content), len(content))))


def _deflate(content, level):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()
