"""Barcodes at the 3' end: insert, molecular tag, handle, end adapter, end barcode, bead adapter (basecaller.md 7.4)."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis._core import ends as kernels
from ionanalysis.basecaller.handles import EXACT, HandleHits
from ionanalysis.basecaller.letters import is_plain, is_sequence, matches_at, reverse_complement
from ionanalysis.errors import InputError

_FAR = 1000
"""Flow errors of a sequence that cannot be placed."""


@dataclass(frozen=True, eq=False)
class EndBarcodes:
    """End barcodes of a run.

    Attributes
    ----------
    names : tuple of str
    barcodes : tuple of (str, str)
        Sequence and adapter of each, as they stand in a read; the adapter comes before the barcode.
    expected : ndarray of shape (n_groups,), int64
        Number of the end barcode that reads of each read group must have; -1 if none is looked for.
    single : ndarray of shape (n_groups,), bool
        Read groups whose reads stay without it, too.
    listed : bool
        From a list: any barcode of the list may go with any read group.
    """

    names: tuple[str, ...]
    barcodes: tuple[tuple[str, str], ...]
    expected: np.ndarray
    single: np.ndarray
    listed: bool = False

    def __len__(self):
        return len(self.barcodes)

    def looked_for(self, group):
        """Whether reads of the read groups `group` should have an end barcode, bool."""
        return self.expected[group] >= 0

    def named_in_header(self, number):
        """Adapter and end barcode that were cut off all reads of a read group; empty if reads differ."""
        if self.listed or self.expected[number] < 0 or self.single[number]:
            return ""
        barcode, adapter = self.barcodes[self.expected[number]]
        return adapter + barcode


def end_barcodes_of(datasets, options):
    """`EndBarcodes` of the read groups or of the list of the options; None if there are none.

    Raises
    ------
    InputError
        If a sequence is not of letters that the mode can compare.
    """
    groups = datasets.groups
    expected, single = np.full(len(groups), -1, np.int64), np.zeros(len(groups), bool)
    if options.end_barcode_list:
        names, barcodes = read_end_barcode_list(options.end_barcode_list)
        expected[list(datasets.barcoded)] = 0
        single[:] = True
        return _checked(EndBarcodes(names, barcodes, expected, single, listed=True), options)
    numbers: dict[tuple[str, str], int] = {}
    names_of = []
    for number, group in enumerate(groups):
        fields = group.fields.get("end_barcode")
        if not isinstance(fields, dict) or not group.barcode or not _wanted(group, options):
            continue
        sequence, adapter = (str(fields.get(key) or "").upper() for key in ("barcode_sequence", "barcode_adapter"))
        if not sequence:
            continue
        if (sequence, adapter) not in numbers:
            numbers[sequence, adapter] = len(numbers)
            names_of.append(str(fields.get("barcode_name") or sequence))
        expected[number] = numbers[sequence, adapter]
        single[number] = str(fields.get("analyze_as_single", "")).lower() in ("true", "1", "on", "yes")
    if not numbers:
        return None
    return _checked(EndBarcodes(tuple(names_of), tuple(numbers), expected, single), options)


def _wanted(group, options):
    rna = options.end_barcodes if options.rna_end_barcodes is None else options.rna_end_barcodes
    return rna if group.text("nucleotide_type").upper() == "RNA" else options.end_barcodes


def _checked(found, options):
    exact = options.end_barcode_mode == EXACT
    for name, (sequence, adapter) in zip(found.names, found.barcodes, strict=True):
        if not (is_plain(sequence) or (exact and is_sequence(sequence))) or not is_plain(adapter):
            raise InputError(f"end barcode {name} is {sequence!r} with adapter {adapter!r}; expected A, C, G, T.")
    return found


def read_end_barcode_list(path):
    """Names, and (sequence, adapter) pairs, of a CSV file with columns ``id_str``, ``sequence``, ``adapter``."""
    try:
        rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}).") from error
    if not rows or not {"id_str", "sequence", "adapter"} <= set(rows[0]):
        raise InputError(f"{path}: must have a line of titles, id_str, sequence and adapter, and barcodes below it.")
    texts = [[str(row.get(key) or "").strip() for key in ("id_str", "sequence", "adapter")] for row in rows]
    for line, (name, sequence, _) in enumerate(texts, 2):
        if not name or not sequence:
            raise InputError(f"{path}, line {line}: a barcode must have a name (id_str) and a sequence.")
    return tuple(text[0] for text in texts), tuple((text[1].upper(), text[2].upper()) for text in texts)


@dataclass(frozen=True, eq=False)
class EndHits:
    """End barcodes of n reads.

    `barcode` int32 of shape (n,), -1 for none; `errors` int32, flow errors in it; `adapter_failed` bool: the end
    adapter is not before it; `handles`, of the bases before that, or None; `position` int64: base with which all of
    that begins, counted from the first called one.
    """

    barcode: np.ndarray
    errors: np.ndarray
    adapter_failed: np.ndarray
    handles: HandleHits | None
    position: np.ndarray


def find_end_barcodes(called, which, adapter_hits, bead_adapters, wanted, handles, flow_order, options):
    """Find what lies between insert and bead adapter.

    Parameters
    ----------
    called : CalledReads
        Of n reads.
    which : ndarray of shape (n,), bool
        Reads to look at; only those with a bead adapter can have an end barcode.
    adapter_hits : AdapterHits
    bead_adapters : tuple of str
        As they were looked for.
    wanted : EndBarcodes
    handles : tuple of str
        Start handles; their reverse complements are looked for, if any.
    flow_order : FlowOrder
    options : BarcodeOptions

    Returns
    -------
    EndHits

    Notes
    -----
    Kernel: `ionanalysis._core.ends.align_before`, which aligns a sequence backwards from a known place.
    """
    which = which & adapter_hits.found
    place = _Place(
        np.where(which, adapter_hits.start_flow, -1).astype(np.int32),
        np.array([*map(_first_run, bead_adapters), 0], np.int32)[adapter_hits.index],
        np.where(which, adapter_hits.start_base, 0).astype(np.int64),
    )
    sequences = [barcode for barcode, _ in wanted.barcodes]
    exact = options.end_barcode_mode == EXACT
    barcode, errors, place = _best(
        called, place, sequences, flow_order, options.end_barcode_cutoff, options.end_barcode_separation, exact=exact
    )
    failed = np.zeros(len(called), bool)
    for number, (_, adapter) in enumerate(wanted.barcodes):
        own = barcode == number
        if adapter and own.any():
            there, _, moved = _best(
                called, place.of(own), [adapter], flow_order, options.end_bc_adapter_cutoff, 0, exact=False
            )
            failed |= own & (there < 0)
            place = place.moved(there >= 0, moved)
    handle_hits = None
    if handles:
        sequences = [reverse_complement(handle) for handle in handles]
        ready = (barcode >= 0) & ~failed
        exact = options.handle_mode == EXACT
        handle, n_wrong, place_of_handle = _best(
            called, place.of(ready), sequences, flow_order, options.handle_cutoff, 0, exact=exact
        )
        place = place.moved(handle >= 0, place_of_handle)
        handle_hits = HandleHits(handle, n_wrong, place.base)
    return EndHits(barcode, errors, failed, handle_hits, place.base)


def _first_run(sequence):
    return len(sequence) - len(sequence.lstrip(sequence[0]))


@dataclass(frozen=True, eq=False)
class _Place:
    """Where what follows the next sequence begins: its flow (-1: skip the read), its bases there, its first base."""

    flow: np.ndarray
    n_bases: np.ndarray
    base: np.ndarray

    def of(self, which):
        return _Place(np.where(which, self.flow, -1).astype(np.int32), self.n_bases, self.base)

    def moved(self, which, other):
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("flow", "n_bases", "base"))
        return _Place(*(np.where(which, new, old).astype(old.dtype) for old, new in pairs))


def _best(called, place, sequences, flow_order, cutoff, separation, *, exact):
    """Number (-1: none) and flow errors of the sequence that ends right before `place`, and where it begins."""
    n_reads = len(called)
    found = np.full((len(sequences), n_reads, 3), -1, np.int32)
    letters = np.frombuffer(flow_order.letters.encode("ascii"), np.uint8)
    for number, sequence in enumerate(sequences):
        if exact:
            found[number] = _exact(called, place, sequence)
            continue
        query = np.frombuffer(sequence.encode("ascii"), np.uint8)
        kernels.align_before(
            called.bases, called.base_flow, called.base_start, place.flow, place.n_bases, letters, query, found[number]
        )
    errors = np.where(found[:, :, 0] < 0, _FAR, found[:, :, 0])
    best = errors.argmin(axis=0)
    everyone = np.arange(n_reads)
    least = errors[best, everyone]
    rest = errors.copy()
    rest[best, everyone] = _FAR
    # With exact matches the first one wins.
    clear = exact | (rest.min(axis=0) - least >= separation)
    there = (least <= cutoff) & clear
    hit = found[best, everyone]
    runs = np.array([_first_run(sequence) for sequence in sequences], np.int32)[best]
    moved = place.moved(there, _Place(hit[:, 1], runs, hit[:, 2].astype(np.int64)))
    return np.where(there, best, -1).astype(np.int32), np.where(there, least, 0).astype(np.int32), moved


def _exact(called, place, sequence):
    begin = place.base - len(sequence)
    there = (place.flow >= 0) & matches_at(called, sequence, begin)
    at = np.where(there, called.base_start[:-1] + begin, 0)
    flow = called.base_flow[at] if len(called.base_flow) else np.zeros(len(called), np.int16)
    return np.where(there[:, None], np.stack([np.zeros(len(called), int), flow, begin], axis=1), -1)
