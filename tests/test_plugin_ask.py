"""Questions to a plugin's own code: validation, barcode rows, REST endpoints of extend.py (plugin.md 6.7)."""

import time

import pytest
from plugin_results import python_plugin, shell_plugin

from ionanalysis.plugin.ask import NoSuchFunctionError, barcode_rows, call_extension, validate_plugin
from ionanalysis.plugin.questions import PluginError

SOURCE = """
from ion.plugin import *
class Own(IonPlugin):
    version = "1.0"
    requires_configuration = True
    def custom_validation(self, configuration, run_mode):
        import extend
        return extend.check(configuration) + [run_mode]
    def barcodetable_data(self, data, planconfig={}, globalconfig={}):
        return [dict(row, depth=globalconfig["depth"]) for row in data if row["selected"]]
PluginCLI()
"""

EXTEND = """
import os, sys, time
def check(configuration):
    return [] if configuration.get("ok") else ["it is not ok"]
def echo(bucket):
    return {"bucket": bucket, "name": __name__, "here": os.getcwd()}
def numbers(bucket):
    import numpy
    return {"mean": numpy.float32(1.5), "all": numpy.arange(3), "set": {1}}
def fails(bucket):
    return bucket["nothing"]
def leaves(bucket):
    sys.exit("no way")
def dies(bucket):
    os.abort()
def hangs(bucket):
    time.sleep(100)
def prints(bucket):
    print("x" * 1000000)
    return 1
def eats(bucket):
    return len(bytearray(10 << 30))
def huge(bucket):
    return "x" * (40 << 20)
def strange(bucket):
    return object()
_hidden = echo
value = 3
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    plugin = python_plugin(tmp_path_factory.mktemp("plugins"), "Own", SOURCE)
    (plugin.info.path / "extend.py").write_text(EXTEND)
    return plugin


def test_a_plugin_validates_a_configuration(own):
    assert validate_plugin(own, {"ok": True}, "manual") == ["manual"]
    assert validate_plugin(own, {}, "pipeline") == [
        "Own needs a configuration before it can run.",
        "it is not ok",
        "pipeline",
    ]


def test_a_shell_plugin_has_nothing_to_say(tmp_path):
    assert validate_plugin(shell_plugin(tmp_path, "Shell", "true"), {}, "manual") == []


def test_a_plugin_changes_the_rows_of_its_table(own):
    rows = [{"barcode_name": "A", "selected": True}, {"barcode_name": "B", "selected": False}]
    assert barcode_rows(own, rows, {}, {"depth": 3}) == [{"barcode_name": "A", "selected": True, "depth": 3}]


def test_an_endpoint_gets_its_bucket(own):
    bucket = {"request_get": {"a": "1"}, "user": "ionadmin", "request_method": "GET", "config": {}}
    answer = call_extension(own, "echo", bucket)
    assert (answer["bucket"], answer["name"]) == (bucket, "Own")
    assert str(own.info.path) not in answer["here"]


def test_values_become_plain(own):
    assert call_extension(own, "numbers", {}) == {"mean": 1.5, "all": [0, 1, 2], "set": [1]}


@pytest.mark.parametrize("name", ["gone", "_hidden", "__import__", "value", "a.b", "a b", ""])
def test_only_functions_can_be_called(own, name):
    with pytest.raises(NoSuchFunctionError):
        call_extension(own, name, {})


def test_without_extend_there_are_no_endpoints(tmp_path):
    with pytest.raises(NoSuchFunctionError, match=r"has no extend\.py"):
        call_extension(shell_plugin(tmp_path, "Shell", "true"), "echo", {})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", r"KeyError: 'nothing' \(extend\.py, line 11\)"),
        ("leaves", "SystemExit: no way"),
        ("dies", "ended with code -6 before it had answered"),
        ("eats", "MemoryError"),
        ("huge", "is larger than 32 MiB"),
        ("strange", "cannot be given back as JSON"),
    ],
)
def test_what_goes_wrong_in_an_endpoint_is_told(own, name, message):
    with pytest.raises(PluginError, match=message):
        call_extension(own, name, {})


def test_what_an_endpoint_prints_is_no_answer(own):
    assert call_extension(own, "prints", {}) == 1


def test_an_endpoint_has_a_time_limit(own):
    started = time.monotonic()
    with pytest.raises(PluginError, match="did not answer"):
        call_extension(own, "hangs", {}, time_limit_s=1.5)
    assert time.monotonic() - started < 20
