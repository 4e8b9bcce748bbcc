"""Reads to BAM and back: what pysam reads, what the original wrote."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.bam import BamHeader, BamWriter, ReadBatch, ReadGroup, TagColumn, encode_records, flow_units, flowgrams
from ionanalysis.bam.bgzf import BLOCK_SIZE, LEVELS, compress_block
from ionanalysis.basecaller.letters import well_names
from ionanalysis.errors import InputError, OutputError

HEADER = BamHeader((ReadGroup("RUN1", flows="TACG" * 5, key_sequence="TCAG", description="a library"),), version="1")


def batch(n_reads, seed=1, n_flows=20):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 40, n_reads)
    ends = np.cumsum(lengths)
    n_bases = int(lengths.sum())
    return ReadBatch(
        names=[f"RUN1:{read:05d}:00007" for read in range(n_reads)],
        bases=rng.choice(np.frombuffer(b"ACGTN", np.uint8), n_bases),
        qualities=rng.integers(0, 60, n_bases).astype(np.uint8),
        begin=ends - lengths,
        end=ends,
        tags=(
            TagColumn("ZP", "B:f", rng.random((n_reads, 3), np.float32)),
            TagColumn("ZA", "i", rng.integers(-9, 300, n_reads), present=rng.random(n_reads) < 0.5),
            TagColumn("ZT", "Z", ["ACG"] * n_reads),
            TagColumn("ZC", "B:i", rng.integers(0, 300, (n_reads, 4))),
            TagColumn(
                "ZM",
                "B:s",
                flow_units(rng.normal(1, 1, (n_reads, n_flows))),
                lengths=rng.integers(4, n_flows + 1, n_reads),
            ),
            TagColumn("RG", "Z", ["RUN1"] * n_reads),
        ),
    )


def read_back(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return str(bam.header), list(bam)


def write(path, *batches, header=HEADER, **options):
    with BamWriter(path, header, **options) as bam:
        for reads in batches:
            bam.write(reads)
    return path


@pytest.mark.parametrize("n_reads", [0, 1, 2, 700])
def test_pysam_reads_what_was_written(tmp_path, n_reads):
    reads = batch(n_reads)
    text, records = read_back(write(tmp_path / "a.bam", reads))
    assert text.rstrip("\n") == HEADER.text.rstrip("\n")
    assert [record.query_name for record in records] == reads.names
    for i, record in enumerate(records):
        kept = slice(reads.begin[i], reads.end[i])
        assert (record.query_sequence or "") == reads.bases[kept].tobytes().decode()
        assert list(record.query_qualities or []) == reads.qualities[kept].tolist()
        assert (record.flag, record.reference_id, record.reference_start, record.mapping_quality) == (4, -1, -1, 0)
        for tag in reads.tags:
            if tag.present is not None and not tag.present[i]:
                assert not record.has_tag(tag.name)
            elif tag.kind.startswith("B"):
                n_values = tag.values.shape[1] if tag.lengths is None else tag.lengths[i]
                assert list(record.get_tag(tag.name)) == tag.values[i][:n_values].tolist()
            else:
                assert record.get_tag(tag.name) == tag.values[i]


@given(st.integers(0, 300))
def test_how_reads_are_cut_into_batches_changes_nothing(tmp_path_factory, cut):
    records = encode_records(batch(300))
    folder = tmp_path_factory.mktemp("cut")
    with BamWriter(folder / "a.bam", HEADER) as bam:
        bam.write_records(records[:cut])
        bam.write_records(records[cut:])
    write(folder / "b.bam", batch(300))
    assert (folder / "a.bam").read_bytes() == (folder / "b.bam").read_bytes()


def test_the_container_is_valid_gzip_of_any_size(tmp_path):
    many = [batch(900, seed) for seed in range(5)]
    path = write(tmp_path / "a.bam", *many, level=1)
    assert gzip.decompress(path.read_bytes()).startswith(b"BAM\x01")
    assert len(read_back(path)[1]) == 4500


def test_records_can_be_chosen_like_rows():
    records = encode_records(batch(20))
    cells = [records.data[records.start[i] : records.start[i + 1]].tobytes() for i in range(20)]
    for chosen in (slice(3, 9), slice(5, 2), np.arange(20) % 3 == 0, np.array([7, 7, 2]), np.array([], int)):
        some = records[chosen]
        assert len(some) == len(np.arange(20)[chosen])
        assert some.data.tobytes() == b"".join(cells[i] for i in np.arange(20)[chosen])
        assert some.start.tolist() == np.cumsum([0, *(len(cells[i]) for i in np.arange(20)[chosen])]).tolist()


def test_bytes_that_cannot_shrink_are_stored(tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, BLOCK_SIZE).astype(np.uint8).tobytes()
    for level in LEVELS:
        block = compress_block(noise, level)
        assert len(block) <= 1 << 16
        assert gzip.decompress(block) == noise


@pytest.mark.parametrize("level", [-1, 4])
def test_levels_that_do_not_exist_are_refused(tmp_path, level):
    with pytest.raises(InputError, match="must be 0 to 3"):
        BamWriter(tmp_path / "a.bam", HEADER, level=level)


def test_an_error_while_writing_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), BamWriter(tmp_path / "a.bam", HEADER) as bam:
        bam.write(batch(10))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"), BamWriter(tmp_path / "no" / "a.bam", HEADER):
        pass


def test_columns_that_do_not_fit_are_refused():
    reads = batch(3)
    wrong = ReadBatch(**{**vars(reads), "tags": (TagColumn("ZA", "i", np.arange(2)),)})
    with pytest.raises(InputError, match="expected 3"):
        encode_records(wrong)


def test_header_fields_cannot_break_lines():
    with pytest.raises(InputError, match="tabs or line breaks"):
        _ = BamHeader((ReadGroup("A", description="x\n@CO\ty"),)).text


@pytest.mark.golden
def test_the_originals_records_survive_a_round_trip(golden, tmp_path):
    source = golden / "barcodes-s60/peer/IonXpress_007_rawlib.basecaller.bam"
    _, theirs = read_back(source)
    path = write(tmp_path / "a.bam", copied(theirs))
    _, ours = read_back(path)
    assert [record.to_dict() for record in ours] == [record.to_dict() for record in theirs]


def copied(records):
    """A batch with the content of pysam records that all have the same kinds of tags."""
    lengths = np.array([record.query_length for record in records])
    ends = np.cumsum(lengths)
    order = list(dict.fromkeys(tag for record in records for tag, _ in record.get_tags()))
    kinds = {tag: (kind, value) for record in records for tag, value, kind in record.get_tags(with_value_type=True)}
    tags = []
    for name in order:
        present = np.array([record.has_tag(name) for record in records])
        kind, sample = kinds[name]
        values = [record.get_tag(name) if there else None for record, there in zip(records, present, strict=True)]
        if kind == "B":
            kind, counts = f"B:{sample.typecode}".replace("h", "s"), np.array([len(v or ()) for v in values])
            table = np.zeros((len(values), counts.max()), sample.typecode)
            for i, value in enumerate(values):
                table[i, : counts[i]] = value or 0
            tags.append(TagColumn(name, kind, table, counts, present))
        elif kind == "Z":
            tags.append(TagColumn(name, "Z", [value or "" for value in values], present=present))
        else:
            tags.append(TagColumn(name, "i", np.array([value or 0 for value in values]), present=present))
    return ReadBatch(
        names=[record.query_name for record in records],
        bases=np.frombuffer("".join(record.query_sequence for record in records).encode(), np.uint8),
        qualities=np.concatenate([record.query_qualities for record in records]).astype(np.uint8),
        begin=ends - lengths,
        end=ends,
        tags=tuple(tags),
    )


@pytest.mark.golden
def test_flowgrams_of_the_originals_reads(golden):
    path = golden / "calls-s60/peer/rawlib.basecaller.bam"
    reads = flowgrams(path)
    assert (len(reads), reads.tag, reads.flow_order.cycle) == (2902, "ZM", "TACGTACGTCTGAGCATCGATCGATGTACAGC")
    _, records = read_back(path)
    for i in (0, 17, 2901):
        units = list(records[i].get_tag("ZM"))
        assert reads.n_flows[i] == len(units)
        np.testing.assert_array_equal(reads.signals[i, : len(units)], np.float32(units) / 256)
        assert np.isnan(reads.signals[i, len(units) :]).all()
        assert records[i].query_name == f"GOLD1:{reads.row[i]:05d}:{reads.col[i]:05d}"
        assert reads.first_flow[i] == records[i].get_tag("ZF")
        np.testing.assert_array_equal(reads.phase[i], np.float32(records[i].get_tag("ZP")))
    assert set(reads.key_sequences) == {"TCAG"}


@pytest.mark.golden
def test_flowgrams_of_a_part_of_a_file(golden):
    path = golden / "calls-s60/peer/rawlib.basecaller.bam"
    part, whole = flowgrams(path, start=100, limit=5), flowgrams(path)
    assert part.names == whole.names[100:105]
    np.testing.assert_array_equal(part.signals, whole.signals[100:105])


def test_flowgrams_of_older_files_are_hundredths(tmp_path):
    reads = batch(2)
    tags = (TagColumn("FZ", "B:S", np.array([[100, 3, 205]] * 2)), TagColumn("RG", "Z", ["RUN1"] * 2))
    path = write(tmp_path / "a.bam", ReadBatch(**{**vars(reads), "tags": tags}))
    np.testing.assert_allclose(flowgrams(path).signals[0, :3], [1, 0.03, 2.05])


def test_flowgrams_say_what_is_missing(tmp_path):
    no_flows = ReadBatch(**{**vars(batch(2)), "tags": (TagColumn("RG", "Z", ["RUN1"] * 2),)})
    with pytest.raises(InputError, match="neither tag ZM nor FZ"):
        flowgrams(write(tmp_path / "a.bam", no_flows))
    (tmp_path / "b.bam").write_text("no BAM")
    with pytest.raises(InputError, match="cannot be read as BAM"):
        flowgrams(tmp_path / "b.bam")
    with pytest.raises(InputError, match="does not list"):
        flowgrams(write(tmp_path / "c.bam", batch(1), header=BamHeader((ReadGroup("X", flows="TACG" * 5),))))


def test_samples_may_have_any_letters(tmp_path):
    path = write(tmp_path / "a.bam", batch(1), header=BamHeader((ReadGroup("RUN1", flows="TACG" * 5, sample="Prøve"),)))
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        assert bam.header.to_dict()["RG"][0]["SM"] == "Prøve"


def test_threads_that_deflate_change_no_byte(tmp_path):
    parts = [batch(2000, seed) for seed in range(8)]
    alone = write(tmp_path / "alone.bam", *parts)
    with ThreadPoolExecutor(2) as pool:
        shared = write(tmp_path / "pool.bam", *parts, pool=pool)
    assert len(read_back(shared)[1]) == 16_000
    assert shared.read_bytes() == alone.read_bytes()


def test_names_may_be_rows_of_letters():
    reads = batch(5)
    letters = np.frombuffer("".join(reads.names).encode(), np.uint8).reshape(5, -1)
    rows = ReadBatch(**{**vars(reads), "names": letters})
    assert encode_records(rows).data.tobytes() == encode_records(reads).data.tobytes()
    long = np.full((2, 300), ord("x"), np.uint8)
    with pytest.raises(InputError, match="longer than the 254 letters"):
        encode_records(ReadBatch(**{**vars(batch(2)), "names": long}))


@pytest.mark.parametrize("col", [7, 99_999, 100_000])
def test_names_of_wells_have_five_digits_or_more(col):
    names = well_names("RUN1", np.array([12, 345]), np.array([3, col]))
    told = [name if isinstance(name, str) else name.tobytes().decode() for name in names]
    assert told == ["RUN1:00012:00003", f"RUN1:00345:{col:05d}"]
