"""What a plan must fulfil (rest-api.md 7.2): each rule looks at a draft and notes what is wrong with it."""

import re

from ionanalysis.rundb.plans.barcoded import check_barcoded_samples
from ionanalysis.rundb.plans.lists import TEMPLATING
from ionanalysis.rundb.plans.normalise import REGION_FILES

_CHARACTERS = re.compile(r"^[A-Za-z0-9 ._-]*$")
_NOTES = re.compile(r"^[A-Za-z0-9\s._-]*$")
_SAID = "must contain only letters, numbers, spaces, dashes, underscores, and periods"
LONGEST_NAME = 60
STATUSES = ("undefined", "pending", "voided", "reserved", "planned", "transferred", "inactive", "run")
_AMPLISEQ = ("AMPS", "AMPS_DNA_RNA", "AMPS_EXOME", "AMPS_RNA")


def check(draft, lists):
    """Note all errors and warnings of a draft in it."""
    for rule in RULES:
        rule(draft, lists)
    if not draft.errors:
        message = _misfit(draft, lists)
        if message:
            draft.errors["Error"] = message


def _names(draft, lists):
    if draft.touches("planName") and not draft.value("planName"):
        draft.refuse("planName", "Plan Name is required")
    check_text(draft, "planName", "Plan Name", longest=LONGEST_NAME)
    if "planName" not in draft.errors:
        check_text(draft, "planDisplayedName", "Plan Name", longest=LONGEST_NAME)


def check_text(draft, name, title, *, longest, pattern=_CHARACTERS):
    """Note a text of forbidden characters or too many."""
    text = draft.given.get(name)
    if not isinstance(text, str):
        return
    if not pattern.match(text):
        draft.refuse(name, f"{title} {_SAID}")
    if len(text) > longest:
        draft.refuse(name, f"{title} must have at most {longest} characters")


def wrong_sample_name(text):
    """What is wrong with a sample's name, or None."""
    if not _CHARACTERS.match(text):
        return f"Sample name {_SAID}"
    if not text[:1].isalnum():
        return "Sample name must begin with a letter or number"
    return "Sample name must have at most 127 characters" if len(text) > 127 else None


def _sample(draft, lists):
    for name in ("sample", "sampleDisplayedName"):
        text = draft.given.get(name)
        wrong = wrong_sample_name(text) if text else None
        if wrong:
            draft.refuse(name, wrong)


def _chip(draft, lists):
    if not draft.touches("chipType"):
        return
    text = draft.value("chipType")
    chip = lists.chip(text) if text else None
    if not text:
        if not draft.is_template:
            draft.refuse("chipType", "Chip Type is required")
    elif chip is None:
        draft.refuse("chipType", f"Chip Type {text} is not known")
    elif not chip.isActive:
        draft.doubt("chipType", f"Chip Type {text} is not active")


def _templating_kit(draft, lists):
    if not draft.touches("templatingKitName"):
        return
    if draft.value("templatingKitName"):
        _check_kit(draft, lists, "templatingKitName", "Template Kit", TEMPLATING)
    elif not draft.is_template:
        draft.refuse("templatingKitName", "Template Kit is required")


def _sequencing_kit(draft, lists):
    if draft.touches("sequencekitname") and draft.value("sequencekitname"):
        _check_kit(draft, lists, "sequencekitname", "Sequencing Kit", ("SequencingKit",))


def _check_kit(draft, lists, name, title, kinds):
    text = draft.value(name)
    kit = lists.kit(text, *kinds)
    if kit is None:
        draft.refuse(name, f"{title} {text} is not known")
    elif not kit.isActive:
        draft.doubt(name, f"{title} {text} is not active")


def _library_key(draft, lists):
    if draft.touches("libraryKey"):
        text = draft.value("libraryKey")
        if not text:
            draft.refuse("libraryKey", "Library Key is required")
        elif lists.library_key(text) is None:
            draft.refuse("libraryKey", f"Library Key {text} is not known")


def _run_type(draft, lists):
    if draft.touches("runType") and lists.run_type(draft.value("runType")) is None:
        draft.refuse("runType", f"Run Type {draft.value('runType')} is not known")


def _group(draft, lists):
    text, run_type = draft.given.get("applicationGroupDisplayedName"), lists.run_type(draft.value("runType"))
    if not text or run_type is None:
        return
    group = lists.group(text)
    if group is None:
        draft.refuse("applicationGroupDisplayedName", f"Application Group {text} is not known")
    elif group.pk not in lists.groups_of(run_type):
        draft.refuse(
            "applicationGroupDisplayedName", f"Application Group {text} does not go with Run Type {run_type.runType}"
        )


def application_of(draft, lists):
    """The product of the draft's run type, group and instrument, or None."""
    chip = lists.chip(draft.value("chipType")) if draft.value("chipType") else None
    return lists.application(draft.value("runType"), draft.group, chip.instrumentType if chip else "")


def _reference(draft, lists):
    text = draft.value("library")
    if not text or not draft.touches("library"):
        return
    product = application_of(draft, lists)
    if not lists.has_reference(text):
        draft.refuse("library", f"Reference {text} is not known or not enabled")
    elif product is not None and not product.isReferenceSelectionSupported:
        draft.refuse("library", f"Run Type {draft.value('runType')} takes no reference")


