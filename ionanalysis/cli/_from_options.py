"""Command-line flags made from option classes, and option objects made from parsed arguments."""

import argparse
from dataclasses import fields
from typing import get_args, get_origin, get_type_hints

from ionanalysis.errors import UsageError


def add_options(parser, *classes):
    """Add one argument group per option class; flags are field names with dashes."""
    for cls in classes:
        group = parser.add_argument_group((cls.__doc__ or cls.__name__).splitlines()[0].rstrip("."))
        kinds = get_type_hints(cls)
        for declared in fields(cls):
            if declared.metadata:
                _add_flag(group, declared, kinds[declared.name], _dest(cls, declared))


def from_args(cls, args):
    """Build `cls` from parsed arguments; flags not given keep the class's defaults."""
    return cls(**given(cls, args))


def given(cls, args):
    """Values of the flags of `cls` that were given, by field name."""
    values = {f.name: getattr(args, _dest(cls, f), None) for f in fields(cls) if f.metadata}
    return {name: value for name, value in values.items() if value is not None}


def _dest(cls, declared):
    """Where a parsed value is kept: two classes may have fields of the same name."""
    return f"{cls.__name__}.{declared.name}"


def _add_flag(group, declared, kind, dest):
    meta = declared.metadata
    flag = "--" + (meta["flag"] or declared.name.replace("_", "-"))
    shown = ", ".join(filter(None, (meta["help"], meta["unit"]))) + default_text(declared.default)
    shown = shown.replace("%", "%%")
    if bool in (kind, *get_args(kind)):
        group.add_argument(flag, dest=dest, action=_Switch, default=None, help=shown)
        return
    convert = _converter(kind)
    group.add_argument(
        flag,
        dest=dest,
        type=convert,
        default=None,
        choices=meta["choices"],
        help=shown,
        metavar=None if meta["choices"] else convert.__name__.upper(),
    )


def _converter(kind):
    if kind in (int, float, str):
        return kind
    members = [member for member in get_args(kind) if member is not type(None)]
    if get_origin(kind) is tuple:
        return _list_of(members[0])
    # "int | None": None is only the default.
    return _converter(members[0])


def _list_of(kind):
    def values(text):
        try:
            return tuple(kind(item) for item in text.split(",") if item)
        except ValueError:
            raise UsageError(f"{text!r} must be a comma-separated list of {kind.__name__}.") from None

    values.__name__ = f"{kind.__name__},..."
    return values


class _Switch(argparse.Action):
    """A flag and its opposite: `--x` and `--no-x`, also for a flag that is itself called `--no-x`."""

    def __init__(self, option_strings, dest, **rest):
        (self._flag,) = option_strings
        name = self._flag.removeprefix("--")
        opposite = name.removeprefix("no-") if name.startswith("no-") else f"no-{name}"
        super().__init__([self._flag, f"--{opposite}"], dest, nargs=0, **rest)

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, option_string == self._flag)


def default_text(value):
    """The default as help shows it; nothing where the help itself says what happens without the flag."""
    if value is None or value in ("", ()):
        return ""
    if isinstance(value, bool):
        return f" [{'on' if value else 'off'}]"
    return f" [{','.join(map(str, value)) if isinstance(value, tuple) else value}]"
