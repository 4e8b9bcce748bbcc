"""Reports from output.json (plugin.md 6.8), and plugins that start plugins (plugin.md 7)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ionanalysis.errors import InputError
from ionanalysis.plugin.document import main, write_document
from ionanalysis.plugin.remote import call_launchPluginsXMLRPC, call_pluginStatus, get_serverProxy

START = {"runinfo": {"plugin_name": "Mine"}}


def test_all_kinds_of_sections(tmp_path):
    (tmp_path / "table.csv").write_text("a,b,c\n1,<2>,3\n4\n")
    (tmp_path / "one.png").touch()
    (tmp_path / "drmaa_stdout.txt").write_text("fine\nWARNING: few reads\n")
    output = {
        "meta_data": {"plugin_about": "About & more"},
        "sections": [
            {"type": "html", "title": "Text", "content": "<b>bold</b>"},
            {"type": "image", "title": "Found"},
            {"type": "image", "title": "Named", "content": ["x.png", {"source": "y.png", "caption": "Y"}]},
            {"type": "table", "title": "Table", "filename": "table.csv", "columns": ["c", "b"]},
        ],
    }
    path = write_document(tmp_path, START, output)
    page = path.read_text()
    assert path.name == "ion_Mine_report.html"
    for part in ("<b>bold</b>", "About &amp; more", 'src="one.png"', 'src="y.png"', "<td>&lt;2&gt;</td>", "few reads"):
        assert part in page
    document = json.loads((tmp_path / "document.json").read_text())
    assert document["sections"][3] == {
        "type": "table", "title": "Table", "header": ["c", "b"], "rows": [["3", "<2>"], ["", ""]],
    }  # fmt: skip
    assert document["messages"] == ["WARNING: few reads"]


def test_own_template(tmp_path):
    (tmp_path / "own.html").write_text("{{ meta_data.plugin_name }}: {{ sections | length }}")
    output = {"meta_data": {"template_file": "own.html", "plugin_name": "a/b"}, "sections": []}
    assert write_document(tmp_path, START, output).name == "ion_a_b_report.html"
    assert (tmp_path / "ion_a_b_report.html").read_text() == "a/b: 0"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"type": "video"}, "type 'video'"),
        ("x", "type None"),
        ({"type": "table", "filename": "gone.csv"}, "is no file of the plugin's results"),
        ({"type": "table", "filename": "../../etc/passwd"}, "is no file of the plugin's results"),
        ({"type": "table", "filename": "t.csv", "columns": ["z"]}, "no column 'z'"),
    ],
)
def test_broken_sections_are_explained(tmp_path, section, message):
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=message):
        write_document(tmp_path, START, {"sections": [section]})
    assert not (tmp_path / "document.json").exists()


def test_as_a_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "startplugin.json").write_text(json.dumps(START))
    (tmp_path / "output.json").write_text('{"sections": []}')
    assert main([]) == 0 and (tmp_path / "ion_Mine_report.html").exists()
    (tmp_path / "output.json").write_text("[]")
    assert main(["-d", str(tmp_path)]) == 3 and "output.json" in capsys.readouterr().err


@pytest.fixture
def server(tmp_path, monkeypatch):
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posted.append((self.path, body))
            self.send_response(410 if body["plugin"] == "Gone" else 202)
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            jobs = [{"state": "Started"}] if "grid_engine_jobid=7" in self.path else []
            self.wfile.write(json.dumps({"objects": jobs}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    info = {"api_url": f"{url}/rundb/api", "pluginresult": 3, "api_key": "abc"}
    (tmp_path / "startplugin.json").write_text(json.dumps({"runinfo": info}))
    monkeypatch.chdir(tmp_path)
    yield url, posted
    server.shutdown()
    thread.join()
    server.server_close()


def test_plugins_are_launched_through_the_api(server):
    url, posted = server
    plugins = {"One": {"pluginconfig": {"a": 1}}, "Gone": {}}
    same, message = call_launchPluginsXMLRPC(5, plugins, url, "ionadmin", params={"b": 2})
    assert same is plugins and message.startswith("Gone: the server answers 410")
    path = "/rundb/api/v1/results/5/plugin/?pluginresult=3&api_key=abc"
    assert posted == [
        (path, {"plugin": "One", "pluginconfig": {"a": 1}}),
        (path, {"plugin": "Gone", "pluginconfig": {"b": 2}}),
    ]
    assert (call_pluginStatus(7), call_pluginStatus(8)) == ("Started", "Unknown")


def test_without_a_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, message = call_launchPluginsXMLRPC(5, {"One": {}}, "http://127.0.0.1:9", "x")
    assert message.startswith("One: no server answers at http://127.0.0.1:9")
    assert call_pluginStatus(7) == "Unknown"
    with pytest.raises(NotImplementedError, match="REST API"):
        get_serverProxy()
