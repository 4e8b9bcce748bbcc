"""The JSON and text files of a base-calling run, from its counts (basecaller.md 8.6-8.8)."""

import numpy as np

from ionanalysis.basecaller.barcodes import classifier_limits
from ionanalysis.basecaller.molecular_tags import tag_patterns
from ionanalysis.basecaller.verdicts import DETAIL_NAMES, Verdict
from ionanalysis.io.atomic import write_whole

_LINES_AT_ONCE = 4096

_DETAILS = [
    "adapter_trim",
    "barcode_trim",
    "bkgmodel_high_ppf",
    "bkgmodel_keypass",
    "bkgmodel_polyclonal",
    "extra_trim",
    "failed_keypass",
    "high_ppf",
    "high_residual",
    "polyclonal",
    "quality_filter",
    "quality_trim",
    "short",
    "tag_trim",
    "valid",
]
_BASE_PARTS = [
    "adapter_trim",
    "barcode_trim",
    "extra_trim",
    "failed_keypass",
    "final",
    "high_residual",
    "initial",
    "key_trim",
    "quality_filter",
    "quality_trim",
    "short",
    "tag_trim",
]


def filtering_section(tally, plan):
    """Sections ``Filtering`` and ``BeadSummary`` of BaseCaller.json."""
    library, tf = (_details(row) for row in tally.verdicts)
    adapters = {
        f"Adapter_{index}": {
            "adapter_sequence": sequence,
            "average_metric": _mean(tally.adapter_scores[index], tally.adapter_reads[index]),
            "average_separation": _mean(tally.adapter_leads[index], tally.adapter_decisions[index]),
            "num_decisions": int(tally.adapter_decisions[index]),
            "read_count": int(tally.adapter_reads[index]),
        }
        for index, sequence in enumerate(plan.trims.trim_adapter)
        if sequence != "off"
    }
    polyclonal = library["bkgmodel_polyclonal"] + library["polyclonal"]
    low_quality = (
        "bkgmodel_high_ppf high_ppf bkgmodel_keypass failed_keypass short high_residual quality_trim quality_filter "
        "extra_trim"
    )
    filtering = {
        "BaseDetails": {name: tally.base_parts.get(name, 0) for name in _BASE_PARTS},
        "BeadAdapters": {**adapters, "no_match": {"read_count": tally.n_without_adapter}},
        "LibraryReport": {
            "filtered_low_quality": sum(library[name] for name in low_quality.split()),
            "filtered_polyclonal": polyclonal,
            "filtered_primer_dimer": library["adapter_trim"] + library["barcode_trim"] + library["tag_trim"],
            "final_library_reads": library["valid"],
        },
        "ReadDetails": {"lib": library, "tf": tf},
        "qv_histogram": tally.qualities,
    }
    return filtering, {"lib": _bead_summary(library), "tf": _bead_summary(tf)}


def _details(counts):
    details = dict.fromkeys(_DETAILS, 0)
    for verdict in Verdict:
        details[DETAIL_NAMES[verdict]] += int(counts[verdict])
    return details


def _bead_summary(details):
    short = ("short", "adapter_trim", "barcode_trim", "tag_trim", "extra_trim", "quality_trim")
    return {
        "badKey": details["bkgmodel_keypass"] + details["failed_keypass"],
        "highPPF": details["bkgmodel_high_ppf"] + details["high_ppf"],
        "highRes": details["high_residual"] + details["quality_filter"],
        "polyclonal": details["bkgmodel_polyclonal"] + details["polyclonal"],
        "short": sum(details[name] for name in short),
        "valid": details["valid"],
        "zero": 0,
    }


def _mean(total, count):
    return float(total / count) if count else 0.0


