"""The BAM files of a run: one per dataset that gets reads, opened when it gets its first (basecaller.md 8.1, 8.2)."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from ionanalysis.bam import BamHeader, BamWriter, ReadGroup
from ionanalysis.basecaller.datasets import Datasets
from ionanalysis.basecaller.molecular_tags import tag_patterns
from ionanalysis.io.calibration import LinearCalibration
from ionanalysis.io.calibration_writing import linear_json


@dataclass(frozen=True)
class HeaderFacts:
    """What the headers of all BAM files of a run say alike."""

    flows: str
    run_id: str
    run_date: str = ""
    version: str = ""
    command_line: str = ""
    adapters: tuple[str, ...] = field(default=())
    calibration: LinearCalibration | None = None

    @property
    def comments(self):
        """Content of the @CO lines that readers of the original's files know; a linear model in force comes first."""
        adapters: dict[str, str | int] = {
            f"Adapter_{index}": sequence for index, sequence in enumerate(self.adapters) if sequence != "off"
        }
        adapters["NumAdapters"] = len(adapters)
        own: dict = {"BaseCallerComments": {"BeadAdapters": adapters, "MasterKey": self.run_id}}
        return (own,) if self.calibration is None else (linear_json(self.calibration), own)


class BamFiles:
    """BAM files of a set of datasets in one folder; a context manager.

    Parameters
    ----------
    folder : Path
    datasets : Datasets
    key : str
    facts : HeaderFacts
    trimmed : bool
        Whether barcodes are cut off the reads, and so stand in the header.
    plan : FinishPlan, optional
        Of library reads: says what else is cut off them.
    pool : concurrent.futures.Executor, optional
        Threads that deflate.
    """

    def __init__(self, folder, datasets: Datasets, key, facts, *, trimmed=True, plan=None, pool=None):
        self._folder = folder
        self._datasets = datasets
        self._key = key
        self._facts = facts
        self._trimmed = trimmed
        self._plan = plan
        self._pool = pool
        self._stack = ExitStack()
        self._writers: dict[int, BamWriter] = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        handled = self._stack.__exit__(kind, error, trace)
        if kind is None:
            for number, dataset in enumerate(self._datasets.datasets):
                if number not in self._writers:
                    # A former run in the same folder may have had reads for it.
                    (self._folder / dataset.bam_name).unlink(missing_ok=True)
        return handled

    def write(self, dataset, records):
        """Append encoded records to the file of a dataset, given by its number."""
        if not len(records):
            return
        if dataset not in self._writers:
            path = self._folder / self._datasets.datasets[dataset].bam_name
            self._writers[dataset] = self._stack.enter_context(BamWriter(path, self._header(dataset), pool=self._pool))
        self._writers[dataset].write_records(records)

    def _header(self, dataset):
        groups = tuple(self._read_group(number) for number in self._datasets.datasets[dataset].groups)
        facts = self._facts
        return BamHeader(groups, version=facts.version, command_line=facts.command_line, comments=self._facts.comments)

    def _cut_off(self, number):
        """Header fields of what is cut off all reads of a group besides key and barcode."""
        if self._plan is None or not self._trimmed:
            return {}
        end_barcodes = self._plan.end_barcodes
        return {
            "sk": end_barcodes.named_in_header(number) if end_barcodes is not None else "",
            "zt": tag_patterns(self._plan, "prefix")[number],
            "yt": tag_patterns(self._plan, "suffix")[number],
        }

    def _read_group(self, number):
        group, tags = self._datasets.groups[number], self._cut_off(number)
        return ReadGroup(
            name=group.name,
            flows=self._facts.flows,
            key_sequence=self._key + (group.barcode + group.adapter if self._trimmed else ""),
            description=group.text("description"),
            sequencing_center=self._datasets.sequencing_center,
            run_date=self._facts.run_date,
            library=group.text("library"),
            platform_unit=group.text("platform_unit"),
            sample=group.text("sample"),
            more={tag: pattern for tag, pattern in tags.items() if pattern},
        )
