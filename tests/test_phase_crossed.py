"""Crossed estimates of phase, estimates given or read, and the flows and regions they rest on (basecaller.md 3)."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller import PhaseEstimate, estimate_phase
from ionanalysis.basecaller.phase_estimate import ReadSource, _grid, phase_of
from ionanalysis.basecaller.phase_fit import fitted_flows, n_flows_read
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import LIBRARY_KEY, FlowOrder
from ionanalysis.options.basecaller import PhaseOptions
from ionanalysis.simulate import simulate
from ionanalysis.wells import open_wells


def simulated(folder, **about):
    made = simulate(path=folder / "run", polyclonal=0.0, **about)
    (wells,) = (folder / "run").rglob("1.wells")
    return open_wells(wells, made.mask)


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("crossed"), size=(40, 44), flows=120, seed=41)


@pytest.fixture(scope="module")
def source(wells):
    """The same as `ReadSource`, whose signals can be changed."""
    signals = wells[...]
    usable = wells.mask.matches(0x40)
    return signals, ReadSource(
        lambda block, flows: signals[(*block.slices, flows)], usable, wells.flow_order, LIBRARY_KEY
    )


def test_no_read_is_called_with_parameters_fitted_to_itself(source):
    signals, chip = source
    before = phase_of(chip, PhaseOptions())
    changed = signals.copy()
    row, col = np.indices(changed.shape[:2])
    even = (row + col) % 2 == 0
    # Carry-forward by hand: every flow leaks into the next one, in even wells only.
    changed[even, 9:] += 0.02 * changed[even, 8:-1]
    other = ReadSource(lambda block, flows: changed[(*block.slices, flows)], chip.usable, chip.flow_order, "TCAG")
    after = phase_of(other, PhaseOptions())
    rows, cols = row.ravel(), col.ravel()
    same = (before.at(rows, cols) == after.at(rows, cols)).all(axis=1)
    assert_array_equal(same, even.ravel())


def test_both_halves_are_reported_with_their_errors(wells):
    phase = estimate_phase(wells)
    even, odd = phase.halves
    assert_allclose(phase.values, (even.values + odd.values) / 2)
    # What both halves share, the mean of both has in full.
    shared = (even.shared + odd.shared) / 2
    own = even.errors**2 - even.shared**2 + odd.errors**2 - odd.shared**2
    assert_allclose(phase.errors, np.sqrt(own / 4 + shared**2))
    assert_allclose(phase.shared, shared)
    assert (phase.shared < phase.errors).all()
    assert_array_equal(phase.n_reads, even.n_reads + odd.n_reads)
    assert 0.8 < even.n_reads.sum() / odd.n_reads.sum() < 1.25
    assert (np.abs(even.values - odd.values) < 6 * np.hypot(even.errors, odd.errors)).all()
    assert_array_equal(phase.at([3, 3], [4, 5]), [even.values[0, 0], odd.values[0, 0]])


def errors_over_seeds(folder, n, **about):
    """CF, IE, DR minus truth, and the errors that were reported, (n, 3) each, of chips alike but for their seed."""
    off, told = [], []
    for seed in range(n):
        place = folder / str(seed)
        made = simulate(path=place, polyclonal=0.0, seed=6100 + seed, signal_decay=0.0, **about)
        (path,) = place.rglob("1.wells")
        options = PhaseOptions(response_reads=0)
        phase = estimate_phase(open_wells(path, made.mask), options=options)
        library = made.truth.kind == "library"
        off.append([found - getattr(made.truth, name)[library].mean() for name, found in zip(
            ("cf", "ie", "dr"), (phase.cf, phase.ie, phase.dr), strict=True)])  # fmt: skip
        told.append(phase.errors[0, 0])
    return np.array(off), np.array(told)


@pytest.mark.parametrize("flow_gain_sd", [0.0, 0.02])
def test_errors_are_those_that_chips_of_other_seeds_show(tmp_path, flow_gain_sd):
    off, told = errors_over_seeds(tmp_path, 12, size=(32, 32), flows=120, flow_gain_sd=flow_gain_sd)
    ratio = off.std(axis=0, ddof=1) / np.sqrt((told**2).mean(axis=0))
    # Of 12 normal numbers, 99.8 % of spreads lie so near the true one. Without what flows share, DR would be at 3.
    assert (ratio < 1.7).all(), ratio
    assert (ratio > 0.4).all(), ratio


def test_a_crossed_estimate_uses_no_more_reads_than_a_joint_one(wells):
    options = {"phase_reads": 301}
    crossed, joint = (
        estimate_phase(wells, options=PhaseOptions(estimator=name, **options)) for name in ("crossed", "joint")
    )
    assert not joint.halves
    assert crossed.n_reads.sum() <= 301
    assert joint.n_reads.sum() <= 301
    assert_allclose(crossed.values, joint.values, atol=5 * joint.errors.max())


def test_sixty_flows_are_enough_for_both_halves(tmp_path):
    phase = estimate_phase(simulated(tmp_path, size=(40, 40), flows=60, seed=6))
    for half in phase.halves:
        assert half.cf == pytest.approx(0.006, abs=0.002)
        assert half.ie == pytest.approx(0.005, abs=0.002)
        assert np.isfinite(half.errors).all()


def test_a_half_without_reads_keeps_the_initial_values(wells):
    flags = wells.mask.flags.copy()
    row, col = np.indices(flags.shape)
    flags[(row + col) % 2 == 0] = 1
    phase = estimate_phase(wells, type(wells.mask)(flags))
    even, odd = phase.halves
    assert even.cf == PhaseOptions().initial_cf
    assert np.isnan(even.errors).all()
    assert odd.cf == pytest.approx(0.006, abs=0.001)
    assert np.isnan(phase.errors).all()


def test_files_hold_the_originals_sections(wells, tmp_path):
    phase = estimate_phase(wells, options=PhaseOptions(region_size=22, least_reads=5))
    phase.write(tmp_path / "PhaseEstimates.json")
    content = json.loads((tmp_path / "PhaseEstimates.json").read_text())
    subsets = content["TrainSubset"]
    assert subsets["TrainSubsetCount"] == 2
    assert (subsets["RegionRows"], subsets["RegionCols"]) == ([2, 2], [2, 2])
    # Index: region row + region column * RegionRows.
    assert subsets["CFbyRegion"][1][2] == phase.halves[1].values[0, 1, 0]
    assert content["Phasing"]["IE"] == pytest.approx(phase.ie)
    assert len(content["Phasing"]["DRbyRegion"]) == 4
    again = PhaseEstimate.read(tmp_path / "PhaseEstimates.json")
    rows, cols = np.indices((40, 44)).reshape(2, -1)
    assert_array_equal(again.at(rows, cols), phase.at(rows, cols))
    assert_allclose(again.errors, phase.errors)
    assert_allclose(again.shared, phase.shared)


@pytest.mark.golden
def test_the_originals_estimates_are_read(golden):
    path = golden / "calls-s60/peer/BaseCaller.json"
    phase = PhaseEstimate.read(path, (60, 60))
    told = json.loads(path.read_text())["TrainSubset"]
    # A read of subset k gets the values of subset 1 - k (basecaller.md 3.2).
    for k, place in enumerate(((10, 10), (10, 11))):
        expected = [told[f"{name}byRegion"][1 - k][0] for name in ("CF", "IE", "DR")]
        assert_allclose(phase.at(*place)[0], expected)


def test_a_file_of_one_estimate_is_read_without_halves():
    content = {
        "RegionRows": 1,
        "RegionCols": 2,
        "CFbyRegion": [0.01, 0.02],
        "IEbyRegion": [0.003] * 2,
        "DRbyRegion": [0, 0],
    }
    phase = PhaseEstimate.from_json({"Phasing": content}, (10, 20))
    assert not phase.halves
    assert phase.cf == pytest.approx(0.015)
    # An average over no droop at all is no reason to stop (13.6).
    assert phase.dr == 0.0


def test_regions_that_were_never_estimated_take_the_average():
    content = {"RegionRows": 1, "RegionCols": 3, "CFbyRegion": [0.01, 0.02, -1], "IEbyRegion": [0.003, 0.005, -1]}
    phase = PhaseEstimate.from_json(content | {"DRbyRegion": [0, 0, -1]}, (10, 20))
    assert_allclose(phase.values[0, 2], [0.015, 0.004, 0.0])


def grid(n_rows, n_cols, **more):
    lists = {f"{name}byRegion": [0.005] * (n_rows * n_cols) for name in ("CF", "IE", "DR")}
    return {"RegionRows": n_rows, "RegionCols": n_cols, **lists, **more}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "JSON object"),
        ({"CF": 0.01}, "lack 'BlockRows'"),
        (grid(2, 2, BlockRows=10, BlockCols=10, CFbyRegion=[0.1]), "2 x 2 values"),
        (grid(1, 1, BlockRows=10, BlockCols=10, CFbyRegion=[3.0]), "at least 0, below 1"),
        (grid(1, 1, BlockRows=10, BlockCols=10, CFbyRegion=["high"]), "lists of numbers"),
        (grid(1, 1, BlockRows=10, BlockCols=10, IEbyRegion=0.01), "1 x 1 values"),
        (grid(1, 1, BlockRows=10, BlockCols=10, CFbyRegion=[None]), "at least 0, below 1"),
        (grid(1, 1, BlockRows="many", BlockCols=10), "lack"),
        ({"TrainSubset": {"TrainSubsetCount": 3}}, "3 parts"),
        ({"TrainSubset": {"TrainSubsetCount": 2, "CFbyRegion": [[0.1]]}}, "lack"),
    ],
)
def test_files_that_are_no_estimates_are_explained(content, message, tmp_path):
    path = tmp_path / "phase.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message) as caught:
        PhaseEstimate.read(path)
    assert "phase.json" in str(caught.value)


def test_a_grid_of_a_larger_block_is_refused():
    with pytest.raises(InputError, match="of a block of 100 x 100 wells; this one has 60 x 60"):
        PhaseEstimate.from_json(grid(2, 2, BlockRows=100, BlockCols=100), (60, 60))
    # One value for all fits any block.
    assert PhaseEstimate.from_json(grid(1, 1, BlockRows=100, BlockCols=100), (60, 60)).cf == 0.005


def test_wells_of_a_part_of_the_block_tell_of_all_of_it(source):
    signals, chip = source
    usable = chip.usable.copy()
    usable[20:] = False
    part = ReadSource(chip.read, usable, chip.flow_order, chip.key)
    phase = phase_of(part, PhaseOptions(region_size=20, least_reads=10))
    assert phase.shape == signals.shape[:2]
    assert (phase.n_reads[1:] == 0).all()
    for half in phase.halves:
        weights = half.n_reads[0] / half.n_reads[0].sum()
        assert_allclose(half.values[1, 0], weights @ half.values[0])


def test_given_values_are_used_without_an_estimate(wells, tmp_path):
    phase = estimate_phase(wells, options=PhaseOptions(phase=(0.01, 0.02, 0.003)))
    assert (phase.cf, phase.ie, phase.dr) == pytest.approx((0.01, 0.02, 0.003))
    assert not phase.halves
    first = estimate_phase(wells)
    first.write(tmp_path / "mine.json")
    again = estimate_phase(wells, options=PhaseOptions(phase_file=str(tmp_path / "mine.json")))
    assert_array_equal(again.at(7, 9), first.at(7, 9))
    with pytest.raises(InputError, match=r"none\.json"):
        estimate_phase(wells, options=PhaseOptions(phase_file=str(tmp_path / "none.json")))


def test_given_values_must_be_three_rates():
    with pytest.raises(UsageError, match="CF,IE,DR must be fractions"):
        PhaseOptions(phase=(0.01, 0.02))
    with pytest.raises(UsageError, match="at least 0, below 1"):
        PhaseOptions(phase=(0.01, 1.5, 0.0))
    with pytest.raises(UsageError, match="give an end behind the start"):
        PhaseOptions(first_flow=100, end_flow=90)


@given(st.integers(20, 600), st.integers(0, 300), st.integers(1, 300))
def test_the_flows_of_the_fit_lie_in_the_run(n_flows, first, width):
    options = PhaseOptions(first_flow=first, end_flow=max(20, first + width))
    n_read = n_flows_read(FlowOrder("TACG", n_flows), options)
    start, end = fitted_flows(n_read, options)
    assert start >= 0
    assert end <= n_read <= n_flows
    if n_flows >= options.end_flow + 30:
        assert end - start >= min(30, width)


def test_only_the_flows_that_the_fit_needs_are_read(source):
    signals, chip = source
    asked = []

    def read(block, flows):
        asked.append(flows)
        return signals[(*block.slices, flows)]

    part = ReadSource(read, chip.usable, chip.flow_order, chip.key)
    phase = phase_of(part, PhaseOptions(first_flow=20, end_flow=70))
    assert {flows.stop for flows in asked} == {100}
    assert phase.cf == pytest.approx(0.006, abs=0.0015)
    assert phase.ie == pytest.approx(0.005, abs=0.0015)


def test_reads_and_levels_bound_the_number_of_regions():
    def size(n_reads, **options):
        return _grid((100, 400), n_reads, PhaseOptions(**options))

    assert size(1_900) == (1, 1)
    assert size(32_000) == (2, 8)
    assert size(32_000, region_reads=8_000) == (1, 4)
    assert size(10**7) == (8, 8)
    assert size(10**7, levels=2) == (2, 2)
    assert size(10**7, levels=1) == (1, 1)


def test_estimates_at_the_same_time_do_not_share_settings(source):
    # 13.6: settings of the original's estimator are globals of the process.
    _, chip = source
    asked = [PhaseOptions(phase_reads=n, estimator=name) for n in (100, 300) for name in ("joint", "crossed")]
    alone = [phase_of(chip, options) for options in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda options: phase_of(chip, options), asked))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one.values, other.values)
        assert len(one.halves) == len(other.halves)
