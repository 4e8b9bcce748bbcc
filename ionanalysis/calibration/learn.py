"""From called reads to `Calibration.json` (basecaller.md 10.2)."""

import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from ionanalysis import __version__
from ionanalysis.bam.source import header_of, open_alignments
from ionanalysis.basecaller.calibration import linear_model_response
from ionanalysis.basecaller.response import estimate_response
from ionanalysis.calibration.histogram import HistogramFit
from ionanalysis.calibration.linear import Grid, LinearFit
from ionanalysis.calibration.training import TrainingCounts, read_training
from ionanalysis.errors import InputError, OutputError
from ionanalysis.io.calibration import Calibration
from ionanalysis.io.calibration_writing import write_calibration
from ionanalysis.options.basecaller import SolverOptions

_LEAST_READS = 20
_HISTOGRAM_READS = 20_000
_CURVE_READS = 1000
"""Reads whose homopolymers tell the response of a blind fit."""


@dataclass(frozen=True, eq=False)
class LearntCalibration:
    """Models, and what they rest on.

    Attributes
    ----------
    calibration : Calibration
    counts : TrainingCounts
    n_useful : int
        Reads that counted.
    n_off : int
        Reads with too many flows far from their sequence.
    blind : bool
        Whether the reads' own bases were taken for the truth.
    """

    calibration: Calibration
    counts: TrainingCounts
    n_useful: int
    n_off: int
    blind: bool

    def __repr__(self):
        return f"LearntCalibration({self.n_useful} reads{', blind' if self.blind else ''}: {self.calibration.linear!r})"


def learn_calibration(
    paths, options, *, offset=(0, 0), size=None, index=None, n_threads=None, block="", progress=None, note=None
):
    """Learn a calibration from called reads.

    Parameters
    ----------
    paths : list of path
        BAM files of a training call (`read_training` says what they must hold).
    options : CalibrationFitOptions
    offset, size : (int, int)
        First row and column of the block on the chip, and its rows and columns; by default as far as the reads lie.
    index : ReferenceIndex, or dict of path to ReferenceIndex, optional
        Reads that are not aligned are aligned to it, those of each file to its own.
    n_threads : int, optional
        All cores by default; the result does not depend on it.
    block : str
        Name of the model; made of run and block by default.
    progress, note : callable, optional

    Returns
    -------
    LearntCalibration

    Raises
    ------
    InputError
        If files cannot be read, or hold too few reads to learn from.
    """
    n_flows, counts = _longest_order(paths), TrainingCounts()
    batches = list(read_training(paths, options, counts, index=index, n_threads=n_threads, progress=progress))
    if counts.loaded < _LEAST_READS:
        raise InputError(_too_few(paths, counts, options, index))
    size = size or _extent(batches, offset)
    n_regions = options.num_calibration_regions[::-1]
    grid = Grid(offset, size, n_regions, n_flows, options.flow_window_size)
    curve = _curve(batches)
    sizes = shift = None
    # The second time, flows are judged by what the first has found.
    for _ in range(2):
        fit = LinearFit(grid, options, curve)
        useful = [fit.add(reads, sizes, shift) for reads in batches]
        sizes, shift = fit.solve()
    n_useful = int(sum(used.sum() for used in useful))
    run_id = sorted(counts.run_ids)[0] if counts.run_ids else "NORID"
    linear = fit.model(sizes, shift, block or f"{run_id}.block_X{offset[1]}_Y{offset[0]}")
    if note and len(counts.run_ids) > 1:
        note(f"reads of the runs {', '.join(sorted(counts.run_ids))} are calibrated together.")
    linear = linear if options.model_calibration else None
    histogram = None
    # The reads' own lengths cannot tell where boundaries between them are wrong.
    if options.histogram_calibration and not options.blind_fit:
        histogram = _histogram(batches, grid, options, linear)
    models = Calibration(linear=linear, histogram=histogram)
    return LearntCalibration(models, counts, n_useful, counts.loaded - n_useful, options.blind_fit)


def _histogram(batches, grid, options, linear):
    def response(reads):
        if linear is None:
            return None
        return linear_model_response(linear, linear.region_of(reads.row, reads.col), reads.flow_order)

    fit, n_reads = HistogramFit(grid, options, response), 0
    for reads in batches:
        if n_reads >= _HISTOGRAM_READS:
            break
        fit.add(reads)
        n_reads += len(reads)
    return fit.model()


def run_calibration(paths, output_dir, options, *, command_line="", **about):
    """Learn a calibration and write `Calibration.json` into a folder.

    Parameters
    ----------
    paths : list of path
    output_dir : path
        Made if missing.
    options : CalibrationFitOptions
    command_line : str
        Recorded in the file.
    **about
        As for `learn_calibration`.

    Returns
    -------
    LearntCalibration

    Raises
    ------
    InputError, OutputError
    """
    started = datetime.now().astimezone()
    learnt = learn_calibration(paths, options, **about)
    output_dir = Path(output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output_dir}: cannot be made ({error.strerror}); choose another place.") from error
    write_calibration(
        output_dir / "Calibration.json",
        learnt.calibration,
        _about(learnt, started, command_line),
        training=_training(learnt, options),
    )
    return learnt


def _about(learnt, started, command_line):
    ended = datetime.now().astimezone()
    seconds = round((ended - started).total_seconds(), 1)
    counts = learnt.counts
    return {
        "host_name": platform.node(),
        "start_time": started.strftime("%Y-%m-%dT%H:%M:%S"),
        "version": __version__,
        "git_hash": "",
        "build_number": "",
        "command_line": command_line,
        "num_reads_in_bam": counts.in_file,
        "num_mapped_reads": counts.mapped,
        "num_loaded_reads": counts.loaded,
        "num_useful_reads": learnt.n_useful,
        "truth": "the reads' own bases (blind)" if learnt.blind else "alignment to a reference",
        "end_time": ended.strftime("%Y-%m-%dT%H:%M:%S"),
        "total_duration": seconds,
        "calibration_duration": seconds,
    }


def _training(learnt, options):
    return {"CalibrationParameters": options.to_json()}


def _longest_order(paths):
    longest = 0
    for path in paths:
        with open_alignments(path) as bam:
            groups = header_of(bam).get("RG", [])
        longest = max([longest, *(len(group.get("FO", "")) for group in groups)])
    if not longest:
        raise InputError(f"{paths[0]}: has no flow order in its read groups; give a BAM file of an Ion Torrent run.")
    return longest


def _extent(batches, offset):
    rows, cols = (max(int(getattr(reads, name).max()) for reads in batches) + 1 for name in ("row", "col"))
    return max(rows - offset[0], 1), max(cols - offset[1], 1)


def _curve(batches):
    """Response of runs by nucleotide and length, from reads of which nobody knows the truth."""
    order = batches[0].flow_order
    chosen = [reads for reads in batches if reads.flow_order is order]
    signal = np.concatenate([reads.signal for reads in chosen])[:_CURVE_READS]
    phase = np.concatenate([reads.phase for reads in chosen])[:_CURVE_READS]
    response, _ = estimate_response(signal, order, phase, SolverOptions())
    return response


def _too_few(paths, counts, options, index):
    names = ", ".join(map(str, paths))
    text = f"{names}: {counts.loaded} of {counts.in_file} reads can be learned from, {counts.mapped} are aligned"
    if not counts.mapped and index is None and not options.blind_fit:
        return f"{text}; align them, name a reference, or fit blindly (--blind-fit on)."
    return f"{text}; give at least {_LEAST_READS}, with tags ZM, ZP and ZF, of a region that the reference has."
