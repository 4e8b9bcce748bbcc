"""Parts of a region that single flows reach late: traces are moved back, others left alone; beads are found."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ionanalysis.io.mask import WellFlag
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals
from ionanalysis.sigproc.frames import FrameClock
from ionanalysis.sigproc.lateness import LatenessWatch
from ionanalysis.simulate import simulate

CLOCK = FrameClock((1, 8, 4, *(1,) * 30, *(4,) * 6), 1 / 15)
SHAPE = (40, 44)


def rise(late_s):
    return 100 / (1 + np.exp(-(CLOCK.mid_s - 1.4 - np.asarray(late_s)[..., None]) / 0.12))


def region(random, lateness):
    """Traces of some flows, of wells that differ in delay and size; `lateness` of each flow and well, seconds."""
    own = 0.03 * random.standard_normal(SHAPE) + np.linspace(-0.05, 0.05, SHAPE[1])
    size = random.normal(1, 0.1, (*SHAPE, 1))
    flows = [size * rise(own + late) + 2 * random.standard_normal((*SHAPE, CLOCK.n_frames)) for late in lateness]
    return [flow.reshape(-1, CLOCK.n_frames).T.astype(np.float32) for flow in flows]


def in_time(flows):
    watch = LatenessWatch.by_flows(CLOCK, SHAPE, np.ones(SHAPE[0] * SHAPE[1], bool), flows)
    return [watch.set_right(flow) for flow in flows]


def test_late_wells_are_moved_back_and_others_left_alone():
    random = np.random.default_rng(4)
    row, col = np.indices(SHAPE)
    bubble = (row - 10) ** 2 + (col - 30) ** 2 < 81
    lateness = np.zeros((6, *SHAPE))
    lateness[2][bubble] = 0.4
    flows, on_time = region(random, lateness), region(np.random.default_rng(4), 0 * lateness)
    found = in_time(flows)
    assert [new is old for new, old in zip(found, flows, strict=True)] == [True, True, False, True, True, True]
    moved = (found[2] != flows[2]).any(axis=0).reshape(SHAPE)
    assert (moved == bubble).mean() > 0.99
    inside = (bubble & moved).ravel()
    assert_allclose(found[2][:, inside].mean(axis=1), on_time[2][:, inside].mean(axis=1), atol=1.5)


def test_a_flow_that_is_late_everywhere_stays():
    random = np.random.default_rng(5)
    lateness = np.zeros((5, *SHAPE))
    lateness[3] = 0.3
    flows = region(random, lateness)
    found = in_time(flows)
    assert all(new is old for new, old in zip(found, flows, strict=True))


@pytest.mark.parametrize("options", [{"bubbles": 1.0}, {"half_loaded": 0.15}], ids=["bubbles", "half-loaded"])
def test_library_wells_are_found_on_difficult_chips(tmp_path, options):
    chip = simulate((40, 40), 8, 6, "dat", tmp_path, difficulty="plain", n_threads=1, **options)
    run, kind = open_run(tmp_path), chip.truth.kind
    beads = find_beads(run, n_threads=1)
    mask = beads.mask
    assert mask.matches(WellFlag.LIB)[kind == "library"].mean() > 0.995
    assert not mask.matches(WellFlag.LIB)[kind == "empty"].any()
    signals = fit_signals(run, mask=beads, n_threads=1)
    chosen = (kind == "library") & mask.matches(WellFlag.LIB)
    error = signals.amplitude[chosen] - chip.truth.phased_signal[chosen]
    assert np.sqrt((error**2).mean()) < 0.2
