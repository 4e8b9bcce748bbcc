"""What bead finding tells about a chip or a rectangle of it, and its file ``beadfind.h5``."""

from dataclasses import dataclass, replace

import numpy as np

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.hdf5 import HDF5_ERRORS, damaged, open_hdf5
from ionanalysis.io.hdf5_writing import create_hdf5
from ionanalysis.io.mask import Mask, WellFlag
from ionanalysis.sigproc.conditioning import Conditioning
from ionanalysis.sigproc.region_beads import RegionBeads
from ionanalysis.sigproc.wellfit import WellFit

_WELL_ARRAYS = ("gain", "time_constant_s", "delay_s", "residual", "bead_probability", "usual_delay_s")


@dataclass(frozen=True, eq=False, repr=False)
class BeadMap:
    """Result of bead finding; arrays of wells have shape (rows, cols) of `block`.

    Attributes
    ----------
    block : Block
        The rectangle of the run that was analysed.
    tiles : tuple of Block
        Regions, in coordinates of `block`.
    keys : tuple of str
        Library key, then those of test fragments.
    mask : Mask
    gain, time_constant_s, delay_s, residual : ndarray, float32
        Response of each well to nucleotide flows (`WellFit`).
    usual_delay_s : ndarray, float32
        How much later than other parts of its region flows usually reach a part of it, seconds.
    bead_probability : ndarray, float32
        Probability of a bead by the time constant alone; NaN where unknown.
    key_snr, key_signal : ndarray of shape (n_keys, rows, cols), float32
        Key signal over its scatter; key signal in counts.
    tau_empty_s, noise, t0_s : ndarray of shape (n_tiles,), float32
        Time constant of empty wells; residual of a 0-mer, counts; onset of the first flow (NaN if not seen).
    frame_weight : ndarray of shape (n_tiles, n_frames), float32
    key_traces : ndarray of shape (n_tiles, n_keys, n_flows, n_frames), float64
        Sums over the wells of each key of background-subtracted traces of the first flows, counts.
    conditioning : Conditioning
        Corrections of the images that beads were found in, and signals are to be measured in.
    """

    block: Block
    tiles: tuple[Block, ...]
    keys: tuple[str, ...]
    mask: Mask
    gain: np.ndarray
    time_constant_s: np.ndarray
    delay_s: np.ndarray
    residual: np.ndarray
    bead_probability: np.ndarray
    usual_delay_s: np.ndarray
    key_snr: np.ndarray
    key_signal: np.ndarray
    tau_empty_s: np.ndarray
    noise: np.ndarray
    t0_s: np.ndarray
    frame_weight: np.ndarray
    key_traces: np.ndarray
    conditioning: Conditioning

    @classmethod
    def assembled(cls, block, tiles, keys, regions, t0_s, conditioning):
        """Put the regions' results (`RegionBeads`, in the order of `tiles`) together."""
        shape = (block.n_rows, block.n_cols)
        wells = {name: np.zeros(shape, np.float32) for name in _WELL_ARRAYS}
        flags = np.zeros(shape, np.uint16)
        scores = np.zeros((2, len(keys), *shape), np.float32)
        for tile, beads in zip(tiles, regions, strict=True):
            size = (tile.n_rows, tile.n_cols)
            flags[tile.slices] = beads.flags.reshape(size)
            values = (beads.fit.gain, np.exp(beads.fit.log_tau), beads.fit.delay_s, beads.fit.residual)
            told = (*values, beads.bead_probability, beads.usual_delay_s)
            for name, value in zip(_WELL_ARRAYS, told, strict=True):
                wells[name][tile.slices] = value.reshape(size)
            scores[(0, slice(None), *tile.slices)] = beads.key_snr.reshape(-1, *size)
            scores[(1, slice(None), *tile.slices)] = beads.key_signal.reshape(-1, *size)
        return cls(
            block=block,
            tiles=tuple(tiles),
            keys=tuple(keys),
            mask=Mask(flags),
            **wells,
            key_snr=scores[0],
            key_signal=scores[1],
            tau_empty_s=np.array([beads.tau_empty_s for beads in regions], np.float32),
            noise=np.array([beads.noise for beads in regions], np.float32),
            t0_s=np.array(t0_s, np.float32),
            frame_weight=np.array([beads.frame_weight for beads in regions], np.float32),
            key_traces=np.array([beads.key_traces for beads in regions]),
            conditioning=conditioning,
        )

    @property
    def well_t0_s(self):
        """Onset of the first flow at each well, seconds, float32 of shape (rows, cols)."""
        onset = np.empty(self.mask.shape, np.float32)
        for tile, t0 in zip(self.tiles, self.t0_s, strict=True):
            onset[tile.slices] = t0
        return onset + self.delay_s

    def region(self, index):
        """Results of one tile, wells in row-major order, as `RegionBeads`."""
        part = self.tiles[index].slices

        def flat(values):
            return values[part].ravel().astype(float)

        fit = WellFit(flat(self.gain), np.log(flat(self.time_constant_s)), flat(self.delay_s), flat(self.residual))
        return RegionBeads(
            flags=self.mask.flags[part].ravel(),
            fit=fit,
            tau_empty_s=float(self.tau_empty_s[index]),
            frame_weight=self.frame_weight[index].astype(float),
            bead_probability=flat(self.bead_probability),
            key_snr=self.key_snr[(slice(None), *part)].reshape(len(self.keys), -1).astype(float),
            key_signal=self.key_signal[(slice(None), *part)].reshape(len(self.keys), -1).astype(float),
            noise=float(self.noise[index]),
            key_traces=self.key_traces[index],
            usual_delay_s=flat(self.usual_delay_s),
        )

    def mean_key_trace(self, index):
        """Mean background-subtracted trace of the wells of a key, (n_flows, n_frames), counts; 0 without any."""
        flag = WellFlag.LIB if index == 0 else WellFlag.TF
        return self.key_traces[:, index].sum(axis=0) / max(self.mask.count(flag), 1)

    def with_mask(self, mask):
        """The same with other flags.

        Raises
        ------
        InputError
            If `mask` has another shape.
        """
        if mask.shape != self.mask.shape:
            raise InputError(f"mask of {mask.shape} wells; expected {self.mask.shape}, as the region.")
        return replace(self, mask=mask)

    def save(self, path):
        """Write ``beadfind.h5``: all arrays by name, whole or not at all."""
        with whole_file(path) as temporary, create_hdf5(temporary) as file:
            for name in _ARRAYS:
                file[name] = getattr(self, name)
            file["flags"] = self.mask.flags
            file["block"] = _corners([self.block])
            file["tiles"] = _corners(self.tiles)
            file.attrs["keys"] = " ".join(self.keys)
            file.attrs["conditioning"] = self.conditioning.to_text()

    @classmethod
    def load(cls, path):
        """Read a file written by `save`.

        Raises
        ------
        InputError
            If the file is missing or is not such a file.
        """
        try:
            with open_hdf5(path) as file:
                arrays = {name: file[name][()] for name in _ARRAYS}
                block, tiles = ([Block(*map(int, row)) for row in file[name][()]] for name in ("block", "tiles"))
                arrays["conditioning"] = Conditioning.of_text(file.attrs["conditioning"])
                return cls(block[0], tuple(tiles), tuple(file.attrs["keys"].split()), Mask(file["flags"][()]), **arrays)
        except HDF5_ERRORS as error:
            raise damaged(path, error) from error
        except (TypeError, IndexError, ValueError) as error:
            raise InputError(f"{path}: is no bead-finding result of this program; find beads again.") from error

    def __repr__(self):
        facts = ", ".join(
            f"{self.mask.count(flag)} {name}"
            for name, flag in (
                ("library", WellFlag.LIB),
                ("test fragments", WellFlag.TF),
                ("duds", WellFlag.DUD),
                ("empty", WellFlag.EMPTY),
                ("ignored", WellFlag.IGNORE),
                ("pinned", WellFlag.PINNED),
            )
        )
        return f"<BeadMap: {self.block.n_rows} x {self.block.n_cols} wells in {len(self.tiles)} regions; {facts}>"


_ARRAYS = (*_WELL_ARRAYS, "key_snr", "key_signal", "tau_empty_s", "noise", "t0_s", "frame_weight", "key_traces")


def _corners(blocks):
    return np.array([(b.row, b.col, b.n_rows, b.n_cols) for b in blocks], np.int32)
