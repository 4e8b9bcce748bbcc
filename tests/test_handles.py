"""Handles behind barcodes, and what lies between insert and bead adapter."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis._core import ends as kernels
from ionanalysis.basecaller.barcodes import barcode_templates
from ionanalysis.basecaller.datasets import Dataset, Datasets, Group
from ionanalysis.basecaller.finish import FinishPlan, finish_reads
from ionanalysis.basecaller.handles import read_structure
from ionanalysis.basecaller.letters import reverse_complement
from ionanalysis.basecaller.plan import complete_plan
from ionanalysis.basecaller.records import read_batch
from ionanalysis.basecaller.run_files import datasets_json, write_end_barcode_counts
from ionanalysis.basecaller.tally import Tally
from ionanalysis.basecaller.verdicts import Verdict
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import P1_ADAPTER, FilterOptions, TrimOptions
from ionanalysis.reference import ends as twin

FLOWS = FlowOrder(DEFAULT_CYCLE, 500)
BARCODES = [("CTAAGGTAAC", "GAT"), ("TAAGGAGAAC", "GAT")]
ENDS = [("CCTGAGATAC", "CGAT"), ("GTTACGGATC", "CGAT"), ("TTCGTAGACG", "CGAT")]
HANDLES = ("GCCATACGAC", "CGTTGCATCA")
INSERT = "GCATTAGCCGATAACGTTAGCCTAGGATTGACCGTATTGCAGGTCCATG"
FRONT = "TCAG" + BARCODES[0][0] + "GAT"


def plan_of(*, single=False, dual=True, trims=None, **options):
    groups = []
    for number, barcode in enumerate(BARCODES):
        fields = {"barcode_name": f"bc{number}"}
        if dual:
            sequence, adapter = ENDS[number]
            fields["end_barcode"] = {
                "barcode_name": f"end{number}",
                "barcode_sequence": sequence,
                "barcode_adapter": adapter,
                "analyze_as_single": single,
            }
        groups.append(Group(f"R.bc{number}", number + 1, *barcode, fields))
    groups.append(Group("R.nomatch"))
    datasets = Datasets(tuple(groups), tuple(Dataset(g.name, g.name, (i,)) for i, g in enumerate(groups)))
    templates = barcode_templates("TCAG", BARCODES, FLOWS)
    signals = templates.flowgrams.astype(np.float32)
    rest = (FilterOptions(), TrimOptions(**trims or {}), BarcodeOptions(**options))
    return complete_plan(FinishPlan(FLOWS, "TCAG", "ATCG", datasets, templates, signals, *rest))


def finish(make, sequences, plan, qualities=30):
    called = make(sequences, FLOWS, qualities=qualities)
    return finish_reads(called, np.zeros(len(called), bool), np.zeros(len(called), np.int8), plan)


def kept(reads):
    ends = reads.ends
    return [reads.called.sequence(i)[ends.prefix[i] : ends.end[i]] for i in range(len(reads))]


@pytest.mark.parametrize("mode", [0, 1])
def test_handles_are_cut_with_the_barcode(perfect_reads, mode):
    plan = plan_of(dual=False, barcode_handles=HANDLES, handle_mode=mode)
    reads = finish(perfect_reads, [FRONT + handle + INSERT for handle in HANDLES] + [FRONT + INSERT], plan)
    assert reads.handles.handle.tolist() == [0, 1, -1]
    assert reads.group.tolist() == [0, 0, 2]
    assert reads.origin.tolist() == ["", "", "R.bc0.SH"]
    assert kept(reads) == [INSERT, INSERT, FRONT[4:] + INSERT]
    assert reads.ends.bases_by_step()["barcode_trim"].tolist() == [23, 23, 0]


def test_a_handle_may_have_flow_errors(perfect_reads):
    # GCCATACGAC with one base more in its run of C.
    reads = finish(perfect_reads, [f"{FRONT}GCCCATACGAC{INSERT}"], plan_of(dual=False, barcode_handles=HANDLES))
    assert (reads.handles.handle[0], reads.handles.errors[0]) == (0, 1)
    assert kept(reads) == [INSERT]
    strict = plan_of(dual=False, barcode_handles=HANDLES, handle_cutoff=0)
    assert finish(perfect_reads, [f"{FRONT}GCCCATACGAC{INSERT}"], strict).origin.tolist() == ["R.bc0.SH"]


def test_handles_that_flows_cannot_tell_apart_are_refused():
    with pytest.raises(InputError, match="handle-mode 0"):
        plan_of(dual=False, barcode_handles=("TGCA",))
    with pytest.raises(InputError, match="must be letters"):
        plan_of(dual=False, barcode_handles=("GNCA",))
    assert plan_of(dual=False, barcode_handles=("TGNA",), handle_mode=0).handles == ("TGNA",)


def tail(number, handle=""):
    barcode, adapter = ENDS[number]
    return handle + adapter + barcode + P1_ADAPTER


@pytest.mark.parametrize("mode", [0, 1])
def test_end_barcodes_are_cut_and_checked(perfect_reads, mode):
    sequences = [FRONT + INSERT + end for end in (tail(0), tail(1), P1_ADAPTER, "")]
    reads = finish(perfect_reads, sequences, plan_of(end_barcode_mode=mode))
    assert reads.group.tolist() == [0, 2, 2, 2]
    assert reads.origin.tolist() == ["", "R.bc0.EB", "R.bc0.EB", "R.bc0"]
    assert kept(reads)[0] == INSERT
    assert kept(reads)[1] == FRONT[4:] + INSERT + ENDS[1][1] + ENDS[1][0]
    assert reads.insert_end[0] == len(FRONT + INSERT)
    assert reads.ends.bases_by_step()["barcode_trim"].tolist()[0] == 13 + 14
    assert not reads.end_text.lengths.any()
    total = {name: parts.sum() for name, parts in reads.ends.bases_by_step().items()}
    assert total["initial"] == sum(count for name, count in total.items() if name != "initial")


def test_flow_errors_in_an_end_barcode_are_allowed_up_to_a_lead(perfect_reads):
    barcode, adapter = ENDS[0]
    short = barcode.replace("CC", "C", 1)
    reads = finish(perfect_reads, [f"{FRONT}{INSERT}{adapter}{short}{P1_ADAPTER}"], plan_of())
    assert (reads.end_hits.barcode[0], reads.end_hits.errors[0]) == (0, 1)
    assert kept(reads) == [INSERT]
    exact = finish(perfect_reads, [f"{FRONT}{INSERT}{adapter}{short}{P1_ADAPTER}"], plan_of(end_barcode_mode=0))
    assert exact.origin.tolist() == ["R.bc0.EB"]


def test_the_end_adapter_must_be_there(perfect_reads):
    reads = finish(perfect_reads, [f"{FRONT}{INSERT}TTTTAAAA{ENDS[0][0]}{P1_ADAPTER}"], plan_of())
    assert reads.origin.tolist() == ["R.bc0.EA"]


def test_samples_analysed_as_single_keep_reads_without_an_end_barcode(perfect_reads):
    sequences = [FRONT + INSERT + end for end in (tail(0), P1_ADAPTER, tail(1))]
    reads = finish(perfect_reads, sequences, plan_of(single=True))
    assert reads.group.tolist() == [0, 0, 2]
    assert kept(reads)[:2] == [INSERT, INSERT]
    assert reads.end_text.tolist() == [ENDS[0][1] + ENDS[0][0], "", ""]


def test_handles_at_both_ends(perfect_reads):
    start, end = HANDLES
    other, same = (reverse_complement(handle) for handle in (end, start))
    sequences = [f"{FRONT}{start}{INSERT}{tail(0, handle)}" for handle in (other, same, "")]
    reads = finish(perfect_reads, sequences, plan_of(barcode_handles=HANDLES))
    assert reads.origin.tolist() == ["", "", "R.bc0.EH"]
    assert kept(reads)[:2] == [INSERT, INSERT]
    assert reads.end_text.tolist() == [end, start, ""]
    filtered = finish(perfect_reads, sequences, plan_of(barcode_handles=HANDLES, handle_filter=True))
    assert filtered.ends.verdict.tolist() == [Verdict.PASSED, Verdict.BARCODE_TRIM, Verdict.PASSED]


def test_short_reads_before_an_end_barcode_are_rejected(perfect_reads):
    reads = finish(perfect_reads, [FRONT + INSERT[:15] + tail(0)], plan_of())
    assert reads.ends.verdict.tolist() == [Verdict.BARCODE_TRIM]


def test_end_barcodes_may_be_left_alone(perfect_reads):
    assert plan_of(end_barcodes=False).end_barcodes is None
    rna = plan_of(rna_end_barcodes=False)
    assert len(rna.end_barcodes) == 2
    assert plan_of(dual=False).end_barcodes is None


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "ends.csv"
    lines = ["id_str,sequence,adapter", *(f"E{n},{barcode},{adapter}" for n, (barcode, adapter) in enumerate(ENDS))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_list_of_end_barcodes_goes_with_any_barcode(perfect_reads, listed, tmp_path):
    plan = plan_of(end_barcode_list=str(listed))
    other = "TCAG" + BARCODES[1][0] + "GAT"
    sequences = [FRONT + INSERT + tail(2), FRONT + INSERT + tail(0), other + INSERT + tail(2), other + INSERT]
    reads = finish(perfect_reads, sequences, plan)
    assert reads.group.tolist() == [0, 0, 1, 2]
    assert reads.end_text.tolist() == [ENDS[n][1] + ENDS[n][0] for n in (2, 0, 2)] + [""]
    tally = Tally.empty(plan)
    tally.count_finished(reads, np.ones(4, bool), plan)
    write_end_barcode_counts(tmp_path / "counts.csv", plan, tally)
    assert (tmp_path / "counts.csv").read_text() == ",E0,E1,E2\nbc0,1,0,1\nbc1,0,0,1\n"


@pytest.mark.parametrize("text", ["", "id_str,sequence\nA,ACGT\n", "id_str,sequence,adapter\n,ACGT,\n"])
def test_wrong_lists_are_explained(listed, text):
    listed.write_text(text)
    with pytest.raises(InputError, match=r"ends\.csv"):
        plan_of(end_barcode_list=str(listed))
    with pytest.raises(InputError, match="cannot be read"):
        plan_of(end_barcode_list=str(listed.parent / "none.csv"))


def test_counts_and_settings_stand_in_the_dataset_file(perfect_reads):
    plan = plan_of(barcode_handles=HANDLES)
    end = reverse_complement(HANDLES[1])
    wrong = "GTTTTACAAAC"
    sequences = [
        f"{FRONT}{HANDLES[0]}{INSERT}{tail(0, end)}",
        f"{FRONT}{HANDLES[0]}{INSERT}{tail(1, end)}",
        f"{FRONT}{HANDLES[0]}{INSERT}",
        f"{FRONT}{wrong}{INSERT}{tail(0, end)}",
    ]
    reads = finish(perfect_reads, sequences, plan)
    tally = Tally.empty(plan)
    tally.count_finished(reads, np.ones(4, bool), plan)
    content = datasets_json(plan.library, tally.library, "today", plan=plan, tally=tally, with_filters=True)
    group = content["read_groups"]["R.bc0"]
    assert {key: np.asarray(value).tolist() for key, value in group["handle"].items()} == {
        "bc_handle_filtered": 1,
        "bc_handle_errors_hist": [3, 0, 0, 0],
        "bc_handle_distribution": [3, 0],
        "end_handle_filtered": 0,
        "end_handle_errors_hist": [2, 0, 0, 0],
        "end_handle_distribution": [0, 2],
    }
    ends = group["end_barcode"]
    assert (ends["barcode_filtered"], ends["adapter_filtered"], ends["no_bead_adapter"]) == (1, 0, 1)
    assert ends["barcode_errors_hist"].tolist() == [1, 0, 0, 0]
    settings = content["barcode_filters"]
    assert (settings["num_end_barcodes"], settings["handle_mode"], settings["handle_cutoff"]) == (2, 1, 3)
    assert list(settings["handles"].values()) == list(HANDLES)


def test_handles_become_tags(perfect_reads):
    plan = plan_of(barcode_handles=HANDLES, single=True)
    sequences = [f"{FRONT}{HANDLES[1]}{INSERT}{tail(0, reverse_complement(HANDLES[0]))}", FRONT + INSERT]
    reads = finish(perfect_reads, sequences, plan)
    batch = read_batch(reads, np.arange(2), ["R.bc0"] * 2, run_id="R", handles=plan.handles)
    tags = {tag.name: tag for tag in batch.tags}
    texts = {name: bytes(tags[name].values[0][: tags[name].lengths[0]]).decode() for name in ("ZK", "YK")}
    assert texts == {"ZK": HANDLES[1], "YK": HANDLES[0] + ENDS[0][1] + ENDS[0][0]}
    assert tags["ZK"].present.tolist() == [True, False]


def test_read_structures_name_handles_and_tags(tmp_path):
    path = tmp_path / "structures.json"
    entry = {"handle": {"a": HANDLES[0], "b": HANDLES[1].lower()}, "tag": {"PT": "NNNACT", "ST": ""}}
    path.write_text(json.dumps({"mine": entry, "odd": {"handle": {"a": "x9!"}}}))
    plan = plan_of(dual=False, read_structure="mine", read_structure_file=str(path))
    assert (plan.handles, plan.barcodes.prefix_mol_tag) == (HANDLES, "NNNACT")
    own = plan_of(dual=False, read_structure="mine", read_structure_file=str(path), prefix_mol_tag="NNNN")
    assert own.barcodes.prefix_mol_tag == "NNNN"
    with pytest.raises(InputError, match="has no read structure"):
        read_structure(path, "other")
    with pytest.raises(InputError, match="plain text"):
        read_structure(path, "odd")
    with pytest.raises(UsageError, match="read-structure-file"):
        plan_of(dual=False, read_structure="mine")


@st.composite
def aligned(draw):
    """Reads of an insert, a query with some errors, and what follows it."""
    query = draw(st.text("ACGT", min_size=1, max_size=8))
    behind = draw(st.sampled_from(["ATCACC", "AATCAC", "GATT", "CCCA"]))
    reads = []
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(query)))
        changed = query[:at] + draw(st.sampled_from(["", "A", "CG"])) + query[at + draw(st.integers(0, 1)) :]
        reads.append((draw(st.text("ACGT", max_size=12)), changed))
    return query, behind, reads


@given(aligned())
def test_kernel_and_twin_agree(perfect_reads, case):
    query, behind, parts = case
    order = FlowOrder(DEFAULT_CYCLE, 160)
    called = perfect_reads([insert + changed + behind for insert, changed in parts], order)
    first = called.base_start[:-1] + [len(insert + changed) for insert, changed in parts]
    anchor = called.base_flow[first].astype(np.int32)
    bases = np.full(len(parts), len(behind) - len(behind.lstrip(behind[0])), np.int32)
    letters = np.frombuffer(order.letters.encode(), np.uint8)
    wanted = np.frombuffer(query.encode(), np.uint8)
    found = np.full((len(parts), 3), -1, np.int32)
    kernels.align_before(called.bases, called.base_flow, called.base_start, anchor, bases, letters, wanted, found)
    expected = twin.align_before(called.bases, called.base_flow, called.base_start, anchor, bases, letters, wanted)
    assert found.tolist() == expected.tolist()


def test_no_reads_are_no_trouble(perfect_reads):
    assert len(finish(perfect_reads, [], plan_of(barcode_handles=HANDLES))) == 0
    untrimmed = replace(plan_of(), trims=TrimOptions(trim_barcodes=False))
    assert kept(finish(perfect_reads, [FRONT + INSERT + tail(0)], untrimmed))[0].startswith(BARCODES[0][0])
