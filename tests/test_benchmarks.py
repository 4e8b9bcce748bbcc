"""The benchmarks run: each suite on a tiny chip, so that none rots."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import bench_kernels, calling, plugins, run, signals, signals_speed, tables  # noqa: E402
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


def test_calling_is_measured_on_a_chip_of_known_truth(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert calling.main(["--side", "14", "--only", "little noise", "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    written = json.loads(Path(shown.splitlines()[-1]).read_text())
    (chip,) = written["chips"]
    assert chip["n_reads"] + chip["n_lost"] == chip["n_library"] > 100
    assert chip["error_rate_low"] <= chip["error_rate"] <= chip["error_rate_high"] < 1
    assert chip["n_wrong_gain"] == 0 and chip["cpu_ms_per_read"] > 0
    assert abs(chip["phase"]["cf"] - chip["true_phase"]["cf"]) < 1e-3
    assert "errors/100" in shown and "yardsticks" in shown


def test_reads_of_a_wrong_gain_are_counted_on_their_own(tmp_path):
    from ionanalysis.basecaller.called import CalledReads
    from ionanalysis.simulate import simulate

    chip = simulate(size=(8, 12), flows=100, seed=5, polyclonal=0.0, tf=0.0, noise_sd=0.01, noise_per_base=0.0)
    row, col = np.nonzero(chip.truth.kind == "library")
    signal = chip.truth.phased_signal[row, col].copy()
    signal[3] *= 0.7
    sequences = [chip.truth.sequence[at][:24] for at in zip(row, col, strict=True)]
    sequences[5] = sequences[5].replace("A", "AA", 1)
    flows = np.concatenate([chip.flow_order.base_flows(sequence) for sequence in sequences])
    letters = np.frombuffer("".join(sequences).encode(), np.uint8)
    starts = np.cumsum([0, *map(len, sequences)])
    n = len(row)
    same = {"signal": signal, "predicted": signal, "inphase": signal, "phase": np.zeros((n, 3)), "status": np.zeros(n)}
    reads = CalledReads(
        row=row, col=col, base_start=starts, bases=letters, qualities=np.full(len(letters), 20), base_flow=flows,
        flow_order=chip.flow_order, **same,
    )  # fmt: skip
    scores = calling.score_reads(reads.to_bam(tmp_path / "x.bam"), chip.truth)
    assert np.flatnonzero(scores.wrong_gain).tolist() == [3]
    assert np.flatnonzero(scores.errors).tolist() == [5] and scores.errors[5] == 1
    assert (scores.n_lost, scores.n_foreign, scores.by_quality[20, 1:].sum()) == (0, 0, 1)
    figures = calling.summary(scores, np.random.default_rng(1))
    assert figures["error_rate_low"] == 0 < figures["error_rate"] < figures["error_rate_high"]


def test_qualities_are_judged_where_enough_errors_are_expected():
    counts = np.zeros((94, 3), int)
    counts[10], counts[30], counts[31] = (1000, 49, 100), (100_000, 29, 40), (100_000, 300, 0)
    ten, thirty = calling.quality_bins(counts, missing_base_share=0.5)
    assert [round(ten[name], 2) for name in ("with_missing", "without_missing")] == [8.24, 13.01]
    assert (ten["predicted"], round(ten["observed"], 6)) == (10, 10)
    assert thirty["observed"] == pytest.approx(30 + 10 * np.log10(2), abs=1e-9)


def test_chips_to_judge_by_are_none_that_were_learnt_from():
    from ionanalysis.options.basecaller import TrainingOptions
    from ionanalysis.options.simulate import simulate_options
    from ionanalysis.pipeline.training import raw_chip, wells_chip

    options = TrainingOptions()
    trained = {make(number, options).chip.seed for make in (raw_chip, wells_chip) for number in range(100)}
    judged = [
        simulate_options(**calling.chip_options(name, calling.SEED + n, 60)) for n, name in enumerate(calling.CHIPS)
    ]
    assert trained.isdisjoint(chip.chip.seed for chip in judged)
    assert len({chip.chip.seed for chip in judged}) == len(calling.CHIPS)


@pytest.mark.slow
@pytest.mark.golden
def test_figures_on_golden_data(golden, capsys):
    from benchmarks.golden import main

    assert main(["--golden", str(golden)]) == 0
    shown = capsys.readouterr().out
    assert "errors per 100 aligned bases" in shown and "nan" not in shown


@pytest.mark.parametrize("kind", ["shell", "python"])
def test_launching_plugins_can_be_measured(kind):
    figure = plugins.measured(kind, 4, 2)
    assert figure["n_holds"] > 2
    assert figure["wall_s"] > 0 < figure["launched_cpu_s"] > figure["bare_cpu_s"] > 0


def test_signals_of_a_chip_are_judged():
    figures = signals.judged_chip((36, 36), 16, 1, {"difficulty": "plain"})
    assert figures.rms < 0.1 < figures.plain_rms
    assert figures.library > 0.98 and figures.false_library == 0
    assert "+0 %" in signals.table({"plain": figures})[-1]


def test_the_speed_of_signals_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert signals_speed.main(["--side", "32", "--flows", "10", "--repeats", "1", "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    written = json.loads(Path(shown.splitlines()[-1]).read_text())
    assert 0 < written["floor"]["project_us"] < written["parts"]["kernel_us"] < written["whole"]["whole_us"]
    assert written["whole"]["startup_cpu_s"] > 0 and set(written["whole"]["wall_s"]) == {"1", "2"}
    assert "two threads" in shown


def test_every_defect_of_the_signals_table_exists():
    from ionanalysis.options.defects import preset

    for name in (*signals.DIFFICULT, *signals.ONE_BY_ONE):
        assert preset("plain", (name,)) != preset("plain")