def filtered_barcodes(counts, errors, adapter_failed, may_filter, options, *, check_contamination=True):
    """Which barcodes have so few reads, or such bad ones, that they are taken for noise.

    Parameters
    ----------
    counts : array_like of shape (n_barcodes,)
        Reads of each barcode.
    errors : array_like of shape (n_barcodes, 3)
        Reads with 0, 1, and 2 or more flow errors in the barcode.
    adapter_failed : array_like of shape (n_barcodes,)
        Reads that lost the barcode for its adapter.
    may_filter : array_like of shape (n_barcodes,), bool
        Whether reads alone decide: barcodes with a sample of their own stay.
    options : BarcodeOptions
    check_contamination : bool
        Filter barcodes that lost more than a fifth as many reads as they have; not with end barcodes.

    Returns
    -------
    ndarray of shape (n_barcodes,), bool

    Notes
    -----
    Source: basecaller.md 7.8. A flag only: reads stay where they are.
    """
    counts, errors = np.asarray(counts), np.asarray(errors)
    postpone = options.barcode_filter_postpone
    threshold = options.barcode_filter_minreads if postpone == 0 else 0
    if postpone < 2 and options.barcode_filter > 0:
        weight = options.barcode_filter_weight if postpone == 1 else 1.0
        threshold = max(threshold, int(np.floor(options.barcode_filter * weight * counts.max(initial=0))))
    filtered = counts <= threshold
    if postpone == 0:
        if options.barcode_error_filter > 0:
            mean_errors = (errors[:, 1] + 2 * errors[:, 2]) / np.maximum(counts, 1)
            filtered |= mean_errors > options.barcode_error_filter
        if check_contamination:
            filtered |= 5 * np.asarray(adapter_failed) > counts
    return filtered & np.asarray(may_filter)


def barcode_flags(plan, tally):
    """Whether each read group is filtered, None for those without a barcode."""
    flags: list[bool | None] = [None] * len(plan.library.groups)
    numbers = list(plan.library.barcoded)
    groups = [plan.library.groups[number] for number in numbers]
    named = plan.barcodes.barcode_filter_named
    may_filter = [(named or group.text("sample") in ("", "none")) and not group.text("controlType") for group in groups]
    filtered = filtered_barcodes(
        tally.library.reads[numbers],
        tally.library.errors[numbers],
        tally.adapter_failed[numbers],
        np.array(may_filter, bool),
        plan.barcodes,
        check_contamination=plan.end_barcodes is None,
    )
    for number, flag in zip(numbers, filtered.tolist(), strict=True):
        flags[number] = flag
    return flags


def datasets_json(datasets, counts, date, *, plan=None, tally=None, with_filters=False):
    """Content of ``datasets_basecaller.json`` or ``datasets_tf.json``.

    Parameters
    ----------
    datasets : Datasets
    counts : GroupTally
    date : str
    plan, tally : FinishPlan and Tally, optional
        Of library reads: adds what is known of barcodes.
    with_filters : bool
        Add the settings and flags of barcode filtering, as in the main file.
    """
    meta = {
        "creation_date": date,
        "format_name": "Dataset Map",
        "format_version": "1.0",
        "generated_by": "BaseCaller",
    }
    if datasets.source:
        meta["datasets_source"] = datasets.source
    content = {
        "barcode_filters": _filter_settings(plan) if with_filters else {},
        "datasets": [
            {
                "basecaller_bam": dataset.bam_name,
                "dataset_name": dataset.name,
                "file_prefix": dataset.prefix,
                "read_count": int(counts.records[list(dataset.groups)].sum()),
                "read_groups": [datasets.groups[group].name for group in dataset.groups],
            }
            for dataset in datasets.datasets
        ],
        "meta": meta,
        "read_groups": {},
    }
    if datasets.barcode_config is not None:
        content["barcode_config"] = datasets.barcode_config
    if datasets.sequencing_center:
        content["sequencing_center"] = datasets.sequencing_center
    patterns = {end: tag_patterns(plan, end) for end in ("prefix", "suffix")} if plan is not None else {}
    flags = barcode_flags(plan, tally) if with_filters else [None] * len(datasets.groups)
    for number, group in enumerate(datasets.groups):
        fields = dict(group.fields)
        fields.update(
            Q20_bases=counts.q20_bases[number], read_count=counts.reads[number], total_bases=counts.bases[number]
        )
        if flags[number] is not None:
            fields["filtered"] = flags[number]
        if group.barcode and plan is not None and plan.templates is not None:
            fields["barcode"] = _barcode_json(group, number, counts, plan, tally, always_bias=with_filters)
            fields.update(_handle_json(group, number, plan, tally))
        if plan is not None:
            fields.update({f"mol_tag_{end}": patterns[end][number] for end in patterns if patterns[end][number]})
        content["read_groups"][group.name] = fields
    return content


