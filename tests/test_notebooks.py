"""The notebooks of the documentation run, and are kept without outputs."""

import base64
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


@pytest.fixture
def execute(tmp_path):
    """A function that runs a notebook and gives its cells back."""
    missing = [name for name in ("nbclient", "nbformat", "ipykernel") if find_spec(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{', '.join(missing)} not installed; take the extra: pip install 'ionanalysis[test]'")
    folders = {name: str(tmp_path / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(path):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tests/run_notebook.py"), str(path), str(tmp_path)],
            env=os.environ | folders | {"PYTHONPATH": search},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)["cells"]

    return run


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert all(cell["id"] for cell in notebook["cells"])
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}


def shown_by(cells, images):
    """Texts that code cells show, by the cell's name; the cells named in `images` must show one each."""
    outputs = {cell["id"]: cell["outputs"] for cell in cells if cell["cell_type"] == "code"}
    assert not [name for name, shown in outputs.items() for part in shown if part["output_type"] == "error"]
    for name in images:
        (image,) = [part["data"]["image/png"] for part in outputs[name] if "image/png" in part.get("data", {})]
        assert len(base64.b64decode(image)) > 5_000
    return {
        name: "".join(part["data"]["text/plain"] if "data" in part else part["text"])
        for name, parts in outputs.items()
        for part in parts
        if "text/plain" in part.get("data", {}) or part.get("name") == "stdout"
    }


def test_the_notebook_on_signals_runs_and_shows_what_it_says(execute):
    images = ("raw", "time-constants", "empties", "well", "truth-plot")
    shown = shown_by(execute(DOCS / "signals.ipynb"), images)
    assert shown["view"].startswith("<BeadMap: 40 x 40 wells in 1 regions")
    summary, *lengths = shown["truth"].splitlines()
    assert float(summary.split("off by ")[1].split()[0]) < 0.08
    assert [abs(float(line.split("bias ")[1].split(",")[0])) < 0.06 for line in lengths] == [True] * 5
    assert "wells/time_constant_s (s): buffering time constant" in shown["files"]


def test_the_notebook_on_calling_runs_and_shows_what_it_says(execute):
    shown = shown_by(execute(DOCS / "calling.ipynb"), ("well", "well-late", "errors-plot", "quality-plot"))
    assert shown["phase"].startswith("PhaseEstimate(CF 0.6")
    assert float(shown["errors"].split(" errors per 100")[0].split()[-1]) < 0.5
    assert shown["bam"].startswith("Flowgrams(") and shown["reads"].startswith("CalledReads(")
