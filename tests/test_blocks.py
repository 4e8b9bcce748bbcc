"""Rectangles of wells, as users name them."""

import pytest

from ionanalysis.blocks import Block, as_block
from ionanalysis.errors import InputError


@pytest.mark.parametrize(
    ("region", "block"),
    [
        (None, Block(0, 0, 40, 60)),
        (Block(5, 6, 7, 8), Block(5, 6, 7, 8)),
        ((slice(5, 12), slice(6, 14)), Block(5, 6, 7, 8)),
        ([slice(-10, None), slice(50, 1000)], Block(30, 50, 10, 10)),
    ],
)
def test_regions_as_blocks_and_slices(region, block):
    assert as_block(region, 40, 60) == block


@pytest.mark.parametrize(
    "region",
    [
        Block(0, 0, 41, 60),
        Block(35, 0, 6, 1),
        (slice(0, 10),),
        (slice(0, 10, 2), slice(None)),
        (slice(10, 10), slice(None)),
        (slice(100, 110), slice(None)),
        (3, 4),
        "all",
    ],
)
def test_regions_that_are_none_are_refused(region):
    with pytest.raises(InputError, match="region"):
        as_block(region, 40, 60)
