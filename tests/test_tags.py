"""Molecular tags of many reads at once: the kernel, its twin, and both ends of an insert."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.basecaller.molecular_tags import read_tags
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.reference import tags as twin

FLOWS = FlowOrder(DEFAULT_CYCLE, 300)
PATTERNS = ["NNNTAC", "NNNACTNNNTGA", "NNN", "ACNN", "NNACGNNTTTN", "NNNNNNGG"]


@st.composite
def tagged(draw):
    """A pattern and reads that begin like it, but for some runs that are longer or shorter."""
    pattern = draw(st.sampled_from(PATTERNS))
    reads = []
    for _ in range(draw(st.integers(1, 6))):
        bases = "".join(letter if letter != "N" else draw(st.sampled_from("ACGT")) for letter in pattern)
        at = draw(st.integers(0, len(bases)))
        more = draw(st.sampled_from(["", bases[at - 1 : at] or "A", "AA", "T"]))
        less = draw(st.integers(0, 2))
        reads.append(bases[:at] + more + bases[at + less :] + draw(st.text("ACGT", max_size=8)))
    return pattern, reads


@given(tagged(), st.booleans(), st.booleans(), st.booleans())
def test_kernel_and_twin_agree(perfect_reads, case, backwards, strict, heal):
    pattern, sequences = case
    if backwards:
        pattern, sequences = pattern[::-1], [sequence[::-1] for sequence in sequences]
    reads = perfect_reads(sequences, FLOWS)
    sizes = reads.n_bases
    begin = sizes - 1 if backwards else np.zeros_like(sizes)
    how = {"strict": strict, "heal": heal}
    tags, n_cut = read_tags(reads, np.arange(len(sizes)), begin, sizes, pattern, backwards=backwards, **how)
    letters = pattern[::-1] if backwards else pattern
    step = -1 if backwards else 1
    text, expected = twin.read_tags(reads.bases, reads.base_start[:-1] + begin, sizes, step, letters, **how)
    assert n_cut.tolist() == expected.tolist()
    assert tags.tolist() == [
        bytes(row[::step]).decode() if n >= 0 else "" for row, n in zip(text, expected.tolist(), strict=True)
    ]


def test_a_tag_behind_the_insert_is_read_from_behind(perfect_reads):
    reads = perfect_reads(["GGGTACAAA", "GGTACAA"], FLOWS)
    tags, n_cut = read_tags(reads, np.arange(2), reads.n_bases - 1, reads.n_bases, "TACNNN", backwards=True)
    # In the second read one A is missing from the run.
    assert tags.tolist()[0] == "TACAAA"
    assert n_cut.tolist()[0] == 6


def test_no_reads_have_no_tags(perfect_reads):
    none = np.zeros(0, np.int64)
    tags, n_cut = read_tags(perfect_reads([], FLOWS), none, none, none, "NNNTAC")
    assert (tags.tolist(), n_cut.tolist()) == ([], [])
