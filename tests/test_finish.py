"""All filters and trimmers together, on reads in perfect phase."""

from dataclasses import replace

import numpy as np
import pytest

from ionanalysis.bam import BamHeader, BamWriter, ReadGroup
from ionanalysis.basecaller.barcodes import barcode_templates
from ionanalysis.basecaller.datasets import Dataset, Datasets, Group, library_dataset
from ionanalysis.basecaller.finish import FinishPlan, finish_reads
from ionanalysis.basecaller.records import filter_history, read_batch
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import P1_ADAPTER, FilterOptions, TrimOptions

FLOWS = FlowOrder(DEFAULT_CYCLE, 400)
BARCODES = [("CTAAGGTAAC", "GAT"), ("TAAGGAGAAC", "GAT")]
INSERT = "GCATTAGCCGATAACGTTAGCCTAGGATTGACCGTATTGCAGGTCCATG"
PLAN = FinishPlan(
    FLOWS, "TCAG", "ATCG", library_dataset("RUN1X"), None, None, FilterOptions(), TrimOptions(), BarcodeOptions()
)


def plan(filters=None, trims=None, barcodes=None, **about):
    return replace(
        PLAN,
        filters=FilterOptions(**filters or {}),
        trims=TrimOptions(**trims or {}),
        barcodes=BarcodeOptions(**barcodes or {}),
        **about,
    )


def barcoded(tags=None, **options):
    groups = [Group(f"R.bc{i}", i + 1, *barcode, dict(tags or {})) for i, barcode in enumerate(BARCODES)]
    groups.append(Group("R.nomatch"))
    datasets = tuple(Dataset(group.name, group.name, (i,)) for i, group in enumerate(groups))
    templates = barcode_templates("TCAG", BARCODES, FLOWS)
    return plan(
        library=Datasets(tuple(groups), datasets),
        templates=templates,
        template_signals=templates.flowgrams.astype(np.float32),
        **options,
    )


def finish(make, sequences, what, *, tf=None, qualities=30):
    called = make(sequences, FLOWS, qualities=qualities)
    tf = np.zeros(len(called), bool) if tf is None else np.array(tf)
    return finish_reads(called, tf, np.zeros(len(called), np.int8), what)


def kept(reads):
    """Bases that each read keeps."""
    ends = reads.ends
    return [reads.called.sequence(i)[ends.prefix[i] : ends.end[i]] for i in range(len(reads))]


def test_key_and_adapter_are_cut(perfect_reads):
    reads = finish(perfect_reads, ["TCAG" + INSERT + P1_ADAPTER, "TCAG" + INSERT], PLAN)
    assert kept(reads) == [INSERT, INSERT]
    assert reads.adapters.found.tolist() == [True, False]


def test_each_rejected_read_has_its_verdict(perfect_reads):
    sequences = ["TCAG" + INSERT, "TCTG" + INSERT, "", "TCAGACGT", "TCAG" + INSERT[:20] + P1_ADAPTER]
    reads = finish(perfect_reads, sequences, PLAN)
    assert reads.ends.verdict.tolist() == [
        Verdict.PASSED,
        Verdict.KEYPASS,
        Verdict.ZERO_BASES,
        Verdict.SHORT,
        Verdict.ADAPTER_TRIM,
    ]
    assert kept(reads)[1:] == [""] * 4


def test_low_quality_reads_are_trimmed_or_rejected(perfect_reads):
    size = len(INSERT) + 4
    reads = finish(perfect_reads, ["TCAG" + INSERT] * 2, PLAN, qualities=[30] * 30 + [2] * (size - 30) + [2] * size)
    assert 25 <= reads.ends.n_kept[0] < len(INSERT)
    assert reads.ends.verdict.tolist() == [Verdict.PASSED, Verdict.QUALITY_TRIM]


