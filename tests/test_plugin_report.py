"""What plugins left, as the report shows it: sandboxed, self-contained, and up to date."""

import re
import time
from html import unescape

import pytest
from browser import Browser
from plugin_results import make_result, shell_plugin

from ionanalysis.options.plugins import PluginOptions
from ionanalysis.plugin.launch import LaunchRequest
from ionanalysis.plugin.live import launch_plugins
from ionanalysis.report import write_report
from ionanalysis.report.plugins import plugin_parts, refresh_report, shown_plugins


@pytest.fixture
def result(tmp_path):
    return make_result(tmp_path)


def ran(result, tmp_path, name="One", lines="true", **facts):
    plugin = shell_plugin(tmp_path / "plugins", name, lines, **facts)
    (record,) = launch_plugins(LaunchRequest(result_dir=result, plugins=(plugin,), manual=True))
    return record


def frames(page):
    """Content of each frame of a page, and its sandbox attribute."""
    found = re.findall(r'<iframe sandbox="([^"]*)"[^>]* srcdoc="([^"]*)"', page)
    assert len(found) == page.count("<iframe")
    return [(sandbox, unescape(content)) for sandbox, content in found]


def test_blocks_are_shown_in_frames_that_run_no_script(result, tmp_path):
    ran(
        result,
        tmp_path,
        lines="echo '<b>deep</b><script>parent.document.title = 1</script>' > depth_block.html; touch more.html",
    )
    page = write_report(result).read_text()
    ((sandbox, content),) = frames(page)
    assert sandbox == "allow-popups"
    assert "<b>deep</b>" in content
    assert '<base href="plugin_out/One_out.1/"' in content
    for address in ("depth_block.html", "more.html", "drmaa_stdout.txt"):
        assert f'href="plugin_out/One_out.1/{address}"' in page
    assert "<script" not in re.sub(r'srcdoc="[^"]*"', "", page)


def test_a_hostile_page_does_nothing_in_a_browser(result, tmp_path):
    hostile = (
        '"><script>document.title="broken out"</script><!-- /plugins:plugins --></iframe>'
        "<script>parent.document.title='hacked'; top.location='about:blank'</script>"
        '<img src=x onerror="parent.document.title=1"><meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/">'
        "<b>all the same</b>"
    )
    plugin_dir = tmp_path / "plugins"
    plugin = shell_plugin(plugin_dir, "One", 'cp "$DIRNAME/page" x_block.html')
    (plugin.info.path / "page").write_text(hostile)
    launch_plugins(LaunchRequest(result_dir=result, plugins=(plugin,), manual=True))
    path = write_report(result)
    refresh_report(result)
    assert path.read_text().count("<!-- /plugins:plugins -->") == 1
    with Browser() as browser:
        browser.open(path)
        time.sleep(1)
        assert browser.value("document.title") == "raw"
        assert browser.value("location.pathname").endswith("report.html")
        assert browser.value("frames.length") == 1
    assert len(frames(path.read_text())) == 1


def test_major_plugins_come_first(result, tmp_path):
    ran(result, tmp_path, "Minor", "echo minor > m_block.html")
    ran(result, tmp_path, "Major", "echo major > m_block.html", major_block=True)
    page = write_report(result).read_text()
    assert [content.rpartition(">")[2].strip() for _, content in frames(page)] == ["major", "minor"]
    assert page.index('aria-label="Major"') < page.index('id="plugins"')
    parts = plugin_parts(result)
    assert ("Major" in parts["major"], "Minor" in parts["major"]) == (True, False)
    assert "Major" in parts["plugins"]


def test_failures_are_told(result, tmp_path):
    ran(result, tmp_path, "Bad", "exit 3")
    ran(result, tmp_path, "Picky", "true", requires_configuration=True)
    page = write_report(result).read_text()
    assert "Bad: default: It ended with exit code 3." in page
    assert "Picky needs a configuration before it can run." in page
    assert "Failed Validation" in page


