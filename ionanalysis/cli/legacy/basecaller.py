"""`BaseCaller`: wells to reads, with the original's options."""

import os
import shlex
from dataclasses import replace
from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.legacy.basecaller_flags import BASECALLER_FLAGS
from ionanalysis.cli.legacy.basecaller_values import CONVERTERS, gain_drift, phase_options
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.program import Program
from ionanalysis.cli.progress import open_progress
from ionanalysis.errors import InputError, UsageError
from ionanalysis.executors import open_executor
from ionanalysis.options.calling import BasecallerOptions

CLASSES = tuple(BasecallerOptions.classes().values())


def main(argv=None):
    """Entry point of `BaseCaller`."""
    usage = "BaseCaller [options] --input-dir DIR --output-dir DIR"
    return Program("BaseCaller", usage, BASECALLER_FLAGS, CLASSES, _call_bases, lambda error: 1)(argv)


def _call_bases(values, words, note):
    from ionanalysis.basecaller.stage import BasecallerInputs, run_basecaller, run_phase_estimation

    if words:
        raise UsageError(f"{words[0]!r} belongs to no option; --help lists the options.")
    effects = apply_flags(BASECALLER_FLAGS, values, CLASSES, CONVERTERS)
    for text in effects.notes:
        note(text)
    asked = effects.arguments
    options = _options(effects, values, note)
    offset = _block_offset(asked)
    pairs = find_wells(asked, offset)
    _check(asked, values, pairs)
    output_dir = Path(asked.get("output_dir", "."))
    datasets = asked.get("datasets")
    inputs = BasecallerInputs(
        wells=tuple(wells for wells, _ in pairs),
        mask=tuple(mask for _, mask in pairs),
        run_id=asked.get("run_id") or _hashed_run_id(output_dir),
        flow_cycle=asked.get("flow_order", "").upper(),
        datasets=Path(datasets) if datasets else None,
        offset=offset,
        **{name: asked[name].upper() for name in ("library_key", "tf_key") if name in asked},
    )
    n_threads = asked.get("n_threads") or len(os.sched_getaffinity(0))
    command_line = shlex.join(["BaseCaller", *(f"--{name}={_written(values[name])}" for name in values)])
    if asked.get("just_phase_estimation"):
        run_phase_estimation(inputs, output_dir, options, n_threads=n_threads, command_line=command_line)
        return
    with terminated_as_interrupt(), open_progress() as progress, open_executor(f"threads:{n_threads}") as executor:
        run_basecaller(
            inputs,
            output_dir,
            options,
            executor=executor,
            command_line=command_line,
            progress=lambda done, total: progress("basecaller", done, total),
            note=note,
        )


def _options(effects, values, note):
    """Options of all parts of the stage, phase as the flags for it say together."""
    options = BasecallerOptions.from_classes(effects.option)
    given = {"solver": options.solver, "phase": options.phase}
    arguments = {name: effects.arguments.get(name) for name in ("phasing_estimator", "phase_file")}
    if "dephaser" in effects.arguments:
        given["solver"] = replace(given["solver"], gain_drift=gain_drift(effects.arguments["dephaser"]))
    fixed = given["phase"].phase
    given["phase"] = replace(
        given["phase"],
        **phase_options(**arguments, fixed=fixed, initial=values.get("initcf-ie-dr"), note=note),
    )
    return replace(options, **given)


def _check(asked, values, pairs):
    """Refuse what the original refuses, and what would be something else here."""
    if asked.get("calibration_panel"):
        raise UsageError(
            "--calibration-panel is not offered: reads of control barcodes are not told apart; learn the calibration "
            "from a sample of all reads with --calibration-training=100000."
        )
    if asked.get("diagonal_state_prog"):
        raise UsageError(
            "--diagonal-state-prog is not offered: the model here has no diagonal states; leave the option out "
            "to call the reads with ordinary ones."
        )


def _written(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def find_wells(asked, offset):
    """Wells files, each with its mask, as the original looks for them (basecaller.md 1.1).

    Parameters
    ----------
    asked : dict
        Lists `input_dirs`, or `wells` and `masks`.
    offset : tuple of int
        Row and column of the block, whose directory is tried first.

    Raises
    ------
    UsageError
        If the lists do not match, or there are more than eight.
    InputError
        If a file is missing.
    """
    from ionanalysis.basecaller.inputs import MAX_FILES

    wells, masks = asked.get("wells", ()), asked.get("masks", ())
    folders = [Path(folder) for folder in asked.get("input_dirs", (".",))]
    if wells or masks:
        if len(wells) != len(masks):
            raise UsageError(f"--wells names {len(wells)} files, --mask {len(masks)}; each wells file needs its mask.")
        pairs = [(Path(one), Path(other)) for one, other in zip(wells, masks, strict=True)]
    else:
        pairs = [_in_folder(folder, offset) for folder in folders]
    if not 1 <= len(pairs) <= MAX_FILES:
        raise UsageError(f"{len(pairs)} wells files are given; expected 1 to {MAX_FILES}.")
    found = []
    for number, (path, given_mask) in enumerate(pairs):
        spare = folders[min(number, len(folders) - 1)] / "bfmask.bin"
        mask = given_mask if given_mask.exists() else spare
        for place, what in ((path, "1.wells"), (mask, "analysis.bfmask.bin or bfmask.bin")):
            if not place.is_file():
                raise InputError(f"{place}: there is no such file; name the directory of {what} with --input-dir.")
        found.append((path, mask))
    return found


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
