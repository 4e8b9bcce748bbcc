"""A run directory as an object: chip, flow order, keys, flows, blocks, images (sigproc.md 1.1)."""

import hashlib
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from ionanalysis.blocks import Block, as_block, block_offset
from ionanalysis.errors import InputError, LateImageError
from ionanalysis.flows import LIBRARY_KEY, TF_KEY, FlowOrder
from ionanalysis.io.dat import DatHeader, open_dat, read_header
from ionanalysis.io.explog import UNKNOWN_CYCLE, Explog, read_explog

LOG_NAMES = ("explog.txt", "explog_final.txt", "explog.json", "explog_final.json")
BEADFIND_IMAGE = "beadfind_pre_0003.dat"


@dataclass(frozen=True)
class ImageNames:
    """How the files of a run are named."""

    prefix: str = "acq_"
    suffix: str = ".dat"
    wash_every: int = 0
    """Flows after which a wash image lies between those of the flows; 0: none."""

    def flow(self, flow):
        """File name of a flow."""
        number = flow + (flow // self.wash_every if self.wash_every else 0)
        return f"{self.prefix}{number:04d}{self.suffix}"


@dataclass(frozen=True)
class Patience:
    """How a run that is still being written is waited for."""

    limit_s: float
    """Longest time between two images."""
    poll_s: float = 1.0
    """Time between two looks."""
    settle_s: float = 60.0
    """Time after which a last image that has not changed is complete, though nothing says that the run has ended."""


@dataclass(frozen=True, repr=False)
class Run:
    """A run, or one block of it. Small and picklable: images are read when asked for."""

    path: Path
    """Directory of the images, absolute."""
    chip: str
    """Name of the chip; empty where no log tells it."""
    n_rows: int
    n_cols: int
    flow_order: FlowOrder
    library_key: str
    tf_key: str
    offset: tuple[int, int]
    """Row and column of the first well on the chip."""
    blocks: tuple[Block, ...]
    """Blocks with a directory of their own; else one that covers all wells."""
    run_id: str
    """Five characters, the same for all blocks of a run."""
    explog: Explog | None = None
    names: ImageNames = field(default_factory=ImageNames)
    window: Block | None = None
    """The part of the images that belongs to the run; None for all of them."""
    whole_shape: tuple[int, int] | None = None
    """Rows and columns of the images where `window` is a part of them."""
    patience: Patience | None = None
    """Given for a run that is still being written: its images are waited for."""

    @property
    def n_flows(self):
        return self.flow_order.n_flows

    @property
    def is_composite(self):
        """Whether the images lie in one directory per block; see `open_block`."""
        return not (self.path / self.names.flow(0)).exists() and _block_path(self.path, self.blocks[0]).is_dir()

    def flow_path(self, flow):
        """Path of the image of a flow, whether it exists or not."""
        if not 0 <= flow < self.n_flows:
            raise InputError(f"{self.path}: there is no flow {flow}; the run has flows 0 to {self.n_flows - 1}.")
        return self.path / self.names.flow(flow)

    def flow(self, flow, rows=slice(None), cols=slice(None), *, check=True):
        """Image of a flow, or of a window of it, decoded on first use; see `ionanalysis.io.dat.read_dat`."""
        path = self.flow_path(flow)
        if not path.exists():
            if self.is_composite:
                raise InputError(f"{self.path}: has images by block; open one with open_block().")
            raise InputError(f"{path}: flow {flow} is missing; {_ranges(self.present_flows())}. Copy it again.")
        return self._expect_size(open_dat(path, *self._in_images(rows, cols), check=check), path)

    def beadfind(self, rows=slice(None), cols=slice(None), *, check=True):
        """Image of the bead-finding flow used by default, or None where there is none."""
        path = self.path / BEADFIND_IMAGE
        if not path.exists():
            return None
        return self._expect_size(open_dat(path, *self._in_images(rows, cols), check=check), path)

    def present_flows(self):
        """Flows whose image exists, in order."""
        found = self.path.glob(f"{_literal(self.names.prefix)}*{_literal(self.names.suffix)}")
        there = {path.name for path in found if path.is_file()}
        return [flow for flow in range(self.n_flows) if self.names.flow(flow) in there]

    def is_complete(self, flow):
        """Whether the image of a flow exists and is not being written any more."""
        if not self.flow_path(flow).exists():
            return False
        return (self.path / self.names.flow(flow + 1)).exists() or self.has_ended()

    def has_ended(self):
        """Whether the instrument has written all that it will write."""
        names = ("explog_final.txt", "explog_final.json")
        ends = [folder / name for folder in (self.path, self.path.parent) for name in names]
        return any(end.exists() for end in (*ends, self.path / "beadfind_post_0000.dat"))

    def awaited(self, flows):
        """Yield `flows`, each when its image is complete: at once, unless the run is still being written.

        Raises
        ------
        LateImageError
            If an image does not come in time.
        """
        for flow in flows:
            if self.patience:
                self._wait_for(flow, self.patience)
            yield flow

    def read_ahead(self, flow):
        """Let the system read the image of a flow, if there is one, from now on."""
        if flow >= self.n_flows or not hasattr(os, "posix_fadvise"):
            return
        with suppress(OSError), self.flow_path(flow).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

    def _wait_for(self, flow, patience):
        given_up = time.monotonic() + patience.limit_s
        # Once the run has ended nobody writes a missing image any more: whoever reads it says so.
        while not (self.is_complete(flow) or self.has_ended() or self._has_settled(flow, patience)):
            if time.monotonic() >= given_up:
                raise LateImageError(
                    f"{self.flow_path(flow)}: is not there or not complete after {patience.limit_s:g} s, and no "
                    "explog_final.txt ends the run; the same command with --resume waits again."
                )
            time.sleep(patience.poll_s)

    def _has_settled(self, flow, patience):
        path = self.flow_path(flow)
        return flow == self.n_flows - 1 and path.exists() and time.time() - path.stat().st_mtime > patience.settle_s

    def expect_flows(self, n_flows=None):
        """Raise `InputError` unless the images of all (or the first `n_flows`) flows exist, or are waited for."""
        if self.patience and not self.has_ended():
            return
        present = self.present_flows()
        missing = sorted(set(range(self.n_flows if n_flows is None else n_flows)) - set(present))
        if missing:
            raise InputError(
                f"{self.path}: {_counted(len(missing))} no image, the first is flow {missing[0]} "
                f"({self.names.flow(missing[0])}); {_ranges(present)}. Copy the run again."
            )

    def missing_blocks(self):
        """Blocks that the log wants analysed and that have no images, in the order of the log."""
        if not self.explog or not self.is_composite:
            return ()
        wanted = (logged.block for logged in self.explog.blocks if logged.auto_analyze)
        return tuple(block for block in wanted if block not in self.blocks)

    def open_block(self, block):
        """The run of one block: of its directory, where images lie in one directory per block, else of a window.

        Raises
        ------
        InputError
            If the block is none of the chip's directories, or reaches beyond the images.
        """
        whole = Block(0, 0, block.n_rows, block.n_cols)
        size = {"n_rows": block.n_rows, "n_cols": block.n_cols, "blocks": (whole,)}
        if self.is_composite:
            path = _block_path(self.path, block)
            if block not in self.blocks:
                raise InputError(f"{path}: has no images of a block of {block.n_rows} x {block.n_cols} wells.")
            return replace(self, path=path, offset=(block.row, block.col), **size)
        as_block(block, self.n_rows, self.n_cols)
        offset = (self.offset[0] + block.row, self.offset[1] + block.col)
        return replace(self, offset=offset, window=block, whole_shape=(self.n_rows, self.n_cols), **size)

    def _in_images(self, rows, cols):
        """Rows and columns of the run as those of its images."""
        if self.window is None:
            return rows, cols
        placed = []
        for part, first, size in ((rows, self.window.row, self.n_rows), (cols, self.window.col, self.n_cols)):
            start, stop, step = part.indices(size)
            placed.append(slice(first + start, first + stop, step))
        return placed

    def _expect_size(self, image, path):
        header, expected = image.header, self.whole_shape or (self.n_rows, self.n_cols)
        if (header.n_rows, header.n_cols) != expected:
            raise InputError(
                f"{path}: has {header.n_rows} x {header.n_cols} wells, the run {expected[0]} x {expected[1]}; "
                "all images of a run must have the same size. Copy it again."
            )
        return image

    def __repr__(self):
        blocks = f"{len(self.blocks)} block{'s' * (len(self.blocks) != 1)}"
        size = f"{self.n_rows} x {self.n_cols} wells"
        return (
            f"<Run {self.run_id}: {self.path.name}, chip {self.chip or 'unknown'}, {size}, "
            f"{self.n_flows} flows of {self.flow_order.cycle}, {blocks}>"
        )


def open_run(path, *, flow_order=None, library_key=None, tf_key=TF_KEY, run_id=None, prefix="acq_", suffix=".dat"):
    """Open a run directory, a block of one, or a thumbnail.

    Parameters
    ----------
    path : path-like
        Directory with ``acq_0000.dat``, ..., or with directories ``X<col>_Y<row>`` of them.
    flow_order : str, optional
        Nucleotides of one cycle; from the log by default, ``TACG`` where there is none.
    library_key, tf_key : str, optional
        Keys of library fragments (from the log by default) and test fragments.
    run_id : str, optional
        Name of the run in reads; from the log, or else the raw data, by default.
    prefix, suffix : str
        How image files are named.

    Returns
    -------
    run : Run

    Raises
    ------
    InputError
        If there are no images, or log and images contradict each other.
    """
    path = Path(path).absolute()
    if not path.is_dir():
        raise InputError(f"{path}: is no directory; name the one that holds {prefix}0000{suffix}.")
    explog = find_explog(path)
    cycle = (flow_order or (explog.flow_cycle if explog else UNKNOWN_CYCLE)).upper()
    washes = len(explog.flow_cycle) if explog and explog.has_wash_flow else 0
    names = ImageNames(prefix, suffix, washes)
    first_path, blocks = _find_images(path, names, explog)
    header = read_header(first_path)
    n_rows, n_cols = (header.n_rows, header.n_cols) if not blocks else _chip_size(explog, blocks)
    return Run(
        path=path,
        chip=explog.chip if explog else "",
        n_rows=n_rows,
        n_cols=n_cols,
        flow_order=FlowOrder(cycle, _count_flows(explog, first_path.parent, names)),
        library_key=(library_key or (explog.library_key if explog else LIBRARY_KEY)).upper(),
        tf_key=tf_key.upper(),
        offset=block_offset(path.resolve().name) or (0, 0),
        blocks=blocks or (Block(0, 0, n_rows, n_cols),),
        run_id=run_id or _run_id(explog, first_path),
        explog=explog,
        names=names,
    )


def hash_run_id(text):
    """Five characters A-Z, 0-9 that stand for `text` (basecaller.md 1.7).

    >>> hash_run_id("R_2014_01_01")
    'Y7LMU'
    """
    data = text.encode("ascii", errors="replace")
    value = len(data)
    for byte in data:
        value = ((value << 5) ^ (value >> 27) ^ byte) & 0xFFFFFFFF
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(letters[value // 36**place % 36] for place in (4, 3, 2, 1, 0))


def find_explog(path):
    """The log of a run directory or, for a block or a thumbnail, one directory up; None if there is none."""
    for directory in (path, path.parent) if _is_part(path) else (path,):
        for name in LOG_NAMES:
            found = directory / name
            if found.is_file() and found.stat().st_size:
                return read_explog(found)
    return None


def _is_part(path):
    name = path.resolve().name
    return name == "thumbnail" or block_offset(name) is not None


def _find_images(path, names, explog):
    """The first image that can be read, and the blocks of a composite run (empty for others)."""
    first = path / names.flow(0)
    if first.is_file():
        return first, ()
    logged = {entry.block.name: entry.block for entry in explog.blocks} if explog else {}
    found, readable = [], []
    for directory in path.iterdir():
        if re.fullmatch(r"X\d+_Y\d+", directory.name) and (directory / names.flow(0)).is_file():
            row, col = block_offset(directory.name)
            try:
                header: DatHeader = read_header(directory / names.flow(0))
            except InputError:
                # One bad block must not stop the others; it is found out when its turn comes.
                if directory.name not in logged:
                    raise
                found.append(logged[directory.name])
                continue
            found.append(Block(row, col, header.n_rows, header.n_cols))
            readable.append(found[-1])
    if not found:
        raise InputError(
            f"{path}: has neither {names.flow(0)} nor blocks X0_Y0, ... with it; name a raw run directory."
        )
    blocks = tuple(sorted(found))
    return _block_path(path, min(readable, default=blocks[0])) / names.flow(0), blocks


def _chip_size(explog, blocks):
    """Rows and columns of a chip cut into blocks, some of which may be missing."""
    logged = (explog.n_rows or 0, explog.n_cols or 0) if explog else (0, 0)
    n_rows = max(block.row + block.n_rows for block in blocks)
    n_cols = max(block.col + block.n_cols for block in blocks)
    return max(n_rows, logged[0]), max(n_cols, logged[1])


def _block_path(path, block):
    return path / block.name


def _count_flows(explog, directory, names):
    n_flows = explog.n_flows if explog else None
    if n_flows:
        return n_flows
    n_flows = 0
    while (directory / names.flow(n_flows)).is_file():
        n_flows += 1
    return n_flows


def find_run_id(directory, explog=None):
    """Five characters that `open_run` gives a run directory; None if neither a log nor an image tells the run."""
    return _run_id(explog, Path(directory) / ImageNames().flow(0))


def _run_id(explog, first_path):
    """From what the instrument says about the run, else from its first image; never from a path."""
    told = [explog.get(key, "") for key in ("Experiment Name", "Start Time", "Serial Number")] if explog else []
    if any(told):
        return hash_run_id("\n".join(told))
    if not first_path.is_file():
        return None
    with first_path.open("rb") as image:
        return hash_run_id(hashlib.file_digest(image, "sha256").hexdigest())


def _literal(text):
    """`text` as a glob pattern that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", text)


def _counted(n_flows):
    return "1 flow has" if n_flows == 1 else f"{n_flows} flows have"


def _ranges(flows):
    """Flows in words: ``flows 0 to 3, 7 exist``."""
    if not flows:
        return "no flow exists"
    parts, start = [], flows[0]
    for flow, following in zip(flows, [*flows[1:], None], strict=True):
        if following != flow + 1:
            parts.append(f"{start} to {flow}" if start != flow else f"{flow}")
            start = following
    return f"flows {', '.join(parts[:20])}{', ...' * (len(parts) > 20)} exist"
