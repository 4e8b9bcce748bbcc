"""What docs/plugins.md shows is true."""

import argparse
import re
from pathlib import Path
from textwrap import dedent

import pytest

from ionanalysis.cli import plugin as command
from ionanalysis.plugin.base import IonPlugin
from ionanalysis.plugin.inspection import inspect_plugin
from ionanalysis.plugin.interpreter import LAYER_PATH, TIERS
from ionanalysis.plugin.store import shipped_plugins

GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_shortest_plugin_runs(write_plugin, run_plugin):
    source = re.search(r"\n\n(    from ion\.plugin import \*.*?PluginCLI\(\)\n)", GUIDE, re.S)[1]
    folder = write_plugin("MyPlugin", dedent(source))
    assert inspect_plugin(folder).docs
    done = run_plugin(folder, startplugin={"runinfo": {"basecaller_dir": "/the/reads"}})
    assert done.returncode == 0, done.stderr
    assert "/the/reads" in (done.results / "MyPlugin_block.html").read_text()


@pytest.mark.parametrize("line", re.findall(r"^    ionanalysis (plugin .*?)(?:  +#.*)?$", GUIDE, re.M))
def test_commands_are_understood(line):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert parser.parse_args(line.split()[1:]).work


def test_names_in_tables_exist():
    methods = re.findall(r"^\| `(\w+)\(self", GUIDE, re.M)
    assert len(methods) > 5 and all(hasattr(IonPlugin, name) for name in methods if name != "block")
    names = {path.stem for path in (LAYER_PATH / "python2_names").glob("*.py")} - {"_ionanalysis_layer"}
    assert {name for name in names if f"`{name}" not in GUIDE} == set()
    assert all(f"`{tier}`" in GUIDE for tier in TIERS) and all(f"**{name}**" in GUIDE for name in shipped_plugins())
