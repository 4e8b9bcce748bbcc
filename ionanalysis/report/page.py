"""Sections to an HTML page, one file that needs no other and runs no script."""


def render(**content):
    """The page of a title, a subtitle, a headline, problems and sections."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from ionanalysis import __version__

    # Sample names, comments and paths come from files: everything is escaped, always.
    pages = Environment(
        loader=PackageLoader("ionanalysis", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("page.html.jinja").render(version=__version__, **content)
