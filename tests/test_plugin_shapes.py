"""Shapes that plugins come in: what inspection says of each, and whether it runs (plugin.md 2.7, 2.9, 9)."""

import json
import pickle
import time
from pathlib import Path

import pytest

from ionanalysis.plugin.inspection import inspect_plugin, plugin_script
from ionanalysis.plugin.questions import PluginError

HEAD = "from ion.plugin import *\n"
TAIL = "\nif __name__ == '__main__':\n    PluginCLI()\n"
PLAIN = (
    "class Shape(IonPlugin):\n    'Docs.'\n    version = '1.0.0.0'\n"
    "    def launch(self, data=None):\n        return True\n"
)

RUNNING = {
    "plain": PLAIN,
    "several bases": (
        "class Mixin:\n    def greet(self): return 'hello'\n"
        "class Shape(IonPlugin, Mixin):\n    version = '1.0.0.0'\n    def launch(self): return bool(self.greet())\n"
    ),
    "own base between": (
        "class Parent(IonPlugin):\n    version = '0.1'\n    def launch(self, data=None): return True\n"
        "class Shape(Parent):\n    version = '1.0.0.0'\n"
    ),
    "overridden init": (
        "class Shape(IonPlugin):\n    version = '1.0.0.0'\n    def __init__(self, *args, **kwargs):\n"
        "        super(Shape, self).__init__()\n        self.own = 1\n"
        "    def launch(self, data=None): return self.own == 1 and self.data == {}\n"
    ),
    "init forgets the base": (
        "class Shape(IonPlugin):\n    version = '1.0.0.0'\n    def __init__(self): self.own = 1\n"
        "    def launch(self, data=None): return self.own == 1 and self.context == {}\n"
    ),
    "launch without data": "class Shape(IonPlugin):\n    version = '1.0.0.0'\n    def launch(self): return True\n",
    "output as method": (
        "class Shape(IonPlugin):\n    version = '1.0.0.0'\n    def output(self): pass\n"
        "    def launch(self, data=None): return True\n"
    ),
    "assigned startplugin": (
        "class Shape(IonPlugin):\n    version = '1.0.0.0'\n    def launch(self, data=None):\n"
        "        self.startplugin = {'runinfo': {'plugin': {'pluginconfig': {'a': 1}}}}\n"
        "        return self.configuration == {'a': 1}\n"
    ),
    "several run levels": PLAIN + "    runlevels = [RunLevel.PRE, RunLevel.BLOCK, RunLevel.POST]\n",
    "depends": PLAIN + "    depends = ['coverageAnalysis', 'variantCaller']\n",
    "one dependency as text": PLAIN + "    depends = 'coverageAnalysis'\n",
    "misspelt runTypes": PLAIN + "    runTypes = [RunType.THUMB]\n",
    "class method settings": PLAIN + "    @classmethod\n    def features(cls): return [Feature.EXPORT]\n",
    "sys.exit(0) after work": (
        "import sys\nclass Shape(IonPlugin):\n    version = '1.0.0.0'\n"
        "    def launch(self, data=None):\n        sys.exit(0)\n"
    ),
    "helper module and data beside it": (
        "import os, helper\nclass Shape(IonPlugin):\n    version = helper.VERSION\n"
        "    envDict = dict(os.environ)\n    here = os.environ['DIRNAME']\n"
        "    def launch(self, data=None): return True\n"
    ),
}


@pytest.mark.parametrize("source", RUNNING.values(), ids=RUNNING)
def test_shapes_that_work(write_plugin, run_plugin, source):
    folder = write_plugin("Shape", HEAD + source + TAIL, helper__py="VERSION = '1.0.0.0'\n")
    info = inspect_plugin(folder)
    assert (info.name, info.version, info.path, info.is_shell) == ("Shape", "1.0.0.0", folder, False)
    assert pickle.loads(pickle.dumps(info)) == info
    done = run_plugin(folder)
    assert done.returncode == 0, done.stderr
    assert "returned False" not in done.stderr
    printed = json.loads(run_plugin(folder, "--inspect").stdout)
    assert printed == info.to_json()
    assert not (folder / "__pycache__").exists() or "helper" in source  # only the run itself compiles


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("several run levels", {"runlevels": ("pre", "block", "post")}),
        ("depends", {"depends": ("coverageAnalysis", "variantCaller")}),
        ("one dependency as text", {"depends": ("coverageAnalysis",)}),
        ("misspelt runTypes", {"runtypes": ()}),
        ("class method settings", {"features": ("export",)}),
        ("plain", {"docs": "Docs.", "runlevels": (), "config": None, "problems": (), "barcode_columns": ()}),
    ],
)
def test_what_is_told(write_plugin, source, expected):
    info = inspect_plugin(write_plugin("Shape", HEAD + RUNNING[source] + TAIL))
    assert {key: getattr(info, key) for key in expected} == expected


def test_missing_version_is_unknown(write_plugin):
    assert inspect_plugin(write_plugin("Shape", HEAD + "class Shape(IonPlugin): pass\n")).version == "(Unknown)"


