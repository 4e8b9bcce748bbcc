"""Options of alignment (plugin.md 1.2, step 8)."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class AlignmentOptions(Options):
    """How reads are aligned to the reference."""

    aligner: str = option(
        "minimap2",
        "minimap2 runs in process; tmap must be installed, with an index beside the reference",
        choices=("minimap2", "tmap"),
    )
    tmap_arguments: str = option("stage1 map4", "stages of tmap with their arguments")
    mark_duplicates: bool = option(
        False, "flag reads with the start, the end and the adapter of another one; not for amplicons"
    )
