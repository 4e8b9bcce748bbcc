"""SFF files: golden files, Biopython as oracle in both directions, round trips, damaged files."""

import pickle
import warnings

import numpy as np
import pytest
from Bio import SeqIO
from Bio.SeqIO.SffIO import ReadRocheXmlManifest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.errors import InputError
from ionanalysis.io.sff import SffRead, SffWriter, open_sff

FILES = [
    "sff/E3MFGYR02_random_10_reads.sff",
    "sff/E3MFGYR02_index_in_middle.sff",
    "sff/E3MFGYR02_no_manifest.sff",
    "sff/greek.sff",
    "real-314/rawlib.sff",
]


def oracle(path, kind="sff"):
    with path.open("rb" if kind.startswith("sff") else "r") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Overlapping clip values")
        return list(SeqIO.parse(file, kind))


def rewrite(source, path):
    header = source.header
    with_index = header.index_kind is not None
    with SffWriter(path, header.flow_letters, header.key, manifest=header.manifest, with_index=with_index) as writer:
        for read in source:
            writer.write(read)
    return path


@pytest.mark.parametrize("name", FILES)
def test_golden_reads_are_those_of_biopython(golden, name):
    ours, theirs = open_sff(golden / name), oracle(golden / name)
    assert [read.name for read in ours] == [read.id for read in theirs]
    for read, expected in zip(ours, theirs, strict=True):
        assert read.bases == str(expected.seq).upper()
        assert read.qualities.tolist() == expected.letter_annotations["phred_quality"]
        assert read.flow_values.tolist() == list(expected.annotations["flow_values"])
        assert np.diff(read.base_flows, prepend=-1).tolist() == list(expected.annotations["flow_index"])


@pytest.mark.parametrize("name", FILES)
def test_golden_clips_keep_what_biopython_keeps(golden, name):
    trimmed = oracle(golden / name, "sff-trim")
    assert [read.bases[read.kept] for read in open_sff(golden / name)] == [str(read.seq).upper() for read in trimmed]


@pytest.mark.parametrize("name", [name for name in FILES if "middle" not in name])
def test_golden_files_are_written_byte_for_byte(golden, tmp_path, name):
    assert rewrite(open_sff(golden / name), tmp_path / "x.sff").read_bytes() == (golden / name).read_bytes()


def test_an_index_in_the_middle_moves_to_the_end(golden, tmp_path):
    moved = rewrite(open_sff(golden / FILES[1]), tmp_path / "x.sff")
    assert moved.read_bytes() == (golden / FILES[0]).read_bytes()


def test_golden_fasta_and_qualities(golden):
    reads = list(open_sff(golden / FILES[0]))
    folder = golden / "sff"
    fasta = oracle(folder / "E3MFGYR02_random_10_reads.fasta", "fasta")
    qualities = oracle(folder / "E3MFGYR02_random_10_reads.qual", "qual")
    assert [(read.name, read.bases[read.kept]) for read in reads] == [(f.id, str(f.seq)) for f in fasta]
    assert [read.qualities[read.kept].tolist() for read in reads] == [
        q.letter_annotations["phred_quality"] for q in qualities
    ]


def test_golden_headers(golden):
    headers = [open_sff(golden / name).header for name in FILES]
    assert [header.n_reads for header in headers] == [10, 10, 10, 24, 1419]
    assert [len(header.flow_letters) for header in headers] == [400, 400, 400, 800, 260]
    assert [header.index_kind for header in headers] == [".mft", ".mft", ".srt", ".srt", None]
    assert {header.key for header in headers} == {"TCAG"}
    with (golden / FILES[0]).open("rb") as file:
        assert headers[0].manifest == ReadRocheXmlManifest(file)


def test_concatenated_files_are_refused(golden):
    with pytest.raises(InputError, match="a second SFF file starts near byte 5437"):
        open_sff(golden / "sff/invalid_paired_E3MFGYR02.sff")


def test_files_without_index_joined_end_to_end_are_refused(golden, tmp_path):
    (tmp_path / "x.sff").write_bytes((golden / FILES[4]).read_bytes() * 2)
    with pytest.raises(InputError, match="a second SFF file"):
        open_sff(tmp_path / "x.sff")


