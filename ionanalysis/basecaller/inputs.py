"""What a run of the stage reads: wells files, their masks, and what is known of the run (basecaller.md 1.1, 1.4)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.flows import LIBRARY_KEY, TF_KEY, FlowOrder
from ionanalysis.io.mask import Mask, WellFlag, read_mask
from ionanalysis.wells import is_hdf5, open_wells

MAX_FILES = 8
"""Most wells files that are added up (basecaller.md 1.1)."""


@dataclass(frozen=True, kw_only=True)
class BasecallerInputs:
    """Where the signals of a block are, and what is known of its run.

    `wells` and `mask` are paths, or tuples of as many paths: the signals of several wells files are added up.
    `datasets` is the path of a dataset file; without one, all library reads go to ``rawlib``. `offset` is
    the block's first (row, col) on the chip. `run_date` (ISO) stands in the BAM headers; without one, the
    time at which the (first) wells file was written.
    """

    wells: Path | tuple[Path, ...]
    mask: Path | tuple[Path, ...]
    run_id: str
    library_key: str = LIBRARY_KEY
    tf_key: str = TF_KEY
    flow_cycle: str = ""
    datasets: Path | None = None
    offset: tuple[int, int] = (0, 0)
    run_date: str = ""

    @property
    def wells_paths(self):
        """Paths of all wells files, as a tuple."""
        return self.wells if isinstance(self.wells, tuple) else (self.wells,)

    @property
    def mask_paths(self):
        """Path of the mask of each wells file."""
        return self.mask if isinstance(self.mask, tuple) else (self.mask,)

    @property
    def date(self):
        """`run_date`, or when the first wells file was written, UTC: the same in every run on the same input."""
        if self.run_date:
            return self.run_date
        written = int(Path(self.wells_paths[0]).stat().st_mtime)
        return datetime.fromtimestamp(written, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def open_inputs(inputs, *, ignore_washouts=False):
    """Open the wells files and read their masks.

    Returns
    -------
    parts : tuple of Wells
        Of one chip and one flow order, that of the user if `inputs` names one.
    mask : Mask
        The mask, or one made of all of them (`combine_masks`).
    files : ndarray of shape (n_rows, n_cols), uint8
        Bit i is set where file i has a usable signal.

    Raises
    ------
    InputError
        If a file is missing or damaged, or files do not fit together.
    """
    paths, mask_paths = inputs.wells_paths, inputs.mask_paths
    if not 1 <= len(paths) <= MAX_FILES or len(paths) != len(mask_paths):
        raise InputError(
            f"{len(paths)} wells files with {len(mask_paths)} masks are given; "
            f"expected 1 to {MAX_FILES}, and a mask for each."
        )
    masks = [read_mask(path) for path in mask_paths]
    parts = []
    for path, mask in zip(paths, masks, strict=True):
        wells = open_wells(path, mask)
        if is_hdf5(path):
            # Checked against the mask; only legacy files need to keep it.
            wells = open_wells(path)
        if inputs.flow_cycle:
            # The user knows better than the file; phase estimation takes the order from here.
            wells.flow_order = FlowOrder(inputs.flow_cycle, wells.shape[2])
        parts.append(wells)
    first = parts[0]
    for part in parts[1:]:
        if (part.shape, part.chip, part.flow_order.letters) != (first.shape, first.chip, first.flow_order.letters):
            raise InputError(f"{part.path}: {part!r} cannot be added to {first!r}; expected the same chip and flows.")
    mask, files = combine_masks(masks, ignore_washouts=ignore_washouts)
    return tuple(parts), mask, files


def combine_masks(masks, *, ignore_washouts=False):
    """One mask of the masks of several wells files, and which files have a usable signal for each well.

    Parameters
    ----------
    masks : list of Mask
        Of the same shape.
    ignore_washouts : bool
        Signals of washed-out wells are not usable.

    Returns
    -------
    mask : Mask
        A single mask as it is. Of several, a well has the flags of the first file with a usable signal; without
        any, of the first in which it is a read, and all bits of `WellFlag.FILTERED` that any such file gives
        it. Wells that are library in one file and test fragment in another are neither.
    files : ndarray of shape (n_rows, n_cols), uint8
        Bit i is set where mask i says live library or test fragment, and none of `WellFlag.FILTERED`.

    Notes
    -----
    Source: basecaller.md 1.4, 1.6. A verdict of signal processing stands only where no file has a usable signal.
    """
    flags = np.stack([mask.flags for mask in masks])

    def has(flag):
        return (flags & np.uint16(flag)) != 0

    live, filtered = has(WellFlag.LIVE), has(WellFlag.FILTERED)
    library, tf = live & has(WellFlag.LIB), live & has(WellFlag.TF)
    # One mask with both bits breaks its own rules; two that differ leave nothing to be sure of.
    both = library.any(axis=0) & tf.any(axis=0)
    read = (library | tf) & ~both
    usable = read & ~filtered
    if ignore_washouts:
        usable &= ~has(WellFlag.WASHOUT)
    bits = (np.uint8(1) << np.arange(len(masks), dtype=np.uint8))[:, None, None]
    files = np.bitwise_or.reduce(np.where(usable, bits, np.uint8(0)), axis=0)
    if len(masks) == 1:
        return masks[0], files
    choice = np.where(usable.any(axis=0), usable.argmax(axis=0), read.argmax(axis=0))
    combined = np.take_along_axis(flags, choice[None], axis=0)[0]
    verdicts = np.bitwise_or.reduce(np.where(read, flags & np.uint16(WellFlag.FILTERED), np.uint16(0)), axis=0)
    combined |= np.where(files == 0, verdicts, np.uint16(0))
    combined[both] &= np.uint16(~(WellFlag.LIB | WellFlag.TF) & 0xFFFF)
    return Mask(combined), files
