"""Which flow signals BAM records carry, with the names and defaults of basecaller.md 1.9 where it has them."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option

FLOW_SIGNALS = ("none", "wells", "key-normalized", "adaptive-normalized", "residual", "scaled-residual")


@dataclass(frozen=True, kw_only=True)
class FlowTagOptions(Options):
    """Flow signals in BAM files."""

    write_zm: bool = option(True, "write tag ZM, the normalised signals; without it reads cannot be called again")
    trim_zm: bool = option(True, "leave the flows behind the read out of tag ZM")
    zm_step: int = option(
        2, "round signals in ZM to multiples of this, for smaller files", unit="1/256 base", choices=(2, 4, 8, 16, 32)
    )
    flow_signals_type: str = option("none", "signals in tag FZ", choices=FLOW_SIGNALS)
    debug_normalization_bam: bool = option(False, "write tags Ya, Yb, Yw, Yx: how signals were normalised")