def test_without_filters_nothing_but_length_counts(perfect_reads):
    what = plan({"disable_all_filters": True})
    reads = finish(perfect_reads, ["GGTC" + INSERT + P1_ADAPTER, "TCAGA"], what, qualities=2)
    assert reads.ends.verdict.tolist() == [Verdict.PASSED, Verdict.SHORT]
    assert kept(reads)[0] == INSERT + P1_ADAPTER


def test_test_fragments_have_their_own_key_and_adapter(perfect_reads):
    sequences = ["ATCG" + INSERT + P1_ADAPTER] * 2
    reads = finish(perfect_reads, sequences, PLAN, tf=[True, False])
    assert reads.ends.verdict.tolist() == [Verdict.PASSED, Verdict.KEYPASS]
    assert kept(reads)[0] == INSERT + P1_ADAPTER
    own = finish(perfect_reads, sequences, plan(trims={"trim_adapter_tf": (P1_ADAPTER,)}), tf=[True, True])
    assert kept(own) == [INSERT, INSERT]


def test_extra_bases_are_cut_and_kept_as_tags(perfect_reads):
    what = plan(trims={"extra_trim_left": 3, "extra_trim_right": 5})
    reads = finish(perfect_reads, ["TCAG" + INSERT + P1_ADAPTER, "TCAG" + INSERT], what)
    assert kept(reads) == [INSERT[3:-5], INSERT[3:]]
    assert (reads.extra_left.tolist(), reads.extra_right.tolist()) == ([INSERT[:3]] * 2, [INSERT[-5:], ""])


def test_barcodes_choose_the_read_group(perfect_reads):
    sequences = [f"TCAG{barcode}{adapter}{INSERT}" for barcode, adapter in BARCODES] + ["TCAG" + INSERT]
    reads = finish(perfect_reads, sequences, barcoded())
    assert reads.group.tolist() == [0, 1, 2]
    assert kept(reads) == [INSERT] * 3
    untrimmed = finish(perfect_reads, sequences, barcoded(trims={"trim_barcodes": False}))
    assert kept(untrimmed)[0] == f"{BARCODES[0][0]}GAT{INSERT}"


def test_reads_that_lose_their_barcode_get_its_bases_back(perfect_reads):
    # The barcode is there, its adapter is not.
    sequence = f"TCAG{BARCODES[0][0]}{INSERT[4:]}{P1_ADAPTER}"
    reads = finish(perfect_reads, [sequence], barcoded())
    assert reads.group.tolist() == [2]
    assert reads.origin.tolist() == ["R.bc0.SA"]
    assert kept(reads) == [BARCODES[0][0] + INSERT[4:]]
    assert reads.insert_end.tolist() == [len(sequence) - len(P1_ADAPTER)]
    parts = reads.ends.bases_by_step()
    assert parts["barcode_trim"].tolist() == [0]
    assert parts["final"].tolist() == reads.ends.n_kept.tolist()


TAGGED = {"mol_tag_prefix": "NNNACT", "mol_tag_suffix": "TGANN"}


def test_tags_at_both_ends_are_cut(perfect_reads):
    front = "TCAG" + BARCODES[0][0] + "GAT"
    reads = finish(perfect_reads, [f"{front}CCGACT{INSERT}TGACC{P1_ADAPTER}"], barcoded(TAGGED))
    assert (reads.prefix_tag.tolist(), reads.suffix_tag.tolist()) == (["CCGACT"], ["TGACC"])
    assert kept(reads) == [INSERT]
    parts = reads.ends.bases_by_step()
    assert parts["tag_trim"].tolist() == [11]


def test_missing_tags_reject_unless_that_end_is_not_needed(perfect_reads):
    # No bead adapter: the tag behind the insert cannot be found.
    sequence = f"TCAG{BARCODES[0][0]}GATCCGACT{INSERT}"
    assert finish(perfect_reads, [sequence], barcoded(TAGGED)).ends.verdict.tolist() == [Verdict.TAG_TRIM]
    lenient = barcoded(TAGGED, barcodes={"tag_filter_method": "need-prefix"})
    assert kept(finish(perfect_reads, [sequence], lenient)) == [INSERT]


