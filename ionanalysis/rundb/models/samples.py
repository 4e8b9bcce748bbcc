"""Samples, their attributes, and the sets in which they are prepared."""

from ionanalysis.rundb.models.catalogue import DnaBarcode
from ionanalysis.rundb.models.columns import (
    CASCADE,
    SET_NULL,
    Bool,
    Char,
    Date,
    Float,
    ForeignKey,
    Integer,
    ManyToManyField,
    Row,
    Text,
    UniqueConstraint,
)


class SampleGroupTypeCV(Row):
    description = Char(null=True)
    displayedName = Char(unique=True)
    iRAnnotationType = Char(null=True)
    iRValue = Char(null=True)
    isActive = Bool(default=True)
    isIRCompatible = Bool(default=False)
    uid = Char(unique=True)


class SampleAnnotationCV(Row):
    sampleGroupType_CV = ForeignKey(SampleGroupTypeCV, SET_NULL, null=True, related_name="sampleAnnotation_set")
    annotationType = Char()
    iRAnnotationType = Char(null=True)
    iRValue = Char(null=True)
    isActive = Bool(default=True)
    isIRCompatible = Bool(default=False)
    uid = Char(unique=True)
    value = Char(blank=True)


class SampleAttributeDataType(Row):
    dataType = Char(unique=True)
    description = Char(null=True)
    isActive = Bool(default=True)


class SampleAttribute(Row):
    dataType = ForeignKey(SampleAttributeDataType, SET_NULL, null=True, related_name="+")
    creationDate = Date(auto_now_add=True)
    description = Char(null=True)
    displayedName = Char(unique=True)
    isActive = Bool(default=True)
    isMandatory = Bool(default=False)
    lastModifiedDate = Date(auto_now=True)


class Sample(Row):
    experiments = ManyToManyField("Experiment", related_name="samples")
    name = Char(null=True)
    date = Date(auto_now_add=True, null=True)
    description = Char(null=True)
    displayedName = Char(null=True)
    externalId = Text(null=True)
    status = Char(blank=True)

    class Meta:
        constraints = (UniqueConstraint(fields=("name", "externalId"), name="one_sample_of_a_name"),)


class SamplePrepData(Row):
    instrumentName = Char(blank=True)
    instrumentStatus = Char(blank=True)
    kitType = Char(blank=True)
    lastUpdate = Date(null=True)
    logPath = Char(null=True)
    message = Char(blank=True)
    packageVer = Char(blank=True)
    progress = Float(blank=True, default=0.0)
    reagentsExpiration = Char(blank=True)
    reagentsLot = Char(blank=True)
    reagentsPart = Char(blank=True)
    samplePrepDataType = Char(blank=True)
    scriptVersion = Char(blank=True)
    solutionsExpiration = Char(blank=True)
    solutionsLot = Char(blank=True)
    solutionsPart = Char(blank=True)
    tipRackBarcode = Char(blank=True)


class SampleSet(Row):
    SampleGroupType_CV = ForeignKey(SampleGroupTypeCV, SET_NULL, null=True, related_name="sampleSets")
    libraryPrepInstrumentData = ForeignKey(SamplePrepData, SET_NULL, null=True, related_name="sampleSets")
    combinedLibraryTubeLabel = Char(blank=True)
    creationDate = Date(auto_now_add=True)
    description = Char(null=True)
    displayedName = Char(unique=True)
    lastModifiedDate = Date(auto_now=True)
    libraryPrepInstrument = Char(blank=True)
    libraryPrepKitName = Char(null=True)
    libraryPrepPlateType = Char(blank=True)
    libraryPrepType = Char(blank=True)
    pcrPlateSerialNum = Text(null=True)
    status = Char(blank=True)


class SampleSetItem(Row):
    sampleSet = ForeignKey(SampleSet, CASCADE, null=True, related_name="samples")
    sample = ForeignKey(Sample, CASCADE, null=True, related_name="sampleSets")
    dnabarcode = ForeignKey(DnaBarcode, SET_NULL, null=True, related_name="+")
    biopsyDays = Integer(default=0, null=True)
    cancerType = Char(null=True)
    cellularityPct = Integer(null=True)
    controlType = Text(null=True)
    coupleId = Text(null=True)
    creationDate = Date(auto_now_add=True)
    description = Text(null=True)
    embryoId = Text(null=True)
    gender = Char(null=True)
    lastModifiedDate = Date(auto_now=True)
    nucleotideType = Char(blank=True)
    pcrPlateColumn = Text(null=True)
    pcrPlateRow = Text(null=True)
    relationshipGroup = Integer()
    relationshipRole = Char(null=True)


class SampleAttributeValue(Row):
    sample = ForeignKey(Sample, CASCADE, related_name="attributeValues")
    sampleAttribute = ForeignKey(SampleAttribute, CASCADE, related_name="values")
    value = Text(null=True)
