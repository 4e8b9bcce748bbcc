"""The resources of the REST API; to import this package is to declare them all."""

from ionanalysis.rundb.api import catalogue, composites, content, plans, plugins, runs, samples, site, system

__all__ = ["catalogue", "composites", "content", "plans", "plugins", "runs", "samples", "site", "system"]
