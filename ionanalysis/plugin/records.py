"""Records of installed plugins: ``plugins.json`` in the plugin root, beside the plugins and not in them."""

from dataclasses import dataclass, replace
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.plugin.info import PluginInfo, Problem
from ionanalysis.plugin.inspection import check_name

FILE_NAME = "plugins.json"
_FORMAT = 1
_LISTS = ("runtypes", "runlevels", "features", "depends")
_FLAGS = ("major_block", "requires_configuration")


@dataclass(frozen=True, kw_only=True)
class PluginRecord:
    """One version of one plugin. Records stay when a plugin is removed, because results point to them."""

    id: int
    info: PluginInfo
    """As inspected at installation; its paths are those of the installed copy."""
    active: bool
    """Whether this version is installed now."""
    selected: bool = True
    """Whether it is offered."""
    default_selected: bool = False
    """Whether new plans run it."""
    config: dict | None = None
    """Global configuration."""
    tier: str = "compat"
    """How its Python is set up (`ionanalysis.plugin.interpreter`)."""
    installed: str = ""
    """When, in UTC."""

    @property
    def name(self):
        return self.info.name

    @property
    def version(self):
        return self.info.version

    def to_json(self):
        info = self.info
        return {
            "id": self.id,
            "name": info.name,
            "version": info.version,
            "path": str(info.path) if self.active else "",
            "script": info.script.name,
            "active": self.active,
            "selected": self.selected,
            "defaultSelected": self.default_selected,
            "config": self.config,
            "tier": self.tier,
            "installed": self.installed,
            **{key: list(getattr(info, key)) for key in _LISTS},
            **{key: getattr(info, key) for key in _FLAGS},
            "author": info.author,
            "docs": info.docs,
            "userInput": info.config,
            "barcodeColumns": list(info.barcode_columns),
            "problems": [[problem.file, problem.line, problem.message] for problem in info.problems],
        }

    @classmethod
    def from_json(cls, root, entry):
        """A record of the root `root`; raises an error of Python or of ours for an object that is none."""
        # Name and script become paths and stand in scripts, and plugins can reach the file.
        check_name(entry["name"])
        if entry["script"] not in (f"{entry['name']}.py", "launch.sh"):
            raise ValueError(f"script {entry['script']!r}")
        # Not the path in the file: the root may have been moved since.
        path = Path(root) / entry["name"]
        info = PluginInfo(
            name=entry["name"],
            version=entry["version"],
            path=path,
            script=path / entry["script"],
            runtypes=tuple(entry["runtypes"]),
            runlevels=tuple(entry["runlevels"]),
            features=tuple(entry["features"]),
            depends=tuple(entry["depends"]),
            major_block=bool(entry["major_block"]),
            requires_configuration=bool(entry["requires_configuration"]),
            author=entry["author"],
            docs=entry["docs"],
            config=entry["userInput"],
            barcode_columns=tuple(entry["barcodeColumns"]),
            problems=tuple(Problem(*problem) for problem in entry["problems"]),
        )
        return cls(
            id=int(entry["id"]),
            info=info,
            active=entry["active"],
            selected=entry["selected"],
            default_selected=entry["defaultSelected"],
            config=entry["config"],
            tier=entry["tier"],
            installed=entry["installed"],
        )


def read_records(root):
    """All records of a plugin root, by id; none where nothing was ever installed.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = Path(root) / FILE_NAME
    if not path.exists():
        return ()
    content = read_json(path)
    try:
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']}")
        return tuple(PluginRecord.from_json(root, entry) for entry in content["records"])
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise InputError(f"{path}: is no list of installed plugins ({error!r}); restore or remove it.") from None


def write_records(root, records):
    """Write all records, whole or not at all."""
    entries = [record.to_json() for record in sorted(records, key=lambda record: record.id)]
    write_json(Path(root) / FILE_NAME, {"format": _FORMAT, "records": entries})


def with_record(records, record):
    """`records` with `record` in the place of that with its id, or behind them."""
    return (*(other for other in records if other.id != record.id), record)


def deactivated(record):
    """`record` as it stays when its files are gone."""
    return replace(record, active=False)
