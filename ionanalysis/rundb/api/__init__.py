"""The resources of the REST API; to import this package is to declare them all."""

from ionanalysis.rundb.api import (
    catalogue,
    composites,
    content,
    data_management,
    plans,
    plugin_results,
    plugins,
    reports,
    runs,
    samples,
    site,
    system,
)

__all__ = [
    "catalogue",
    "composites",
    "content",
    "data_management",
    "plans",
    "plugin_results",
    "plugins",
    "reports",
    "runs",
    "samples",
    "site",
    "system",
]
