"""The plugin server: its addresses, who may ask what, and pages of plugins in a real browser (plugin.md 4)."""

import contextlib
import http.client
import json
import os
import re
import shutil
import threading
import time
import tracemalloc
from urllib.parse import urlsplit

import pytest
from browser import Browser, wait_until
from paged_plugin import write_paged
from plugin_results import make_result

from ionanalysis.errors import UsageError
from ionanalysis.plugin.results import read_results
from ionanalysis.plugin.store import PluginStore

if not os.environ.get("CI"):
    # The extra [test] brings it: where every test must run, it fails without.
    pytest.importorskip("uvicorn", reason="the extra [plugin] is not installed")
    pytest.importorskip("starlette", reason="the extra [plugin] is not installed")

from ionanalysis.plugin.web import table
from ionanalysis.plugin.web.access import Access, FrameScope
from ionanalysis.plugin.web.frames import frame_page
from ionanalysis.plugin.web.server import PluginServer
from ionanalysis.plugin.web.site import PluginSite


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A folder of a plugin with all pages."""
    return write_paged(tmp_path_factory.mktemp("sources"))


class Client:
    """Asks one server as the person who started it, as a plugin's page, or as a stranger."""

    def __init__(self, server, result):
        self.server = server
        self.result = result
        self.site = server.site
        self.access = server.access

    def __call__(self, method, path, content=None, *, who="person", headers=()):
        sent = {"Host": f"127.0.0.1:{self.server.port}"}
        if who == "person":
            sent |= {"Cookie": f"ionanalysis_key={self.access.key}", "X-Requested-With": "ionanalysis"}
        elif isinstance(who, FrameScope):
            sent |= {"X-Plugin-Token": self.access.frame_token(who), "Origin": "null"}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        body = None if content is None else json.dumps(content)
        connection.request(method, path, body, {**sent, **dict(headers)})
        answer = connection.getresponse()
        answer.text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer

    @property
    def home(self):
        return self.server.address

    def opened(self, path):
        """An address that a browser without a cookie may open."""
        return f"http://127.0.0.1:{self.server.port}{path}?key={self.access.key}"

    def wait(self):
        self.site.executor.wait()


