"""Bases to train qualities on: chips of known truth, simulated, taken through signal processing, called and compared.

Half of the chips start as raw images and pass through signal processing, so that qualities know its errors (long
homopolymers read short, neighbours shine through); the others are simulated signals, with drift and without.
"""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ionanalysis.basecaller.calling import estimate_phase
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.quality import quality_predictors
from ionanalysis.basecaller.solve import reads_of_runs, solve_runs
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.io.mask import read_mask
from ionanalysis.metrics.alignment import align, base_errors
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.options.simulate import simulate_options
from ionanalysis.pipeline.engine import run_pipeline
from ionanalysis.pipeline.request import PipelineRequest
from ionanalysis.wells import open_wells

_WELLS, _MASK, _TRUTH = "1.wells", "analysis.bfmask.bin", "sequences.json"

_RAW_DEFECTS = (
    "white_noise",
    "row_noise",
    "buffering",
    "timing_spread",
    "cross_talk",
    "slow_tail",
    "gain_spread",
    "phase_spread",
    "background_variation",
    "noisy_wells",
)
"""Defects of raw images of which some chips have two at their worst; all together leave nothing to be called."""


def wells_chip(number, options):
    """Options of simulated signals number `number`, from ranges that runs show; every second chip drifts."""
    random = np.random.default_rng([options.train_seed, number])
    drifts = number % 2 == 0
    return simulate_options(
        size=(options.chip_side,) * 2,
        flows=options.train_flows,
        level="wells",
        seed=options.train_seed + number,
        noise_sd=float(random.uniform(0.04, 0.12)),
        noise_per_base=float(random.uniform(0.02, 0.07)),
        cf=float(random.uniform(0.003, 0.012)),
        ie=float(random.uniform(0.003, 0.010)),
        dr=float(random.uniform(0.0, 0.002)),
        flow_gain_sd=float(random.uniform(0.0, 0.03)) * drifts,
        signal_decay=float(random.uniform(0.0, 0.002)) * drifts,
        genome_length=200_000,
        polyclonal=0.0,
        wells_type="float32",
    )


def raw_chip(number, options):
    """Options of simulated raw images number `number`: plain, ordinary and with defects, shorter and longer runs."""
    random = np.random.default_rng([options.train_seed, 1, number])
    return simulate_options(
        size=(options.raw_chip_side,) * 2,
        flows=(options.train_flows * (2 + number % 3)) // 4,
        level="dat",
        seed=options.train_seed + 1_000_000 + number,
        difficulty="plain" if number % 4 == 3 else "default",
        defects=tuple(random.choice(_RAW_DEFECTS, 2, replace=False).tolist()) if number % 4 == 2 else (),
        cf=float(random.uniform(0.003, 0.010)),
        ie=float(random.uniform(0.003, 0.008)),
        dr=float(random.uniform(0.0, 0.0015)),
        copies=float(random.uniform(1.4, 2.6)),
        genome_length=200_000,
    )


def training_bases(chip_options, missing_base_share=1.0, signals_folder=None):
    """Quality predictors of the called bases of a simulated chip's library reads, and which of them are wrong.

    The key is left out, and so are bases called behind the end of the template: nobody looks at their qualities.

    Parameters
    ----------
    chip_options : SimulateOptions
        Of either level; raw images are made in a temporary directory.
    missing_base_share : float
        How much of an error a missing base is for the base behind it, 0 to 1.
    signals_folder : path, optional
        Where signals of simulated chips are kept; those that are there are not made again.

    Returns
    -------
    predictors : ndarray of shape (n_bases, 6), float32
    wrong : ndarray of shape (n_bases,), float32
        How much of an error each base is, 0 to 1.
    """
    with TemporaryDirectory() as scratch:
        place = Path(signals_folder or scratch) / _name_of(chip_options)
        if not (place / _TRUTH).exists():
            _make_signals(chip_options, place)
        mask = read_mask(place / _MASK)
        wells = open_wells(place / _WELLS, mask)
        sequences = _read_sequences(place / _TRUTH, mask.shape)
        phase = estimate_phase(wells)
        classes = read_classes(mask)
        row, col = np.nonzero(classes.library & classes.valid & (sequences != ""))
        signals = wells[:, :, :][row, col]
    order, solver, key = wells.flow_order, SolverOptions(), chip_options.chip.library_key
    gram = order.key_flowgram(key)
    signals = normalise_key(signals, gram)
    shown = shows_key(signals, gram)
    signals, row, col = signals[shown], row[shown], col[shown]
    rates = phase.at(row, col)
    pinned = pinned_flows(signals, [gram], np.zeros(len(signals), np.intp))
    solved = solve_runs(signals, order, rates, solver, pinned=pinned, response=phase.response)
    predictors = quality_predictors(solved, solver, phase.noise)
    reads = reads_of_runs(solved, row, col, order, rates, np.zeros(len(predictors)))
    judged, wrong = _compare(reads, sequences[row, col], order, len(key), missing_base_share)
    return predictors[judged], wrong


def _name_of(chip_options):
    """Folder of a chip's signals: different options, different name."""
    told = json.dumps(chip_options.to_json(), sort_keys=True)
    return f"{chip_options.chip.level}-{sha256(told.encode()).hexdigest()[:16]}"


def _make_signals(chip_options, place):
    """Simulate a chip, raw images through signal processing; leave its wells, mask and true sequences in `place`."""
    from ionanalysis.simulate import simulate_chip

    chip = simulate_chip(chip_options)
    place.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as scratch:
        run_dir, result_dir = Path(scratch) / "run", Path(scratch) / "result"
        chip.write(run_dir)
        made = run_dir
        if chip_options.chip.level != "wells":
            run_pipeline(PipelineRequest(run_dir=run_dir, result_dir=result_dir, last="sigproc"))
            made = result_dir / "sigproc_results"
        for name in (_WELLS, _MASK):
            (path,) = made.rglob(name)
            shutil.copyfile(path, place / name)
    row, col = np.nonzero(chip.truth.kind == "library")
    content = {"row": row.tolist(), "col": col.tolist(), "sequence": chip.truth.sequence[row, col].tolist()}
    # Last: where it is, the rest is complete.
    write_json(place / _TRUTH, content)


def _read_sequences(path, shape):
    """True sequence of each library well, "" elsewhere; object array of the chip's shape."""
    content = read_json(path)
    sequences = np.full(shape, "", object)
    sequences[content["row"], content["col"]] = content["sequence"]
    return sequences


def _compare(reads, targets, order, n_key, missing_base_share):
    """Which of all bases are judged, and how much of an error each of those is."""
    ends = np.array([order.base_flows(target)[-1] for target in targets])
    inside = reads.base_flow <= np.repeat(ends, reads.n_bases)
    counts = np.diff(np.concatenate([[0], np.cumsum(inside)])[reads.base_start])
    position = np.arange(len(inside)) - np.repeat(reads.base_start[:-1], reads.n_bases)
    kept = np.flatnonzero(counts > n_key)
    calls = [reads.sequence(i)[n_key : counts[i]] for i in kept]
    columns = align(calls, [targets[i][n_key:] for i in kept])
    return inside & (position >= n_key), base_errors(columns, missing_base_share)
