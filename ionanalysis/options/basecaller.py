"""Options of base calling: phase, solver, qualities."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.errors import UsageError
from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class SolverOptions(Options):
    """Solver: from normalised signals to homopolymer runs."""

    key_normalisation: str = option("gain", "how the key flows scale a read", choices=("gain", "adaptive", "off"))
    beam: int = option(3, "paths kept in the search", least=1, most=32)
    drop_limit: float = option(4.0, "score behind the best path at which a path is dropped", unit="nats", least=1.0)
    look_ahead: float = option(0.7, "weight of leading strands whose next base is not yet known", least=0.0, most=1.0)
    base_prior: float = option(1.386, "score each called base must be worth; ln 4", unit="nats", least=0.0, most=10.0)
    state_cutoff: float = option(3e-4, "fraction of strands that is left out", least=1e-9, most=1e-2)
    outlier_limit: float = option(3.0, "residuals beyond count linearly", unit="sd", least=1.0, most=100.0)
    noise: float = option(0.08, "expected noise of a flow without incorporation", unit="bases", least=0.01, most=1.0)
    noise_per_base: float = option(0.03, "noise added per base of signal", unit="bases", least=0.0, most=1.0)
    noise_out_of_phase: float = option(
        0.05, "noise added where no strand is in phase any more", unit="bases", least=0.0, most=1.0
    )
    gain_drift: float = option(0.2, "spread of the gain along a read; 0 for one gain", least=0.0, most=1.0)
    offset_drift: float = option(0.1, "spread of the offset along a read", unit="bases", least=1e-6, most=1.0)
    drift_flows: float = option(120.0, "length over which gain and offset drift", unit="flows", least=2.0, most=1e4)
    first_flows: int = option(80, "flows from which the gain of a read is found first", least=10, most=10_000)
    rounds: int = option(3, "rounds of lengths, gain, offset and noise after the search", least=0, most=10)
    fast: bool = option(False, "search and adjust less: three quarters of the time, some errors more")

    def as_array(self):
        """The numbers in the order in which the solver's kernel takes them, float64."""
        return np.array(
            [
                min(self.beam, 2) if self.fast else self.beam,
                min(self.drop_limit, 2.0) if self.fast else self.drop_limit,
                self.look_ahead,
                self.base_prior,
                max(self.state_cutoff, 1e-3) if self.fast else self.state_cutoff,
                self.outlier_limit,
                self.noise,
                self.noise_per_base,
                self.gain_drift,
                self.offset_drift,
                self.drift_flows,
                min(self.first_flows, 40) if self.fast else self.first_flows,
                min(self.rounds, 1) if self.fast else self.rounds,
                self.noise_out_of_phase,
            ],
            np.float64,
        )


@dataclass(frozen=True, kw_only=True)
class PhaseOptions(Options):
    """Phase estimation, one estimate per region of the chip."""

    phase: tuple[float, ...] | None = option(
        None, "CF, IE, DR to use for all wells; estimated by default", unit="per flow"
    )
    phase_file: str | None = option(
        None,
        "use the estimate of this file: PhaseEstimates.json or a BaseCaller.json, of this program or the original",
        names_file=True,
    )
    estimator: str = option(
        "crossed",
        "each read gets what the other half of the reads told (crossed), or what all of them told (joint)",
        choices=("crossed", "joint"),
        flag="phase-estimator",
    )
    region_size: int = option(
        0,
        "side of the square regions; 0: as many regions as reads allow",
        unit="wells",
        least=0,
        flag="phase-region-size",
    )
    region_reads: int = option(
        2000, "usable reads a region must have, where regions are chosen by reads", least=1, flag="phase-region-reads"
    )
    levels: int = option(4, "at most 2^(levels - 1) regions a side", least=1, most=8, flag="phase-levels")
    response_reads: int = option(
        400, "reads from which the signal of long runs is learned; 0 takes each base for as much", least=0, most=100_000
    )
    phase_reads: int = option(600, "reads used per region, both halves together", least=20, most=100_000)
    least_reads: int = option(
        25, "reads of one half of a region below which it takes the average of the others", least=1
    )
    first_flow: int = option(8, "first flow that is fitted; the key comes before", least=0, flag="phase-first-flow")
    end_flow: int | None = option(
        None,
        "flow before which the fit ends; by default all but the last 30 are fitted",
        least=20,
        flag="phase-end-flow",
    )
    beam: int = option(2, "paths kept when reads are called for the fit", least=1, most=32, flag="phase-beam")
    initial_cf: float = option(0.008, "carry-forward to start from", unit="per flow", least=0.0, most=0.04)
    initial_ie: float = option(0.006, "incomplete extension to start from", unit="per flow", least=0.0, most=0.04)
    initial_dr: float = option(0.0005, "droop to start from", unit="per flow", least=0.0, most=0.01)

    def __post_init__(self):
        super().__post_init__()
        if self.phase is not None and not (len(self.phase) == 3 and all(0 <= rate < 1 for rate in self.phase)):
            raise UsageError(
                f"phase {','.join(map(str, self.phase))}: CF,IE,DR must be fractions per flow, at least 0, below 1."
            )
        if self.end_flow is not None and self.end_flow <= self.first_flow:
            raise UsageError(
                f"phase is to be fitted to flows {self.first_flow} to {self.end_flow}; give an end behind the start."
            )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Options):
    """Training of base qualities on simulated chips."""

    chips: int = option(24, "simulated chips to learn from, each with its own noise and phase", least=1, most=10_000)
    raw_chips: int = option(14, "chips that start as raw images, besides", least=0, most=10_000)
    chip_side: int = option(48, "rows and columns of each chip", unit="wells", least=20, most=2000)
    raw_chip_side: int = option(64, "the same of raw images", unit="wells", least=20, most=2000)
    train_flows: int = option(400, "flows of each chip; raw ones have half of them or more", least=40, most=2000)
    train_seed: int = option(90_001, "number that fixes all chips; tests use others", least=0, most=2**31)
    missing_base_share: float = option(
        1.0, "how much of an error a missing base is for the base behind it", unit="errors", least=0.0, most=1.0
    )
    signals_folder: str | None = option(
        None,
        "keep the signals of simulated chips here, and take those that are there; clear it when signal processing or "
        "the simulator change",
    )
