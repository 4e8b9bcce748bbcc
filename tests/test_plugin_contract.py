"""What a plugin author may rely on: class, enums, command line, exit codes (plugin.md 2)."""

import json

import pytest

from ionanalysis.plugin.base import REGISTRY, UNKNOWN, IonPlugin
from ionanalysis.plugin.constants import Feature, RunLevel, RunType, lookupEnum, runLevelsList
from ionanalysis.plugin.info import info_object

STAR_NAMES = {
    "IonPlugin", "Feature", "RunType", "RunLevel", "lookupEnum", "runLevelsList", "PluginCLI", "cli",
    "IonBedHeader", "IonBedReader", "IonBedWriter",
}  # fmt: skip

ATTRIBUTES = {
    "name": "Plain", "version": "1.0.0.0", "runtypes": [], "features": [], "runlevels": [], "depends": [],
    "major_block": False, "requires_configuration": False, "requires": ["BAM"], "output": {}, "results": {},
    "exit_status": -1, "context": {}, "blockcount": 0, "plugin": None, "analysis": None, "pluginresult": None,
    "data": {}, "author": UNKNOWN,
}  # fmt: skip

METHODS = {
    "launch_wrapper", "generate_output", "pre_block", "post_block", "pre_launch", "post_launch", "launch",
    "getUserInput", "barcodetable_columns", "barcodetable_data", "get_restobj", "custom_validation", "validate",
    "_metadata", "call",
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_registry():
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def plain():
    class Plain(IonPlugin):
        """A plain plugin."""

        version = "1.0.0.0"

    return Plain


def test_every_attribute_has_its_default_and_every_method_is_there(plain):
    plugin = plain()
    assert {name: getattr(plugin, name) for name in ATTRIBUTES} == ATTRIBUTES
    assert all(callable(getattr(plugin, name)) for name in METHODS)
    assert (plugin.__version__, plugin.__author__) == ("1.0.0.0", UNKNOWN)
    assert (
        not hasattr(plugin, "startpluginjson") and not hasattr(plugin, "barcodesjson") and not hasattr(plugin, "block")
    )


def test_defaults_of_methods(plain):
    plugin = plain()
    assert plugin.pre_launch() is True and plugin.post_launch() is None
    assert plugin.pre_block("X0_Y0") is False and plugin.post_block("X0_Y0") is True
    assert plugin.getUserInput() is None and plugin.barcodetable_columns() == []
    assert plugin.barcodetable_data([{"a": 1}]) == [{"a": 1}] and plugin.custom_validation({}, "manual") == []
    assert plain._metadata() == {"name": "Plain", "version": "1.0.0.0", "description": "A plain plugin."}
    with pytest.raises(NotImplementedError, match="Plain does not override launch"):
        plugin.launch()


def test_enums_are_text():
    assert runLevelsList() == ["pre", "block", "separator", "default", "post", "last"]
    assert (RunType.COMPOSITE, RunType.THUMB, RunType.FULLCHIP) == ("composite", "thumbnail", "wholechip")
    assert Feature.EXPORT == "export"
    assert lookupEnum(RunLevel, "last") == "LAST" and lookupEnum(RunType, "block") is None
    assert not hasattr(RunType, "BLOCK") and not hasattr(RunType, "THUMBNAIL")


def test_version_may_be_a_method_or_property_and_is_text():
    class OfMethod(IonPlugin):
        @classmethod
        def version(cls):
            return 3

    class OfStatic(IonPlugin):
        @staticmethod
        def author():
            return "Somebody"

    class OfProperty(IonPlugin):
        @property
        def version(self):
            return "2.0"

    assert (OfMethod.version, OfMethod.__version__, OfProperty.version) == ("3", "3", "2.0")
    assert (OfStatic.author, OfStatic.version) == ("Somebody", UNKNOWN)


def test_settings_may_be_class_methods_evaluated_once_and_late():
    calls = []

    class Lazy(IonPlugin):
        version = "1"

        @classmethod
        def runlevels(cls):
            calls.append(cls.__name__)
            return [RunLevel.LAST]

    assert calls == []
    assert Lazy.runlevels == Lazy().runlevels == ["last"] and calls == ["Lazy"]


def test_output_and_results_may_be_methods(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class WithMethods(IonPlugin):
        version = "1"

        def output(self):
            pass

        def results(self):
            return {"reads": self.reads}

        def launch(self):
            self.reads = 7
            return True

    assert WithMethods().launch_wrapper(dry_run=False) == "true"
    assert json.loads((tmp_path / "results.json").read_text()) == {"reads": 7}
    assert '\n  "reads"' in (tmp_path / "results.json").read_text()
    assert not (tmp_path / "output.json").exists()


def test_classes_register_under_class_name_and_name(plain):
    class Other(IonPlugin):
        name = "Shown"

    assert REGISTRY["Plain"] is plain and REGISTRY["Other"] is REGISTRY["Shown"] is Other
    assert "IonPlugin" not in REGISTRY


def test_zero_argument_super_and_other_bases_work():
    class Mixin:
        def greet(self):
            return "hello"

    class Mixed(IonPlugin, Mixin):
        version = "1"

        def __init__(self):
            super().__init__()
            self.own = self.greet()

    assert Mixed().own == "hello" and Mixed().data == {}


def test_overridden_init_that_forgets_the_base_loses_nothing():
    class Forgets(IonPlugin):
        version = "1"

        def __init__(self, *args):
            self.own = args

    plugin = Forgets(1, 2)
    assert plugin.own == (1, 2) and plugin.exit_status == -1
    assert plugin.context == {} and plugin.context is not Forgets().context


def test_startplugin_is_read_once_and_may_be_assigned(plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"startplugin\.json is missing"):
        _ = plain().startplugin
    content = {"runinfo": {"plugin": {"pluginconfig": {"a": 1}}}}
    (tmp_path / "startplugin.json").write_text(json.dumps(content))
    plugin = plain()
    assert plugin.runinfo is plugin.startplugin["runinfo"]
    assert plugin.configuration == {"a": 1} == plugin.plugin_parameters["pluginconfig"]
    plugin.startplugin = {"own": True}
    assert plugin.startplugin == {"own": True}


def test_validate_wants_a_configuration_and_asks_the_plugin():
    class Picky(IonPlugin):
        version = "1"
        requires_configuration = True

        def custom_validation(self, configuration, run_mode):
            return [run_mode]

    issues = Picky().validate({}, "manual")
    assert len(issues) == 2 and "Picky" in issues[0] and issues[1] == "manual"
    assert Picky().validate({"a": 1}, "pipeline") == ["pipeline"]


def test_info_object(plain):
    assert info_object(plain()) == {
        "_meta": "IonPlugin Definition format 1.0",
        "name": "Plain",
        "version": "1.0.0.0",
        "config": None,
        "runtypes": [],
        "features": [],
        "runlevels": [],
        "depends": [],
        "docs": "A plain plugin.",
        "major_block": False,
        "pluginorm": None,
        "requires_configuration": False,
    }


BODY = """
    import sys
    from ion.plugin import *

    class Shape(IonPlugin):
        "A shape."
        version = "1.2.3.4"
        results = {{"done": True}}

        def pre_launch(self):
            return {pre}

        def launch(self):
            {launch}

        def block(self, block):
            print("block", block)

    if __name__ == "__main__":
        {call}
"""


def shape(write_plugin, launch="return True", pre="True", call="PluginCLI()"):
    return write_plugin("Shape", BODY.format(launch=launch, pre=pre, call=call))


@pytest.mark.parametrize(
    ("launch", "pre", "exit_code", "outcome", "writes"),
    [
        ("return True", "True", 0, "true", True),
        ("return False", "True", 0, "false", False),
        ("return None", "True", 0, "none", False),
        ("return True", "False", 0, "declined", False),
        ("sys.exit(0)", "True", 0, None, False),
        ("sys.exit(5)", "True", 5, None, False),
        ("raise ValueError('no reads')", "True", 1, None, False),
    ],
)
def test_exit_codes_and_outcomes(write_plugin, run_plugin, tmp_path, launch, pre, exit_code, outcome, writes):
    told = tmp_path / "outcome.json"
    folder = shape(write_plugin, launch, pre)
    done = run_plugin(folder, environment={"IONANALYSIS_PLUGIN_OUTCOME": str(told)})
    assert done.returncode == exit_code, done.stderr
    assert (json.loads(told.read_text())["outcome"] if told.exists() else None) == outcome
    assert (done.results / "results.json").exists() == writes
    if outcome in ("false", "none", "declined"):
        assert "WARNING" in done.stderr
    if "ValueError" in launch:
        assert "Traceback" in done.stderr and "no reads" in done.stderr


CALLS = ("PluginCLI()", "PluginCLI(Shape)", "PluginCLI(Shape())", "PluginCLI('Shape')", "cli()")


@pytest.mark.parametrize("call", [*CALLS, "PluginCLI(sys.modules['__main__'])"])
def test_every_form_of_the_call(write_plugin, run_plugin, call):
    done = run_plugin(shape(write_plugin, call=call))
    assert done.returncode == 0 and (done.results / "results.json").exists(), done.stderr


def test_options_of_the_command_line(write_plugin, run_plugin):
    folder = shape(write_plugin)
    assert run_plugin(folder, "--version").stdout == "Ion Torrent Plugin - Shape.py v1.2.3.4\n"
    info = json.loads(run_plugin(folder, "--inspect").stdout)
    assert info["docs"] == "A shape." and info == json.loads(run_plugin(folder, "--info").stdout)
    dry = run_plugin(folder, "--dry-run", "-v")
    assert "Shape v1.2.3.4" in dry.stderr and not (dry.results / "results.json").exists()
    assert run_plugin(folder, "--runmode", "block", "--block", "X0_Y0").stdout == "block X0_Y0\n"
    assert run_plugin(folder, "--runmode", "block").returncode == 0
    columns = json.loads(run_plugin(folder, "--bctable-columns").stdout)
    assert [column["field"] for column in columns][-3:] == ["my_checkbox", "my_input", "my_dropdown"]
    assert [column["field"] for column in columns[:-3]] == sorted(column["field"] for column in columns[:-3])
    assert run_plugin(folder, "--nonsense").returncode == 2


def test_star_import_binds_these_names_only(write_plugin, run_plugin):
    folder = write_plugin(
        "Names", 'from ion.plugin import *\nprint(*[name for name in dir() if not name.startswith("_")])\n'
    )
    assert set(run_plugin(folder).stdout.split()) == STAR_NAMES


def test_a_file_without_its_class_says_so(write_plugin, run_plugin):
    folder = write_plugin("Wrong", "from ion.plugin import *\nclass Right(IonPlugin): version = '1'\nPluginCLI()\n")
    done = run_plugin(folder)
    assert done.returncode == 1 and "no class Wrong" in done.stderr and "found: Right" in done.stderr


def test_nothing_named_ion_outside_of_plugin_processes():
    from importlib.util import find_spec

    assert find_spec("ion") is None
