"""Modules that real plugins import from package `ion`, and what stands behind them (plugin.md 7, 4.6, 2.1)."""

import io
import json
import logging
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from ionanalysis.errors import InputError
from ionanalysis.plugin.barcode_table import COLUMNS, shown_rows, table_columns, table_rows
from ionanalysis.plugin.bed import IonBedHeader, IonBedReader, IonBedWriter
from ionanalysis.plugin.explog_values import load_log, parse_log
from ionanalysis.plugin.rest import get_object

DETAIL = (
    'browser position chr1\ntrack type=bedDetail name="my targets" ionVersion=4.0\n'
    "chr2\t10\t20\tA\t0\t+\t.\tGENE_ID=EGFR;Pool=1;HOTSPOTS_ONLY\n"
    "\n# a comment\nchr1\t5\t9\tB\t.\t-\tX\t.\n"
)


def test_bed_detail():
    with IonBedReader(io.StringIO(DETAIL)) as reader:
        assert reader.header.type == "bedDetail" and reader.header.track[0]["name"] == "my targets"
        assert reader.header.columns == ["chrom", "chromStart", "chromEnd", "name", "score", "strand", "id", "info"]
        target = reader.readline()
        assert (target["chrom"], target["chromStart"], target["chromEnd"], target["score"]) == ("chr2", 10, 20, 0)
        assert target["info"] == {"GENE_ID": ["EGFR"], "Pool": ["1"], "HOTSPOTS_ONLY": []}
        second = reader.readline()
        assert second["score"] is None and second["info"] == {} and reader.chromOrder == ["chr2", "chr1"]
        assert reader.readline() == {}


def test_all_twelve_columns():
    line = "chr1\t1\t9\tn\t5\t+\t2\t8\t255,0,0\t2\t3,4,\t0,5\n"
    target = IonBedReader(io.StringIO(line)).readline()
    assert (target["itemRgb"], target["blockCount"], target["blockSizes"], target["blockStarts"]) == (
        [255, 0, 0], 2, [3, 4], [0, 5],
    )  # fmt: skip


def test_load_gives_columns():
    targets = IonBedReader(io.StringIO("chr1\t1\t2\nchr1\t3\t4\n")).load()
    assert targets == {"chrom": ["chr1", "chr1"], "chromStart": [1, 3], "chromEnd": [2, 4]}
    assert IonBedReader(io.StringIO("")).load() == {}


@pytest.mark.parametrize(
    ("chrom", "pos", "side"),
    [("chr1", 9, -1), ("chr1", 10, 0), ("chr1", 19, 0), ("chr1", 20, 1), ("chr0", 15, -1), ("chr2", 15, 1)],
)
def test_in_target(chrom, pos, side):
    reader = IonBedReader(io.StringIO("chr0\t1\t2\nchr1\t10\t20\nchr2\t1\t2\n"))
    targets = list(reader)
    assert reader.InTarget(targets[1], chrom, pos) == side


def test_bed_is_written_as_read(tmp_path):
    for text in (DETAIL.replace("\n# a comment", ""), "chr1\t1\t9\tn\t5\t+\t2\t8\t255,0,0\t2\t3,4\t0,5\n"):
        reader = IonBedReader(io.StringIO(text))
        with IonBedWriter(filename=tmp_path / "x.bed", header=reader.header) as writer:
            writer.WriteHeader()
            for target in reader:
                writer.writeline(target)
        assert (tmp_path / "x.bed").read_text() == text.replace("\n\n", "\n")
    columns = IonBedReader(io.StringIO("chr1\t1\t2\nchr1\t3\t4\n")).load()
    out = io.StringIO()
    IonBedWriter(out).write(columns)
    assert out.getvalue() == "chr1\t1\t2\nchr1\t3\t4\n"
    assert IonBedHeader().columns == []


