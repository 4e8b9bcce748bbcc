"""Reads with one wrong base in their barcode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.basecaller.barcode_rescue import barcode_variants, edit_distances, one_error
from ionanalysis.basecaller.barcodes import barcode_templates, classify
from ionanalysis.basecaller.datasets import write_pipeline_datasets
from ionanalysis.basecaller.filters import starts_with
from ionanalysis.basecaller.letters import matches_at, reverse_complement
from ionanalysis.basecaller.stage import BasecallerInputs, run_basecaller
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.io.mask import NO_READ, read_barcode_mask
from ionanalysis.options.barcodes import BarcodeOptions

FLOWS = FlowOrder(DEFAULT_CYCLE, 200)
INSERT = "GCATTAGCCGATAACGTTAGCCTAGGA"
SET = [(barcode.sequence, barcode.adapter) for barcode in open_barcode_set("IonXpress")][:16]


@pytest.fixture(scope="module")
def templates():
    return barcode_templates("TCAG", SET, FLOWS)


def found(reads, templates, **options):
    return classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions(**options))


def test_nearly_all_single_errors_are_rescued_and_none_misplaced(perfect_reads, templates):
    wrong = [(number, text + adapter) for number, (barcode, adapter) in enumerate(SET) for text in one_error(barcode)]
    reads = perfect_reads([f"TCAG{text}{INSERT}" for _, text in wrong], FLOWS, qualities=35)
    truth = np.array([number for number, _ in wrong])
    plain, with_rescue = (found(reads, templates, barcode_rescue=on) for on in (False, True))
    assert (plain.kept & (plain.barcode == truth)).mean() < 0.5
    right = with_rescue.kept & (with_rescue.barcode == truth)
    assert right.mean() > 0.97
    # Flow distances alone may misplace a read whose bases are as near to another barcode; the rescue must not.
    assert not (with_rescue.rescued & (with_rescue.barcode != truth)).any()
    rescued = with_rescue.rescued
    assert (with_rescue.errors[rescued] == 1).all()
    ends = np.array([4 + len(text) for _, text in wrong])
    assert (with_rescue.end[rescued] == ends[rescued]).all()


def test_doubtful_bases_do_not_rescue_what_is_near_another_barcode(perfect_reads, templates):
    # One base less than IonXpress_002, and two errors from 001.
    sequence = f"TCAGTAAGGAAACGAT{INSERT}"
    sure, doubtful = (found(perfect_reads([sequence], FLOWS, qualities=q), templates) for q in (35, 12))
    assert (sure.barcode[0], bool(sure.rescued[0])) == (1, True)
    assert doubtful.barcode[0] == -1


def test_the_adapter_must_follow(perfect_reads, templates):
    text = SET[0][0][:4] + "T" + SET[0][0][5:]
    reads = perfect_reads([f"TCAG{text}GAT{INSERT}", f"TCAG{text}CCC{INSERT}", f"TCAG{text}GA", "TCAG"], FLOWS)
    assert found(reads, templates).rescued.tolist() == [True, False, False, False]


def test_random_inserts_are_no_barcodes(perfect_reads, templates):
    letters = np.random.default_rng(5).choice(list("ACGT"), (20_000, 24))
    reads = perfect_reads(["TCAG" + "".join(row) for row in letters], FLOWS, qualities=35)
    assert found(reads, templates).rescued.sum() <= 3


def test_simulated_reads_with_wrong_barcode_bases(tmp_path):
    # One barcode in five has a wrong base; noise as on the golden chips.
    run, barcodes = tmp_path / "run", open_barcode_set("IonXpress")
    size = "--size 50x50 --flows 100 --level wells --seed 4711"
    library = "--barcodes IonXpress --barcode-errors 0.2 --unbarcoded 0.1 --polyclonal 0"
    assert main(["simulate", str(run), *size.split(), *library.split()]) == 0
    write_pipeline_datasets(tmp_path / "sets.json", "SIMUL", barcodes)
    about = {"wells": run / "1.wells", "mask": run / "analysis.bfmask.bin", "run_id": "SIMUL"}
    run_basecaller(BasecallerInputs(datasets=tmp_path / "sets.json", **about), tmp_path / "out")
    given = read_barcode_mask(tmp_path / "out/barcodeMask.bin")
    whole = {barcode.index: barcode.sequence + barcode.adapter for barcode in barcodes}
    found = {"clean": [], "wrong": [], "none": []}
    for entry in (run / "truth.fasta").read_text().split(">")[1:]:
        header, sequence = entry.replace("\n", " ").split(" ", 1)[0], "".join(entry.split("\n")[1:])
        row, col = map(int, header.split(":"))
        facts = dict(fact.split("=") for fact in entry.split("\n")[0].split()[1:] if "=" in fact)
        true = int(facts.get("barcode", 0))
        if facts["kind"] != "library" or given[row, col] == NO_READ:
            continue
        kind = "none" if not true else "clean" if sequence[4:].startswith(whole[true]) else "wrong"
        assert given[row, col] in (0, true), header
        found[kind].append(given[row, col] == true)
    assert len(found["wrong"]) > 150
    assert all(found["none"])
    assert np.mean(found["clean"]) > 0.99
    assert np.mean(found["wrong"]) > 0.9


def test_texts_one_error_from_two_barcodes_belong_to_none():
    tables = barcode_variants((("ACGTACGT", "GAT"), ("ACGTACCA", "GAT")))
    texts = {text for table in tables.values() for text in table[0].tolist()}
    assert b"ACGTACGAGAT" not in texts
    assert b"ACGTACCTGAT" not in texts
    assert b"TCGTACGTGAT" in texts


@given(st.lists(st.tuples(st.text("ACGT", max_size=7), st.text("ACGT", max_size=7)), min_size=1, max_size=8))
def test_edit_distances_are_those_of_the_textbook(pairs):
    def plain(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    def rows(texts):
        letters = np.zeros((len(texts), max(map(len, texts))), np.uint8)
        for row, text in zip(letters, texts, strict=True):
            row[: len(text)] = np.frombuffer(text.encode(), np.uint8)
        return letters, np.array([len(text) for text in texts])

    one, other = zip(*pairs, strict=True)
    assert edit_distances(rows(one), rows(other)).tolist() == [plain(a, b) for a, b in pairs]


def test_all_six_modes_find_clean_barcodes(perfect_reads, templates):
    reads = perfect_reads([f"TCAG{barcode}{adapter}{INSERT}" for barcode, adapter in SET] + ["TCAG" + INSERT], FLOWS)
    for mode in range(6):
        hits = found(reads, templates, barcode_mode=mode)
        assert hits.barcode.tolist() == [*range(16), -1], mode
        assert hits.kept[:-1].all(), mode


def test_ratio_modes_weigh_long_runs_less(perfect_reads, templates):
    reads = perfect_reads([f"TCAG{SET[0][0]}GAT{INSERT}"] * 2, FLOWS)
    run = int(np.argmax(templates.flowgrams[0] == 2))
    gap = int(np.flatnonzero((templates.flowgrams[0] == 0) & templates.in_distance[0])[0])
    reads.signal[0, run] += 0.4
    reads.signal[1, gap] += 0.4
    squared, ratios = (found(reads, templates, barcode_mode=mode).distance for mode in (2, 4))
    assert squared == pytest.approx([0.16, 0.16], abs=1e-5)
    assert ratios == pytest.approx([(0.4 / 2.5) ** 2, 0.8**2], abs=1e-5)


def test_ignored_flows_do_not_count(perfect_reads):
    plain, without = (barcode_templates("TCAG", SET, FLOWS, ignored=span) for span in ((0, 0), (9, 12)))
    assert (plain.in_distance[:, 9:12]).all()
    assert not without.in_distance[:, 9:12].any()
    reads = perfect_reads([f"TCAG{SET[0][0]}GAT{INSERT}"], FLOWS)
    reads.signal[0, 10] += 0.9
    assert found(reads, plain).distance[0] == pytest.approx(0.81, abs=1e-5)
    assert found(reads, without).distance[0] == pytest.approx(0, abs=1e-5)


def test_codes_for_several_bases_are_matched_exactly(perfect_reads):
    templates = barcode_templates("TCAG", [("CTAAGNTAAC", "GAT"), ("TAAGGRGAAC", "GAT")], FLOWS)
    reads = perfect_reads([f"TCAG{text}GAT{INSERT}" for text in ("CTAAGCTAAC", "TAAGGGGAAC", "TAAGGTGAAC")], FLOWS)
    hits = found(reads, templates, barcode_mode=0)
    assert hits.barcode.tolist() == [0, 1, -1]
    assert hits.end.tolist() == [17, 17, 0]
    with pytest.raises(InputError, match="barcode-mode 0"):
        found(reads, templates)


def test_letters_compare_as_iupac_says(perfect_reads):
    reads = perfect_reads(["TCAGGC", "TC", ""], FLOWS)
    assert starts_with(reads, "TCR").tolist() == [True, False, False]
    assert matches_at(reads, "GC", np.array([4, 4, 4])).tolist() == [True, False, False]
    assert matches_at(reads, "TC", np.array([-1, 0, 0])).tolist() == [False, True, False]
    assert reverse_complement("AACRN") == "NYGTT"
