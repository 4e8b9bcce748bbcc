"""Compiled kernels: typed arrays in and out, no GIL, no Python objects, no I/O.

``from ionanalysis._core import phase`` gives the fastest build of ``phase.pyx`` that this processor
runs. The environment variable ``IONANALYSIS_CPU`` (``baseline``, ``avx2``, ``avx512``) asks for
a slower one, for tests and benchmarks; every build gives the same bytes.
"""

import importlib
import os
from importlib.util import find_spec
from types import ModuleType

from ionanalysis._core.cpu import supported


def variants(name: str) -> tuple[str, ...]:
    """Instruction sets for which kernel file `name` was built and that this processor runs, slowest first."""
    return tuple(variant for variant in supported() if find_spec(f"{__name__}.{variant}.{name}"))


def kernel(name: str, variant: str) -> ModuleType:
    """Kernel file `name` as compiled for `variant`."""
    return importlib.import_module(f"{__name__}.{variant}.{name}")


def __getattr__(name: str) -> ModuleType:
    if name.startswith("__"):
        raise AttributeError(name)
    wanted = os.environ.get("IONANALYSIS_CPU") or supported()[-1]
    # Not all kernels are built for the widest vectors: the next narrower build serves.
    allowed = supported()[: supported().index(wanted) + 1] if wanted in supported() else ()
    built = [variant for variant in variants(name) if variant in allowed]
    if not built:
        raise AttributeError(f"module {__name__!r} has no kernel {name!r} for {wanted}")
    module = kernel(name, built[-1])
    globals()[name] = module
    return module
