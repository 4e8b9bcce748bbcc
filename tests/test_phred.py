"""Quality tables: the worked lookups of basecaller.md 12.7, the golden table, round trips, damaged files."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ionanalysis.errors import InputError
from ionanalysis.io.phred import PhredTable, read_phred_table, write_phred_table

CUTS_540 = tuple(
    np.array(text.split(), np.float32)
    for text in (
        "0.01081 0.011836 0.013018 0.014264 0.01568 0.017229 0.018999 0.021055 0.023678 0.02733 0.033646 1.14252",
        "0.02677 0.044902 0.061265 0.076343 0.092442 0.109872 0.129441 0.152582 0.180841 0.219974 0.28403 1.75492",
        "0 1 2 3 4 5 6",
        "1 2 3 4 5 6 7 8 9 10",
        "0.06393 0.068607 0.073808 0.07966 0.086308 0.093586 0.101886 0.111523 0.123692 0.140196 0.167595 0.567647",
        "-0.89835 -0.896382 -0.893946 -0.890924 -0.887208 -0.88244 -0.876618 -0.86908 -0.859355 -0.845996 -0.827536 "
        "-0.549937",
    )
)
WORKED = [
    ((0.018, 0.02, 0, 1, 0.07, -0.85), (6, 0, 0, 0, 2, 9), 725793, 29),
    ((0.013, 0.08, 0, 1, 0.07, -0.88), (2, 4, 0, 0, 2, 6), 282270, 28),
    ((0.02, 0.15, 1, 2, 0.09, -0.87), (7, 7, 1, 1, 5, 7), 918931, 20),
    ((0.05, 0.3, 3, 4, 0.14, -0.8), (11, 11, 3, 3, 9, 11), 1446311, 8),
    ((1, 1, 6, 10, 0.433333, -0.5), (11, 11, 6, 9, 11, 11), 1451519, 4),
]


@pytest.fixture(scope="module")
def table_540():
    """A table with the shape of that of chip 540 whose worked cells hold the worked qualities."""
    values = np.zeros(1_451_520, np.uint8)
    for _, _, cell, quality in WORKED:
        values[cell] = quality
    return PhredTable(CUTS_540, values)


def test_worked_lookups(table_540):
    predictors = np.array([row[0] for row in WORKED])
    assert table_540.cell_indices(predictors).tolist() == [list(row[1]) for row in WORKED]
    assert table_540.lookup(predictors).tolist() == [row[3] for row in WORKED]


def test_lookup_keeps_the_shape_of_its_input(table_540):
    predictors = np.array([row[0] for row in WORKED[:4]], np.float32).reshape(2, 2, 6)
    assert table_540.lookup(predictors).tolist() == [[29, 28], [20, 8]]
    assert table_540.lookup(predictors[0, 0]) == 29


def test_nan_counts_as_the_worst(table_540):
    assert table_540.cell_indices([np.nan] * 6).tolist() == [11, 11, 6, 9, 11, 11]


def test_values_on_a_cut_belong_to_its_cell(table_540):
    for n, cut in enumerate(CUTS_540):
        predictors = np.tile([c[0] for c in CUTS_540], (cut.size, 1))
        predictors[:, n] = cut
        assert table_540.cell_indices(predictors)[:, n].tolist() == list(range(cut.size))


@pytest.fixture(scope="module")
def table_530(golden):
    return read_phred_table(golden / "phred/phredTable.530.h5")


def test_golden_table(golden, table_530):
    assert table_530.values.shape == (12, 12, 7, 8, 12, 12)
    assert [cut[0] for cut in table_530.cuts] == pytest.approx([0.010176, 0.01851, 0, 1, 0.060944, -0.897445])
    with h5py.File(golden / "phred/phredTable.530.h5") as file:
        assert_array_equal(table_530.values.ravel(), file["QvTable/Qvs"][:])


def test_golden_table_falls_from_good_to_bad_predictors(table_530):
    best, worst = [c[0] for c in table_530.cuts], [c[-1] for c in table_530.cuts]
    assert [table_530.lookup(best), table_530.lookup(worst)] == [42, 1]


@pytest.mark.parametrize("name", ["t.h5", "t.binary"])
def test_golden_table_survives_other_forms(table_530, tmp_path, name):
    write_phred_table(tmp_path / name, table_530)
    assert read_phred_table(tmp_path / name) == table_530


tables = st.lists(st.integers(1, 3), min_size=6, max_size=6).flatmap(
    lambda shape: st.tuples(
        st.tuples(*(st.lists(st.integers(-40, 40), min_size=n, max_size=n, unique=True).map(sorted) for n in shape)),
        st.integers(0, 2**32 - 1),
    ).map(
        lambda drawn: PhredTable(
            tuple(np.array(cut) / 8 for cut in drawn[0]), np.random.default_rng(drawn[1]).integers(4, 40, shape)
        )
    )
)


@given(tables, st.sampled_from(["t.h5", "t.binary", "t.txt"]))
def test_tables_survive_writing_and_reading(tmp_path_factory, table, name):
    path = tmp_path_factory.getbasetemp() / name
    write_phred_table(path, table)
    assert read_phred_table(path) == table


def first_covering_row(rows, predictors):
    """Lookup in a text table as the spec words it: the slow, obvious way."""
    rows = np.array(rows)
    clipped = np.minimum(predictors, rows[:, :6].max(axis=0))
    covering = (rows[:, :6] >= clipped).all(axis=1)
    return int(rows[covering.argmax(), -1]) if covering.any() else 5


rows = st.tuples(*[st.integers(0, 3)] * 6, st.just(7), st.integers(0, 60))


@given(st.lists(rows, min_size=1, max_size=12), st.lists(st.tuples(*[st.integers(-1, 5)] * 6), min_size=1, max_size=20))
def test_text_tables_answer_with_the_first_row_that_covers(tmp_path_factory, some, asked):
    path = tmp_path_factory.getbasetemp() / "rows.txt"
    path.write_text("# made by hand\n" + "".join(" ".join(map(str, row)) + "\n" for row in some))
    assert read_phred_table(path).lookup(asked).tolist() == [first_covering_row(some, a) for a in asked]


def test_text_tables_end_at_an_empty_line(tmp_path):
    row = "0.014264 0.02677 0 1 0.167595 -0.890924 11517 35\n"
    (tmp_path / "t.txt").write_text(f"# comment\n{row}\nanything\n")
    table = read_phred_table(tmp_path / "t.txt")
    assert table.values.ravel().tolist() == [35]


def test_flow_errors_are_kept(tmp_path):
    table = PhredTable(CUTS_540, np.zeros(1_451_520), np.arange(6, dtype=np.float32).reshape(2, 3))
    write_phred_table(tmp_path / "t.h5", table)
    assert_array_equal(read_phred_table(tmp_path / "t.h5").flow_errors, table.flow_errors)


def test_the_same_table_gives_the_same_bytes(table_530, tmp_path):
    for name in ("a.h5", "b.h5"):
        write_phred_table(tmp_path / name, table_530)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize(
    "cuts, n_values, message",
    [
        (CUTS_540[:5], 1, "needs 6 lists"),
        (CUTS_540, 7, "expected 1451520"),
        ((*CUTS_540[:5], CUTS_540[5][::-1]), 1_451_520, "rising"),
        ((*CUTS_540[:5], np.full(12, np.nan)), 1_451_520, "rising"),
    ],
)
def test_tables_that_do_not_fit_are_refused(cuts, n_values, message):
    with pytest.raises(InputError, match=message):
        PhredTable(cuts, np.zeros(n_values, np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"1 2 3\n", b"1 2 3 4 5 6 7 nan\n", b"1 2 3 4 5 6 7 94\n", b"1 2 3 4 5 6 7 . 8\n"),
        *(b"\x06\0\0\0" * 7, b"1 2 3 4 5 6 7 1.2.3\n", bytes(100), b"1e999 2 3 4 5 6 7 8\n"),
    ],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(InputError, match="t: "):
        read_phred_table(tmp_path / "t")


def test_text_tables_that_would_fill_the_memory_are_refused(tmp_path):
    lines = [" ".join([str(n)] * 6) + " 1 9" for n in range(100)]
    (tmp_path / "t").write_text("\n".join(lines))
    with pytest.raises(InputError, match="more than"):
        read_phred_table(tmp_path / "t")
