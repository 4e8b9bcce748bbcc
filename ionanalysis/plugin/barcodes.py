"""`barcodes.json`: the reads that a plugin gets, barcode by barcode (plugin.md 5.7)."""

from dataclasses import dataclass, field

from ionanalysis.errors import InputError
from ionanalysis.io.barcode_set import BarcodeSet


@dataclass(frozen=True, kw_only=True)
class BarcodeSources:
    """All that the entries of `barcodes.json` are made from."""

    report_dir: str
    params: dict
    """Content of `ion_params_00.json`."""
    datasets: dict
    """Content of `basecaller_results/datasets_basecaller.json`."""
    barcode_set: BarcodeSet | None = None
    """From `barcodeList.txt`."""
    reference_paths: dict = field(default_factory=dict)
    """FASTA file of each reference that is known here."""
    reference_names: dict = field(default_factory=dict)
    """Long name of each reference."""
    include_filtered: bool = False
    is_aligned: bool = True
    """Whether reads with a reference are aligned already: those of a block are not."""
    """Also give barcodes that were filtered (the original's PLUGINS_INCLUDE_FILTERED_BARCODES)."""


def barcodes_json(sources):
    """The object of `barcodes.json`: an entry per barcode, by index, or the one entry `nonbarcoded`.

    Every key of plugin.md 5.7 is in every entry. Datasets without read groups, without a match, of several
    barcodes, or filtered are left out.

    Parameters
    ----------
    sources : BarcodeSources

    Raises
    ------
    InputError
        If the dataset file names a read group that it does not describe.
    """
    settings = sources.params.get("experimentAnalysisSettings") or {}
    datasets = list(_described(sources.datasets))
    if not settings.get("barcodeKitName"):
        return {"nonbarcoded": _nonbarcoded(sources, settings, *datasets[0])} if datasets else {}
    entries = []
    for dataset, groups in datasets:
        names = {group_name.partition(".")[2] for group_name, _ in groups}
        if len(names) != 1 or "nomatch" in next(iter(names)):
            continue
        entry = _barcoded(sources, settings, names.pop(), dataset, [group for _, group in groups])
        if sources.include_filtered or not entry["filtered"]:
            entries.append(entry)
    entries.sort(key=lambda entry: (entry["barcode_index"], entry["barcode_name"]))
    return {entry["barcode_name"]: entry for entry in entries}


def _described(datasets):
    """Each dataset with its read groups, (name, description) pairs; those without groups are left out."""
    described = datasets.get("read_groups", {})
    for dataset in datasets.get("datasets", []):
        names = dataset.get("read_groups", [])
        missing = [name for name in names if name not in described]
        if missing:
            raise InputError(
                f"datasets_basecaller.json: dataset {dataset.get('dataset_name')!r} names read group {missing[0]!r}, "
                "which is not among read_groups; run the basecaller stage again."
            )
        if names:
            yield dataset, [(name, described[name]) for name in names]


def _barcoded(sources, settings, name, dataset, groups):
    sample, info = _sample_of(settings, name)
    in_set = sources.barcode_set.by_name.get(name) if sources.barcode_set else None
    told = {**groups[0], **groups[0].get("barcode", {})}
    filtered = all(group.get("filtered", False) for group in groups)
    # A barcode without a sample may have a reference all the same.
    named = info.get("reference") or ((sources.params.get("barcodeInfo") or {}).get(name) or {}).get("referenceName")
    reference = _real(named) or _run_reference(sources, settings)
    own_targets = info.get("targetRegionBedFile", "")
    return {
        "barcode_name": name,
        "barcode_index": in_set.index if in_set else int(told.get("index", 0)),
        "barcode_sequence": in_set.sequence if in_set else told.get("barcode_sequence", ""),
        "barcode_adapter": in_set.adapter if in_set else told.get("barcode_adapter", ""),
        "barcode_annotation": in_set.annotation if in_set else "",
        "barcode_type": in_set.type if in_set else "",
        "barcode_description": info.get("description", ""),
        "sample": sample,
        "sample_id": _sample_id(sources, sample),
        **_reference_entries(sources, reference),
        "target_region_filepath": own_targets or settings.get("targetRegionBedFile", ""),
        "hotspot_filepath": info.get("hotSpotRegionBedFile") or settings.get("hotSpotRegionBedFile", ""),
        "sse_filepath": info.get("sseBedFile") or ("" if own_targets else settings.get("sseBedFile", "")),
        "nucleotide_type": info.get("nucleotideType", ""),
        "control_sequence_type": info.get("controlSequenceType", ""),
        "control_type": info.get("controlType", ""),
        "filtered": filtered,
        "read_count": int(dataset.get("read_count", 0)),
        **_bam(sources, bool(reference) and not filtered, dataset, dataset.get("file_prefix", f"{name}_rawlib")),
        **_end_barcode(sources, name),
    }


