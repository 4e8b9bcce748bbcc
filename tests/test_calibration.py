"""Calibration models of the original, from `Calibration.json` and from BAM headers."""

import copy
import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.errors import InputError
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.calibration import (
    HISTOGRAM_MAGIC,
    LINEAR_MAGIC,
    Calibration,
    calibrations_of_comments,
    histogram_calibration,
    linear_calibration,
    read_calibration,
)
from ionanalysis.io.calibration_text import read_histogram_text, read_linear_text
from ionanalysis.io.calibration_writing import linear_json, write_calibration

BLOCK = "RUN12.block_X0_Y0"


def gain_of(base, window, col, row, length):
    return 1 + 0.01 * length + 0.001 * "ACGT".index(base) + 0.1 * window + 0.2 * (col > 0) + 0.4 * (row > 0)


def linear_model(n_flows=400, windows=((0, 199), (200, 399)), lengths=range(0, 6)):
    cells = [
        {
            "flowBase": ord(base),
            "flowStart": start,
            "flowEnd": end,
            "xMin": col,
            "xMax": col + 49,
            "yMin": row,
            "yMax": row + 29,
            "refHP": length,
            "paramA": gain_of(base, number, col, row, length),
            "paramB": 0.02 * ("ACGT".index(base) - 1),
        }
        for col in (0, 50)
        for row in (0, 30)
        for number, (start, end) in enumerate(windows)
        for base in "ACGT"
        for length in lengths
    ]
    facts = {"flowStart": 0, "flowEnd": n_flows - 1, "flowSpan": 200, "xMin": 0, "xMax": 99, "xSpan": 50}
    facts |= {"yMin": 0, "yMax": 59, "ySpan": 30, "max_hp_calibrated": max(lengths) + 1, "min_hp_calibrated": 0}
    block = facts | {"modelParameters": cells}
    return {"MagicCode": LINEAR_MAGIC, "MasterKey": BLOCK, "MasterCol": 0, "MasterRow": 0, BLOCK: block}


def histogram_model():
    regions = [
        {
            **{base: [0, window + 1, -x // 50 - 1, y // 30 + nuc, 0, 9] for nuc, base in enumerate("ACGT")},
            "element_start_xyflow": [x, y, 200 * window],
        }
        for y in (0, 30)
        for x in (0, 50)
        for window in (0, 1)
    ]
    sizes = {"block_offset_x": 0, "block_offset_y": 0, "block_size_x": 100, "block_size_y": 60}
    counts = {"num_regions_x": 2, "num_regions_y": 2, "num_hps": 4, "num_bins": 100, "flow_window_size": 200}
    return {"MagicCode": HISTOGRAM_MAGIC, **sizes, **counts, "num_flow_windows": 2, "RegionData": regions}


def written(tmp_path, content):
    path = tmp_path / "Calibration.json"
    path.write_text(json.dumps(content))
    return path


def test_gains_and_offsets_are_found_by_well_flow_and_length(tmp_path):
    path = written(tmp_path, {"Calibration": {"version": "5.18"}, "LinearModel": linear_model()})
    found = read_calibration(path)
    assert found.histogram is None
    linear = found.linear
    assert (linear.block, linear.n_flows, linear.lengths) == (BLOCK, 400, (0, 6))
    assert linear.gain.shape == (2, 2, 2, 4, 24)
    region_row, region_col = linear.region_of([0, 29, 30, 500], [49, 50, 99, 0])
    assert (region_row.tolist(), region_col.tolist()) == ([0, 0, 1, 1], [0, 1, 1, 0])
    order = FlowOrder(DEFAULT_CYCLE, 400)
    gain, offset = linear.by_flow(1, 0, order)
    assert gain.shape == offset.shape == (400, 24)
    for flow in (0, 5, 199, 200, 399):
        base = order.letters[flow]
        expected = [gain_of(base, flow // 200, 0, 30, min(length, 5)) for length in range(24)]
        assert_allclose(gain[flow], expected, rtol=1e-6)
        assert_allclose(offset[flow], 0.02 * ("ACGT".index(base) - 1), atol=1e-7)


def test_fewer_flows_take_the_first_windows_and_more_are_refused():
    linear = linear_calibration(linear_model(), "x")
    assert linear.by_flow(0, 0, FlowOrder("TACG", 150))[0].shape == (150, 24)
    with pytest.raises(InputError, match="is for 400 flows, the run has 401"):
        linear.by_flow(0, 0, FlowOrder("TACG", 401))


def test_lengths_that_are_left_out_stay_as_predicted():
    linear = linear_calibration(linear_model(lengths=range(4, 8)), "x")
    gain = linear.gain[0, 0, 0, 0]
    assert_array_equal(gain[:4], 1)
    assert_array_equal(linear.offset[0, 0, 0, 0, :4], 0)
    assert_allclose(gain[7:], gain_of("A", 0, 0, 0, 7))


def test_models_without_a_least_length_begin_at_4():
    model = linear_model()
    del model[BLOCK]["min_hp_calibrated"]
    assert linear_calibration(model, "x").lengths == (4, 6)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"LinearModel": m}])
def test_models_in_comment_lines_are_found_among_others(wrap):
    comments = ["free text", '{"BaseCallerComments":{}}', json.dumps(wrap(linear_model())), "[1, 2]"]
    (found,) = calibrations_of_comments(comments, "x.bam")
    assert found.block == BLOCK
    assert calibrations_of_comments(comments[:2], "x.bam") == []


def test_boundaries_of_the_histogram_model(tmp_path):
    found = read_calibration(written(tmp_path, {"HPHistogram": histogram_model()}))
    assert found.linear is None
    histogram = found.histogram
    assert histogram.boundaries.shape == (2, 2, 2, 4, 6)
    assert (histogram.n_bins, histogram.window, histogram.size) == (100, 200, (60, 100))
    # x 50, y 0, second window, nucleotide G; the topmost boundary is set to 0.
    assert histogram.boundaries[0, 1, 1, 2].tolist() == [0, 2, -2, 2, 0, 0]
    assert "2 x 2 regions" in repr(histogram)


def damaged(model, **changes):
    model = copy.deepcopy(model)
    model[BLOCK]["modelParameters"][3] |= changes
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flowBase": 78}, "cell 3: is of flowBase 78"),
        ({"refHP": 24}, "refHP 24"),
        ({"refHP": -1}, "refHP is -1"),
        ({"paramA": 0}, "a gain must be above 0"),
        ({"paramA": float("nan")}, "paramA is nan"),
        ({"paramB": "x"}, "paramB is 'x'"),
        ({"flowStart": 400}, "begins in flow 400"),
        ({"xMin": 1.5}, "xMin is 1.5"),
        ({"yMin": None}, "yMin is None"),
    ],
)
def test_damaged_cells_are_named(change, message):
    with pytest.raises(InputError, match=message):
        linear_calibration(damaged(linear_model(), **change), "x.json")


