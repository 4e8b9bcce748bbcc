"""`BamDuplicates`: marks reads of one molecule that was sequenced twice, with the original's options."""

from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.flags import FlagTable
from ionanalysis.cli.legacy.program import Program
from ionanalysis.errors import UsageError
from ionanalysis.io.jsonfile import write_json

DUPLICATES_FLAGS = FlagTable(
    [
        ("help h", "flag", "@help print this and leave"),
        ("version v", "flag", "@version print the version and leave"),
        ("input i", "text", "@input BAM file of aligned reads"),
        ("output o", "text", "@output BAM file to make"),
        ("json j", "text", "@json file of statistics to make [BamDuplicates.json]"),
    ]
)


def main(argv=None):
    """Entry point of `BamDuplicates`."""
    usage = "BamDuplicates -i BAM -o BAM [-j JSON]"
    return Program("BamDuplicates", usage, DUPLICATES_FLAGS, (), _mark, lambda error: 1)(argv)


def _mark(values, words, note):
    from ionanalysis.alignment.marking import mark_duplicates

    if words:
        raise UsageError(f"{words[0]!r} belongs to no option; --help lists the options.")
    asked = apply_flags(DUPLICATES_FLAGS, values, ()).arguments
    for name in ("input", "output"):
        if name not in asked:
            raise UsageError(f"no {name} is given; name a BAM file with -{name[0]}.")
    path, output = Path(asked["input"]), Path(asked["output"])
    if path.exists() and output.exists() and output.samefile(path):
        raise UsageError(f"{output}: is the input; name another file for the output.")
    with terminated_as_interrupt():
        statistics = mark_duplicates(path, output)
        write_json(asked.get("json", "BamDuplicates.json"), statistics)
    note(f"{statistics['duplicate_reads']} of {statistics['total_mapped_reads']} mapped reads are duplicates.")