def test_the_page_follows_while_plugins_run(result, tmp_path):
    path = write_report(result)
    assert "No plugin has run" in path.read_text()
    seen = []
    plugin = shell_plugin(
        tmp_path / "plugins", "Slow", "echo half > progress_block.html; sleep 7; echo all > progress_block.html"
    )
    request = LaunchRequest(result_dir=result, plugins=(plugin,), manual=True, options=PluginOptions(slots=1))

    def look():
        refresh_report(result)
        text = path.read_text()
        state = re.search(r"<td>(Queued|Started|Completed)</td>", text)[1]
        seen.append((state, [content.rpartition(">")[2].strip() for _, content in frames(text)]))

    launch_plugins(request, on_change=look)
    assert seen[-1] == ("Completed", ["all"])
    assert ("Started", ["half"]) in seen


def test_refreshing_changes_nothing_else(result, tmp_path):
    path = write_report(result)
    before = path.read_text()
    ran(result, tmp_path, lines="echo block > a_block.html")
    refresh_report(result)
    after = path.read_text()
    assert after != before
    cut = re.compile(r"<!-- plugins:(\w+) -->.*?<!-- /plugins:\1 -->", re.S)
    assert cut.sub("", after) == cut.sub("", before)
    refresh_report(result)
    assert path.read_text() == after
    assert write_report(result).read_text() == after


def test_without_a_report_nothing_is_made(result):
    refresh_report(result)
    assert not (result / "report.html").exists()


PNG = b"\x89PNG\r\n\x1a\n"


def test_pictures_come_along(result, tmp_path):
    record = ran(result, tmp_path)
    folder = record.folder
    (folder / "sub").mkdir()
    (folder / "sub" / "a b.png").write_bytes(PNG)
    (folder / "link.png").symlink_to("/etc/hostname")
    (tmp_path / "out.png").write_bytes(PNG)
    sources = [
        "sub/a%20b.png",
        "link.png",
        "../../../out.png",
        "/etc/hostname",
        "http://host/a.png",
        "gone.png",
        "a.html",
    ]
    page = "".join(f"<p><img class=x src={word}></p>" for word in sources)
    (folder / "p_block.html").write_text(page)
    ((_, content),) = frames(plugin_parts(result)["plugins"])
    found = re.findall(r'src=("[^"]*"|[^\s>]+)', content)
    assert found == ['"data:image/png;base64,iVBORw0KGgo="', *sources[1:]]


def test_pages_that_lead_out_of_their_folder_are_not_shown(result, tmp_path):
    record = ran(result, tmp_path)
    (tmp_path / "secret").write_text("secret")
    (record.folder / "s_block.html").symlink_to(tmp_path / "secret")
    parts = plugin_parts(result)["plugins"]
    assert "secret" not in parts
    assert "s_block.html" not in parts


def test_large_pages_are_links(result, tmp_path):
    record = ran(result, tmp_path)
    (record.folder / "l_block.html").write_bytes(b"x" * (3 << 20))
    parts = plugin_parts(result)["plugins"]
    assert len(parts) < 10_000
    assert "plugin_out/One_out.1/l_block.html" in parts


def test_older_results_and_unknown_folders_are_listed(result, tmp_path):
    ran(result, tmp_path, lines="echo old > a_block.html")
    plugin = shell_plugin(tmp_path / "again", "One", "echo new > a_block.html")
    launch_plugins(LaunchRequest(result_dir=result, plugins=(plugin,), manual=True))
    other = result / "plugin_out" / "Other_out.9"
    other.mkdir()
    (other / "o_block.html").write_text("other")
    shown = shown_plugins(result)
    assert [(one.name, one.number, one.state, len(one.blocks)) for one in shown] == [
        ("One", 2, "Completed", 1),
        ("One", 1, "Completed", 0),
        ("Other", 9, "Unknown", 1),
    ]


def test_blocks_of_level_post_are_shown_too(result, tmp_path):
    ran(result, tmp_path, lines="echo posted > p_block.html", runlevels=("post",))
    ((_, content),) = frames(plugin_parts(result)["plugins"])
    assert content.endswith("posted\n")
    assert "plugin_out/One_out.1/post/" in content
