"""The SDK document's own examples, as printed but for what is wrong in print (plugin.md 8.5)."""

import json
import os
from pathlib import Path
from textwrap import indent

import pytest

from ionanalysis.plugin.inspection import inspect_plugin
from ionanalysis.plugin.python2_syntax import problems_of_source
from ionanalysis.plugin.questions import PluginError

EXAMPLES = Path(__file__).parent / "data" / "sdk_examples"
SEED = Path(__file__).parents[2] / "shared" / "seed" / "ion-torrent-sdk-5.4.txt"
DOCUMENT = os.environ.get("IONANALYSIS_SDK_DOCUMENT") or (str(SEED) if SEED.exists() else None)
"""The SDK document as text, which is not ours to ship."""

EXPLOG = "Project: SampleData\nSample: e5272-wfa-l165\nFlows: 260\n"

BROKEN_COMMENT = (
    "# creates a results object that is written out later.  This holds data that can be scrapped by a LIMS system,\n"
    "                    and will be part of the TS database\n"
)


def printed(name):
    return (EXAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def replaced(text, wrong, right):
    assert wrong in text
    return text.replace(wrong, right)


@pytest.fixture
def has_django():
    return pytest.importorskip("django", reason="needs Django: pip install 'ionanalysis[plugin]'")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.txt")), ids=lambda path: path.stem)
def test_the_copies_are_as_printed(path):
    if not DOCUMENT:
        pytest.skip("needs the SDK document as text: IONANALYSIS_SDK_DOCUMENT=FILE")
    assert path.read_text(encoding="utf-8") in Path(DOCUMENT).read_text(encoding="utf-8")


def test_my_plugin_as_printed_fails_on_bytes_and_works_when_they_are_decoded(write_plugin, run_plugin):
    folder = write_plugin("MyPlugin", printed("MyPlugin.py"))
    assert inspect_plugin(folder).version == "1.0.0.0"
    done = run_plugin(folder)
    assert done.returncode == 1 and "TypeError" in done.stderr
    source = replaced(printed("MyPlugin.py"), "check_output(['ls', '-l'])", "check_output(['ls', '-l']).decode()")
    (folder / "MyPlugin.py").write_text(source)
    done = run_plugin(folder)
    assert done.returncode == 0, done.stderr
    page = (done.results / "status_block.html").read_text()
    assert page.startswith("<html><body><pre>") and "startplugin.json" in page


def log_parser(write_plugin):
    # The document breaks one comment over two lines.
    joined = BROKEN_COMMENT.replace("\n                    ", " ")
    return write_plugin("LogParser", replaced(printed("LogParser.py"), BROKEN_COMMENT, joined))


@pytest.mark.parametrize("log", [EXPLOG, None])
def test_log_parser(write_plugin, run_plugin, tmp_path, log):
    if log:
        (tmp_path / "explog_final.txt").write_text(log)
    done = run_plugin(log_parser(write_plugin), startplugin={"runinfo": {"raw_data_dir": str(tmp_path), "plugin": {}}})
    if log is None:
        assert done.returncode == 1 and "explog_final.txt missing" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert json.loads((done.results / "results.json").read_text()) == {
        "Project": "SampleData",
        "Sample": "e5272-wfa-l165",
        "Library": "<strong>NA</strong>",
    }
    assert "Project is: SampleData" in (done.results / "LogParser_block.html").read_text()


def test_log_parser_is_introspected(write_plugin):
    info = inspect_plugin(log_parser(write_plugin))
    assert (info.version, info.runlevels) == ("5.4.0.0", ("default",))
    assert set(info.runtypes) == {"wholechip", "thumbnail", "composite"}


def test_log_parser_as_printed_is_refused_with_the_line(write_plugin):
    with pytest.raises(PluginError, match=r"LogParser\.py, line \d+: "):
        inspect_plugin(write_plugin("LogParser", printed("LogParser.py")))


def test_call_subprocess_example_finds_its_program_in_the_plugin_folder(write_plugin, run_plugin):
    folder = write_plugin(
        "CallSubprocessExample", printed("CallSubprocessExample.py"), MyExecutable='#!/bin/sh\necho "$1|$2" > called\n'
    )
    assert run_plugin(folder).returncode == 1  # the program's name is a placeholder
    (folder / "MyExecutable").chmod(0o755)
    here = {"PATH": f"{folder}:/usr/bin:/bin"}
    start = {"runinfo": {"plugin": {"path": str(folder), "pluginconfig": {}}}}
    done = run_plugin(folder, startplugin=start, environment=here)
    assert done.returncode == 0, done.stderr
    assert (folder / "called").read_text() == "First Argument|Second Argument\n"


def test_barcodes_example_with_its_three_errors_corrected(write_plugin, run_plugin):
    source = printed("BarcodesExample.py")
    with pytest.raises(PluginError, match=r"BarcodesExample\.py, line"):
        inspect_plugin(write_plugin("BarcodesExample", source))
    source = replaced(source, "barcode_values['bam_file']\n", "barcode_values['bam_file'])\n")
    source = replaced(source, "def barcodes_json:", "def barcodes_json(self):")
    told = [str(problem) for problem in problems_of_source(source.encode(), "BarcodesExample.py")]
    assert len(told) == 1 and "iteritems() is gone from dict; write items()" in told[0]
    folder = Path(write_plugin("Again", "").parent) / "BarcodesExample"
    script = folder / "BarcodesExample.py"
    script.write_text(source)
    assert "AttributeError" in run_plugin(folder).stderr
    script.write_text(replaced(source, ".iteritems()", ".items()"))
    done = run_plugin(folder, barcodes={"IonXpress_001": {"bam_file": "IonXpress_001_rawlib.bam"}})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Barcode Name: IonXpress_001\nBam File: IonXpress_001_rawlib.bam\n"


def test_progress(write_plugin, run_plugin):
    method = replaced(printed("update_progress"), "max_progress)\n", "max_progress):\n")
    body = indent(method, "    ")
    source = (
        f"from ion.plugin import *\nclass Progress(IonPlugin):\n    version = '1.0.0.0'\n{body}"
        "    def launch(self, data=None):\n        self.update_progress(3, 10)\n        return True\n"
        "if __name__ == '__main__':\n    PluginCLI()\n"
    )
    done = run_plugin(write_plugin("Progress", source))
    assert done.returncode == 0, done.stderr
    assert "The current progress is 3 of 10" in (done.results / "progress_block.html").read_text()


@pytest.mark.parametrize("setting", ["TEMPLATE_DIR", "TEMPLATE_DIRS"])
def test_templates(has_django, write_plugin, run_plugin, setting):
    body = indent(replaced(printed("render_template"), "TEMPLATE_DIR=", f"{setting}="), "        ")
    source = (
        "from ion.plugin import *\nclass Page(IonPlugin):\n    version = '1.0.0.0'\n    def launch(self, data=None):\n"
        f"{body}        return True\nif __name__ == '__main__':\n    PluginCLI()\n"
    )
    folder = write_plugin("Page", source)
    (folder / "templates").mkdir()
    (folder / "templates/progress_block_template.html").write_text("<p>{{ current_progress }} %</p>")
    start = {"runinfo": {"plugin": {"path": str(folder), "pluginconfig": {}}}}
    done = run_plugin(folder, startplugin=start)
    assert done.returncode == 0, done.stderr
    assert (done.results / "progress_block.html").read_text() == "<p>54 %</p>"


def test_old_template_settings(has_django, write_plugin, run_plugin):
    source = """
        from django.conf import settings
        settings.configure(DEBUG=False, TEMPLATE_DEBUG=False, INSTALLED_APPS=(), TEMPLATE_DIRS=("/nowhere", %r))
        from django.template.loader import render_to_string
        from django.utils.datastructures import SortedDict
        print(render_to_string("page.html", {"rows": SortedDict([("b", 1), ("a", 2)])}))
    """
    folder = write_plugin("Old", "")
    (folder / "page.html").write_text("{% for name, n in rows.items %}{{ name }}={{ n }} {% endfor %}")
    from textwrap import dedent

    (folder / "Old.py").write_text(dedent(source) % str(folder))
    done = run_plugin(folder)
    assert done.stdout.strip() == "b=1 a=2", done.stderr


def test_rest_fragment(write_plugin, run_plugin):
    """With a stand-in for `requests`, which plugins bring along, as the document has it."""
    fragment = indent(printed("rest"), "        ")
    source = (
        "from ion.plugin import *\nclass Rest(IonPlugin):\n    version = '1.0.0.0'\n    def launch(self, data=None):\n"
        f"{fragment}        print(api_json_response)\n        return True\n"
        "if __name__ == '__main__':\n    PluginCLI()\n"
    )
    stand_in = """
        class Answer:
            def __init__(self, url): self.content = b'{"asked": "%s"}' % url.encode()
            def raise_for_status(self): pass
        get = Answer
    """
    folder = write_plugin("Rest", source, requests__py=stand_in)
    done = run_plugin(folder, startplugin={"runinfo": {"api_key": "abc"}})
    assert done.returncode == 0, done.stderr
    assert "api_key=abc" in done.stdout
