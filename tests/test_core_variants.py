"""The run-time choice between builds of the kernels."""

import os
import subprocess
import sys

from ionanalysis._core.cpu import supported


def test_baseline_always_runs():
    assert supported()[0] == "baseline"


def test_unknown_kernel_and_unbuilt_variant_are_attribute_errors():
    code = "from ionanalysis import _core\ntry:\n    _core.nothing\nexcept AttributeError as error:\n    print(error)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "IONANALYSIS_CPU": "avx9"},
    )
    assert shown.stdout == "module 'ionanalysis._core' has no kernel 'nothing' for avx9\n"
