"""Noise of a chip by signal: found where there is, carried with the phase, told to qualities."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ionanalysis.basecaller import PhaseEstimate
from ionanalysis.basecaller.noise import LEVEL_STEP, N_LEVELS, estimate_noise, expected_noise
from ionanalysis.basecaller.quality import PREDICTORS, quality_predictors
from ionanalysis.basecaller.solve import call_block, solve_runs
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.options.basecaller import SolverOptions

LEVELS = LEVEL_STEP * np.arange(N_LEVELS)
ORDER = FlowOrder("TACG", 60)


def solved_signals(noise, most=6.0, n=400, n_flows=100):
    """Signals of all levels with known noise around them, as if a solver had given them."""
    random = np.random.default_rng(5)
    predicted = random.choice(LEVELS[most >= LEVELS], (n, n_flows))
    signal = predicted + random.normal(size=predicted.shape) * np.interp(predicted, LEVELS, noise)
    n_runs, run_flow = np.full(n, n_flows, np.int32), np.tile(np.arange(n_flows, dtype=np.int16), (n, 1))
    return {"signal": signal.astype(np.float32), "predicted": predicted, "n_runs": n_runs, "run_flow": run_flow}


@pytest.mark.parametrize("noise", [0.03 + 0.03 * LEVELS**1.5, np.full(N_LEVELS, 0.12), 0.05 + 0.05 * LEVELS])
def test_noise_is_found_at_each_signal(noise):
    assert_allclose(estimate_noise(solved_signals(noise), SolverOptions()), noise, rtol=0.05)


def test_signals_that_no_flow_shows_follow_the_ones_below():
    options = SolverOptions()
    found = estimate_noise(solved_signals(2 * expected_noise(options), most=3.0), options)
    assert_allclose(found, 2 * expected_noise(options), rtol=0.08)


def test_without_calls_noise_is_what_the_solver_expects():
    solved = solved_signals(np.full(N_LEVELS, 0.3))
    solved["n_runs"][:] = -1
    assert_allclose(estimate_noise(solved, SolverOptions()), expected_noise(SolverOptions()), rtol=1e-6)


def test_noise_is_written_and_read_with_the_phase(tmp_path):
    noise = np.linspace(0.05, 0.3, N_LEVELS, dtype=np.float32)
    replace(PhaseEstimate.uniform(0.006, 0.005, 0.001, (5, 6)), noise=noise).write(tmp_path / "phase.json")
    assert_allclose(PhaseEstimate.read(tmp_path / "phase.json").noise, noise)


@pytest.mark.parametrize("damage", [[], [0.1] * 12, [0.1] * 12 + [-1.0], [0.1] * 12 + [None], {"A": 1}, "x" * 13])
def test_damaged_noise_of_a_file_is_refused(damage):
    content = PhaseEstimate.uniform(0.006, 0.005, 0.001, (5, 6)).to_json() | {"Noise": damage}
    with pytest.raises(InputError, match="Noise"):
        PhaseEstimate.from_json({"Phasing": content})


def test_predictor_of_noise_follows_the_chip_and_the_flows_around():
    options, axis = SolverOptions(), PREDICTORS.index("noise")
    signal = ORDER.flowgram("TCAGACGTTGCATCGATTGCAC").astype(float)[None]
    solved = solve_runs(signal, ORDER, np.zeros((1, 3)), options)
    usual, twice = (quality_predictors(solved, options, times * expected_noise(options))[:, axis] for times in (1, 2))
    assert (usual < twice).all()
    solved["signal"] = solved["signal"] + np.where(np.arange(60) % 2, 0.3, -0.3).astype(np.float32)
    assert (quality_predictors(solved, options)[:, axis] > usual).all()


def test_the_same_doubts_mean_more_on_a_noisier_chip():
    random = np.random.default_rng(8)
    signals = ORDER.flowgram("TCAGACGTTGCATCGATTGCACAAAGTC") + random.normal(0, 0.13, (200, 60))
    rows, options = np.arange(200), SolverOptions()
    claims = []
    for noise in (expected_noise(options), 2 * expected_noise(options)):
        called = call_block(signals, rows, rows, ORDER, np.zeros((200, 3)), options, noise=noise)
        claims.append((10 ** (-called.qualities / 10.0)).sum())
    assert claims[1] > claims[0]
