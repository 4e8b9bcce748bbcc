"""Barcode sets by name and from CSV files."""

import pytest

from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.barcode_set import open_barcode_set, shipped_sets


def written(tmp_path, text):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    return path


def test_a_shipped_set_is_found_by_name():
    express = open_barcode_set("IonXpress")
    assert len(express) == 96
    first = express.by_name["IonXpress_001"]
    assert (first.index, first.sequence, first.adapter) == (1, "CTAAGGTAAC", "GAT")


@pytest.mark.parametrize("name", shipped_sets())
def test_shipped_sets_have_no_doubles_and_are_in_order(name):
    barcodes = list(shipped_sets()[name])
    assert (
        len({barcode.name for barcode in barcodes}) == len({barcode.sequence for barcode in barcodes}) == len(barcodes)
    )
    assert [barcode.index for barcode in barcodes] == sorted(barcode.index for barcode in barcodes)


def test_a_csv_file_needs_only_names_and_sequences(tmp_path):
    barcodes = open_barcode_set(written(tmp_path, "barcode,sequence,sample\nb1,acgtacgt,liver\nb2,TTTTACGT,\n"))
    assert barcodes.name == "mine"
    assert [(b.name, b.index, b.sequence, b.sample) for b in barcodes] == [
        ("b1", 1, "ACGTACGT", "liver"),
        ("b2", 2, "TTTTACGT", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "must name the columns id_str and sequence"),
        ("id_str,sequence\nb1,ACGN\n", "line 2: sequence 'ACGN' must be letters"),
        ("id_str,sequence\n../x,ACGT\n", "line 2: the name '../x'"),
        ("id_str,sequence\nb1,ACGT\nb1,AAGT\n", "name b1 occurs twice"),
        ("id_str,sequence\n", "holds no barcodes"),
        ("id_str,sequence,index\nb1,ACGT,one\n", "line 2: invalid literal"),
    ],
)
def test_a_wrong_csv_file_is_explained(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        open_barcode_set(written(tmp_path, text))


def test_an_unknown_name_lists_the_shipped_sets():
    with pytest.raises(UsageError, match="neither a file nor a shipped set"):
        open_barcode_set("IonExpress")
