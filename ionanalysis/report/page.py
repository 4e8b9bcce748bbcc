"""Sections to an HTML page, one file that needs no other and runs no script."""

from ionanalysis.report.templates import page_templates


def render(**content):
    """The page of a title, a subtitle, a headline, problems, sections and, if there are, parts of plugins."""
    from ionanalysis import __version__

    return page_templates().get_template("page.html.jinja").render(version=__version__, **content)
