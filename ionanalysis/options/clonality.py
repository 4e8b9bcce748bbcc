"""Options of the filter of polyclonal wells, which signal processing and base calling share."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class ClonalityOptions(Options):
    """Polyclonal wells: told from clonal ones by how many flows are positive, and how far from whole numbers."""

    mixed_first_flow: int = option(12, "first flow that tells", unit="flow", least=0)
    mixed_last_flow: int = option(72, "flow behind the last one that tells", unit="flow", least=1)
    mixed_stringency: float = option(0.5, "how surely a well must be clonal", least=0.0, most=1.0)
    mixed_model_option: int = option(
        0,
        "spread of clonal and mixed wells: common (0), same size and shape (7), same size (8), free (9)",
        choices=(0, 7, 8, 9),
    )
    max_iterations: int = option(30, "greatest number of turns of the fit", least=1, most=10_000)
    clonal_filter_maxreads: int = option(100_000, "wells that the fit rests on", unit="wells", least=2)
    clonal_filter_use_last_iter_params: bool = option(True, "use a fit that has not settled; else the start values")
    filter_extreme_ppf_only: bool = option(False, "reject wells with too many positive flows only")
