"""One run of the base-calling stage: its plan, its calls, its files (basecaller.md 2.1, 8)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np

from ionanalysis import __version__
from ionanalysis.basecaller import run_files
from ionanalysis.basecaller.about import RunFacts
from ionanalysis.basecaller.adapter import check_adapter
from ionanalysis.basecaller.bam_files import BamFiles, HeaderFacts
from ionanalysis.basecaller.barcodes import barcode_templates, template_signals
from ionanalysis.basecaller.calibration import CallCalibration, load_calibration
from ionanalysis.basecaller.chip import OpenChip
from ionanalysis.basecaller.datasets import library_dataset, read_datasets, tf_dataset
from ionanalysis.basecaller.finish import FinishPlan
from ionanalysis.basecaller.plan import complete_plan
from ionanalysis.basecaller.region import LIBRARY, NOT_READ, TF, TRIMMED, UNTRIMMED, CallJob, call_region
from ionanalysis.basecaller.tally import Tally
from ionanalysis.basecaller.verdicts import MASK_FLAGS, Verdict
from ionanalysis.errors import InputError, OutputError
from ionanalysis.executors import map_blocks
from ionanalysis.io.jsonfile import write_json
from ionanalysis.io.mask import NO_READ, Mask, WellFlag, write_barcode_mask, write_mask
from ionanalysis.options.calling import BasecallerOptions


def calibration_of(inputs, options, chip):
    """The models that the options name, for the flows of a chip; None without."""
    models = load_calibration(options.calibration)
    if models is None:
        return None
    n_flows = (len(chip.flow_order), len(chip.source.parts[0].flow_order))
    return CallCalibration(models.linear, models.histogram, n_flows, inputs.offset, options.calibration)


def facts_of(inputs, output_dir, options, chip, started, n_workers, command_line, version):
    """What is known of a run of the stage from its beginning."""
    return RunFacts(
        inputs=inputs,
        output_dir=output_dir,
        flow_order=chip.flow_order,
        chip=chip.source.chip,
        shape=chip.mask.shape,
        key_normalisation=options.solver.key_normalisation,
        started=started,
        n_workers=n_workers or 1,
        command_line=command_line,
        version=version or __version__,
    )


def make_folders(output_dir):
    """Make the folders that the stage writes to."""
    for folder in ("", "unfiltered.untrimmed", "unfiltered.trimmed"):
        make_folder(output_dir / folder)


def make_folder(folder):
    """Make a folder; `OutputError` if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another place.") from error


def plan_of(inputs, options, flow_order, phase):
    """What becomes of called reads: datasets, barcodes, filters, trimmers."""
    for key in (inputs.library_key, inputs.tf_key):
        flow_order.key_flowgram(key)
    for adapter in (*options.trims.trim_adapter, *options.trims.trim_adapter_tf):
        check_adapter(adapter)
    library = read_datasets(inputs.datasets) if inputs.datasets else library_dataset(inputs.run_id)
    templates = signals = None
    if library.barcoded:
        groups = [library.groups[number] for number in library.barcoded]
        templates = barcode_templates(
            inputs.library_key,
            [(group.barcode, group.adapter) for group in groups],
            flow_order,
            ignored=options.barcodes.barcode_ignore_flows,
        )
        droop = 0.0 if options.barcodes.barcode_skip_droop else phase.dr
        signals = template_signals(templates, flow_order, phase.cf, phase.ie, droop)
    return complete_plan(
        FinishPlan(
            flow_order,
            inputs.library_key,
            inputs.tf_key,
            library,
            templates,
            signals,
            options.filters,
            options.trims,
            options.barcodes,
        )
    )


