"""Argument files of Analysis and justBeadFind, and our presets."""

import json

import pytest

from ionanalysis.cli.legacy.analysis_flags import ANALYSIS_FLAGS
from ionanalysis.cli.legacy.args_json import GROUPS, flag_values, flattened, load_arguments, preset
from ionanalysis.errors import InputError, UsageError


def no_note(text):
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("chip", "region", "thumbnail_region", "snr"),
    [("314", [50, 50], [50, 50], 4), ("530", [80, 112], [50, 50], 3), ("540", [216, 224], [100, 100], 3)],
)
def test_presets_hold_the_chips_facts(chip, region, thumbnail_region, snr):
    groups = preset(chip)
    assert flattened(groups, thumbnail=False)["region-size"] == region
    assert flattened(groups, thumbnail=True)["region-size"] == thumbnail_region
    assert flattened(groups, thumbnail=False)["beadfind-minlivesnr"] == snr
    assert set(groups) - {"chipType"} <= set(GROUPS)


def test_every_preset_value_is_a_known_flag_of_its_kind():
    for chip in ("314", "p1.0.19", "530", "900", "540", "550"):
        values, unknown = flag_values(ANALYSIS_FLAGS, flattened(preset(chip), thumbnail=True), "preset")
        assert unknown == []
        assert values["region-size"]


def test_a_missing_file_with_a_presets_name_is_replaced_with_a_note():
    notes = []
    groups = load_arguments("/opt/ion/config/args_314_analysis.json", notes.append)
    assert groups["chipType"] == "314"
    assert notes == ["/opt/ion/config/args_314_analysis.json is not there; our preset for chip 314 is used."]


@pytest.mark.parametrize("name", ["args_P1.1.17_thumbnail_beadfind.json", "args_541_beadfind.json"])
def test_names_of_presets(name):
    assert load_arguments(f"/nowhere/{name}", lambda text: None)["SpatialContext"]["region-size"] == [216, 224]


def test_any_other_missing_file_is_an_error():
    with pytest.raises(InputError, match="there is no such file"):
        load_arguments("/nowhere/mine.json", no_note)


def test_a_chip_without_preset_is_an_error():
    with pytest.raises(UsageError, match="no preset for chip '999'"):
        load_arguments("/nowhere/args_999_analysis.json", no_note)


def test_a_file_that_is_there_is_read(tmp_path):
    path = tmp_path / "args_314_analysis.json"
    content = {"chipType": "540", "SpatialContext": {"region_size": [10, 12]}, "KeyContext": {"NoKey": 0}}
    path.write_text(json.dumps(content))
    groups = load_arguments(path, no_note)
    assert flag_values(ANALYSIS_FLAGS, flattened(groups, False), path) == (
        {"region-size": (10, 12), "nokey": False},
        [],
    )


def test_unknown_entries_of_a_file_are_named(tmp_path):
    values = flattened({"ObsoleteOpts": {"old_thing": 1, "librarykey": "TCAG"}}, False)
    assert flag_values(ANALYSIS_FLAGS, values, "file") == ({"librarykey": "TCAG"}, ["old-thing"])


def test_a_value_of_the_wrong_kind_names_the_file():
    with pytest.raises(UsageError, match=r"region-size in mine\.json: 'big' is not a comma-separated list of whole"):
        flag_values(ANALYSIS_FLAGS, {"region-size": "big"}, "mine.json")
