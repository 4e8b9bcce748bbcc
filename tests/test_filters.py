"""Read classes, key, length, residual and quality filters, quality trimming, and their accounting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller.classes import read_classes
from ionanalysis.basecaller.ends import ReadEnds, Step
from ionanalysis.basecaller.filters import (
    reject_high_residual,
    reject_low_quality,
    reject_short,
    starts_with,
)
from ionanalysis.basecaller.keys import normalise_key, shows_key
from ionanalysis.basecaller.trim import quality_clip
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.errors import UsageError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.mask import Mask
from ionanalysis.options.filters import FilterOptions, TrimOptions

FLOWS = FlowOrder(DEFAULT_CYCLE, 400)
KEY = FLOWS.key_flowgram("TCAG")
KEY_SIGNAL = np.float32([[1.9, 0.1, 2.1, 0.0, -0.1, 1.7, 0.2, 2.5]])


def test_key_normalisation_by_gain():
    # basecaller.md 12.4
    expected = [[1.0, 0.052632, 1.105263, 0, -0.052632, 0.894737, 0.105263, 1.315789]]
    assert_allclose(normalise_key(KEY_SIGNAL, KEY), expected, atol=1e-6)
    assert shows_key(normalise_key(KEY_SIGNAL, KEY), KEY).all()


def test_key_normalisation_by_gain_and_offset():
    expected = [[1.0, 0.027027, 1.108108, -0.027027, -0.081081, 0.891892, 0.081081, 1.324324]]
    assert_allclose(normalise_key(KEY_SIGNAL, KEY, "adaptive"), expected, atol=1e-6)


def test_normalising_a_key_twice_changes_nothing():
    once = normalise_key(KEY_SIGNAL, KEY)
    assert_allclose(normalise_key(once, KEY), once, rtol=1e-6)


def test_weak_keys_keep_their_scale_and_nan_is_zero():
    weak = np.float32([[0.05, 0, 0.1, np.nan, 0, 0.1, 0, 0.3]])
    assert_array_equal(normalise_key(weak, KEY), np.nan_to_num(weak))
    assert not shows_key(normalise_key(weak, KEY), KEY).any()


def test_signals_are_clamped():
    assert normalise_key(np.float32([[1, 0, 1, 0, 0, 1, 0, 1, 99, -7]]), KEY)[0, -2:].tolist() == [23, -1]


def test_read_classes_follow_the_mask():
    library, tf = 0x0046, 0x0026
    flags = np.array([[library, tf, 0x0001, 0x000A], [library | 0x1000, library | 0x4000, tf | 0x8000, 0x0066]])
    classes = read_classes(Mask(flags))
    assert_array_equal(classes.library, [[1, 0, 0, 0], [1, 1, 0, 0]])
    assert_array_equal(classes.tf, [[0, 1, 0, 0], [0, 0, 1, 0]])
    # The crossing of names in basecaller.md 1.6.
    wanted = [Verdict.SIGNAL_KEYPASS, Verdict.SIGNAL_POLYCLONAL, Verdict.SIGNAL_HIGH_PPF]
    assert classes.verdict[1, :3].tolist() == wanted
    assert classes.valid.sum() == 2


def test_washed_out_wells_stay_unless_asked():
    flags = np.array([[0x0246]])
    assert read_classes(Mask(flags)).valid.all()
    assert read_classes(Mask(flags), ignore_washouts=True).verdict[0, 0] == Verdict.NO_SIGNAL


def test_bases_must_start_with_the_key(perfect_reads):
    reads = perfect_reads(["TCAGA", "TCAA", "TC", "", "TCAG"], FLOWS)
    assert starts_with(reads, "TCAG").tolist() == [True, False, False, False, True]
    assert starts_with(perfect_reads([""], FLOWS), "TCAG").tolist() == [False]


def test_short_reads_and_reads_without_bases():
    ends = ReadEnds([0, 24, 25, 40, 40])
    ends.cut_front(np.array([0, 0, 0, 1, 0], bool), 16)
    reject_short(ends, FilterOptions())
    wanted = [Verdict.ZERO_BASES, Verdict.SHORT, Verdict.PASSED, Verdict.SHORT, Verdict.PASSED]
    assert ends.verdict.tolist() == wanted
    assert ends.n_kept.tolist() == [0, 0, 25, 0, 40]


def test_badly_fitting_reads_are_rejected(perfect_reads):
    reads = perfect_reads(["TCAG" * 10] * 3, FLOWS)
    reads.signal[1, :60] += 0.09
    reads.signal[2, 60:] += 0.5
    ends = ReadEnds(reads.n_bases)
    reject_high_residual(ends, reads, np.ones(3, bool), FilterOptions())
    assert ends.verdict.tolist() == [Verdict.PASSED, Verdict.HIGH_RESIDUAL, Verdict.PASSED]


def test_reads_that_expect_too_many_errors_are_rejected(perfect_reads):
    reads = perfect_reads(["ACGT" * 15] * 2, FLOWS, qualities=[20] * 60 + [5] * 60)
    ends = ReadEnds(reads.n_bases)
    reject_low_quality(ends, reads, FilterOptions())
    assert ends.verdict.tolist() == [Verdict.PASSED, Verdict.QUALITY_FILTER]


@pytest.mark.parametrize(
    ("qualities", "clip"),
    [([30] * 60 + [5] * 60, 64), ([30] * 60 + [5] * 20, 64), ([10] * 100, 0), ([30] * 20, 20), ([], 0)],
)
def test_window_trimming(perfect_reads, qualities, clip):
    # basecaller.md 12.8
    reads = perfect_reads(["A" * len(qualities)], FLOWS, qualities=qualities)
    assert quality_clip(reads, TrimOptions()).tolist() == [clip]


@pytest.mark.parametrize(("qualities", "clip"), [([20] * 50 + [5] * 50, 51), ([10] * 50, 7)])
def test_expected_errors_trimming(perfect_reads, qualities, clip):
    reads = perfect_reads(["A" * len(qualities)], FLOWS, qualities=qualities)
    assert quality_clip(reads, TrimOptions(trim_qual_mode="expected-errors")).tolist() == [clip]


@given(st.lists(st.lists(st.integers(2, 40), max_size=90), min_size=1, max_size=6), st.integers(1, 40))
def test_window_trimming_is_the_loop_of_the_spec(perfect_reads, qualities, size):
    reads = perfect_reads(["A" * len(q) for q in qualities], FLOWS, qualities=[q for read in qualities for q in read])
    clips = quality_clip(reads, TrimOptions(trim_qual_window_size=size))
    assert clips.tolist() == [slid(q, size, 15.0) for q in qualities]


def slid(qualities, size, cutoff):
    """basecaller.md 6.7, as written there."""
    width = min(size, len(qualities))
    least, total, stop = int(width * cutoff), sum(qualities[:width]), width
    if total < least:
        return 0
    clip = width // 2
    while total >= least and stop < len(qualities):
        total += qualities[stop] - qualities[stop - width]
        stop += 1
        clip += 1
    return len(qualities) if stop == len(qualities) else clip


def test_trimming_can_be_switched_off(perfect_reads):
    reads = perfect_reads(["A" * 50], FLOWS, qualities=2)
    assert quality_clip(reads, TrimOptions(trim_qual_mode="off")).tolist() == [50]
    assert quality_clip(reads, TrimOptions(trim_qual_cutoff=0)).tolist() == [50]


@given(st.data())
def test_every_base_is_charged_once(data):
    n_reads = data.draw(st.integers(1, 6))
    numbers = st.lists(st.integers(0, 90), min_size=n_reads, max_size=n_reads)
    flags = st.lists(st.booleans(), min_size=n_reads, max_size=n_reads)
    ends = ReadEnds(data.draw(numbers))
    ends.cut_front(np.ones(n_reads, bool), np.array(data.draw(numbers)))
    ends.key, ends.barcode, ends.tag = ends.prefix // 4, ends.prefix // 3, ends.prefix // 2
    for step in Step:
        ends.cut_end(np.array(data.draw(flags)), step, np.maximum(np.array(data.draw(numbers)), ends.prefix))
        ends.reject(np.array(data.draw(flags)), step, Verdict.SHORT)
    parts = ends.bases_by_step()
    assert_array_equal(parts["initial"], sum(part for name, part in parts.items() if name != "initial"))
    assert all((part >= 0).all() for part in parts.values())
    assert_array_equal(parts["final"], ends.n_kept)


def test_options_name_what_is_wrong():
    with pytest.raises(UsageError, match="trim_qual_mode"):
        TrimOptions(trim_qual_mode="sideways")
