"""The wells level of the simulator: phase model, truth, kinds, files."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import ionanalysis as ion
from ionanalysis._core import kernel, variants
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.mask import WellFlag, read_mask
from ionanalysis.io.truth import KINDS, read_truth
from ionanalysis.options.defects import DEFECTS
from ionanalysis.options.simulate import simulate_options
from ionanalysis.reference import simulate as twin
from ionanalysis.simulate.phasing import CUTOFF, phased_signals, runs_of

SMALL = dict(size=(24, 32), flows=60)


@pytest.fixture(scope="module")
def chip():
    return ion.simulate(size=(100, 100), flows=120, seed=5, barcodes="IonXpress", barcode_count=4)


def signal_of(sequence, n_flows, phase):
    with ThreadPoolExecutor(1) as pool:
        return phased_signals([sequence], FlowOrder(DEFAULT_CYCLE, n_flows), [phase], pool)[0]


S1 = """0.996000 0.000024 0.997969 0.005999 0.015793 0.988085 0.013829 0.984134
1.948950 0.000118 0.007749 0.003983 0.986319 0.011684 0.976413 0.004003
0.031194 0.007789 0.968815 0.015435 0.000311 0.015381 0.019173 0.000215
0.000002 0.000076 0.000000 0.000002 0.000277 0.000000 0.000276 0.000001"""
S2 = """0.995004 0.000024 0.995968 0.005975 0.015726 0.985106 0.013764 0.980180
1.939224 0.000117 0.007703 0.003963 0.980435 0.011626 0.969589 0.003975
0.031007 0.007727 0.961080 0.015327 0.000309 0.015258 0.019001 0.000213
0.000002 0.000075 0.000000 0.000002 0.000274 0.000000 0.000273 0.000001"""
S3 = """0.992000 0.000095 0.995876 0.012000 0.007846 1.011966 0.039261 0.957700
0.012193 0.000787 0.000319 0.031109 3.852710 0.024293 1.900193 0.120321
0.954456 0.085388 1.872213 0.013944 0.971852 0.923295 0.101052 0.914025
0.058700 0.003215 0.002027 0.007225 0.067084 0.065019 0.000050 0.000524"""


@pytest.mark.parametrize(
    ("sequence", "phase", "expected"),
    [
        ("TCAGTTACG", (0.006, 0.004, 0.0), S1),
        ("TCAGTTACG", (0.006, 0.004, 0.001), S2),
        ("TCAGAAAACCTGGTCA", (0.012, 0.008, 0.0), S3),
    ],
)
def test_phasing_gives_the_worked_numbers(sequence, phase, expected):
    assert_allclose(signal_of(sequence, 32, phase), np.array(expected.split(), float), atol=1.1e-6)


def test_states_of_the_key_give_the_worked_numbers():
    # basecaller.md 12.2: the state of a base is what it adds to the signal.
    state = signal_of("TCA", 16, (0.006, 0.004, 0)) - signal_of("TC", 16, (0.006, 0.004, 0))
    expected = "0 0 0.005928 0.000035 0 0.982156 0.000071 0 0 0 0 0 0.011762 0 0 0.000047"
    assert_allclose(state, np.array(expected.split(), float), atol=1.1e-6)


sequences = st.lists(st.text("ACGT", max_size=60), min_size=1, max_size=5)
phases = st.tuples(*[st.floats(0, 0.1)] * 3)


@given(sequences, phases, st.integers(1, 90))
def test_phasing_matches_its_twin_on_every_instruction_set(templates, phase, n_flows):
    flows = FlowOrder(DEFAULT_CYCLE, n_flows).bases
    phase = np.tile(phase, (len(templates), 1))
    results = []
    for variant in variants("simulate"):
        signal = np.empty((len(templates), n_flows), np.float32)
        args = (*runs_of(templates), flows, phase, CUTOFF, np.empty((4, n_flows)), np.empty(n_flows), signal)
        kernel("simulate", variant).phase_runs(*args)
        results.append(signal)
    assert_allclose(results[0], twin.phase_runs(*runs_of(templates), flows, phase), atol=1e-5)
    assert len({result.tobytes() for result in results}) == 1


@given(st.text("ACGT", min_size=1, max_size=40), st.floats(0, 0.05), st.floats(0, 0.05))
def test_without_droop_every_base_is_seen_in_the_end(sequence, cf, ie):
    signal = signal_of(sequence, 1500, (cf, ie, 0))
    assert signal.min() >= 0
    assert_allclose(signal.sum(), len(sequence), rtol=1e-5)


@given(st.text("ACGT", max_size=60), st.integers(1, 80))
def test_in_perfect_phase_the_signal_is_the_flowgram(sequence, n_flows):
    assert_array_equal(signal_of(sequence, n_flows, (0, 0, 0)), FlowOrder(DEFAULT_CYCLE, n_flows).flowgram(sequence))


@given(st.text("ACGT", min_size=1, max_size=40), phases)
def test_droop_only_takes_away(sequence, phase):
    cf, ie, dr = phase
    assert signal_of(sequence, 200, (cf, ie, dr)).sum() <= signal_of(sequence, 200, (cf, ie, 0)).sum() + 1e-4


def test_golden_signals_are_met(raw48):
    # Truth of a chip made by another program: same sequences and phase, noise-free signals up to a gain per well.
    truth = json.loads((raw48 / "truth/truth.json").read_text())
    params = truth["params"]
    adapter = "ATCACCGACTGCCCATAGAGAGGCTGAGAC"
    wells = ion.open_wells(raw48 / "truth/1.wells")
    names = [name for name, well in truth["wells"].items() if well["kind"] == "LIB"][:400]
    order = FlowOrder(truth["flow_order"], len(truth["flow_order"]))
    templates = ["TCAG" + truth["wells"][name]["insert"] + adapter for name in names]
    with ThreadPoolExecutor(1) as pool:
        ours = phased_signals(templates, order, [(params["cf"], params["ie"], params["dr"])] * len(names), pool)
    rows, cols = np.array([[int(part) for part in name.split(":")] for name in names]).T
    theirs = wells[:, :, :][rows, cols]
    gain = theirs[:, 0] / ours[:, 0]
    # That program ends a template at its last base in phase, so that strands ahead of it lack signal in the last flows.
    assert_allclose(theirs[:, :30], (gain[:, None] * ours)[:, :30], atol=1e-4)
    assert_allclose(np.median(theirs - gain[:, None] * ours, axis=0), 0, atol=1e-6)


def test_kinds_come_in_the_proportions_asked_for():
    chip = ion.simulate(size=(150, 150), flows=16, seed=2, empty=0.3, dud=0.1, tf=0.05, pinned=0.02, polyclonal=0.2)
    share = {kind: np.mean(chip.truth.kind == kind) for kind in KINDS}
    expected = dict(empty=0.3, dud=0.1, tf=0.05, pinned=0.02, library=0.53 * 0.8, polyclonal=0.53 * 0.2)
    assert share == pytest.approx(expected, abs=0.012)


def test_signal_of_the_truth_is_the_flowgram_of_its_sequence(chip):
    for row, col in np.argwhere(chip.truth.kind == "library")[:50]:
        flowgram = chip.flow_order.flowgram(chip.truth.sequence[row, col])
        assert_array_equal(chip.truth.signal[row, col], flowgram)


def test_templates_are_key_barcode_adapter_insert_and_bead_adapter(chip):
    truth, detail = chip.truth, chip.truth.details
    by_index = {barcode.index: barcode for barcode in chip.library.barcodes}
    genome = chip.library.genome["chr1"]
    for at in map(tuple, np.argwhere(truth.kind == "library")[:200]):
        index, start, first = (detail[name][at] for name in ("barcode", "insert_start", "insert_at"))
        head = "TCAG" + (by_index[index].sequence + "GAT" if index else "")
        insert = genome[start : start + detail["insert_length"][at]]
        if detail["insert_reverse"][at]:
            insert = insert[::-1].translate(str.maketrans("ACGT", "TGCA"))
        assert truth.sequence[at][first:] == insert + "ATCACCGACTGCCCATAGAGAGGCTGAGAC"
        assert (truth.sequence[at][:first] == head) != detail["barcode_error"][at]


def test_barcodes_come_in_the_abundance_asked_for():
    options = dict(barcodes="IonXpress", barcode_count=3, barcode_abundance=(6.0, 3.0, 1.0), unbarcoded=0.1)
    chip = ion.simulate(size=(120, 120), flows=16, polyclonal=0, **options)
    used = chip.truth.details["barcode"][chip.truth.kind == "library"]
    share = np.bincount(used, minlength=4) / len(used)
    assert share == pytest.approx([0.1, 0.54, 0.27, 0.09], abs=0.02)


def test_molecular_tags_follow_their_pattern():
    chip = ion.simulate(**SMALL, molecular_tag="NNNACTNNNTGA", molecular_tag_end="TNNC")
    tags = set()
    for at in map(tuple, np.argwhere(chip.truth.kind == "library")):
        first = chip.truth.details["insert_at"][at]
        tag = chip.truth.sequence[at][first - 12 : first]
        assert tag[3:6] + tag[9:] == "ACTTGA"
        assert chip.truth.sequence[at][first + chip.truth.details["insert_length"][at]] == "T"
        tags.add(tag)
    assert len(tags) > 300


def test_polyclonal_wells_mix_two_templates(chip):
    at = tuple(np.argwhere(chip.truth.kind == "polyclonal")[0])
    share = chip.truth.details["minor_share"][at]
    major, minor = chip.truth.sequence[at], chip.truth.details["minor_sequence"][at].decode()
    mixed = (1 - share) * chip.flow_order.flowgram(major) + share * chip.flow_order.flowgram(minor)
    assert_allclose(chip.truth.signal[at], mixed, atol=1e-5)


def test_noise_grows_with_the_signal():
    options = dict(signal_gain_sd=0, offset_sd=0, nuc_offset_sd=0, flow_gain_sd=0, signal_decay=0, polyclonal=0)
    chip = ion.simulate(size=(100, 100), flows=40, cf=0, ie=0, dr=0, noise_sd=0.05, noise_per_base=0.03, **options)
    library = chip.truth.kind == "library"
    error = (chip.signal_per_copy - chip.truth.signal)[library]
    for bases in (0, 1, 3):
        assert error[chip.truth.signal[library] == bases].std() == pytest.approx(0.05 + 0.03 * bases, rel=0.05)


def test_signals_decay_and_beads_leave():
    chip = ion.simulate(
        **SMALL, noise_sd=0, noise_per_base=0, offset_sd=0, nuc_offset_sd=0, signal_decay=0.01, bead_loss=0.5
    )
    lost = chip.truth.details["lost_before_flow"]
    assert 0.3 < np.mean(lost[chip.truth.kind == "library"] < 60) < 0.7
    row, col = np.argwhere((lost > 5) & (lost < 50) & (chip.truth.kind == "library"))[0]
    assert not chip.truth.phased_signal[row, col, lost[row, col] :].any()
    stays = (lost == 60) & (chip.truth.kind == "library")
    ratio = chip.signal_per_copy[stays].sum(0) / chip.truth.phased_signal[stays].sum(0)
    assert ratio[-10:].mean() / ratio[:10].mean() == pytest.approx(0.99**50, rel=0.05)


def test_clustered_empties_lie_together():
    def together(clustering):
        empty = ion.simulate(size=(80, 80), flows=16, clustering=clustering).truth.kind == "empty"
        return np.mean(empty[:, 1:][empty[:, :-1]])

    assert together(0.9) > 2 * together(0.0)


def test_phase_varies_between_and_along_wells():
    truth = ion.simulate(size=(60, 60), flows=16, cf=0.01, phase_spread=0.1, phase_gradient=0.5).truth
    assert truth.cf[-20:, -20:].mean() / truth.cf[:20, :20].mean() == pytest.approx(1.167 / 0.833, rel=0.03)
    assert ion.simulate(size=(9, 9), flows=16, phase_spread=0).truth.cf == pytest.approx(0.006)


def digest(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def test_same_seed_same_bytes_on_any_number_of_threads(tmp_path):
    for name, n_threads in (("a", 1), ("b", 3)):
        ion.simulate(**SMALL, seed=3, path=tmp_path / name, n_threads=n_threads)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_seed_gives_another_chip():
    one, other = (ion.simulate(**SMALL, seed=seed) for seed in (1, 2))
    assert (one.truth.kind != other.truth.kind).any()
    assert (one.truth.sequence != other.truth.sequence).any()


def test_changing_the_noise_leaves_the_molecules_alone():
    one, other = (ion.simulate(**SMALL, noise_sd=noise) for noise in (0.01, 0.1))
    assert_array_equal(one.truth.sequence, other.truth.sequence)
    assert not np.array_equal(one.wells, other.wells)


def test_changing_one_fraction_leaves_other_wells_alone():
    one, other = (ion.simulate(**SMALL, polyclonal=share).truth for share in (0.0, 0.3))
    same = other.kind != "polyclonal"
    assert_array_equal(one.sequence[same], other.sequence[same])


@pytest.mark.parametrize("wells_type", ["uint16", "float32"])
def test_written_run_opens(tmp_path, wells_type):
    chip = ion.simulate(**SMALL, path=tmp_path, wells_type=wells_type)
    wells = ion.open_wells(tmp_path / "1.wells")
    assert wells.flow_order.letters == chip.flow_order.letters
    assert wells.chip == "530"
    step = 33 / 65535 * 4 if wells_type == "uint16" else 1e-6
    assert_allclose(wells[:, :, :], chip.wells, atol=step)
    assert read_mask(tmp_path / "analysis.bfmask.bin") == chip.mask
    assert chip.mask.count(WellFlag.TF) == np.sum(chip.truth.kind == "tf")


def test_truth_comes_back_as_written(tmp_path):
    chip = ion.simulate(**SMALL, path=tmp_path, barcodes="IonXpress")
    truth = read_truth(tmp_path)
    for name in ("kind", "sequence", "cf", "ie", "dr", "signal", "phased_signal"):
        assert_array_equal(getattr(truth, name), getattr(chip.truth, name))
    assert_array_equal(truth.details["barcode"], chip.truth.details["barcode"])


def test_truth_fasta_names_wells_as_reads_do(tmp_path):
    from ionanalysis.io.fasta import read_fasta

    chip = ion.simulate(**SMALL, path=tmp_path)
    found = read_fasta(tmp_path / "truth.fasta")
    assert len(found) == np.isin(chip.truth.kind, ("library", "tf")).sum()
    row, col = np.argwhere(chip.truth.kind == "library")[3]
    assert found[f"{row:05d}:{col:05d}"] == chip.truth.sequence[row, col]


def test_inserts_come_from_the_reference_given(tmp_path):
    from ionanalysis.io.fasta import write_fasta

    write_fasta(tmp_path / "ref.fa", {"one": "ACGTTGCA" * 30, "two": "N" * 50 + "GGCCAATT" * 20})
    chip = ion.simulate(**SMALL, reference=str(tmp_path / "ref.fa"), insert_least=20, insert_most=40, short_inserts=0)
    number = chip.truth.details["insert_sequence"]
    for row, col in np.argwhere(chip.truth.kind == "library"):
        letters = "ACGTTGCA" if number[row, col] == 0 else "GGCCAATT"
        insert = chip.truth.sequence[row, col][4:-30]
        assert 20 <= len(insert) <= 40
        doubled = letters * 8
        assert insert in doubled or insert[::-1].translate(str.maketrans("ACGT", "TGCA")) in doubled
    assert set(number[chip.truth.kind == "library"]) == {0, 1}


def test_random_genome_has_long_homopolymers_and_the_asked_gc():
    from ionanalysis.simulate.genome import open_genome

    genome = open_genome(simulate_options(genome_gc=0.4, genome_length=20_000, long_homopolymers=0.02).library, 1)[
        "chr1"
    ]
    assert len(genome) == 20_000
    assert np.mean([letter in "GC" for letter in genome]) == pytest.approx(0.4, abs=0.02)
    assert "AAAAAAA" in genome


@pytest.mark.parametrize(
    "options",
    [
        dict(size=(0, 5)),
        dict(flows=-1),
        dict(flow_order="TAC"),
        dict(empty=0.9, dud=0.5),
        dict(insert_least=50, insert_most=20),
        dict(cf=0.9),
        dict(level="raw"),
        dict(blocks=(2, 2)),
        dict(level="dat", blocks=(0, 1)),
        dict(difficulty="easy"),
        dict(defects=("no_such",)),
        dict(defects=("empties", "few_empties")),
        dict(defects=("droop",), without=("droop",)),
        dict(homopolymer_shortfall=(0.1, 1.1)),
        dict(no_such_option=1),
        dict(barcodes="NoSuchSet"),
        dict(molecular_tag="NNX"),
        dict(barcodes="IonXpress", barcode_count=3, barcode_abundance=(1.0, 2.0)),
        dict(tf_key="ATCGATCGATCGATCGATCG", flows=8),
    ],
    ids=str,
)
def test_bad_options_are_usage_errors(options):
    with pytest.raises(UsageError):
        ion.simulate(**(SMALL | options))


def test_templates_of_other_letters_are_refused():
    with pytest.raises(InputError, match="A, C, G, T"):
        signal_of("ACGNT", 20, (0, 0, 0))


@pytest.mark.parametrize("name", DEFECTS)
def test_every_defect_can_be_made_bad_and_left_out(name):
    bad, off = simulate_options(defects=(name,)), simulate_options(without=(name,))
    assert bad != off
    assert simulate_options(difficulty="hard", without=(name,)) != simulate_options(difficulty="hard", defects=(name,))


def test_the_plain_chip_is_easier_than_the_default_and_that_than_the_hard_one():
    def spread(difficulty):
        chip = ion.simulate(size=(60, 60), flows=40, difficulty=difficulty)
        library = chip.truth.kind == "library"
        return (chip.signal_per_copy - chip.truth.signal)[library].std()

    assert spread("plain") < spread("default") < spread("hard")


def test_defaults_are_those_of_the_flows_module():
    from ionanalysis import flows

    chip = simulate_options().chip
    assert (chip.flow_order, chip.library_key, chip.tf_key) == (DEFAULT_CYCLE, flows.LIBRARY_KEY, flows.TF_KEY)


def test_command_writes_a_run_and_tells_where(tmp_path, capsys):
    args = ["simulate", str(tmp_path / "run"), "--size", "10x20", "--flows", "20", "--level", "wells", "--cf", "0.01"]
    assert main([*args, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["options"]["cf"] == 0.01
    assert ion.open_wells(told["files"]["wells"]).shape == (10, 20, 20)
    assert read_truth(told["files"]["truth"]).shape == (10, 20, 20)


@pytest.mark.parametrize(
    "flags", [["--size", "10"], ["--cf", "2"], ["--flow-order", "XY"], ["--flows", "many"]], ids=str
)
def test_wrong_flags_leave_with_2_and_write_nothing(tmp_path, flags, capsys):
    assert main(["simulate", str(tmp_path / "run"), *flags]) == 2
    assert not (tmp_path / "run").exists()


def test_a_directory_with_a_run_is_left_alone(tmp_path):
    (tmp_path / "explog.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds a run already"):
        ion.simulate(**SMALL, path=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["explog.txt"]


def test_module_can_be_called_and_shows_itself():
    import ionanalysis.simulate

    chip = ionanalysis.simulate(size=(8, 8), flows=16)
    assert "8 x 8 wells, 16 flows" in repr(chip)
