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


def _line(kind, values):
    for tag, value in values.items():
        if any(ord(letter) < 32 for letter in value):
            raise InputError(f"BAM header field {kind} {tag} is {value!r}; it must not hold tabs or line breaks.")
    return "\t".join([kind, *(f"{tag}:{value}" for tag, value in values.items() if value)])
