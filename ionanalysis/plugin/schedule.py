"""Which jobs a launch of plugins needs, and what each of them waits for (plugin.md 3.1, 3.2).

Pure: requests in, jobs out. Nothing here reads a file or starts a process.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

PRE, BLOCK, SEPARATOR, DEFAULT, POST, LAST = LEVELS = ("pre", "block", "separator", "default", "post", "last")
"""Run levels in the order in which their rounds are submitted."""

EXPORT = "export"
"""The one feature: such plugins run alone, after all that was submitted before them."""

_TYPES_OF_NONE = ("wholechip", "thumbnail")
"""Where a plugin runs by itself that names no run type: not on composite reports (plugin.md 9.6)."""


class Schedulable(Protocol):
    """What the scheduler needs to know of a plugin."""

    @property
    def name(self) -> str: ...
    @property
    def runlevels(self) -> Iterable[str]: ...
    @property
    def runtypes(self) -> Iterable[str]: ...
    @property
    def features(self) -> Iterable[str]: ...
    @property
    def depends(self) -> Iterable[str]: ...


class JobKey(NamedTuple):
    """What tells the jobs of one launch apart."""

    plugin: str
    level: str
    block: str = ""
    """`X<x>_Y<y>` at level `block`."""


@dataclass(frozen=True)
class Job:
    """One run of one plugin."""

    key: JobKey
    holds: tuple[JobKey, ...] = ()
    """Jobs of this launch that must have ended, well or badly, before this one starts."""
    earlier: tuple[str, ...] = ()
    """Dependencies that this launch does not run, of which an earlier result is taken."""


@dataclass(frozen=True, kw_only=True)
class ScheduleRequest:
    """One launch: which plugins, on what kind of report."""

    plugins: tuple[Schedulable, ...]
    """Those that were asked for and may run."""
    installed: Mapping[str, Schedulable] = field(default_factory=dict)
    """All that are installed, by name: through them, dependencies of dependencies order a launch."""
    earlier: frozenset[str] = frozenset()
    """Plugins of which the report has a result that is done, running or queued."""
    manual: bool = False
    report_type: str = "wholechip"
    blocks: tuple[str, ...] = ()
    """Blocks of a composite report, in the order in which they were done."""
    separator: bool = False
    """`separator.mask.bin` exists. Manual launches have that round anyway."""
    levels: tuple[str, ...] = LEVELS
    """Rounds to submit."""


def schedule(request):
    """All jobs of a launch in the order of submission; each waits only for jobs before it.

    Parameters
    ----------
    request : ScheduleRequest

    Returns
    -------
    jobs : tuple of Job
    """
    jobs: tuple[Job, ...] = ()
    for level, block in rounds(request):
        jobs += schedule_round(request, jobs, level, block)
    return jobs


def rounds(request):
    """(level, block) of each round of a launch, in order."""
    for level in LEVELS:
        if level not in request.levels:
            continue
        if level == BLOCK:
            yield from ((level, block) for block in request.blocks if request.report_type == "composite")
        elif level != SEPARATOR or request.manual or request.separator:
            yield level, ""


def schedule_round(request, former, level, block=""):
    """Jobs that one round adds.

    Parameters
    ----------
    request : ScheduleRequest
    former : tuple of Job
        Jobs of the rounds before.
    level : str
    block : str
        At level `block`, the block that is done.
    """
    jobs = list(former)
    plugins = {plugin.name: plugin for plugin in request.plugins if request.manual or runs_on(plugin, request)}
    order = [name for name in _dependencies_first(plugins, request.installed) if level in levels_of(plugins[name])]
    for name in sorted(order, key=lambda name: _is_export(plugins[name])):
        key = JobKey(name, level, block)
        jobs.append(_job(key, plugins, jobs, request.earlier))
    return tuple(jobs[len(former) :])


def levels_of(plugin):
    """Levels at which a plugin runs; `default` if it names none."""
    return tuple(plugin.runlevels) or (DEFAULT,)


def runs_on(plugin, request):
    """Whether a plugin runs by itself on this kind of report."""
    return request.report_type in (tuple(plugin.runtypes) or _TYPES_OF_NONE)


def _job(key, plugins, jobs, earlier):
    plugin = plugins[key.plugin]
    holds: list[JobKey] = []
    satisfied = []
    for name in plugin.depends:
        if name in plugins:
            holds += _last_jobs(name, jobs, key.block)
        elif name in earlier:
            satisfied.append(name)
    own = [job.key for job in jobs if job.key.plugin == key.plugin]
    # What level pre prepares, blocks may use; blocks wait for no other block.
    holds += [other for other in own if other.level != BLOCK][-1:]
    if key.level == POST:
        holds += [other for other in own if other.level == BLOCK]
    others = [name for name in plugins if name != key.plugin]
    if _is_export(plugin):
        holds += [other for name in others for other in _last_jobs(name, jobs)]
    elif key.level == LAST:
        # Those of level last run at the same time, as the document has it; export plugins come after them.
        before = [job for job in jobs if job.key.level != LAST]
        holds += [other for name in others if not _is_export(plugins[name]) for other in _last_jobs(name, before)]
    return Job(key, tuple(dict.fromkeys(holds)), tuple(dict.fromkeys(satisfied)))


def _last_jobs(name, jobs, block=""):
    """Jobs of a plugin for which none of its other jobs waits: when they have ended, it has ended.

    A job for one block need not wait for the plugin's jobs on other blocks.
    """
    own = [job for job in jobs if job.key.plugin == name and (not block or job.key.block in ("", block))]
    waited_for = {held for job in own for held in job.holds}
    return [job.key for job in own if job.key not in waited_for]


def _is_export(plugin):
    return EXPORT in plugin.features


def _dependencies_first(plugins, installed):
    """Names of `plugins`, depth first along what they depend on; a cycle is cut where it closes.

    Dependencies that are only installed are followed, too: A before C if C needs B, which needs A, though B is not
    among those that were asked for.
    """
    known = {**installed, **plugins}
    order: list[str] = []
    seen: set[str] = set()
    # An explicit stack: plugins say what they depend on, and a long chain must not exhaust Python's.
    stack = [(name, False) for name in reversed(plugins)]
    while stack:
        name, is_done = stack.pop()
        if is_done:
            order.append(name)
        elif name not in seen and name in known:
            seen.add(name)
            stack.append((name, True))
            stack += [(other, False) for other in reversed(tuple(known[name].depends))]
    return [name for name in order if name in plugins]
