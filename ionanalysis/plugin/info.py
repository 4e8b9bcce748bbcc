"""What a plugin says of itself: the info object (plugin.md 2.6), and `PluginInfo` for the rest of the package."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ionanalysis.plugin.base import description_of

INFO_FORMAT = "IonPlugin Definition format 1.0"


def info_object(plugin):
    """The info object of an instance, as ``--inspect`` prints it."""
    return {
        "_meta": INFO_FORMAT,
        "name": type(plugin).__name__,
        "version": str(plugin.version),
        "config": plugin.getUserInput(),
        **{name: _texts(getattr(plugin, name)) for name in ("runtypes", "features", "runlevels", "depends")},
        "docs": description_of(type(plugin)),
        "major_block": bool(plugin.major_block),
        "pluginorm": None,
        "requires_configuration": bool(plugin.requires_configuration),
    }


def _texts(value):
    """A list of texts; one text stands for a list of one, as plugins write ``depends = "Other"``."""
    if callable(value):
        value = value()
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


@dataclass(frozen=True)
class Problem:
    """Something in a plugin's files that its author or installer should know."""

    file: str
    """Path below the plugin's directory."""
    line: int
    message: str

    def __str__(self):
        return f"{self.file}, line {self.line}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """A plugin as found by `inspect_plugin`. Picklable; `config` is plain JSON."""

    name: str
    version: str
    path: Path
    """The plugin's directory."""
    script: Path
    """``NAME.py`` or ``launch.sh``."""
    runtypes: tuple[str, ...] = ()
    """Kinds of reports it is launched on by itself; empty stands for all but composite."""
    runlevels: tuple[str, ...] = ()
    """Empty stands for DEFAULT."""
    features: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()
    major_block: bool = False
    requires_configuration: bool = False
    author: str = ""
    docs: str = ""
    config: object = None
    """What `getUserInput` returned: the first global configuration, or None."""
    barcode_columns: tuple[dict, ...] = ()
    """What `barcodetable_columns` returned."""
    problems: tuple[Problem, ...] = ()
    """Lines that Python 3 cannot run, and idioms that the compatibility layer cannot mend."""

    @property
    def is_shell(self):
        """Whether it is a legacy ``launch.sh``, whose lines are pasted into the launch script."""
        return self.script.name == "launch.sh"

    @property
    def pages(self) -> Mapping[str, Path]:
        """Its HTML pages by action: ``config``, ``plan``, ``report`` (instance.html), ``about``."""
        files = {"config": "config.html", "plan": "plan.html", "report": "instance.html", "about": "about.html"}
        return MappingProxyType(
            {action: self.path / file for action, file in files.items() if (self.path / file).is_file()}
        )

    @property
    def media(self) -> Path | None:
        """``pluginMedia``, served as ``/pluginMedia/NAME/``, or None."""
        folder = self.path / "pluginMedia"
        return folder if folder.is_dir() else None

    def to_json(self):
        """The info object (plugin.md 2.6)."""
        return {
            "_meta": INFO_FORMAT,
            "name": self.name,
            "version": self.version,
            "config": self.config,
            "runtypes": list(self.runtypes),
            "features": list(self.features),
            "runlevels": list(self.runlevels),
            "depends": list(self.depends),
            "docs": self.docs,
            "major_block": self.major_block,
            "pluginorm": None,
            "requires_configuration": self.requires_configuration,
        }
