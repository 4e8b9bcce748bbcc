"""Text headers of unaligned BAM files: read groups, program, comments (basecaller.md 8.2)."""

import json
from dataclasses import dataclass, field

from ionanalysis.errors import InputError


@dataclass(frozen=True)
class ReadGroup:
    """One @RG line. Empty fields are left out of it.

    `flows` holds the nucleotide of every flow, `key_sequence` the bases that were cut off the front of
    each read of the group (key, barcode, barcode adapter). `more` holds further fields, such as the
    patterns of molecular tags (``zt``, ``yt``).
    """

    name: str
    flows: str = ""
    key_sequence: str = ""
    description: str = ""
    sequencing_center: str = ""
    run_date: str = ""
    library: str = ""
    platform_unit: str = ""
    sample: str = ""
    more: dict[str, str] = field(default_factory=dict)

    @property
    def line(self):
        values = {
            "ID": self.name,
            "CN": self.sequencing_center,
            "DS": self.description,
            "DT": self.run_date,
            "FO": self.flows,
            "KS": self.key_sequence,
            "LB": self.library,
            "PL": "IONTORRENT",
            "PU": self.platform_unit,
            "SM": self.sample,
            **self.more,
        }
        return _line("@RG", values)


@dataclass(frozen=True)
class BamHeader:
    """Header of one BAM file.

    Parameters
    ----------
    read_groups : tuple of ReadGroup
    program, version, command_line : str
        What goes into the line ``@PG ID:bc``.
    comments : tuple of dict
        One @CO line of JSON each.
    """

    read_groups: tuple[ReadGroup, ...]
    program: str = "BaseCaller"
    version: str = ""
    command_line: str = ""
    comments: tuple[dict, ...] = ()

    references = ()

    @property
    def text(self):
        program = {"ID": "bc", "PN": self.program, "VN": self.version, "CL": self.command_line}
        comments = [f"@CO\t{json.dumps(comment, separators=(',', ':'), sort_keys=True)}" for comment in self.comments]
        lines = [
            "@HD\tVN:1.4\tSO:unsorted",
            *(group.line for group in self.read_groups),
            _line("@PG", program),
            *comments,
        ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class ReferenceSequence:
    """One @SQ line: name, length in bases, MD5 of its letters in upper case, and the file that it is from."""

    name: str
    length: int
    md5: str = ""
    uri: str = ""

    @property
    def line(self):
        return _line("@SQ", {"SN": self.name, "LN": str(self.length), "M5": self.md5, "UR": self.uri})


@dataclass(frozen=True)
class CopiedHeader:
    """Header of a file whose records are those of another one."""

    text: str
    references: tuple[ReferenceSequence, ...]


@dataclass(frozen=True)
class AlignedHeader:
    """Header of reads that were aligned, made from that of the unaligned ones.

    Parameters
    ----------
    former : str
        Text of the header of the unaligned reads; its @HD and @SQ lines are replaced.
    references : tuple of ReferenceSequence
    program : dict of str
        Fields of the aligner's @PG line; PP is added.
    """

    former: str
    references: tuple[ReferenceSequence, ...]
    program: dict[str, str]

    @property
    def text(self):
        kept = [line for line in self.former.splitlines() if line and line[:3] not in ("@HD", "@SQ")]
        programs = [line for line in kept if line.startswith("@PG")]
        ids = [field[3:] for line in programs for field in line.split("\t") if field.startswith("ID:")]
        program = dict(self.program)
        number = 1
        while program["ID"] in ids:
            program["ID"] = f"{self.program['ID']}.{number}"
            number += 1
        if ids:
            program["PP"] = ids[-1]
        # Readers that take command lines with tabs in them lose what follows.
        program["CL"] = program.pop("CL", "")
        comments = [line for line in kept if line.startswith("@CO")]
        groups = [line for line in kept if line[:3] not in ("@PG", "@CO")]
        lines = ["@HD\tVN:1.6\tSO:coordinate", *(one.line for one in self.references), *groups, *programs]
        return "\n".join([*lines, _line("@PG", program), *comments]) + "\n"


def _line(kind, values):
    for tag, value in values.items():
        if any(ord(letter) < 32 for letter in value):
            raise InputError(f"BAM header field {kind} {tag} is {value!r}; it must not hold tabs or line breaks.")
    return "\t".join([kind, *(f"{tag}:{value}" for tag, value in values.items() if value)])
