"""House rules that a linter cannot see."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ionanalysis"
KERNELS = sorted(path for path in (PACKAGE / "_core").glob("*.pyx") if path.stem != "cpu")


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.stem)
def test_kernels_are_arrays_only_and_have_twins(path):
    text = path.read_text()
    assert set(re.findall(r"^\s*(?:from|c?import)\s+(\.\.|\w+)", text, re.M)) <= {"cython", "libc", "numpy"}
    assert "with nogil:" in text
    twin = (PACKAGE / "reference" / f"{path.stem}.py").read_text()
    for name in re.findall(r"^def (\w+)\(", text, re.M):
        assert f"def {name}(" in twin, f"{path.name}: {name} has no twin"
    assert path.with_suffix(".pyi").exists()


def test_modules_fit_in_ones_head():
    too_long = {
        str(path.relative_to(ROOT)): n_lines
        for pattern in ("*.py", "*.pyx")
        for path in PACKAGE.rglob(pattern)
        # Migrations are written by a program.
        if "migrations" not in path.parts and (n_lines := len(path.read_text().splitlines())) > 450
    }
    assert not too_long


def test_every_file_of_the_package_is_packed():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["ionanalysis"]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    built = {".py", ".pyc", ".so", ".pyd", ".c"}
    left_out = [
        path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in built and path not in packed
    ]
    assert not left_out
    # These run in plugin processes and are no packages of ours: nothing but the patterns packs them.
    for folder in ("plugin/site", "plugin/layer", "plugin/shipped"):
        assert {path for path in (PACKAGE / folder).rglob("*.py")} <= packed
