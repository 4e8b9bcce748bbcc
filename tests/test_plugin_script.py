"""The text of launch scripts (plugin.md 2.9, 6.1)."""

import subprocess

import pytest
from plugin_results import python_plugin, shell_plugin

from ionanalysis.errors import InputError
from ionanalysis.plugin.script import launch_script, memory_bytes, script_name


def test_the_script_of_a_shell_plugin(tmp_path):
    plugin = shell_plugin(tmp_path, "One", "#$ -pe smp 4\necho one\n#!not first", version="2.0")
    lines = launch_script(plugin.info, memory=3 << 30, seconds=7200).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[1:11] == [
        "#$ -cwd",
        "#$ -j no",
        "#$ -l mem_free=3072M,h_vmem=3072M,s_vmem=3072M,h_stack=16M",
        "#$ -l s_rt=7200,h_rt=7205",
        "#SBATCH --job-name=ion_plugin_One",
        "#SBATCH --mem=3072M",
        "#SBATCH --time=121",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --output=drmaa_stdout.txt",
        "#$ -pe smp 4",
    ]
    start = lines.index("(")
    assert lines[start + 1 : start + 4] == ['VERSION="1.0.0.0"', "echo one", ")"]
    assert "VERSION=2.0" in lines
    for line in ("umask 0000", "ulimit -c 0", "set -o errexit", "trap timed_out USR1"):
        assert line in lines
    assert script_name("One") == "ion_plugin_One_launch.sh"


def test_the_script_of_a_python_plugin(tmp_path):
    plugin = python_plugin(tmp_path / "a folder", "One", "", version="1'; rm -rf x")
    text = launch_script(plugin.info, tier="native", python="/usr/bin/python3")
    assert f"/usr/bin/python3 -u '{tmp_path}/a folder/One/One.py' -vv" in text
    assert "VERSION='1'\"'\"'; rm -rf x'" in text
    assert 'exec /usr/bin/python3 -m ionanalysis.plugin.enter native "$0" "$@"' in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_plugin_that_is_gone_is_explained(tmp_path):
    plugin = shell_plugin(tmp_path, "One", "true")
    plugin.info.script.unlink()
    with pytest.raises(InputError, match="is not there any more; install One again"):
        launch_script(plugin.info)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("8G", 8 << 30), ("1.5g", 3 << 29), ("512MB", 512 << 20), (1024, 1024), ("", None), ("0G", None), ("$(x)", None)],
)
def test_memory_in_words(text, n_bytes):
    assert memory_bytes(text) == n_bytes