@pytest.fixture
def client(sources, tmp_path, monkeypatch):
    monkeypatch.setenv("IONANALYSIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("IONANALYSIS_PLUGINS", raising=False)
    store = PluginStore()
    # Links are refused in packages; here one stands for a folder that was changed by hand.
    folder = tmp_path / "Paged"
    shutil.copytree(sources, folder, ignore=shutil.ignore_patterns("out.css"))
    record, _ = store.install(folder)
    (record.info.path / "pluginMedia" / "out.css").symlink_to("/etc/hostname")
    result = make_result(tmp_path, barcoded=True, reference="hg19")
    server = PluginServer(PluginSite(store, [result]))
    thread = threading.Thread(target=server.run)
    thread.start()
    end = time.monotonic() + 20
    while not server._server.started:
        assert time.monotonic() < end
        time.sleep(0.02)
    yield Client(server, result)
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


REPORT = FrameScope(1, "report", 1)
CONFIG = FrameScope(1, "config", 0)


def test_the_key_opens_the_pages_and_nothing_else_does(client):
    for path in ("/", "/report/1/", "/plugins/1/config/", "/rundb/api/v1/plugin/", "/rundb/api/v1/results/1/"):
        assert client("GET", path).status == 200
        assert client("GET", path, who="stranger").status == 403
        assert client("GET", f"{path}?key=guessed", who="stranger").status == 403
    answer = client("GET", "/report/1/?key=" + client.access.key, who="stranger")
    assert (answer.status, answer.headers["location"]) == (303, "/report/1/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()


def test_other_names_of_this_machine_are_not_answered(client):
    answer = client("GET", "/", headers={"Host": f"evil.example:{client.server.port}"})
    assert answer.status == 421


def test_a_change_needs_more_than_the_cookie(client):
    headers = {"Cookie": f"ionanalysis_key={client.access.key}"}
    answer = client("PUT", "/rundb/api/v1/plugin/1/", {"config": {}}, who="stranger", headers=headers)
    assert answer.status == 403


def test_only_loopback_addresses_are_served(client):
    with pytest.raises(UsageError, match="must be a loopback address"):
        PluginServer(client.site, 0, "0.0.0.0")
    with pytest.raises(UsageError, match="cannot be used"):
        PluginServer(client.site, client.server.port)


@pytest.mark.parametrize(
    ("scope", "method", "path", "content", "status"),
    [
        (CONFIG, "GET", "/rundb/api/v1/plugin/1/", None, 200),
        (CONFIG, "PUT", "/rundb/api/v1/plugin/1/", {"config": {"a": 1}}, 200),
        (REPORT, "PUT", "/rundb/api/v1/plugin/1/", {"config": {"a": 1}}, 403),
        (FrameScope(2, "config", 0), "PUT", "/rundb/api/v1/plugin/1/", {"config": {}}, 403),
        (REPORT, "GET", "/rundb/api/v1/results/1/", None, 200),
        (CONFIG, "GET", "/rundb/api/v1/results/1/", None, 404),
        (CONFIG, "POST", "/rundb/api/v1/results/1/plugin/", {"plugin": "Paged"}, 404),
        (FrameScope(1, "about", 1), "POST", "/rundb/api/v1/results/1/plugin/", {"plugin": "Paged"}, 403),
        (FrameScope(2, "report", 1), "POST", "/rundb/api/v1/results/1/plugin/", {"plugin": "Paged"}, 404),
        (FrameScope(2, "report", 1), "GET", "/rundb/api/v1/plugin/1/extend/twice/?n=1", None, 404),
        (REPORT, "GET", "/", None, 403),
        (REPORT, "GET", "/report/1/", None, 403),
        (REPORT, "GET", "/rundb/api/v1/pluginresult/1-1/stop/", None, 403),
    ],
)
def test_a_plugins_page_may_do_its_own_business_only(client, scope, method, path, content, status):
    answer = client(method, path, content, who=scope)
    assert answer.status == status, answer.text


def test_tokens_cannot_be_made_up():
    ours, other = Access(), Access()
    token = ours.frame_token(REPORT)
    assert ours.frame_scope(token) == REPORT
    assert other.frame_scope(token) is None
    assert ours.frame_scope(token.replace("report.1", "report.2")) is None
    assert ours.frame_scope(ours.output_token(1)) is None
    for word in ("", "~", "x~y", "frame.1.config.0~", None, "\u00e9~\u00e9"):
        assert ours.frame_scope(word) is None


@pytest.mark.parametrize(
    "path",
    [
        "/pluginMedia/Paged/../Paged.py",
        "/pluginMedia/Paged/%2e%2e/Paged.py",
        "/pluginMedia/Paged/..%2fPaged.py",
        "/pluginMedia/Paged/sub/..%2f..%2fPaged.py",
        "/pluginMedia/Paged//etc/hostname",
        "/pluginMedia/Paged/%2fetc%2fhostname",
        "/pluginMedia/Paged/out.css",
        "/pluginMedia/Paged/%00",
        "/pluginMedia/Paged/sub",
        "/pluginMedia/../Paged/style.css",
        "/pluginMedia/Gone/style.css",
        "/static/..%2fapp.py",
        "/static/app.py",
        "/site_media/../../etc/hostname",
        "/output/TOKEN/plugin_out/..%2fion_params_00.json",
        "/output/TOKEN/plugin_out/../ion_params_00.json",
        "/output/TOKEN/ion_params_00.json",
        "/output/TOKEN/plugin_out/leak.txt",
        "/output/made~up/plugin_out/One_out.1/a.html",
    ],
)
def test_no_path_leads_out(client, path):
    (client.result / "plugin_out").mkdir()
    (client.result / "plugin_out" / "leak.txt").symlink_to("/etc/hostname")
    answer = client("GET", path.replace("TOKEN", client.access.output_token(1)))
    assert answer.status in (403, 404), answer.text


def test_media_are_open_and_typed(client):
    answer = client("GET", "/pluginMedia/Paged/style.css", who="stranger")
    assert (answer.status, answer.text, answer.headers["content-type"].partition(";")[0]) == (200, "b{}", "text/css")
    assert client("GET", "/pluginMedia/Paged/sub/a%20b.js", who="stranger").text == "1"
    assert "jQuery" in client("GET", "/site_media/resources/jquery/jquery-1.8.3.min.js", who="stranger").text[:200]


def test_output_is_sandboxed_wherever_it_is_opened(client):
    folder = client.result / "plugin_out" / "One_out.1"
    folder.mkdir(parents=True)
    (folder / "a_block.html").write_text("<b>it</b>")
    (client.result / "x.bam").write_text("bam")
    (folder / "x.bam").symlink_to("../../x.bam")
    place = f"/output/{client.access.output_token(1)}/plugin_out/One_out.1"
    answer = client("GET", f"{place}/a_block.html", who="stranger")
    assert answer.text.startswith("<b>it</b>")
    assert "sandbox allow-scripts" in answer.headers["content-security-policy"]
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert client("GET", f"{place}/x.bam", who="stranger").text == "bam"


def test_the_api_lists_plugins_and_their_pages(client):
    (one,) = json.loads(client("GET", "/rundb/api/v1/plugin/").text)["objects"]
    assert (one["name"], one["isConfig"], one["isPlanConfig"], one["isInstance"], one["hasAbout"]) == (
        "Paged",
        True,
        True,
        True,
        True,
    )
    assert one["input"] == "/configure/plugins/plugin/1/configure/report/"
    told = json.loads(client("GET", "/rundb/api/v1/plugin/Paged/type/").text)
    assert sorted(told["files"]) == ["about.html", "config.html", "instance.html", "plan.html"]


def test_validation_and_endpoints(client):
    bad = {"configuration": {"depth": 0}, "run_mode": "manual"}
    answer = client("POST", "/rundb/api/v1/plugin/1/validate/", bad)
    assert json.loads(answer.text) == {"issues": ["depth must be positive"]}
    answer = client("POST", "/rundb/api/v1/plugin/Paged/extend/twice/?n=4", {"x": 1}, who=REPORT)
    assert json.loads(answer.text) == {"twice": 8, "posted": {"x": 1}}
    assert answer.headers["access-control-allow-origin"] == "null"
    assert client("GET", "/rundb/api/v1/plugin/Paged/extend/gone/").status == 404
    assert client("GET", "/rundb/api/v1/plugin/Paged/extend/twice/").status == 500


@pytest.mark.parametrize("wanted", ["Paged", ["Paged"], 1, {"id": 1, "name": "Paged"}])
def test_a_launch_is_asked_for_in_any_of_its_forms(client, wanted):
    body = {"plugin": wanted, "pluginconfig": {"depth": 3}}
    answer = client("POST", "/rundb/api/v1/results/1/plugin/", body)
    assert (answer.status, answer.text) == (202, "")
    client.wait()
    (one,) = json.loads(client("GET", "/rundb/api/v1/results/1/pluginresults/").text)
    assert (one["Name"], one["State"], one["Files"], one["Major"]) == ("Paged", "Completed", ["told_block.html"], False)
    assert "depth" in client("GET", f"{one['URL']}told_block.html", who="stranger").text
    assert json.loads(client("GET", "/rundb/api/v1/results/1/pluginresults/?major=true").text) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"plugin": "Gone"}, 410),
        ({}, 410),
        ({"plugin": "Paged", "pluginconfig": "text"}, 400),
        ({"plugin": "Paged", "pluginresult": 7}, 400),
        ({"plugin": "Paged", "pluginresult": "7; rm"}, 400),
        ({"plugin": "Paged", "pluginresult": True}, 400),
        ({"plugin": [["Paged"]]}, 410),
        (["Paged"], 400),
    ],
)
def test_a_launch_that_makes_no_sense_is_refused(client, body, status):
    assert client("POST", "/rundb/api/v1/results/1/plugin/", body).status == status


