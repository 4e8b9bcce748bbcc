"""Reads aligned in process."""

import gzip
import pickle

import numpy as np
import pytest

from ionanalysis.align import ReferenceIndex, align_reads
from ionanalysis.align.reads import target_of
from ionanalysis.errors import InputError
from ionanalysis.io.fasta import write_fasta

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def turned(sequence):
    return sequence.translate(COMPLEMENT)[::-1]


@pytest.fixture(scope="module")
def genome():
    rng = np.random.default_rng(11)
    return {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("one", 60_000), ("two", 20_000))}


@pytest.fixture(scope="module")
def index(genome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write_fasta(folder / "genome.fasta", genome)
    return ReferenceIndex.of(folder / "genome.fasta", folder / "indexes")


def test_reads_of_both_strands_are_found_where_they_come_from(genome, index):
    rng = np.random.default_rng(12)
    places = [(("one", "two")[i % 2], int(rng.integers(0, 19_000)), i % 3 == 0) for i in range(300)]
    reads = [turned(genome[c][s : s + 120]) if back else genome[c][s : s + 120] for c, s, back in places]
    for (contig, start, back), read, found in zip(places, reads, align_reads(index, reads), strict=True):
        assert (found.contig, found.start, found.end, found.reverse) == (contig, start, start + 120, back)
        assert (found.first, found.last, found.edits) == (0, 120, 0)
        assert target_of(index, found) == read
        more = target_of(index, found, 10)
        assert more.startswith(read) and len(more) == 130


def test_a_homopolymer_one_base_short_is_one_deletion(genome, index):
    contig = genome["one"]
    start = next(i for i in range(1000, 50_000) if len(set(contig[i : i + 4])) == 1)
    read = contig[start - 60 : start] + contig[start + 1 : start + 61]
    (found,) = align_reads(index, [read])
    assert (found.edits, sum(length for length, code in found.cigar if code == 2)) == (1, 1)


def test_short_reads_are_found_on_small_genomes(genome, index):
    reads = [genome["one"][s : s + 30] for s in range(0, 50_000, 500)]
    assert sum(found is not None for found in align_reads(index, reads)) >= 0.95 * len(reads)


def test_reads_of_nowhere_are_none_and_threads_change_nothing(genome, index):
    rng = np.random.default_rng(13)
    reads = ["".join(rng.choice(list("ACGT"), 100)) for _ in range(600)]
    reads += [genome["two"][s : s + 90] for s in range(0, 12_000, 20)] + [""]
    one, two = (align_reads(index, reads, n_threads=n) for n in (1, 2))
    assert one == two
    assert sum(found is None for found in one[:600]) > 590 and one[-1] is None
    assert all(found is not None for found in one[600:-1])


def test_the_index_is_kept_and_made_anew_when_the_file_changes(genome, tmp_path):
    path = tmp_path / "genome.fasta"
    write_fasta(path, genome)
    kept = tmp_path / "indexes"
    assert ReferenceIndex.of(path, kept).contigs == {"one": 60_000, "two": 20_000}
    (first,) = kept.iterdir()
    before = first.stat().st_mtime_ns
    assert ReferenceIndex.of(path, kept).contigs == {"one": 60_000, "two": 20_000}
    assert first.stat().st_mtime_ns == before
    write_fasta(path, {"one": genome["one"]})
    assert ReferenceIndex.of(path, kept).contigs == {"one": 60_000}
    assert len(list(kept.iterdir())) == 2


def test_an_index_travels_without_its_aligner(genome, index):
    read = genome["two"][100:220]
    assert index.aligner
    (found,) = align_reads(pickle.loads(pickle.dumps(index)), [read])
    assert found.start == 100


def test_packed_references_are_read_and_a_place_that_cannot_be_written_does_no_harm(genome, tmp_path):
    path = tmp_path / "genome.fasta.gz"
    path.write_bytes(gzip.compress("".join(f">{name}\n{text}\n" for name, text in genome.items()).encode()))
    (tmp_path / "file").write_text("")
    assert ReferenceIndex.of(path, tmp_path / "file" / "below").contigs == {"one": 60_000, "two": 20_000}


@pytest.mark.parametrize("content", [None, "", "no fasta", ">only a name\n"])
def test_files_that_are_no_reference_are_refused(tmp_path, content):
    path = tmp_path / "genome.fasta"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"genome\.fasta: .*give the reference|genome\.fasta: is not FASTA"):
        _ = ReferenceIndex.of(path, tmp_path / "indexes").aligner
    assert not list(tmp_path.rglob("*.mmi"))
