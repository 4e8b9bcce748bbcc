"""What a laboratory orders and the analysis knows: chips, kits, applications, keys, barcodes, references."""

from django.contrib.auth.models import User

from ionanalysis.rundb.models.columns import (
    CASCADE,
    SET_NULL,
    BigInteger,
    Bool,
    Char,
    CommandLines,
    Date,
    Float,
    ForeignKey,
    Integer,
    Json,
    ManyToManyField,
    Row,
    Text,
    now,
)


class FlowOrder(Row):
    name = Char(unique=True)
    description = Char(blank=True)
    flowOrder = Char(blank=True)
    isActive = Bool(default=True)
    isDefault = Bool(default=False)
    isSystem = Bool(default=False)


class KitInfo(Row):
    defaultFlowOrder = ForeignKey(FlowOrder, SET_NULL, null=True, related_name="kits")
    name = Char(unique=True)
    applicationType = Text(null=True)
    categories = Text(null=True)
    chipTypes = Char(blank=True)
    description = Char(blank=True)
    flowCount = Integer()
    instrumentType = Char(blank=True)
    isActive = Bool(default=True)
    kitType = Char()
    libraryReadLength = Integer(default=0)
    nucleotideType = Char(blank=True)
    runMode = Char(blank=True)
    samplePrep_instrumentType = Char(blank=True)
    templatingSize = Text(null=True)
    uid = Char(unique=True)


class KitPart(Row):
    kit = ForeignKey(KitInfo, CASCADE, related_name="parts")
    barcode = Char(unique=True)


class Chip(Row):
    name = Char()
    description = Char(default="")
    earlyDatFileDeletion = Char(blank=True)
    instrumentType = Char(blank=True)
    isActive = Bool(default=True)
    slots = Integer()


class ApplicationGroup(Row):
    name = Char()
    description = Char(null=True)
    isActive = Bool(default=True)
    uid = Char(unique=True)


class RunType(Row):
    applicationGroups = ManyToManyField(ApplicationGroup, related_name="applications")
    alternate_name = Text(null=True)
    barcode = Char(blank=True)
    description = Char(blank=True)
    isActive = Bool(default=True)
    meta = Json(null=True, schema_default="")
    nucleotideType = Char(blank=True, default="dna")
    runType = Char(unique=True)


class ApplProduct(Row):
    appl = ForeignKey(RunType, CASCADE, related_name="products")
    applicationGroup = ForeignKey(ApplicationGroup, SET_NULL, null=True, related_name="+")
    defaultSeqKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultLibKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultControlSeqKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultIonChefPrepKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultIonChefSequencingKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultSamplePrepKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    defaultTemplateKit = ForeignKey(KitInfo, SET_NULL, null=True, related_name="+")
    barcodeKitSelectableType = Char(blank=True)
    categories = Text(null=True)
    defaultBarcodeKitName = Char(null=True)
    defaultChipType = Char(null=True)
    defaultFlowCount = Integer(default=0)
    defaultGenomeRefName = Char(null=True)
    defaultHotSpotRegionBedFileName = Char(null=True)
    defaultTargetRegionBedFileName = Char(null=True)
    description = Char(blank=True)
    instrumentType = Char(blank=True)
    isActive = Bool(default=True)
    isBarcodeKitSelectionRequired = Bool(default=False)
    isControlSeqTypeBySampleSupported = Bool(default=False)
    isDefault = Bool(default=False)
    isDefaultBarcoded = Bool(default=False)
    isDefaultForInstrumentType = Bool(default=False)
    isDualNucleotideTypeBySampleSupported = Bool(default=False)
    isHotSpotBEDFileBySampleSupported = Bool(default=False)
    isHotspotRegionBEDFileSuppported = Bool(default=True)
    isReferenceBySampleSupported = Bool(default=False)
    isReferenceSelectionSupported = Bool(default=True)
    isSamplePrepKitSupported = Bool(default=True)
    isTargetRegionBEDFileBySampleSupported = Bool(default=False)
    isTargetRegionBEDFileSelectionRequiredForRefSelection = Bool(default=False)
    isTargetRegionBEDFileSupported = Bool(default=True)
    isTargetTechniqueSelectionSupported = Bool(default=True)
    isVisible = Bool(default=False)
    productCode = Char(default="any", unique=True)
    productName = Char()


class AnalysisArgs(CommandLines):
    creator = ForeignKey(User, SET_NULL, null=True, related_name="+")
    lastModifiedUser = ForeignKey(User, SET_NULL, null=True, related_name="+")
    applType = ForeignKey(RunType, SET_NULL, null=True, related_name="+")
    applGroup = ForeignKey(ApplicationGroup, SET_NULL, null=True, related_name="+")
    name = Char(unique=True)
    active = Bool(default=True)
    chip_default = Bool(default=False)
    chipType = Char(default="")
    creationDate = Date(auto_now_add=True, null=True)
    description = Char(null=True, unique=True)
    isSystem = Bool(default=False)
    lastModifiedDate = Date(auto_now=True, null=True)
    libraryKitName = Char(blank=True)
    samplePrepKitName = Char(blank=True)
    sequenceKitName = Char(blank=True)
    templateKitName = Char(blank=True)


class LibraryKey(Row):
    name = Char(unique=True)
    description = Char(blank=True)
    direction = Char(default="Forward")
    isDefault = Bool(default=False)
    runMode = Char(blank=True, default="single")
    sequence = Char()


class ThreePrimeAdapter(Row):
    name = Char(unique=True)
    chemistryType = Char(blank=True)
    description = Char(blank=True)
    direction = Char(default="Forward")
    isActive = Bool(default=True)
    isDefault = Bool(default=False)
    runMode = Char(blank=True, default="single")
    sequence = Char()
    uid = Char(unique=True)


class Template(Row):
    name = Char()
    comments = Char(blank=True)
    isofficial = Bool(default=True)
    key = Char()
    sequence = Char(blank=True)


class DnaBarcode(Row):
    name = Char()
    active = Bool(default=True)
    adapter = Char(blank=True)
    annotation = Char(blank=True)
    floworder = Char(blank=True)
    id_str = Char()
    index = Integer()
    length = Integer(blank=True, default=0)
    score_cutoff = Float(default=0.0)
    score_mode = Integer(blank=True, default=0)
    sequence = Char()
    type = Char(blank=True)


class CommonCV(Row):
    categories = Text(null=True)
    cv_type = Char()
    description = Char(null=True)
    displayedValue = Char(unique=True)
    isActive = Bool(default=True)
    isDefault = Bool(default=True)
    isVisible = Bool(default=True)
    samplePrep_instrumentType = Char(blank=True)
    sequencing_instrumentType = Char(blank=True)
    uid = Char(unique=True)
    value = Char()


class QCType(Row):
    defaultThreshold = Integer(default=0)
    description = Char(blank=True)
    maxThreshold = Integer(default=100)
    minThreshold = Integer(default=0)
    qcName = Char(unique=True)


class ReferenceGenome(Row):
    name = Char()
    celery_task_id = Char(blank=True)
    date = Date(default=now)
    enabled = Bool(default=True)
    genome_length = BigInteger(null=True)
    identity_hash = Char(default=None, null=True)
    index_version = Char(blank=True)
    notes = Char(blank=True)
    reference_path = Char(blank=True)
    short_name = Char()
    source = Char(blank=True)
    species = Char(blank=True)
    status = Char(blank=True)
    verbose_error = Char(blank=True)
    version = Char(blank=True)
