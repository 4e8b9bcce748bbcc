"""Run logs and gain files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.io.explog import read_explog, write_explog
from ionanalysis.io.gain import read_gain, usable_gain, write_gain


def log_of(tmp_path, text, name="explog.txt"):
    (tmp_path / name).write_text(text)
    return read_explog(tmp_path / name)


@pytest.mark.parametrize(
    ("image_map", "cycle", "has_wash"),
    [
        ("4 0 r4 1 r3 2 r2 3 r1", "TACG", False),
        ("4 0 4 1 3 2 2 3 1", "TACG", False),
        ("4 0 T 1 A 2 C 3 G", "TACG", False),
        ("5 0 r4 1 r3 2 r2 3 r1 4 w", "TACG", True),
        ("TACGTACGTCTGAGCATCGATCGATGTACAGC", "TACGTACGTCTGAGCATCGATCGATGTACAGC", False),
        ("TACGW", "TACG", True),
        ("", "TACG", False),
    ],
)
def test_image_map_spellings(tmp_path, image_map, cycle, has_wash):
    log = log_of(tmp_path, f"Image Map: {image_map}\n")
    assert (log.flow_cycle, log.has_wash_flow) == (cycle, has_wash)


@pytest.mark.parametrize("image_map", ["4 0 T 1 A", "x 0 T", "TAXG", "4 0 r9 1 r3 2 r2 3 r1"])
def test_damaged_image_map_names_the_file(tmp_path, image_map):
    with pytest.raises(InputError, match=r"explog\.txt: Image Map"):
        log_of(tmp_path, f"Image Map: {image_map}\n").flow_cycle  # noqa: B018


@pytest.mark.parametrize(
    ("text", "n_flows"),
    [("Flows: 40\nCycles: 9", 40), ("Cycles: 9", 36), ("Flows:\nCycles: 2", 8), ("Project: x", None)],
)
def test_number_of_flows(tmp_path, text, n_flows):
    assert log_of(tmp_path, text).n_flows == n_flows


@pytest.mark.parametrize("flows", ["many", "-4", "1e3", "99999999999"])
def test_impossible_number_of_flows(tmp_path, flows):
    with pytest.raises(InputError, match=r"explog\.txt"):
        log_of(tmp_path, f"Flows: {flows}\n").n_flows  # noqa: B018


@pytest.mark.parametrize(
    ("text", "chip"),
    [
        ('ChipType: "314R"', "314R"),
        ("ChipType: 900\nChipVersion: 540", "540"),
        ("ChipType: 900\nChipVersion:", "p1.1.17"),
        ("Project: x", ""),
    ],
)
def test_chip_name(tmp_path, text, chip):
    assert log_of(tmp_path, text).chip == chip


def test_block_lines_in_both_spellings(tmp_path):
    log = log_of(
        tmp_path,
        "BlockStatus: X0, Y0, W1288, H1332, AutoAnalyze:1, AnalyzeEarly:1, nfsCopy:/a\n"
        "block_001: X1288, Y0, W1288, H1332, AutoAnalyze:0, AnalyzeEarly:1\n"
        "BlockStatus: thumbnail, X0, Y0, W1200, H800, AutoAnalyze:1\n"
        "thumbnail_000: X0, Y0, W0, H0\n",
    )
    assert [(b.block, b.auto_analyze) for b in log.blocks] == [
        (Block(0, 0, 1332, 1288), True),
        (Block(0, 1288, 1332, 1288), False),
    ]


def test_region_slip(tmp_path):
    log = log_of(tmp_path, "Region Slip on file acq_0007.dat 0xFFFFFE\nRows: 4\n")
    assert log.region_slips == {"acq_0007.dat": 0xFFFFFE}
    assert log.n_rows == 4


def test_json_log_has_the_same_values(tmp_path):
    log = log_of(tmp_path, '{"image_map": "TACG", "flows": 12, "ChipType": "318"}', "explog.json")
    assert (log.flow_cycle, log.n_flows, log.chip) == ("TACG", 12, "318")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("explog.json", b"[1]", "is a JSON list"),
        ("explog.json", b"Flows: 40\n", "not valid JSON"),
        ("explog.txt", b"Flows: 40\n\0\0\0\0", "zero bytes"),
    ],
)
def test_logs_of_another_form_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_explog(tmp_path / name)


def test_real_looking_log(raw48):
    log = read_explog(raw48 / "explog.txt")
    assert (log.chip, log.n_rows, log.n_cols, log.n_flows, log.library_key) == ("530", 48, 48, 40, "TCAG")
    assert log["experiment name"] == "PEER_SYN"
    assert log.blocks[0].block == Block(0, 0, 48, 48)


words = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=1, max_size=12)


@given(st.dictionaries(words, words, min_size=1), st.sampled_from(["explog.txt", "explog.json"]))
def test_written_logs_are_read_back(tmp_path_factory, entries, name):
    path = tmp_path_factory.mktemp("log") / name
    write_explog(path, entries)
    assert dict(read_explog(path).entries) == entries


def test_gains_are_read_back(tmp_path):
    gain = np.random.default_rng(1).random((5, 7), np.float32)
    write_gain(tmp_path / "Gain.lsr", gain)
    np.testing.assert_array_equal(read_gain(tmp_path / "Gain.lsr"), gain)


@given(st.integers(0, 15), st.integers(0, 255))
def test_every_damaged_gain_header_is_refused(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("gain") / "Gain.lsr"
    write_gain(path, np.ones((2, 3)))
    data = bytearray(path.read_bytes())
    if data[place] == value:
        return
    data[place] = value
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"Gain\.lsr"):
        read_gain(path)


def test_unknown_and_extreme_gains():
    np.testing.assert_array_equal(
        usable_gain([[np.nan, 0, 2, 0.1, 1.2]]), np.array([[1, 1, 1.35, 0.65, 1.2]], np.float32)
    )


pieces = st.sampled_from(
    [
        "Image Map:",
        "Flows:",
        "Cycles:",
        "Rows:",
        "block_000:",
        "BlockStatus: X1, Y2, W3, H4,",
        "Region Slip on file a 0x",
        "ChipType: 900",
        "ChipVersion:",
        " 4 0 r4 1 r3",
        "TACG",
        "X-1",
        "W0",
        "\n",
        " ",
        "\u00b2",
        "99999999999999999999",
        "{",
        "}",
    ]
)


@given(st.lists(pieces | st.text(max_size=5), max_size=15).map("".join))
def test_hostile_logs_end_in_an_error_or_in_values(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("log") / "explog.txt"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    for name in (
        "flow_cycle",
        "has_wash_flow",
        "n_flows",
        "n_rows",
        "n_cols",
        "chip",
        "library_key",
        "blocks",
        "region_slips",
    ):
        try:
            getattr(read_explog(path), name)
        except InputError as error:
            assert str(path) in str(error)
