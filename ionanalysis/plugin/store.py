"""Installed plugins: install, upgrade, remove, find (plugin.md 2.8)."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ionanalysis.errors import OutputError
from ionanalysis.plugin.archive import copy_plugin, unpack_plugin
from ionanalysis.plugin.base import UNKNOWN
from ionanalysis.plugin.inspection import RESERVED_NAMES, check_name, inspect_plugin
from ionanalysis.plugin.questions import TIME_LIMIT_S, PluginError
from ionanalysis.plugin.records import PluginRecord, deactivated, read_records, with_record, write_records
from ionanalysis.plugin.versions import LooseVersion

SHIPPED = Path(__file__).parent / "shipped"
"""Plugins that come with the package, installable by name."""

_MAX_ARCHIVED = 50 << 20
"""Bytes up to which a version that is replaced is kept in ``archive``."""


def plugin_root(option=None):
    """Where plugins are installed: `option`, else ``$IONANALYSIS_PLUGINS``, else ``$IONANALYSIS_HOME/plugins``.

    `IONANALYSIS_HOME` is ``~/.ionanalysis`` where it is not set.
    """
    chosen = option or os.environ.get("IONANALYSIS_PLUGINS")
    if chosen:
        return Path(chosen).expanduser().absolute()
    home = os.environ.get("IONANALYSIS_HOME") or "~/.ionanalysis"
    return Path(home).expanduser().absolute() / "plugins"


def shipped_plugins():
    """Names of the plugins that come with the package."""
    return tuple(sorted(path.name for path in SHIPPED.iterdir() if (path / f"{path.name}.py").is_file()))


class PluginStore:
    """The plugins of one root folder.

    Reading needs no lock: ``plugins.json`` is replaced as a whole. Whatever changes files holds a lock on the folder,
    so that two processes can install at a time.

    Parameters
    ----------
    root : path, optional
        See `plugin_root`.
    time_limit_s : float
        Seconds that a plugin may take to be imported when it is installed.
    """

    def __init__(self, root=None, *, time_limit_s=TIME_LIMIT_S):
        self.root = plugin_root(root)
        self.time_limit_s = time_limit_s

    @property
    def scratch(self):
        """Folder that plugins may write to (``TSP_PLUGIN_SCRATCH``)."""
        return self.root / "scratch"

    def records(self):
        """All records (`PluginRecord`), those of removed plugins, too."""
        return read_records(self.root)

    def installed(self):
        """Records of what is installed now, by name."""
        return tuple(sorted((record for record in self.records() if record.active), key=lambda record: record.name))

    def find(self, name):
        """Record of an installed plugin.

        Raises
        ------
        PluginError
            If it is not installed.
        """
        found = next((record for record in self.installed() if record.name == name), None)
        if found is None:
            known = ", ".join(record.name for record in self.installed()) or "none"
            raise PluginError(f"{name}: is not installed in {self.root} (installed: {known}).")
        return found

    def install(self, source, *, tier=None, must_exist=False):
        """Install or upgrade a plugin.

        Parameters
        ----------
        source : path or str
            A zip archive, a folder, or the name of a shipped plugin.
        tier : {"native", "compat", "legacy"}, optional
            How its Python is set up; by default as before, else native for shipped plugins and compat for others.
        must_exist : bool
            Refuse a plugin of which no version is installed.

        Returns
        -------
        record : PluginRecord
        replaced : PluginRecord or None
            Record of the version that was active before.

        Raises
        ------
        PluginError
            If the source is no plugin that can be loaded, or not newer than what is installed; nothing has changed.
        """
        source, is_shipped = _source(source)
        tier = tier or ("native" if is_shipped else None)
        with self._locked():
            staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=self.root))
            try:
                folder = copy_plugin(source, staging) if source.is_dir() else unpack_plugin(source, staging)
                info = self._staged_info(source, folder, tier or "compat")
                active = next((record for record in self.installed() if record.name == info.name), None)
                _check_version(source, info, active, must_exist)
                return self._put(folder, info, active, tier), active
            finally:
                _remove_tree(staging)

    def remove(self, name):
        """Remove an installed plugin's folder; its record stays, inactive. Archived versions stay, too."""
        check_name(name)
        with self._locked():
            record = self.find(name)
            write_records(self.root, with_record(self.records(), deactivated(record)))
            _remove_tree(self.root / name)
        return record

    def rescan(self):
        """Take in folders that were copied into the root by hand, and let records of missing ones become inactive.

        Returns
        -------
        added : list of PluginRecord
        missing : list of PluginRecord
        refused : list of str
            One sentence per folder that is no plugin that can be loaded.
        """
        added, missing, refused = [], [], []
        with self._locked():
            for record in self.installed():
                if not record.info.script.is_file():
                    missing.append(deactivated(record))
                    write_records(self.root, with_record(self.records(), missing[-1]))
            known = {record.name: record for record in self.installed()}
            for folder in sorted(self.root.iterdir()):
                if folder.name in RESERVED_NAMES or folder.name.startswith(".") or not folder.is_dir():
                    continue
                try:
                    info = inspect_plugin(folder, time_limit_s=self.time_limit_s)
                except PluginError as error:
                    refused.append(str(error))
                    continue
                active = known.get(info.name)
                if info.version == UNKNOWN:
                    refused.append(f"{folder}: has no version.")
                elif active is None or active.version != info.version:
                    added.append(self._record(info, active, None))
        return added, missing, refused

    def configure(self, name, config):
        """Set the global configuration of an installed plugin; return its new record."""
        with self._locked():
            record = replace(self.find(name), config=config)
            write_records(self.root, with_record(self.records(), record))
        return record

    def _staged_info(self, source, folder, tier):
        try:
            info = inspect_plugin(folder, time_limit_s=self.time_limit_s, tier=tier)
        except PluginError as error:
            # The staged copy is gone when this is read.
            raise PluginError(f"{source}: {str(error).removeprefix(f'{folder.parent}{os.sep}')}") from None
        if info.version == UNKNOWN:
            raise PluginError(f'{source}: {info.name} has no version; give its class one, `version = "1.0.0.0"`.')
        return info

    def _put(self, folder, info, active, tier):
        """Move a staged folder to its place; undo everything if a step fails."""
        place = self.root / info.name
        if place.exists() and active is None:
            raise PluginError(
                f"{place}: is there but not known; `ionanalysis plugin rescan` takes it in, or move it away."
            )
        set_aside = Path(tempfile.mkdtemp(prefix=".replaced-", dir=self.root)) / info.name
        try:
            if place.exists():
                place.rename(set_aside)
            try:
                folder.rename(place)
                moved = replace(info, path=place, script=place / info.script.name)
                record = self._record(moved, active, tier)
            except BaseException:
                _remove_tree(place)
                if set_aside.exists():
                    set_aside.rename(place)
                raise
            if set_aside.exists():
                self._archive(set_aside, active.version)
        finally:
            _remove_tree(set_aside.parent)
        return record

    def _archive(self, folder, version):
        target = self.root / "archive" / folder.name / re.sub(r"[^\w.+-]|^\.+", "_", version)
        if not target.exists() and _size(folder) <= _MAX_ARCHIVED:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)

    def _record(self, info, active, tier):
        """Write the record of a version that is now in place."""
        records = self.records()
        known = next((record for record in records if (record.name, record.version) == (info.name, info.version)), None)
        before = active or known
        record = PluginRecord(
            id=known.id if known else 1 + max((record.id for record in records), default=0),
            info=info,
            active=True,
            selected=before.selected if before else True,
            default_selected=before.default_selected if before else False,
            config=before.config if before and before.config is not None else _first_config(info),
            tier=tier or (before.tier if before else "compat"),
            installed=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        if active is not None and active.id != record.id:
            records = with_record(records, deactivated(active))
        write_records(self.root, with_record(records, record))
        return record

    @contextlib.contextmanager
    def _locked(self):
        """Hold the root; a root made for nothing is taken away again."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.root, os.O_RDONLY)
        except OSError as error:
            raise OutputError(
                f"{self.root}: cannot be used for plugins ({error.strerror}); choose --root DIR."
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self.root.mkdir(exist_ok=True)  # whoever held the lock may have taken an empty root away
            self._tidy()
            yield
        except OSError as error:
            raise OutputError(
                f"{error.filename or self.root}: cannot be read or written ({error.strerror})."
            ) from error
        finally:
            os.close(handle)
            with contextlib.suppress(OSError):
                self.root.rmdir()

    def _tidy(self):
        """Undo what a killed process has left half-done: whoever holds the lock is alone."""
        for folder in self.root.glob(".replaced-*"):
            for kept in folder.iterdir():
                if not (self.root / kept.name).exists():
                    kept.rename(self.root / kept.name)
            _remove_tree(folder)
        for folder in self.root.glob(".staging-*"):
            _remove_tree(folder)


def _source(source):
    path = Path(source)
    if path.exists() or path.suffix or os.sep in str(source):
        return path, path.resolve().parent == SHIPPED
    if str(source) in shipped_plugins():
        return SHIPPED / str(source), True
    raise PluginError(
        f"{source}: is no zip archive, no folder and none of the plugins that come with ionanalysis "
        f"({', '.join(shipped_plugins())})."
    )


def _check_version(source, info, active, must_exist):
    if active is None:
        if must_exist:
            raise PluginError(f"{source}: {info.name} is not installed, so it cannot be upgraded; use install.")
        return
    if not LooseVersion(info.version) > LooseVersion(active.version):
        raise PluginError(
            f"{source}: {info.name} v{info.version} is not newer than the installed v{active.version}; "
            "raise its version, or remove the installed one first."
        )


def _first_config(info):
    """First global configuration: ``pluginconfig.json``, else what `getUserInput` returned."""
    path = info.path / "pluginconfig.json"
    if path.is_file():
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise PluginError(f"{path.name} of {info.name}: is not valid JSON ({error}); correct it.") from None
    return info.config if isinstance(info.config, dict) else None


def _size(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _remove_tree(folder):
    """Remove a folder whatever permissions the plugin's author gave to its parts."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        for path, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                Path(path).chmod(0o700)
        shutil.rmtree(folder)