@st.composite
def reads(draw, n_flows=20):
    n_bases = draw(st.integers(0, 12))
    flows = sorted(draw(st.lists(st.integers(0, n_flows - 1), min_size=n_bases, max_size=n_bases)))
    clips = st.tuples(st.integers(0, n_bases), st.integers(0, n_bases))
    return SffRead(
        name=draw(st.text("abcXYZ019:_", max_size=9)),
        bases=draw(st.text("ACGTN", min_size=n_bases, max_size=n_bases)),
        qualities=np.array(draw(st.lists(st.integers(0, 60), min_size=n_bases, max_size=n_bases)), np.uint8),
        base_flows=np.array(flows, np.int32),
        flow_values=np.array(draw(st.lists(st.integers(0, 65535), min_size=n_flows, max_size=n_flows)), np.uint16),
        clip_quality=draw(clips),
        clip_adapter=draw(clips),
    )


def plain(read):
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(read).items()}


@given(st.lists(reads(), max_size=5), st.sampled_from([None, "<manifest/>"]), st.booleans())
def test_reads_survive_writing_and_reading(tmp_path_factory, some, manifest, with_index):
    path = tmp_path_factory.getbasetemp() / "round.sff"
    with SffWriter(path, "TACG" * 5, "TCAG", manifest=manifest, with_index=with_index) as writer:
        for read in some:
            writer.write(read)
    written = open_sff(path)
    assert [plain(read) for read in written] == [plain(read) for read in some]
    assert (written.header.manifest, written.header.key) == (manifest, "TCAG")


@given(st.lists(reads(), min_size=1, max_size=5))
def test_biopython_reads_what_we_write(tmp_path_factory, some):
    some = [SffRead(**vars(read) | {"name": f"r{n}"}) for n, read in enumerate(some)]
    path = tmp_path_factory.getbasetemp() / "oracle.sff"
    with SffWriter(path, "TACG" * 5, "TCAG") as writer:
        for read in some:
            writer.write(read)
    theirs = oracle(path)
    assert [str(read.seq).upper() for read in theirs] == [read.bases for read in some]
    index = SeqIO.index(str(path), "sff")
    assert sorted(index) == sorted(read.name for read in some)
    index.close()


def test_we_read_what_biopython_writes(golden, tmp_path):
    with (tmp_path / "x.sff").open("wb") as file:
        SeqIO.write(oracle(golden / FILES[3]), file, "sff")
    assert [plain(a) for a in open_sff(tmp_path / "x.sff")] == [plain(b) for b in open_sff(golden / FILES[3])]


def test_signals_are_hundredths():
    read = SffRead("r", "", np.zeros(0), np.zeros(0), np.array([0, 104, 65535], np.uint16))
    assert read.signal.tolist() == pytest.approx([0, 1.04, 655.35])


def test_files_travel_to_other_processes(golden):
    source = open_sff(golden / FILES[0])
    assert plain(pickle.loads(pickle.dumps(source))[3]) == plain(source[3])


def read_of(n_bases=2, n_flows=20, **changed):
    fields = {
        "name": "r",
        "bases": "A" * n_bases,
        "qualities": np.zeros(n_bases, np.uint8),
        "base_flows": np.arange(n_bases),
        "flow_values": np.zeros(n_flows, np.uint16),
    }
    return SffRead(**fields | changed)


@pytest.mark.parametrize(
    "read",
    [
        read_of(n_flows=19),
        read_of(qualities=np.zeros(3, np.uint8)),
        read_of(base_flows=np.array([1, 0])),
        read_of(base_flows=np.array([0, 20])),
    ],
)
def test_reads_that_do_not_fit_are_refused_and_leave_no_file(tmp_path, read):
    with pytest.raises(InputError, match="read r has"), SffWriter(tmp_path / "x.sff", "TACG" * 5, "TCAG") as writer:
        writer.write(read)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("n_bytes", [0, 3, 30, 31, 400, 440, 500, 2000, 16_823, 17_000, 17_587])
def test_cut_files_are_refused(golden, tmp_path, n_bytes):
    (tmp_path / "x.sff").write_bytes((golden / FILES[0]).read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=r"x\.sff: "):
        open_sff(tmp_path / "x.sff")


@pytest.mark.parametrize(
    "place, byte, message",
    [
        (4, 1, "version"),
        (8, 1, "lies outside"),
        (20, 255, "more than its 17592 bytes"),
        (25, 0, "header of 256"),
        (30, 2, "flowgram format 2"),
        (40, 0, "not letters"),
        (441, 33, "header of 33 bytes"),
    ],
)
def test_damaged_headers_are_refused(golden, tmp_path, place, byte, message):
    content = bytearray((golden / FILES[0]).read_bytes())
    content[place] = byte
    (tmp_path / "x.sff").write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_sff(tmp_path / "x.sff")
