"""Files of aligned reads: all that was in the unaligned ones, sorted, indexed; duplicates."""

import os
import stat
from array import array

import numpy as np
import pysam
import pytest

from ionanalysis.align import ReferenceIndex
from ionanalysis.alignment import align_bam, spool
from ionanalysis.alignment.formats import align_to
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.fasta import write_fasta
from ionanalysis.options.alignment import AlignmentOptions

COMPLEMENT = str.maketrans("ACGT", "TGCA")
FLOWS = "TACG" * 50
HEADER = {
    "HD": {"VN": "1.4", "SO": "unsorted"},
    "RG": [{"ID": "RUN", "FO": FLOWS, "KS": "TCAG", "SM": "yeast"}],
    "PG": [{"ID": "bc", "PN": "BaseCaller", "VN": "5"}],
    "CO": ['{"MasterKey":"RUN"}'],
}


@pytest.fixture(scope="module")
def genome():
    rng = np.random.default_rng(31)
    return {name: "".join(rng.choice(list("ACGT"), size)) for name, size in (("one", 40_000), ("two", 15_000))}


@pytest.fixture(scope="module")
def index(genome, tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    write_fasta(folder / "genome.fasta", genome)
    return ReferenceIndex.of(folder / "genome.fasta", folder / "indexes")


def turned(sequence):
    return sequence.translate(COMPLEMENT)[::-1]


def write_reads(path, sequences, *, ends=None, qualities=None):
    """Unaligned BAM of reads with the tags that the base caller writes."""
    with pysam.AlignmentFile(str(path), "wb", header=HEADER) as bam:
        for number, sequence in enumerate(sequences):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag, read.query_sequence = f"RUN:{number // 100:05d}:{number % 100:05d}", 4, sequence
            level = 25 if qualities is None else qualities[number]
            read.query_qualities = array("B", [level + i % 10 for i in range(len(sequence))])
            read.set_tag("RG", "RUN")
            read.set_tag("ZP", array("f", [0.006, 0.004, 0.0]))
            read.set_tag("ZM", array("h", [2 * (number + i) % 4096 for i in range(200)]))
            read.set_tag("ZF", 8)
            if ends is not None and ends[number] is not None:
                read.set_tag("ZC", array("i", ends[number]))
            bam.write(read)
    return path


def read_all(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return list(bam.fetch(until_eof=True))


@pytest.fixture(scope="module")
def reads(genome, tmp_path_factory):
    """300 reads of both strands and sequences with an error in each third, and 20 of nowhere."""
    rng = np.random.default_rng(32)
    sequences = []
    for number in range(300):
        contig = genome[("one", "two")[number % 2]]
        at, length = int(rng.integers(0, 14_000)), int(rng.integers(60, 180))
        read = contig[at : at + length]
        if number % 3 == 0:
            read = read[:30] + ("A" if read[30] != "A" else "C") + read[31:50] + read[51:]
        sequences.append(turned(read) if number % 4 == 0 else read)
    sequences += ["".join(rng.choice(list("ACGT"), 90)) for _ in range(20)]
    return write_reads(tmp_path_factory.mktemp("reads") / "rawlib.basecaller.bam", sequences)


@pytest.fixture(scope="module")
def aligned(reads, index, tmp_path_factory):
    path = tmp_path_factory.mktemp("aligned") / "rawlib.bam"
    counts = align_bam(reads, path, index, n_threads=2, command_line="ionanalysis align")
    assert (counts.reads, counts.mapped, counts.duplicates) == (320, 300, None)
    return path


def test_bases_qualities_and_tags_are_those_of_the_unaligned_reads(reads, aligned):
    before = {read.query_name: read for read in read_all(reads)}
    after = read_all(aligned)
    assert {read.query_name for read in after} == before.keys() and len(after) == len(before)
    for read in after:
        former = before[read.query_name]
        assert read.get_forward_sequence() == former.query_sequence
        assert list(read.get_forward_qualities()) == list(former.query_qualities)
        own = [tag for tag in read.get_tags(with_value_type=True) if tag[0] not in ("NM", "MD")]
        assert own == former.get_tags(with_value_type=True)
        assert not read.has_tag("XA")


def test_places_and_md_spell_the_reference(aligned, genome):
    n_edits = 0
    for read in read_all(aligned):
        if not read.is_unmapped:
            told = genome[read.reference_name][read.reference_start : read.reference_end]
            assert read.get_reference_sequence().upper() == told
            wrong = sum(a != b for a, b in zip(read.query_alignment_sequence, told, strict=False))
            assert (read.get_tag("NM") == 0) == (wrong == 0)
            n_edits += read.get_tag("NM")
    assert 190 <= n_edits <= 205


def test_reads_are_sorted_and_found_through_the_index(aligned):
    found = read_all(aligned)
    places = [(read.reference_id & 0xFFFFFFFF, read.reference_start) for read in found]
    assert places == sorted(places) and found[-1].is_unmapped
    with pysam.AlignmentFile(str(aligned)) as bam:
        told = {read.query_name for read in bam.fetch("two", 5000, 6000)}
    inside = [read for read in found if read.reference_name == "two" and read.reference_start < 6000]
    assert told == {read.query_name for read in inside if read.reference_end > 5000}


def test_the_header_names_the_reference_and_who_did_it(aligned, genome, index):
    from hashlib import md5

    header = pysam.AlignmentFile(str(aligned)).header.to_dict()
    assert header["HD"] == {"VN": "1.6", "SO": "coordinate"}
    assert header["SQ"] == [
        {
            "SN": name,
            "LN": len(letters),
            "M5": md5(letters.encode()).hexdigest(),
            "UR": index.fasta.absolute().as_uri(),
        }
        for name, letters in genome.items()
    ]
    assert header["RG"] == HEADER["RG"] and header["CO"] == HEADER["CO"]
    assert [program["ID"] for program in header["PG"]] == ["bc", "ionanalysis"] and header["PG"][1]["PP"] == "bc"


def test_threads_and_spooled_runs_change_no_byte(reads, aligned, index, tmp_path, monkeypatch):
    align_bam(reads, tmp_path / "one.bam", index, n_threads=1, command_line="ionanalysis align")
    assert (tmp_path / "one.bam").read_bytes() == aligned.read_bytes()
    monkeypatch.setattr(spool, "RUN_BYTES", 20_000)
    monkeypatch.setattr(spool, "_BATCH_RECORDS", 7)
    align_bam(reads, tmp_path / "runs.bam", index, n_threads=2, command_line="ionanalysis align")
    assert (tmp_path / "runs.bam").read_bytes() == aligned.read_bytes()


def test_nothing_else_stays_beside_the_output(reads, index, tmp_path):
    align_bam(reads, tmp_path / "out.bam", index)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.bam", "out.bam.bai"]


def test_an_aligned_file_is_aligned_anew(reads, aligned, index, tmp_path):
    align_to(aligned, tmp_path / "again.cram", index)
    align_to(tmp_path / "again.cram", tmp_path / "again.sam", index)
    shown = {read.query_name: (read.reference_start, read.cigarstring, read.flag) for read in read_all(aligned)}
    found = read_all(tmp_path / "again.sam")
    assert {read.query_name: (read.reference_start, read.cigarstring, read.flag) for read in found} == shown
    assert {read.query_name: read.get_tag("ZM") for read in found} == {
        read.query_name: read.get_tag("ZM") for read in read_all(reads)
    }


def test_an_ending_that_tells_no_format_is_refused(reads, index, tmp_path):
    with pytest.raises(UsageError, match=r"ends in none of .bam, .sam, .cram"):
        align_to(reads, tmp_path / "out.txt", index)


def test_the_command_writes_to_stdout(reads, index, capfdbinary):
    assert main(["align", str(reads), "--reference", str(index.fasta), "-o", "-", "--format", "sam"]) == 0
    shown = capfdbinary.readouterr().out
    assert shown.startswith(b"@HD\tVN:1.6\tSO:coordinate\n") and shown.count(b"\nRUN:") == 320


@pytest.mark.parametrize("damage", ["cut", "garbage", "size"])
def test_damaged_files_are_refused_and_leave_nothing(reads, index, tmp_path, damage):
    content = bytearray(reads.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "garbage":
        content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    else:
        del content[len(content) - 200 :]
    (tmp_path / "bad.bam").write_bytes(content)
    with pytest.raises(InputError, match=r"bad.bam"):
        align_bam(tmp_path / "bad.bam", tmp_path / "out.bam", index)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.bam"]


def test_duplicates_agree_in_start_end_and_adapter(genome, index, tmp_path):
    read = genome["one"][1000:1120]
    back = turned(genome["one"][2000:2120])
    ends = [150, 149, 1, 0]
    sequences = [read, read, read[:-1], read, read, back, back[:-1], genome["one"][1001:1120], read]
    told = [ends, ends, ends, [150, 148, 1, 0], [150, 149, 1, 1], ends, ends, ends, None]
    path = write_reads(tmp_path / "in.bam", sequences, ends=told, qualities=[20, 25, 25, 20, 20, 30, 10, 20, 20])
    options = AlignmentOptions(mark_duplicates=True)
    counts = align_bam(path, tmp_path / "out.bam", index, options)
    # 0 and 2 are copies of 1, which has more bases of higher quality; 6 ends one base early in the same flow.
    marked = {int(read.query_name[-5:]) for read in read_all(tmp_path / "out.bam") if read.is_duplicate}
    assert marked == {0, 2, 6}
    assert counts.duplicates == {
        "total_reads": 9,
        "total_mapped_reads": 9,
        "duplicate_reads": 3,
        "fraction_duplicates": pytest.approx(3 / 9),
        "fraction_with_adaptor": pytest.approx(8 / 9),
    }


def test_clipped_bases_count_for_the_start(genome, index, tmp_path):
    contig = genome["one"]
    wrong = contig[3000:3012].translate(COMPLEMENT)
    sequences = [contig[3000:3120], wrong + contig[3012:3120]]
    path = write_reads(tmp_path / "in.bam", sequences, ends=[[150, 149, 1, 0]] * 2)
    align_bam(path, tmp_path / "out.bam", index, AlignmentOptions(mark_duplicates=True))
    found = read_all(tmp_path / "out.bam")
    assert any("S" in read.cigarstring for read in found) and sum(read.is_duplicate for read in found) == 1


def test_tmap_is_run_with_the_original_arguments(reads, aligned, index, tmp_path, monkeypatch):
    """A stand-in for tmap that gives finished alignments with XA, out of order."""
    made = tmp_path / "tmap.bam"
    with pysam.AlignmentFile(str(aligned)) as source, pysam.AlignmentFile(str(made), "wb", template=source) as out:
        for read in reversed(list(source.fetch(until_eof=True))):
            read.set_tag("XA", "map4-1")
            out.write(read)
    program = tmp_path / "bin" / "tmap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat {made}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    align_bam(reads, tmp_path / "out.bam", index, AlignmentOptions(aligner="tmap"), n_threads=3)
    words = (tmp_path / "arguments").read_text().split()
    assert words[:7] == ["mapall", "-n", "3", "-f", str(index.fasta), "-r", str(reads)]
    assert words[7:] == ["-i", "bam", "-v", "-Y", "-u", "--prefix-exclude", "5", "-o", "2", "stage1", "map4"]
    found = read_all(tmp_path / "out.bam")
    assert len(found) == 320 and not any(read.has_tag("XA") for read in found)
    places = [(read.reference_id & 0xFFFFFFFF, read.reference_start) for read in found]
    assert places == sorted(places)


def test_tmap_that_is_not_there_is_said(reads, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no program tmap"):
        align_bam(reads, tmp_path / "out.bam", index, AlignmentOptions(aligner="tmap"))
