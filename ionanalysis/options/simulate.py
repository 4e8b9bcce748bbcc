"""Options of the simulator: what lies on the chip, what chemistry does to it, what the sensors add."""

from dataclasses import dataclass, field, fields
from itertools import pairwise

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option
from ionanalysis.options.defects import preset
from ionanalysis.options.simulate_raw import (
    BackgroundOptions,
    FrameOptions,
    ImageNoiseOptions,
    NucleotideOptions,
    SensorOptions,
)

NUCS = "ACGT"

BEAD_ADAPTER = "ATCACCGACTGCCCATAGAGAGGCTGAGAC"
"""What follows the insert of a library molecule (the P1 side of the bead)."""


@dataclass(frozen=True, kw_only=True)
class ChipOptions(Options):
    """The chip and its run."""

    size: tuple[int, int] = (100, 100)
    """Rows and columns."""
    blocks: tuple[int, int] = (1, 1)
    """Blocks down and across; with several the images lie in one directory per block."""
    chip: str = option("530", "name of the chip type")
    flows: int = option(200, "nucleotide flows", least=8, most=4000)
    flow_order: str = option("TACGTACGTCTGAGCATCGATCGATGTACAGC", "nucleotides of one cycle, repeated")
    library_key: str = option("TCAG", "first bases of library reads")
    tf_key: str = option("ATCG", "first bases of test fragments")
    seed: int = option(1, "number that fixes everything random", least=0, most=2**63)
    level: str = option("dat", "what to write: raw images, or signals and a mask", choices=("dat", "wells"))
    run_name: str = option("SIM_ionanalysis", "name of the run in the experiment log")

    def __post_init__(self):
        super().__post_init__()
        if len(self.size) != 2 or not all(isinstance(n, int) and 1 <= n <= 32768 for n in self.size):
            raise UsageError(f"size is {self.size}; it must be rows and columns, each 1 to 32768, such as 100x100.")
        if len(self.blocks) != 2 or not all(isinstance(n, int) and 1 <= n <= 256 for n in self.blocks):
            raise UsageError(f"blocks is {self.blocks}; it must be blocks down and across, such as 2x3.")
        if self.blocks != (1, 1) and self.level != "dat":
            raise UsageError("blocks cut raw images; the wells level is written in one piece. Take level dat.")
        for name in ("flow_order", "library_key", "tf_key"):
            value = getattr(self, name)
            if not value or set(value) - set(NUCS):
                raise UsageError(f"{name} is {value!r}; it must be letters A, C, G, T.")
        if set(self.flow_order) != set(NUCS):
            raise UsageError(f"flow_order is {self.flow_order!r}; each of A, C, G, T must flow in a cycle.")
        if not self.run_name.strip() or not self.run_name.isprintable():
            raise UsageError(f"run_name is {self.run_name!r}; it must be printable text on one line.")


@dataclass(frozen=True, kw_only=True)
class WellKindOptions(Options):
    """What the wells hold."""

    empty: float = option(0.20, "wells without bead", unit="fraction of wells", least=0, most=1)
    dud: float = option(0.04, "wells with a bead without template", unit="fraction of wells", least=0, most=1)
    tf: float = option(0.04, "wells with a test fragment", unit="fraction of wells", least=0, most=1)
    pinned: float = option(0.025, "wells whose pixel saturates", unit="fraction of wells", least=0, most=1)
    polyclonal: float = option(0.10, "library beads with two templates", unit="fraction of library", least=0, most=1)
    polyclonal_minor: float = option(
        0.35, "mean share of the second template, spread by a third of it", unit="fraction", least=0, most=0.5
    )
    clustering: float = option(
        0.0, "pull of empty wells to each other: 0 scattered, 1 in patches", unit="fraction", least=0, most=1
    )
    copies: float = option(2.0, "mean templates per bead, arbitrary unit", least=0.3, most=10)
    copies_sd: float = option(0.3, "spread of templates per bead", least=0, most=5)
    half_loaded: float = option(
        0.0, "beads with half the templates, and half the buffering", unit="fraction of beads", least=0, most=1
    )
    bead_loss: float = option(0.0, "beads that leave during the run", unit="fraction of beads", least=0, most=1)

    def __post_init__(self):
        super().__post_init__()
        taken = self.empty + self.dud + self.tf + self.pinned
        if taken > 1 + 1e-9:
            raise UsageError(f"empty, dud, tf and pinned add up to {taken:.3g}; together they must be at most 1.")


