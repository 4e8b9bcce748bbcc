"""Options of read filters and trimming, with the names and defaults of basecaller.md 1.9."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option

P1_ADAPTER = "ATCACCGACTGCCCATAGAGAGGCTGAGAC"
"""Bead adapter in read direction: reverse complement of P1B (basecaller.md 6.6)."""


@dataclass(frozen=True, kw_only=True)
class FilterOptions(Options):
    """Filters: which reads are kept."""

    disable_all_filters: bool = option(False, "keep reads whatever their key, residual, quality or adapter")
    keypass_filter: bool = option(True, "reject reads whose signal or bases do not show the key")
    min_read_length: int = option(25, "shortest read as called, key and barcode included", unit="bases", least=1)
    trim_min_read_len: int | None = option(
        None, "shortest read after trimming; by default as --min-read-length", unit="bases", least=1
    )
    cr_filter: bool = option(False, "reject library reads that the model does not fit")
    cr_filter_tf: bool = option(False, "the same for test fragments")
    cr_filter_max_value: float = option(0.08, "greatest median residual of the first 60 flows", unit="bases", least=0)
    qual_filter: bool = option(False, "reject reads that expect more errors than a bound that grows with length")
    qual_filter_offset: float = option(0.7, "constant part of that bound", unit="errors", least=0)
    qual_filter_slope: float = option(0.02, "its growth", unit="errors per base", least=0)
    qual_filter_quadr: float = option(0.0, "its quadratic growth", unit="errors per base and base", least=0)

    clonal_filter_solve: bool = option(
        False, "reject polyclonal library reads here, too, not only in signal processing"
    )
    clonal_filter_tf: bool = option(False, "the same for test fragments")
    clonal_filter_debug: bool = option(False, "write basecaller_ppf_ssq.txt: what the filter learned from")

    @property
    def least_kept(self):
        """Shortest read after trimming, in bases."""
        return self.min_read_length if self.trim_min_read_len is None else self.trim_min_read_len


@dataclass(frozen=True, kw_only=True)
class TrimOptions(Options):
    """Trimming: which bases of a read are kept."""

    trim_adapter: tuple[str, ...] = option((P1_ADAPTER,), "bead adapters in read direction, or off")
    trim_adapter_tf: tuple[str, ...] = option((), "bead adapters of test fragments, or off")
    trim_adapter_cutoff: float = option(16.0, "greatest misfit of an adapter; 0 switches the trimming off", least=0)
    trim_adapter_separation: float = option(0.0, "lead that the best of several adapters must have", least=0)
    trim_adapter_min_match: int = option(6, "least adapter bases found", unit="bases", least=1)
    trim_adapter_mode: int = option(
        1, "misfit counts run lengths (0), or with their residuals (1), or compares predictions (2)", choices=(0, 1, 2)
    )
    trim_qual_mode: str = option(
        "sliding-window",
        "how the low-quality end of a read is found",
        choices=("off", "sliding-window", "expected-errors", "all", "max-information"),
    )
    trim_qual_window_size: int = option(30, "window of sliding-window", unit="bases", least=1)
    trim_qual_cutoff: float = option(15.0, "least mean quality in the window; 0 or 100 and more is off", least=0)
    trim_qual_offset: float = option(0.7, "expected-errors: constant part of the bound", unit="errors", least=0)
    trim_qual_slope: float = option(0.005, "expected-errors: its growth", unit="errors per base", least=0)
    trim_qual_quadr: float = option(0.0, "expected-errors: its quadratic growth", least=0)
    extra_trim_left: int = option(0, "bases to cut behind key, barcode and tag", unit="bases", least=0)
    extra_trim_right: int = option(0, "bases to cut before the bead adapter", unit="bases", least=0)
    trim_barcodes: bool = option(True, "cut barcodes off the reads")
