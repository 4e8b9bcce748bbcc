"""``bfmask.stats``: counts of the wells of a mask, an INI file (sigproc.md 3.1)."""

from configparser import ConfigParser, Error
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.mask import WellFlag

_COUNTS = {
    "Excluded Wells": WellFlag.EXCLUDE,
    "Empty Wells": WellFlag.EMPTY,
    "Pinned Wells": WellFlag.PINNED,
    "Ignored Wells": WellFlag.IGNORE,
    "Bead Wells": WellFlag.BEAD,
    "Dud Beads": WellFlag.DUD,
    "Reference Beads": WellFlag.REFERENCE,
    "Live Beads": WellFlag.LIVE,
    "Test Fragment Beads": WellFlag.TF,
    "Library Beads": WellFlag.LIB,
}
_WASHOUTS = {
    "Washout Wells": WellFlag.WASHOUT,
    "Washout Dud": WellFlag.WASHOUT | WellFlag.DUD,
    "Washout Reference": WellFlag.WASHOUT | WellFlag.REFERENCE,
    "Washout Live": WellFlag.WASHOUT | WellFlag.LIVE,
    "Washout Test Fragment": WellFlag.WASHOUT | WellFlag.TF,
    "Washout Library": WellFlag.WASHOUT | WellFlag.LIB,
}
_FILTERS = {
    "Filtered Beads (read too short)": WellFlag.FILTERED_SHORT,
    "Filtered Beads (fail keypass)": WellFlag.FILTERED_BAD_KEY,
    "Filtered Beads (too many positive flows)": WellFlag.FILTERED_BAD_PPF,
    "Filtered Beads (poor signal fit)": WellFlag.FILTERED_BAD_RESIDUAL,
    "Validated Beads": WellFlag.KEYPASS,
}
_PERCENT = "Percent Template-Positive Library Beads"


def mask_stats(mask, *, start_row=0, start_col=0, show_washouts=False):
    """Counts of `mask` under the keys of ``bfmask.stats``, in their order.

    Parameters
    ----------
    mask : Mask
    start_row, start_col : int
        Offset of the block on the chip, in wells.
    show_washouts : bool
        Also give the six counts of washed-out wells.

    Returns
    -------
    stats : dict of str to int, float or None
        The percentage of library beads is rounded to two decimals; None where no bead remains.
    """
    stats: dict[str, int | float | None] = {
        "Start Row": start_row,
        "Start Column": start_col,
        "Width": mask.shape[1],
        "Height": mask.shape[0],
        "Total Wells": mask.flags.size,
    }
    stats |= {name: mask.count(flags) for name, flags in _COUNTS.items()}
    candidates = mask.count(WellFlag.BEAD) - mask.count(WellFlag.TF)
    stats[_PERCENT] = round(100 * mask.count(WellFlag.LIB) / candidates, 2) if candidates > 0 else None
    if show_washouts:
        stats |= {name: mask.count(flags) for name, flags in _WASHOUTS.items()}
    for prefix, kind in (("TF", WellFlag.TF), ("Lib", WellFlag.LIB)):
        stats |= {f"{prefix} {name}": mask.count(kind | flags) for name, flags in _FILTERS.items()}
    return stats


def write_mask_stats(path, stats):
    """Write what `mask_stats` gave as ``bfmask.stats``."""
    lines = ["[global]"]
    for key, value in stats.items():
        text = "NA" if value is None else f"{value:.2f}" if key == _PERCENT else str(value)
        lines.append(f"{key} = {text}")
    write_whole(path, "\n".join(lines) + "\n")


def read_mask_stats(path):
    """Read ``bfmask.stats``: numbers by key, None for ``NA``; unknown keys are kept.

    Raises
    ------
    InputError
        If the file is missing, is no INI file with a section ``[global]``, or a value is no number.
    """
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(Path(path).read_text("utf-8"))
        return {key: _number(value) for key, value in parser["global"].items()}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (Error, KeyError, ValueError) as error:
        found = str(error).splitlines()[0]
        raise InputError(f"{path}: is no file of mask counts ({found}); expected [global], key = number.") from error


def _number(text):
    if text == "NA":
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)
