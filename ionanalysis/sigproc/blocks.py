"""The files of ``sigproc_results`` of a chip from those of its blocks (sigproc.md 8)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.io.fit_parameters import FIT_FILE, write_merged
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.io.mask import Mask, WellFlag, read_mask
from ionanalysis.sigproc.beadmap import BeadMap
from ionanalysis.sigproc.stage import (
    BEADFIND_FILE,
    METRICS_FILE,
    counted_wells,
    wells_info,
    write_key_traces,
    write_mask_files,
    write_parameters,
    write_pins,
)
from ionanalysis.wells import WellsWriter, open_wells

_ROWS_AT_ONCE = 50


@dataclass(frozen=True, eq=False)
class ChipBeads:
    """What the files of a chip tell of its bead finding: a `BeadMap` without values per well.

    Attributes
    ----------
    mask : Mask
        Of the chip; wells of blocks without a result are excluded.
    tiles : tuple of Block
        Regions, in rows and columns of the chip, in the order in which the chip itself would be cut.
    keys : tuple of str
    frame_weight : ndarray of shape (n_tiles, n_frames)
    key_traces : ndarray of shape (n_tiles, n_keys, n_flows, n_frames)
        Sums over the wells of each key.
    library_key_snr, library_key_signal : ndarray of shape (n_library_wells,)
    """

    mask: Mask
    tiles: tuple[Block, ...]
    keys: tuple[str, ...]
    frame_weight: np.ndarray
    key_traces: np.ndarray
    library_key_snr: np.ndarray
    library_key_signal: np.ndarray

    @classmethod
    def of_blocks(cls, folders, shape):
        """Read those of blocks, one after the other; `folders` gives each block's."""
        flags = np.full(shape, WellFlag.EXCLUDE, np.uint16)
        regions, snr, signal, keys = {}, [], [], ()
        for block, folder in folders.items():
            beads = BeadMap.load(Path(folder) / BEADFIND_FILE)
            flags[block.slices], keys = beads.mask.flags, beads.keys
            library = beads.mask.matches(WellFlag.LIB)
            snr.append(beads.key_snr[0][library])
            signal.append(beads.key_signal[0][library])
            for index, tile in enumerate(beads.tiles):
                placed = Block(tile.row + block.row, tile.col + block.col, tile.n_rows, tile.n_cols)
                regions[placed] = beads.frame_weight[index], beads.key_traces[index]
        tiles = tuple(sorted(regions))
        n_frames = len(regions[tiles[0]][0])
        # Blocks with other frames have a time scale of their own: their traces cannot be averaged with these.
        alike = [regions[tile] for tile in tiles if len(regions[tile][0]) == n_frames]
        return cls(
            Mask(flags),
            tiles,
            keys,
            np.array([weight for weight, _ in alike]),
            np.array([traces for _, traces in alike]),
            np.concatenate(snr),
            np.concatenate(signal),
        )

    def mean_key_trace(self, index):
        """As `BeadMap.mean_key_trace`: the average of all blocks, weighted by their beads."""
        flag = WellFlag.LIB if index == 0 else WellFlag.TF
        return self.key_traces[:, index].sum(axis=0) / max(self.mask.count(flag), 1)


def merge_beadfind(run, folders, out_dir):
    """Write ``bfmask.*``, ``avgNukeTrace_<KEY>.txt`` and ``processParameters.txt`` of a chip.

    Parameters
    ----------
    run : Run
        Of the whole chip.
    folders : dict of Block to path
        Folders that `run_beadfind` left, at least one.
    out_dir : path
    """
    out_dir = Path(out_dir)
    beads = ChipBeads.of_blocks(folders, (run.n_rows, run.n_cols))
    write_mask_files(run, out_dir, "bfmask", beads.mask)
    for index, key in enumerate(beads.keys):
        write_key_traces(out_dir / f"avgNukeTrace_{key}.txt", run, beads, index)
    write_parameters(run, out_dir, beads)


