"""The files of a simulated run."""

from ionanalysis.blocks import Block
from ionanalysis.errors import OutputError, UsageError
from ionanalysis.executors import open_executor
from ionanalysis.io.dat import write_dat
from ionanalysis.io.explog import write_explog
from ionanalysis.io.fasta import write_fasta
from ionanalysis.io.mask import write_mask
from ionanalysis.io.truth import write_truth
from ionanalysis.io.wells_writer import WellsWriter
from ionanalysis.simulate.frames import frame_schedule
from ionanalysis.simulate.images import BEADFIND_STEPS, ImageMaker
from ionanalysis.simulate.truth import fasta_records

_BAND_ROWS = 50


def write_chip(chip, path, *, progress=None, n_threads=None):
    """Write the run directory of `chip`; returns the files written, by what they are. See `Chip.write`."""
    for name in ("truth.h5", "1.wells", "explog.txt", "acq_0000.dat", "X0_Y0"):
        if (path / name).exists():
            raise UsageError(f"{path}: holds a run already ({name}); choose another directory or remove it.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made ({error.strerror}); choose another place.") from error
    # The log comes first and its final form last: readers that follow a run take that as the end.
    entries = log_entries(chip)
    write_explog(path / "explog.txt", entries)
    if chip.options.chip.level == "wells":
        written = write_wells_level(chip, path)
    else:
        written = write_images(chip, path, progress, n_threads)
    written |= write_truth_files(chip, path)
    write_explog(path / "explog_final.txt", entries)
    return written | {"log": path / "explog.txt"}


def write_images(chip, path, progress=None, n_threads=None):
    """Write acq_*.dat, beadfind_pre_*.dat and prerun_*.dat, in one directory per block where there are several."""
    maker = ImageMaker(chip.options, chip.truth, chip.flow_order)
    n_flows, n_prerun = len(chip.flow_order), chip.options.frames.prerun
    blocks = blocks_of(chip)
    directories = [path / block.name if len(blocks) > 1 else path for block in blocks]
    for directory in directories:
        directory.mkdir(exist_ok=True)

    def write(name, frames):
        for block, directory in zip(blocks, directories, strict=True):
            write_dat(
                directory / name,
                frames[:, *block.slices],
                maker.schedule.end_times_ms,
                interlace_type=chip.options.frames.interlace_type,
            )

    with open_executor(n_threads=n_threads) as executor:
        for number in BEADFIND_STEPS:
            write(f"beadfind_pre_{number:04d}.dat", maker.beadfind(number, executor))
        for number in range(n_prerun):
            write(f"prerun_{number:04d}.dat", maker.prerun(number, executor))
        for flow in range(n_flows):
            write(f"acq_{flow:04d}.dat", maker.flow(flow, executor))
            if progress:
                progress(flow + 1, n_flows)
    return {"images": path}


def blocks_of(chip):
    """The blocks that the images are cut into."""
    (n_rows, n_cols), (down, across) = chip.options.chip.size, chip.options.chip.blocks
    # Compressed images take rows of multiples of 8 wells.
    width = -(-n_cols // across)
    return Block(0, 0, n_rows, n_cols).tiles(-(-n_rows // down), -(-width // 8) * 8)


def log_entries(chip):
    """Keys and values of the experiment log."""
    options = chip.options
    n_rows, n_cols, n_flows = chip.shape
    blocks = [
        ("BlockStatus", f"X{block.col}, Y{block.row}, W{block.n_cols}, H{block.n_rows}, AutoAnalyze:1, AnalyzeEarly:1")
        for block in blocks_of(chip)
    ]
    entries = {
        "Experiment Name": options.chip.run_name,
        "Start Time": "01/01/2020 00:00:00",
        "Project": "simulated",
        "Sample": "simulated",
        "Library": "none",
        "User Name": "ionanalysis",
        "Serial Number": f"SIM{options.chip.seed}",
        "Oversample": "2X",
        "Frame Time": "0.066667",
        "Num Frames": sum(frame_schedule(options.frames).counts),
        "Cycles": -(-n_flows // len(chip.flow_order.cycle)),
        "Flows": n_flows,
        "LibraryKeySequence": options.chip.library_key,
        "ChipType": options.chip.chip,
        "Rows": n_rows,
        "Columns": n_cols,
        "Image Map": chip.flow_order.cycle,
    }
    return [*entries.items(), *blocks]


def write_truth_files(chip, path):
    """Write truth.h5, truth.fasta, reference.fasta and DefaultTFs.fasta."""
    files = {
        "truth": path / "truth.h5",
        "templates": path / "truth.fasta",
        "reference": path / "reference.fasta",
        "test_fragments": path / "DefaultTFs.fasta",
    }
    write_truth(files["truth"], chip.truth)
    write_fasta(files["templates"], fasta_records(chip.truth, list(chip.library.genome)))
    write_fasta(files["reference"], chip.library.genome)
    write_fasta(files["test_fragments"], chip.library.test_fragments)
    return files


def write_wells_level(chip, path):
    """Write 1.wells and analysis.bfmask.bin."""
    files = {"wells": path / "1.wells", "mask": path / "analysis.bfmask.bin"}
    n_rows, n_cols, _ = chip.shape
    with WellsWriter(
        files["wells"],
        (n_rows, n_cols),
        chip.flow_order,
        {"ChipType": chip.options.chip.chip},
        dtype=chip.options.noise.wells_type,
        has_copies=True,
    ) as writer:
        for block in Block(0, 0, n_rows, n_cols).tiles(_BAND_ROWS, n_cols):
            writer.write(block, chip.signal_per_copy[block.slices], chip.copies[block.slices])
    write_mask(files["mask"], chip.mask)
    return files