@dataclass(frozen=True, kw_only=True)
class LibraryOptions(Options):
    """The molecules on the beads."""

    reference: str | None = option(None, "FASTA file to draw inserts from, instead of a random genome")
    genome_length: int = option(50_000, "length of the random genome", unit="bases", least=200, most=500_000_000)
    genome_gc: float = option(0.5, "G and C in the random genome", unit="fraction", least=0, most=1)
    long_homopolymers: float = option(
        0.01, "homopolymers stretched beyond chance, as in nature", unit="fraction", least=0, most=0.5
    )
    insert_least: int = option(80, "shortest insert", unit="bases", least=1, most=100_000)
    insert_most: int = option(300, "longest insert", unit="bases", least=1, most=100_000)
    short_inserts: float = option(0.02, "inserts of only 0 to 60 bases", unit="fraction of library", least=0, most=1)
    barcodes: str | None = option(None, "name of a barcode set, or a CSV file")
    barcode_count: int | None = option(
        None, "use only the first so many of the set; all by default", least=1, most=100_000
    )
    barcode_abundance: tuple[float, ...] = option((), "relative abundance of each barcode used", least=0)
    unbarcoded: float = option(0.02, "molecules without a barcode", unit="fraction of library", least=0, most=1)
    barcode_errors: float = option(0.002, "barcodes with one wrong base", unit="fraction", least=0, most=1)
    molecular_tag: str = option("", "random tag before the insert, such as NNNACTNNNTGA")
    molecular_tag_end: str = option("", "random tag after the insert")
    adapter: str = option(BEAD_ADAPTER, "bases after the insert")
    tf_fasta: str | None = option(None, "FASTA file of test fragments, key first, instead of TF_A, TF_B, TF_C")

    def __post_init__(self):
        super().__post_init__()
        if self.insert_least > self.insert_most:
            raise UsageError(
                f"insert_least is {self.insert_least}; it must be at most insert_most, {self.insert_most}."
            )
        for name, letters in (("adapter", NUCS), ("molecular_tag", NUCS + "N"), ("molecular_tag_end", NUCS + "N")):
            if set(getattr(self, name)) - set(letters):
                raise UsageError(f"{name} is {getattr(self, name)!r}; it must be letters {', '.join(letters)}.")
        if self.barcode_abundance and not sum(self.barcode_abundance) > 0:
            raise UsageError("barcode_abundance must hold at least one number above 0.")


@dataclass(frozen=True, kw_only=True)
class TruePhaseOptions(Options):
    """How strands fall out of phase (basecaller.md 4.1)."""

    cf: float = option(0.006, "carry-forward", unit="fraction per flow", least=0, most=0.5)
    ie: float = option(0.005, "incomplete extension", unit="fraction per flow", least=0, most=0.5)
    dr: float = option(0.001, "droop", unit="fraction per flow", least=0, most=0.5)
    phase_spread: float = option(0.05, "spread of the three between wells", unit="relative sd", least=0, most=1)
    phase_gradient: float = option(
        0.0, "change of the three from the first to the last row and column", unit="relative", least=0, most=2
    )


@dataclass(frozen=True, kw_only=True)
class WellsNoiseOptions(Options):
    """What blurs the signals of the wells level."""

    wells_type: str = option(
        "uint16", "number type of 1.wells; uint16 comes with copies", choices=("uint16", "float32")
    )
    noise_sd: float = option(0.07, "noise of a 0-mer", unit="bases", least=0, most=5)
    noise_per_base: float = option(0.04, "more noise for each base of signal", unit="bases", least=0, most=5)
    signal_gain_sd: float = option(0.1, "spread of signal gain between wells", unit="relative sd", least=0, most=1)
    signal_decay: float = option(0.0002, "loss of gain over the run", unit="fraction per flow", least=-0.01, most=0.05)
    flow_gain_sd: float = option(0.01, "spread of gain between flows", unit="relative sd", least=0, most=1)
    offset_sd: float = option(0.01, "spread of a constant offset between wells", unit="bases", least=0, most=1)
    nuc_offset_sd: float = option(0.005, "spread of offset between nucleotides", unit="bases", least=0, most=1)
    nuc_gain: tuple[float, ...] = option((), "gain of the flows of A, C, G, T", least=0.1, most=10)
    nuc_offset: tuple[float, ...] = option((), "offset of the flows of A, C, G, T", unit="bases", least=-1, most=1)

    def __post_init__(self):
        super().__post_init__()
        for name in ("nuc_gain", "nuc_offset"):
            if len(getattr(self, name)) not in (0, len(NUCS)):
                raise UsageError(f"{name} has {len(getattr(self, name))} values; give one each for A, C, G, T.")