def _nonbarcoded(sources, settings, dataset, groups):
    group = groups[0][1]
    reference = _run_reference(sources, settings)
    samples = list((sources.params.get("sampleInfo") or {}).values())
    return {
        "sample": group.get("sample") or sources.params.get("sample", ""),
        "sample_id": samples[0].get("externalId", "") if len(samples) == 1 else "",
        **_reference_entries(sources, reference),
        "target_region_filepath": settings.get("targetRegionBedFile", ""),
        "hotspot_filepath": dataset.get("hotSpotRegionBedFile") or settings.get("hotSpotRegionBedFile", ""),
        "sse_filepath": settings.get("sseBedFile", ""),
        "nucleotide_type": "",
        "control_sequence_type": "",
        "control_type": "",
        "filtered": bool(group.get("filtered", False)),
        "read_count": int(group.get("read_count", 0)),
        **_bam(sources, bool(reference), dataset, "rawlib"),
    }


def _run_reference(sources, settings):
    return _real(settings.get("reference")) or _real(sources.params.get("referenceName"))


def _real(reference):
    """A reference's name; the `none` of some files means that there is none."""
    return "" if reference in (None, "none") else reference


def _sample_of(settings, barcode):
    """Name of the sample that holds `barcode`, and what is said of it."""
    samples = settings.get("barcodedSamples")
    for name, sample in samples.items() if isinstance(samples, dict) else ():
        if barcode in sample.get("barcodes", ()):
            return name, sample.get("barcodeSampleInfo", {}).get(barcode, {})
    return "", {}


def _sample_id(sources, sample):
    return ((sources.params.get("sampleInfo") or {}).get(sample) or {}).get("externalId", "") if sample else ""


def _reference_entries(sources, reference):
    version = sources.params.get("tmap_version", "")
    return {
        "reference": reference,
        "reference_fullpath": str(sources.reference_paths.get(reference, "")),
        "reference_full_name": sources.reference_names.get(reference, ""),
        "genome_urlpath": f"/auth/output/{version}/{reference}/{reference}.fasta" if reference else "",
    }


def _bam(sources, has_reference, dataset, prefix):
    aligned = has_reference and sources.is_aligned
    unaligned = dataset.get("basecaller_bam") or f"{prefix}.basecaller.bam"
    name = f"{prefix}.bam" if aligned else unaligned
    place = sources.report_dir if aligned else f"{sources.report_dir}/basecaller_results"
    return {"aligned": aligned, "bam_file": name, "bam_filepath": f"{place}/{name}"}


def _end_barcode(sources, name):
    kit = sources.params.get("endBarcodeKitName") or ""
    info = (sources.params.get("barcodeInfo") or {}).get(name) or {}
    end = (info.get("endBarcode") or {}) if kit else {}
    return {
        "end_barcode_kit_name": kit,
        "end_barcode_name": end.get("id_str", ""),
        "end_barcode_index": end.get("index", ""),
        "end_barcode_adapter": end.get("adapter", ""),
        "end_barcode_sequence": end.get("sequence", ""),
        "end_barcode_annotation": end.get("annotation", ""),
        "end_barcode_type": end.get("type", ""),
        "dual_barcode_name": info.get("dualBarcode", "") if kit else "",
    }
