"""Options of plugin launches: limits, and what the document and the original's code say differently."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option

CONFIG_ORDERS = ("sdk", "ts")


@dataclass(frozen=True, kw_only=True)
class AutomaticPluginOptions(Options):
    """Plugins that a run launches, each level in its time."""

    plugins: tuple[str, ...] = option((), "installed plugins to launch, those only that take this kind of report")
    config: str | None = option(
        None,
        "JSON file of their configurations, an object by plugin, as `plugin serve` saves it",
        flag="plugin-config",
        names_file=True,
    )


@dataclass(frozen=True, kw_only=True)
class PluginOptions(Options):
    """Plugins: how they are launched, and how much each may take."""

    slots: int = option(2, "plugins that run at the same time", least=1, flag="plugin-slots")
    memory: float = option(
        8.0, "memory that a plugin's processes may use together", unit="GiB", least=0.05, flag="plugin-memory"
    )
    time_limit: float = option(
        24.0, "time after which a plugin is stopped", unit="hours", least=0.0001, flag="plugin-time"
    )
    log_limit: float = option(
        64.0,
        "size of a plugin's log; of what is beyond, only the end is kept",
        unit="MiB",
        least=0.1,
        flag="plugin-log",
    )
    folder_limit: float = option(
        200.0,
        "space that a plugin may fill in its folder, and never more than 80 % of what was free",
        unit="GiB",
        least=0.001,
        flag="plugin-folder",
    )
    file_limit: int = option(1_000_000, "files that a plugin may make", least=100, flag="plugin-files")
    grace: float = option(
        10.0, "time that a plugin has to end by itself when it is stopped", unit="s", least=0.1, flag="plugin-grace"
    )
    config_order: str = option(
        "sdk",
        "which configuration goes first: that of the launch (sdk), or as Torrent Suite did it, the global one (ts)",
        choices=CONFIG_ORDERS,
        flag="plugin-config-order",
    )
    include_filtered: bool = option(
        False, "list filtered barcodes in barcodes.json, too", flag="plugin-include-filtered-barcodes"
    )
