"""Options of the base-calling stage as a whole, with the names and defaults of basecaller.md 1.9."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option

WELLS_NORMALISATIONS = ("off", "keyOnly", "signalBiasOnly", "pinZero", "fix01", "offset")
"""Modes of basecaller.md 1.5, by the original's names; its ``on`` is ``fix01``."""


@dataclass(frozen=True, kw_only=True)
class StageOptions(Options):
    """Base calling: wells in, reads out."""

    flowlimit: int | None = option(None, "use no more than so many flows; all by default", unit="flows", least=1)
    region_rows: int = option(50, "rows of the regions that are called one by one", unit="wells", least=1)
    region_cols: int = option(50, "columns of the regions", unit="wells", least=1)
    rows: tuple[int, ...] | None = option(
        None, "call the wells of these rows only, FIRST,LAST with LAST left out; all by default", least=0
    )
    cols: tuple[int, ...] | None = option(None, "the same for columns", least=0)
    downsample_size: int = option(0, "call a random sample of so many usable wells; 0 for all", unit="wells", least=0)
    downsample_fraction: float = option(1.0, "call a random sample of this part of them", least=0.0, most=1.0)
    num_unfiltered: int = option(100_000, "size of the random sample written without filters", unit="reads", least=0)
    calibration_training: int = option(
        -1,
        "call a random sample of so many usable library wells, 0 for all, to learn a calibration from; no test "
        "fragments and no unfiltered sets are written then",
        unit="wells",
        least=-1,
    )
    only_process_unfiltered_set: bool = option(False, "call the wells of that sample and no others")
    wells_normalisation: str = option(
        "off", "take what all wells of a region share out of their signals", choices=WELLS_NORMALISATIONS
    )
    compress_multi_taps: bool = option(False, "add up the signals of flows that repeat a nucleotide, in the first")
    ignore_washouts: bool = option(False, "do not call wells whose bead was washed out")
    read_names: str = option("", "file of read names (run:row:col), one a line: call these reads only")

    def __post_init__(self):
        super().__post_init__()
        for name in ("rows", "cols"):
            limits = getattr(self, name)
            if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
                raise UsageError(
                    f"{name} {','.join(map(str, limits))}: give the first and the one behind the last, such as 0,100."
                )
        if self.is_training and (self.downsample_size or self.downsample_fraction < 1.0):
            raise UsageError("calibration_training draws its own sample; leave out the size or fraction of another.")
        if self.downsample_size and self.downsample_fraction < 1.0:
            raise UsageError("a sample is asked for by size and by fraction; give one of them.")

    @property
    def is_training(self):
        """Whether reads are called to learn a calibration from (basecaller.md 10.1)."""
        return self.calibration_training >= 0