@pytest.mark.parametrize(
    "path",
    ["/report/x/", "/report/2/", "/report/-1/", "/rundb/api/v1/results/x/", "/rundb/api/v1/results/2/pluginresults/",
     "/rundb/api/v1/pluginresult/1-x/stop/", "/rundb/api/v1/pluginresult/9-1/stop/", "/plugins/9/config/",
     "/plugins/1/nothing/", "/report/1/plugin/Gone/"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client, path):
    assert client("GET", path).status == 404


def test_a_page_sees_no_configuration_of_another_plugin(client, tmp_path):
    folder = tmp_path / "Uploader"
    folder.mkdir()
    (folder / "launch.sh").write_text('VERSION="1.0"\ntrue\n')
    client.site.store.install(folder)
    client.site.store.configure("Uploader", {"password": "opened"})
    client.site.store.configure("Paged", {"depth": 10})
    for path in ("/rundb/api/v1/plugin/", "/rundb/api/v1/plugin/Uploader/", "/rundb/api/v1/plugin/2/"):
        assert "opened" in client("GET", path).text
        answer = client("GET", path, who=CONFIG)
        assert answer.status == 200 and "Uploader" in answer.text and "opened" not in answer.text
    assert json.loads(client("GET", "/rundb/api/v1/plugin/1/", who=CONFIG).text)["config"] == {"depth": 10}


def test_large_files_are_sent_in_parts(client):
    folder = client.result / "plugin_out" / "One_out.1"
    folder.mkdir(parents=True)
    with (folder / "large_block.html").open("wb") as file:
        file.truncate(64 << 20)
    place = f"/output/{client.access.output_token(1)}/plugin_out/One_out.1/large_block.html"
    tracemalloc.start()
    try:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", client.server.port, timeout=60)) as connection:
            connection.request("GET", place)
            answer = connection.getresponse()
            n_bytes = sum(len(part) for part in iter(lambda: answer.read(1 << 16), b""))
        assert (answer.status, n_bytes) == (200, 64 << 20)
        assert "sandbox" in answer.headers["content-security-policy"]
        # The server runs in this process.
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_large_requests_are_refused(client):
    assert client("PUT", "/rundb/api/v1/plugin/1/", {"config": {"x": "y" * (9 << 20)}}).status == 413


def test_a_running_plugin_can_be_stopped(client, tmp_path):
    folder = tmp_path / "Long"
    folder.mkdir()
    (folder / "launch.sh").write_text('VERSION="1.0"\nsleep 984.5\n')
    client.site.store.install(folder)
    client("POST", "/rundb/api/v1/results/1/plugin/", {"plugin": "Long"})
    end = time.monotonic() + 30
    while read_results(client.result)[0].state != "Started":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client("GET", "/rundb/api/v1/pluginresult/1-1/stop/").status == 202
    client.wait()
    assert read_results(client.result)[0].state == "Cancelled"


def test_the_barcode_table_is_what_the_plugin_asks_for(client):
    answer = json.loads(client("GET", "/report/1/plugin/1/plugin_barcodes_table").text)
    assert [column["field"] for column in answer["columns"]] == [
        "selected", "barcode_name", "reference", "target_region_filepath", "note",
    ]  # fmt: skip
    assert answer["columns"][2]["options"] == [{"display": "hg19 (hg19)", "value": "hg19"}]
    row = {"selected": False, "barcode_name": "IonXpress_001", "reference": "hg19", "target_region_filepath": ""}
    assert answer["data"] == [{**row, "note": "of IonXpress_001"}]


def test_variables_cannot_end_their_script():
    page = frame_page("<html><head></head></html>", {"TB_user": "</script><script>alert(1)//\u2028"}, {}, "t")
    assert page.count("<script>alert") == 0
    found = re.search(r'var TB_user = (".*?");', page)[1]
    assert json.loads(found) == "</script><script>alert(1)//\u2028"


@pytest.mark.parametrize(
    "text",
    ["<p>no head</p>", "<!DOCTYPE html>\n<p>x</p>", "<HTML><HEAD a=b>\n</HEAD ><body></body></HTML>", ""],
)
def test_pages_of_any_shape_get_their_variables(text):
    page = frame_page(text, {"TB_user": "me"}, {"runType": "RNA"}, "t")
    assert page.count("var TB_user") == 2
    assert page.count("TB_plan_json") == 1
    assert page.index("frame.js") < page.index("var TB_user")
    assert page.lower().startswith("<!doctype") == text.lower().startswith("<!doctype")


# In a real browser.


@pytest.fixture
def browser():
    with Browser() as one:
        yield one


def test_config_html_reads_and_writes_its_configuration(client, browser):
    client.site.store.configure("Paged", {"depth": 10})
    browser.open(client.opened("/plugins/1/config/"))
    # The page closes itself when it has saved.
    browser.wait_for("location.pathname === '/'")
    assert client.site.store.find("Paged").config == {
        "depth": 30,
        "was": {"depth": 10},
        "media": "/pluginMedia/Paged/",
        "escaped": "kept in",
        "result": "undefined",
        "cookie": "none",
    }


def test_instance_html_launches_with_the_barcode_table(client, browser):
    browser.open(client.opened("/report/1/plugin/1/"))
    browser.wait_for("location.pathname === '/report/1/'")
    client.wait()
    (one,) = read_results(client.result)
    assert one.state == "Completed"
    assert one.content["config"]["reference"] == "hg19"
    (row,) = one.content["config"]["barcodetable"]
    assert (row["barcode_name"], row["note"]) == ("IonXpress_001", "changed by the page")


def test_plan_html_is_filled_and_saved(client, browser):
    """The page has neither restoreForm nor serializeForm: its fields are filled and read by name."""
    assert client("POST", "/plugins/1/plan/save/", {"depth": "7", "strict": False, "run": ""}).status == 200
    browser.open(client.opened("/plugins/1/plan/"))
    expected = {"depth": "7", "strict": False, "run": "after 7"}

    def is_saved():
        # Pressed again until what was saved before has been filled in.
        browser.value("document.getElementById('save').click()")
        time.sleep(1)
        return client.site.plan_config(client.site.plugin(1)) == expected

    wait_until(is_saved, "the plan's configuration is saved")
    browser.wait_for("document.getElementById('said').textContent.includes('--plugin-config')")


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        ("Export", ("zip", "checked", True), {"fastq": True, "sff": False, "bam": False, "zip": True}),
        ("Coverage", ("least_mapping_quality", "value", "20"), {"bed": "", "least_mapping_quality": "20"}),
    ],
)
def test_pages_of_our_own_plugins(client, browser, name, field, expected):
    record, _ = client.site.store.install(name)
    element, setting, value = field
    script = f"document.querySelector('[name={element}]').{setting} = {json.dumps(value)};"
    page = record.info.path / "instance.html"
    page.write_text(page.read_text() + f"<script>{script} form.requestSubmit();</script>")
    browser.open(client.opened(f"/report/1/plugin/{name}/"))
    browser.wait_for("location.pathname === '/report/1/'")
    client.wait()
    (one,) = read_results(client.result)
    config = dict(one.content["config"])
    assert [row["barcode_name"] for row in config.pop("barcodetable", [])] == ["IonXpress_001"] * (name == "Coverage")
    assert config == expected


