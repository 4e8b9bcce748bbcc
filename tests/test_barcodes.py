"""Start barcodes, molecular tags and dataset files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.basecaller.barcodes import barcode_templates, classifier_limits, classify
from ionanalysis.basecaller.datasets import (
    library_dataset,
    pipeline_datasets,
    read_datasets,
    run_id_of,
    write_pipeline_datasets,
)
from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.reference.tags import fits, read_tag

FLOWS = FlowOrder(DEFAULT_CYCLE, 200)
PAIR = [("CTAAGGTAAC", "GAT"), ("TAAGGAGAAC", "GAT")]
INSERT = "GCATTAGCCGATAACGTTAGCCTAGGA"


@pytest.fixture
def templates():
    return barcode_templates("TCAG", PAIR, FLOWS)


def test_templates_are_the_worked_ones(templates):
    # basecaller.md 12.9
    assert (templates.n_flows, templates.first_flow, templates.least_distance) == (25, 8, 6)
    assert templates.adapter_start.tolist() == [22, 22]
    assert templates.flowgrams[0].tolist() == list(map(int, "1010010101102200100201111"))
    assert templates.flowgrams[1].tolist() == list(map(int, "1010010110002201001201111"))
    assert templates.synchronised


def test_limits_follow_the_set():
    assert classifier_limits(6, BarcodeOptions()) == (1.0, 2.0)
    assert classifier_limits(6, BarcodeOptions(barcode_separation=5, barcode_cutoff=0.1)) == (1.0, 3.0)
    assert classifier_limits(6, BarcodeOptions(barcode_mode=1, barcode_cutoff=5))[0] == 2
    assert classifier_limits(6, BarcodeOptions(barcode_auto_config=True)) == (1.0, 3.0)
    assert classifier_limits(None, BarcodeOptions()) == (1.0, 2.0)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_reads_find_their_barcode(perfect_reads, templates, mode):
    reads = perfect_reads([f"TCAG{barcode}{adapter}{INSERT}" for barcode, adapter in PAIR] + ["TCAG" + INSERT], FLOWS)
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions(barcode_mode=mode))
    assert hits.barcode.tolist() == [0, 1, -1]
    assert hits.kept.tolist() == [True, True, False]
    assert hits.end.tolist() == [17, 17, 0]


def test_a_run_that_goes_on_into_the_insert_is_split(perfect_reads, templates):
    reads = perfect_reads([f"TCAG{PAIR[0][0]}GATTTTC{INSERT}"], FLOWS)
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions())
    assert hits.end.tolist() == [17]


def test_one_error_in_the_barcode_is_counted_and_stands(perfect_reads, templates):
    # CTAAGGTAAC read as CTAAGTAAC: one base short in the run of G.
    reads = perfect_reads([f"TCAGCTAAGTAACGAT{INSERT}"], FLOWS)
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions())
    assert (hits.barcode[0], hits.errors[0], hits.distance[0]) == (0, 1, 1)


def test_ambiguous_reads_match_none_or_are_marked(perfect_reads, templates):
    reads = perfect_reads([f"TCAG{PAIR[0][0]}GAT{INSERT}"] * 2, FLOWS)
    halfway = templates.flowgrams.mean(axis=0)
    reads.signal[:, :25] = halfway
    reads.predicted[1, :25] = halfway
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions())
    assert (hits.barcode[0], bool(hits.ambiguous[0])) == (0, True)
    assert not hits.kept.any()


def test_a_missing_barcode_adapter_is_noticed(perfect_reads, templates):
    reads = perfect_reads([f"TCAG{PAIR[0][0]}{INSERT[4:]}"], FLOWS)
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions())
    assert (bool(hits.adapter_failed[0]), bool(hits.kept[0])) == (True, False)
    unchecked = BarcodeOptions(barcode_adapter_check=0)
    assert classify(reads, templates, templates.flowgrams.astype(np.float32), unchecked).kept.all()


def test_every_barcode_of_a_shipped_set_finds_itself(perfect_reads):
    barcodes = list(open_barcode_set("IonXpress"))
    templates = barcode_templates("TCAG", [(b.sequence, b.adapter) for b in barcodes], FLOWS)
    reads = perfect_reads([f"TCAG{b.sequence}{b.adapter}{INSERT}" for b in barcodes], FLOWS)
    hits = classify(reads, templates, templates.flowgrams.astype(np.float32), BarcodeOptions())
    assert hits.barcode.tolist() == list(range(96))
    assert hits.kept.all()


def test_doubles_and_barcodes_too_long_for_the_run_are_refused():
    with pytest.raises(InputError, match="same flows"):
        barcode_templates("TCAG", [PAIR[0], PAIR[0]], FLOWS)
    with pytest.raises(InputError, match="does not fit"):
        barcode_templates("TCAG", PAIR, FlowOrder(DEFAULT_CYCLE, 20))


@pytest.mark.parametrize(
    ("bases", "tag", "n_cut"), [("CCCCCTACGG", "CCCTAC", 8), ("ACGTACGG", "ACGTAC", 6), ("TTTACGGA", "TTTACG", 6)]
)
def test_tags_are_healed_as_worked_out(bases, tag, n_cut):
    # basecaller.md 12.9
    assert read_tag("NNNTAC", bases) == (tag, n_cut)


def test_strict_tags_must_fit():
    assert read_tag("NNNTAC", "TTTACGGA", strict=True) == (None, 0)
    assert read_tag("NNNTAC", "CCCCCTACGG", strict=True) == ("CCCTAC", 8)
    assert read_tag("NNNTAC", "ACGT") == (None, 0)


@given(st.text("ACGT", min_size=12, max_size=30), st.sampled_from(["NNNTAC", "NNNACTNNNTGA", "NNN", "ACNN"]))
def test_tags_have_the_length_of_their_pattern(bases, pattern):
    tag, n_cut = read_tag(pattern, bases)
    assert len(tag) == len(pattern)
    assert n_cut >= len(pattern)
    strict, _ = read_tag(pattern, bases, strict=True)
    assert strict is None or fits(pattern, strict)


@pytest.mark.parametrize(("text", "run_id"), [("A", "AAACZ"), ("/results/run1", "K0QO2"), ("R_2014_01_01", "Y7LMU")])
def test_run_ids_are_hashed(text, run_id):
    assert run_id_of(text) == run_id


@pytest.mark.golden
def test_the_originals_dataset_file_is_read_and_written(golden, tmp_path):
    theirs = read_datasets(golden / "barcodes-s60/datasets_pipeline.json")
    assert (len(theirs.groups), len(theirs.datasets), len(theirs.barcoded)) == (11, 11, 10)
    assert theirs.groups[theirs.no_match].name == "GOLD2.nomatch"
    assert theirs.datasets[1].bam_name == "IonXpress_001_rawlib.basecaller.bam"
    write_pipeline_datasets(tmp_path / "d.json", "GOLD2", open_barcode_set("IonXpress"), platform_unit="S5/530")
    ours = read_datasets(tmp_path / "d.json")
    for name in ("GOLD2.nomatch", "GOLD2.IonXpress_004"):
        a, b = (next(g for g in d.groups if g.name == name) for d in (ours, theirs))
        assert a.fields.keys() == b.fields.keys()
        assert (a.index, a.barcode, a.adapter) == (b.index, b.barcode, b.adapter)
        assert a.fields["platform_unit"] == b.fields["platform_unit"]


def test_runs_without_barcodes_have_one_dataset(tmp_path):
    write_pipeline_datasets(tmp_path / "d.json", "RUN1X")
    written = read_datasets(tmp_path / "d.json")
    assert [d.bam_name for d in written.datasets] == [d.bam_name for d in library_dataset("RUN1X").datasets]
    assert written.no_match == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["datasets"][0].update(file_prefix="../x"), "file prefix"),
        (lambda c: c["datasets"].pop(), "must be in one dataset"),
        (lambda c: c["datasets"][0].pop("file_prefix"), "not a dataset file"),
        (
            lambda c: c["read_groups"]["R.IonXpress_001"]["barcode"].update(barcode_sequence="AX"),
            "expected IUPAC codes",
        ),
        (lambda c: c["read_groups"]["R.IonXpress_001"].update(index=70000), "has index 70000"),
        (lambda c: c["read_groups"].update({"Grün": c["read_groups"].pop("R.nomatch")}), "printable ASCII"),
        (lambda c: c["read_groups"].update({"R.nomatch": None}), "not a dataset file"),
        (lambda c: c["read_groups"]["R.IonXpress_001"].update(mol_tag_prefix="ACG"), "at least one N"),
    ],
)
def test_wrong_dataset_files_are_explained(tmp_path, change, message):
    content = pipeline_datasets("R", open_barcode_set("IonXpress"))
    change(content)
    (tmp_path / "d.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_datasets(tmp_path / "d.json")