def test_strict_tags_reject_reads_that_do_not_fit(perfect_reads):
    sequence = f"TCAG{BARCODES[0][0]}GATCCGTTT{INSERT}"
    tags = {"mol_tag_prefix": "NNNACT"}
    assert kept(finish(perfect_reads, [sequence], barcoded(tags))) == [INSERT]
    strict = barcoded(tags, barcodes={"tag_trim_method": "strict-trim"})
    assert finish(perfect_reads, [sequence], strict).ends.verdict.tolist() == [Verdict.TAG_TRIM]


def test_tags_may_stay_in_the_reads(perfect_reads):
    sequence = f"TCAG{BARCODES[0][0]}GATCCGACT{INSERT}"
    what = barcoded({"mol_tag_prefix": "NNNACT"}, barcodes={"suppress_mol_tags": True})
    assert kept(finish(perfect_reads, [sequence], what)) == ["CCGACT" + INSERT]


def test_no_reads_are_no_trouble(perfect_reads):
    for what in (PLAN, barcoded(TAGGED), plan(trims={"trim_qual_mode": "all"})):
        assert len(finish(perfect_reads, [], what)) == 0


@pytest.fixture
def written(perfect_reads, tmp_path):
    """Tags of records of reads with and without adapter, barcode and bases, by read."""
    import pysam

    front = "TCAG" + BARCODES[0][0] + "GAT"
    sequences = [f"{front}CCGACT{INSERT}TT{P1_ADAPTER}", "TCAG" + INSERT, f"TCAG{BARCODES[0][0]}{INSERT[4:]}", "TCAG"]
    reads = finish(perfect_reads, sequences, barcoded({"mol_tag_prefix": "NNNACT"}))
    chosen = np.arange(4)
    names = [PLAN.library.groups[0].name] * 4
    batch = read_batch(
        reads, chosen, names, run_id="RUN1X", offset=(7, 9), errors_tag=True, more=(filter_history(reads, chosen),)
    )
    with BamWriter(tmp_path / "a.bam", BamHeader((ReadGroup("RUN1X", FLOWS.letters, "TCAG"),))) as bam:
        bam.write(batch)
    with pysam.AlignmentFile(str(tmp_path / "a.bam"), check_sq=False) as bam:
        return reads, list(bam)


def test_records_carry_the_tags_of_their_reads(written):
    reads, records = written
    assert [record.query_name for record in records] == [f"RUN1X:00007:{9 + i:05d}" for i in range(4)]
    whole, plain, pushed, empty = (dict(record.get_tags()) for record in records)
    start = reads.adapters.start_base[0]
    assert (whole["ZT"], whole["XB"], whole["ZA"]) == ("CCGACT", 0, len(INSERT) + 2)
    assert list(whole["ZC"]) == [reads.adapters.start_flow[0], reads.called.base_flow[start - 1], 2, 0]
    assert (whole["ZG"], whole["ZB"]) == (reads.adapters.start_flow[0], 30)
    assert whole["ZF"] == reads.called.base_flow[4 + 13 + 6]
    assert len(whole["ZM"]) == reads.called.base_flow[start - 1] + 16
    assert not {"ZT", "XB", "ZA", "ZG", "ZC", "ZO"} & plain.keys()
    assert (pushed["ZO"], "XB" in pushed) == ("R.bc0.SA", False)
    assert (len(empty["ZM"]), empty["ZF"], records[3].query_sequence) == (16, 0, None)
    assert list(whole["ZD"]) == [len(INSERT) + 32, *[-1] * 9, len(INSERT) + 2, -1, len(INSERT) + 2]
    assert list(empty["ZD"]) == [0, *[-1] * 5, 0, *[-1] * 5, 0]
