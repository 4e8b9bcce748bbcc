"""Defects of real chips by name: the options that leave each out, and those of a bad chip."""

from dataclasses import dataclass

from ionanalysis.errors import UsageError


@dataclass(frozen=True)
class Defect:
    """Option values without a defect, and where it is bad."""

    off: dict
    bad: dict


DEFECTS = {
    # First, so that what is said of the empties themselves goes before it.
    "few_empties": Defect({}, {"empty": 0.08}),
    "empties": Defect({"empty": 0.0}, {"empty": 0.35}),
    "duds": Defect({"dud": 0.0}, {"dud": 0.08}),
    "test_fragments": Defect({"tf": 0.0}, {"tf": 0.06}),
    "pinned_pixels": Defect({"pinned": 0.0}, {"pinned": 0.05}),
    "polyclonal_beads": Defect({"polyclonal": 0.0}, {"polyclonal": 0.2}),
    "half_loaded_beads": Defect({"half_loaded": 0.0}, {"half_loaded": 0.1}),
    "bead_loss": Defect({"bead_loss": 0.0}, {"bead_loss": 0.02}),
    "clustered_empties": Defect({"clustering": 0.0}, {"clustering": 0.8}),
    "short_inserts": Defect({"short_inserts": 0.0}, {"short_inserts": 0.1}),
    "barcode_errors": Defect({"barcode_errors": 0.0, "unbarcoded": 0.0}, {"barcode_errors": 0.02, "unbarcoded": 0.05}),
    "phasing": Defect({"cf": 0.0, "ie": 0.0}, {"cf": 0.012, "ie": 0.009}),
    "droop": Defect({"dr": 0.0}, {"dr": 0.002}),
    "phase_spread": Defect({"phase_spread": 0.0, "phase_gradient": 0.0}, {"phase_spread": 0.15, "phase_gradient": 0.3}),
    "signal_noise": Defect({"noise_sd": 0.0, "noise_per_base": 0.0}, {"noise_sd": 0.1, "noise_per_base": 0.06}),
    "signal_offsets": Defect({"offset_sd": 0.0, "nuc_offset_sd": 0.0}, {"offset_sd": 0.03, "nuc_offset_sd": 0.02}),
    "gain_spread": Defect(
        {"signal_gain_sd": 0.0, "pixel_gain_sd": 0.0, "flow_gain_sd": 0.0, "copies_sd": 0.0},
        {"signal_gain_sd": 0.2, "pixel_gain_sd": 0.04, "flow_gain_sd": 0.03, "copies_sd": 0.5},
    ),
    "signal_decay": Defect({"signal_decay": 0.0, "copy_drift": 1.0}, {"signal_decay": 0.0015, "copy_drift": 0.9985}),
    "homopolymer_compression": Defect(
        {"homopolymer_shortfall": ()}, {"homopolymer_shortfall": (0.006, 0.045, 0.15, 0.46)}
    ),
    "gain_drift": Defect({"gain_trend_sd": 0.0, "gain_walk_sd": 0.0}, {"gain_trend_sd": 0.03, "gain_walk_sd": 0.03}),
    "noise_growth": Defect({"noise_growth": 0.0}, {"noise_growth": 1.0}),
    "outlier_flows": Defect(
        {"outlier_flows": 0.0, "outlier_signals": 0.0}, {"outlier_flows": 0.02, "outlier_signals": 0.002}
    ),
    "background": Defect({"background": 0.0}, {"background": 850.0}),
    "background_variation": Defect(
        {"background_nuc_sd": 0.0, "background_flow_sd": 0.0}, {"background_nuc_sd": 0.08, "background_flow_sd": 0.02}
    ),
    "timing_spread": Defect({"t0_sd": 0.0, "t0_slope": 0.0}, {"t0_sd": 0.4, "t0_slope": 3.0}),
    "flow_jitter": Defect({"flow_jitter": 0.0}, {"flow_jitter": 0.225}),
    "nucleotide_kinetics": Defect(
        {
            "nuc_delay": (0.0,) * 4,
            "rise_factor": (1.0,) * 4,
            "kmax": (18.0,) * 4,
            "rate": (23.0,) * 4,
            "diffusion": (190.0,) * 4,
            "diffusion_sd": 0.0,
        },
        {"nuc_delay": (2.5, -0.8, 0.2, 1.0), "diffusion_sd": 0.1},
    ),
    "buffering": Defect(
        {"ratio_sd": 0.0, "tau_sd": 0.0, "beadfind_mismatch": 0.0},
        {"ratio_sd": 0.05, "tau_sd": 0.04, "beadfind_mismatch": 0.06},
    ),
    "buffer_drift": Defect({"tau_drift": 0.0, "ratio_drift": 0.0}, {"tau_drift": 0.001}),
    "buffer_gradient": Defect({"tau_gradient": 0.0}, {"tau_gradient": 0.2}),
    "reagent_depletion": Defect({"depletion": 0.0}, {"depletion": 0.8}),
    "slow_tail": Defect({"slow_tail": 0.0}, {"slow_tail": 0.05}),
    "cross_talk": Defect({"cross_talk": 0.0}, {"cross_talk": 0.03}),
    "bubbles": Defect({"bubbles": 0.0}, {"bubbles": 0.03}),
    "white_noise": Defect({"white_noise": 0.0}, {"white_noise": 4.5}),
    "row_noise": Defect({"row_noise": 0.0}, {"row_noise": 3.0}),
    "column_noise": Defect({"column_noise": 0.0}, {"column_noise": 1.0}),
    "comparator_noise": Defect({"comparator_noise": 0.0}, {"comparator_noise": 3.0}),
    "noisy_wells": Defect({"noisy_wells": 0.0}, {"noisy_wells": 0.01}),
    "offset_drift": Defect(
        {"offset_drift": 0.0, "baseline_drift": 0.0}, {"offset_drift": 2.0, "baseline_drift": -60.0}
    ),
    "variable_frame_times": Defect({"frames": "uniform"}, {"frames": "variable"}),
}
"""What real chips have and a plain generator lacks, by name."""