def _handle_json(group, number, plan, tally):
    sections = {}
    if plan.handles:
        sections["handle"] = tally.handles.handle_json(number)
    if plan.end_barcodes is not None and plan.end_barcodes.expected[number] >= 0:
        given = group.fields.get("end_barcode")
        counts = tally.handles.end_barcode_json(number)
        sections["end_barcode"] = {**(given if isinstance(given, dict) else {}), **counts}
    return sections


def _barcode_json(group, number, counts, plan, tally, *, always_bias):
    given = group.fields.get("barcode")
    content = {
        **(given if isinstance(given, dict) else {"barcode_sequence": group.barcode, "barcode_adapter": group.adapter}),
        "barcode_adapter_filtered": tally.adapter_failed[number],
        "barcode_distance_hist": counts.distances[number],
        "barcode_errors_hist": counts.errors[number],
        "barcode_match_filtered": tally.ambiguous[number],
    }
    n_reads = counts.barcodes[number]
    if n_reads or always_bias:
        templates = plan.templates
        last = templates.adapter_start[plan.library.barcoded.index(number)]
        bias = counts.bias_sum[number] / max(n_reads, 1)
        content["barcode_bias"] = bias[: int(last) - templates.first_flow]
    return content


def _filter_settings(plan):
    options = plan.barcodes
    least = plan.templates.least_distance if plan.templates else None
    cutoff, separation = classifier_limits(least, options)
    settings = {
        "classifier_cutoff": cutoff,
        "classifier_mode": options.barcode_mode,
        "classifier_separation": separation,
        "end_classifier_cutoff": options.end_barcode_cutoff,
        "end_classifier_mode": options.end_barcode_mode,
        "end_classifier_separation": options.end_barcode_separation,
        "filter_errors_hist": options.barcode_error_filter,
        "filter_frequency": options.barcode_filter,
        "filter_minreads": options.barcode_filter_minreads,
        "filter_postpone": options.barcode_filter_postpone,
        "filter_weight": options.barcode_filter_weight if options.barcode_filter_postpone == 1 else 1.0,
        "num_end_barcodes": len(plan.end_barcodes) if plan.end_barcodes is not None else 0,
    }
    if plan.handles:
        named = {f"handle_{number}": handle for number, handle in enumerate(plan.handles)}
        settings |= {"handle_mode": options.handle_mode, "handle_cutoff": options.handle_cutoff, "handles": named}
    return settings | ({"hamming_distance": least} if least is not None else {})


def write_barcode_filter(path, plan, tally):
    """Write ``barcodeFilter.txt``; its second column is the sequence, whatever its title says."""
    lines = ["BarcodeId,BarcodeName,NumReads,Include"]
    flags = barcode_flags(plan, tally)
    for number in plan.library.barcoded:
        group = plan.library.groups[number]
        n_reads = tally.library.reads[number]
        lines.append(f"{group.barcode_name},{group.barcode},{n_reads},{0 if flags[number] else 1}")
    write_whole(path, "\n".join(lines) + "\n")


def write_end_barcode_counts(path, plan, tally):
    """Write ``EndBarcodeReadCounts.csv`` if end barcodes came from a list: start barcodes down, end barcodes across."""
    if plan.end_barcodes is None or not plan.end_barcodes.listed:
        return
    lines = [",".join(["", *plan.end_barcodes.names])]
    for number in plan.library.barcoded:
        name = plan.library.groups[number].barcode_name
        lines.append(",".join([name, *map(str, tally.handles.pairs[number].tolist())]))
    write_whole(path, "\n".join(lines) + "\n")


def write_filter_status(path, sample, flags, high_residual, keypass):
    """Write ``filterStatus.txt``: one line per sampled well, (row, col) in `sample`, from the final mask."""
    rows, cols = sample
    own = flags[rows, cols]
    parts = ["col\trow\thighRes\tvalid\n"]
    # Piece by piece: a Python object per number of all wells would outgrow all arrays.
    for first in range(0, len(rows), _LINES_AT_ONCE):
        some = slice(first, first + _LINES_AT_ONCE)
        flagged = [(own[some] & flag) != 0 for flag in (high_residual, keypass)]
        table = np.column_stack([cols[some], rows[some], *flagged])
        parts.append("%d\t%d\t%d\t%d\n" * len(table) % tuple(table.ravel().tolist()))
    write_whole(path, "".join(parts))
