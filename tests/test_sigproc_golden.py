"""Signal processing of the golden runs: beads and signals against their truth."""

import h5py
import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, NoLiveBeadsError
from ionanalysis.io.fit_parameters import read_fit_parameters
from ionanalysis.io.mask import WellFlag, read_mask
from ionanalysis.options.sigproc import BeadfindOptions
from ionanalysis.run import open_run
from ionanalysis.sigproc import BeadMap, find_beads, fit_signals
from ionanalysis.sigproc.stage import run_beadfind, run_signals
from ionanalysis.wells import open_wells

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def results(raw48, tmp_path_factory):
    """Result directory of the golden synthetic run."""
    out = tmp_path_factory.mktemp("sigproc_results")
    run = open_run(raw48)
    run_beadfind(run, out)
    run_signals(run, out)
    return out


@pytest.fixture(scope="module")
def truth_mask(raw48):
    return read_mask(raw48 / "truth" / "analysis.bfmask.bin")


@pytest.fixture(scope="module")
def signals(results, raw48, truth_mask):
    """Signals and truth of library wells, (n_wells, n_flows), after one gain per well."""
    library = truth_mask.matches(WellFlag.LIB)
    found = open_wells(results / "1.wells")[:, :, :][library].astype(float)
    truth = open_wells(raw48 / "truth" / "1.wells")[:, :, :][library].astype(float)
    gain = (found * truth).sum(axis=1) / (found**2).sum(axis=1)
    return found * gain[:, None], truth


def share(mask, flag, truth_mask, true_flag):
    chosen = truth_mask.matches(true_flag)
    return mask.matches(flag)[chosen].mean()


@pytest.mark.parametrize("flag", [WellFlag.LIB, WellFlag.TF, WellFlag.DUD, WellFlag.EMPTY])
def test_kinds_of_wells_are_found(results, truth_mask, flag):
    assert share(read_mask(results / "bfmask.bin"), flag, truth_mask, flag) >= 0.99


def test_no_empty_well_is_taken_for_library(results, truth_mask):
    assert share(read_mask(results / "bfmask.bin"), WellFlag.LIB, truth_mask, WellFlag.EMPTY) == 0


def test_beads_are_found_without_the_beadfind_image(raw48, truth_mask):
    beads = find_beads(open_run(raw48), options=BeadfindOptions(use_beadfind_image=False))
    assert share(beads.mask, WellFlag.LIB, truth_mask, WellFlag.LIB) >= 0.99
    assert share(beads.mask, WellFlag.LIB, truth_mask, WellFlag.EMPTY) == 0


def test_signals_are_close_to_the_truth(signals):
    found, truth = signals
    assert np.sqrt(((found - truth) ** 2).mean()) <= 0.028


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4])
def test_homopolymers_are_not_biased(signals, length):
    found, truth = signals
    one = truth[:, [0, 2, 5]].mean(axis=1, keepdims=True)
    chosen = np.abs(truth / one - length) < 0.25
    assert abs((found - truth)[chosen].mean()) <= (0.02 if length < 3 else 0.1)


@pytest.fixture(scope="module")
def real(golden):
    return golden / "real-314"


@pytest.fixture(scope="module")
def real_beads(real):
    return find_beads(open_run(real))


@pytest.fixture(scope="module")
def real_signals(real, real_beads):
    return fit_signals(open_run(real), mask=real_beads)


def test_beads_of_a_real_chip_agree_with_its_mask(real, real_beads):
    truth = read_mask(real / "bfmask.bin")
    judged = truth.matches(WellFlag.BEAD | WellFlag.EMPTY)
    same = [
        truth.matches(flag) == real_beads.mask.matches(flag) for flag in (WellFlag.BEAD, WellFlag.EMPTY)
    ]  # fmt: skip
    assert np.logical_and(*same)[judged].mean() >= 0.98


@pytest.mark.parametrize("flow", [0, 2, 5])
def test_signals_of_a_real_chip_correlate_with_its_wells(real, real_beads, real_signals, flow):
    truth = read_mask(real / "bfmask.bin")
    live = truth.matches(WellFlag.LIVE) & real_beads.mask.matches(WellFlag.LIVE)
    shipped = open_wells(real / "1.wells", mask=truth)[:, :, :][live][:, flow]
    found = (real_signals.amplitude[:, :, flow] * real_signals.copies)[live]
    assert np.corrcoef(shipped, found)[0, 1] >= 0.965


def test_one_mers_of_a_real_chip_scatter_little(real, real_beads, real_signals):
    live = read_mask(real / "bfmask.bin").matches(WellFlag.LIVE) & real_beads.mask.matches(WellFlag.LIVE)
    ones = real_signals.amplitude[live][:, [0, 2, 5]]
    assert (ones / ones.mean(axis=1, keepdims=True)).std() <= 0.055


def test_no_empty_well_of_a_real_chip_is_called_live(real, real_beads):
    assert share(real_beads.mask, WellFlag.LIVE, read_mask(real / "bfmask.bin"), WellFlag.EMPTY) == 0


def test_live_wells_of_a_real_chip_are_found(real, real_beads):
    truth = read_mask(real / "bfmask.bin")
    assert share(real_beads.mask, WellFlag.LIVE, truth, WellFlag.LIVE) >= 0.99


