"""Write reads, wells or masks in a format of other tools, chosen by the ending of the output.

BAM to .fastq, .fastq.gz, .sff, .npz, .zarr, .parquet; wells and masks to .npy, .npz, .zarr, .parquet.
Zarr and Parquet need: pip install "ionanalysis[export]".
"""

from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt


def add_arguments(parser):
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="reads (BAM, SAM, CRAM), wells or a mask")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file to make")


def run(args):
    from ionanalysis.export import export_files

    with terminated_as_interrupt():
        export_files(args.inputs, [_kind(path) for path in args.inputs], args.output)
    print(args.output)


def _kind(path):
    from ionanalysis.cli._describe import identify

    # Text and CRAM have no kind of their own there; what they hold is checked when they are read.
    return "BAM" if path.suffix.lower() in (".sam", ".cram") else identify(path)
