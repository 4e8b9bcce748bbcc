"""Distances within barcode sets, and the command that prints them."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ionanalysis.basecaller.barcode_distances import barcode_distances
from ionanalysis.basecaller.barcodes import BarcodeTemplates, lay_out_barcodes, template_signals
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.barcode_set import Barcode, open_barcode_set
from ionanalysis.options.barcodes import BarcodeCheckOptions


def set_of(*sequences, adapter="GAT"):
    return [Barcode(name=f"b{i}", index=i, sequence=s, adapter=adapter) for i, s in enumerate(sequences)]


def written(tmp_path, *sequences, adapter="GAT"):
    path = tmp_path / "mine.csv"
    rows = [f"b{i},{sequence},{adapter}" for i, sequence in enumerate(sequences)]
    path.write_text("\n".join(["id_str,sequence,adapter", *rows]) + "\n")
    return path


def test_the_worked_pair_is_6_flow_errors_apart():
    # basecaller.md 12.9
    found = barcode_distances(set_of("CTAAGGTAAC", "TAAGGAGAAC"))
    assert_array_equal(found.flow_errors, [[0, 6], [6, 0]])
    assert (found.first_flow, found.synchronised, found.last_flow.tolist()) == (8, True, [24, 24])
    assert (found.flow_cutoff, found.cutoff, found.separation) == (2, 1, 3)
    assert [pair.second for pair in found.nearest] == [1, 0]
    assert found.nearest[0].meaning == "2 flow errors corrected" and not found.confused


def test_distances_depend_on_the_flow_order():
    pair = set_of("CTAAGGTAAC", "TAAGGAGAAC")
    plain = barcode_distances(pair, BarcodeCheckOptions(flow_order="TACG"))
    assert plain.flow_errors[0, 1] != 6
    order = FlowOrder("TACG", 400)
    grams = [order.flowgram(f"TCAG{b.sequence}GAT") for b in pair]
    ends = [order.base_flows(f"TCAG{b.sequence}")[-1] for b in pair]
    assert plain.flow_errors[0, 1] == np.abs(grams[0] - grams[1])[8 : min(ends) + 1].sum()


@pytest.mark.parametrize("name", ["IonXpress", "IonCode"])
def test_kit_sets_hold_no_pair_that_one_error_can_confuse(name):
    found = barcode_distances(open_barcode_set(name))
    n = len(found)
    assert found.least_distance >= 3 and found.flow_errors.shape == (n, n)
    assert_array_equal(found.flow_errors, found.flow_errors.T)
    assert found.flow_errors[~np.eye(n, dtype=bool)].min() == found.least_distance
    assert all(pair.flow_errors == found.flow_errors[pair.first].take(pair.second) for pair in found.nearest)


def test_a_run_of_one_base_more_is_one_flow_error_away():
    found = barcode_distances(set_of("CTAAGGTAAC", "CTAAGGGTAAC", "TTCGTGATTC"))
    (pair,) = found.confused
    assert (pair.first, pair.second, pair.flow_errors) == (0, 1, 1)
    assert pair.meaning == "one flow error makes one the other"
    assert pair.undecided > found.confused[0].swapped > 0


def test_shares_are_those_of_reads_with_noise():
    options = BarcodeCheckOptions(noise=0.2, noise_per_base=0.1)
    barcodes = set_of("CTAAGGTAAC", "CTAAGTAAC", "TTCGTGATTC")
    found = barcode_distances(barcodes, options)
    order = FlowOrder(options.flow_order, options.flows)
    templates = lay_out_barcodes("TCAG", [(b.sequence, b.adapter) for b in barcodes], order)
    signals = template_signals(templates, order, options.cf, options.ie).astype(float)
    random = np.random.default_rng(5)
    shares = []
    for one, other in ((0, 1), (1, 0)):
        sd = 0.2 + 0.1 * signals[one]
        reads = signals[one] + sd * random.standard_normal((40_000, templates.n_flows))
        common = templates.in_distance[one] & templates.in_distance[other]
        lead = ((signals[other] - reads) ** 2 - (signals[one] - reads) ** 2)[:, common].sum(axis=1)
        shares.append(((np.abs(lead) < found.separation).mean(), (lead < -found.separation).mean()))
    pair = next(p for p in found.confused if (p.first, p.second) == (0, 1))
    assert pair.undecided == pytest.approx(max(s[0] for s in shares), abs=0.01)
    assert pair.swapped == pytest.approx(max(s[1] for s in shares), abs=0.003)
    assert 0.001 < pair.swapped < 0.9


def test_barcodes_of_unequal_flows_are_compared_where_both_are():
    found = barcode_distances(set_of("CTAAG", "CTAAGGTTACGACC", "GATTC"))
    assert not found.synchronised
    assert found.flow_errors[0, 1] < found.flow_errors[0, 2]


def test_a_set_of_one_has_no_distance():
    found = barcode_distances(set_of("CTAAGGTAAC"))
    assert (found.least_distance, found.nearest, found.confused) == (None, (), ())
    assert "1 barcodes" in repr(found) and "none" in repr(found)


def test_no_barcodes_and_ones_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="no barcodes to compare"):
        barcode_distances([])
    with pytest.raises(InputError, match="does not fit into 20 flows"):
        barcode_distances(set_of("CTAAGGTAAC"), BarcodeCheckOptions(flows=20))
    with pytest.raises(UsageError, match="must be letters"):
        BarcodeCheckOptions(key="TCXG")
    with pytest.raises(UsageError, match="must flow in a cycle"):
        BarcodeCheckOptions(flow_order="TACA")


def test_templates_keep_their_least_distance():
    order = FlowOrder("TACG", 100)
    templates = lay_out_barcodes("TCAG", [("CTAAGG", ""), ("GATTC", ""), ("CTTAGG", "")], order)
    assert isinstance(templates, BarcodeTemplates)
    assert templates.least_distance == min(templates.distances_from(0)[1:].min(), templates.distances_from(1)[2])


def test_the_command_prints_a_table(capsys):
    assert main(["barcodes", "check", "IonXpress"]) == 0
    shown = capsys.readouterr().out
    assert "least distance: 5 flow errors" in shown and "separation 2.5 with mode 2" in shown
    assert sum(line.startswith("IonXpress_") for line in shown.splitlines()) == 96


def test_the_command_prints_json_with_all_distances(tmp_path, capsys):
    path = written(tmp_path, "CTAAGGTAAC", "CTAAGGGTAAC", "TTCGTGATTC")
    assert main(["barcodes", "check", str(path), "--json", "--flow-order", "TACG"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["options"]["flow_order"] == "TACG" and found["least_distance"] == 1
    assert found["flow_errors"][0][1] == 1 and len(found["barcodes"]) == 3
    assert (found["confused"][0]["first"], found["confused"][0]["second"]) == ("b0", "b1")


def test_the_command_lists_confused_pairs_and_small_matrices(tmp_path, capsys):
    assert main(["barcodes", "check", str(written(tmp_path, "CTAAGGTAAC", "CTAAGGGTAAC"))]) == 0
    shown = capsys.readouterr().out
    assert "1 pair will be confused" in shown and "one flow error makes one the other" in shown
    assert "flow errors that make one barcode another" in shown


def test_barcodes_of_the_same_flows_end_the_command_with_3(tmp_path, capsys):
    # One begins the other, and without adapters nothing that both have differs.
    path = written(tmp_path, "CTAAG", "CTAAGACC", adapter="")
    assert main(["barcodes", "check", str(path)]) == 3
    shown = capsys.readouterr()
    assert "cannot be told apart" in shown.out
    assert "mine.csv: b0 and b1 give the same flows" in shown.err


@pytest.mark.parametrize(("text", "message"), [("a,b\n1,2\n", "must name the columns"), ("", "must name the columns")])
def test_what_is_no_set_ends_the_command_with_3(tmp_path, capsys, text, message):
    (tmp_path / "x.csv").write_text(text)
    assert main(["barcodes", "check", str(tmp_path / "x.csv")]) == 3
    assert message in capsys.readouterr().err
    assert main(["barcodes", "check", str(tmp_path / "missing.csv")]) == 3
    assert "neither a file nor a shipped set" in capsys.readouterr().err


def test_barcodes_without_action_is_wrong_usage(capsys):
    assert main(["barcodes"]) == 2
    assert "ACTION" in capsys.readouterr().err
