"""The compatibility layer for Python 2 idioms: what it mends, where it stays out (plugin.md 8.1)."""

import subprocess
import sys
from textwrap import dedent

import pytest

from ionanalysis.plugin.interpreter import LAYER_PATH, python_path
from ionanalysis.plugin.python2_syntax import problems_of_source
from ionanalysis.plugin.versions import LooseVersion


def run_python(source, *, tier="compat", environment=None, inherited=None, options=()):
    import os

    path = python_path(tier, inherited)
    done = subprocess.run(
        [sys.executable, *options, "-c", dedent(source)],
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


MENDED = {
    "modules": "import urllib2, urlparse, ConfigParser, StringIO, cStringIO, cPickle, Queue, httplib, commands\n"
    "import simplejson\nprint(urlparse.urlparse('http://host/x').netloc, cPickle.loads(cPickle.dumps([1])), "
    "simplejson.dumps({'a': 1}))",
    "urllib": "import urllib\nprint(urllib.quote('a b'), urllib.urlencode({'a': 1}), urllib.parse.quote('c d'))",
    "post text": "import urllib2\nprint(urllib2.Request('http://host', 'body').data)",
    "text in memory": "import StringIO\nf = StringIO.StringIO('a')\nf.seek(0, 2)\nf.write('b')\n"
    "print(f.getvalue(), StringIO.StringIO(b'c').read())",
    "repeated keys": "import ConfigParser, StringIO\nc = ConfigParser.SafeConfigParser()\n"
    "c.readfp(StringIO.StringIO('[a]\\nx = 1 ; comment\\nx = 2 ; comment\\n'))\nprint(c.get('a', 'x'))",
    "numpy names": "import numpy as np\nprint(np.int, np.float, np.object, np.str, np.NaN, "
    "np.zeros(1, np.int).dtype.kind)",
    "numpy as json": "import json, numpy as np\n"
    "print(json.dumps({'n': np.int64(3), 'x': np.float32(0.5), 'b': np.bool_(True)}))",
    "json of own class": "import json, numpy\nclass E(json.JSONEncoder):\n    def default(self, o):\n"
    "        return 'set' if isinstance(o, set) else json.JSONEncoder.default(self, o)\n"
    "print(json.dumps([{1}, numpy.int8(1)], cls=E))",
    "matplotlib warn": "import matplotlib\nmatplotlib.use('Agg', warn=False)\nmatplotlib.use('agg', force=True)\n"
    "print(matplotlib.get_backend().lower())",
    "prctile": "from matplotlib import mlab\nprint(mlab.prctile([1, 2, 3, 4, 5], p=(0, 50, 100)).tolist())",
    "builtins": "print(isinstance('a', basestring), unicode(1), list(xrange(2)), long(3), raw_input is input)",
    "small things": "import itertools, sys, os, string\n"
    "print(list(itertools.izip('ab', 'cd')), sys.maxint > 0, os.getcwdu() == os.getcwd())",
    "collections": "import collections\nprint(isinstance({}, collections.Mapping))",
    "versions": "from ionanalysis.plugin.versions import LooseVersion\n"
    "print(LooseVersion('5.10') > LooseVersion('5.9'))",
}
EXPECTED = {
    "modules": 'host [1] {"a": 1}',
    "urllib": "a%20b a=1 c%20d",
    "post text": "b'body'",
    "text in memory": "ab b'c'",
    "repeated keys": "2",
    "numpy names": "<class 'int'> <class 'float'> <class 'object'> <class 'str'> nan i",
    "numpy as json": '{"n": 3, "x": 0.5, "b": true}',
    "json of own class": '["set", 1]',
    "matplotlib warn": "agg",
    "prctile": "[1.0, 3.0, 5.0]",
    "builtins": "True 1 [0, 1] 3 True",
    "small things": "[('a', 'c'), ('b', 'd')] True True",
    "collections": "True",
    "versions": "True",
}


@pytest.mark.parametrize("name", MENDED)
def test_what_is_mended(name):
    assert run_python(MENDED[name]) == EXPECTED[name]


@pytest.mark.parametrize("name", ["modules", "numpy names", "builtins", "numpy as json"])
def test_native_plugins_get_none_of_it(name):
    with pytest.raises(AssertionError, match=r"ModuleNotFoundError|AttributeError|NameError|TypeError"):
        run_python(MENDED[name], tier="native")


def test_ion_is_there_without_the_layer():
    assert run_python("from ion.plugin import RunType\nprint(RunType.THUMB)", tier="native") == "thumbnail"


def test_builtins_can_be_left_alone():
    switched_off = {"IONANALYSIS_PYTHON2_BUILTINS": "0"}
    assert (
        run_python("import builtins, urllib2\nprint(hasattr(builtins, 'xrange'))", environment=switched_off) == "False"
    )


def test_a_stand_in_for_django_only_where_there_is_none(tmp_path):
    # -S leaves out installed packages; the package itself comes from the inherited path.
    from pathlib import Path

    import ionanalysis

    home = str(Path(ionanalysis.__file__).parents[1])
    source = """
        import sitecustomize
        from django.utils.functional import cached_property
        from django.utils.datastructures import SortedDict
        print(cached_property.__module__, SortedDict.__name__)
        try:
            from django.conf import settings
        except ImportError as error:
            print(error)
    """
    told = run_python(source, inherited=home, options=("-S",))
    assert told.startswith("functools OrderedDict") and "pip install 'ionanalysis[plugin]'" in told
    (tmp_path / "django").mkdir()
    (tmp_path / "django/__init__.py").write_text("VERSION = 'real'\n")
    assert run_python("import django\nprint(django.VERSION)", inherited=str(tmp_path)) == "real"


def test_a_hidden_sitecustomize_is_run_too(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.own_mark = 1\n")
    assert run_python("print(own_mark, xrange)", inherited=str(tmp_path)) == "1 <class 'range'>"


def test_programs_that_a_plugin_starts_have_the_layer_too():
    assert run_python(
        "import subprocess, sys\nprint(subprocess.getoutput(sys.executable + ' -c \"print(xrange)\"'))"
    ) == ("<class 'range'>")


def test_python_2_passes_the_layer_by():
    """In Python 2 the folder of the layer holds nothing but this one file, which has nothing to do there."""
    assert sorted(path.name for path in LAYER_PATH.glob("*.py")) == ["sitecustomize.py"]
    source = (LAYER_PATH / "sitecustomize.py").read_text()
    for word in ('f"', "f'", "nonlocal", "print ", "async "):
        assert word not in source


def test_a_real_python_2_finds_its_own_modules():
    import os
    import shutil

    python = shutil.which("python2.7") or shutil.which("python2")
    if python is None or subprocess.run([python, "-V"], capture_output=True).returncode:
        pytest.skip("needs a Python 2.7")
    program = "import StringIO, ConfigParser, sys; sys.stdout.write(StringIO.__file__ + ConfigParser.__file__)"
    done = subprocess.run(
        [python, "-c", program], env={**os.environ, "PYTHONPATH": python_path()}, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == "" and "ionanalysis" not in done.stdout


def test_loading_the_layer_imports_nothing_large():
    told = run_python(
        "import sys\nprint([n for n in ('numpy', 'ionanalysis', 'matplotlib', 'django') if n in sys.modules])"
    )
    assert told == "[]"


def test_pybam_fills_lengths_of_quality(tmp_path):
    import pysam

    path = tmp_path / "reads.bam"
    with pysam.AlignmentFile(path, "wb", header={"HD": {"VN": "1.4"}}) as bam:
        for name, qualities in (("RUN01:0:1", [20, 20, 10, 20, 20]), ("RUN01:1:0", [40] * 4), ("RUN01:9:9", [40])):
            read = pysam.AlignedSegment()
            read.query_name, read.flag = name, 4
            read.query_sequence = "A" * len(qualities)
            read.query_qualities = qualities
            bam.write(read)
    source = f"""
        import numpy, pybam
        lengths = numpy.ones((2, 2, 2))
        pybam.loadquals({str(path)!r}, [17, 30], lengths, fill=-1)
        print(lengths.tolist())
    """
    # The prefix of 2 bases is that of basecaller.md 12.11.
    assert run_python(source) == "[[[-1.0, -1.0], [2.0, 0.0]], [[4.0, 4.0], [-1.0, -1.0]]]"


@pytest.mark.parametrize(
    ("source", "line", "meaning"),
    [
        ("x = 1\nprint x", 2, "print statement"),
        ("import sys\nprint >> sys.stderr, 1", 2, "print >> file"),
        ("print", 1, "write print()"),
        ("exec 'x = 1'", 1, "exec statement"),
        ("x = 1 <> 2", 1, "<>"),
        ("x = `1`", 1, "backticks"),
        ("x = 10L", 1, "long number"),
        ("x = ur'a'", 1, "ur'"),
        ("d = {}\nfor k, v in d.iteritems():\n    pass", 2, "items()"),
        ("d = {}\nd.has_key('a')", 2, "`x in`"),
        ("d = {}\nd.keys()[0]", 2, "list(...)[...]"),
        ("map(int, 'ab')[0]", 1, "list(...)[...]"),
    ],
)
def test_python_2_only_code_is_told_by_line(source, line, meaning):
    problems = problems_of_source(source.encode(), "NAME.py")
    assert problems and problems[0].line == line and meaning in problems[0].message


@pytest.mark.parametrize(
    "source", ["import six\nsix.iteritems({})\nsix.iteritems", "d = {}\nd.items()\nlist(d.keys())[0]\nprint('x')", ""]
)
def test_code_that_runs_is_left_alone(source):
    assert problems_of_source(source.encode(), "NAME.py") == []


def test_versions_compare_with_words_behind_numbers():
    ordered = ["", "0.9", "3.6.0", "3.6.0-r57238", "3.6.0-r57239", "3.6.0.1", "3.10", "4.0"]
    # A word stands behind every number at its place.
    ordered[3:6] = ["3.6.0.1", "3.6.0-r57238", "3.6.0-r57239"]
    assert sorted(reversed(ordered), key=LooseVersion) == ordered
    assert LooseVersion("1.0.0") != LooseVersion("1.0") and LooseVersion("1-0") == LooseVersion("1.0")
    assert LooseVersion("2") > "1" and hash(LooseVersion("1.0")) == hash(LooseVersion("1-0"))
