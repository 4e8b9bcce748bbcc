"""FASTA files in and out."""

import gzip

import pytest

from ionanalysis.errors import InputError
from ionanalysis.io.fasta import read_fasta, write_fasta


def test_sequences_come_back_as_written(tmp_path):
    sequences = {"a": "ACGT" * 50, "b": "", "c": "NNNA"}
    write_fasta(tmp_path / "x.fa", sequences, width=60)
    assert read_fasta(tmp_path / "x.fa") == sequences


def test_titles_are_cut_at_the_first_blank_and_letters_become_upper_case(tmp_path):
    (tmp_path / "x.fa").write_text(">one two\r\nac\r\ngt\r\n\r\n")
    assert read_fasta(tmp_path / "x.fa") == {"one": "ACGT"}


def test_gzip_is_read(tmp_path):
    (tmp_path / "x.fa.gz").write_bytes(gzip.compress(b">a\nACGT\n"))
    assert read_fasta(tmp_path / "x.fa.gz") == {"a": "ACGT"}


@pytest.mark.parametrize(
    "content", [b"", b"ACGT\n", b">a\nAC\n>a\nGT\n", b">\nACGT\n", b">a\nA-GT\n", b"\xff\xfe", b"\x1f\x8bnot gzip"]
)
def test_what_is_not_fasta_is_refused(tmp_path, content):
    (tmp_path / "x.fa").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.fa"):
        read_fasta(tmp_path / "x.fa")