def test_any_number_of_threads_gives_the_same_bytes(raw48):
    run, block = open_run(raw48), Block(0, 0, 24, 40)
    options = BeadfindOptions(region_size=24)
    found = []
    for n_threads in (1, 3):
        beads = find_beads(run, block, options, n_threads=n_threads)
        assert len(beads.tiles) == 2
        found.append(fit_signals(run, block, mask=beads, n_threads=n_threads))
    assert found[0].amplitude.tobytes() == found[1].amplitude.tobytes()
    assert found[0].copies.tobytes() == found[1].copies.tobytes()


def test_a_small_rectangle_is_analysed_alone(raw48, truth_mask):
    block = Block(5, 3, 30, 21)
    signals = fit_signals(open_run(raw48), block.slices)
    assert signals.amplitude.shape == (30, 21, 40)
    assert np.isfinite(signals.amplitude).all()
    assert share(signals.mask, WellFlag.LIB, truth_mask.cut(block), WellFlag.LIB) >= 0.98


def test_a_chip_without_its_key_has_no_live_beads(raw48):
    with pytest.raises(NoLiveBeadsError, match="show a key"):
        find_beads(open_run(raw48, library_key="GGCC", tf_key="CCGG"), Block(0, 0, 24, 24))


def test_a_missing_flow_is_named(raw48, tmp_path):
    for flow in (0, 1, 2, 3, 5, 6, 7):
        (tmp_path / f"acq_{flow:04d}.dat").symlink_to(raw48 / f"acq_{flow:04d}.dat")
    (tmp_path / "explog.txt").symlink_to(raw48 / "explog.txt")
    with pytest.raises(InputError, match="acq_0004"):
        find_beads(open_run(tmp_path))


def test_files_of_the_stages(results):
    names = {path.name for path in results.iterdir()}
    assert names == {
        "1.wells", "analysis.bfmask.bin", "analysis.bfmask.stats", "avgNukeTrace_ATCG.txt", "avgNukeTrace_TCAG.txt",
        "beadfind.h5", "bfmask.bin", "bfmask.stats", "dcOffset", "fit_parameters.h5", "pinsPerFlow.txt",
        "processParameters.txt", "sigproc.json",
    }  # fmt: skip


def test_parameters_are_those_that_the_original_writes(results, raw48):
    own, peer = (
        [line.split(" = ")[0] for line in (folder / "processParameters.txt").read_text().splitlines()]
        for folder in (results, raw48 / "peer")
    )
    # The original names a cropped region where all of the chip is analysed, and appends times.
    expected = [name for name in dict.fromkeys(peer) if name != "Cropped Region" and not name.endswith("omplete")]
    assert own == expected


def test_levels_of_wells_are_told_for_each_flow(results, raw48):
    lines = [line.split("\t") for line in (results / "dcOffset/dcOffset.txt").read_text().splitlines()]
    run = open_run(raw48)
    assert [(line[0], line[1]) for line in lines] == [(str(n), run.flow_order.letters[n]) for n in range(40)]
    values = np.array([line[2:] for line in lines], float)
    assert values.shape == (40, 101)
    first = run.flow(17).frames[0]
    assert values[17, :2].tolist() == [first.min(), first.max()]
    assert values[17, 2 + 49] == pytest.approx(np.median(first), abs=1)
    assert (np.diff(values[:, 2:], axis=1) >= 0).all()


def test_what_was_fitted_is_written_with_its_unit(results, truth_mask):
    path = results / "fit_parameters.h5"
    fit = read_fit_parameters(path)
    with h5py.File(path) as file:
        assert file["wells/t0_s"].attrs["unit"] == "s" and "tauB" in file["wells/time_constant_s"].attrs["meaning"]
    bead, empty = (truth_mask.matches(flag) for flag in (WellFlag.BEAD, WellFlag.EMPTY))
    tau = fit.wells["time_constant_s"]
    assert np.median(tau[empty]) == pytest.approx(fit.regions["time_constant_empty_s"][0], rel=0.05)
    assert np.median(tau[bead]) > 1.5 * np.median(tau[empty])
    with open_wells(results / "1.wells") as wells:
        np.testing.assert_array_equal(fit.wells["copies"], wells.copies_of(slice(None), slice(None)))
    # The bulk begins to move before its onset is seen, and the noise of a frame is that of the simulation.
    assert (fit.regions["onset_s"] < fit.regions["t0_s"]).all() and np.ptp(fit.wells["t0_s"]) < 0.5
    assert np.median(fit.wells["residual_counts"]) == pytest.approx(fit.regions["noise_counts"][0], rel=0.1)
    # One base of each nucleotide sets hydrogen free, and 0-mers are near 0 in every flow.
    assert (fit.regions["hydrogen_counts"].max(axis=2) > 20).all()
    assert fit.flows["zero_level"].shape == (1, 40, 2) and np.abs(fit.flows["zero_level"][..., 0]).max() < 0.1


def test_bead_map_survives_its_file(results):
    beads = BeadMap.load(results / "beadfind.h5")
    beads.save(results / "again.h5")
    assert (results / "again.h5").read_bytes() == (results / "beadfind.h5").read_bytes()
    (results / "again.h5").unlink()
