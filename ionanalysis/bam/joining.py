"""Unaligned BAM files of blocks put together without reading their reads (basecaller.md 9.2)."""

import shutil
import struct
from pathlib import Path

from isal import isal_zlib

from ionanalysis.bam.bgzf import BLOCK_SIZE, END_OF_FILE, LEVEL, compress_block
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file

_MOST_HEADER_BYTES = 1 << 28
_INFLATE_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def join_bams(paths, output):
    """Write one unaligned BAM file that holds the reads of several, file after file.

    Deflated blocks are copied as they are; only the one in which a header ends is deflated anew. The header is that
    of the first file, with the comments (@CO) of the others that it lacks.

    Parameters
    ----------
    paths : list of path
        At least one; of the same read groups.
    output : path
        Whole or not there.

    Raises
    ------
    InputError
        If a file is damaged, has reference sequences, or other read groups than the first.
    """
    headers = [_read_header(Path(path)) for path in paths]
    first = headers[0]
    lines = first.text.splitlines()
    groups = [line for line in lines if line.startswith("@RG")]
    for path, header in zip(paths, headers, strict=True):
        if [line for line in header.text.splitlines() if line.startswith("@RG")] != groups:
            raise InputError(f"{path}: has other read groups than {paths[0]}; call all blocks with the same options.")
        lines += [line for line in header.text.splitlines() if line.startswith("@CO") and line not in lines]
    text = ("\n".join(lines) + "\n").encode("utf-8")
    content = b"BAM\x01" + struct.pack("<i", len(text)) + text + struct.pack("<i", 0)
    with whole_file(output) as temporary, temporary.open("wb") as joined:
        _write_blocks(joined, content)
        for path, header in zip(paths, headers, strict=True):
            _write_blocks(joined, header.reads_behind)
            with Path(path).open("rb") as part:
                part.seek(header.next_block)
                shutil.copyfileobj(_Without(part, Path(path)), joined, 1 << 20)
        joined.write(END_OF_FILE)


class _Header:
    def __init__(self, text, reads_behind, next_block):
        self.text, self.reads_behind, self.next_block = text, reads_behind, next_block


def _read_header(path):
    """Text of a file's header, bytes of reads in the block where it ends, and the place of the block behind that."""
    content = bytearray()
    try:
        with path.open("rb") as file:
            while True:
                needed = _header_size(content, path)
                if needed is not None and len(content) >= needed:
                    n_text = struct.unpack_from("<i", content, 4)[0]
                    text = bytes(content[8 : 8 + n_text]).rstrip(b"\0").decode("utf-8")
                    return _Header(text, bytes(content[needed:]), file.tell())
                content += _next_block(file, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: its header is no text ({error.reason}); call this block again.") from None


def _header_size(content, path):
    """Bytes of a header without reference sequences; None while too little of it is known."""
    if len(content) < 8:
        return None
    n_text = struct.unpack_from("<i", content, 4)[0]
    if content[:4] != b"BAM\x01" or not 0 <= n_text <= _MOST_HEADER_BYTES:
        raise InputError(f"{path}: is no BAM file; call this block again.")
    if len(content) >= 12 + n_text and struct.unpack_from("<i", content, 8 + n_text)[0]:
        raise InputError(f"{path}: holds aligned reads; only unaligned ones can be put together as they are.")
    return 12 + n_text


def _next_block(file, path):
    """Inflated content of the block of blocked gzip that begins here (SAM specification 4.1)."""
    head = file.read(18)
    size = struct.unpack_from("<H", head, 16)[0] + 1 if len(head) == 18 and head[:4] == b"\x1f\x8b\x08\x04" else 0
    body = file.read(max(size - 18, 0))
    if size < 26 or len(body) != size - 18 or head[12:16] != b"BC\x02\x00":
        raise InputError(f"{path}: ends or is damaged in its header; call this block again.")
    try:
        content = isal_zlib.decompress(body[:-8], -15)
    except _INFLATE_ERROR as error:
        raise InputError(f"{path}: its header cannot be inflated ({error}); call this block again.") from None
    if len(content) != struct.unpack("<I", body[-4:])[0]:
        raise InputError(f"{path}: its header has another size than told; call this block again.")
    return content


class _Without:
    """A file from where it stands, without the mark of its end."""

    def __init__(self, file, path):
        start = file.tell()
        end = file.seek(0, 2)
        mark = len(END_OF_FILE)
        if end - mark >= start:
            file.seek(end - mark)
        if end - mark < start or file.read() != END_OF_FILE:
            raise InputError(f"{path}: is cut short, the mark of its end is missing; call this block again.")
        file.seek(start)
        self._file, self._left = file, end - mark - start

    def read(self, n_bytes=1 << 20, /):
        part = self._file.read(min(n_bytes, self._left))
        self._left -= len(part)
        return part


def _write_blocks(file, content):
    for start in range(0, len(content), BLOCK_SIZE):
        file.write(compress_block(content[start : start + BLOCK_SIZE], LEVEL))