def test_a_form_of_our_own_is_a_plan(client, browser):
    client.site.store.install("Export")
    record = client.site.store.find("Export")
    assert client("POST", f"/plugins/{record.id}/plan/save/", {"sff": True, "fastq": False}).status == 200
    browser.open(client.opened("/plugins/Export/plan/"))
    expected = {"fastq": False, "sff": True, "bam": False, "zip": False}

    def is_saved():
        browser.value("document.getElementById('save').click()")
        time.sleep(1)
        return client.site.plan_config(record) == expected

    wait_until(is_saved, "the plan's configuration is saved")


PLAN_WITH_FUNCTIONS = """<script>
var kept = {};
function restoreForm(config) { kept = config; kept.restored = true; }
function serializeForm() { return JSON.stringify(kept); }
</script>"""


def test_functions_of_plan_html_go_before(client, browser):
    (client.site.plugin(1).info.path / "plan.html").write_text(PLAN_WITH_FUNCTIONS)
    client("POST", "/plugins/1/plan/save/", {"depth": 2})
    browser.open(client.opened("/plugins/1/plan/"))

    def is_saved():
        browser.value("document.getElementById('save').click()")
        time.sleep(1)
        return client.site.plan_config(client.site.plugin(1)) == {"depth": 2, "restored": True}

    wait_until(is_saved, "the plan's configuration is saved")


