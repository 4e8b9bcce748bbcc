"""Handles, the PCR primers between barcode and insert (basecaller.md 7.3), and files that name them (7.6)."""

from dataclasses import dataclass

import numpy as np

from ionanalysis.basecaller.barcodes import run_lengths
from ionanalysis.basecaller.letters import is_plain, is_sequence, matches_at
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.jsonfile import read_json

EXACT = 0


@dataclass(frozen=True, eq=False)
class HandleHits:
    """Handles of n reads.

    `handle` int32 of shape (n,), -1 for none; `errors` int32, flow errors; `position` int64, the base behind a start
    handle or the first one of an end handle, counted from the first called one.
    """

    handle: np.ndarray
    errors: np.ndarray
    position: np.ndarray


def check_handles(handles, templates, options):
    """Raise `InputError` unless handles can be looked for in the way that is asked for."""
    for handle in handles:
        if not handle or not (is_plain(handle) or (options.handle_mode == EXACT and is_sequence(handle))):
            raise InputError(f"handle {handle!r} must be letters A, C, G, T (with --handle-mode 0, any IUPAC code).")
    if not handles or templates is None or options.handle_mode == EXACT:
        return
    if not templates.synchronised:
        raise InputError("the barcodes end in different flows; handles can only be found with --handle-mode 0.")
    for sequence in templates.sequences:
        if any(handle[0] == sequence[-1] for handle in handles):
            raise InputError(
                f"a handle begins with {sequence[-1]}, the last base of a barcode's adapter; the two cannot be told "
                "apart in flows, use --handle-mode 0."
            )


def find_start_handles(called, begin, which, flow_order, handles, options):
    """Find the handle that follows the barcode of each read.

    Parameters
    ----------
    called : CalledReads
        Of n reads.
    begin : ndarray of shape (n,), int64
        First base behind the barcode's adapter.
    which : ndarray of shape (n,), bool
        Reads to look at: those with a barcode.
    flow_order : FlowOrder
    handles : tuple of str
    options : BarcodeOptions
        `handle_mode`, `handle_cutoff`.

    Returns
    -------
    HandleHits
    """
    n_reads = len(called)
    hits = HandleHits(np.full(n_reads, -1, np.int32), np.zeros(n_reads, np.int32), np.array(begin, np.int64))
    which = which & (begin > 0)
    if options.handle_mode == EXACT:
        for number in range(len(handles) - 1, -1, -1):
            there = which & matches_at(called, handles[number], begin)
            hits.handle[there], hits.position[there] = number, begin[there] + len(handles[number])
        return hits
    reads = np.flatnonzero(which)
    chosen = called[reads]
    start_of = chosen.base_flow[chosen.base_start[:-1] + begin[reads] - 1]
    for start in np.unique(start_of):
        own = np.flatnonzero(start_of == start)
        _align(chosen[own], begin[reads[own]], int(start), reads[own], flow_order, handles, options, hits)
    return hits


def _align(called, begin, start, reads, flow_order, handles, options, hits):
    """Fill `hits` of reads whose barcode ends in flow `start`."""
    rest = FlowOrder(flow_order.letters[start:], len(flow_order) - start) if start < len(flow_order) else None
    flows = [rest.base_flows(handle) if rest else np.array([len(flow_order)]) for handle in handles]
    n_flows = min(max(int(placed[-1]) for placed in flows) + 1, len(flow_order) - start)
    seen = run_lengths(called, start + n_flows, begin)[:, start:]
    least = np.full(len(reads), options.handle_cutoff + 1, np.int64)
    for number, placed in enumerate(flows):
        last = int(placed[-1])
        if last >= n_flows:
            continue
        wanted = np.bincount(placed, minlength=last + 1)
        off = seen[:, : last + 1] - wanted
        errors = np.abs(off[:, :-1]).sum(axis=1) + np.maximum(-off[:, -1], 0)
        better = errors < least
        n_bases = seen[:, :last].sum(axis=1) + np.minimum(seen[:, last], wanted[-1])
        least = np.where(better, errors, least)
        hits.handle[reads[better]], hits.errors[reads[better]] = number, errors[better]
        hits.position[reads[better]] = (begin + n_bases)[better]


@dataclass(frozen=True)
class ReadStructure:
    """What a named read structure sets: handles, and the tags before and behind the insert."""

    handles: tuple[str, ...] = ()
    prefix_tag: str = ""
    suffix_tag: str = ""


def read_structure(path, name):
    """The read structure `name` of a structure file.

    Parameters
    ----------
    path : path
        JSON: by name, ``handle``, an object of sequences by name, and ``tag``, an object with ``PT`` and ``ST``.
    name : str

    Raises
    ------
    InputError
        If the file has no such structure, or its sequences are not plain text.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get(name), dict):
        raise InputError(f"{path}: has no read structure {name!r}; choose one of {', '.join(map(str, content))}.")
    entry = content[name]
    named, tag = entry.get("handle") or {}, entry.get("tag") or {}
    if not isinstance(named, dict) or not isinstance(tag, dict):
        raise InputError(f"{path}: read structure {name} must hold the objects handle and tag.")
    handles = tuple(str(sequence).upper() for sequence in named.values())
    tags = [str(tag.get(key) or "").upper() for key in ("PT", "ST")]
    for sequence in (*handles, *tags):
        if not is_sequence(sequence):
            raise InputError(
                f"{path}: read structure {name} has the sequence {sequence!r}; sequences must be plain text, encoded "
                "ones of the original are not read."
            )
    return ReadStructure(handles, *tags)