def _region_files(draft, lists):
    for name, title in zip(REGION_FILES, ("Target regions", "Hot spots", "Strand-specific errors"), strict=True):
        text = draft.value(name)
        if not text or not draft.touches(name, "library"):
            continue
        if not draft.value("library"):
            draft.refuse(name, f"{title} need a reference")
        elif lists.region_file(draft.value("library"), text) is None:
            draft.refuse(name, f"{title} {text} not found")
    product = application_of(draft, lists)
    if draft.given.get("bedfile") and (product is None or not product.isTargetRegionBEDFileSupported):
        draft.refuse("bedfile", f"Run Type {draft.value('runType')} takes no target regions")
    if draft.given.get("regionfile") and not draft.value("bedfile"):
        draft.refuse("regionfile", "Hot spots need target regions")
    needed = product is not None and product.isTargetRegionBEDFileSelectionRequiredForRefSelection
    # Barcoded samples have files of their own.
    alone = draft.value("library") and not draft.value("bedfile") and not draft.barcoded
    if needed and alone and draft.touches("library", "bedfile", "runType") and not draft.is_template:
        draft.doubt("bedfile", f"Run Type {draft.value('runType')} needs target regions")


def _preparation(draft, lists):
    text = draft.given.get("samplePrepProtocol")
    if text:
        protocol = lists.protocol(text)
        kit = lists.kit(draft.value("templatingKitName"), *TEMPLATING) if draft.value("templatingKitName") else None
        if protocol is None:
            draft.refuse("samplePrepProtocol", f"Sample preparation protocol {text} is not known")
        elif kit is None or not _parts(protocol.categories) & _parts(kit.categories):
            draft.refuse("samplePrepProtocol", f"Sample preparation protocol {text} does not go with the template kit")
    text = draft.given.get("sampleGroupingName")
    if text and lists.grouping(text) is None:
        draft.refuse("sampleGroupingName", f"Sample grouping {text} is not known")


def _parts(text):
    return {part.strip() for part in (text or "").split(";") if part.strip()}


def _flow_order(draft, lists):
    text = draft.given.get("flowsInOrder")
    if text and not re.fullmatch("[ACGT]+", text):
        draft.refuse("flowsInOrder", f"Flow order {text} is not known, and not made of the bases A, C, G and T")


def _numbers(draft, lists):
    flows = draft.given.get("flows")
    if flows and not 1 <= flows <= 2000:
        draft.refuse("flows", "Flows must be between 1 and 2000")
    length = draft.given.get("libraryReadLength")
    if length not in (None, "") and not (re.fullmatch(r"\d{1,4}", str(length)) and int(length) <= 1000):
        draft.refuse("libraryReadLength", "Library read length must be between 0 and 1000")
    size = draft.given.get("templatingSize")
    if size and size not in ("200", "400"):
        draft.refuse("templatingSize", "Templating size must be 200 or 400")
    for name, number in draft.given["thresholds"].items():
        kind = lists.thresholds()[name]
        if not kind.minThreshold <= number <= kind.maxThreshold:
            draft.refuse(name, f"{name} must be between {kind.minThreshold} and {kind.maxThreshold}")


def _texts(draft, lists):
    check_text(draft, "notes", "Notes", longest=1024, pattern=_NOTES)
    if len(draft.given.get("sampleTubeLabel") or "") > 512:
        draft.refuse("sampleTubeLabel", "Sample tube label must have at most 512 characters")
    for project in draft.given.get("projects") or ():
        if len(project) > 64:
            draft.refuse("projects", "Project name must have at most 64 characters")
        elif not _CHARACTERS.match(project):
            draft.refuse("projects", f"Project name {_SAID}")
    barcode = draft.given.get("chipBarcode")
    if barcode and not re.fullmatch("[A-Za-z0-9]+", barcode):
        draft.refuse("chipBarcode", "Chip barcode must contain only letters and numbers")
    status = draft.given.get("planStatus")
    if status and status.lower() not in STATUSES:
        draft.refuse("planStatus", f"Plan status must be one of {', '.join(STATUSES)}")


def _barcodes(draft, lists):
    text = draft.given.get("barcodeId")
    if text and not lists.barcodes(text):
        draft.refuse("barcodeId", f"Barcode set {text} is not known")
    if draft.barcoded and draft.touches("barcodedSamples", "barcodeId"):
        check_barcoded_samples(draft, lists, wrong_sample_name)


def _misfit(draft, lists):
    """Why kits, chip and run type do not go together; the first reason, or None."""
    if not draft.touches("chipType", "runType", "sequencekitname", "templatingKitName", "librarykitname"):
        return None
    chip = lists.chip(draft.value("chipType")) if draft.value("chipType") else None
    run_type = draft.value("runType")
    for name, title, kinds in (
        ("templatingKitName", "Template Kit", TEMPLATING),
        ("sequencekitname", "Sequencing Kit", ("SequencingKit",)),
        ("librarykitname", "Library Kit", ("LibraryKit",)),
    ):
        text = draft.value(name)
        kit = lists.kit(text, *kinds) if text else None
        if kit is None:
            continue
        chips, types = _parts(kit.chipTypes), _parts(kit.applicationType)
        if chip is not None and kit.instrumentType and kit.instrumentType.lower() != chip.instrumentType.lower():
            return f"{title} {text} is for {kit.instrumentType}, not for chip {chip.name} of {chip.instrumentType}"
        if chip is not None and chips and chip.name not in chips:
            return f"{title} {text} does not go with chip {chip.name}"
        if "AMPS_ANY" in types:
            types |= set(_AMPLISEQ)
        if types and run_type not in types:
            return f"{title} {text} does not go with Run Type {run_type}"
    return None


RULES = (
    _names,
    _chip,
    _templating_kit,
    _sequencing_kit,
    _library_key,
    _run_type,
    _group,
    _reference,
    _sample,
    _barcodes,
    _region_files,
    _preparation,
    _flow_order,
    _numbers,
    _texts,
)
