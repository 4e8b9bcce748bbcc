"""Phase estimates as JSON: ``Phasing`` and ``TrainSubset`` as in the original's files (basecaller.md 3.7)."""

import numpy as np

from ionanalysis.basecaller.noise import N_LEVELS
from ionanalysis.errors import InputError
from ionanalysis.flows import MAX_RUN, NUCS

NAMES = ("CF", "IE", "DR")


def phasing_section(values, errors, shared, n_reads, shape):
    """Section ``Phasing``: one grid of regions, its averages, and (ours) standard errors, reads and the block.

    Lists run down the columns of the grid: index = region row + region column * RegionRows.
    """
    n_rows, n_cols = values.shape[:2]
    content = dict(zip(NAMES, values.mean(axis=(0, 1)).tolist(), strict=True))
    content |= {"RegionRows": n_rows, "RegionCols": n_cols, "BlockRows": shape[0], "BlockCols": shape[1]}
    for k, name in enumerate(NAMES):
        content[f"{name}byRegion"] = values[..., k].ravel("F").tolist()
    for kind, numbers in (("Error", errors), ("SharedError", shared)):
        for k, name in enumerate(NAMES):
            content[f"{name}{kind}ByRegion"] = _plain(numbers[..., k].ravel("F"))
    content["ReadsByRegion"] = n_reads.ravel("F").tolist()
    return content


_KINDS = ("byRegion", "ErrorByRegion", "SharedErrorByRegion")
_LISTS = (*(f"{name}{kind}" for kind in _KINDS for name in NAMES), "ReadsByRegion")


def subset_section(halves):
    """Section ``TrainSubset``: one entry per half of the reads, from their `phasing_section`."""
    names = ("RegionRows", "RegionCols", *_LISTS)
    return {"TrainSubsetCount": len(halves)} | {name: [half[name] for half in halves] for name in names}


def sections_of_halves(content):
    """`Phasing`-like sections of both halves, and the section of the whole, of a file's content.

    Returns
    -------
    whole : dict or None
        ``Phasing``, or the content itself where it has no such section.
    halves : list of dict
        Two, or none where the file has no ``TrainSubset``.

    Raises
    ------
    InputError
        If the file has neither.
    """
    if not isinstance(content, dict):
        raise InputError("phase estimates must be a JSON object with the keys of `Phasing` in BaseCaller.json.")
    whole = content.get("Phasing", content if "TrainSubset" not in content else None)
    subsets = content.get("TrainSubset")
    if subsets is None:
        return whole, []
    try:
        if int(subsets["TrainSubsetCount"]) != 2:
            raise InputError(
                f"phase estimates are of {subsets['TrainSubsetCount']} parts of the reads; expected TrainSubsetCount 2."
            )
        halves = [
            {name: values[part] for name, values in subsets.items() if isinstance(values, list)} for part in range(2)
        ]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"phase estimates lack {error} in `TrainSubset`; expected the form of BaseCaller.json."
        ) from None
    return whole, halves


def read_grid(section):
    """Values, errors, their shared part and numbers of reads of a `phasing_section`, or of an entry of ``TrainSubset``.

    Regions whose rates are all 0 or less are not estimates (basecaller.md 3.3, 3.6); they get the average of
    the others.

    Returns
    -------
    values, errors, shared : ndarray of shape (n_region_rows, n_region_cols, 3), float64
    n_reads : ndarray of shape (n_region_rows, n_region_cols), int32

    Raises
    ------
    InputError
        If keys are missing, lists have the wrong length, or values are no rates.
    """
    try:
        n_rows, n_cols = int(section["RegionRows"]), int(section["RegionCols"])
        lists = [section[f"{name}byRegion"] for name in NAMES]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"phase estimates lack {error}; expected the keys of `Phasing` in BaseCaller.json.") from None
    n_regions = n_rows * n_cols
    if min(n_rows, n_cols) < 1 or any(not isinstance(part, list) or len(part) != n_regions for part in lists):
        raise InputError(f"phase estimates must have {n_rows} x {n_cols} values for each of CF, IE, DR.")
    unknown = [None] * n_regions
    try:
        values = _grid(lists, n_rows, n_cols)
        errors, shared = (
            _grid([section.get(f"{name}{kind}", unknown) for name in NAMES], n_rows, n_cols) for kind in _KINDS[1:]
        )
        n_reads = np.nan_to_num(_grid([section.get("ReadsByRegion", unknown)], n_rows, n_cols)[..., 0])
    except (TypeError, ValueError) as error:
        raise InputError(f"phase estimates must be lists of numbers ({error}).") from None
    estimated = (values > 0).any(axis=-1)
    if not (values < 1).all() or (values[estimated] < 0).any():
        raise InputError("phase estimates must be fractions per flow, at least 0, below 1.")
    if estimated.any():
        values[~estimated] = values[estimated].mean(axis=0)
    # Files of before have no shared part.
    shared = np.where(np.isnan(shared) & ~np.isnan(errors), 0.0, shared)
    return np.maximum(values, 0.0), errors, shared, n_reads.astype(np.int32)


def _grid(lists, n_rows, n_cols):
    columns = np.array([[np.nan if value is None else float(value) for value in values] for values in lists])
    return np.stack([column.reshape((n_rows, n_cols), order="F") for column in columns], axis=-1)


def _plain(values):
    """JSON has no NaN: null stands for unknown."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def response_section(response):
    """Signal of runs by nucleotide and length, from length 1 on."""
    return {nuc: [float(value) for value in row[1:]] for nuc, row in zip(NUCS, response, strict=True)}


def read_response(section):
    """The array that `response_section` was made of, float32 (4, MAX_RUN + 2); None without a section.

    Raises
    ------
    InputError
        If it is no such section, or signals do not rise with length.
    """
    if section is None:
        return None
    try:
        response = np.array([[0.0, *section[nuc]] for nuc in NUCS], np.float32)
    except (KeyError, TypeError, ValueError):
        response = np.zeros((0, 0), np.float32)
    if response.shape != (4, MAX_RUN + 2) or not np.isfinite(response).all() or (np.diff(response, axis=1) <= 0).any():
        raise InputError(
            f"`Response` of phase estimates must have {MAX_RUN + 1} rising signals for each of {', '.join(NUCS)}; "
            "estimate the phase again."
        )
    return response


def read_noise(section):
    """Noise by signal, float32 (N_LEVELS,); None without a section.

    Raises
    ------
    InputError
        If it is no list of that many numbers above 0.
    """
    if section is None:
        return None
    try:
        noise = np.array(section, np.float32)
    except (TypeError, ValueError):
        noise = np.zeros(0, np.float32)
    if noise.shape != (N_LEVELS,) or not (np.isfinite(noise) & (noise > 0)).all():
        raise InputError(
            f"`Noise` of phase estimates must have {N_LEVELS} numbers above 0, in bases; estimate the phase again."
        )
    return noise
