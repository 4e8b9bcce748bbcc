"""Values of the original `BaseCaller`'s options that mean something else, or nothing, here."""

from ionanalysis.errors import InputError, UsageError
from ionanalysis.options.basecaller import SolverOptions
from ionanalysis.options.stage import WELLS_NORMALISATIONS

OUTSIDE = {
    "barcode-mode": (0, 5, 2),
    "barcode-filter": (0, 0.999999, 0.01),
    "barcode-filter-weight": (0, 1, 0.1),
    "barcode-filter-minreads": (0, float("inf"), 20),
    "barcode-error-filter": (0, 1.999999, 0.0),
    "barcode-filter-postpone": (0, 2, 0),
}
"""Least and greatest value of an option, and what the original puts in place of one outside (basecaller.md 1.9)."""

DEPHASERS = {
    "treephaser-vec": "drift",
    # In the original this name silently leaves the normalisation out (basecaller.md 13.6); nobody can have meant it.
    "treephaser-sse": "drift",
    "treephaser-swan": "drift",
    "treephaser-adaptive": "drift",
    "dp-treephaser": "one gain",
}
"""The original's solvers (basecaller.md 4.6) by how ours follows the gain: drifting along the read, or one per read."""

REFUSED_DEPHASERS = {
    "treephaser-solve": "it calls bases without normalising signals, and the solver here always fits a read's gain; "
    "dp-treephaser fits one per read, treephaser-vec one that drifts",
}
"""Solvers that have no counterpart here, and why."""

PHASING_ESTIMATORS = {"spatial-refiner-2": "crossed", "spatial-refiner": "joint", "override": ""}
"""The original's phase estimators by `PhaseOptions.estimator`; with override the initial values are the phase."""

OVERRIDE_PHASE = (0.006, 0.004, 0.0)
"""CF, IE, DR of the original's override without --initcf-ie-dr (basecaller.md 1.9)."""


def _replaced(least, most, instead):
    return lambda value: value if least <= value <= most else instead


def gain_drift(name):
    """`SolverOptions.gain_drift` of one of the original's solvers.

    Raises
    ------
    UsageError
        If there is no such solver, or none like it here.
    """
    if name in REFUSED_DEPHASERS:
        raise UsageError(f"--dephaser {name} is not offered: {REFUSED_DEPHASERS[name]}.")
    return SolverOptions().gain_drift if _known("dephaser", name, DEPHASERS) == "drift" else 0.0


def phase_options(*, phasing_estimator, phase_file, fixed, initial, note):
    """Fields of `PhaseOptions` that the flags for phase together ask for.

    Parameters
    ----------
    phasing_estimator, phase_file : str or None
        Values of --phasing-estimator and --phase-estimation-file.
    fixed, initial : tuple of float or None
        Values of --libcf-ie-dr, which goes before all others, and --initcf-ie-dr.
    note : callable
        Told when a file is passed over.

    Notes
    -----
    A file that cannot be read is no error in the original: phase is estimated then (basecaller.md 3.7).
    """
    estimator = _known("phasing-estimator", phasing_estimator or "spatial-refiner-2", PHASING_ESTIMATORS)
    if fixed:
        return {}
    if phase_file:
        problem = _unreadable(phase_file)
        if not problem:
            return {"phase_file": phase_file}
        note(f"--phase-estimation-file {phase_file} cannot be used, phase is estimated: {problem}")
    return {"estimator": estimator} if estimator else {"phase": initial or OVERRIDE_PHASE}


def _unreadable(path):
    """Why a file of phase estimates cannot be read; empty if it can."""
    from ionanalysis.basecaller.phase import PhaseEstimate

    problem = ""
    # Our files tell the shape of their block, the original's fit any: whether it is that of the block at hand is found
    # out, and told, later.
    for shape in (None, (2**31, 2**31)):
        try:
            PhaseEstimate.read(path, shape)
            return ""
        except InputError as error:
            problem = problem or str(error)
    return problem


def wells_normalisation(name):
    """`StageOptions.wells_normalisation` of the original's value; its ``on`` is ``fix01`` (basecaller.md 1.5)."""
    folded = {mode.lower(): mode for mode in WELLS_NORMALISATIONS} | {"on": "fix01"}
    return _known("wells-normalization", name.lower(), folded)


def _known(flag, name, table):
    if name not in table:
        raise UsageError(f"--{flag} {name} is unknown; choose from {', '.join(table)}.")
    return table[name]


CONVERTERS = {name: _replaced(*bounds) for name, bounds in OUTSIDE.items()} | {
    "keynormalizer": lambda value: value if value in ("adaptive", "off") else "gain",
    "trim-adapter": lambda value: () if value == ("off",) else value,
    "trim-adapter-tf": lambda value: () if value == ("off",) else value,
    "wells-normalization": wells_normalisation,
}
