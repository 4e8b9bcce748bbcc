"""Build the compiled kernels of ``ionanalysis/_core``; every other fact of the package is in pyproject.toml.

Each kernel is compiled once per instruction set ("variant") and `ionanalysis._core` picks one at run
time, so that the same wheel runs on any CPU and is fast on a new one. Contraction and reassociation of
floating-point operations stay off: all variants give the same bytes. What Cython needs for arrays, most of
the C code of a kernel, is compiled once, in a module that all share.

Set ``IONANALYSIS_CHECKED=1`` to build one baseline variant with bounds checks.
"""

import os
import platform
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("ionanalysis/_core")
CHECKED = os.environ.get("IONANALYSIS_CHECKED") == "1"
X86 = platform.machine().lower() in ("x86_64", "amd64")
SHARED = "ionanalysis._core._arrays"
FLAGS = ["-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
VARIANTS = {"baseline": []}
if X86 and not CHECKED:
    VARIANTS["avx2"] = ["-mavx2", "-mfma"]
    VARIANTS["avx512"] = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]

# The others spend their time on single bases and bytes, where wider vectors bring nothing.
WIDE = {"dat", "fits", "phase", "solve", "traces"}


def extension(name, kernel, flags):
    return Extension(
        name,
        [str(CORE / f"{kernel}.pyx")],
        include_dirs=[np.get_include(), str(CORE)],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=[*FLAGS, *flags],
    )


def build(variant, extensions):
    return cythonize(
        extensions,
        build_dir=f"build/cython-{'checked' if CHECKED else variant}",
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "embedsignature": True,
        },
    )


kernels = sorted(path.stem for path in CORE.glob("*.pyx") if path.stem != "cpu")
modules = build("cpu", [extension("ionanalysis._core.cpu", "cpu", [])])
modules += build("shared", [Extension(SHARED, [str(CORE / "_arrays.c")], extra_compile_args=["-O2", "-g0"])])
for variant, flags in VARIANTS.items():
    built = [kernel for kernel in kernels if variant != "avx512" or kernel in WIDE]
    modules += build(variant, [extension(f"ionanalysis._core.{variant}.{kernel}", kernel, flags) for kernel in built])

options = {"build_ext": {"parallel": os.cpu_count()}}
if CHECKED:  # in a place of its own, or a later build would ship these
    options["build"] = {"build_base": "build/checked-work"}
setup(ext_modules=modules, options=options)
