"""Chips cut into blocks: each analysed alone, wherever blocks run; failures survived; results put together."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from json import dumps
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, IonAnalysisError, LateImageError, LostWorkerError, NoLiveBeadsError
from ionanalysis.executors import map_blocks, open_executor
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.pipeline.record import RunRecord, checksum
from ionanalysis.run import Run

BLOCKS_FILE = "blocks.json"
"""Below ``sigproc_results``: how the chip was cut."""

DONE, KEPT, FAILED, NO_BEADS = "done", "kept", "failed", "no live beads"


@dataclass(frozen=True)
class BlockOutcome:
    """How the work on one block ended; `message` says why, where it did not go well."""

    status: str
    message: str = ""


@dataclass(frozen=True)
class BlockPlan:
    """The blocks of a chip, and which of them have failed so far.

    `run` is None where no raw images are at hand; `checksums` are those of the input files, by their names.
    """

    blocks: tuple[Block, ...]
    run: Run | None = None
    checksums: dict = field(default_factory=dict)
    failed: dict[Block, str] = field(default_factory=dict)
    """What is wrong with each block that has no result."""
    missing: dict[Block, str] = field(default_factory=dict)
    """Blocks that the log tells of and that have no images."""
    empty: dict[Block, str] = field(default_factory=dict)
    """Blocks without live beads: no failure, but there is nothing to go on with."""

    @property
    def going_on(self):
        """Blocks that neither failed nor are empty, in order."""
        return [block for block in self.blocks if block not in self.failed and block not in self.empty]

    def inputs_of(self, block):
        """Checksums of the files that a block depends on: its own, or all where images are not by block."""
        own = {name: sums for name, sums in self.checksums.items() if name.startswith(f"{block.name}/")}
        return own or self.checksums

    def save(self, folder):
        """Write how the chip is cut, and what failed."""
        content = [
            {
                "name": block.name,
                "row": block.row,
                "col": block.col,
                "rows": block.n_rows,
                "cols": block.n_cols,
                "status": FAILED if block in self.failed else NO_BEADS if block in self.empty else "ok",
                "message": self.failed.get(block) or self.empty.get(block) or "",
            }
            for block in self.blocks
        ]
        write_json(folder / BLOCKS_FILE, {"blocks": content})

    @classmethod
    def load(cls, folder):
        """The plan that a former call left in ``sigproc_results``; None for chips that were not cut."""
        path = folder / BLOCKS_FILE
        if not path.is_file():
            return None
        failed: dict[Block, str] = {}
        empty: dict[Block, str] = {}
        blocks = []
        try:
            for entry in read_json(path)["blocks"]:
                block = Block(*(int(entry[name]) for name in ("row", "col", "rows", "cols")))
                blocks.append(block)
                told = {FAILED: failed, NO_BEADS: empty}.get(entry["status"])
                if told is not None:
                    told[block] = str(entry["message"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: is no list of blocks ({error}); start with --from beadfind.") from None
        return cls(tuple(blocks), failed=failed, empty=empty)


@dataclass(frozen=True)
class BlockStage:
    """What a stage does with blocks.

    Parameters
    ----------
    name : str
    folder : path
        Below which each block has its own.
    work : callable
        ``work(block, folder, n_threads)``, and what `given` gives as a last argument; picklable.
    outputs : callable
        ``outputs(folder)``: the files that the work leaves.
    given : callable, optional
        ``given(block)``: what the work on a block needs of the chip, no more than goes well through a network.
    on_done : callable, optional
        ``on_done(block)``, when a block has a result.
    """

    name: str
    folder: Path
    work: Callable
    outputs: Callable
    given: Callable | None = None
    on_done: Callable | None = None

    def folder_of(self, block):
        return self.folder / f"block_{block.name}"


def run_blocks(context, stage, key_of):
    """Do a stage's work on all blocks that are still going on; note those that fail.

    Parameters
    ----------
    context : StageContext
    stage : BlockStage
    key_of : callable
        ``key_of(block)``: all that a block's result depends on, as plain values. With `resume`, results of the same
        key whose files are whole are kept.

    Returns
    -------
    dict of Block to path
        Folders of the blocks that have a result.

    Raises
    ------
    InputError, NoLiveBeadsError
        If no block has a result.
    """
    plan, request = context.blocks, context.request
    keys = {block: {"ionanalysis": __version__, **key_of(block)} for block in plan.going_on}
    waiting = [block for block in keys if not (request.resume and _is_kept(stage, block, keys[block]))]
    on_done = stage.on_done or (lambda block: None)
    for block in [block for block in keys if block not in set(waiting)]:
        on_done(block)
    n_kept = len(keys) - len(waiting)
    if n_kept:
        context.note(f"{stage.name}: {n_kept} of {len(keys)} blocks were finished before.")
    outer, inner = _threads(context)
    with open_executor(outer, context.n_threads) as executor:
        work = partial(_attempt, stage.work, inner, stage.folder)
        # Made one by one, as they are handed out.
        parts = ((block, (stage.given(block),) if stage.given else ()) for block in waiting)
        outcomes = map_blocks(executor, work, parts)
        for done, (block, outcome) in enumerate(zip(waiting, outcomes, strict=True), n_kept + 1):
            _note_outcome(context, stage, block, outcome, keys[block])
            if outcome.status == DONE:
                on_done(block)
            context.progress(done, len(keys))
    plan.save(context.sigproc_dir)
    left = {block: stage.folder_of(block) for block in plan.going_on}
    if not left:
        kind = InputError if plan.failed else NoLiveBeadsError
        raise kind(f"none of the {len(plan.blocks)} blocks has a result; {told(plan)}")
    return left


def told(plan):
    """What is wrong with blocks, in words."""
    lines = [f"block {block.name}: {message}" for block, message in (plan.failed | plan.empty).items()]
    more = f" ... and {len(lines) - 3} more" if len(lines) > 3 else ""
    return " ".join(lines[:3]) + more


def fingerprint(*values):
    """One number for plain values."""
    return blake2b(dumps(values, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def sums_of(*paths):
    """Checksums of files, by name."""
    return {path.name: checksum(path) for path in paths}


def link_blocks(result_dir, blocks):
    """Make ``block_X<x>_Y<y>`` below a result: links to a block's results and its place for plugins (plugin.md 1.4)."""
    for block in blocks:
        folder = result_dir / f"block_{block.name}"
        (folder / "plugin_out").mkdir(parents=True, exist_ok=True)
        for name in ("sigproc_results", "basecaller_results"):
            link = folder / name
            if not link.is_symlink():
                link.symlink_to(Path("..", name, folder.name))


