"""How options are declared: default, meaning, unit and range on one line, checked when built.

Flags, help texts, the JSON echoed in `run.json` and the tables in the docs are made from these
declarations. No option is read from the environment.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ionanalysis.errors import UsageError


def option(default, help, *, unit="", least=None, most=None, choices=None, flag=None, names_file=False) -> Any:
    """Declare one option of an `Options` class.

    Parameters
    ----------
    default : bool, int, float, str, tuple or None
        Value when the user says nothing; None means that the stage derives it.
    help : str
        What it does, in a phrase without a full stop.
    unit : str
        Unit of the value.
    least, most : number, optional
        Closed range of a number.
    choices : tuple of str, optional
        The values allowed.
    flag : str, optional
        Command-line flag without dashes; made from the field's name by default.
    names_file : bool
        The value is the path of an input: what it holds matters, not only its name.
    """
    metadata = {
        "help": help,
        "unit": unit,
        "least": least,
        "most": most,
        "choices": choices,
        "flag": flag,
        "names_file": names_file,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all option classes. Building one checks every range."""

    def __post_init__(self):
        for declared in fields(self):
            _check(type(self).__name__, declared, getattr(self, declared.name))

    def to_json(self):
        """Plain values by name, for `run.json` and metrics."""
        return asdict(self)

    def files(self):
        """Paths that the options name, by the option's name."""
        named = [declared.name for declared in fields(self) if declared.metadata.get("names_file")]
        return {name: getattr(self, name) for name in named if getattr(self, name) is not None}


def _check(owner, declared, value):
    meta = declared.metadata
    if value is None or not meta:
        return
    if meta["choices"] and value not in meta["choices"]:
        raise UsageError(f"{owner}.{declared.name} is {value!r}; choose from {', '.join(meta['choices'])}.")
    least, most = meta["least"], meta["most"]
    numbers = value if isinstance(value, tuple) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        # "not >=" also catches NaN.
        if (least is not None and not number >= least) or (most is not None and not number <= most):
            bounds = " and ".join(
                f"{word} {end}" for word, end in (("at least", least), ("at most", most)) if end is not None
            )
            told = f"{number} {meta['unit']}".strip()
            raise UsageError(f"{owner}.{declared.name} is {told}; it must be {bounds}.")