@dataclass(frozen=True, kw_only=True)
class ResponseOptions(Options):
    """How signals stray from the bases that give them, at both levels."""

    homopolymer_shortfall: tuple[float, ...] = option(
        (), "what the signals of a 2-mer, a 3-mer and so on lack; the last step goes on", unit="bases", least=0, most=20
    )
    gain_trend_sd: float = option(
        0.0, "spread between wells of a steady change of gain", unit="relative sd per 100 flows", least=0, most=1
    )
    gain_walk_sd: float = option(
        0.0, "random walk of the gain of each well", unit="relative sd after 100 flows", least=0, most=1
    )
    noise_growth: float = option(
        0.0, "more noise (of signals, of pixels) at the end than at the start of the run", least=0, most=20
    )
    outlier_flows: float = option(0.0, "flows whose gain is far off in all wells", unit="fraction", least=0, most=1)
    outlier_flow_sd: float = option(0.3, "spread of gain of these flows", unit="relative sd", least=0, most=5)
    outlier_signals: float = option(0.0, "single signals that are far off", unit="fraction", least=0, most=1)
    outlier_signal_sd: float = option(0.5, "spread of what is added to these signals", unit="bases", least=0, most=10)

    def __post_init__(self):
        super().__post_init__()
        steps = [1 + short - longer for short, longer in pairwise((0.0, *self.homopolymer_shortfall))]
        if any(step <= 0 for step in steps):
            raise UsageError(
                f"homopolymer_shortfall is {self.homopolymer_shortfall}; each number must exceed the one before by "
                "less than 1, so that longer homopolymers give more signal."
            )


@dataclass(frozen=True, kw_only=True)
class SimulateOptions:
    """All options of one simulated chip, by group."""

    chip: ChipOptions = field(default_factory=ChipOptions)
    kinds: WellKindOptions = field(default_factory=WellKindOptions)
    library: LibraryOptions = field(default_factory=LibraryOptions)
    phase: TruePhaseOptions = field(default_factory=TruePhaseOptions)
    noise: WellsNoiseOptions = field(default_factory=WellsNoiseOptions)
    response: ResponseOptions = field(default_factory=ResponseOptions)
    sensor: SensorOptions = field(default_factory=SensorOptions)
    nucleotide: NucleotideOptions = field(default_factory=NucleotideOptions)
    background: BackgroundOptions = field(default_factory=BackgroundOptions)
    image_noise: ImageNoiseOptions = field(default_factory=ImageNoiseOptions)
    frames: FrameOptions = field(default_factory=FrameOptions)

    def to_json(self):
        """Plain values by option name, all groups together."""
        return {name: value for group in fields(self) for name, value in getattr(self, group.name).to_json().items()}


GROUPS: dict[str, type[Options]] = {
    "chip": ChipOptions,
    "kinds": WellKindOptions,
    "library": LibraryOptions,
    "phase": TruePhaseOptions,
    "noise": WellsNoiseOptions,
    "response": ResponseOptions,
    "sensor": SensorOptions,
    "nucleotide": NucleotideOptions,
    "background": BackgroundOptions,
    "image_noise": ImageNoiseOptions,
    "frames": FrameOptions,
}
"""Option class of each group of `SimulateOptions`."""


def simulate_options(*, difficulty="default", defects=(), without=(), **values):
    """`SimulateOptions` from option names of any group.

    Parameters
    ----------
    difficulty : {"plain", "default", "hard"}
        Chip without defects, an ordinary one, or one with every defect as bad as it gets.
    defects, without : tuple of str
        Names in `ionanalysis.options.defects.DEFECTS` that are made bad, or left out.
    **values
        Options by name; they go before the three above.

    Raises
    ------
    UsageError
        If a name is unknown or a value out of range.

    Examples
    --------
    >>> simulate_options(flows=40, cf=0.01).phase.cf
    0.01
    >>> simulate_options(without=("row_noise",)).image_noise.row_noise
    0.0
    """
    values = preset(difficulty, defects, without) | values
    owner = {declared.name: group for group, cls in GROUPS.items() for declared in fields(cls)}
    unknown = sorted(set(values) - set(owner))
    if unknown:
        raise UsageError(f"simulate has no option {', '.join(unknown)}; it has {', '.join(sorted(owner))}.")
    chosen: dict[str, dict] = {group: {} for group in GROUPS}
    for name, value in values.items():
        chosen[owner[name]][name] = value
    groups: dict = {group: GROUPS[group](**given) for group, given in chosen.items()}
    return SimulateOptions(**groups)
