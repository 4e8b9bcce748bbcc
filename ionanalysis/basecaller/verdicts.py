"""What becomes of a read: one verdict per well, and how the output files name it (basecaller.md 6)."""

from enum import IntEnum

from ionanalysis.io.mask import WellFlag


class Verdict(IntEnum):
    """Why a read is rejected; the first filter that rejects it counts."""

    PASSED = 0
    SIGNAL_KEYPASS = 1
    """Rejected by signal processing, as are the next two."""
    SIGNAL_HIGH_PPF = 2
    SIGNAL_POLYCLONAL = 3
    NO_SIGNAL = 4
    KEYPASS = 5
    ZERO_BASES = 6
    SHORT = 7
    HIGH_RESIDUAL = 8
    QUALITY_FILTER = 9
    ADAPTER_TRIM = 10
    BARCODE_TRIM = 11
    TAG_TRIM = 12
    EXTRA_TRIM = 13
    QUALITY_TRIM = 14
    HIGH_PPF = 15
    """Rejected by base calling's own filter of polyclonal wells, as is the next one."""
    POLYCLONAL = 16


DETAIL_NAMES = {
    Verdict.PASSED: "valid",
    Verdict.SIGNAL_KEYPASS: "bkgmodel_keypass",
    Verdict.SIGNAL_HIGH_PPF: "bkgmodel_high_ppf",
    Verdict.SIGNAL_POLYCLONAL: "bkgmodel_polyclonal",
    Verdict.NO_SIGNAL: "short",
    Verdict.KEYPASS: "failed_keypass",
    Verdict.ZERO_BASES: "short",
    Verdict.SHORT: "short",
    Verdict.HIGH_RESIDUAL: "high_residual",
    Verdict.QUALITY_FILTER: "quality_filter",
    Verdict.ADAPTER_TRIM: "adapter_trim",
    Verdict.BARCODE_TRIM: "barcode_trim",
    Verdict.TAG_TRIM: "tag_trim",
    Verdict.EXTRA_TRIM: "extra_trim",
    Verdict.QUALITY_TRIM: "quality_trim",
    Verdict.HIGH_PPF: "high_ppf",
    Verdict.POLYCLONAL: "polyclonal",
}
"""Name of each verdict in ``Filtering.ReadDetails`` of BaseCaller.json."""

MASK_FLAGS = {
    Verdict.PASSED: WellFlag.KEYPASS,
    Verdict.SIGNAL_KEYPASS: WellFlag.FILTERED_BAD_KEY,
    Verdict.SIGNAL_HIGH_PPF: WellFlag.FILTERED_BAD_PPF,
    Verdict.SIGNAL_POLYCLONAL: WellFlag.FILTERED_BAD_PPF,
    Verdict.NO_SIGNAL: WellFlag.FILTERED_SHORT,
    Verdict.KEYPASS: WellFlag.FILTERED_BAD_KEY,
    Verdict.ZERO_BASES: WellFlag.FILTERED_SHORT,
    Verdict.SHORT: WellFlag.FILTERED_SHORT,
    Verdict.HIGH_RESIDUAL: WellFlag.FILTERED_BAD_RESIDUAL,
    Verdict.QUALITY_FILTER: WellFlag.FILTERED_BAD_RESIDUAL,
    Verdict.ADAPTER_TRIM: WellFlag.FILTERED_SHORT,
    # The original sets no bit here, so that such reads look unvisited (basecaller.md 13.6).
    Verdict.BARCODE_TRIM: WellFlag.FILTERED_SHORT,
    Verdict.TAG_TRIM: WellFlag.FILTERED_SHORT,
    Verdict.EXTRA_TRIM: WellFlag.FILTERED_SHORT,
    Verdict.QUALITY_TRIM: WellFlag.FILTERED_SHORT,
    Verdict.HIGH_PPF: WellFlag.FILTERED_BAD_PPF,
    Verdict.POLYCLONAL: WellFlag.FILTERED_BAD_PPF,
}
"""Bit of the output mask of each verdict."""
