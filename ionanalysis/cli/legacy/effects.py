"""From the values of old flags to options and arguments of today."""

from dataclasses import dataclass, fields

from ionanalysis.cli._from_options import default_text
from ionanalysis.cli.legacy.flags import value_word
from ionanalysis.errors import UsageError


@dataclass(frozen=True)
class Effects:
    """What a command line of an original program asks for here."""

    arguments: dict
    """Arguments of the program itself, such as paths, by name."""
    options: tuple
    """Objects of the option classes, one each."""
    notes: tuple[str, ...]
    """Sentences about flags without effect."""

    def option(self, cls):
        """The options of class `cls`."""
        return next(given for given in self.options if isinstance(given, cls))


def target_of(flag, classes):
    """Class and fields that a flag sets, or None if it sets no option.

    ``=`` stands for the field of the same name; ``Class.one+two`` for several, one for each value of a list.

    Raises
    ------
    LookupError
        If the flag names an option that there is not: a defect of the table.
    """
    if flag.effect[0] in "@!":
        return None
    owner, _, name = flag.effect.rpartition(".")
    names = [flag.name.replace("-", "_")] if flag.effect == "=" else name.split("+")
    for cls in classes:
        if owner in ("", cls.__name__) and {*names} <= {declared.name for declared in fields(cls)}:
            return cls, names
    raise LookupError(f"--{flag.name} sets {flag.effect}, which no option class has.")


def apply_flags(table, values, classes, converters=None, said=None):
    """`Effects` of parsed flags.

    Parameters
    ----------
    table : FlagTable
    values : dict
        Values by flag name (`FlagTable.parse`). Of two spellings of one thing the later of the table wins.
    classes : sequence of option classes
    converters : dict, optional
        By flag name, a function from the old value to the new one.
    said : container of str, optional
        Flags that notes are made of; all by default.

    Raises
    ------
    UsageError
        If a value is out of range.
    """
    converters = converters or {}
    arguments: dict = {}
    chosen: dict = {cls: {} for cls in classes}
    notes = []
    for flag in table.flags:
        if flag.name not in values:
            continue
        value = converters.get(flag.name, lambda value: value)(values[flag.name])
        target = target_of(flag, classes)
        if target:
            cls, names = target
            chosen[cls].update({names[0]: value} if len(names) == 1 else zip(names, value, strict=True))
        elif flag.reason:
            if said is None or flag.name in said:
                notes.append(f"--{flag.name} is accepted without effect: {flag.reason}.")
        else:
            arguments[flag.argument] = value
    return Effects(arguments, tuple(_built(cls, given) for cls, given in chosen.items()), tuple(notes))


def _built(cls, given):
    try:
        return cls(**given)
    except TypeError as error:
        raise UsageError(f"{cls.__name__}: {error}.") from error


def help_text(program, usage, table, classes):
    """Help of an original program: every flag with its kind and what it does here."""
    lines = [f"usage: {usage}", "", f"{program} with the original's options, run by ionanalysis."]
    lines += ["Upper and lower case of options are the same.", ""] if table.any_case else [""]
    for flag in table.flags:
        shown = ", ".join(f"{'-' if len(name) == 1 else '--'}{name}" for name in flag.names)
        lines += [f"  {shown} {value_word(flag.kind)}".rstrip(), f"      {_does(flag, classes)}"]
    return "\n".join(lines)


def _does(flag, classes):
    if flag.reason:
        return f"no effect here: {flag.reason}"
    if flag.argument:
        return flag.effect.partition(" ")[2]
    cls, names = target_of(flag, classes)
    declared = {one.name: one for one in fields(cls)}
    return "; ".join(declared[name].metadata["help"] + default_text(declared[name].default) for name in names)
