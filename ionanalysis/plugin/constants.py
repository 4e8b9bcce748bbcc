"""Words that plugins and the framework share (plugin.md 2.4). Members are plain text, as in the JSON files."""


class RunLevel:
    """When a plugin runs."""

    PRE = "pre"
    BLOCK = "block"
    SEPARATOR = "separator"
    DEFAULT = "default"
    POST = "post"
    LAST = "last"


class RunType:
    """Kinds of reports that a plugin is launched on by itself."""

    COMPOSITE = "composite"
    THUMB = "thumbnail"
    FULLCHIP = "wholechip"


class Feature:
    """What a plugin does besides analysing."""

    EXPORT = "export"


def lookupEnum(enum, value):  # noqa: N802 (a name of the contract)
    """Name of the member of `enum` that is `value`, or None.

    >>> lookupEnum(RunType, "thumbnail")
    'THUMB'
    """
    members = ((name, member) for name, member in vars(enum).items() if not name.startswith("_"))
    return next((name for name, member in members if member == value), None)


def runLevelsList():  # noqa: N802 (a name of the contract)
    """All run levels, in the order in which a manual launch passes them."""
    return [RunLevel.PRE, RunLevel.BLOCK, RunLevel.SEPARATOR, RunLevel.DEFAULT, RunLevel.POST, RunLevel.LAST]
