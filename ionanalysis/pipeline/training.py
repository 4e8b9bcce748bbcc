"""Bases to train qualities on: chips of known truth, simulated, taken through signal processing, called and compared.

Half of the chips start as raw images and pass through signal processing, so that qualities know its errors (long
homopolymers read short, neighbours shine through); the others are simulated signals, with drift and without.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ionanalysis.basecaller.calling import estimate_phase
from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.keys import normalise_key, pinned_flows, shows_key
from ionanalysis.basecaller.quality import quality_predictors
from ionanalysis.basecaller.solve import reads_of_runs, solve_runs
from ionanalysis.metrics.alignment import align, wrong_bases
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.options.simulate import simulate_options
from ionanalysis.pipeline.engine import run_pipeline
from ionanalysis.pipeline.request import PipelineRequest
from ionanalysis.wells import open_wells

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
        flow_gain_sd=float(random.uniform(0.0, 0.02)) * drifts,
        signal_decay=float(random.uniform(0.0, 0.001)) * drifts,
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


def training_bases(chip_options):
    """Quality predictors of the called bases of a simulated chip's library reads, and which of them are wrong.

    A missing base counts at the next one. Bases called behind the end of the template are left out: they are
    trimmed, not judged.

    Parameters
    ----------
    chip_options : SimulateOptions
        Of either level; raw images are made in a temporary directory.

    Returns
    -------
    predictors : ndarray of shape (n_bases, 6), float32
    wrong : ndarray of shape (n_bases,), bool
    """
    from ionanalysis.simulate import simulate_chip

    chip = simulate_chip(chip_options)
    with TemporaryDirectory() as folder:
        wells = _wells_of(chip, Path(folder))
        phase = estimate_phase(wells)
        classes = read_classes(wells.mask)
        row, col = np.nonzero(classes.library & classes.valid & (chip.truth.kind == "library"))
        signals = wells[:, :, :][row, col]
    order, solver = chip.flow_order, SolverOptions()
    gram = order.key_flowgram(chip_options.chip.library_key)
    signals = normalise_key(signals, gram)
    shown = shows_key(signals, gram)
    signals, row, col = signals[shown], row[shown], col[shown]
    rates = phase.at(row, col)
    pinned = pinned_flows(signals, [gram], np.zeros(len(signals), np.intp))
    solved = solve_runs(signals, order, rates, solver, pinned=pinned, response=phase.response)
    predictors = quality_predictors(solved, solver)
    reads = reads_of_runs(solved, row, col, order, rates, np.zeros(len(predictors)))
    judged, wrong = _compare(reads, chip.truth.sequence[row, col], order)
    return predictors[judged], wrong


def _wells_of(chip, folder):
    run_dir, result_dir = folder / "run", folder / "result"
    chip.write(run_dir)
    if chip.options.chip.level == "wells":
        (path,) = run_dir.rglob("1.wells")
        return open_wells(path, chip.mask)
    run_pipeline(PipelineRequest(run_dir=run_dir, result_dir=result_dir, last="sigproc"))
    made = result_dir / "sigproc_results"
    return open_wells(made / "1.wells", made / "analysis.bfmask.bin")


def _compare(reads, targets, order):
    """Which of all bases are judged, and which of those are wrong."""
    ends = np.array([order.base_flows(target)[-1] for target in targets])
    inside = reads.base_flow <= np.repeat(ends, reads.n_bases)
    counts = np.diff(np.concatenate([[0], np.cumsum(inside)])[reads.base_start])
    kept = np.flatnonzero(counts)
    calls = [reads.sequence(i)[: counts[i]] for i in kept]
    return inside, wrong_bases(align(calls, [targets[i] for i in kept]))