def test_cells_that_form_no_grid_are_refused():
    model = linear_model(lengths=range(1))
    cells = model[BLOCK]["modelParameters"] = model[BLOCK]["modelParameters"][:12]
    for number, cell in enumerate(cells):
        cell |= {"xMin": number, "yMin": number, "flowStart": number}
    with pytest.raises(InputError, match="do not form a grid"):
        linear_calibration(model, "x")


def test_other_files_and_models_are_refused(tmp_path):
    with pytest.raises(InputError, match="neither LinearModel nor HPHistogram"):
        read_calibration(written(tmp_path, {"Calibration": {}}))
    with pytest.raises(InputError, match="has not the MagicCode"):
        read_calibration(written(tmp_path, {"LinearModel": linear_model() | {"MagicCode": "x"}}))
    with pytest.raises(InputError, match="there is no model of that name"):
        read_calibration(written(tmp_path, {"LinearModel": linear_model() | {"MasterKey": "x"}}))
    short = histogram_model()
    short["RegionData"].pop()
    with pytest.raises(InputError, match=r"7 entries of RegionData.*expected 8"):
        read_calibration(written(tmp_path, {"HPHistogram": short}))
    twice = histogram_model()
    twice["RegionData"][1]["element_start_xyflow"] = [0, 0, 0]
    with pytest.raises(InputError, match="no region of its own"):
        read_calibration(written(tmp_path, {"HPHistogram": twice}))
    with pytest.raises(InputError, match=r"x\.bam, comment 1 .*not valid JSON"):
        calibrations_of_comments([json.dumps(linear_model())[:-5]], "x.bam")


@given(st.data())
def test_whatever_is_changed_gives_a_model_or_one_sentence(data):
    content = {"LinearModel": linear_model(lengths=range(2)), "HPHistogram": histogram_model()}
    where = content[data.draw(st.sampled_from(sorted(content)))]
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(where[key], dict | list) and where[key] and data.draw(st.booleans()):
            where = where[key]
            continue
        where[key] = data.draw(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.just([])))
        break
    with suppress(InputError):
        linear = linear_calibration(content["LinearModel"], "x")
        assert np.isfinite(linear.gain).all() and (linear.gain > 0).all()
    with suppress(InputError):
        assert (histogram_calibration(content["HPHistogram"], "x").boundaries[..., -1] == 0).all()