def test_bad_plan_configurations_are_told_and_not_saved(client):
    answer = json.loads(client("POST", "/plugins/1/plan/save/", {"depth": -1}).text)
    assert answer["issues"] == ["depth must be positive"]
    assert client.site.plan_config(client.site.plugin(1)) is None


def test_the_barcode_table_is_drawn_and_starts_a_plugin_without_a_page(client, browser, monkeypatch):
    (client.site.plugin(1).info.path / "instance.html").unlink()
    references = [{"display": name, "value": name} for name in ("hg19", "mm10")]
    beds = [{"display": f"{name}.bed", "value": f"/{name}.bed", "reference": name} for name in ("hg19", "mm10")]
    options = {"reference": references, "target_region_filepath": beds}
    monkeypatch.setattr(table, "_table_options", lambda entries: options)
    browser.open(client.opened("/report/1/plugin/1/"))
    browser.wait_for("document.querySelectorAll('#barcodetable tbody tr').length === 1")
    titles = browser.value("Array.from(document.querySelectorAll('#barcodetable th')).map(t => t.textContent)")
    assert titles == ["Selected", "Barcode", "Reference", "Target Regions BED File", "note"]
    offered = "Array.from(document.querySelectorAll('#barcodetable select')[1].options).map(o => o.value)"
    assert browser.value(offered) == ["", "/hg19.bed"]

    def change(selector, setting):
        field = f"document.querySelector('#barcodetable {selector}')"
        browser.value(f"{field}.{setting}; {field}.dispatchEvent(new Event('change')); 1")

    change("td:nth-child(4) select", "value = '/hg19.bed'")
    # Another reference empties the BED file and offers its own.
    change("td:nth-child(3) select", "value = 'mm10'")
    assert browser.value(offered) == ["", "/mm10.bed"]
    assert browser.value("document.querySelectorAll('#barcodetable select')[1].value") == ""
    change("td:nth-child(4) select", "value = '/mm10.bed'")
    change("td:nth-child(1) input", "checked = true")
    browser.value("document.getElementById('start').click()")
    browser.wait_for("location.pathname === '/report/1/'")
    client.wait()
    (one,) = read_results(client.result)
    row = {"selected": True, "barcode_name": "IonXpress_001", "reference": "mm10"}
    assert one.content["config"]["barcodetable"] == [
        {**row, "target_region_filepath": "/mm10.bed", "note": "of IonXpress_001"}
    ]


