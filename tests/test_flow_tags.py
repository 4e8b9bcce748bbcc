"""Tags with one value per flow: ZM as fine and as long as asked for, FZ of every type, and the debug tags."""

from dataclasses import replace

import numpy as np
import pytest

from ionanalysis.bam import flow_units
from ionanalysis.basecaller.flow_tags import flow_signal_tags, fz_units, normalisation, quantised
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.flow_tags import FlowTagOptions

FLOWS = FlowOrder(DEFAULT_CYCLE, 60)


@pytest.fixture
def called(perfect_reads):
    reads = perfect_reads(["TCAGGTTCAGGC", "TCAGA"], FLOWS)
    reads.signal[:] += np.random.default_rng(3).normal(0, 0.1, reads.signal.shape).astype(np.float32)
    reads.inphase[:] = 0.8
    return reads


def tags(called, raw=None, measured=None, *, dummy=False, **options):
    columns = flow_signal_tags(
        called, np.arange(2), np.array([30, 16]), FlowTagOptions(**options), raw, measured, dummy
    )
    return {column.name: column for column in columns}


def test_zm_may_be_left_out_cut_or_whole(called):
    assert tags(called)["ZM"].lengths.tolist() == [30, 16]
    assert tags(called, trim_zm=False)["ZM"].lengths is None
    assert tags(called, write_zm=False) == {}


@pytest.mark.parametrize("step", [4, 8, 16, 32])
def test_rounded_zm_is_exact_to_half_a_step(called, step):
    fine, coarse = (tags(called, zm_step=each)["ZM"].values.astype(int) for each in (2, step))
    assert (coarse % step == 0).all()
    assert np.abs(coarse - fine).max() <= step // 2
    assert np.abs(coarse - fine).max() > 0


def test_rounded_zm_stays_in_range():
    units = flow_units(np.float32([200, -200, 0]))
    for step in (2, 4, 8, 16, 32):
        assert np.abs(quantised(units, step).astype(int)).max() <= 32767
        assert quantised(units, step)[2] == 0


def test_each_type_of_fz_has_its_scale(called):
    everyone, raw = np.arange(2), called.signal * np.float32(0.5)
    residual = called.signal - called.predicted
    expected = {
        "wells": np.floor(100 * (raw * 2) + 0.5),
        "key-normalized": np.floor(100 * raw + 0.5),
        "adaptive-normalized": np.floor(100 * called.signal + 0.5),
        "residual": np.trunc(1000 + 100 * residual),
        "scaled-residual": np.trunc(49.5 + 100 * np.clip(residual / 0.8, -0.49, 0.49)),
    }
    for kind, values in expected.items():
        found = fz_units(called, everyone, kind, raw, raw * 2)
        assert found.dtype == np.uint16
        # Products in another order may fall to either side of a whole number.
        assert np.abs(found.astype(int) - np.maximum(values, 0)).max() <= 1, kind
        assert (found == np.maximum(values, 0)).mean() > 0.98, kind
    assert fz_units(called, everyone, "scaled-residual").max() <= 98


def test_fz_is_there_if_asked_for_or_as_a_dummy(called):
    assert "FZ" not in tags(called)
    assert tags(called, dummy=True)["FZ"].values.tolist() == [[0], [0]]
    assert tags(called, dummy=True, flow_signals_type="residual")["FZ"].values.shape == (2, 60)


def test_debug_tags_tell_how_signals_were_normalised(called):
    flows = np.arange(60)
    offset, gain = 0.05 + 0.0005 * flows, 1.1 - 0.001 * flows
    raw = (called.signal * gain + offset).astype(np.float32)
    found = tags(called, raw, debug_normalization_bam=True)
    assert {"Ya", "Yb", "Yw", "Yx"} <= found.keys()
    assert (found["Yw"].values == flow_units(raw)).all()
    assert (found["Yx"].values == flow_units(called.signal_without_droop())).all()
    a, b = (found[name].values.astype(float) / 256 for name in ("Ya", "Yb"))
    # What the tags say leads from the raw signal to the normalised one, exactly but for rounding.
    assert np.abs((raw - a) / b - called.signal).max() < 0.05
    assert np.abs(b[0] - gain).max() < 0.06


def test_normalisation_of_a_flat_read_is_a_gain_of_one():
    offset, gain = normalisation(np.zeros((1, 50), np.float32), np.full((1, 50), 0.2, np.float32))
    assert (gain == 1).all()
    assert offset == pytest.approx(np.full((1, 50), 0.2), abs=1e-6)


def test_reads_may_be_chosen(called):
    one = flow_signal_tags(called, np.array([1]), np.array([16]), FlowTagOptions())
    both = tags(called)
    assert (one[0].values[0] == both["ZM"].values[1]).all()
    assert replace(FlowTagOptions(), zm_step=8).zm_step == 8
