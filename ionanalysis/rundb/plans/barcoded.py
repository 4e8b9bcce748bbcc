"""Samples by barcode: ``{sample: {"barcodes": [...], "barcodeSampleInfo": {barcode: {...}}}}`` (rest-api.md 7.2)."""

NEEDED = ("reference", "targetRegionBedFile", "hotSpotRegionBedFile", "nucleotideType")
FIELD = "barcodedSamples"


def check_barcoded_samples(draft, lists, wrong_name):
    """Note what is wrong with a draft's barcoded samples.

    Parameters
    ----------
    draft : Draft
    lists : Lists
    wrong_name : callable
        ``name -> str or None``: what is wrong with a sample's name.
    """
    known = lists.barcodes(draft.value("barcodeId")) if draft.value("barcodeId") else {}
    if not draft.value("barcodeId"):
        draft.refuse(FIELD, "need a barcode set in barcodeId")
        return
    for name, sample in draft.barcoded.items():
        wrong = wrong_name(name)
        if wrong:
            draft.refuse(FIELD, f"{name}: {wrong}")
        if not isinstance(sample, dict) or not isinstance(sample.get("barcodes"), list):
            draft.refuse(FIELD, f"{name}: barcodes is required and takes a list")
            continue
        info = sample.get("barcodeSampleInfo")
        if not isinstance(info, dict):
            draft.doubt(FIELD, f"{name}: barcodeSampleInfo is required and takes an object")
            continue
        for barcode in sample["barcodes"]:
            _check_barcode(draft, lists, f"{name}, {barcode}", barcode, info, known)
    if draft.group is None:
        draft.warn(FIELD, "nucleotideType was not held against an application group: none is given")


def _check_barcode(draft, lists, place, barcode, info, known):
    if not isinstance(barcode, str) or barcode.lower() not in known:
        draft.refuse(FIELD, f"{place}: is not in barcode set {draft.value('barcodeId')}")
        return
    details = info.get(barcode)
    if not isinstance(details, dict):
        draft.doubt(FIELD, f"{place}: is not in barcodeSampleInfo")
        return
    missing = [key for key in NEEDED if key not in details]
    if missing:
        draft.doubt(FIELD, f"{place}: {', '.join(missing)} is required")
    texts = {key: details.get(key) or "" for key in (*NEEDED, "controlType")}
    if not all(isinstance(text, str) and "\0" not in text for text in texts.values()):
        draft.refuse(FIELD, f"{place}: {', '.join(texts)} take texts")
        return
    _check_files(draft, lists, place, texts)
    _check_kind(draft, lists, place, texts, "nucleotideType" in details)
    if texts["controlType"] and texts["controlType"] not in lists.control_types():
        draft.refuse(FIELD, f"{place}: controlType {texts['controlType']} is not known")


def _check_files(draft, lists, place, texts):
    reference, regions, spots = (texts[key] for key in NEEDED[:3])
    if reference and not lists.has_reference(reference):
        draft.refuse(FIELD, f"{place}: reference {reference} is not known or not enabled")
    if (regions or spots) and not reference:
        draft.refuse(FIELD, f"{place}: a BED file needs a reference")
    elif spots and not regions:
        draft.refuse(FIELD, f"{place}: hot spots need target regions")
    for text in (regions, spots):
        if text and reference and lists.region_file(reference, text) is None:
            draft.refuse(FIELD, f"{place}: {text} not found")


def _check_kind(draft, lists, place, texts, is_given):
    """Nucleotides must be those of the run type."""
    kind, run_type = texts["nucleotideType"], lists.run_type(draft.value("runType"))
    if not kind:
        if is_given:
            draft.refuse(FIELD, f"{place}: nucleotideType is required")
        return
    own = run_type.nucleotideType.lower() if run_type is not None else ""
    allowed = ("dna", "rna", "fusions") if own == "dna_rna" else (own,)
    if own and kind.lower() not in allowed:
        draft.refuse(FIELD, f"{place}: nucleotideType {kind} does not go with Run Type {run_type.runType}")