def test_what_is_written_reads_the_same(tmp_path):
    path = written(tmp_path, {"LinearModel": linear_model(), "HPHistogram": histogram_model()})
    before = read_calibration(path)
    write_calibration(tmp_path / "again.json", before, {"num_useful_reads": 7})
    after = read_calibration(tmp_path / "again.json")
    for name in ("block", "n_flows", "stop", "lengths"):
        assert getattr(after.linear, name) == getattr(before.linear, name), name
    for name in ("first_rows", "first_cols", "first_flows", "gain", "offset"):
        assert_allclose(getattr(after.linear, name), getattr(before.linear, name), atol=1e-6, err_msg=name)
    assert_array_equal(after.histogram.boundaries, before.histogram.boundaries)
    assert (after.histogram.offset, after.histogram.size) == (before.histogram.offset, before.histogram.size)
    content = json.loads((tmp_path / "again.json").read_text())
    assert content["Calibration"] == {"num_useful_reads": 7}
    ours, theirs = content["LinearModel"][BLOCK], linear_model()[BLOCK]
    assert {name: ours[name] for name in theirs if name != "modelParameters"} == {
        name: value for name, value in theirs.items() if name != "modelParameters"
    }

    def placed(cells):
        return {
            tuple(cell[name] for name in ("flowBase", "flowStart", "flowEnd", "xMin", "xMax", "yMin", "yMax", "refHP"))
            for cell in cells
        }

    assert placed(ours["modelParameters"]) == placed(theirs["modelParameters"])


def test_a_model_that_is_missing_is_left_out(tmp_path):
    linear = linear_calibration(linear_model(), "x")
    write_calibration(tmp_path / "one.json", Calibration(linear=linear, histogram=None))
    assert set(json.loads((tmp_path / "one.json").read_text())) == {"Calibration", "LinearModel"}
    (comment,) = calibrations_of_comments([json.dumps(linear_json(linear))], "x.bam")
    assert_allclose(comment.gain, linear.gain, atol=1e-6)


SIZES = "0 399 200 0 99 50 0 59 30"


def linear_text(tmp_path, sizes=f"{SIZES} 6", change=lambda line: line):
    cells = linear_model()[BLOCK]["modelParameters"]
    rows = [
        "{} {flowStart} {flowEnd} {xMin} {xMax} {yMin} {yMax} {refHP} {paramA} {paramB}".format(chr(c["flowBase"]), **c)
        for c in cells
    ]
    path = tmp_path / "model.txt"
    path.write_text("\n".join(["# made by hand", sizes, *map(change, rows)]))
    return path


def test_linear_models_of_text_files_are_those_of_json(tmp_path):
    text, other = read_linear_text(linear_text(tmp_path)), linear_calibration(linear_model(), "x")
    assert_allclose(text.gain, other.gain)
    assert_allclose(text.offset, other.offset)
    assert (text.n_flows, text.stop, text.lengths) == (400, (60, 100), (0, 6))


@pytest.mark.parametrize(
    ("sizes", "change", "message"),
    [
        ("1 2", str, "line 2: expected the ten numbers"),
        (f"{SIZES} x", str, "line 2: expected numbers"),
        (f"{SIZES} 6", lambda line: line[:-4] + " 1 2 3", "line 3: expected a nucleotide, six limits"),
        (f"{SIZES} 6", lambda line: "N" + line[1:], "line 3: expected a nucleotide A, C, G, T first"),
    ],
)
def test_damaged_text_files_name_the_line(tmp_path, sizes, change, message):
    path = linear_text(tmp_path, sizes, change)
    with pytest.raises(InputError, match=f"model.txt, {message}"):
        read_linear_text(path)


def histogram_text(tmp_path, boundaries):
    """A text file in which every region has `boundaries`, lower boundary by length."""
    lines = ["# made by hand", f"{SIZES} {len(boundaries) - 2}"]
    for col, row, flow in ((c, r, f) for c in (0, 50) for r in (0, 30) for f in (0, 200)):
        for base in "ACGT":
            for length in range(len(boundaries) - 2):
                lines.append(f"{base} {flow} {flow + 199} {col} {col + 49} {row} {row + 29} {length}")
                for bin_number in range(1, 100):
                    above = bin_number >= 100 + boundaries[length + 1]
                    called = length - 1 if bin_number <= boundaries[length] else length + above
                    lines.append(f"{bin_number / 100 - 0.5:.2f} {called} {called - length}")
    path = tmp_path / "histogram.txt"
    path.write_text("\n".join(lines))
    return path


def test_boundaries_of_text_files_are_where_lengths_change(tmp_path):
    boundaries = [0, 4, -6, 10, 0, 0]
    found = read_histogram_text(histogram_text(tmp_path, boundaries))
    assert found.boundaries.shape == (2, 2, 2, 4, 6)
    assert_array_equal(found.boundaries.reshape(-1, 6), np.tile(boundaries, (32, 1)))
    with pytest.raises(InputError, match="expected 99 lines behind this one"):
        path = tmp_path / "histogram.txt"
        path.write_text(path.read_text().rsplit("\n", 5)[0])
        read_histogram_text(path)
