"""Simulated chips of three sizes (and a tiny one for tests), made once and kept in the temporary directory."""

import hashlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

import ionanalysis
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder

SIZES = {"small": 40, "medium": 80, "large": 160}
"""Side of the square chips, in wells, by name."""

TINY = {"tiny": 30}

FLOWS = {"dat": 24, "wells": 200}
"""Flows of the chips by level: raw images cost most, and enough flows of them are few."""

SEED = 1


def chip(size, level):
    """Directory of a simulated run; made on the first call.

    Parameters
    ----------
    size : str
        ``small``, ``medium``, ``large`` or ``tiny``.
    level : str
        ``dat`` for raw images, ``wells`` for signals and mask.
    """
    from ionanalysis.simulate import simulate

    side = (SIZES | TINY)[size]
    path = _cache() / f"{level}-{side}x{side}x{FLOWS[level]}-{_simulator_version()}"
    if not path.is_dir():
        made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        simulate(size=(side, side), flows=FLOWS[level], seed=SEED, level=level, path=made)
        try:
            made.rename(path)
        except OSError:
            # Another process was faster; what it made is the same.
            shutil.rmtree(made)
    return path


def n_well_flows(size, level):
    """Wells times flows of a chip: the work that rates are given in."""
    return (SIZES | TINY)[size] ** 2 * FLOWS[level]


def flow_order(level):
    return FlowOrder(DEFAULT_CYCLE, FLOWS[level])


def _cache():
    root = Path(tempfile.gettempdir()) / f"ionanalysis-bench-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise SystemExit(f"{root} belongs to somebody else; set TMPDIR to a directory of your own.")
    return root


def _simulator_version():
    """Changes whenever the simulator or its options do."""
    package = Path(ionanalysis.__file__).parent
    sources = [*sorted((package / "simulate").glob("*.py")), package / "options/simulate.py"]
    return hashlib.blake2b(b"".join(source.read_bytes() for source in sources), digest_size=6).hexdigest()
