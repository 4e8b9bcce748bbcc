"""Planned runs, and the thresholds that a run of a plan should pass."""

from ionanalysis.rundb.models.catalogue import ApplicationGroup, QCType
from ionanalysis.rundb.models.columns import (
    CASCADE,
    SET_NULL,
    Bool,
    Char,
    Date,
    ForeignKey,
    Index,
    Integer,
    Json,
    ManyToManyField,
    OneToOneField,
    Row,
    Text,
    UniqueConstraint,
)
from ionanalysis.rundb.models.samples import SampleGroupTypeCV, SampleSet


class PlannedExperiment(Row):
    parentPlan = ForeignKey("self", SET_NULL, null=True, related_name="childPlans")
    applicationGroup = ForeignKey(ApplicationGroup, SET_NULL, null=True, related_name="+")
    sampleGrouping = ForeignKey(SampleGroupTypeCV, SET_NULL, null=True, related_name="+")
    sampleSets = ManyToManyField(SampleSet, related_name="plans")
    projects = ManyToManyField("Project", related_name="plans")
    latestEAS = OneToOneField("ExperimentAnalysisSettings", SET_NULL, null=True, related_name="+")
    adapter = Char(null=True)
    autoName = Char(null=True)
    categories = Text(null=True)
    controlSequencekitname = Char(null=True)
    cycles = Integer(null=True)
    date = Date(null=True)
    expName = Char(blank=True)
    irworkflow = Char(blank=True)
    isFavorite = Bool(default=False)
    isPlanGroup = Bool(default=False)
    isReusable = Bool(default=False)
    isReverseRun = Bool(default=False)
    isSystem = Bool(default=False)
    isSystemDefault = Bool(default=False)
    libkit = Char(null=True)
    libraryReadLength = Integer(default=0)
    metaData = Json(blank=True)
    origin = Text(null=True)
    pairedEndLibraryAdapterName = Char(null=True)
    planDisplayedName = Char(null=True)
    planExecuted = Bool(default=False)
    planExecutedDate = Date(null=True)
    planGUID = Char(null=True)
    planName = Char(null=True)
    planPGM = Char(null=True)
    planShortID = Char(null=True)
    planStatus = Char(blank=True)
    preAnalysis = Bool(default=True)
    reverse_primer = Char(null=True)
    runMode = Char(blank=True)
    runname = Char(null=True)
    runType = Char(default="GENS")
    samplePrepKitName = Char(null=True)
    samplePrepProtocol = Text(null=True)
    sampleTubeLabel = Char(null=True)
    seqKitBarcode = Char(null=True)
    storage_options = Char(default="A")
    storageHost = Char(null=True)
    templatingKitBarcode = Char(null=True)
    templatingKitName = Char(null=True)
    templatingSize = Text(null=True)
    usePostBeadfind = Bool(default=True)
    usePreBeadfind = Bool(default=True)
    username = Char(null=True)

    class Meta:
        indexes = (
            Index(fields=("planGUID",), name="plans_by_guid"),
            Index(fields=("planShortID",), name="plans_by_short_id"),
            Index(fields=("planStatus", "planExecuted"), name="plans_by_status"),
        )


class PlannedExperimentQC(Row):
    plannedExperiment = ForeignKey(PlannedExperiment, CASCADE, related_name="qcValues")
    qcType = ForeignKey(QCType, CASCADE, related_name="+")
    threshold = Integer(default=0)

    class Meta:
        constraints = (UniqueConstraint(fields=("plannedExperiment", "qcType"), name="one_threshold_of_a_type"),)