@pytest.mark.parametrize(
    ("text", "message"), [("chr1\t1\n", "line 1: has 2 columns"), ("c\t1\tx\n", "chromEnd is 'x'")]
)
def test_broken_bed_is_told_by_line(text, message):
    with pytest.raises(InputError, match=message):
        IonBedReader(io.StringIO(text)).load()


LOG = (
    "Project: P\nFlows: 260\nCycles: many\nGain: 0.63\nAutoAnalyze: yes\nPreBeadfind: no\n"
    "Cal Chip High/Low/InRange: 1 2 3\nblock_000: X0, Y0, W1288, H1332, AutoAnalyze:1\n"
    "block_001: thumbnail, X0, Y0, W0, H0\nExperimentInfoLog: \n\tacq_0000.dat: Pressure=1\nExpLog_Done\n"
)


def test_parse_log(tmp_path):
    values = parse_log(LOG)
    assert (values["flows"], values["cycles"], values["gain"]) == (260, "many", 0.63)
    assert (values["autoanalyze"], values["prebeadfind"]) == (True, False)
    assert values["cal_chip_high_low_inrange"] == "1 2 3" and values["project"] == "P"
    assert len(values["blocks"]) == len(values["thumbnails"]) == 1 and "acq_0000.dat" not in values
    (tmp_path / "explog.txt").write_text(LOG)
    assert load_log(tmp_path) == values and load_log(tmp_path, "explog_final.txt") is None


def test_helper_modules_in_a_plugin_process(write_plugin, run_plugin, tmp_path):
    import pysam

    with pysam.AlignmentFile(tmp_path / "a b.bam", "wb", header={"HD": {"VN": "1.4"}}) as bam:
        read = pysam.AlignedSegment()
        read.query_name, read.flag, read.query_sequence = "RUN01:1:2", 4, "TCAG"
        read.query_qualities = [0, 10, 40, 120]
        bam.write(read)
    source = f"""
        import os, subprocess
        from ion.plugin import *
        from ion.plugin.bedParser import IonBedReader
        from ion.plugin.constants import RunType
        from ion.utils import blockprocessing, compress
        from ion.utils.blockprocessing import bam2fastq_command
        from ion.utils.explogparser import parse_log
        import ion, ion.plugin.base
        blockprocessing.printtime("hello", 1)
        subprocess.check_call(bam2fastq_command({str(tmp_path / "a b.bam")!r}, "out.fastq"), shell=True)
        compress.make_zip("out.zip", "out.fastq", arcname="run/out.fastq")
        compress.make_zip("out.zip", "startplugin.json", use_sys_zip=False, compressed=False)
        compress.make_zip("out.zip", "missing")
        print(parse_log("Flows: 3")["flows"], ion.version)
    """
    done = run_plugin(write_plugin("Helpers", source))
    assert done.returncode == 0, done.stderr
    assert "hello 1" in done.stdout and "missing is not there" in done.stdout and "\n3 5." in done.stdout
    assert (done.results / "out.fastq").read_text() == "@RUN01:1:2\nTCAG\n+\n!+I~\n"
    with zipfile.ZipFile(done.results / "out.zip") as archive:
        assert archive.namelist() == ["run/out.fastq", "startplugin.json"]


def test_columns_of_the_barcode_table():
    asked = [
        {"field": "selected"},
        {"field": "barcode_name", "editable": True, "title": "Other"},
        {"field": "reference", "editable": False},
        {"field": "depth", "type": "custom_input", "title": "Depth", "width": "10px"},
        {"field": "mode", "type": "custom_dropdown", "options": [{"display": "A", "value": "a"}]},
        {"field": "tick", "type": "custom_checkbox"},
    ]
    columns = table_columns(asked, options={"reference": [{"display": "hg19 (human)", "value": "hg19"}]})
    assert [column["field"] for column in columns] == [request["field"] for request in asked]
    assert (columns[1]["editable"], columns[1]["title"], columns[2]["editable"]) == (False, "Barcode", False)
    assert columns[2]["options"] == [{"display": "hg19 (human)", "value": "hg19"}]
    assert (columns[3]["type"], columns[3]["title"], columns[3]["width"]) == ("input", "Depth", "10px")
    assert columns[4]["options"][0]["value"] == "a" and columns[5]["options"] is None
    assert "barcode_name" not in [column["field"] for column in table_columns(asked, has_barcodes=False)]
    for wrong in ({"field": "nonsense"}, {"field": "x", "type": "checkbox"}, "x", {}):
        with pytest.raises(InputError, match="barcodetable_columns"):
            table_columns([wrong])
    assert COLUMNS["selected"]["title"] == "Selected"


