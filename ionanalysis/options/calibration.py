"""Options of calibration: which models calling applies, and how they are made (basecaller.md 10)."""

from dataclasses import dataclass

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
