"""The stage that aligns reads: one BAM file per dataset in the result's root (plugin.md 1.2, 1.4)."""

from pathlib import Path

from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.metrics.ionstats_basecaller import is_kept
from ionanalysis.options.alignment import AlignmentOptions

_PATTERNS = (
    "*rawlib.bam",
    "*rawlib.bam.bai",
    "*rawlib.bam.csi",
    "BamDuplicates*.json",
    "alignment.json",
)
_STATISTICS = (
    "ionstats_alignment.json",
    "*rawlib.ionstats_alignment.json",
    "ionstats_error_summary.h5",
    "*rawlib.ionstats_error_summary.h5",
)


def run_alignment_stage(context):
    """Align every dataset that has reads; without a reference do nothing."""
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.alignment import align_bam
    from ionanalysis.alignment.stage import reference_sequences

    # Files are named after barcodes: those of another set, or of another reference, would stay beside the new ones.
    for pattern in _PATTERNS + _STATISTICS:
        for old in context.result_dir.glob(pattern):
            old.unlink()
    references, options = context.references, context.option(AlignmentOptions)
    if not references:
        context.progress(1, 1)
        return
    prefixes = [prefix for prefix in aligned_prefixes(context.basecaller_dir) if references.of_prefix(prefix)]
    of_fasta = {}
    counted = {}
    for number, prefix in enumerate(prefixes):
        context.progress(number, len(prefixes))
        fasta = references.of_prefix(prefix)
        if fasta not in of_fasta:
            index = ReferenceIndex.of(fasta)
            of_fasta[fasta] = index, reference_sequences(index)
        index, sequences = of_fasta[fasta]
        counts = align_bam(
            context.basecaller_dir / f"{prefix}.basecaller.bam",
            context.result_dir / f"{prefix}.bam",
            index,
            options,
            n_threads=context.n_threads,
            command_line=context.request.command_line,
            references=sequences,
        )
        counted[prefix] = {"reads": counts.reads, "mapped": counts.mapped, "reference": str(Path(fasta).absolute())}
        if counts.duplicates is not None:
            name = "BamDuplicates.json" if prefix == "rawlib" else f"BamDuplicates.{prefix}.json"
            write_json(context.result_dir / name, counts.duplicates)
    context.progress(len(prefixes), len(prefixes))
    n_reads, n_mapped = (sum(of_one[name] for of_one in counted.values()) for name in ("reads", "mapped"))
    named = sorted({Path(fasta).name for fasta in of_fasta})
    context.note(f"{n_mapped} of {n_reads} reads are aligned to {', '.join(named) or 'nothing'}.")
    main = references.default or next(iter(of_fasta), None)
    write_json(
        context.result_dir / "alignment.json",
        {
            "reference": str(Path(main).absolute()) if main else None,
            "aligner": options.aligner,
            "sequences": [
                {"name": one.name, "length": one.length, "md5": one.md5} for one in of_fasta.get(main, (None, ()))[1]
            ],
            "datasets": counted,
            "calibration": _calibration_effect(context, main, of_fasta, prefixes),
        },
    )


def _calibration_effect(context, main, of_fasta, prefixes):
    """What calibration brought to reads of the main reference: the same wells called without and with it."""
    from ionanalysis.alignment.effect import calibration_effect

    folder = context.basecaller_dir
    if not (folder / "Calibration.json").is_file() or main not in of_fasta:
        return None
    pairs = [
        (training, folder / f"{prefix}.basecaller.bam")
        for prefix in prefixes
        if context.references.of_prefix(prefix) == main
        and (training := folder / "recalibration" / f"{prefix}.basecaller.bam").is_file()
    ]
    return calibration_effect(pairs, of_fasta[main][0], n_threads=context.n_threads)


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
    references = context.references
    if not references:
        return []
    root = context.result_dir
    prefixes = aligned_prefixes(context.basecaller_dir)
    bams = [root / f"{prefix}.bam" for prefix in prefixes if references.of_prefix(prefix)]
    indexes = [
        next((path for path in (bam.with_name(f"{bam.name}.{kind}") for kind in ("bai", "csi")) if path.is_file()), bam)
        for bam in bams
    ]
    return [root / "alignment.json", *bams, *indexes, *sorted(root.glob("BamDuplicates*.json"))]


def write_alignment_metrics(context):
    """Statistics of the aligned reads, where there are any; files of former ones go."""
    from ionanalysis.metrics.ionstats_alignment import write_alignment_statistics

    root = context.result_dir
    for pattern in _STATISTICS:
        for old in root.glob(pattern):
            old.unlink()
    content = read_json(context.basecaller_dir / "datasets_basecaller.json")
    groups = content.get("read_groups", {})
    kept = {entry.get("file_prefix") for entry in content.get("datasets", []) if is_kept(entry, groups)}
    prefixes = [prefix for prefix in aligned_prefixes(context.basecaller_dir) if (root / f"{prefix}.bam").is_file()]
    key = context.facts.library_key
    write_alignment_statistics(root, prefixes, kept.__contains__, key=key, progress=context.progress)


def statistics_of_alignment(context):
    """Files of statistics on aligned reads."""
    return sorted(path for pattern in _STATISTICS for path in context.result_dir.glob(pattern))


def write_aligned_fragments(context, fasta):
    """Align the reads of test fragments to their sequences; write `rawtf.bam` and `ionstats_tf.json`."""
    from ionanalysis.align import ReferenceIndex
    from ionanalysis.alignment import align_bam
    from ionanalysis.metrics.ionstats_tf import tf_alignment_statistics

    folder = context.basecaller_dir
    reads, output = folder / "rawtf.basecaller.bam", folder / "rawtf.bam"
    if not reads.is_file():
        for old in (output, output.with_name("rawtf.bam.bai"), folder / "ionstats_tf.json"):
            old.unlink(missing_ok=True)
        return
    command_line = context.request.command_line
    align_bam(reads, output, ReferenceIndex(Path(fasta)), n_threads=context.n_threads, command_line=command_line)
    write_json(folder / "ionstats_tf.json", tf_alignment_statistics(output, fasta, key=context.facts.tf_key))
