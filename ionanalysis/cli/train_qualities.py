"""Make the quality table that the package ships, from simulated chips.

Chips of many noise and phase settings are simulated, some of them as raw images that pass through signal processing,
called with phases estimated from their own signals, and compared with their truth. The same command and options
give the same table.
"""

import sys
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.options.basecaller import TrainingOptions


def add_arguments(parser):
    parser.add_argument("-o", "--output", type=Path, default=Path("phredTable.simulated.h5"), help="[%(default)s]")
    add_options(parser, TrainingOptions)


def run(args):
    from ionanalysis.basecaller.train import train_table
    from ionanalysis.io.phred import write_phred_table
    from ionanalysis.pipeline.training import raw_chip, training_bases, wells_chip

    options = from_args(TrainingOptions, args)
    chips = [raw_chip(number, options) for number in range(options.raw_chips)]
    chips += [wells_chip(number, options) for number in range(options.chips)]
    parts = []
    for number, chip in enumerate(chips):
        parts.append(training_bases(chip, options.missing_base_share, options.signals_folder))
        wrong = parts[-1][1]
        print(
            f"{number + 1}/{len(chips)} chips, {chip.chip.level}: {len(wrong)} bases, {wrong.mean():.5f} wrong",
            file=sys.stderr,
        )
    write_phred_table(args.output, train_table(parts))
    print(args.output)