def merge_signals(run, folders, out_dir, options):
    """Write ``1.wells``, ``analysis.bfmask.*``, ``pinsPerFlow.txt`` and ``sigproc.json`` of a chip.

    With the option `fit_parameters`, ``fit_parameters.h5``, too.

    Parameters
    ----------
    run : Run
        Of the whole chip.
    folders : dict of Block to path
        Folders that `run_signals` left, at least one. Wells of other blocks have no signal and are excluded.
    out_dir : path
    options : SignalOptions
        Those that the blocks were fitted with.
    """
    out_dir, shape = Path(out_dir), (run.n_rows, run.n_cols)
    flags = np.full(shape, WellFlag.EXCLUDE, np.uint16)
    parts = {}
    for block, folder in folders.items():
        flags[block.slices] = read_mask(Path(folder) / "analysis.bfmask.bin").flags
        parts[block] = read_json(Path(folder) / METRICS_FILE)
    mask, beads = Mask(flags), ChipBeads.of_blocks(folders, shape)
    _merge_wells(run, folders, out_dir / "1.wells", options)
    write_mask_files(run, out_dir, "analysis.bfmask", mask)
    pinned = np.sum([part["pinned_per_flow"] for part in parts.values()], axis=0).tolist()
    write_pins(out_dir / "pinsPerFlow.txt", pinned, sum(block.n_wells for block in folders))
    write_parameters(run, out_dir, beads)
    regions = {(block.row, block.col, index): region for block in parts for index, region in _placed(block, parts)}
    some = next(iter(parts.values()))
    metrics = {
        "chip": run.chip,
        "rows": run.n_rows,
        "cols": run.n_cols,
        "flows": run.n_flows,
        "flow_order": run.flow_order.cycle,
        "keys": some["keys"],
        "wells": counted_wells(mask),
        "library_key_snr": np.median(beads.library_key_snr) if len(beads.library_key_snr) else None,
        "key_signal_counts": np.median(beads.library_key_signal) if len(beads.library_key_signal) else None,
        "pinned_per_flow": pinned,
        "zero_mer_residual": _pooled_residual(parts.values(), run.n_flows),
        "regions": [region for _, region in sorted(regions.items(), key=lambda item: _row_and_col(item[1]["name"]))],
    }
    write_json(out_dir / METRICS_FILE, metrics)
    (out_dir / FIT_FILE).unlink(missing_ok=True)
    if options.fit_parameters:
        write_merged(out_dir / FIT_FILE, shape, {block: Path(folder) / FIT_FILE for block, folder in folders.items()})


def _merge_wells(run, folders, path, options):
    copies_apart = options.copies_apart
    with WellsWriter(
        path, (run.n_rows, run.n_cols), run.flow_order, wells_info(run), has_copies=copies_apart
    ) as writer:
        if copies_apart:
            # Wells of blocks without a result are told from live ones as empty wells are.
            for band in Block(0, 0, run.n_rows, run.n_cols).tiles(_ROWS_AT_ONCE, run.n_cols):
                nothing = np.zeros((band.n_rows, band.n_cols, 1), np.float32)
                writer.write(band, nothing, np.full((band.n_rows, band.n_cols), -1, np.float32), slice(0, 1))
        for block, folder in folders.items():
            with open_wells(Path(folder) / "1.wells") as wells:
                for band in Block(0, 0, block.n_rows, block.n_cols).tiles(_ROWS_AT_ONCE, block.n_cols):
                    placed = Block(block.row + band.row, block.col, band.n_rows, band.n_cols)
                    writer.write(placed, wells.stored(*band.slices), wells.copies_of(*band.slices))


def _placed(block, parts):
    """Metrics of a block's regions, named by their place on the chip."""
    for index, region in enumerate(parts[block]["regions"]):
        row, col = _row_and_col(region["name"])
        yield index, region | {"name": Block(row + block.row, col + block.col, 1, 1).name}


def _row_and_col(name):
    col, row = name[1:].split("_Y")
    return int(row), int(col)


def _pooled_residual(parts, n_flows):
    """Root mean square signal of duds in each flow, from those of blocks; None without duds."""
    squares, n_duds = np.zeros(n_flows), np.zeros(n_flows)
    for part in parts:
        for flow, residual in enumerate(part["zero_mer_residual"]):
            if residual is not None:
                squares[flow] += part["wells"]["dud"] * residual**2
                n_duds[flow] += part["wells"]["dud"]
    return [float(np.sqrt(total / n)) if n else None for total, n in zip(squares, n_duds, strict=True)]
