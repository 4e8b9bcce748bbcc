"""The templates of the report."""

from functools import cache


@cache
def page_templates():
    """The environment of all templates. Names, comments and paths come from files: everything is escaped, always."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("ionanalysis", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
