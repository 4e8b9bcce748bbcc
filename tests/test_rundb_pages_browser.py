"""The run pages in a real browser, at the size of a desk and of a phone, with nothing but a keyboard."""

import json
import os
import uuid
from pathlib import Path

import pytest
from browser import Browser, wait_until
from paged_plugin import install_paged
from plugin_results import make_result
from rundb_rows import make_report

SIZES = {"desk": (1280, 800, False), "phone": (390, 844, True)}

FOCUSED = """(() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const label = one.labels && one.labels.length ? one.labels[0].textContent : "";
  return JSON.stringify({
    tag: one.tagName, name: (one.getAttribute("aria-label") || label || one.textContent || one.title || "").trim(),
    place: one.id || one.getAttribute("href") || one.name || "",
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, width: box.width, height: box.height,
  });
})()"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shown(run_rows, tmp_path_factory):
    """A report of a barcoded run."""
    name = f"b{uuid.uuid4().hex[:12]}"
    result = make_result(tmp_path_factory.mktemp("report"), barcoded=True, reference="hg19")
    return make_report(run_rows, result, name)


@pytest.fixture(scope="module")
def plugin(run_server, run_rows, tmp_path_factory):
    return install_paged(run_server.home, run_rows, tmp_path_factory.mktemp("paged"))


@pytest.fixture(scope="module")
def inside(browser, run_server):
    """The browser after a log-in, done with the keyboard."""
    browser.open(f"{run_server.base}/plans/")
    assert browser.value("location.pathname + location.search") == "/login/?next=/plans/"
    assert focused(browser)["place"] == "id_username"
    browser.write("ionadmin")
    browser.press("Tab")
    browser.write("secret of ionadmin")
    browser.press("Enter")
    browser.wait_for("location.pathname === '/plans/' && document.readyState === 'complete'")
    return browser


def focused(browser):
    return json.loads(browser.value(FOCUSED))


def picture(browser, name):
    """Keep a picture where somebody wants to look at it: $IONANALYSIS_PICTURES names the folder."""
    if folder := os.environ.get("IONANALYSIS_PICTURES"):
        browser.picture(Path(folder) / f"{name}.png")


@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_and_are_read_by_keyboard(inside, run_server, shown, plugin, size):
    width, height, is_phone = SIZES[size]
    inside.size(width, height, is_phone=is_phone)
    pages = {"runs": f"/?q={shown.resultsName}", "report": f"/report/{shown.pk}/", "plan": "/plans/new/"}
    pages |= {"plans": "/plans/", "plugins": "/plugins/", "account": "/account/"}
    for name, path in pages.items():
        inside.open(run_server.base + path)
        inside.wait_for("Array.from(document.images).every(one => one.complete)")
        picture(inside, f"{name}-{size}")
        assert inside.value("document.documentElement.scrollWidth <= window.innerWidth"), path
        assert inside.value("document.querySelectorAll('h1').length") == 1, path
        unnamed = "Array.from(document.querySelectorAll('main input:not([type=hidden]), main select, main textarea'))"
        assert inside.value(f"{unnamed}.filter(one => !one.labels.length).length") == 0, path
        inside.press("Tab")
        assert focused(inside)["name"] == "Skip to content", path
        places = []
        for _ in range(12):
            inside.press("Tab")
            one = focused(inside)
            if one["tag"] == "BODY":
                break
            assert one["name"] and one["ring"], (path, one)
            places.append(one["place"])
        assert places[:4] == ["/", "/", "/plans/", "/plugins/"] and "/account/" in places, path


def test_the_link_past_the_menu_leads_to_the_content(inside, run_server, shown):
    inside.size(*SIZES["desk"][:2])
    inside.open(f"{run_server.base}/?q={shown.resultsName}")
    inside.press("Tab")
    inside.press("Enter")
    inside.wait_for("location.hash === '#main'")
    inside.press("Tab")
    assert focused(inside)["place"] == "id_q"
    inside.press("Enter")
    inside.wait_for("location.search.includes('order=-date') && document.readyState === 'complete'")
    inside.value(f"document.querySelector('a[href=\"/report/{shown.pk}/\"]').focus(); 1")
    inside.press("Enter")
    inside.wait_for(f"location.pathname === '/report/{shown.pk}/' && document.readyState === 'complete'")


def test_mistakes_in_a_plan_are_led_to(inside, run_server):
    inside.open(f"{run_server.base}/plans/new/")
    inside.value("document.querySelector('#id_planName').focus(); 1")
    inside.write("a plan")
    inside.value("document.querySelector('#id_samples').focus(); 1")
    inside.write("IonXpress_001 liver")
    inside.value("document.querySelector('form[method=post] button:not(.plain)').focus(); 1")
    inside.press("Enter")
    inside.wait_for("document.querySelector('#errors') !== null && document.readyState === 'complete'")
    for size, (width, height, is_phone) in SIZES.items():
        inside.size(width, height, is_phone=is_phone)
        picture(inside, f"mistakes-{size}")
    assert focused(inside)["place"] == "errors"
    inside.press("Tab")
    assert focused(inside)["place"] == "#id_barcodeId"
    inside.press("Enter")
    inside.wait_for("location.hash === '#id_barcodeId'")
    assert inside.value("document.querySelector('#id_samples').value") == "IonXpress_001 liver"


def test_a_plugins_page_configures_it_from_its_frame(inside, run_server, plugin):
    inside.open(f"{run_server.base}/plugins/{plugin.pk}/config/")
    # The page saves as it loads, and then closes itself.
    inside.wait_for("location.pathname === '/plugins/' && document.readyState === 'complete'")
    plugin.refresh_from_db()
    assert plugin.config["depth"] == 30 and plugin.config["media"] == "/pluginMedia/Paged/"
    assert plugin.config["escaped"] == "kept in" and "session" not in plugin.config["cookie"]


def test_a_plugin_is_launched_from_its_page_and_followed_to_its_output(inside, run_server, shown, plugin):
    inside.size(*SIZES["desk"][:2])
    # Its page changes a row of the barcode table, launches the plugin as it loads, and closes itself.
    inside.open(f"{run_server.base}/report/{shown.pk}/plugin/{plugin.pk}/")
    inside.wait_for(f"location.pathname === '/report/{shown.pk}/' && document.readyState === 'complete'")
    # The page follows its plugins by itself; here it is asked to at once.
    state = "((document.querySelector('#plugins article .state') || {}).textContent || '')"
    wait_until(lambda: inside.open(f"{run_server.base}/report/{shown.pk}/").value(state) == "Completed", "it has run")
    inside.value("document.querySelector('iframe.block').scrollIntoView(); 1")
    # A frame tells its height: it was loaded, and its script ran.
    inside.wait_for("document.querySelector('iframe.block').style.height !== ''")
    for size, (width, height, is_phone) in SIZES.items():
        inside.size(width, height, is_phone=is_phone)
        picture(inside, f"output-{size}")
    row = shown.pluginresult_set.get()
    page = f"{shown.reportLink}plugin_out/Paged_out.{row.number or row.pk}/told_block.html"
    inside.open(run_server.base + page)
    assert "changed by the page" in inside.document and inside.value("location.pathname").startswith("/output/output.")
