"""Options of barcode classification, with the names and defaults of basecaller.md 1.9."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option

NUCS = "ACGT"


@dataclass(frozen=True, kw_only=True)
class BarcodeOptions(Options):
    """Barcodes: which read belongs to which sample."""

    barcode_mode: int = option(
        2,
        "exact bases (0), flow errors (1), squared (2) or absolute (3) distance of signals, the same of ratios (4, 5)",
        choices=(0, 1, 2, 3, 4, 5),
    )
    barcode_cutoff: float = option(1.0, "greatest distance to a barcode", least=0)
    barcode_separation: float = option(2.0, "least lead over the second-best barcode", least=0)
    barcode_check_limits: bool = option(True, "replace cutoff and separation that do not suit the set")
    barcode_compute_dmin: bool = option(True, "find the least distance between barcodes, which those limits need")
    barcode_auto_config: bool = option(False, "derive cutoff and separation from the set")
    barcode_adapter_check: float = option(0.15, "greatest misfit of the barcode adapter per flow, 0 is off", least=0)
    barcode_ignore_flows: tuple[int, ...] = option(
        (0, 0), "flows a,b (b left out) that do not count", unit="flow", least=0
    )
    barcode_rescue: bool = option(True, "keep reads whose barcode fits but for one base less, more or other")
    barcode_skip_droop: bool = option(True, "leave droop out of the barcodes' signals")
    barcode_clip_measurements: bool = option(False, "cap signals at the longest run in the set")
    barcode_bam_tag: bool = option(False, "write tag XB, the flow errors of the barcode")
    barcode_filter: float = option(0.01, "share of the greatest barcode below which one is filtered", least=0, most=1)
    barcode_filter_weight: float = option(0.1, "weight of that share in a block, postpone 1", least=0, most=1)
    barcode_filter_minreads: int = option(10, "reads at or below which a barcode is filtered", unit="reads", least=0)
    barcode_filter_named: bool = option(False, "filter barcodes with a sample name, too")
    barcode_filter_postpone: int = option(0, "leave barcode filtering to the merge of blocks", choices=(0, 1, 2))
    barcode_error_filter: float = option(
        0.0, "mean errors above which a barcode is filtered; 0 is off", least=0, most=2
    )
    suppress_mol_tags: bool = option(False, "leave molecular tags in the reads")
    prefix_mol_tag: str = option("", "pattern of the molecular tag before the insert, for all barcodes")
    suffix_mol_tag: str = option("", "pattern of the molecular tag behind the insert, for all barcodes")
    tag_trim_method: str = option(
        "sloppy-trim", "whether fixed letters of tags must match", choices=("sloppy-trim", "strict-trim")
    )
    tag_filter_method: str = option(
        "need-all", "which tags a read needs", choices=("need-all", "need-prefix", "need-suffix")
    )
    heal_tag_hp_indel: bool = option(True, "repair run lengths in tags by their fixed letters")
    barcode_handles: tuple[str, ...] = option(
        (), "sequences of the handles behind the barcode, one of which must follow"
    )
    handle_mode: int = option(1, "find handles by exact bases (0) or by flow errors (1)", choices=(0, 1))
    handle_cutoff: int = option(3, "most flow errors in a handle", least=0)
    handle_filter: bool = option(False, "reject reads with the same handle at both ends")
    end_barcodes: bool = option(True, "look for the barcodes at the 3' end that the dataset file names")
    rna_end_barcodes: bool | None = option(None, "the same for samples of RNA; derived: as --end-barcodes")
    end_barcode_mode: int = option(1, "find end barcodes by exact bases (0) or by flow errors (1)", choices=(0, 1))
    end_barcode_cutoff: int = option(2, "most flow errors in an end barcode", least=0)
    end_barcode_separation: int = option(2, "least lead in flow errors over the second-best end barcode", least=0)
    end_bc_adapter_cutoff: int = option(2, "most flow errors in the adapter of an end barcode", least=0)
    end_barcode_list: str = option("", "CSV file of end barcodes (id_str, sequence, adapter) that go with any barcode")
    read_structure: str = option("", "read structure to take handles and molecular tags from")
    read_structure_file: str = option("", "JSON file of read structures")


@dataclass(frozen=True, kw_only=True)
class BarcodeCheckOptions(Options):
    """Check of a barcode set: the run that it is meant for."""

    key: str = option("TCAG", "library key in front of the barcodes")
    flow_order: str = option("TACGTACGTCTGAGCATCGATCGATGTACAGC", "nucleotides of one cycle, repeated")
    flows: int = option(400, "nucleotide flows of the run", least=8, most=4000)
    cf: float = option(0.008, "carry-forward", unit="per flow", least=0.0, most=0.5)
    ie: float = option(0.006, "incomplete extension", unit="per flow", least=0.0, most=0.5)
    noise: float = option(0.1, "noise of a flow without incorporation", unit="bases", least=0.001, most=5)
    noise_per_base: float = option(0.05, "noise added per base of signal", unit="bases", least=0.0, most=5)
    least_errors: int = option(3, "flow errors by which barcodes must differ, or be listed", least=1, most=1000)
    most_undecided: float = option(
        0.01, "share of reads left between two barcodes above which they are listed", least=0.0, most=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("key", "flow_order"):
            value = getattr(self, name)
            if not value or set(value) - set(NUCS):
                raise UsageError(f"{name} is {value!r}; it must be letters A, C, G, T.")
        if set(self.flow_order) != set(NUCS):
            raise UsageError(f"flow_order is {self.flow_order!r}; each of A, C, G, T must flow in a cycle.")
