"""What a file holds, decided by its content; names only help where content cannot tell."""

from pathlib import Path

import numpy as np

from ionanalysis.bam.source import header_of, open_alignments, reads_of, tag_names
from ionanalysis.errors import InputError

MAX_COUNTED = 200_000_000
"""Bytes of a BAM up to which reads are counted; the number in a larger one is estimated."""

N_SAMPLED = 100_000
"""Reads from which that number is estimated."""

_TEXT = frozenset(range(32, 256)) | frozenset(b"\t\n\r\f")
_EXPLOG_KEYS = (
    "Experiment Name",
    "Flows",
    "Image Map",
    "Cycles",
    "Chip Type",
    "ChipType",
    "PGMFlowOrder",
    "Num Frames",
)


def describe(path):
    """Kind and facts of a file.

    Returns
    -------
    kind : str
        Such as ``wells`` or ``mask``.
    facts : dict
        Plain values by name.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged or of no known kind.
    """
    path = Path(path)
    kind = identify(path)
    return kind, _DESCRIBE[kind](path)


def identify(path):
    """Kind of a file.

    Raises
    ------
    InputError
        If it cannot be read or is of no known kind.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not start:
        raise InputError(f"{path}: is empty. Copy or make the file again.")
    kind = _by_signature(path, start) or _by_size(path) or _by_text(path, start) or _by_name(path)
    if not kind:
        raise InputError(
            f"{path}: is of no known kind; expected a raw image, wells, a mask, BAM, SFF, a quality table or a run log."
        )
    return kind


def _by_signature(path, start):
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5_kind(path)
    if start.startswith(b"\xde\xad\xbe\xef"):
        return "raw image"
    if start.startswith(b".sff"):
        return "SFF"
    return "BAM" if start.startswith(b"\x1f\x8b") and start[12:14] == b"BC" else None


def _hdf5_kind(path):
    from ionanalysis.io.hdf5 import HDF5_ERRORS, damaged, open_hdf5

    with open_hdf5(path) as file:
        try:
            return "wells" if "wells" in file else "quality table" if "QvTable" in file else "HDF5"
        except HDF5_ERRORS as error:
            raise damaged(path, error) from error


def _by_size(path):
    """Kinds without a signature, whose size must fit what their header says."""
    from ionanalysis.io.mask import looks_like_mask
    from ionanalysis.io.phred import looks_like_binary_table
    from ionanalysis.io.wells_legacy import looks_like_legacy_wells

    if looks_like_mask(path):
        return "barcode mask" if "barcodemask" in path.name.lower() else "mask"
    if looks_like_legacy_wells(path):
        return "wells"
    return "quality table" if looks_like_binary_table(path) else None


def _by_text(path, start):
    if not _TEXT.issuperset(start):
        return None
    lines = [line for line in start.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return None
    if lines[0].strip() == "[global]":
        return "mask statistics" if any(line.startswith("Total Wells") for line in lines) else None
    rows = [line.split() for line in lines if not line.startswith("#")]
    if rows and len(rows[0]) == 8 and all(_is_number(field) for field in rows[0]):
        return "quality table"
    if rows and len(rows[0]) == 2 and all(field.isdigit() for field in rows[0]):
        return "exclusion mask"
    return "run log" if _is_explog(path) else None


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_explog(path):
    from ionanalysis.io.explog import read_explog

    try:
        log = read_explog(path)
    except InputError:
        return False
    return any(key in log for key in _EXPLOG_KEYS)


def _by_name(path):
    """What a damaged file was meant to be, so that its own reader says what is wrong."""
    name = path.name.lower()
    named = {
        "barcodemask": "barcode mask",
        "bfmask.stats": "mask statistics",
        "mask": "mask",
        ".wells": "wells",
        ".dat": "raw image",
        ".sff": "SFF",
        ".bam": "BAM",
        "phredtable": "quality table",
    }
    return next((kind for part, kind in named.items() if part in name), None)


def _describe_image(path):
    from ionanalysis.io.dat import read_dat, read_header

    header = read_header(path)
    # A window in the middle: enough to see times and counts, cheap on the largest chip.
    rows, cols = (slice(max(0, n // 2 - 50), n // 2 + 50) for n in (header.n_rows, header.n_cols))
    image = read_dat(path, rows, cols)
    return {
        "version": header.version,
        "interlace_type": header.interlace_type,
        "rows": header.n_rows,
        "cols": header.n_cols,
        "frames": header.n_frames,
        "base_frames": image.n_base_frames,
        "duration_ms": int(image.end_times_ms[-1]),
        "sample_rate": header.sample_rate,
        "first_frame_time": header.first_frame_time,
        "counts_in_the_middle": [int(image.frames.min()), int(image.frames.max())],
    }


def _describe_wells(path):
    from ionanalysis.wells import open_wells

    with open_wells(path) as wells:
        rows, cols, flows = wells.shape
        middle = wells[rows // 2 : rows // 2 + 50, cols // 2 : cols // 2 + 50]
        return {
            "rows": rows,
            "cols": cols,
            "flows": flows,
            "flow_order": wells.flow_order.cycle,
            "chip": wells.chip or None,
            "stored_as": wells.form,
            "stored_range": wells.scale and list(wells.scale),
            "chunks": wells.chunks and list(wells.chunks),
            "copies_apart": wells.copies is not None,
            "wells_with_signal": int(np.count_nonzero(wells.present)),
            "signals_in_the_middle": [round(float(middle.min()), 4), round(float(middle.max()), 4)],
            "info": wells.info,
        }


def _describe_mask(path):
    from ionanalysis.io.mask import WellFlag, inconsistencies, read_mask

    mask = read_mask(path)
    counts = {flag.name.lower(): mask.count(flag) for flag in WellFlag if flag.name}
    return _size(mask.shape) | {"wells": counts, "inconsistencies": inconsistencies(mask)}


def _describe_barcode_mask(path):
    from ionanalysis.io.mask import NO_READ, read_barcode_mask

    numbers = read_barcode_mask(path)
    found, counts = np.unique(numbers, return_counts=True)
    reads = {int(n): int(count) for n, count in zip(found, counts, strict=True)}
    no_read = reads.pop(NO_READ, 0)
    return _size(numbers.shape) | {"wells_without_read": no_read, "no_match": reads.pop(0, 0), "reads": reads}


def _describe_exclusion_mask(path):
    from ionanalysis.io.mask import WellFlag, read_exclusion_mask

    mask = read_exclusion_mask(path)
    return _size(mask.shape) | {"excluded": mask.count(WellFlag.EXCLUDE)}


def _describe_mask_statistics(path):
    from ionanalysis.io.mask_stats import read_mask_stats

    return read_mask_stats(path)


def _describe_sff(path):
    from ionanalysis.io.sff import open_sff

    sff = open_sff(path)
    lengths = [(len(read.bases), read.kept.stop - read.kept.start) for read in sff]
    bases, kept = (int(n) for n in np.sum(lengths, axis=0)) if lengths else (0, 0)
    return {
        "reads": len(sff),
        "bases": bases,
        "bases_after_clips": kept,
        "mean_length_after_clips": round(kept / len(sff), 1) if lengths else None,
        "flows": len(sff.header.flow_letters),
        "flow_order": sff.header.flow_letters,
        "key": sff.header.key,
        "index": sff.header.index_kind,
        "manifest": sff.header.manifest is not None,
    }


def _describe_table(path):
    from ionanalysis.io.phred import read_phred_table

    table = read_phred_table(path)
    return {
        "predictors": len(table.cuts),
        "cuts": list(table.values.shape),
        "cells": table.values.size,
        "qualities": [int(table.values.min()), int(table.values.max())],
        "made_for_flows": table.flow_errors is not None,
    }


def _describe_log(path):
    from ionanalysis.io.explog import read_explog

    return {key: value for key, value in read_explog(path).entries if key}


def _describe_hdf5(path):
    import h5py

    from ionanalysis.io.hdf5 import HDF5_ERRORS, damaged, open_hdf5

    datasets = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            datasets[name] = f"{item.dtype} {' x '.join(map(str, item.shape)) or 'single value'}"

    with open_hdf5(path) as file:
        try:
            file.visititems(note)
        except HDF5_ERRORS as error:
            raise damaged(path, error) from error
    return {"datasets": datasets}


def _describe_bam(path):
    with open_alignments(path) as bam:
        return _bam_header(bam) | _bam_reads(bam, path.stat().st_size)


def _bam_header(bam):
    header = header_of(bam)
    groups = header.get("RG", [])
    return {
        "sort_order": header.get("HD", {}).get("SO"),
        "references": len(header.get("SQ", [])),
        "flows": sorted({len(group["FO"]) for group in groups if "FO" in group}),
        "read_groups": {
            group.get("ID", ""): {name: group[key] for name, key in (("key", "KS"), ("sample", "SM")) if key in group}
            for group in groups
        },
        "programs": [" ".join(filter(None, (p.get("ID"), p.get("VN")))) for p in header.get("PG", [])],
    }


def _bam_reads(bam, n_bytes):
    n_reads = n_mapped = n_bases = 0
    tags: set[str] = set()
    first, is_estimate = bam.tell() >> 16, False
    for read in reads_of(bam):
        n_reads += 1
        n_mapped += not read.is_unmapped
        n_bases += read.query_length
        if n_reads <= 1000:
            tags.update(tag_names(read))
        if n_bytes > MAX_COUNTED and n_reads == N_SAMPLED:
            is_estimate = True
            break
    told = round(n_reads * (n_bytes - first) / max(1, (bam.tell() >> 16) - first)) if is_estimate else n_reads
    return {
        "reads": told,
        "reads_estimated": is_estimate,
        "mapped_fraction": round(n_mapped / n_reads, 4) if n_reads else None,
        "mean_length": round(n_bases / n_reads, 1) if n_reads else None,
        "tags": sorted(tags),
    }


def _size(shape):
    return {"rows": shape[0], "cols": shape[1]}


_DESCRIBE = {
    "raw image": _describe_image,
    "wells": _describe_wells,
    "mask": _describe_mask,
    "barcode mask": _describe_barcode_mask,
    "exclusion mask": _describe_exclusion_mask,
    "mask statistics": _describe_mask_statistics,
    "BAM": _describe_bam,
    "SFF": _describe_sff,
    "quality table": _describe_table,
    "run log": _describe_log,
    "HDF5": _describe_hdf5,
}