@dataclass(frozen=True, eq=False)
class CallingRun:
    """One run of the stage: what it knows, and its two halves, calling and writing."""

    facts: RunFacts
    options: BasecallerOptions
    job: CallJob
    chip: OpenChip

    def call(self, executor, progress):
        """Call all regions and write the BAM files; the counts, verdicts and barcodes of the block."""
        regions, shape = self.chip.regions(), self.chip.mask.shape
        tally = Tally.empty(self.job.plan)
        # Of the whole block's shape, whatever part of it is called (13.6: the original's are not).
        verdicts = np.full(shape, NOT_READ, np.int8)
        barcodes = np.full(shape, NO_READ, np.uint16)
        with ExitStack() as stack:
            # Threads of the executor share the memory of the writers; other workers would have to be sent it.
            pool = executor if isinstance(executor, ThreadPoolExecutor) else None
            families = self._families(stack, pool)
            for done, part in enumerate(map_blocks(executor, partial(call_region, self.job), regions), 1):
                tally.add(part.tally)
                verdicts[part.block.slices], barcodes[part.block.slices] = part.verdicts, part.barcodes
                for (family, dataset), records in part.records.items():
                    families[family].write(dataset, records)
                if progress:
                    progress(done, len(regions))
            if 0 < tally.n_values <= tally.n_bad_values:
                # Inside, so that the BAM files that were begun are taken back.
                names = ", ".join(map(str, self.facts.inputs.wells_paths))
                raise InputError(
                    f"{names}: none of the {tally.n_values} signals of its reads is a finite number; "
                    "make or copy the wells again."
                )
        return tally, verdicts, barcodes

    def _families(self, stack, pool):
        facts, inputs, trims = self.facts, self.facts.inputs, self.options.trims
        library, tf = self.job.plan.library, tf_dataset(inputs.run_id)
        header = HeaderFacts(
            facts.flow_order.letters,
            inputs.run_id,
            inputs.date,
            facts.version,
            facts.command_line,
            trims.trim_adapter,
            None if self.job.calibration is None else self.job.calibration.linear,
        )
        places = {
            LIBRARY: (facts.output_dir, library, inputs.library_key),
            TF: (facts.output_dir, tf, inputs.tf_key),
            TRIMMED: (facts.output_dir / "unfiltered.trimmed", library, inputs.library_key),
            UNTRIMMED: (facts.output_dir / "unfiltered.untrimmed", library, inputs.library_key),
        }
        return {
            family: stack.enter_context(
                BamFiles(
                    folder,
                    datasets,
                    key,
                    header,
                    trimmed=trims.trim_barcodes,
                    plan=None if family == TF else self.job.plan,
                    pool=pool,
                )
            )
            for family, (folder, datasets, key) in places.items()
        }

    def written_bams(self):
        """Paths of the main BAM files with at least one read."""
        datasets = (*self.job.plan.library.datasets, *tf_dataset(self.facts.inputs.run_id).datasets)
        paths = (self.facts.output_dir / dataset.bam_name for dataset in datasets)
        return tuple(path for path in paths if path.exists())

    def write(self, tally, final, barcodes):
        """Write everything but the BAM files; `final` are the flags of `final_flags`."""
        folder, plan = self.facts.output_dir, self.job.plan
        date = self.facts.started.strftime("%Y-%m-%dT%H:%M:%S")
        write_json(
            folder / "datasets_basecaller.json",
            run_files.datasets_json(plan.library, tally.library, date, plan=plan, tally=tally, with_filters=True),
        )
        tf = run_files.datasets_json(tf_dataset(self.facts.inputs.run_id), tally.tf, date)
        write_json(folder / "datasets_tf.json", tf)
        run_files.write_barcode_filter(folder / "barcodeFilter.txt", plan, tally)
        run_files.write_end_barcode_counts(folder / "EndBarcodeReadCounts.csv", plan, tally)
        write_mask(folder / "basecaller.bfmask.bin", Mask(final))
        write_barcode_mask(folder / "barcodeMask.bin", barcodes)
        for name, counts in (("unfiltered.trimmed", tally.trimmed), ("unfiltered.untrimmed", tally.untrimmed)):
            content = run_files.datasets_json(plan.library, counts, date, plan=plan, tally=tally)
            write_json(folder / name / "datasets_basecaller.json", content)
            run_files.write_filter_status(
                folder / name / "filterStatus.txt",
                np.nonzero(self.chip.choice.sampled),
                final,
                WellFlag.FILTERED_BAD_RESIDUAL,
                WellFlag.KEYPASS,
            )
        write_json(folder / "BaseCaller.json", self._summary(tally))
        write_json(folder / "progress_basecaller.json", {"percent_complete": 100})

    def final_flags(self, verdicts):
        """The mask with the five bits of base calling set anew."""
        new = np.zeros(len(Verdict) + 1, np.uint16)
        for verdict, flag in MASK_FLAGS.items():
            new[verdict] = flag
        # Index -1, wells that are no reads, is the last entry: no bit.
        return (self.chip.mask.flags & np.uint16(~WellFlag.BASECALLER & 0xFFFF)) | new[verdicts]

    def _summary(self, tally):
        filtering, beads = run_files.filtering_section(tally, self.job.plan)
        return {
            "BaseCaller": self.facts.about(),
            "BeadSummary": beads,
            "Filtering": filtering,
        } | self.job.phase.sections()
