"""The benchmarks run: each suite on a tiny chip, so that none rots."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bench_kernels, run, tables  # noqa: E402
from benchmarks.machine import yardstick_seconds  # noqa: E402
from benchmarks.measure import measure  # noqa: E402
from benchmarks.stage import Stage  # noqa: E402


@pytest.mark.parametrize("suite", run.suites(Stage), ids=lambda cls: cls.__name__)
def test_every_stage_can_be_measured(suite):
    figure = measure(suite(), ["tiny", 1], least_seconds=0)
    assert figure["n_items"] > 0 and figure["wall_s"] > 0 and figure["peak_mb"] >= figure["setup_mb"] > 0


@pytest.mark.parametrize("suite", run.suites(bench_kernels.Kernel), ids=lambda cls: cls.__name__)
def test_every_kernel_can_be_measured_beside_its_twin(suite):
    builds = suite.params[0]
    assert builds[0] == "baseline" and builds[-1] == "reference"
    for build in (builds[-2], builds[-1]):
        benchmark = suite()
        benchmark.n_fast = benchmark.n_slow
        assert measure(benchmark, [build], least_seconds=0)["n_items"] > 0


def test_the_runner_prints_tables_and_writes_json(tmp_path):
    command = [sys.executable, "-m", "benchmarks.run", "--tiny", "--only", "WriteBam", "--threads", "1,2"]
    done = subprocess.run(
        [*command, "-o", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": "."}
    )
    assert done.returncode == 0, done.stderr
    written = json.loads(Path(done.stdout.splitlines()[-1]).read_text())
    assert [figure["threads"] for figure in written["stages"]] == [1, 2]
    assert written["machine"]["cores"] >= 1 and written["yardstick_s"] is None
    assert "wells·flows/s per core" in done.stdout


def test_scaling_compares_threads_on_the_largest_and_rates_across_chips():
    figure = {"stage": "X", "threads": 1, "n_wells": 100, "n_items": 1000, "wall_s": 1.0, "cpu_s": 1.0, "peak_mb": 50}
    large = figure | {"n_wells": 400, "n_items": 4000, "wall_s": 8.0, "cpu_s": 8.0, "peak_mb": 80}
    (found,) = tables.scaling([figure, large, large | {"threads": 2, "wall_s": 5.0}])
    assert found["speed_up"] == {1: 1.0, 2: 1.6}
    assert found["rate_ratio"] == 0.5
    assert found["mb_per_1000_wells"] == 100


def test_the_yardstick_is_left_out_without_its_source(tmp_path):
    assert yardstick_seconds(None) is None
    assert yardstick_seconds(tmp_path / "nothing.c") is None


def test_the_yardstick_is_the_seconds_that_its_program_prints(tmp_path):
    source = tmp_path / "yardstick.c"
    source.write_text('#include <stdio.h>\nint main(void) { printf("0.125 7\\n"); return 0; }\n')
    if yardstick_seconds(source) is None:
        pytest.skip("no C compiler")
    assert yardstick_seconds(source) == 0.125


@pytest.mark.slow
@pytest.mark.golden
def test_figures_on_golden_data(golden, capsys):
    from benchmarks.golden import main

    assert main(["--golden", str(golden)]) == 0
    shown = capsys.readouterr().out
    assert "errors per 100 aligned bases" in shown and "nan" not in shown
