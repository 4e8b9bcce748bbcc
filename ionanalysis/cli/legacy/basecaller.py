"""`BaseCaller`: wells to reads, with the original's options."""

import os
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from ionanalysis.cli.legacy.basecaller_flags import BASECALLER_FLAGS
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.program import Program
from ionanalysis.cli.progress import open_progress
from ionanalysis.cli.run import terminated_as_interrupt
from ionanalysis.errors import InputError, OutputError, UsageError
from ionanalysis.executors import open_executor
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.options.stage import StageOptions

CLASSES = (
    StageOptions,
    PhaseOptions,
    SolverOptions,
    FilterOptions,
    TrimOptions,
    BarcodeOptions,
    ClonalityOptions,
    FlowTagOptions,
)

OUTSIDE = {
    "barcode-mode": (0, 5, 2),
    "barcode-filter": (0, 0.999999, 0.01),
    "barcode-filter-weight": (0, 1, 0.1),
    "barcode-filter-minreads": (0, float("inf"), 20),
    "barcode-error-filter": (0, 1.999999, 0.0),
    "barcode-filter-postpone": (0, 2, 0),
}
"""Least and greatest value of an option, and what the original puts in place of one outside (basecaller.md 1.9)."""


def main(argv=None):
    """Entry point of `BaseCaller`."""
    usage = "BaseCaller [options] --input-dir DIR --output-dir DIR"
    return Program("BaseCaller", usage, BASECALLER_FLAGS, CLASSES, _call_bases, lambda error: 1)(argv)


def _call_bases(values, words, note):
    from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller

    if words:
        raise UsageError(f"{words[0]!r} belongs to no option; --help lists the options.")
    effects = apply_flags(BASECALLER_FLAGS, values, CLASSES, CONVERTERS)
    for text in effects.notes:
        note(text)
    asked = effects.arguments
    offset = _block_offset(asked)
    wells, mask = find_wells(asked, offset)
    output_dir = Path(asked.get("output_dir", "."))
    datasets = asked.get("datasets")
    inputs = BasecallerInputs(
        wells=wells,
        mask=mask,
        run_id=asked.get("run_id") or _hashed_run_id(output_dir),
        flow_cycle=asked.get("flow_order", "").upper(),
        datasets=Path(datasets) if datasets else None,
        offset=offset,
        **{name: asked[name].upper() for name in ("library_key", "tf_key") if name in asked},
    )
    kinds = get_type_hints(BasecallerOptions)
    options = BasecallerOptions(**{part.name: effects.option(kinds[part.name]) for part in fields(BasecallerOptions)})
    n_threads = asked.get("n_threads") or len(os.sched_getaffinity(0))
    phase = known_phase(asked, mask, note)
    if asked.get("only_phase"):
        _write_phase(inputs, output_dir, options.phase, phase, n_threads)
        return
    with terminated_as_interrupt(), open_progress() as progress, open_executor(f"threads:{n_threads}") as executor:
        run_basecaller(
            inputs,
            output_dir,
            options,
            executor=executor,
            phase=phase,
            command_line=shlex.join(["BaseCaller", *(f"--{name}={values[name]}" for name in values)]),
            progress=lambda done, total: progress("basecaller", done, total),
            note=note,
        )


def known_phase(asked, mask, note):
    """Phase that the command line fixes or names a file of; None where it is to be estimated.

    Parameters
    ----------
    asked : dict
        `phase_values` (CF, IE, DR of the whole chip) wins over `phase_file`.
    mask : path
        Its size is that of the chip; files of the original do not tell it.
    note : callable
        Gets a sentence when the file cannot be used: phase is then estimated (basecaller.md 3.7).

    Raises
    ------
    UsageError
        If a value is no fraction.
    """
    from ionanalysis.basecaller.phase import PhaseEstimate
    from ionanalysis.io.mask import read_mask

    shape = read_mask(mask).shape
    if "phase_values" in asked:
        if not all(0 <= value < 1 for value in asked["phase_values"]):
            raise UsageError(f"--libcf-ie-dr {asked['phase_values']}: must be fractions per flow, at least 0, below 1.")
        cf, ie, dr = asked["phase_values"]
        return PhaseEstimate.uniform(cf, ie, dr, shape)
    if "phase_file" not in asked:
        return None
    try:
        return PhaseEstimate.read(asked["phase_file"], shape)
    except InputError as error:
        note(f"--phase-estimation-file {asked['phase_file']} cannot be used, phase is estimated: {error}")
        return None


def _write_phase(inputs, output_dir, options, phase, n_threads):
    """What `--just-phase-estimation` leaves: PhaseEstimates.json, which `--phase-estimation-file` reads."""
    from ionanalysis.basecaller.calling import estimate_phase
    from ionanalysis.basecaller.stage import open_inputs

    wells, mask = open_inputs(inputs)
    if phase is None:
        phase = estimate_phase(wells, mask, options=options, key=inputs.library_key, n_threads=n_threads)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output_dir}: cannot be made ({error.strerror}); choose another place.") from error
    phase.write(output_dir / "PhaseEstimates.json")


def find_wells(asked, offset):
    """Wells file and mask, as the original looks for them (basecaller.md 1.1).

    Parameters
    ----------
    asked : dict
        Lists `input_dirs`, or `wells` and `masks`.
    offset : tuple of int
        Row and column of the block, whose directory is tried first.

    Raises
    ------
    UsageError
        If there are several wells files, or the lists do not match.
    InputError
        If a file is missing.
    """
    wells, masks = asked.get("wells", ()), asked.get("masks", ())
    folders = [Path(folder) for folder in asked.get("input_dirs", (".",))]
    if wells or masks:
        if len(wells) != len(masks):
            raise UsageError(f"--wells names {len(wells)} files, --mask {len(masks)}; each wells file needs its mask.")
        pairs = [(Path(one), Path(other)) for one, other in zip(wells, masks, strict=True)]
    else:
        pairs = [_in_folder(folder, offset) for folder in folders]
    if len(pairs) > 1:
        raise UsageError(f"{len(pairs)} wells files are given; sums of several are not offered, give one.")
    found, mask = pairs[0]
    if not mask.exists():
        mask = folders[0] / "bfmask.bin"
    for path, what in ((found, "1.wells"), (mask, "analysis.bfmask.bin or bfmask.bin")):
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; name the directory of {what} with --input-dir.")
    return found, mask


def _in_folder(folder, offset):
    block = folder / f"block_X{offset[1]}_Y{offset[0]}"
    place = block if (block / "1.wells").exists() else folder
    mask = place / "analysis.bfmask.bin"
    return place / "1.wells", mask if mask.exists() else place / "bfmask.bin"


def _block_offset(asked):
    """Row and column of the first well; the option says column first."""
    col, row = asked.get("block_offset", (0, 0))
    return asked.get("block_row_offset", row), asked.get("block_col_offset", col)


def _hashed_run_id(output_dir):
    from ionanalysis.run import hash_run_id

    # The original does so; `ionanalysis run` never takes it from a path.
    return hash_run_id(str(output_dir.resolve()))


def _replaced(least, most, instead):
    return lambda value: value if least <= value <= most else instead


CONVERTERS = {name: _replaced(*bounds) for name, bounds in OUTSIDE.items()} | {
    "keynormalizer": lambda value: value if value in ("adaptive", "off") else "gain",
    "trim-adapter": lambda value: () if value == ("off",) else value,
    "trim-adapter-tf": lambda value: () if value == ("off",) else value,
}
