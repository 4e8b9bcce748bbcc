"""Corrections of pixels: each takes off the defect it is for, whatever the window."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.errors import InputError
from ionanalysis.io.dat import write_dat
from ionanalysis.io.gain import write_gain
from ionanalysis.options.sigproc import BeadfindOptions
from ionanalysis.run import open_run
from ionanalysis.sigproc.conditioning import (
    CHANNEL_WEIGHTS,
    Conditioning,
    beadfind_gains,
    without_channel_cross_talk,
    without_pair_cross_talk,
)
from ionanalysis.simulate import simulate

SHAPE = (24, 40)


@pytest.fixture
def random():
    return np.random.default_rng(8)


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """A small simulated run."""
    path = tmp_path_factory.mktemp("chip")
    simulate(SHAPE, 8, 5, "dat", path, difficulty="plain", n_threads=1)
    return open_run(path)


@pytest.fixture
def spoilt(chip, tmp_path):
    """Makes a run of the name of a chip, whose first flow is what `spoil` makes of the frames above the first."""

    def make(name, spoil):
        image = chip.flow(0)
        counts = image.frames[:1] + spoil(image.frames - image.frames[:1].astype(float))
        write_dat(tmp_path / "acq_0000.dat", np.rint(counts).astype(np.int16), image.end_times_ms)
        return replace(chip, path=tmp_path, chip=name)

    return make


def corrected(run, rows=slice(None), cols=slice(None), **options):
    conditioning = Conditioning.of(run, BeadfindOptions(**options))
    return conditioning.applied(run, run.flow(0, rows, cols)).frames


@pytest.fixture
def off(chip):
    """How far frames lie off those of the chip that was not spoilt, at most, counts."""
    return lambda frames: np.abs(frames - chip.flow(0).frames.astype(int)).max()


def test_gains_of_a_file_are_applied(chip, spoilt, off, tmp_path, random):
    gain = random.uniform(0.8, 1.2, SHAPE).astype(np.float32)
    write_gain(tmp_path / "Gain.lsr", gain)
    run = spoilt("530", lambda rising: rising / gain)
    assert off(run.flow(0).frames) > 5
    # Levels at rest are multiplied, too; only what rises above them is looked at.
    found = corrected(run)
    rising = found - found[:1].astype(int)
    assert np.abs(rising - (chip.flow(0).frames - chip.flow(0).frames[:1].astype(int))).max() <= 3
    assert_array_equal(corrected(run, pixel_gain="none"), run.flow(0).frames)


def test_gains_of_a_whole_chip_serve_a_block(chip, spoilt, tmp_path, random):
    gain = random.uniform(0.8, 1.2, (SHAPE[0] + 30, SHAPE[1] + 20)).astype(np.float32)
    write_gain(tmp_path / "Gain.lsr", gain)
    run = replace(spoilt("530", lambda rising: rising), offset=(30, 20))
    found, stored = corrected(run), run.flow(0).frames
    assert_allclose(found, np.minimum(stored * gain[30:, 20:], 16379), atol=0.51)
    with pytest.raises(InputError, match="do not cover"):
        corrected(replace(run, offset=(31, 20)))


@pytest.mark.parametrize("name", ["316", "318"])
def test_cross_talk_of_channels_is_taken_off(spoilt, off, name):
    response = np.array([without_channel_cross_talk(row, CHANNEL_WEIGHTS[name], 0)[1, 0] for row in _unit_rows()])
    run = spoilt(name, lambda rising: rising @ np.linalg.inv(response))
    assert off(run.flow(0).frames) > 5
    assert off(corrected(run)) <= 1
    assert_array_equal(corrected(run, slice(3, 11), slice(9, 30)), corrected(run)[:, 3:11, 9:30])
    assert_array_equal(corrected(run, channel_cross_talk="none"), run.flow(0).frames)


def _unit_rows():
    """Frames of one row: dark, then one pixel lit after the other."""
    return np.stack([np.zeros((SHAPE[1], SHAPE[1])), np.eye(SHAPE[1])], axis=1)[:, :, None, :]


def test_cross_talk_of_pairs_is_taken_off(spoilt, off):
    share = 0.3

    def spoil(rising):
        partner = rising.reshape(len(rising), -1, 2, SHAPE[1])[:, :, ::-1].reshape(rising.shape)
        return (rising + share * partner) / (1 + share)

    run = spoilt("p1.1.17", spoil)
    assert off(run.flow(0).frames) > 5
    assert off(corrected(run, pair_cross_talk=share)) <= 2
    part = corrected(run, slice(3, 12), slice(0, 9), pair_cross_talk=share)
    assert_array_equal(part, corrected(run, pair_cross_talk=share)[:, 3:12, :9])
    assert_array_equal(corrected(run), run.flow(0).frames)


def test_rows_without_a_partner_stay(random):
    frames = random.uniform(1000, 1100, (4, 5, 3)).astype(np.float32)
    found = without_pair_cross_talk(frames, 0.3, 1)
    assert_array_equal(found[:, 0], frames[:, 0])
    assert np.abs(found[:, 1:] - frames[:, 1:]).max() > 1


def test_gains_come_back_from_a_bead_find_image(random):
    gain = random.uniform(0.85, 1.25, (30, 40))
    step = np.where(np.arange(60) < 20, 0.0, -400 * (1 - np.exp(-(np.arange(60) - 20) / 8)))
    frames = np.rint(8000 + step[:, None, None] / gain).astype(np.int16)
    frames[:, 3, 4] = 16383
    found = beadfind_gains(frames)
    assert found[3, 4] == 1
    left = (found / gain)[np.arange(30) != 3]
    # The neighbours' own gains do not average out altogether.
    assert left.std() < 0.3 * gain.std()


def test_pinned_pixels_stay_pinned(chip, spoilt, tmp_path):
    write_gain(tmp_path / "Gain.lsr", np.full(SHAPE, 0.9, np.float32))

    def spoil(rising):
        rising[:, 2, 3] = 16383 - chip.flow(0).frames[0, 2, 3]
        return rising

    run = spoilt("530", spoil)
    found = corrected(run)
    assert found[5, 2, 3] == 16383
    assert found[:, 0, 0].max() < 16000


def test_what_a_chip_has_is_the_default(chip, tmp_path):
    def of(name, **options):
        return Conditioning.of(replace(chip, chip=name), BeadfindOptions(**options))

    assert not of("314")
    assert not of("530")
    assert of("318").channels == of("318C").channels == "318"
    assert of("p1.1.17").gain == "beadfind"
    assert not of("p1.1.17", pixel_gain="none")
    with pytest.raises(InputError, match=r"no Gain\.lsr"):
        of("314", pixel_gain="file")
