"""Options of calibration: which models calling applies, and how they are made (basecaller.md 10)."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class CalibrationOptions(Options):
    """Calibration models that calling applies."""

    calibration_json: str | None = option(
        None, "apply the models of this Calibration.json, of this program or the original", names_file=True
    )
    model_file: str | None = option(None, "apply the linear model of this text file", names_file=True)
    calibration_file: str | None = option(None, "apply the histogram model of this text file", names_file=True)
    calibrate_tfs: bool = option(False, "apply the histogram model to test fragments, too")
    histogram_zero_mers: bool = option(True, "let the histogram model put in and take out 1-mers")
    histogram_modify_measured: bool = option(True, "let the histogram model change signals, not only lengths")
    histogram_min_inphase: float = option(
        0.1, "fraction in phase below which the histogram model does nothing", least=0.0, most=1.0
    )


@dataclass(frozen=True, kw_only=True)
class CalibrationFitOptions(Options):
    """How calibration models are learned from called reads."""

    num_calibration_regions: tuple[int, ...] = option((2, 2), "columns and rows of regions", least=1, most=100)
    flow_window_size: int = option(250, "least flows of a window with coefficients of its own", unit="flows", least=1)
    blind_fit: bool = option(False, "learn from the reads' own bases, without a reference")
    min_mapping_qv: int = option(8, "mapping quality below which reads are left out", least=0, most=255)
    min_align_length: int | None = option(
        None,
        "aligned bases of the reference below which reads are left out; 30 by default, or a third of the flows",
        least=1,
    )
    model_calibration: bool = option(True, "make the linear model")
    model_calib_min_hp: int = option(0, "shortest homopolymer of the linear model", least=0, most=23)
    model_calib_min_inphase: float = option(0.1, "fraction in phase below which flows are left out", least=0, most=1)
    model_calib_max_residual: float = option(
        1.5, "deviation, over the fraction in phase, above which flows are left out", unit="bases", least=0.1
    )
    model_calib_max_gain_shift: float = option(
        0.1, "most change of the gain from one length to the next", least=0.0, most=1.0
    )

    histogram_calibration: bool = option(True, "make the histogram model")
    histogram_max_hp: int = option(
        9, "length below which boundaries may move (4 in the original)", unit="bases", least=2, most=12
    )
    histogram_num_bins: int = option(100, "bins from one length to the next", least=16, most=1000)
    histogram_min_samples: int = option(40, "calls that must lie between a boundary and where it moves", least=1)
    histogram_train_zero_mers: bool = option(True, "move the boundary between no base and one, too")
    histogram_train_min_inphase: float = option(
        0.1, "fraction in phase below which flows do not count for the histogram", least=0.0, most=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if len(self.num_calibration_regions) != 2:
            raise UsageError("num_calibration_regions must be two numbers, columns and rows.")


@dataclass(frozen=True, kw_only=True)
class ReferenceOptions(Options):
    """The genome that reads are compared with."""

    reference: str | None = option(None, "FASTA file of the genome that the reads come from", names_file=True)
    barcode_references: str | None = option(
        None,
        "CSV file with columns barcode and reference: FASTA files of barcodes whose reads come from another genome",
        names_file=True,
    )


@dataclass(frozen=True, kw_only=True)
class RecalibrationOptions(Options):
    """Whether a run learns a calibration before its reads are called."""

    recalibration: str = option(
        "auto",
        "learn a calibration against the reference (standard), from the reads themselves (blind) or not at all (none); "
        "auto is standard with a reference and none without",
        choices=("auto", "standard", "blind", "none"),
    )
    calibration_reads: int = option(
        100_000, "random sample of wells to learn the calibration from; 0 for all", unit="wells", least=0
    )
