"""Every option of the original `Calibration` (basecaller.md 10.2) and what it does here."""

from ionanalysis.cli.legacy.flags import FlagTable

_TRUE_FLOWS = "! the flows of the reference follow from its letters; they are not aligned to those of the read"
_ONE_FIT = "! both models come from one run over the reads, whatever their number"
_JOINT = "! sizes of all lengths and the offset are fitted together"
_NO_DUMP = "! counts of single bins are not written"

CALIBRATION_FLAGS = FlagTable(
    [
        ("help h", "flag", "@help print this and leave"),
        ("version v", "flag", "@version print the version and leave"),
        ("input i", "texts", "@input BAM files of a training call: aligned, or not aligned with --reference"),
        (
            "reference",
            "text",
            "@reference FASTA file that reads which are not aligned are aligned to (not an option of the original)",
        ),
        ("output-dir o", "text", "@output_dir where Calibration.json is written [.]"),
        ("block-offset", "ints2", "@block_offset column and row of the first well on the chip [0,0]"),
        ("block-size", "ints2", "@block_size columns and rows of the block [as far as the reads lie]"),
        ("num-calibration-regions", "ints2", "="),
        ("num-threads n", "int", "@n_threads threads of the aligner [all cores]"),
        ("num-reads-per-thread", "int", _ONE_FIT),
        ("flow-window-size", "int", "="),
        ("successive-fit", "bool", _ONE_FIT),
        ("blind-fit", "bool", "="),
        ("num-train-iterations", "int", _ONE_FIT),
        ("min-mapping-qv", "int", "="),
        ("min-align-length", "int", "="),
        ("load-unmapped", "bool", "! blind fits use all reads, others those that are aligned"),
        ("do-flow-alignment", "bool", _TRUE_FLOWS),
        ("align-match-zero", "bool", _TRUE_FLOWS),
        ("align-fill-gaps", "float", _TRUE_FLOWS),
        ("resolve-clipped-bases", "bool", "! clipped bases before the alignment count for what was called"),
        ("skip-droop", "bool", "! tag ZM is without droop"),
        ("rand-seed", "int", "! nothing is drawn at random"),
        ("model-calibration", "bool", "="),
        ("model-training-style", "text", _JOINT),
        ("model-calib-min-hp", "int", "="),
        ("model-calib-min-samples", "int", "! lengths that hardly occur are drawn to the curve of the others"),
        ("model-calib-min-inphase", "float", "="),
        ("model-calib-max-residual", "float", "="),
        ("model-calib-max-gain-shift", "float", "="),
        ("model-multi-train", "bool", _JOINT),
        ("model-multi-weight", "int", _JOINT),
        ("model-training-stats", "bool", _NO_DUMP),
        ("histogram-calibration", "bool", "="),
        ("histogram-max-hp", "int", "="),
        ("histogram-num-bins", "int", "="),
        ("histogram-min-samples", "int", "="),
        ("histogram-zero-mers", "bool", "CalibrationFitOptions.histogram_train_zero_mers"),
        ("histogram-min-inphase", "float", "CalibrationFitOptions.histogram_train_min_inphase"),
        (
            "histogram-fractional-smooth",
            "bool",
            "! boundaries are moved where counts say so beyond chance; nothing is smoothed",
        ),
        ("histogram-careful-boundaries", "bool", "! always careful"),
        ("histogram-old-bins", "bool", "! bins reach half a base to either side, as those of the original's default"),
        ("histogram-training-stats", "bool", _NO_DUMP),
        (
            "histogram-train-method",
            "text",
            "! boundaries are moved where counts say so beyond chance; nothing is smoothed",
        ),
    ]
)
