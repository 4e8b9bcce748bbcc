"""Bases again from the flow signals of a BAM file."""

import pysam
import pytest

from ionanalysis.basecaller.recall import recall_bam
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls


def records(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return bam.header.to_dict(), list(bam)


@pytest.fixture(scope="module")
def recalled(golden, tmp_path_factory):
    """(the original's BAM, what the command made of it)."""
    source = golden / "calls-s60/peer/rawlib.basecaller.bam"
    target = tmp_path_factory.mktemp("recall") / "again.bam"
    assert main(["recall", str(source), "-o", str(target)]) == 0
    return source, target


@pytest.mark.golden
def test_errors_of_the_originals_reads_shrink(recalled, calls_s60_truth):
    before, after = (score_calls(calls_from_bam(path), *calls_s60_truth) for path in recalled)
    assert after.n_reads == before.n_reads
    assert after.error_rate < 0.85 * before.error_rate


@pytest.mark.golden
def test_names_tags_and_read_groups_are_kept(recalled):
    (old_header, old), (header, new) = map(records, recalled)
    assert header["RG"] == old_header["RG"]
    assert [entry["ID"] for entry in header["PG"]] == [*[entry["ID"] for entry in old_header["PG"]], "recall"]
    assert [read.query_name for read in new] == [read.query_name for read in old]
    for before, after in zip(old[:200], new[:200], strict=True):
        assert dict(after.get_tags()) == dict(before.get_tags())
        assert abs(len(after.query_sequence) - len(before.query_sequence)) < 20


@pytest.mark.golden
def test_threads_change_nothing_in_a_recall(golden, tmp_path):
    source = golden / "barcodes-s60/peer/IonXpress_001_rawlib.basecaller.bam"
    for n in (1, 3):
        recall_bam(source, tmp_path / f"{n}.bam", n_threads=n)
    assert (tmp_path / "1.bam").read_bytes() == (tmp_path / "3.bam").read_bytes()


def write_bam(path, **tags):
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": "R", "FO": "TACG" * 6, "KS": "TCAG"}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        read = pysam.AlignedSegment(out.header)
        read.query_name, read.flag, read.query_sequence = "R:1:1", 4, "AC"
        read.set_tag("RG", "R")
        for name, value in tags.items():
            read.set_tag(name, value)
        out.write(read)


def test_reads_without_signals_are_refused_and_leave_no_file(tmp_path):
    write_bam(tmp_path / "in.bam")
    with pytest.raises(InputError, match="neither tag ZM nor FZ"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    assert [path.name for path in tmp_path.iterdir()] == ["in.bam"]


def test_signals_without_phase_are_refused(tmp_path):
    from array import array

    write_bam(tmp_path / "in.bam", ZM=array("h", [256] * 24))
    with pytest.raises(InputError, match="no phase"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")


def test_signals_of_older_files_are_called_without_phase(tmp_path):
    from array import array

    from ionanalysis.flows import FlowOrder

    gram = FlowOrder("TACG", 24).flowgram("TCAGACC") * 100
    write_bam(tmp_path / "in.bam", FZ=array("H", gram.tolist()), ZF=9)
    counts = recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    (read,) = records(tmp_path / "out.bam")[1]
    # One base fewer was there before, in the last flow: the end of a read is not moved.
    assert (read.query_sequence, counts.reads, counts.changed) == ("AC", 1, 0)


def test_a_file_that_is_no_bam_is_refused(tmp_path):
    (tmp_path / "in.bam").write_text("no BAM")
    with pytest.raises(InputError, match="cannot be read as BAM"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
