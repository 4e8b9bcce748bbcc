"""Plugins of a run: each level starts when its time has come (plugin.md 3.1)."""

from contextlib import ExitStack

from ionanalysis.options.plugins import AutomaticPluginOptions, PluginOptions
from ionanalysis.plugin.schedule import BLOCK, PRE


class RunPlugins:
    """The plugins that a run was asked for; a context manager.

    What becomes of them is in their results and in the report: a run does not fail with a plugin. Where it is
    interrupted, they are stopped, and start anew when it goes on.

    Parameters
    ----------
    request : PipelineRequest
    note : callable
        Gets a sentence when a job has ended.
    """

    def __init__(self, request, note):
        self._request = request
        self._note = note
        self._asked = request.option(AutomaticPluginOptions)
        self._open = ExitStack()
        self._launch = None

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        return self._open.__exit__(*reason)

    def begin(self):
        """Start those of level `pre`, unless they were started before."""
        if self._launch is None and self._asked.plugins:
            self._launch = self._open.enter_context(self._new_launch())
            self._launch.submit(PRE)

    def block_done(self, block):
        """Start those of level `block` on a block whose reads have been called."""
        if self._launch is not None:
            self._launch.submit(BLOCK, block.name)

    def finish(self, plan):
        """Start all that are left, and wait for all.

        Parameters
        ----------
        plan : BlockPlan or None
        """
        from ionanalysis.report.plugins import refresh_report

        self.begin()
        if self._launch is not None:
            blocks = [block.name for block in plan.going_on] if plan else None
            self._launch.finish(blocks=blocks, on_change=lambda: refresh_report(self._request.result_dir))

    def _new_launch(self):
        # Heavy imports, for those who ask.
        from ionanalysis.plugin.ask import validate_plugin
        from ionanalysis.plugin.launch import LaunchRequest
        from ionanalysis.plugin.live import LiveLaunch
        from ionanalysis.plugin.plan import plan_configs
        from ionanalysis.plugin.store import PluginStore

        store = PluginStore()
        launch = LaunchRequest(
            result_dir=self._request.result_dir,
            plugins=tuple(store.find(name) for name in dict.fromkeys(self._asked.plugins)),
            installed=store.installed(),
            plan_configs=plan_configs(self._asked.config) if self._asked.config else {},
            options=self._request.option(PluginOptions),
            validate=validate_plugin,
        )
        return LiveLaunch(launch, executor=self._request.executor, note=self._note)
