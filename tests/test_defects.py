"""The original's defects that are not copied (basecaller.md 13.6), as far as they concern what surrounds the call.

One test per row, named after it. Rows on solver, phase and calibration have theirs beside those parts.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ionanalysis.basecaller import calling_run, run_files, stage
from ionanalysis.basecaller.barcodes import barcode_templates
from ionanalysis.basecaller.calling import call_bases
from ionanalysis.basecaller.datasets import Dataset, Datasets, Group
from ionanalysis.basecaller.finish import FinishPlan, finish_reads
from ionanalysis.basecaller.letters import matches_at
from ionanalysis.basecaller.phase import PhaseEstimate
from ionanalysis.basecaller.plan import complete_plan
from ionanalysis.basecaller.stage import BasecallerInputs, BasecallerOptions, run_basecaller
from ionanalysis.basecaller.verdicts import MASK_FLAGS, Verdict
from ionanalysis.blocks import Block
from ionanalysis.clonality import ClonalModel
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.io.mask import Mask, WellFlag, read_mask, write_mask
from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.filters import P1_ADAPTER, FilterOptions, TrimOptions
from ionanalysis.options.stage import StageOptions
from ionanalysis.wells import WellsWriter, open_wells

FLOWS = FlowOrder(DEFAULT_CYCLE, 300)
INSERT = "GCATTAGCCGATAACGTTAGCCTAGGATTGACCGTATTGCAGGTCCATG"
N_ROWS, N_COLS = 5, 6


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """Thirty reads with a little noise; two of them filtered by signal processing."""
    folder, random = tmp_path_factory.mktemp("chip"), np.random.default_rng(2)
    order = FlowOrder(DEFAULT_CYCLE, 120)
    sequences = ["TCAG" + "".join(random.choice(list("ACGT"), 80)) for _ in range(N_ROWS * N_COLS)]
    signals = np.array([order.flowgram(sequence) for sequence in sequences], np.float32)
    signals += random.normal(0, 0.12, signals.shape).astype(np.float32)
    signals = signals.reshape(N_ROWS, N_COLS, -1)
    with WellsWriter(folder / "1.wells", (N_ROWS, N_COLS), order, dtype="float32") as writer:
        writer.write(Block(0, 0, N_ROWS, N_COLS), signals)
    flags = np.full((N_ROWS, N_COLS), WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB, np.uint16)
    flags[0, 0] |= WellFlag.FILTERED_BAD_RESIDUAL
    flags[0, 1] |= WellFlag.FILTERED_BAD_PPF
    write_mask(folder / "analysis.bfmask.bin", Mask(flags))
    return folder


PHASE = PhaseEstimate(
    np.full((1, 1, 3), 1e-4), np.full((1, 1, 3), np.nan), np.zeros((1, 1), np.int32), (N_ROWS, N_COLS)
)


def called(chip, folder):
    inputs = BasecallerInputs(wells=chip / "1.wells", mask=chip / "analysis.bfmask.bin", run_id="DEFEC")
    with ThreadPoolExecutor(1) as executor:
        return run_basecaller(inputs, folder, BasecallerOptions(stage=StageOptions()), executor=executor, phase=PHASE)


def test_high_ppf_is_a_filter_bit_and_never_the_library_bit(chip, tmp_path):
    called(chip, tmp_path)
    before = read_mask(chip / "analysis.bfmask.bin").flags
    after = read_mask(tmp_path / "basecaller.bfmask.bin").flags
    others = np.uint16(~WellFlag.BASECALLER & 0xFFFF)
    assert (before & others == after & others).all()
    assert after[0, 0] & WellFlag.BASECALLER == WellFlag.FILTERED_BAD_PPF
    assert after[0, 1] & WellFlag.BASECALLER == WellFlag.FILTERED_BAD_PPF


def test_the_polyclonal_score_is_a_density():
    # With the normaliser inside the exponent the first two would be 1.000000 and 0.406252 (12.8).
    share = ClonalModel.start().clonal_share(np.array([[0.50, 1.8], [0.60, 3.0], [0.70, 4.0]]))
    assert share == pytest.approx([0.998293, 0.476369, 0.003309], abs=1e-6)


def test_qualities_inside_runs_are_no_constant(chip):
    wells = open_wells(chip / "1.wells")
    reads = call_bases(wells, PHASE, read_mask(chip / "analysis.bfmask.bin"))
    follows = np.zeros(len(reads.bases), bool)
    follows[:-1] = (reads.base_flow[1:] == reads.base_flow[:-1]) & (reads.bases[1:] == reads.bases[:-1])
    inside = reads.qualities[follows]
    assert len(inside) > 100
    assert len(np.unique(inside)) > 2
    assert not (inside == 40).all()


ENDS = [("CCTGAGATAC", "CGAT"), ("GTTACGGATC", "CGAT")]


def dual_plan(**options):
    groups = [
        Group(f"R.{n}", n + 1, barcode, "GAT", {"end_barcode": {"barcode_sequence": end, "barcode_adapter": adapter}})
        for n, (barcode, (end, adapter)) in enumerate(zip(("CTAAGGTAAC", "TAAGGAGAAC"), ENDS, strict=True))
    ]
    groups.append(Group("R.nomatch"))
    datasets = Datasets(tuple(groups), tuple(Dataset(g.name, g.name, (i,)) for i, g in enumerate(groups)))
    templates = barcode_templates("TCAG", [("CTAAGGTAAC", "GAT"), ("TAAGGAGAAC", "GAT")], FLOWS)
    signals = templates.flowgrams.astype(np.float32)
    rest = (FilterOptions(), TrimOptions(), BarcodeOptions(**options))
    return complete_plan(FinishPlan(FLOWS, "TCAG", "ATCG", datasets, templates, signals, *rest))


def test_reads_rejected_at_their_end_barcode_get_a_mask_bit(perfect_reads):
    sequence = f"TCAGCTAAGGTAACGAT{INSERT[:12]}{ENDS[0][1]}{ENDS[0][0]}{P1_ADAPTER}"
    reads = finish_reads(perfect_reads([sequence], FLOWS), np.zeros(1, bool), np.zeros(1, np.int8), dual_plan())
    assert reads.ends.verdict.tolist() == [Verdict.BARCODE_TRIM]
    assert MASK_FLAGS[Verdict.BARCODE_TRIM] == WellFlag.FILTERED_SHORT
    # Every verdict has one of the five bits, so that no visited well looks unvisited.
    assert set(MASK_FLAGS) == set(Verdict)
    assert all(flag & WellFlag.BASECALLER for flag in MASK_FLAGS.values())


def test_a_read_too_short_for_an_end_barcode_does_not_match_it(perfect_reads):
    reads = perfect_reads(["TCAGACG", "TCAGACGATAC"], FLOWS)
    begin = reads.n_bases - len(ENDS[0][0])
    assert matches_at(reads, ENDS[0][0], begin).tolist() == [False, False]
    # The bead adapter follows the start barcode at once: there is no room for an end barcode.
    sequence = "TCAGCTAAGGTAACGAT" + P1_ADAPTER
    plan = dual_plan(end_barcode_mode=0)
    plan = FinishPlan(**{**vars(plan), "filters": FilterOptions(trim_min_read_len=1, min_read_length=1)})
    short = finish_reads(perfect_reads([sequence], FLOWS), np.zeros(1, bool), np.zeros(1, np.int8), plan)
    assert short.end_hits is None or short.end_hits.barcode.tolist() == [-1]


def test_signals_of_16_bits_are_rounded_not_cut(tmp_path):
    order = FlowOrder("TACG", 16)
    signals = np.random.default_rng(4).uniform(-0.5, 3, (40, 50, 16)).astype(np.float32)
    with WellsWriter(tmp_path / "1.wells", (40, 50), order, dtype="uint16", low=-5.0, high=28.0) as writer:
        writer.write(Block(0, 0, 40, 50), signals)
    off = open_wells(tmp_path / "1.wells")[...].astype(np.float64) - signals
    step = 33.0 / 65535
    # Cutting would leave a bias of half a step and errors of a whole one.
    assert abs(off.mean()) < 0.02 * step
    assert np.abs(off).max() <= 0.51 * step


def test_json_files_are_written_once_and_lists_are_one_line(chip, tmp_path, monkeypatch):
    written = []

    def counted(path, content, **about):
        written.append(path.name)
        write_json(path, content, **about)

    for module in (stage, calling_run, run_files):
        monkeypatch.setattr(module, "write_json", counted, raising=False)
    called(chip, tmp_path)
    assert written.count("BaseCaller.json") == 1
    text = (tmp_path / "BaseCaller.json").read_text()
    histogram = next(line for line in text.splitlines() if '"qv_histogram"' in line)
    assert len(json.loads(histogram.split(":", 1)[1].strip().rstrip(","))) == 50
    assert len(text.splitlines()) < 150


def test_json_of_any_shape_is_read_again(tmp_path):
    content = {"a": [], "b": {}, "c": [1, [2, 3], {"d": None}], "e": [[], {}], 'f"': "ü\n", "g": {"h": [0.5, True]}}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content