SLOW = """VERSION="1.0"
echo '<p>half</p>' > progress_block.html
while [ ! -e go ]; do sleep 0.1; done
echo '<p>all</p>' > progress_block.html
"""


def test_the_report_shows_blocks_in_frames_and_follows_them(client, browser, tmp_path):
    folder = tmp_path / "Slow"
    folder.mkdir()
    (folder / "launch.sh").write_text(SLOW)
    client.site.store.install(folder)
    client("POST", "/rundb/api/v1/results/1/plugin/", {"plugin": "Slow"})
    browser.open(client.opened("/report/1/"))
    browser.wait_for("document.querySelectorAll('iframe.block').length === 1")
    # As high as what it holds: the page inside has run its script and told.
    browser.wait_for("/^[1-9][0-9]px$/.test(document.querySelector('iframe.block').style.height)")
    frame = browser.value("document.querySelector('iframe.block').outerHTML")
    assert 'sandbox="allow-scripts' in frame and "allow-same-origin" not in frame
    assert browser.value("document.querySelector('iframe.block').contentDocument") is None
    written = browser.value("document.querySelector('iframe.block').dataset.modified")
    (client.result / "plugin_out" / "Slow_out.1" / "go").touch()
    browser.wait_for("document.getElementById('state-1').textContent === 'Completed'")
    browser.wait_for(f"document.querySelector('iframe.block').dataset.modified !== '{written}'")


def test_the_printed_address_opens_the_first_page(client, browser):
    assert urlsplit(client.home).hostname == "127.0.0.1"
    browser.open(client.home)
    assert "Has all pages." in browser.document
    # The key does not stay in the address.
    assert browser.value("location.search") == ""
