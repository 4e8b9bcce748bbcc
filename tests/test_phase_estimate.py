"""Phase estimation and calling of whole simulated chips."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller import PhaseEstimate, call_bases, estimate_phase
from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.mask import Mask
from ionanalysis.options.basecaller import PhaseOptions
from ionanalysis.simulate import simulate
from ionanalysis.wells import open_wells

TRUE_CF, TRUE_IE, TRUE_DR = 0.008, 0.004, 0.0006


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """(simulated chip, its wells with mask)."""
    path = tmp_path_factory.mktemp("phase") / "run"
    made = simulate(
        size=(44, 40),
        flows=260,
        seed=31,
        path=path,
        cf=TRUE_CF,
        ie=TRUE_IE,
        dr=TRUE_DR,
        signal_decay=0.0,
        polyclonal=0.0,
    )
    (wells,) = path.rglob("1.wells")
    return made, open_wells(wells, made.mask)


@pytest.fixture(scope="module")
def phase(chip):
    return estimate_phase(chip[1])


def test_phase_is_found_again(phase):
    assert phase.cf == pytest.approx(TRUE_CF, abs=3e-4)
    assert phase.ie == pytest.approx(TRUE_IE, abs=3e-4)
    assert phase.dr == pytest.approx(TRUE_DR, abs=3e-4)
    assert (phase.errors < (2e-4, 1e-4, 1e-4)).all()


def test_threads_change_nothing(chip, phase):
    _, wells = chip
    again = estimate_phase(wells, n_threads=1)
    assert_array_equal(again.values, phase.values)
    one, two = (call_bases(wells, phase, rows=slice(0, 20), n_threads=n) for n in (1, 2))
    assert one.bases.tobytes() == two.bases.tobytes()
    assert one.signal.tobytes() == two.signal.tobytes()


def test_rectangles_are_called_as_in_the_whole_chip(chip, phase):
    _, wells = chip
    whole = call_bases(wells, phase, rows=slice(0, 24))
    part = call_bases(wells, phase, rows=slice(5, 16), cols=slice(3, 30))
    inside = (whole.row >= 5) & (whole.row < 16) & (whole.col >= 3) & (whole.col < 30)
    assert whole[inside].bases.tobytes() == part.bases.tobytes()
    assert_array_equal(whole[inside].qualities, part.qualities)


def test_phase_of_a_rectangle_rests_on_its_wells_alone(chip, phase):
    _, wells = chip
    part = estimate_phase(wells, rows=slice(4, 30), cols=slice(None, -10))
    assert 0 < part.n_reads.sum() < phase.n_reads.sum()
    assert part.shape == (44, 40) and part.cf == pytest.approx(TRUE_CF, abs=5e-4)
    assert_array_equal(estimate_phase(wells, rows=slice(0, 44), cols=slice(0, 40)).values, phase.values)


def test_fewer_flows_are_called_as_from_a_shorter_run(chip, phase):
    _, wells = chip
    part = slice(0, 8)
    short = call_bases(wells, phase, rows=part, n_flows=100)
    assert short.n_flows == len(short.flow_order) == 100 and short.base_flow.max() < 100
    assert estimate_phase(wells, n_flows=120).cf == pytest.approx(TRUE_CF, abs=6e-4)
    long = call_bases(wells, phase, rows=part)
    same = [short.sequence(i)[:40] == long.sequence(i)[:40] for i in range(len(long))]
    assert np.mean(same) > 0.95


def test_rectangles_without_wells_give_no_reads(chip, phase):
    _, wells = chip
    assert len(call_bases(wells, phase, rows=slice(5, 5))) == 0
    assert np.isnan(estimate_phase(wells, cols=slice(40, None)).errors).all()


@pytest.mark.parametrize("part", [slice(0, 20, 2), slice(20, 0, -1), 3, [1, 2]])
def test_rectangles_other_than_slices_of_step_1_are_refused(chip, phase, part):
    _, wells = chip
    with pytest.raises(InputError, match=r"rows is .* expected a slice of step 1"):
        call_bases(wells, phase, rows=part)
    with pytest.raises(InputError, match=r"cols is .* expected a slice of step 1"):
        estimate_phase(wells, cols=part)


def test_library_and_test_fragments_are_called_with_their_keys(chip, phase):
    made, wells = chip
    reads = call_bases(wells, phase, rows=slice(0, 20))
    sequences = made.truth.sequence[reads.row, reads.col]
    starts = [reads.sequence(i)[:4] == sequences[i][:4] for i in range(len(reads))]
    assert np.mean(starts) > 0.97
    assert set(np.unique(made.truth.kind[reads.row, reads.col])) == {"library", "tf"}


def test_regions_are_told_apart(tmp_path):
    simulate(size=(60, 24), flows=200, seed=5, path=tmp_path / "run", phase_gradient=0.6, polyclonal=0.0)
    (wells,) = (tmp_path / "run").rglob("1.wells")
    estimate = estimate_phase(open_wells(wells), options=PhaseOptions(region_size=30))
    assert estimate.values.shape == (2, 1, 3)
    assert np.isfinite(estimate.errors).all()
    assert abs(estimate.values[1, 0, 1] - estimate.values[0, 0, 1]) > 5 * estimate.errors[:, 0, 1].max()


def test_values_between_the_centres_of_regions_are_interpolated():
    values = np.array([[[0.004, 0.002, 0.0], [0.008, 0.002, 0.0]], [[0.004, 0.006, 0.0], [0.008, 0.006, 0.001]]])
    estimate = PhaseEstimate(values, np.full(values.shape, np.nan), np.zeros((2, 2), np.int32), (42, 42))
    # Regions of 21 wells have their centres at 10 and 31.
    assert_array_equal(estimate.at([10, 0, 41], [31, 0, 41]), values[[0, 0, 1], [1, 0, 1]])
    assert_allclose(estimate.at(10, 17), [[0.004 + 0.004 / 3, 0.002, 0.0]])
    assert_allclose(estimate.at([17, 24], [31, 31])[:, 1], [0.002 + 0.004 / 3, 0.002 + 0.008 / 3])


def test_sixty_flows_are_enough_for_an_estimate(tmp_path):
    simulate(size=(30, 30), flows=60, seed=6, path=tmp_path / "run", polyclonal=0.0)
    (wells,) = (tmp_path / "run").rglob("1.wells")
    estimate = estimate_phase(open_wells(wells))
    assert estimate.cf == pytest.approx(0.006, abs=0.0015)
    assert estimate.ie == pytest.approx(0.005, abs=0.0015)


def test_a_chip_without_library_wells_keeps_the_initial_values(chip):
    _, wells = chip
    estimate = estimate_phase(wells, Mask(np.zeros((44, 40), np.uint16)))
    assert estimate.cf == PhaseOptions().initial_cf
    assert np.isnan(estimate.errors).all()


def test_repr_shows_values_with_errors(phase):
    assert repr(phase).startswith("PhaseEstimate(CF 0.79")
    assert "±" in repr(phase)


def test_estimates_survive_a_file(phase, tmp_path):
    phase.write(tmp_path / "PhaseEstimates.json")
    assert_array_equal(PhaseEstimate.read(tmp_path / "PhaseEstimates.json").values, phase.values)
    with pytest.raises(InputError, match=r"missing\.json"):
        PhaseEstimate.read(tmp_path / "missing.json")


def test_percents_given_as_fractions_are_refused(chip):
    with pytest.raises(UsageError, match="fractions per flow"):
        estimate_phase(chip[1], options=PhaseOptions(phase=(0.6, 0.5, 0.1)))