def test_rows_of_the_barcode_table():
    columns = table_columns([{"field": "selected"}, {"field": "sample"}, {"field": "depth", "type": "custom_input"}])
    barcodes = {
        "B2": {"barcode_index": 2, "sample": "S", "read_count": 3},
        "B1": {"barcode_index": 1, "sample": ""},
    }
    rows = table_rows(barcodes, columns)
    assert shown_rows(rows, columns) == [
        {"selected": False, "sample": "", "depth": ""},
        {"selected": True, "sample": "S", "depth": ""},
    ]
    assert "selected" not in barcodes["B1"]
    for wrong in (None, [], {}, ["x"]):
        with pytest.raises(InputError, match="barcodetable_data"):
            shown_rows(wrong, columns)


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        asked: list = []  # noqa: RUF012 (one per test)

        def do_GET(self):
            self.asked.append(self.path)
            if "slow" in self.path and len(self.asked) == 1:
                time.sleep(1.5)
            body = b"plain" if "raw" in self.path else json.dumps({"path": self.path}).encode()
            try:
                self.send_response(404 if "missing" in self.path else 200)
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                pass

        def log_message(self, *_):
            pass

    Handler.asked = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler.asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_get_object(server):
    url, asked = server
    more = {"timeout": 30, "attempts": 2, "log": logging.getLogger("test")}
    assert get_object(f"{url}/a/", {"api_key": "k", "x": 1}, **more) == {"path": "/a/?api_key=k&x=1"}
    assert get_object(f"{url}/raw/", {}, **more) == b"plain"
    assert get_object(f"{url}/missing/", {}, **more) is None and len(asked) == 3
    assert get_object("http://127.0.0.1:9/", {}, **more) is None
    assert get_object("file:///etc/passwd", {}, **more) is None


def test_get_object_waits_longer_after_a_time_out(server):
    url, asked = server
    found = get_object(f"{url}/slow/", {}, timeout=0.5, attempts=3, log=logging.getLogger("test"))
    assert found == {"path": "/slow/?"} and len(asked) >= 2


def test_get_restobj_adds_the_key_and_keeps_the_parameters(write_plugin, run_plugin, server):
    url, _ = server
    source = """
        from ion.plugin import *
        class Asks(IonPlugin):
            version = "1"
            def launch(self, data=None):
                print(self.get_restobj("results/", {"id": 3})["path"])
                print(self.get_restobj("/results", attempts=1)["path"])
                return True
        PluginCLI()
    """
    start = {"runinfo": {"api_url": f"{url}/rundb/api", "api_key": "abc", "pluginresult": 5, "plugin": {}}}
    done = run_plugin(write_plugin("Asks", source), startplugin=start)
    assert done.stdout.split() == [
        "/rundb/api/v1/results/?id=3&pluginresult=5&api_key=abc",
        "/rundb/api/v1/results/?pluginresult=5&api_key=abc",
    ], done.stderr


def test_results_with_numpy_values(tmp_path, monkeypatch):
    from ionanalysis.plugin.base import REGISTRY, IonPlugin

    monkeypatch.chdir(tmp_path)

    class Numbers(IonPlugin):
        version = "1"
        results = {"n": np.int64(3), "many": np.arange(2)}  # noqa: RUF012

    Numbers().generate_output()
    del REGISTRY["Numbers"]
    assert json.loads((tmp_path / "results.json").read_text()) == {"n": 3, "many": [0, 1]}
