"""The log that a sequencer writes beside its images: `explog.txt` or `explog.json` (sigproc.md 1.2)."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY
from ionanalysis.io.atomic import write_whole

MAX_FLOWS = 100_000
MAX_SIDE = 65_535
"""Rows or columns that the headers of images can count."""

UNKNOWN_CYCLE = "TACG"
"""The flow order where nothing is known."""

_RESERVOIR = {"1": "G", "2": "C", "3": "A", "4": "T"}
_BLOCK_KEY = re.compile(r"block|blockstatus|(block|thumbnail)_\d+")
_REGION_SLIP = re.compile(r"Region Slip on file (\S+) (0[xX][0-9a-fA-F]+)")


@dataclass(frozen=True)
class LoggedBlock:
    """A block as the log describes it."""

    block: Block
    """Its place on the chip, in wells."""
    auto_analyze: bool = True
    """Whether it is meant to be analysed."""
    analyze_early: bool = True
    """Whether it may be analysed before the run ends."""


@dataclass(frozen=True)
class Explog:
    """A run log. Look values up by key in any spelling: ``log["Image Map"]`` is ``log["image_map"]``."""

    path: str
    """File it came from, for messages."""
    entries: tuple[tuple[str, str], ...]
    """Keys and values in the order of the file. Lines that are no ``Key: value`` have an empty key."""

    def __getitem__(self, key):
        return self._values[normal_key(key)]

    def __contains__(self, key):
        return normal_key(key) in self._values

    def get(self, key, default=None):
        """Value of `key` (the first, where there are several), or `default`."""
        return self._values.get(normal_key(key), default)

    @cached_property
    def _values(self):
        return {normal_key(key): value for key, value in reversed(self.entries) if key}

    @cached_property
    def flow_cycle(self):
        """One cycle of the flow order, without wash flows; ``TACG`` where the log has none."""
        return "".join(name for name in self._image_map if name != "W") or UNKNOWN_CYCLE

    @property
    def has_wash_flow(self):
        """Whether every cycle ends with a wash flow, which has an image but no nucleotide."""
        return "W" in self._image_map

    @cached_property
    def _image_map(self):
        return _parse_image_map(self.path, self.get("Image Map", ""))

    @cached_property
    def n_flows(self):
        """Number of flows that the run was planned with, or None: ``Flows``, else 4 per cycle."""
        n_flows = self._count("Flows", MAX_FLOWS)
        if n_flows is None:
            n_cycles = self._count("Cycles", MAX_FLOWS // 4)
            n_flows = None if n_cycles is None else 4 * n_cycles
        return n_flows

    @property
    def n_rows(self):
        """Rows of the chip, or None."""
        return self._count("Rows", MAX_SIDE)

    @property
    def n_cols(self):
        """Columns of the chip, or None."""
        return self._count("Columns", MAX_SIDE)

    @property
    def chip(self):
        """Name of the chip; ``900`` stands for what ``ChipVersion`` says. Empty where the log is silent."""
        chip = self.get("ChipType", "").strip("\"' ")
        return self.get("ChipVersion", "").strip("\"' ") or "p1.1.17" if chip == "900" else chip

    @property
    def library_key(self):
        return self.get("LibraryKeySequence", "").strip("\"' ").upper() or LIBRARY_KEY

    @cached_property
    def blocks(self):
        """The blocks that the chip was cut into (`LoggedBlock`), without thumbnails."""
        lines = [value for key, value in self.entries if _BLOCK_KEY.fullmatch(normal_key(key))]
        found = (_parse_block(self.path, line) for line in lines)
        return tuple(block for block in found if block is not None)

    @cached_property
    def region_slips(self):
        """24-bit mask of good regions by image file: bit ``23 - column`` bottom, bit ``column`` top half."""
        slips = (_REGION_SLIP.match(f"{key}: {value}" if key else value) for key, value in self.entries)
        return {slip[1]: int(slip[2], 16) & 0xFFFFFF for slip in slips if slip}

    def _count(self, key, most):
        value = self.get(key, "").strip()
        if not value:
            return None
        if not re.fullmatch(r"[0-9]{1,18}", value) or int(value) > most:
            raise InputError(f"{self.path}: {key} is {value!r}; expected a number from 0 to {most}. Correct the log.")
        return int(value)


def normal_key(key):
    """A key as it is looked up: lower case, with ``_`` for blanks and slashes.

    >>> normal_key("Cal Chip High/Low/InRange")
    'cal_chip_high_low_inrange'
    """
    return re.sub(r"\s|/+", "_", key.strip()).lower()


def read_explog(path):
    """Read a run log, text or JSON by content.

    Raises
    ------
    InputError
        If the file cannot be read, is no text, or is meant to be JSON and is not.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if "\0" in text:
        raise InputError(f"{path}: holds zero bytes where a run log is text; the file is damaged, copy it again.")
    is_json = Path(path).suffix == ".json" or text.lstrip().startswith("{")
    entries = _json_entries(path, text) if is_json else entries_of_text(text)
    return Explog(str(path), tuple(entries))


