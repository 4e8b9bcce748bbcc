"""Names that the API gives to columns of a plan's run and settings (rest-api.md 7.1)."""

OF_RUN = {
    "autoAnalyze": "autoAnalyze",
    "chipBarcode": "chipBarcode",
    "chipType": "chipType",
    "flows": "flows",
    "flowsInOrder": "flowsInOrder",
    "notes": "notes",
    "platform": "platform",
    "sequencekitname": "sequencekitname",
}
OF_SETTINGS = {
    "barcodeId": "barcodeKitName",
    "barcodedSamples": "barcodedSamples",
    "base_recalibration_mode": "base_recalibration_mode",
    "bedfile": "targetRegionBedFile",
    "forward3primeadapter": "threePrimeAdapter",
    "isDuplicateReads": "isDuplicateReads",
    "library": "reference",
    "libraryKey": "libraryKey",
    "librarykitname": "libraryKitName",
    "realign": "realign",
    "regionfile": "hotSpotRegionBedFile",
    "selectedPlugins": "selectedPlugins",
    "sseBedFile": "sseBedFile",
    "tfKey": "tfKey",
}

ARGUMENTS = tuple(
    f"{when}{program}args"
    for program in ("beadfind", "analysis", "prebasecaller", "calibrate", "basecaller", "alignment", "ionstats")
    for when in ("", "thumbnail")
)
ARGUMENTS = tuple(name.replace("thumbnailprebasecaller", "prethumbnailbasecaller") for name in ARGUMENTS)
"""Columns of the 14 command lines of an analysis."""

FLAGS = ("autoAnalyze", "isDuplicateReads", "realign", "custom_args", "isReusable")
JSON = ("barcodedSamples", "selectedPlugins", "chefInfo")
TEXTS = (
    *(name for name in (*OF_RUN, *OF_SETTINGS) if name not in (*FLAGS, *JSON, "flows")),
    *ARGUMENTS,
    "planName",
    "planDisplayedName",
    "planGUID",
    "planShortID",
    "planStatus",
    "origin",
    "runType",
    "sample",
    "sampleDisplayedName",
    "sampleGroupingName",
    "samplePrepKitName",
    "samplePrepProtocol",
    "sampleTubeLabel",
    "templatingKitName",
    "templatingSize",
    "applicationGroupDisplayedName",
)


def chef_columns(run):
    """What the sample preparation instrument told of a run: columns ``chef...`` that hold something."""
    columns = (column.name for column in run._meta.concrete_fields if column.name.startswith("chef"))
    return {name: value for name in columns if (value := getattr(run, name))}