REFUSED = {
    "import error": ("import nowhere_to_be_found\n", r"ModuleNotFoundError.*nowhere.*Shape\.py, line 1"),
    "error while imported": (HEAD + "x = {}['reads']\n", r"KeyError: 'reads' \(Shape\.py, line 2\)"),
    "error in a helper": ("import helper\n", r"ZeroDivisionError.*helper\.py, line 2"),
    "print statement": (HEAD + "print 'reads'\n", r"Shape\.py, line 2: a print statement"),
    "old except": (HEAD + "try:\n    x = 1\nexcept ValueError, e:\n    pass\n", r"line 4: `except X, e`"),
    "octal": (HEAD + "x = 0755\n", "line 2: an octal number"),
    "old raise": (HEAD + "raise ValueError, 'x'\n", "line 2: `raise X"),
    "tabs and blanks": (HEAD + "if 1:\n\tx = 1\n        y = 2\n", "line 4: tabs and blanks"),
    "sys.exit first": ("import sys\nsys.exit(3)\n", r"sys\.exit\(3\) and defines no class Shape"),
    "no class of that name": (HEAD + "class Other(IonPlugin): version = '1'\n", r"no class Shape .*found: Other"),
    "class of another family": ("class Shape: version = '1'\n", r"no class Shape .*found: none"),
    "os._exit": ("import os\nprint('last words')\nos.sys.stdout.flush()\nos._exit(7)\n", r"code 7 .*last words"),
    "killed": ("import os\nos.kill(os.getpid(), 9)\n", r"code -9"),
    "init that fails": (
        HEAD + "class Shape(IonPlugin):\n    version = '1'\n    def __init__(self):\n        1 / 0\n",
        r"cannot be asked what it is: ZeroDivisionError.*Shape\.py, line 5",
    ),
    "configuration that is no JSON": (
        HEAD + "class Shape(IonPlugin):\n    version = '1'\n    def getUserInput(self): return {1, 2}\n",
        "cannot be asked what it is: TypeError",
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_shapes_that_are_refused_in_one_sentence(write_plugin, source, message):
    folder = write_plugin("Shape", source, helper__py="def f():\n    return 1 / 0\nf()\n")
    with pytest.raises(PluginError, match=message) as caught:
        inspect_plugin(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize("own_session", [False, True])
def test_an_endless_loop_is_ended_with_all_that_it_started(write_plugin, tmp_path, own_session):
    told = tmp_path / "child"
    source = (
        "import os, subprocess\n"
        f"child = subprocess.Popen(['sleep', '600'], start_new_session={own_session})\n"
        f"open({str(told)!r}, 'w').write(str(child.pid))\nwhile True: pass\n"
    )
    with pytest.raises(PluginError, match="within 2 s"):
        inspect_plugin(write_plugin("Shape", source), time_limit_s=2)
    pid = int(told.read_text())
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            break
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child of the plugin lives on")


def test_no_secret_of_ours_is_in_its_environment(write_plugin, monkeypatch):
    monkeypatch.setenv("CLOUD_SECRET_KEY", "opened")
    monkeypatch.setenv("HARMLESS", "seen")
    source = (
        HEAD
        + PLAIN
        + "import os\nraise RuntimeError(str([n for n in os.environ if 'SECRET' in n or n == 'HARMLESS']))\n"
    )
    with pytest.raises(PluginError, match=r"RuntimeError: \['HARMLESS'\]"):
        inspect_plugin(write_plugin("Shape", source))


def test_it_cannot_eat_all_memory_while_it_is_inspected(write_plugin):
    with pytest.raises(PluginError, match="MemoryError"):
        inspect_plugin(write_plugin("Shape", HEAD + "x = bytearray(5 << 30)\n"))


@pytest.mark.parametrize("text", ["1.0\\x1b]0;owned\\x07", "1.0\\n#SBATCH --wrap=owned", "1" * 1000])
def test_a_version_is_a_short_text_on_one_line(write_plugin, text):
    with pytest.raises(PluginError, match="its version is no short text") as caught:
        inspect_plugin(write_plugin("Shape", HEAD + f"class Shape(IonPlugin):\n    version = '{text}'\n"))
    assert str(caught.value).isprintable()


def test_what_it_says_does_not_steer_the_terminal(write_plugin):
    with pytest.raises(PluginError, match="RuntimeError") as caught:
        inspect_plugin(write_plugin("Shape", "raise RuntimeError('\\x1b[2J\\x1b]0;owned\\x07 gone')\n"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("ending", ["PluginCLI()", "PluginCLI()\nimport sys; sys.exit(1)", "PluginCLI(Shape())"])
def test_a_missing_guard_launches_nothing(write_plugin, tmp_path, ending):
    mark = tmp_path / "launched"
    source = PLAIN.replace("        return True", f"        open({str(mark)!r}, 'w')")
    info = inspect_plugin(write_plugin("Shape", HEAD + source + ending + "\n"))
    assert info.version == "1.0.0.0" and not mark.exists()


def test_threads_left_running_do_not_hold_up_inspection(write_plugin):
    source = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n" + HEAD + PLAIN
    assert inspect_plugin(write_plugin("Shape", source), time_limit_s=20).version == "1.0.0.0"


def test_a_flood_of_output_is_cut_off(write_plugin):
    source = HEAD + PLAIN + "import sys\nfor _ in range(200):\n    print('x' * (1 << 20))\n"
    with pytest.raises(PluginError, match="File too large"):
        inspect_plugin(write_plugin("Shape", source))


def test_inspection_happens_in_an_empty_folder_that_is_gone_afterwards(write_plugin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = tmp_path / "where"
    source = (
        HEAD + PLAIN + f"import os\nopen({str(told)!r}, 'w').write(os.getcwd() + ' ' + str(os.listdir()))\n"
        "open('left', 'w').write('x')\n"
    )
    inspect_plugin(write_plugin("Shape", source))
    where, listing = told.read_text().split(" ", 1)
    assert listing == "[]" and where != str(tmp_path) and not Path(where).exists()


def test_two_plugins_with_a_package_of_the_same_name_do_not_meet(write_plugin):
    for name, version in (("First", "1.0"), ("Second", "2.0")):
        source = HEAD + f"import tools\nclass {name}(IonPlugin): version = tools.VERSION\n"
        assert inspect_plugin(write_plugin(name, source, tools__py=f"VERSION = {version!r}\n")).version == version


def test_problems_of_child_scripts_are_told_and_refuse_nothing(write_plugin):
    folder = write_plugin("Shape", HEAD + PLAIN + "{}.has_key if 0 else 1\n", child__py="import sys\nprint 'x'\n")
    (problem,) = inspect_plugin(folder).problems
    assert str(problem) == "child.py, line 2: a print statement; write print(...) (Python 2)"


def test_barcode_columns_that_need_a_run_are_told(write_plugin):
    columns = "    def barcodetable_columns(self): return [{'field': 'selected', 'editable': False}]\n"
    assert inspect_plugin(write_plugin("Shape", HEAD + PLAIN + columns)).barcode_columns == (
        {"field": "selected", "editable": False},
    )
    needs_run = "    def barcodetable_columns(self): return self.startplugin['x']\n"
    info = inspect_plugin(write_plugin("Other", (HEAD + PLAIN + needs_run).replace("Shape", "Other")))
    assert info.barcode_columns == () and "barcodetable_columns" in info.problems[0].message


def test_pages_and_media(write_plugin):
    folder = write_plugin("Shape", HEAD + PLAIN, plan__html="", instance__html="", about__html="")
    (folder / "pluginMedia").mkdir()
    info = inspect_plugin(folder)
    assert set(info.pages) == {"plan", "report", "about"} and info.media == folder / "pluginMedia"


SCRIPT = '#!/bin/bash\n#MAJORBLOCK\n# AUTORUNDISABLE\nVERSION="3.6.0-r57238"\nVERSION=9\necho hello\n'


def shell(write_plugin, settings=None, script=SCRIPT):
    folder = write_plugin("Shape", "")
    (folder / "Shape.py").unlink()
    (folder / "launch.sh").write_text(script)
    if settings is not None:
        (folder / "pluginsettings.json").write_text(settings)
    return inspect_plugin(folder)


def test_launch_sh(write_plugin):
    info = shell(write_plugin)
    assert info.is_shell and info.script.name == "launch.sh"
    assert (info.version, info.major_block) == ("3.6.0-r57238", True)
    assert (info.runtypes, info.runlevels) == (("wholechip", "thumbnail"), ())


def test_settings_of_launch_sh(write_plugin):
    info = shell(write_plugin, '{"runtype": ["composite"], "runlevels": ["last"], "depend": "Other"}', "echo\n")
    assert (info.runtypes, info.runlevels, info.depends) == (("composite",), ("last",), ("Other",))
    assert (info.version, info.major_block, info.features) == ("0", False, ())


def test_a_file_of_settings_without_types_means_none(write_plugin):
    assert shell(write_plugin, "{}").runtypes == ()


@pytest.mark.parametrize("settings", ["nonsense", "[]", '{"runtypes": 7}'])
def test_broken_settings_are_refused(write_plugin, settings):
    with pytest.raises(PluginError, match=r"pluginsettings\.json"):
        shell(write_plugin, settings)


def test_name_py_wins_over_launch_sh(write_plugin):
    folder = write_plugin("Shape", HEAD + PLAIN, launch__sh=SCRIPT)
    assert plugin_script(folder).name == "Shape.py" and inspect_plugin(folder).version == "1.0.0.0"


@pytest.mark.parametrize("name", ["scratch", "archive", "my-plugin", "1st", "class", "a b", "naïve", "a;b"])
def test_names_that_no_plugin_can_have(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(PluginError, match=r"no plugin name|reserved"):
        inspect_plugin(folder)


def test_a_folder_without_script_is_no_plugin(tmp_path):
    (tmp_path / "Empty").mkdir()
    (tmp_path / "Empty/empty.py").touch()  # names are case-sensitive
    with pytest.raises(PluginError, match=r"expected Empty\.py"):
        inspect_plugin(tmp_path / "Empty")
