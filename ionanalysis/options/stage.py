"""Options of the base-calling stage as a whole, with the names and defaults of basecaller.md 1.9."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class StageOptions(Options):
    """Base calling: wells in, reads out."""

    flowlimit: int | None = option(None, "use no more than so many flows; all by default", unit="flows", least=1)
    region_rows: int = option(50, "rows of the regions that are called one by one", unit="wells", least=1)
    region_cols: int = option(50, "columns of the regions", unit="wells", least=1)
    num_unfiltered: int = option(100_000, "size of the random sample written without filters", unit="reads", least=0)
    ignore_washouts: bool = option(False, "do not call wells whose bead was washed out")
    read_names: str = option("", "file of read names (run:row:col), one a line: call these reads only")
