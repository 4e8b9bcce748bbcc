"""References that plans may name, over FASTA files of this machine."""

import re
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

from ionanalysis.align.index import ReferenceIndex
from ionanalysis.errors import UsageError
from ionanalysis.io.fasta import sequence_sums
from ionanalysis.rundb.models import ReferenceGenome
from ionanalysis.rundb.reference_index import CURRENT_INDEX


@dataclass(frozen=True, kw_only=True)
class ReferenceFacts:
    """What is told of a reference beside its sequences.

    Attributes
    ----------
    title : str
        Long name; the short one where it is empty.
    species, version, notes : str
    """

    title: str = ""
    species: str = ""
    version: str = ""
    notes: str = ""


def add_reference(short_name, fasta, facts=None, *, index_now=False):
    """Add a reference, or point one of that name to another file; plans may name it from now on.

    Parameters
    ----------
    short_name : str
        The name that plans use, such as ``hg19``.
    fasta : path
        Plain or gzip-compressed; it stays where it is.
    facts : ReferenceFacts, optional
    index_now : bool
        Make the aligner's index at once, not at the first alignment.

    Returns
    -------
    ReferenceGenome
        `genome_length` is the number of bases of all sequences; `identity_hash` is the MD5 of names, lengths and
        MD5 of the sequences, so that the same genome in another layout has the same.

    Raises
    ------
    UsageError
        If the name holds more than letters, digits, ``.``, ``_`` and ``-``.
    InputError
        If the file cannot be read, is not FASTA or holds no bases.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", short_name):
        raise UsageError(f"reference {short_name!r}: letters, digits, '.', '_' and '-' make a name.")
    facts = facts or ReferenceFacts()
    fasta = Path(fasta).resolve()
    index = ReferenceIndex.of(fasta)
    sums = sequence_sums(fasta)
    if index_now:
        _ = index.aligner
    identity = md5("".join(f"{name}\t{length}\t{digest}\n" for name, length, digest in sums).encode())
    values = {
        "name": facts.title or short_name,
        "species": facts.species,
        "version": facts.version,
        "notes": facts.notes,
        "enabled": True,
        "identity_hash": identity.hexdigest(),
        "genome_length": sum(length for _, length, _ in sums),
        "reference_path": str(fasta),
        "source": str(fasta),
        "status": "complete",
        "verbose_error": "",
    }
    known = ReferenceGenome.objects.filter(short_name=short_name, index_version=CURRENT_INDEX).order_by("pk").first()
    row = known or ReferenceGenome(short_name=short_name, index_version=CURRENT_INDEX)
    for column, value in values.items():
        setattr(row, column, value)
    row.save()
    return row
