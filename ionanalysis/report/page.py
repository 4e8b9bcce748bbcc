"""Sections to an HTML page, one file that needs no other and runs no script."""

from ionanalysis.report.templates import page_templates

_NO_PLUGINS = {"major": "", "plugins": ""}


def render(*, parts=_NO_PLUGINS, **content):
    """The page of a title, a subtitle, a headline, problems, sections and, if there are, parts of plugins."""
    from ionanalysis import __version__

    return page_templates().get_template("page.html.jinja").render(version=__version__, parts=parts, **content)
