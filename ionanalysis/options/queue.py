"""Options of the jobs that work on blocks in a cluster's queue."""

from dataclasses import dataclass

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class QueueOptions(Options):
    """Workers in a queue: what each of them asks for (with --executor slurm:N or sge:N)."""

    memory: float = option(
        8.0, "memory of a worker, which is that of one block", unit="GiB", least=0.5, flag="job-memory"
    )
    hours: float = option(
        24.0,
        "time after which a worker is replaced; longer than a block takes",
        unit="hours",
        least=0.02,
        flag="job-hours",
    )
    queue: str | None = option(None, "partition or queue to ask", flag="job-queue")
    account: str | None = option(None, "account or project to charge", flag="job-account")
