"""Options of signal processing: bead finding and signal fitting."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class BeadfindOptions(Options):
    """Bead finding."""

    region_size: int = option(50, "side of the square regions", unit="wells", least=8, most=1000)
    library_min_snr: float = option(3.0, "least key signal over scatter of a library well", least=0.0, most=1000.0)
    tf_min_snr: float = option(7.0, "least key signal over scatter of a test fragment", least=0.0, most=1000.0)
    min_key_fraction: float = option(
        0.25, "least key signal of a live well, relative to the median of its kind in the region", least=0.0, most=1.0
    )
    min_live_fraction: float = option(1e-4, "fewer live wells end the analysis", unit="per well", least=0.0, most=1.0)
    use_beadfind_image: bool = option(True, "take the bead-find image into account where there is one")
    no_duds: bool = option(False, "count beads without key signal as library")
    pixel_gain: str = option(
        "chip",
        "what pixels are multiplied with, for signals too: Gain.lsr, or what the bead-find image tells",
        choices=("chip", "none", "file", "beadfind"),
    )
    channel_cross_talk: str = option(
        "chip",
        "take off what pixels of one channel show of each other, for signals too",
        choices=("chip", "none", "316", "318"),
    )
    pair_cross_talk: float = option(
        0.0,
        "part of a pixel's signal that the other one of a pair of rows shows; taken off, for signals too",
        most=0.45,
        least=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class SignalOptions(Options):
    """Signal fitting."""

    learning_flows: int = option(40, "first flows that templates and scale are learned from", least=8, most=400)
    learning_wells: int = option(
        600, "live wells per region that templates and scale are learned from", unit="wells", least=20, most=100_000
    )
    row_noise: bool = option(True, "take off noise that the wells of a row share")
    comparator_noise: bool = option(True, "take off noise that every fourth well of a column shares")
    cross_talk: bool = option(True, "take off what neighbours add")
    copies_apart: bool = option(True, "store copies apart from signals in 1.wells")
    fit_parameters: bool = option(True, "write what was fitted to wells, regions and flows: fit_parameters.h5")
