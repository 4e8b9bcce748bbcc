"""The stage that aligns reads: one BAM file per dataset in the result's root (plugin.md 1.2, 1.4)."""

from pathlib import Path

from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.options.alignment import AlignmentOptions
from ionanalysis.options.calibration import ReferenceOptions

_PATTERNS = (
    "*rawlib.bam",
    "*rawlib.bam.bai",
    "*rawlib.bam.csi",
    "BamDuplicates*.json",
    "ionstats_alignment.json",
    "*rawlib.ionstats_alignment.json",
    "*rawlib.ionstats_error_summary.h5",
    "ionstats_error_summary.h5",
    "alignment.json",
)


def run_alignment_stage(context):
    """Align every dataset that has reads; without a reference do nothing."""
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.alignment import align_bam
    from ionanalysis.alignment.stage import reference_sequences

    # Files are named after barcodes: those of another set, or of another reference, would stay beside the new ones.
    for pattern in _PATTERNS:
        for old in context.result_dir.glob(pattern):
            old.unlink()
    reference, options = context.option(ReferenceOptions).reference, context.option(AlignmentOptions)
    if reference is None:
        context.progress(1, 1)
        return
    index = ReferenceIndex.of(reference)
    sequences = reference_sequences(index)
    prefixes = aligned_prefixes(context.basecaller_dir)
    counted = {}
    for number, prefix in enumerate(prefixes):
        context.progress(number, len(prefixes))
        counts = align_bam(
            context.basecaller_dir / f"{prefix}.basecaller.bam",
            context.result_dir / f"{prefix}.bam",
            index,
            options,
            n_threads=context.n_threads,
            command_line=context.request.command_line,
            references=sequences,
        )
        counted[prefix] = {"reads": counts.reads, "mapped": counts.mapped}
        if counts.duplicates is not None:
            name = "BamDuplicates.json" if prefix == "rawlib" else f"BamDuplicates.{prefix}.json"
            write_json(context.result_dir / name, counts.duplicates)
    context.progress(len(prefixes), len(prefixes))
    n_reads, n_mapped = (sum(of_one[name] for of_one in counted.values()) for name in ("reads", "mapped"))
    context.note(f"{n_mapped} of {n_reads} reads are aligned to {Path(reference).name}.")
    write_json(
        context.result_dir / "alignment.json",
        {
            "reference": str(Path(reference).absolute()),
            "sequences": [{"name": one.name, "length": one.length, "md5": one.md5} for one in sequences],
            "datasets": counted,
        },
    )


def aligned_prefixes(basecaller_dir):
    """Prefixes of the datasets whose reads there are, in the order of the datasets."""
    datasets = read_json(basecaller_dir / "datasets_basecaller.json").get("datasets", [])
    named = [str(entry.get("file_prefix", "")) for entry in datasets]
    return [
        prefix
        for prefix in dict.fromkeys(named)
        # Names come from a file; only plain ones stay in the folder.
        if prefix and Path(prefix).name == prefix and (basecaller_dir / f"{prefix}.basecaller.bam").is_file()
    ]


def alignment_files(context):
    """Files that the stage has left; none without a reference."""
    if context.option(ReferenceOptions).reference is None:
        return []
    root = context.result_dir
    bams = [root / f"{prefix}.bam" for prefix in aligned_prefixes(context.basecaller_dir)]
    indexes = [
        next((path for path in (bam.with_name(f"{bam.name}.{kind}") for kind in ("bai", "csi")) if path.is_file()), bam)
        for bam in bams
    ]
    return [root / "alignment.json", *bams, *indexes, *sorted(root.glob("BamDuplicates*.json"))]