def write_status(result_dir, plan, program, *, is_last=False):
    """Note how a program ended on each block, as the original does (plugin.md 1.3)."""
    for block in plan.blocks:
        folder = result_dir / f"block_{block.name}"
        folder.mkdir(exist_ok=True)
        path = folder / "blockstatus.txt"
        former = path.read_text("ascii").splitlines() if path.is_file() else []
        code = 3 if block in plan.empty else int(block in plan.failed)
        lines = [line for line in former if not line.startswith(f"{program}=")] + [f"{program}={code}"]
        write_whole(path, "\n".join(lines) + "\n")
    if is_last:
        write_whole(result_dir / "basecaller_results" / "composite_return_code.txt", f"{len(plan.failed)}\n")


def _attempt(work, n_threads, folder, part):
    """Work on a block; an error becomes an outcome, so that the other blocks go on."""
    block, given = part
    place = folder / f"block_{block.name}"
    try:
        work(block, place, n_threads, *given)
    except (LostWorkerError, LateImageError):
        # Not the block's fault: the run stops, and can be resumed.
        raise
    except NoLiveBeadsError as error:
        return BlockOutcome(NO_BEADS, str(error))
    except IonAnalysisError as error:
        return BlockOutcome(FAILED, str(error))
    except Exception as error:
        return BlockOutcome(FAILED, f"internal error: {type(error).__name__}: {error}.")
    return BlockOutcome(DONE)


def _note_outcome(context, stage, block, outcome, key):
    plan = context.blocks
    record = _record(stage, block)
    if outcome.status == DONE:
        record.start(stage.name, key)
        record.finish(stage.name, 0.0, stage.outputs(stage.folder_of(block)))
        return
    (plan.empty if outcome.status == NO_BEADS else plan.failed)[block] = outcome.message
    context.note(f"{stage.name}: block {block.name} is left out: {outcome.message}")


def _is_kept(stage, block, key):
    return _record(stage, block).is_whole(stage.name, key)


def _record(stage, block):
    """What is known of the work on a block, in its folder."""
    folder = stage.folder_of(block)
    return RunRecord.read(folder, "block.json") or RunRecord(folder, {"format": 1, "stages": {}}, "block.json")


def clear(folder):
    """An empty folder for a block's result."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _threads(context):
    """The executor that blocks run on, and threads inside each block.

    Threads work on one block after the other, all of them on the same, so that one block is in memory at a time.
    """
    asked = context.request.n_threads
    kind = context.request.executor.partition(":")[0]
    if kind == "threads":
        return "threads:1", context.n_threads
    if kind != "processes":
        return context.executor, asked or 1
    n_cores = len(os.sched_getaffinity(0))
    return context.executor, asked or max(1, n_cores // context.n_threads)