def write_explog(path, entries):
    """Write a run log, whole or not at all: JSON if `path` ends so, else text.

    Parameters
    ----------
    path : path-like
    entries : Explog, dict, or sequence of (key, value)
    """
    entries = entries.entries if isinstance(entries, Explog) else entries
    entries = list(entries.items() if isinstance(entries, dict) else entries)
    if Path(path).suffix == ".json":
        content = json.dumps({str(key): str(value) for key, value in entries if key}, indent=2) + "\n"
    else:
        lines = [f"{key}: {value}" if key else str(value) for key, value in entries]
        if any("\n" in line or "\r" in line for line in lines):
            raise InputError(f"{path}: a value of the log has a line break in it; keep each on one line.")
        content = "".join(f"{line}\n" for line in lines)
    write_whole(path, content)


def entries_of_text(text):
    """Keys and values of a text log; lines that are no ``Key: value`` have an empty key."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() and not line[0].isspace():
            yield key.strip(), value.strip()
        elif line.strip():
            yield "", line.rstrip()


def _json_entries(path, text):
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); copy it again.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is a JSON {type(content).__name__}; expected an object of keys and values.")
    for key, value in content.items():
        if isinstance(value, dict | list):
            value = json.dumps(value)
        yield str(key), "" if value is None else str(value).strip()


def _parse_image_map(path, value):
    """Names of one cycle (A, C, G, T, W) from any of the three spellings."""
    words = value.split()
    if len(words) > 1:
        places = words[1::2]
        if not all(re.fullmatch("[0-9]{1,9}", place) for place in (words[0], *places)) or len(words) != 1 + 2 * int(
            words[0]
        ):
            raise InputError(f"{path}: Image Map is {value!r}; expected a count, then an index and a name per flow.")
        pairs = sorted(zip(map(int, places), words[2::2], strict=True))
        names = [name.upper().removeprefix("R") for _, name in pairs]
        names = [_RESERVOIR.get(name, name) for name in names]
    else:
        names = list(value.strip().upper())
    if set(names) - set("ACGTW"):
        raise InputError(f"{path}: Image Map is {value!r}; expected flows of A, C, G, T or reservoirs r1 to r4.")
    return tuple(names)


def _parse_block(path, line):
    """A block from ``X0, Y0, W1288, H1332, AutoAnalyze:1, ...``; None for a thumbnail."""
    words = re.split(r"[,\s]+", line.strip())
    numbers = {word[0]: int(word[1:]) for word in words if re.fullmatch(r"[XYWH][0-9]{1,9}", word)}
    if any("thumbnail" in word.lower() for word in words) or not numbers.get("W") or not numbers.get("H"):
        return None
    if not {"X", "Y"} <= numbers.keys():
        raise InputError(f"{path}: block line {line!r} has no X and Y; correct the log.")
    flags = dict(word.split(":", 1) for word in words if ":" in word)
    return LoggedBlock(
        Block(numbers["Y"], numbers["X"], numbers["H"], numbers["W"]),
        auto_analyze=flags.get("AutoAnalyze", "1") != "0",
        analyze_early=flags.get("AnalyzeEarly", "1") != "0",
    )
