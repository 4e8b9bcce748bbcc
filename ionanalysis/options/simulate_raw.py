"""Options of simulated raw images: wells as sensors, chemistry in time, noise, frames (sigproc.md 5, 10)."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option

BY_NUC = "one number for each of A, C, G, T"


@dataclass(frozen=True, kw_only=True)
class SensorOptions(Options):
    """Wells as sensors (sigproc.md 5.5, 10.1)."""

    ratio: float = option(0.7, "buffering of an empty well relative to a bead well", least=0.05, most=1)
    ratio_sd: float = option(0.03, "its spread between wells", least=0, most=0.5)
    ratio_drift: float = option(2.5, "growth of that ratio towards 1", unit="per 1000 flows", least=0, most=20)
    tau_slope: float = option(-24.36, "slope of time constant over ratio", unit="frames", least=-100, most=100)
    tau_base: float = option(25.16, "time constant at ratio 0", unit="frames", least=-100, most=100)
    tau_sd: float = option(0.02, "spread of time constant at the same ratio", unit="relative sd", least=0, most=0.5)
    tau_gradient: float = option(
        0.0, "change of time constant from the first to the last column", unit="relative", least=-0.9, most=0.9
    )
    tau_drift: float = option(0.0, "growth of time constant", unit="fraction per flow", least=-0.002, most=0.01)
    beadfind_mismatch: float = option(
        0.02, "how far time constants differ in bead finding", unit="relative sd", least=0, most=0.5
    )
    pixel_gain_sd: float = option(0.01, "spread of pixel gain", unit="relative sd", least=0, most=0.3)
    dc_mean: float = option(8192.0, "mean level of pixels", unit="counts", least=2000, most=14000)
    dc_sd: float = option(300.0, "spread of that level", unit="counts", least=0, most=2000)
    slow_tail: float = option(
        0.0, "second response, of time constant 60 frames", unit="fraction of the first", least=0, most=0.5
    )
    cross_talk: float = option(
        0.02, "hydrogen that reaches each of 4 neighbours", unit="fraction of that lost", least=0, most=0.2
    )
    cross_talk_tau: tuple[float, ...] = option(
        (5.0, 12.0), "time constants of leaving and of being washed away", unit="frames", least=0.5, most=200
    )

    def __post_init__(self):
        super().__post_init__()
        if len(self.cross_talk_tau) != 2:
            raise UsageError("cross_talk_tau must hold two time constants, leaving and washed away.")


@dataclass(frozen=True, kw_only=True)
class NucleotideOptions(Options):
    """Nucleotides in time (sigproc.md 5.2, 5.3)."""

    t0: float = option(18.0, "when a flow reaches the middle of the chip", unit="frames", least=3, most=60)
    t0_slope: float = option(2.0, "delay from corner to corner", unit="frames", least=-20, most=20)
    t0_sd: float = option(0.3, "spread of delay between wells", unit="frames", least=0, most=5)
    flow_jitter: float = option(0.1, "spread of delay between flows", unit="frames", least=0, most=5)
    mid_lag: float = option(6.0, "from first arrival to the middle of the rise", unit="frames", least=0, most=40)
    rise_sigma: float = option(2.75, "a third of the rise", unit="frames", least=0.2, most=20)
    rise_factor: tuple[float, ...] = option((1.124, 1.0, 0.8533, 1.162), f"factor of the rise, {BY_NUC}", least=0.2)
    nuc_delay: tuple[float, ...] = option((1.78, 0.01, 0.17, 0.69), f"delay at the chip's end, {BY_NUC}", unit="frames")
    nuc_span: float = option(22.5, "how long a nucleotide stays", unit="frames", least=2, most=200)
    dntp: float = option(50.0, "concentration of nucleotides", unit="micromolar", least=1, most=1000)
    kmax: tuple[float, ...] = option((20.0, 17.0, 18.0, 18.0), f"half saturation, {BY_NUC}", unit="micromolar", least=1)
    rate: tuple[float, ...] = option((20.032, 25.04, 31.3, 18.78), f"incorporation, {BY_NUC}", unit="1/s", least=0.1)
    diffusion: tuple[float, ...] = option((189.618, 227.021, 188.48, 159.923), f"supply, {BY_NUC}", least=0.1)
    diffusion_sd: float = option(0.05, "spread of supply between wells", unit="relative sd", least=0, most=0.5)
    depletion: float = option(
        0.0, "supply that is used up from the first to the last column", unit="fraction", least=0, most=0.95
    )
    sensitivity: float = option(1.256, "counts per 50 000 hydrogens", least=0.05, most=50)
    copy_drift: float = option(0.9987, "templates left after each flow", unit="fraction", least=0.98, most=1)
    sub_steps: int = option(4, "steps of integration per frame", least=1, most=64)

    def __post_init__(self):
        super().__post_init__()
        for name in ("rise_factor", "nuc_delay", "kmax", "rate", "diffusion"):
            if len(getattr(self, name)) != 4:
                raise UsageError(f"{name} has {len(getattr(self, name))} numbers; give {BY_NUC}.")


@dataclass(frozen=True, kw_only=True)
class BackgroundOptions(Options):
    """What an empty well sees (sigproc.md 10.2)."""

    background: float = option(60.0, "height of the background", unit="counts", least=0, most=5000)
    background_rise: float = option(8.0, "time constant of its rise", unit="frames", least=0.2, most=200)
    background_decay: float = option(60.0, "time constant of its decay", unit="frames", least=1, most=5000)
    background_smooth: float = option(2.0, "time constant of an empty well", unit="frames", least=0, most=50)
    background_nuc_sd: float = option(0.03, "spread of height between nucleotides", unit="relative sd", least=0, most=1)
    background_flow_sd: float = option(0.02, "spread of height between flows", unit="relative sd", least=0, most=1)
    bubbles: float = option(0.0, "flows in which part of the chip is reached late", unit="fraction", least=0, most=1)
    beadfind_step: float = option(400.0, "step of the bead-finding image", unit="counts", least=10, most=4000)
    beadfind_tau: float = option(3.0, "time constant of that step in empty wells", unit="frames", least=0.2, most=50)


@dataclass(frozen=True, kw_only=True)
class ImageNoiseOptions(Options):
    """Noise of the images (sigproc.md 10.2)."""

    white_noise: float = option(3.0, "noise of each pixel and base frame", unit="counts", least=0, most=100)
    row_noise: float = option(2.0, "noise shared by a row in a base frame", unit="counts", least=0, most=100)
    column_noise: float = option(0.0, "noise shared by a column in a base frame", unit="counts", least=0, most=100)
    comparator_noise: float = option(
        1.5, "noise shared by every fourth row of a column in a base frame", unit="counts", least=0, most=100
    )
    offset_drift: float = option(1.0, "drift of all pixels during a flow", unit="counts per s, sd", least=0, most=50)
    baseline_drift: float = option(-20.0, "drift of all pixels over the run", unit="counts", least=-4000, most=4000)
    noisy_wells: float = option(0.0, "wells with four times the noise", unit="fraction of wells", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class FrameOptions(Options):
    """Frames and files of the images (sigproc.md 1.3, 1.7)."""

    frames: str = option(
        "variable", "1, 8, 4, 52 x 1, 12 x 4, 8 x 8 base frames, or all alike", choices=("variable", "uniform")
    )
    n_frames: int = option(105, "frames of a uniform schedule", least=40, most=400)
    interlace_type: int = option(5, "how images are stored (0 to 6)", least=0, most=6)
    prerun: int = option(0, "images of nucleotides before the run, without templates", least=0, most=100)
