"""Pages of the documentation name things that exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from ionanalysis.cli.main import build_parser

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("name", re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE))
def test_the_reference_names_what_there_is(name):
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except AttributeError:
        found = import_module(name)
    assert found.__doc__


def test_pages_of_the_menu_are_there():
    menu = (DOCS.parent / "mkdocs.yml").read_text().partition("nav:")[2]
    pages = re.findall(r": (\S+\.(?:md|ipynb))", menu)
    assert len(pages) >= 8 and all((DOCS / page).is_file() for page in pages)


@pytest.mark.parametrize("page", ["guide.md", "torrent-suite.md"])
def test_commands_of_the_guide_have_the_options_they_are_shown_with(page):
    shown = re.findall(r"^    ionanalysis (.+?)(?: +#.*| \|.*)?$", (DOCS / page).read_text(), re.MULTILINE)
    assert len(shown) >= 2
    for line in shown:
        build_parser().parse_args(line.split())
