"""The response of homopolymer runs, learned from reads of which nobody told the truth."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller import call_bases, estimate_phase
from ionanalysis.basecaller.phase import PhaseEstimate, predict_signal
from ionanalysis.basecaller.response import estimate_response
from ionanalysis.basecaller.solve import linear_response
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, MAX_RUN, FlowOrder
from ionanalysis.metrics.accuracy import calls_from_reads, score_calls
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.wells import open_wells

PHASE = (0.006, 0.005, 0.0005)
ORDER = FlowOrder(DEFAULT_CYCLE, 240)


def bent(a=0.03, b=0.02):
    """Signal by length with a shortfall of a k + b k^2, k = length - 1, for all nucleotides."""
    k = np.arange(MAX_RUN + 2) - 1.0
    size = np.arange(MAX_RUN + 2) - np.where(k > 0, a * k + b * k**2, 0.0)
    size[7:] = size[6] + 0.6 * np.arange(1, MAX_RUN - 4)
    return np.tile(size.astype(np.float32), (4, 1))


def reads(n, response, seed, noise=0.06):
    """Signals of random reads whose runs give `response`, and their sequences."""
    rng = np.random.default_rng(seed)
    sequences = ["TCAG" + "".join(rng.choice(list("ACGT"), 170)) for _ in range(n)]
    starts, flows, sizes = [0], [], []
    for sequence in sequences:
        gram = ORDER.flowgram(sequence)
        taken = np.flatnonzero(gram)
        flows.append(taken)
        sizes.append(response[ORDER.bases[taken], gram[taken]])
        starts.append(starts[-1] + len(taken))
    phase = np.tile(PHASE, (n, 1))
    signals = predict_signal(ORDER, starts, np.concatenate(flows), np.concatenate(sizes), phase)[0]
    return (signals + rng.normal(0, noise, signals.shape)).astype(np.float32), sequences, phase


def test_planted_shortfall_is_found_without_a_reference():
    signals, _, phase = reads(500, bent(), 1)
    found, _ = estimate_response(signals, ORDER, phase, SolverOptions())
    assert_allclose(found[:, 2:5].mean(axis=0), bent()[0, 2:5], atol=0.03)
    assert (np.diff(found, axis=1) > 0).all()
    assert_allclose(found[:, :2], [[0, 1]] * 4, atol=1e-6)


def test_shortfall_of_one_nucleotide_is_its_own():
    response = linear_response()
    response[2] = bent(0.06, 0.0)[0]
    signals, _, phase = reads(500, response, 2)
    found, _ = estimate_response(signals, ORDER, phase, SolverOptions())
    assert found[2, 3] < found[[0, 1, 3], 3].min() - 0.05


def test_straight_signals_stay_straight():
    signals, _, phase = reads(500, linear_response(), 3, noise=0.1)
    assert_allclose(
        estimate_response(signals, ORDER, phase, SolverOptions())[0][:, :6], linear_response()[:, :6], atol=0.04
    )


def test_no_reads_give_the_straight_response():
    nothing = np.zeros((0, len(ORDER)), np.float32)
    response, solved = estimate_response(nothing, ORDER, np.zeros((0, 3)), SolverOptions())
    assert_array_equal(response, linear_response())
    assert solved is None


def test_estimate_is_written_and_read_with_its_response(tmp_path):
    estimate = replace(PhaseEstimate.uniform(*PHASE, (5, 6)), response=bent())
    estimate.write(tmp_path / "phase.json")
    found = PhaseEstimate.read(tmp_path / "phase.json", (5, 6)).response
    assert_allclose(found, bent(), atol=1e-4)


@pytest.mark.parametrize(
    "damage", [[], {"A": [1, 2]}, {nuc: [1.0] * 24 for nuc in "ACGT"}, {nuc: "x" for nuc in "ACGT"}]
)
def test_damaged_response_of_a_file_is_refused(damage):
    content = PhaseEstimate.uniform(*PHASE, (5, 6)).to_json() | {"Response": damage}
    with pytest.raises(InputError, match="Response"):
        PhaseEstimate.from_json({"Phasing": content})


def test_real_reads_are_called_better_with_it(golden, real_314_targets):
    from ionanalysis.io.mask import read_mask
    from ionanalysis.metrics.accuracy import errors_in_first_bases

    wells = open_wells(golden / "real-314/1.wells", read_mask(golden / "real-314/bfmask.bin"))
    errors = []
    for n_reads in (0, 500):
        phase = estimate_phase(wells, options=PhaseOptions(response_reads=n_reads))
        calls = list(calls_from_reads(call_bases(wells, phase)))
        errors.append([errors_in_first_bases(calls, real_314_targets, n) for n in (50, 100)])
    assert errors[1][0] < errors[0][0] and errors[1][1] < errors[0][1]


def test_compressed_reads_are_called_better_with_it():
    signals, sequences, phase = reads(300, bent(0.05, 0.03), 5)
    from ionanalysis.basecaller.solve import call_block

    found, _ = estimate_response(signals, ORDER, phase, SolverOptions())
    rows = np.arange(len(signals))
    inserts = {(row, 0): sequence[4:] for row, sequence in enumerate(sequences)}
    rates = []
    for response in (None, found):
        called = call_block(signals, rows, np.zeros_like(rows), ORDER, phase, response=response)
        rates.append(score_calls(list(calls_from_reads(called)), inserts).error_rate)
    assert rates[1] < 0.5 * rates[0]
