"""Options of `ionstats alignment`, with the names and defaults of basecaller.md 11.3."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class AlignmentStatisticsOptions(Options):
    """Statistics of aligned reads."""

    histogram_length: int | None = option(
        None, "length of histograms; by default as the flows allow", unit="bases", least=1
    )
    n_flow: int | None = option(None, "flows that errors are counted in; by default 2 per base", unit="flows", least=1)
    minimum_aq_length: int = option(21, "shorter accurate lengths are not counted", unit="bases", least=0)
    aq_error_rates: tuple[float, ...] = option(
        (0.2, 0.1, 0.02, 0.01, 0.001, 0.0), "error rates of accurate lengths", unit="per base", least=0.0, most=1.0
    )
    evaluate_flow: bool = option(True, "count errors by flow")
    max_hp: int = option(10, "longest homopolymer told apart", unit="bases", least=1, most=100)
    min_map_qual: int = option(-1, "reads of a lower mapping quality count as not aligned", least=-1, most=255)
    max_map_qual: int = option(
        -1, "reads of a higher mapping quality count as not aligned; -1: none", least=-1, most=255
    )
    skip_rg_suffix: str = option("", "ignore reads whose read group ends so")
    bc_adjust: bool = option(False, "count lengths with key and barcode in front, too")
    chip_origin: tuple[int, ...] | None = option(None, "first column and row of the chip", unit="wells")
    chip_dim: tuple[int, ...] | None = option(None, "columns and rows of the chip", unit="wells", least=1)
    subregion_dim: tuple[int, ...] | None = option(None, "columns and rows of a region", unit="wells", least=1)

    def __post_init__(self):
        super().__post_init__()
        given = [self.chip_origin, self.chip_dim, self.subregion_dim]
        if any(given) and not all(value is not None and len(value) == 2 for value in given):
            raise UsageError("chip_origin, chip_dim and subregion_dim go together, two numbers each.")