_NOT_PLAIN = set(DEFECTS) - {
    "empties",
    "duds",
    "test_fragments",
    "phasing",
    "droop",
    "signal_noise",
    "background",
    "white_noise",
    "nucleotide_kinetics",
    "timing_spread",
    "buffering",
}
"""What the plain chip is without; the others it has as the default chip does."""

_NOT_HARD = {"empties", "test_fragments"}
"""More of these makes no chip harder."""

DIFFICULTIES = ("plain", "default", "hard")


def preset(difficulty="default", defects=(), without=()):
    """Option values of a difficulty, with some defects bad and some left out.

    Raises
    ------
    UsageError
        If a name is unknown, or asked for and left out at once.
    """
    if difficulty not in DIFFICULTIES:
        raise UsageError(f"difficulty is {difficulty!r}; choose from {', '.join(DIFFICULTIES)}.")
    unknown = sorted({*defects, *without} - set(DEFECTS))
    if unknown:
        raise UsageError(f"there is no defect {', '.join(unknown)}; choose from {', '.join(DEFECTS)}.")
    both = sorted(set(defects) & set(without))
    if both:
        raise UsageError(f"{', '.join(both)}: asked for and left out at once; decide for one.")
    if {"empties", "few_empties"} <= set(defects):
        raise UsageError("empties and few_empties contradict each other; decide for one.")
    values: dict = {}
    for name, defect in DEFECTS.items():
        if name in without or (difficulty == "plain" and name in _NOT_PLAIN and name not in defects):
            values |= defect.off
        elif name in defects or (difficulty == "hard" and name not in _NOT_HARD):
            values |= defect.bad
    return values
