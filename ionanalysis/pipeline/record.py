"""`run.json`: what ran, with which inputs and options, and how far. `--resume` reads it."""

import hashlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.plugin.watch import is_alive, start_ticks

FORMAT = 1
WHOLE_BELOW = 64 << 20
"""Files up to so many bytes are hashed whole; of larger ones the size and both ends."""

_END = 1 << 20
_LIBRARIES = ("numpy", "scipy", "h5py", "mappy", "pysam", "numba", "edlib")


def checksum(path):
    """Size and BLAKE2 hash of a file.

    Hashing a chip's hundreds of gigabytes would take as long as analysing them: of a file above 64 MiB only the
    first and last MiB count, and the record says so.

    Returns
    -------
    dict with `bytes`, `blake2b` and, for a large file, `hashed`
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        digest = hashlib.blake2b(digest_size=16)
        with path.open("rb") as file:
            if size <= WHOLE_BELOW:
                while chunk := file.read(_END):
                    digest.update(chunk)
                return {"bytes": size, "blake2b": digest.hexdigest()}
            digest.update(file.read(_END))
            file.seek(-_END, 2)
            digest.update(file.read(_END))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the file and its rights.") from error
    return {"bytes": size, "blake2b": digest.hexdigest(), "hashed": "first and last MiB"}


def checksums(paths, root):
    """`checksum` of each path, by its name below `root`."""
    return {_below(path, root): checksum(path) for path in sorted(paths)}


class RunRecord:
    """The content of `run.json`, kept on disk up to date.

    Parameters
    ----------
    result_dir : Path
    content : dict
        What the file holds.
    name : str
        Of the file.
    """

    def __init__(self, result_dir, content, name="run.json"):
        self.path = result_dir / name
        self.root = result_dir
        self.content = content

    @classmethod
    def begin(cls, request, facts, inputs, options):
        """A record of a call that starts now; stages of a former call are taken over."""
        former = cls.read(request.result_dir)
        now = _now()
        content = {
            "format": FORMAT,
            "ionanalysis": __version__,
            "python": platform.python_version(),
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "host": platform.node(),
            "process": {"pid": os.getpid(), "start": start_ticks(os.getpid())},
            "command_line": request.command_line,
            "started": now,
            "finished": None,
            "status": "running",
            "run_dir": str(request.run_dir),
            "run_id": facts.run_id,
            "executor": request.executor,
            "options": options,
            "inputs": inputs,
            "stages": former.content.get("stages", {}) if former else {},
        }
        return cls(request.result_dir, content)

    @classmethod
    def read(cls, result_dir, name="run.json"):
        """The record of a result directory, None where there is none or it is broken."""
        try:
            content = read_json(result_dir / name)
        except InputError:
            return None
        return cls(result_dir, content, name) if isinstance(content, dict) and content.get("format") == FORMAT else None

    @property
    def stages(self):
        return self.content["stages"]

    @property
    def has_died(self):
        """Whether the call says that it runs, and its process, which was one of this machine, has gone."""
        process = self.content.get("process") or {}
        here = self.content.get("host") == platform.node() and "pid" in process
        return self.content.get("status") == "running" and here and not is_alive(process["pid"], process.get("start"))

    def start(self, stage, key):
        """Note that a stage starts."""
        self.stages[stage] = {"status": "running", "started": _now(), "key": key}
        self.save()

    def finish(self, stage, seconds, outputs):
        """Note that a stage is done, and what it left."""
        self.stages[stage] |= {
            "status": "done",
            "seconds": round(seconds, 3),
            "outputs": checksums(outputs, self.root),
        }
        self.save()

    def refresh(self, stage):
        """Note that a later stage has changed outputs of a finished one, as it should."""
        done = self.stages.get(stage, {})
        if done.get("status") == "done":
            paths = [self.root / name for name in done.get("outputs", {})]
            done["outputs"] = checksums([path for path in paths if path.is_file()], self.root)
            self.save()

    def mark_incomplete(self, stage, failed):
        """Note that a stage went on without some blocks, by name and reason: `--resume` tries them again."""
        self.stages[stage] |= {"status": "incomplete", "failed_blocks": failed}
        self.save()

    def stop(self, stage, status):
        """Note that a stage ended early: `interrupted` or `failed`."""
        self.stages[stage]["status"] = status
        self.close(status)

    def close(self, status):
        self.content |= {"status": status, "finished": _now()}
        self.save()

    def forget(self, stages):
        """Drop what is known of stages that are about to be made again, or rest on such."""
        for stage in stages:
            self.stages.pop(stage, None)

    def is_whole(self, stage, key):
        """Whether a stage is done, with the same inputs and options, and its files are as it left them."""
        done = self.stages.get(stage, {})
        if done.get("status") != "done" or done.get("key") != key or "outputs" not in done:
            return False
        for name, expected in done["outputs"].items():
            path = self.root / name
            if not path.is_file() or checksum(path) != expected:
                return False
        return True

    def save(self):
        write_json(self.path, self.content)


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _below(path, root):
    path = Path(path)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
