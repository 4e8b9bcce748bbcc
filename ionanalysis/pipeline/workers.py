"""The executor of each stage of a run: workers in a queue serve all stages that hand out blocks, and no others."""

from contextlib import ExitStack

from ionanalysis.options.queue import QueueOptions
from ionanalysis.queue_workers import is_queue, open_queue


class Workers:
    """The workers of a run; a context manager.

    Parameters
    ----------
    request : PipelineRequest
    note : callable
        Gets a sentence while workers are waited for.
    """

    def __init__(self, request, note):
        self._request = request
        self._note = note
        self._in_queue = ExitStack()
        self._executor = None

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self._in_queue.close()

    def of(self, stage):
        """Word of the executor of a stage, or an open executor."""
        request = self._request
        if not is_queue(request.executor):
            return request.executor
        if not stage.has_blocks:
            # A place in a queue is dear: those who wait for it should not see it idle.
            self._in_queue.close()
            self._executor = None
            return "threads"
        if self._executor is None:
            self._executor = self._in_queue.enter_context(
                open_queue(
                    request.executor,
                    request.option(QueueOptions),
                    n_cores=request.n_threads or 1,
                    log_dir=request.result_dir / "worker_logs",
                    note=self._note,
                )
            )
        return self._executor
