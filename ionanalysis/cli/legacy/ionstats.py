"""`ionstats`: statistics of called and aligned reads, with the original's subcommands and options."""

import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.cli.legacy.effects import apply_flags
from ionanalysis.cli.legacy.ionstats_flags import IONSTATS_FLAGS
from ionanalysis.cli.legacy.program import Program
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import LIBRARY_KEY, TF_KEY
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.jsonfile import read_json, write_json
from ionanalysis.options.ionstats import AlignmentStatisticsOptions

_CLASSES = {"alignment": (AlignmentStatisticsOptions,)}


def main(argv=None):
    """Entry point of `ionstats`."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] not in WORK:
        asked = argv[:1]
        stream = sys.stdout if asked in ([], ["--help"], ["--version"]) else sys.stderr
        if asked == ["--version"]:
            print(f"ionstats, ionanalysis {__version__}", file=stream)
        else:
            print(f"usage: ionstats {{{','.join(WORK)}}} [options]; each has --help.", file=stream)
        return 0 if stream is sys.stdout else 1
    name, table = argv[0], IONSTATS_FLAGS[argv[0]]
    classes = _CLASSES.get(name, ())

    def work(values, words, note):
        effects = apply_flags(table, values, classes)
        for text in effects.notes:
            note(text)
        WORK[name](effects, words)

    usage = f"ionstats {name} [options]" + (" FILE..." if name.startswith("reduce") else "")
    return Program(f"ionstats {name}", usage, table, classes, work, lambda error: 1)(argv[1:])


def _basecaller(effects, words):
    from ionanalysis.metrics.ionstats_basecaller import read_statistics_of

    asked = effects.arguments
    paths = _inputs(asked, words)
    statistics = read_statistics_of(paths, asked.get("key", LIBRARY_KEY), _n_bins(asked))
    write_json(asked.get("output", "ionstats_basecaller.json"), statistics)


def _alignment(effects, words):
    from ionanalysis.metrics.error_summary import merge_error_summaries
    from ionanalysis.metrics.ionstats_alignment import alignment_statistics, merge_alignment_statistics

    asked, options = effects.arguments, effects.option(AlignmentStatisticsOptions)
    paths, summary = _inputs(asked, words), asked.get("summary")
    copied = asked.get("copy")
    if copied and len(paths) > 1:
        raise UsageError("--output-bam passes the reads of one file on; name one with -i.")
    copy = partial(_copy_of, copied, asked.get("compress", False)) if copied else None
    summaries = [_part(summary, number) for number in range(len(paths))] if summary else []
    try:
        parts = [
            alignment_statistics(path, options, summary_path=summaries[number] if summary else None, copy=copy)
            for number, path in enumerate(paths)
        ]
        if summary:
            merge_error_summaries(summaries, summary)
    finally:
        for place in summaries:
            place.unlink(missing_ok=True)
    write_json(asked.get("output", "ionstats_alignment.json"), merge_alignment_statistics(parts))


@contextmanager
def _copy_of(path, compressed, header):
    """Gives what writes reads to a BAM file, whole or not at all, or to stdout."""
    import pysam

    mode = "wb" if compressed else "wbu"
    place = nullcontext("-") if path == "-" else whole_file(Path(path))
    with place as name, pysam.AlignmentFile(str(name), mode, header=header) as file:
        yield file.write


def _tf(effects, words):
    from ionanalysis.metrics.ionstats_tf import merge_tf_statistics, tf_alignment_statistics

    asked = effects.arguments
    paths = _inputs(asked, words)
    if "reference" not in asked:
        raise UsageError("no test fragments are given; name their FASTA file with -r.")
    parts = [
        tf_alignment_statistics(
            path,
            asked["reference"],
            key=asked.get("key", TF_KEY),
            n_bins=_n_bins(asked),
            least_reads=asked.get("least_reads", 500),
        )
        for path in paths
    ]
    write_json(asked.get("output", "ionstats_tf.json"), merge_tf_statistics(parts))


def _reduce(effects, words):
    """Add up files of one kind, told by what they hold."""
    from ionanalysis.metrics.ionstats_alignment import merge_alignment_statistics
    from ionanalysis.metrics.ionstats_basecaller import merge_statistics
    from ionanalysis.metrics.ionstats_tf import merge_tf_statistics

    merges = {
        "ionstats_basecaller": merge_statistics,
        "ionstats_alignment": merge_alignment_statistics,
        "ionstats_tf": merge_tf_statistics,
    }
    output, parts = _output(effects, words), []
    kinds: list[str] = []
    for path in words:
        content = read_json(path)
        kind = content.get("meta", {}).get("format_name") if isinstance(content, dict) else None
        if kind not in merges:
            raise InputError(f"{path}: is no file of ionstats (meta.format_name is {kind!r}); name such files.")
        if kinds and kind != kinds[0]:
            raise InputError(f"{path}: is of kind {kind}, the files before it of {kinds[0]}; give files of one kind.")
        kinds.append(kind)
        parts.append(content)
    try:
        merged = merges[kinds[0]](parts)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{words[0]}: these files lack what {kinds[0]} holds ({error}); make them again.") from error
    write_json(output, merged)


def _reduce_h5(effects, words):
    from ionanalysis.metrics.error_summary import merge_error_summaries

    output = _output(effects, words)
    merge_error_summaries(words, output, by_group=effects.arguments.get("by_group", True))


def _inputs(asked, words):
    if words:
        raise UsageError(f"{words[0]!r} belongs to no option; --help lists the options.")
    if not asked.get("input"):
        raise UsageError("no reads are given; name BAM files with -i.")
    return [Path(path) for path in asked["input"]]


def _output(effects, words):
    if "output" not in effects.arguments:
        raise UsageError("no output is given; name a file with -o.")
    if not words:
        raise UsageError("no files are given; name those to add up.")
    return effects.arguments["output"]


def _n_bins(asked):
    n_bins = asked.get("n_bins")
    if n_bins is not None and n_bins < 1:
        raise UsageError(f"--histogram-length {n_bins}: must be 1 or more.")
    return n_bins


def _part(summary, number):
    path = Path(summary)
    return path.with_name(f".{path.name}.{number}.part")


WORK = {
    "basecaller": _basecaller,
    "alignment": _alignment,
    "tf": _tf,
    "reduce": _reduce,
    "reduce-h5": _reduce_h5,
}
