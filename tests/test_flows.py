"""Flow orders and keys against basecaller.md 1.1 and 12.9."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder, decode_bases, encode_bases


def test_keys_in_the_default_order():
    order = FlowOrder(DEFAULT_CYCLE, 100)
    assert order.key_flowgram("TCAG").tolist() == [1, 0, 1, 0, 0, 1, 0, 1]
    assert order.key_flowgram("ATCG").tolist() == [0, 1, 0, 0, 1, 0, 1, 1]


def test_flowgram_of_a_barcode():
    order = FlowOrder(DEFAULT_CYCLE, 25)
    expected = "1 0 1 0 0 1 0 1 0 1 1 0 2 2 0 0 1 0 0 2 0 1 1 1 1"
    assert " ".join(map(str, order.flowgram("TCAG" + "CTAAGGTAAC" + "GAT"))) == expected


@given(st.text("ACGT", max_size=60))
def test_flowgram_holds_every_base_when_there_are_flows_enough(sequence):
    order = FlowOrder(DEFAULT_CYCLE, 40 * len(sequence) + 40)
    assert order.flowgram(sequence).sum() == len(sequence)
    assert decode_bases(order.bases[order.base_flows(sequence)]) == sequence


@pytest.mark.parametrize("cycle", ["", "TACX", "tacg"])
def test_bad_orders_are_refused(cycle):
    with pytest.raises(InputError):
        FlowOrder(cycle, 10)


def test_key_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        FlowOrder("TACG", 3).key_flowgram("TCAG")


def test_codes():
    assert encode_bases("ACGTNacgt").tolist() == [0, 1, 2, 3, -1, 0, 1, 2, 3]
    assert not FlowOrder("TACG", 5).bases.flags.writeable
    assert np.array_equal(FlowOrder("TACG", 5).bases, [3, 0, 1, 2, 3])
