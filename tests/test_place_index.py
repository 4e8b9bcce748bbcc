"""The index that is made while a file is written finds what htslib's own finds."""

from array import array

import numpy as np
import pysam
import pytest

from ionanalysis.bam import BamWriter, EncodedRecords
from ionanalysis.bam.header import CopiedHeader, ReferenceSequence
from ionanalysis.bam.place_index import PlaceIndex, bins_of
from ionanalysis.bam.record_bytes import RecordReader, parts_of

LENGTHS = {"empty": 10_000, "long": (1 << 29) - 1, "short": 40_000, "last": 500}
N_READS = 1500


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A sorted file of many blocks with reads over gaps of all sizes and reads without a place, and both indexes."""
    folder, rng = tmp_path_factory.mktemp("indexed"), np.random.default_rng(3)
    near = np.sort(rng.integers(0, 39_000, N_READS // 2))
    far = np.sort(np.concatenate([rng.integers(0, LENGTHS["long"] - 3000, 200), rng.integers(70_000, 90_000, 300)]))
    places = [(1, int(at)) for at in far] + [(2, int(at)) for at in near]
    places += [(-1, -1)] * (N_READS - len(places))
    header = {"HD": {"SO": "coordinate"}, "SQ": [{"SN": name, "LN": size} for name, size in LENGTHS.items()]}
    with pysam.AlignmentFile(str(folder / "in.bam"), "wb", header=header) as bam:
        for number, (contig, at) in enumerate(places):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.reference_id, read.reference_start = f"r{number}", contig, at
            # Some reads stand at the place of another but are not aligned.
            read.flag = 4 if contig < 0 or number % 17 == 0 else 0
            read.query_sequence, read.query_qualities = "ACGTA" * 10, array("B", [20] * 50)
            gap = (0, 30, 20_000, 300_000, 9_000_000)[number % 5] if contig == 1 else number % 900
            gap = min(gap, LENGTHS["long"] - at - 100)
            if not read.flag & 4:
                read.cigartuples = [(4, 5), (0, 20), (3, gap), (1, 5), (0, 20)] if gap else [(0, 50)]
            read.set_tag("ZM", array("h", rng.integers(-50, 600, 400).tolist()))
            bam.write(read)
    with RecordReader(folder / "in.bam") as reader:
        references = tuple(ReferenceSequence(name, length) for name, length in reader.references)
        with BamWriter(folder / "out.bam", CopiedHeader(reader.text, references)) as bam:
            index = PlaceIndex(len(references), bam.n_header_bytes)
            for records in reader.batches(100_000):
                bam.write_records(records)
                for first in range(0, len(records), 70):
                    index.add(parts_of(records[first : first + 70]))
    (folder / "own.bai").write_bytes(index.encoded(bam.block_start()))
    pysam.index("-b", str(folder / "out.bam"), str(folder / "htslib.bai"))
    return folder


@pytest.fixture(scope="module")
def opened(indexed):
    names = ("own.bai", "htslib.bai")
    files = [pysam.AlignmentFile(indexed / "out.bam", index_filename=str(indexed / name)) for name in names]
    yield files
    for file in files:
        file.close()


def test_the_same_reads_are_found_everywhere(opened):
    own, other = opened
    rng, n_found = np.random.default_rng(4), 0
    regions = [(contig, 0, size) for contig, size in LENGTHS.items()]
    for contig, size in LENGTHS.items():
        starts = np.concatenate([rng.integers(0, size - 1, 40), rng.integers(0, min(size, 100_000) - 1, 40)])
        regions += [(contig, int(at), int(min(at + rng.integers(1, 40_000), size))) for at in starts]
    for region in regions:
        found = [read.query_name for read in own.fetch(*region)]
        assert found == [read.query_name for read in other.fetch(*region)]
        n_found += bool(found)
    assert n_found > 100
    without = [read.query_name for read in own.fetch("*")]
    assert without == [read.query_name for read in other.fetch("*")] and len(without) == 250


def test_the_same_reads_are_counted(opened):
    own, other = opened
    assert own.get_index_statistics() == other.get_index_statistics()
    assert (own.mapped, own.unmapped, own.nocoordinate) == (other.mapped, other.unmapped, other.nocoordinate)
    assert own.mapped > 1000 and own.unmapped > own.nocoordinate == 250


def test_a_file_without_reads_has_an_index_without_places():
    assert PlaceIndex(2, 100).encoded(np.zeros(1, np.int64)) == b"BAI\1\2" + bytes(3 + 16 + 8)
    nothing = EncodedRecords(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    index = PlaceIndex(1, 100)
    index.add(parts_of(nothing))
    assert index.encoded(np.zeros(1, np.int64)) == b"BAI\1\1" + bytes(3 + 8 + 8)


def test_bins_are_those_of_the_specification():
    start = np.array([0, 16_383, 16_384, 0, 1 << 26, (1 << 29) - 2])
    end = np.array([1, 16_385, 16_385, 1 << 29, (1 << 26) + (1 << 17), (1 << 29) - 1])
    assert bins_of(start, end).tolist() == [4681, 585, 4682, 0, 585 + 512, 4681 + (1 << 15) - 1]
