"""FASTA files: names and sequences, small enough to hold in memory."""

import gzip
from hashlib import md5
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole


def read_fasta(path):
    """Sequences of a FASTA file (plain or gzip) by name, in file order, upper case.

    Raises
    ------
    InputError
        If the file cannot be read, is not FASTA, names a sequence twice or holds none.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        text = content.decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as FASTA ({error}).") from error
    found: dict[str, str] = {}
    head, *records = ("\n" + text).split("\n>")
    if head.strip() or not records:
        raise InputError(f"{path}: is not FASTA; its first line must begin with '>'.")
    for number, record in enumerate(records, 1):
        title, _, body = record.partition("\n")
        name = (title.split() or [""])[0]
        sequence = "".join(body.split()).upper()
        if not name or name in found:
            raise InputError(f"{path}, record {number}: the name {name!r} is missing or occurs twice.")
        if not sequence.isalpha() and sequence:
            raise InputError(f"{path}, record {name}: holds other characters than letters.")
        found[name] = sequence
    return found


def sequence_sums(path):
    """Name, length in bases and MD5 of the upper-case letters of each sequence, for @SQ lines; a line at a time.

    Raises
    ------
    InputError
        If the file cannot be read or is not FASTA.
    """
    found: list[tuple[str, int, str]] = []
    name, length, digest = "", 0, md5()
    try:
        with Path(path).open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else Path(path).open("rb") as file:
            for line in file:
                if line[:1] == b">":
                    if name:
                        found.append((name, length, digest.hexdigest()))
                    name, length, digest = (line[1:].split() or [b""])[0].decode("ascii", "replace"), 0, md5()
                else:
                    letters = b"".join(line.split()).upper()
                    length += len(letters)
                    digest.update(letters)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read as FASTA ({error}).") from error
    if not name:
        raise InputError(f"{path}: is not FASTA; its first line must begin with '>'.")
    return [*found, (name, length, digest.hexdigest())]


def write_fasta(path, sequences, *, width=70):
    """Write (title, sequence) pairs, or a dict of them, whole or not at all."""
    pairs = sequences.items() if isinstance(sequences, dict) else sequences
    lines = []
    for title, sequence in pairs:
        lines.append(f">{title}")
        lines.extend(sequence[start : start + width] for start in range(0, len(sequence), width))
    write_whole(path, "\n".join(lines) + "\n" if lines else "")
